"""Throughput of a sheet of products on two workers: products an hour from upload into review, CPU by step.

Every row has photos of its own, the samples' made a little brighter or darker, so that no cache saves any
work.
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
from dam_connector.store.batch_records import BatchProgress
from dam_connector.wiring import Services, build_services

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "dam_connector" / "samples"
ROWS = 200
WORKERS = 2
VIEWS = ("front", "right", "back", "top", "hero")
TIMEOUT_S = 3600
SAMPLE_SKUS = ("CH123", "LA207", "MG401", "SB512", "SP733", "VS818")  # the samples without faults
ALL3D_PRODUCTS_AN_HOUR = 600  # its own claim (docs/benchmarks.md)


def measure(rows: int = ROWS) -> dict[str, Any]:
    """Return products an hour, and CPU-seconds a product by step."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), rows) as (services, sheet):
        cpu = cpu_s()
        progress, seconds = import_sheet(services, sheet)
        used = cpu_s() - cpu
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
            "times_600_an_hour": round(an_hour / ALL3D_PRODUCTS_AN_HOUR, 2),
            "cpu_s_a_product": round(used / rows, 2),
            "in_steps_cpu_s_a_product": steps[0] / rows,
        },
        "cpu_s_a_product_by_step": {
            name: round(seconds / rows, 3) for name, seconds in steps[1].items() if seconds / rows > 0.005
        },
    }


def import_sheet(services: Services, sheet: Path) -> tuple[BatchProgress, float]:
    """Import a sheet into a running connector; return how it went, and the seconds until nothing is open."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "dam_connector.cli", "import", str(sheet), "--name", "bench"]
    command += ["--pictures", str(sheet.parent / "photos"), "--json"]
    command += ["--data-dir", str(services.settings.data_dir)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    batch = services.batches.get("bench")
    assert batch is not None
    while (
        progress := services.batches.progress(batch.id)
    ).in_progress and time.perf_counter() - started < TIMEOUT_S:
        time.sleep(0.5)
    return progress, time.perf_counter() - started


@contextmanager
def running(folder: Path, rows: int, *, workers: int = WORKERS) -> Iterator[tuple[Services, Path]]:
    """Run the connector with rules for packshot, lifestyle and model; give its services and a sheet.

    The database is that of DATABASE_URL, or an embedded one.

    Args:
        folder: For data, rules and sheet.
        rows: Of the sheet.
        workers: How many make pictures and models.
    """
    (folder / "plugin.json").write_text(json.dumps(rules_of_one_each()))
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
        str(workers),
        "--port",
        str(port),
    ]
    up = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)
    try:
        assert up.stdout is not None and "Ready" in up.stdout.readline()
        yield (
            build_services(
                Settings.from_env(_database(), data_dir=folder / "data", plugin_json=folder / "plugin.json")
            ),
            sheet,
        )
    finally:
        up.terminate()
        up.wait(60)


def rules_of_one_each() -> dict[str, Any]:
    """Return the shipped rules with one packshot, one lifestyle picture and one model a product."""
    rules: dict[str, Any] = json.loads((ROOT / "plugin.json").read_text())
    wanted = [d for d in rules["deliverables"] if d["name"] != "cutout"]
    rules["deliverables"] = [d | {"count": 1} if d["kind"] == "rendition" else d for d in wanted]
    rules["naming"].get("patterns", {}).pop("cutout", None)
    return rules


def _database() -> dict[str, str]:
    """Return the variables that name the database, of those of this process."""
    return {name: os.environ[name] for name in ("DATABASE_URL",) if name in os.environ}


def write_sheet(folder: Path, rows: int) -> Path:
    """Write a sheet of this number of rows, and a folder `photos` beside it; return the sheet."""
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
            product = known[SAMPLE_SKUS[n % len(SAMPLE_SKUS)]]
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
                write_photo(folder / "photos", product["images"][view], n)
                if view in product["images"]
                else ""
                for view in VIEWS
            ]
            writer.writerow([*facts, size["width"], size["height"], size["depth"], size["unit"], *photos])
    return folder / "sheet.csv"


def write_photo(folder: Path, name: str, n: int) -> str:
    """Write a sample photo a little brighter or darker, different for each row; return its file name."""
    own_name = f"{n}-{name}"
    out = io.BytesIO()
    ImageEnhance.Brightness(Image.open(SAMPLES / name)).enhance(1 + 0.0002 * (n % 199 - 99)).save(
        out, "JPEG", quality=93
    )
    (folder / own_name).write_bytes(out.getvalue() + n.to_bytes(4, "big"))
    return own_name


def _steps(services: Services) -> tuple[float, dict[str, float]]:
    """Return the CPU-seconds of all steps together, and of each, the most expensive first."""
    steps: dict[str, float] = defaultdict(float)
    before = ""
    while runs := services.runs.page(before=before, limit=500):
        for run in runs:
            for step, seconds in run.timings.items():
                steps[f"{run.deliverable} {step}"] += seconds
        before = runs[-1].id
    return round(sum(steps.values()), 1), dict(sorted(steps.items(), key=lambda pair: -pair[1]))


def cpu_s() -> float:
    """Return the CPU-seconds of this process and all below it, ended ones included."""
    total = 0.0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        times = process.cpu_times()
        total += times.user + times.system + times.children_user + times.children_system
    return total
