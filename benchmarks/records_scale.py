"""Cost of pages, of a run, of a sweep and of a scrape with 1,000, 10,000 and 100,000 assets already there.

A real PostgreSQL on a socket. The open work is the same at each size (that of 1,000 assets), since what is
asked is whether old records cost anything. All sizes are measured in turns, so that the load of the machine
is the same for each.
"""

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count
from pathlib import Path

from benchmarks.own_postgres import own_postgres
from dam_connector.app import create_app
from dam_connector.domain.run import RunKind, RunState
from dam_connector.settings import Settings, ensure_secrets
from dam_connector.store.database import Database
from dam_connector.store.run_records import NewRun
from dam_connector.store.users import UserRole
from dam_connector.usecases import maintenance
from dam_connector.usecases.broker import Broker
from dam_connector.wiring import Services, build_services
from tests.stress.many_records import fill

SIZES = (1_000, 10_000, 100_000)
ROUNDS = 30
STEPS = 8  # checkpoints of a run of pictures
PAGES = (
    "/review",
    "/gallery",
    "/gallery?category=cat7",
    "/gallery?text=chair",
    "/gallery?state=published",
    "/products",
    "/products?category=cat7",
    "/versions/ver_00000020",
    "/runs",
    "/runs?state=failed",
    "/deliveries",
    "/audit",
    "/spend",
    "/batches",
    "/batches/bat_2",
    "/api/v1/products",
    "/api/v1/versions",
    "/api/v1/deliveries",
    "/api/v1/batches",
    "/api/v1/spend",
)


def measure(sizes: tuple[int, ...] = SIZES, deliveries: int = 0, rounds: int = ROUNDS) -> dict[str, object]:
    """Return milliseconds by number of assets, and how much the most are slower than the fewest.

    Args:
        sizes: Numbers of assets, the fewest first.
        deliveries: How many deliveries there are at the last size, 0 for as many as assets.
        rounds: How often each is measured.
    """
    with ExitStack() as stack:
        postgres = stack.enter_context(own_postgres())
        timed = {}
        for size in sizes:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            url = postgres.create(f"s{size}")
            services = _filled(url, folder, size, deliveries if size == sizes[-1] else 0)
            stack.callback(services.db.close)
            timed[size] = _actions(services, stack)
        figures = _in_turns(timed, rounds)
        database_mb = {str(size): postgres.size_mb(f"s{size}") for size in sizes}
    first, last = figures[sizes[0]], figures[sizes[-1]]
    growth = {name: round(last[name] / first[name], 2) for name in first}
    groups = ("pages", "run", "sweep", "broker", "scrape")
    by_group = {
        str(size): {group: round(sum(_members(each, group).values()), 2) for group in groups}
        for size, each in figures.items()
    }
    return {
        "deliveries": deliveries or sizes[-1],
        "database_mb": database_mb,
        "ms": by_group,
        "growth": {g: round(by_group[str(sizes[-1])][g] / by_group[str(sizes[0])][g], 2) for g in groups},
        "page_ms": {str(size): _members(each, "pages") for size, each in figures.items()},
        "page_growth": _members(growth, "pages"),
    }


def _members(figures: dict[str, float], group: str) -> dict[str, float]:
    """Return the figures of the pages, or that of a loop."""
    return {name: value for name, value in figures.items() if ("pages" if name[0] == "/" else name) == group}


def _filled(url: str, folder: Path, size: int, deliveries: int) -> Services:
    database = Database(url)
    database.migrate()
    fill(database, size, open_within=SIZES[0], deliveries=deliveries)
    database.close()
    settings = Settings.from_env({"DATABASE_URL": url}, data_dir=folder)
    return build_services(ensure_secrets(settings))


def _actions(services: Services, stack: ExitStack) -> dict[str, Callable[[], object]]:
    """Return what is timed, by name."""
    numbers = count()
    token = services.users.add_token(services.users.add("bench", UserRole.ADMIN), "bench")
    client = create_app(services).test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    broker = Broker(services, "me")
    stack.callback(broker.close)

    def page(path: str) -> Callable[[], object]:
        def get() -> None:
            assert client.get(path).status_code == 200, path

        return get

    loops: dict[str, Callable[[], object]] = {
        "run": lambda: _run(services, next(numbers)),
        "sweep": lambda: maintenance.sweep(services, "me"),
        "broker": broker.tick,
        "scrape": services.fleet.read,
    }
    return {**{path: page(path) for path in PAGES}, **loops}


def _in_turns(timed: dict[int, dict[str, Callable[[], object]]], rounds: int) -> dict[int, dict[str, float]]:
    """Return the least milliseconds of each action: the rest is the time of other processes.

    The first round fills caches and does not count.
    """
    times: dict[int, dict[str, list[float]]] = {size: {} for size in timed}
    for round_number in range(rounds + 1):
        for name in next(iter(timed.values())):
            for size in sorted(timed, reverse=round_number % 2 == 0):  # the first one has cold caches
                started = time.perf_counter()
                timed[size][name]()
                if round_number:
                    times[size].setdefault(name, []).append(time.perf_counter() - started)
    return {
        size: {name: round(min(each) * 1000, 2) for name, each in by_name.items()}
        for size, by_name in times.items()
    }


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
