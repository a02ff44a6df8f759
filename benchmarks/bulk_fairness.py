"""Fairness of bulk uploads: how long a single product waits beside 100,000 rows, and two sheets share."""

import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.bulk_throughput import running
from dam_connector.usecases import batches, intake
from dam_connector.wiring import Services
from schemas.product import load_product

LARGE_ROWS = 100_000
SINGLES = 5  # products that are timed, alone and beside the sheet
SHARE_S = 90  # for which the runs of two sheets are counted


def measure(rows: int = LARGE_ROWS) -> dict[str, Any]:
    """Return the figures of single products and of two sheets.

    They are the seconds until a single product's packshot is in review, alone and beside a sheet, and the
    runs of two sheets that were done in SHARE_S.
    """
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), 12) as (services, sheet):
        alone = [_single(services, Path(folder), f"ALONE{n}") for n in range(SINGLES)]
        many = _repeated(Path(folder), sheet, rows)
        _import(services, many, "large")
        time.sleep(10)
        beside = [_single(services, Path(folder), f"BESIDE{n}") for n in range(SINGLES)]
        _import(services, _repeated(Path(folder), sheet, 60, "SECOND"), "second")
        before = _done_runs(services)
        time.sleep(SHARE_S)
        after = _done_runs(services)
        for name in ("large", "second"):
            batches.control(services, batches.find(services, name), "cancel")
    alone_s, beside_s = sorted(alone)[SINGLES // 2], sorted(beside)
    return {
        **{
            "alone_s": round(alone_s, 1),
            "beside_s": round(beside_s[SINGLES // 2], 1),
            "beside_slowest_s": round(beside_s[-1], 1),
        },
        **{"delay_s": round(beside_s[SINGLES // 2] - alone_s, 1), "shared_s": SHARE_S},
        **{f"runs_of_the_{name}": after[name] - before[name] for name in ("large", "second")},
    }


def _single(services: Services, folder: Path, sku: str) -> float:
    """Return the seconds until the packshot of a product that was added by itself is in review."""
    held = {"front": f"held:{services.blobs.put((folder / 'photos' / '0-chair-front.jpg').read_bytes())}"}
    facts = {
        "sku": sku,
        "name": "Chair",
        "category": "decor",
        "images": held,
        "dimensions": {"width": 46, "height": 85, "depth": 49, "unit": "cm"},
    }
    started = time.perf_counter()
    intake.add_product(services, load_product(facts), by="bench")
    while not any(
        v.asset.deliverable == "packshot" and v.state == "in_review" for v in services.assets.of_product(sku)
    ):
        time.sleep(0.05)
    return time.perf_counter() - started


def _repeated(folder: Path, sheet: Path, rows: int, prefix: str = "LARGE") -> Path:
    """Write a sheet of this number of rows with the facts and photos of another; return it."""
    with sheet.open(newline="") as file:
        header, *known = csv.reader(file)
    path = folder / f"{prefix}.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows([f"{prefix}-{n}", *known[n % len(known)][1:]] for n in range(rows))
    return path


def _import(services: Services, sheet: Path, name: str) -> None:
    command = [
        sys.executable,
        "-m",
        "dam_connector.cli",
        "import",
        str(sheet),
        "--name",
        name,
        "--pictures",
        str(sheet.parent / "photos"),
    ]
    environ = {**os.environ, "DAM_CONNECTOR_PLUGIN_JSON": str(services.settings.plugin_json)}
    command += ["--data-dir", str(services.settings.data_dir)]
    subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL)


def _done_runs(services: Services) -> dict[str, int]:
    """Return how many runs of each sheet are done."""
    counts = {"large": 0, "second": 0}
    before = ""
    while runs := services.runs.page(state="done", before=before, limit=500):
        for run in runs:
            counts["second" if run.sku.startswith("SECOND") else "large"] += run.sku.startswith(
                ("LARGE", "SECOND")
            )
        before = runs[-1].id
    return counts
