"""Redis or the database is away: processes wait, say so in one line, and go on."""

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from rq.serializers import JSONSerializer

from dam_connector import outages
from dam_connector.counters import SharedCounters
from dam_connector.errors import ConfigError, StorageUnavailable, Unavailable
from dam_connector.ops import queue_server
from dam_connector.outages import OutageLog
from dam_connector.queue import QUEUE_OUTAGE, RqQueue, connect
from dam_connector.settings import Settings
from dam_connector.store.database import Database
from dam_connector.wiring import Services
from tests.pipeline.test_fleet_limits import enqueue
from worker import __main__ as worker_main
from worker import jobs, queue_workers
from worker.queue_workers import IntakeWorker, wait_for_queue

NOBODY = "postgresql+psycopg://connector:pw@127.0.0.1:1/connector"  # nothing listens on this port


class Lines(list[str]):
    """A logger that keeps the events."""

    def warning(self, event: str, **fields: Any) -> None:
        self.append(event)

    info = error = warning


@pytest.fixture(autouse=True)
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    found = Lines()
    for module in (outages, worker_main, jobs):
        monkeypatch.setattr(module, "log", found)
    QUEUE_OUTAGE.is_away = False
    yield found
    QUEUE_OUTAGE.is_away = False


def sleep_then(monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> None:
    """Let workers do something instead of waiting for the queue server."""
    clock = SimpleNamespace(sleep=lambda seconds: action(), monotonic=time.monotonic)
    monkeypatch.setattr(queue_workers, "time", clock)


@pytest.fixture
def link(tmp_path: Path, queue_url: str) -> Path:
    """A link to the socket of the queue server, which can be cut."""
    connect(queue_url).flushall()
    link = tmp_path / "queue.sock"
    link.symlink_to(queue_url.removeprefix("unix://"))
    return link


def cut_off(link: str, queue_url: str) -> None:
    """Make the queue server unreachable for its clients. A worker runs this as a job."""
    Path(link).unlink()
    connect(queue_url).client_kill_filter(_type="normal", skipme=True)


def intake_worker(services: Services, link: Path) -> IntakeWorker:
    worker = IntakeWorker(
        ["make"], connection=connect(f"unix://{link}", for_worker=True), serializer=JSONSerializer
    )
    # the tests' own process, in which it works, may be larger than a worker may become
    settings = replace(services.settings, redis_url=f"unix://{link}", worker_memory_mb=0)
    worker.prepare("intake", settings, services.runs)
    return worker


def test_an_outage_is_one_line_then_one_a_minute_and_one_at_its_end(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(outages, "time", SimpleNamespace(monotonic=lambda: now[0]))
    outage = OutageLog("database")
    assert not outage.back() and lines == []
    for second in range(62):
        now[0] = 100.0 + second
        outage.away("refused")
    assert lines == ["database_away", "database_away"]
    assert outage.back() and not outage.back()
    assert lines[2:] == ["database_back"]


def test_a_worker_goes_on_when_the_queue_server_was_away_after_a_job(
    services: Services,
    queue_url: str,
    link: Path,
    lines: Lines,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    target = link.readlink()

    def start() -> None:
        if not link.exists():
            link.symlink_to(target)

    sleep_then(monkeypatch, start)
    enqueue(queue_url, "tests.pipeline.test_outages.cut_off", str(link), queue_url)
    enqueue(queue_url, "tests.greedy_process.note_pid", str(tmp_path / "pids"))
    intake_worker(services, link).work(burst=True, logging_level="CRITICAL")
    assert (tmp_path / "pids").exists()
    assert lines == ["queue_away", "queue_back"]


def test_a_worker_is_counted_again_by_a_queue_server_that_lost_its_data(
    services: Services, queue_url: str, link: Path
) -> None:
    worker = intake_worker(services, link)
    worker.register_birth()
    queue = RqQueue(queue_url)
    assert queue.workers("advance_run") == 1
    target = link.readlink()
    link.unlink()
    connect(queue_url).flushall()
    connect(queue_url).client_kill_filter(_type="normal", skipme=True)
    worker.heartbeat()
    assert QUEUE_OUTAGE.is_away
    link.symlink_to(target)
    worker.heartbeat()
    assert queue.workers("advance_run") == 1
    worker.register_death()


def test_a_worker_waits_for_the_queue_server_at_its_start(
    services: Services, queue_url: str, link: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = link.readlink()
    link.unlink()
    waits: list[int] = []

    def start_at_the_third() -> None:
        waits.append(1)
        if len(waits) == 3:
            link.symlink_to(target)

    sleep_then(monkeypatch, start_at_the_third)
    wait_for_queue(f"unix://{link}")
    assert lines == ["queue_away", "queue_back"]
    link.unlink()
    waits.clear()
    intake_worker(services, link).work(burst=True, logging_level="CRITICAL")
    assert lines[2:] == ["queue_away", "queue_back"]


@pytest.fixture
def guarded_queue(tmp_path: Path) -> Iterator[str]:
    """The socket of a queue server with a password."""
    settings = Settings.from_env({}, data_dir=tmp_path / "guarded")
    command = [*queue_server.server_command(settings), "--requirepass", "right"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while not settings.queue_socket.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    yield str(settings.queue_socket)
    process.terminate()
    process.wait(10)


@pytest.mark.parametrize(
    ("user", "query", "reason"),
    [
        (":wrong@", "", "it refuses the password"),
        ("", "", "it refuses the password"),
        (":right@", "?db=9999", "it has no database of that number"),
    ],
)
def test_a_queue_server_that_will_never_let_it_in_ends_a_worker(
    guarded_queue: str, user: str, query: str, reason: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        wait_for_queue(f"unix://{user}{guarded_queue}{query}")
    (line,) = refused.value.problems
    assert line == f"REDIS_URL: unix://{guarded_queue}: {reason}; correct REDIS_URL"
    wait_for_queue(f"unix://:right@{guarded_queue}?db=1")


def test_a_process_that_only_counts_says_that_the_queue_server_is_away(
    queue_url: str, link: Path, lines: Lines
) -> None:
    target = link.readlink()
    counters = SharedCounters(f"unix://{link}")
    link.unlink()
    for _ in range(3):
        counters.report_process("sweep")
        assert not RqQueue(f"unix://{link}").wake("advance_run", ["run_1"])
    assert lines == ["queue_away"]
    link.symlink_to(target)
    counters.report_process("sweep")
    assert lines == ["queue_away", "queue_back"]


def test_a_database_that_is_away_is_one_line_whoever_asks(lines: Lines) -> None:
    database = Database(NOBODY)
    for _ in range(3):
        with pytest.raises(Unavailable):
            database.ping()
        with pytest.raises(StorageUnavailable), database.write():
            pass
    assert lines == ["database_away"]


def test_a_database_that_answers_again_is_one_line(services: Services, lines: Lines) -> None:
    services.db._errors.outage.away("refused")
    services.db.ping()
    services.db.ping()
    assert lines == ["database_away", "database_back"]


def test_a_lock_that_is_waited_for_too_long_is_no_outage(
    services: Services, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Database(f"{services.db.url}?timeout=0")
    with services.db.write(), pytest.raises(StorageUnavailable, match="locked"), other.write():
        pass
    other.close()
    assert lines == []


def test_loops_and_jobs_log_no_traceback_of_an_outage(
    services: Services, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Database(NOBODY)
    monkeypatch.setattr(jobs, "services", lambda: services)
    for name in ("runs", "inbox"):
        monkeypatch.setattr(getattr(services, name), "_db", broken)
    jobs.advance_run("run_1")
    jobs.handle_deliveries("dlv_1")
    with pytest.raises(StorageUnavailable) as caught:
        broken.ping()
    worker_main.log_failure("sweep_failed", caught.value)
    assert lines == ["database_away"]
    worker_main.log_failure("sweep_failed", StorageUnavailable("storage", "get", "timeout"))
    worker_main.log_failure("sweep_failed", ValueError("ours"))
    assert lines[1:] == ["sweep_failed", "sweep_failed"]


def test_a_missing_migration_is_one_line_a_minute(
    services: Services, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 4:
            monkeypatch.setattr(services.db, "missing_migration", lambda: "")

    monkeypatch.setattr(services.db, "missing_migration", lambda: "0099")
    monkeypatch.setattr(worker_main, "time", SimpleNamespace(sleep=sleep, monotonic=lambda: 5.0 + sum(waits)))
    worker_main.wait_for_schema(services)
    assert len(waits) == 4 and lines == ["migration_missing"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DAM_CONNECTOR_DRAIN_S", "abc"),
        ("DATABASE_URL", "foo"),
        ("DATABASE_URL", "mysql://x/y"),
        ("REDIS_URL", "127.0.0.1:6379"),
        ("REDIS_URL", "redis://127.0.0.1:port/0"),
        ("DAM_CONNECTOR_RATE_LIMITS", "foo"),
        ("DAM_CONNECTOR_LOG_FORMAT", "xml"),
    ],
)
@pytest.mark.parametrize("command", [["sweep"], ["run", "--queue", "intake"]])
def test_a_worker_refuses_a_wrong_setting_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, command: list[str]
) -> None:
    monkeypatch.setenv("DAM_CONNECTOR_DATA_DIR", str(tmp_path))
    monkeypatch.setenv(name, value)
    ran = CliRunner().invoke(worker_main.main, command)
    assert ran.exit_code == 1
    assert ran.output.startswith(f"error: {name}") and len(ran.output.splitlines()) == 1


def test_a_sweeper_that_is_stopped_while_the_database_is_away_ends_quietly(
    services: Services, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("locks", "runs"):
        monkeypatch.setattr(getattr(services, name), "_db", Database(NOBODY))
    stop = threading.Event()
    stop.set()
    worker_main._poll(services, "me", stop)
    assert lines == ["database_away"]
