"""A sheet of sample products on two workers: products an hour from upload into review, CPU-seconds by step; and whether a single
product waits behind a sheet of 100,000 rows, and two sheets share.

Every row has photos of its own: the samples', each a little brighter or darker, so that nothing is saved by making it once.
"""

import csv
import io
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from PIL import Image, ImageEnhance

from dam_connector.settings import Settings
from dam_connector.wiring import Services, build_services

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "dam_connector" / "samples"
ROWS = 200
WORKERS = 2
TIMEOUT_S = 3600
NAMES = ("CH123", "LA207", "MG401", "SB512", "SP733", "VS818")  # the samples that are complete
ALL3D_CLAIM = 600  # products an hour (docs/benchmarks.md)


def measure(rows: int = ROWS) -> dict[str, Any]:
    """Products an hour, and where the CPU-seconds go."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), rows) as (services, sheet):
        began, cpu = time.perf_counter(), _cpu_s()
        command = [
            sys.executable,
            "-m",
            "dam_connector.cli",
            "import",
            str(sheet),
            "--name",
            "bench",
            "--pictures",
            str(sheet.parent / "photos"),
            "--json",
        ]
        subprocess.run(
            [*command, "--data-dir", str(services.settings.data_dir)], check=True, stdout=subprocess.DEVNULL
        )
        batch = services.batches.get("bench")
        assert batch is not None
        while (
            progress := services.batches.progress(batch.id)
        ).in_progress and time.perf_counter() - began < TIMEOUT_S:
            time.sleep(1)
        seconds, used = time.perf_counter() - began, _cpu_s() - cpu
        steps = _steps(services)
        made = progress.in_review
    an_hour = round(made / seconds * 3600)
    return {
        **{
            "rows": rows,
            "in_review": made,
            "failed": progress.failed,
            "seconds": round(seconds, 1),
            "products_an_hour": an_hour,
        },
        **{
            "times_600_an_hour": round(an_hour / ALL3D_CLAIM, 2),
            "cpu_s_a_product": round(used / rows, 2),
            "in_steps_cpu_s_a_product": steps[0] / rows,
        },
        "cpu_s_a_product_by_step": {
            name: round(seconds / rows, 3) for name, seconds in steps[1].items() if seconds / rows > 0.005
        },
    }


@contextmanager
def running(folder: Path, rows: int) -> Iterator[tuple[Services, Path]]:
    """The connector on a folder of its own, with rules for a packshot, a lifestyle picture and a model; and a sheet for it."""
    rules = json.loads((ROOT / "plugin.json").read_text())
    rules["deliverables"] = [
        d | {"count": 1} if d["kind"] == "rendition" else d
        for d in rules["deliverables"]
        if d["name"] != "cutout"
    ]
    (folder / "plugin.json").write_text(json.dumps(rules))
    sheet = write_sheet(folder, rows)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = {**os.environ, "DAM_CONNECTOR_PLUGIN_JSON": str(folder / "plugin.json")}
    command = [
        sys.executable,
        "-m",
        "dam_connector.cli",
        "up",
        "--data-dir",
        str(folder / "data"),
        "--workers",
        str(WORKERS),
        "--port",
        str(port),
    ]
    up = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)
    try:
        assert up.stdout is not None and "Ready" in up.stdout.readline()
        yield (
            build_services(
                Settings.from_env({}, data_dir=folder / "data", plugin_json=folder / "plugin.json")
            ),
            sheet,
        )
    finally:
        up.terminate()
        up.wait(60)


def write_sheet(folder: Path, rows: int) -> Path:
    """A sheet of so many rows, and a folder of photos beside it."""
    known = {
        entry["product"]["sku"]: entry["product"]
        for entry in json.loads((SAMPLES / "catalog.json").read_text())
    }
    (folder / "photos").mkdir()
    with (folder / "sheet.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            [
                "sku",
                "name",
                "category",
                "brand",
                "material",
                "color",
                "width",
                "height",
                "depth",
                "unit",
                *VIEWS,
            ]
        )
        for n in range(rows):
            product = known[NAMES[n % len(NAMES)]]
            size = product["dimensions"]
            facts = [
                f"{product['sku']}-{n}",
                product["name"],
                product["category"],
                product["brand"],
                product["material"],
                product["color"],
            ]
            photos = [
                _photo(folder / "photos", product["images"][view], n) if view in product["images"] else ""
                for view in VIEWS
            ]
            writer.writerow([*facts, size["width"], size["height"], size["depth"], size["unit"], *photos])
    return folder / "sheet.csv"


VIEWS = ("front", "right", "back", "top", "hero")


def _photo(folder: Path, name: str, n: int) -> str:
    """A sample photo, a little brighter or darker: bytes of its own for each row."""
    own = f"{n}-{name}"
    out = io.BytesIO()
    ImageEnhance.Brightness(Image.open(SAMPLES / name)).enhance(1 + 0.0002 * (n % 199 - 99)).save(
        out, "JPEG", quality=93
    )
    (folder / own).write_bytes(out.getvalue() + n.to_bytes(4, "big"))
    return own


def _steps(services: Services) -> tuple[float, dict[str, float]]:
    """CPU-seconds of all steps, and by step, the dearest first."""
    steps: dict[str, float] = defaultdict(float)
    before = ""
    while runs := services.runs.page(before=before, limit=500):
        for run in runs:
            for step, seconds in run.timings.items():
                steps[f"{run.deliverable} {step}"] += seconds
        before = runs[-1].id
    return round(sum(steps.values()), 1), dict(sorted(steps.items(), key=lambda pair: -pair[1]))


def _cpu_s() -> float:
    """CPU-seconds of our child processes and all theirs, ended ones included."""
    total = 0.0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        times = process.cpu_times()
        total += times.user + times.system + times.children_user + times.children_system
    return total
