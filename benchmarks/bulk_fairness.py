"""Whether a single product waits behind a sheet of 100,000 rows, and whether two sheets share."""

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

LARGE = 100_000
SINGLES = 5
SHARE_S = 90


def measure(large: int = LARGE) -> dict[str, Any]:
    """Seconds from a single product to its packshot in review, alone and beside a sheet of 100,000 rows; and how two sheets share."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), 12) as (services, sheet):
        alone = [_single(services, Path(folder), f"ALONE{n}") for n in range(SINGLES)]
        many = _repeated(Path(folder), sheet, large)
        _import(services, many, "large")
        time.sleep(10)
        beside = [_single(services, Path(folder), f"BESIDE{n}") for n in range(SINGLES)]
        _import(services, _repeated(Path(folder), sheet, 60, "SECOND"), "second")
        before = _settled(services)
        time.sleep(SHARE_S)
        after = _settled(services)
        for name in ("large", "second"):
            batches.control(services, batches.find(services, name), "cancel")
    usual, waited = sorted(alone)[SINGLES // 2], sorted(beside)
    return {
        **{
            "alone_s": round(usual, 1),
            "beside_s": round(waited[SINGLES // 2], 1),
            "beside_slowest_s": round(waited[-1], 1),
        },
        **{"delay_s": round(waited[SINGLES // 2] - usual, 1), "shared_s": SHARE_S},
        **{f"runs_of_the_{name}": after[name] - before[name] for name in ("large", "second")},
    }


def _single(services: Services, folder: Path, sku: str) -> float:
    """Seconds until a product that came by itself has its packshot in review."""
    held = {"front": f"held:{services.blobs.put((folder / 'photos' / '0-chair-front.jpg').read_bytes())}"}
    facts = {
        "sku": sku,
        "name": "Chair",
        "category": "decor",
        "images": held,
        "dimensions": {"width": 46, "height": 85, "depth": 49, "unit": "cm"},
    }
    began = time.perf_counter()
    intake.add_product(services, load_product(facts), by="bench")
    while not any(
        v.asset.deliverable == "packshot" and v.state == "in_review" for v in services.assets.of_product(sku)
    ):
        time.sleep(0.05)
    return time.perf_counter() - began


def _repeated(folder: Path, sheet: Path, rows: int, prefix: str = "LARGE") -> Path:
    """A sheet of so many rows with the facts and photos of another one's."""
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


def _settled(services: Services) -> dict[str, int]:
    """How many runs of each sheet are done."""
    counts = {"large": 0, "second": 0}
    before = ""
    while runs := services.runs.page(state="done", before=before, limit=500):
        for run in runs:
            counts["second" if run.sku.startswith("SECOND") else "large"] += run.sku.startswith(
                ("LARGE", "SECOND")
            )
        before = runs[-1].id
    return counts
