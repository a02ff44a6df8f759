"""`make bench-scale`: what workers and records cost here, and a simulated fleet from these figures.

Figures go to benchmarks/scale.json, plots to docs/images/. docs/scaling.md explains both. With `--simulate`
only the fleet is simulated anew, from the figures that are there.
"""

import json
import platform
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import psutil

from benchmarks import records_scale, scale_workers
from benchmarks.fleet_simulation import Costs, Fleet, bounds, simulate
from benchmarks.svg_plot import line_plot

FIGURES = Path(__file__).parent / "scale.json"
IMAGES = Path(__file__).parent.parent / "docs" / "images"
WORKERS = (1, 2, 8, 64, 512)
# What may be changed about the shared parts, one after the other; and whether connections are pooled outside
# the workers, which saves the database the begin of one a job.
FLEETS = {
    "one batch at a time": (Fleet(workers=0), False),
    "eight batches at once": (Fleet(workers=0, batches=8), False),
    "and a pooler": (Fleet(workers=0, batches=8), True),
    "and 16 database cores": (Fleet(workers=0, batches=8, database_cores=16), True),
}


def costs_of(figures: dict[str, Any]) -> Costs:
    """Return the costs that were measured, of the run with the most workers.

    Args:
        figures: The content of scale.json.
    """
    measured = list(figures["workers"].values())[-1]
    return Costs(
        product_cpu_s=measured["cpu_s_a_product"],
        database_cpu_s=measured["database_cpu_ms_a_run"] / 1000,
        queue_s=max(figures["empty_job"]["queue_cpu_ms"], measured["queue_cpu_ms_a_run"]) / 1000,
        row_s=measured["row_ms"] / 1000,
    )


def pooled(costs: Costs, figures: dict[str, Any]) -> Costs:
    """Return the costs with connections that stay open between jobs: less what an empty job costs."""
    saved = figures["empty_job"]["database_cpu_ms"] / 1000
    return replace(costs, database_cpu_s=max(costs.database_cpu_s - saved, costs.database_cpu_s / 10))


def fleets(figures: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what each fleet makes, by its name and number of workers."""
    plain = costs_of(figures)
    return {
        name: {
            str(n): _fleet(replace(fleet, workers=n), pooled(plain, figures) if is_pooled else plain)
            for n in WORKERS
        }
        for name, (fleet, is_pooled) in FLEETS.items()
    }


def _fleet(fleet: Fleet, costs: Costs) -> dict[str, Any]:
    outcome = simulate(fleet, costs)
    alone = bounds(replace(fleet, workers=1), costs)["workers"]
    return {
        "products_an_hour": round(outcome.products_an_hour),
        "efficiency": round(outcome.products_an_hour / fleet.workers / alone, 2),
        "ceiling": outcome.ceiling,
        "busy": outcome.busy,
        "connections": outcome.connections,
    }


def plots(figures: dict[str, Any]) -> dict[str, str]:
    """Return the plots by file name."""
    linear = [(n, bounds(Fleet(workers=n), costs_of(figures))["workers"]) for n in WORKERS]
    simulated = {
        name: [(int(n), each["products_an_hour"]) for n, each in by_workers.items()]
        for name, by_workers in figures["fleets"].items()
    }
    records = {
        group: [(int(size), each[group]) for size, each in figures["records"]["ms"].items()]
        for group in next(iter(figures["records"]["ms"].values()))
    }
    return {
        "scaling-fleet.svg": line_plot(
            "Products an hour (simulated)",
            "make workers",
            "products an hour",
            {"linear": linear, **simulated},
        ),
        "scaling-records.svg": line_plot(
            "Cost by records already there (measured)", "assets", "milliseconds", records
        ),
    }


def _numbers(_: click.Context, __: click.Parameter, text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(int(each) for each in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < 1:
        raise click.BadParameter("give whole numbers above 0 with commas between them, e.g. 1,2")
    return tuple(sorted(numbers))


@click.command(help=__doc__)
@click.option(
    "--rows", default=24, show_default=True, help="Products that are made for each number of workers."
)
@click.option("--workers", default="1,2", show_default=True, callback=_numbers)
@click.option(
    "--sizes", default="1000,10000,100000", show_default=True, callback=_numbers, help="Assets already there."
)
@click.option("--deliveries", default=0, help="Deliveries already there at the last size, e.g. 1000000.")
@click.option("--rounds", default=records_scale.ROUNDS, show_default=True, help="Of pages and loops.")
@click.option("--simulate", "only_simulate", is_flag=True, help="Measure nothing; simulate from scale.json.")
def main(
    rows: int,
    workers: tuple[int, ...],
    sizes: tuple[int, ...],
    deliveries: int,
    rounds: int,
    only_simulate: bool,
) -> None:
    if only_simulate:
        figures = json.loads(FIGURES.read_text())
    else:
        figures = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "cores": psutil.cpu_count(),
            "python": platform.python_version(),
            "load_before": round(psutil.getloadavg()[0], 1),
            **scale_workers.measure(rows, workers),
            "records": records_scale.measure(sizes, deliveries, rounds),
        }
    figures["fleets"] = fleets(figures)
    FIGURES.write_text(json.dumps(figures, indent=2) + "\n")
    for name, svg in plots(figures).items():
        (IMAGES / name).write_text(svg)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
