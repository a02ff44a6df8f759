"""Throughput of the sample catalog on two workers: products an hour from webhook to live, CPU by step."""

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from dam_connector.settings import Settings
from dam_connector.wiring import build_services


def measure() -> dict[str, object]:
    """Return live products an hour, and CPU-seconds by kind of run and step."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        finished = subprocess.run(
            [
                sys.executable,
                "-m",
                "dam_connector.cli",
                "demo",
                "--headless",
                "--workers",
                "2",
                "--data-dir",
                str(data),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        summary = json.loads(finished.stdout)
        runs = build_services(Settings.from_env({}, data_dir=data)).runs.page(limit=200)
    steps: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        for step, seconds in run.timings.items():
            steps[f"{run.kind.value} {step}"].append(seconds)
    cpu = sum(sum(v) for v in steps.values())
    live, seconds = summary["totals"]["live"], summary["totals"]["seconds"]
    return {
        "live": live,
        "seconds": seconds,
        "live_products_per_hour": round(live / seconds * 3600),
        "cpu_s_per_live_product": round(cpu / live, 2),
        "cpu_s_by_step": {
            k: {"mean": round(sum(v) / len(v), 3), "runs": len(v)}
            for k, v in sorted(steps.items(), key=lambda x: -sum(x[1]))
            if sum(v) > 0.05
        },
    }
