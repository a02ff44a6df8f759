"""`make bench`, or `python -m benchmarks NAME ...`: runs them and writes benchmarks/results.json."""

import json
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

import psutil

from benchmarks import (
    batches,
    bulk,
    catalog,
    checks,
    first_page,
    gallery,
    idle,
    in_flight,
    renditions,
    rollback,
    webhooks,
)

ALL = {
    "webhooks": webhooks.measure,
    "catalog": catalog.measure,
    "idle": idle.measure,
    "first_page": first_page.measure,
    "renditions": renditions.measure,
    "checks": checks.measure,
    "batches": batches.measure,
    "gallery": gallery.measure,
    "bulk": bulk.measure,
    "fairness": bulk.fairness,
    "in_flight": in_flight.measure,
    "rollback": rollback.measure,
}
OUT = Path(__file__).parent / "results.json"


def main(names: list[str]) -> None:
    results = json.loads(OUT.read_text()) if OUT.exists() else {}
    for name in names or ALL:
        print(f"== {name}", flush=True)
        results[name] = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "cores": psutil.cpu_count(),
            "python": platform.python_version(),
            **ALL[name](),
        }
        print(json.dumps(results[name], indent=2), flush=True)
        OUT.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
