"""Time and memory to judge and store a sheet of 100,000 rows: `python -m benchmarks sheet_import`."""

import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from dam_connector.settings import Settings, ensure_secrets
from dam_connector.usecases import batch_rows
from dam_connector.wiring import build_services
from schemas.uploads import read_uploaded_sheet

ROWS = 100_000


def measure() -> dict[str, Any]:
    """Return the figures of a process that does nothing else, so that its memory can be measured."""
    finished = subprocess.run(
        [sys.executable, "-m", "benchmarks.sheet_import"], check=True, capture_output=True, text=True
    )
    figures: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return figures


def measure_here() -> dict[str, Any]:
    """Return seconds and megabytes from a file to stored rows, and the time to count the progress."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.csv"
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("sku", "title", "image_url", "category"))
            writer.writerows(
                (f"S{n}", f"Chair {n}", f"https://x.example/{n}.jpg", "seating") for n in range(ROWS)
            )
        services = build_services(ensure_secrets(Settings.from_env({}, data_dir=Path(folder) / "data")))
        services.db.migrate()
        started = time.perf_counter()
        sheet = read_uploaded_sheet(path.read_bytes())
        batch = services.batches.store(
            "large",
            "bench",
            sheet.header,
            batch_rows.check_rows(services, sheet, batch_rows.map_columns(sheet, {}), {}),
        )
        seconds = time.perf_counter() - started
        started = time.perf_counter()
        waiting = services.batches.progress(batch.id).waiting
        return {
            "rows": waiting,
            "seconds": round(seconds, 1),
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "progress_s": round(time.perf_counter() - started, 3),
        }


if __name__ == "__main__":
    print(json.dumps(measure_here()))
