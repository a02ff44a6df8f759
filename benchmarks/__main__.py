"""Command line of the benchmarks: `make bench`, or `python -m benchmarks NAME ...`, e.g. `idle_usage`.

A benchmark is called like its module. Its figures replace those under its name in benchmarks/results.json.
"""

import json
import platform
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psutil

from benchmarks import (
    bulk_fairness,
    bulk_throughput,
    catalog_throughput,
    first_picture,
    idle_usage,
    large_model_check,
    page_latency,
    records_scale,
    rendition_cost,
    report_time,
    rollback_latency,
    sheet_import,
    tasks_in_flight,
    time_to_first_page,
    webhook_throughput,
)

MODULES = (
    webhook_throughput,
    catalog_throughput,
    first_picture,
    idle_usage,
    large_model_check,
    time_to_first_page,
    rendition_cost,
    report_time,
    sheet_import,
    page_latency,
    bulk_throughput,
    bulk_fairness,
    tasks_in_flight,
    rollback_latency,
    records_scale,
)
BENCHMARKS: dict[str, Callable[[], dict[str, object]]] = {
    module.__name__.removeprefix("benchmarks."): module.measure for module in MODULES
}
RESULTS = Path(__file__).parent / "results.json"


def main(names: list[str]) -> None:
    """Run the named benchmarks, or all of them, and store each one's figures as soon as it ends."""
    if unknown := set(names) - set(BENCHMARKS):
        raise SystemExit(
            f"no benchmark is called {', '.join(sorted(unknown))}; there are: {', '.join(BENCHMARKS)}"
        )
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in names or BENCHMARKS:
        print(f"== {name}", flush=True)
        results[name] = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "cores": psutil.cpu_count(),
            "python": platform.python_version(),
            **BENCHMARKS[name](),
        }
        print(json.dumps(results[name], indent=2), flush=True)
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
