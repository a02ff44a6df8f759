"""What workers bring: a sheet made by one worker and by two, and what each product costs the shared servers.

The real service on PostgreSQL and a queue server, all on this machine. The cost of a job apart from its work
is measured with jobs whose run does not exist.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any

from redis import Redis

from benchmarks.bulk_throughput import cpu_s, import_sheet, running
from benchmarks.own_postgres import OwnPostgres, own_postgres
from dam_connector.domain.run import COMPUTE_KINDS
from dam_connector.ops import queue_server
from dam_connector.queue import RqQueue
from dam_connector.settings import Settings
from dam_connector.store.database import Database
from dam_connector.wiring import Services

EMPTY_JOBS = (40, 240)  # two numbers, so that the worker's start does not count
IDLE_S = 10.0  # so long the idle service is watched first, to take its work off
RUNS_A_PRODUCT = 3  # packshot, lifestyle, model


def measure(rows: int = 24, workers: tuple[int, ...] = (1, 2)) -> dict[str, Any]:
    """Return products an hour by number of workers, their efficiency, and what the shared servers did.

    Args:
        rows: Of the sheet.
        workers: How many workers to measure with, the fewest first.
    """
    with own_postgres() as postgres:
        by_workers = {str(count): _with_workers(postgres, rows, count) for count in workers}
        job = _empty_job(postgres)
    first = by_workers[str(workers[0])]["products_an_hour"] / workers[0]
    for count, figures in by_workers.items():
        figures["efficiency"] = round(figures["products_an_hour"] / int(count) / first, 2)
    return {"workers": by_workers, "empty_job": job}


def _with_workers(postgres: OwnPostgres, rows: int, workers: int) -> dict[str, Any]:
    name = f"workers_{workers}"
    with (
        tempfile.TemporaryDirectory() as folder,
        _environ(DATABASE_URL=postgres.create(name)),
        running(Path(folder), rows, workers=workers) as (services, sheet),
        Redis.from_url(services.settings.effective_redis_url) as redis,
    ):

        def work() -> dict[str, float]:
            of_queue = {f"queue_{key}": value for key, value in _queue_work(redis).items()}
            return {**postgres.work_of(name), **of_queue, "at": time.perf_counter()}

        idle_from = work()
        time.sleep(IDLE_S)
        before, cpu = work(), cpu_s()
        progress, seconds = import_sheet(services, sheet)
        used = cpu_s() - cpu
        done = _above_idle(idle_from, before, work())
        row_ms, files = _row_ms(services), _bytes_in(services.settings.data_dir / "files")
    runs = progress.total * RUNS_A_PRODUCT
    return {
        "products": progress.in_review,
        "failed": progress.failed,
        "seconds": round(seconds, 1),
        "products_an_hour": round(progress.in_review / seconds * 3600),
        "cpu_s_a_product": round(used / rows, 2),
        "database_cpu_ms_a_run": round(done["cpu_s"] / runs * 1000, 1),
        "transactions_a_run": round(done["commits"] / runs, 1),
        "wal_kb_a_run": round(done["wal_bytes"] / runs / 1000, 1),
        "queue_cpu_ms_a_run": round(done["queue_cpu_s"] / runs * 1000, 2),
        "queue_commands_a_run": round(done["queue_commands"] / runs, 1),
        "row_ms": row_ms,
        "files_mb_a_product": round(files / rows / 1e6, 1),
    }


def _above_idle(
    idle_from: dict[str, float], before: dict[str, float], after: dict[str, float]
) -> dict[str, float]:
    """Return what was done between `before` and `after`, less what the idle service did in as much time.

    The write-ahead log comes in bursts, e.g. after a checkpoint: none of it is taken off.
    """
    share = (after["at"] - before["at"]) / (before["at"] - idle_from["at"])
    idle = {key: 0.0 if key == "wal_bytes" else (before[key] - idle_from[key]) * share for key in after}
    return {key: after[key] - before[key] - idle[key] for key in after}


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _queue_work(redis: Redis) -> dict[str, float]:
    info: Any = redis.info()
    return {
        "cpu_s": info["used_cpu_sys"] + info["used_cpu_user"],
        "commands": info["total_commands_processed"],
    }


def _row_ms(services: Services) -> float:
    """Return how long an iteration of a batch takes for one row: the time between the runs of two rows."""
    runs = [run for run in services.runs.page(limit=500) if run.kind in COMPUTE_KINDS]
    runs.sort(key=lambda run: run.created_at)
    starts = [next(group).created_at for _, group in groupby(runs, key=lambda run: run.sku)]
    gaps = [(b - a).total_seconds() for a, b in zip(starts[::2], starts[1::2], strict=False)]
    return round(median(gaps) * 1000, 1)


def _empty_job(postgres: OwnPostgres) -> dict[str, float]:
    """Return milliseconds of the clock and of the CPU that a job without work costs.

    Its process opens a connection to the database and looks for its run: nearly all of the database's time is
    that of the new connection.
    """
    database_url = postgres.create("empty")
    Database(database_url).migrate()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.from_env({"DATABASE_URL": database_url}, data_dir=Path(folder))
        server = subprocess.Popen(queue_server.server_command(settings), stdout=subprocess.DEVNULL)
        try:
            queue_server.wait_until_answering(settings)
            few, many = (_burst(settings, postgres, count) for count in EMPTY_JOBS)
        finally:
            server.terminate()
            server.wait(10)
    jobs = EMPTY_JOBS[1] - EMPTY_JOBS[0]
    return {key: round((many[key] - few[key]) / jobs * 1000, 2) for key in many}


def _burst(settings: Settings, postgres: OwnPostgres, jobs: int) -> dict[str, float]:
    """Let a worker take so many jobs whose run does not exist, and stop."""
    RqQueue(settings.effective_redis_url).wake("advance_run", [f"run_{number}" for number in range(jobs)])
    env = {
        **os.environ,
        "DATABASE_URL": settings.database_url,
        "DAM_CONNECTOR_DATA_DIR": str(settings.data_dir),
        "DAM_CONNECTOR_PLUGIN_JSON": str(Path(__file__).parent.parent / "plugin.json"),
    }
    with Redis.from_url(settings.effective_redis_url) as redis:
        database_s, queue = postgres.work_of("empty")["cpu_s"], _queue_work(redis)
        started, before = time.perf_counter(), os.times()
        subprocess.run(
            [sys.executable, "-m", "worker", "run", "--queue", "make", "--burst"],
            env=env,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        after, ended = os.times(), time.perf_counter()
        done = {key: value - queue[key] for key, value in _queue_work(redis).items()}
        database_s = postgres.work_of("empty")["cpu_s"] - database_s
        left = RqQueue(settings.effective_redis_url).length("advance_run")
    assert left == 0, f"{left} jobs are left"
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return {
        "ms": ended - started,
        "cpu_ms": used,
        "database_cpu_ms": database_s,
        "queue_cpu_ms": done["cpu_s"],
        "queue_commands": done["commands"] / 1000,
    }


@contextmanager
def _environ(**variables: str) -> Iterator[None]:
    """Set variables of the environment until the block ends."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
