"""Workers end within a deadline, keep to their memory, and share the limits of outside systems."""

import os
import signal
import socket
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from rq import Queue
from rq.serializers import JSONSerializer

from dam_connector.adapters.http import HttpClient
from dam_connector.domain.run import MEMORY_TRIES, RunState, too_large_text
from dam_connector.errors import Busy, ConfigError
from dam_connector.fleet_pace import FleetPace, read_limits
from dam_connector.queue import connect
from dam_connector.settings import Settings
from dam_connector.usecases import intake, maintenance
from dam_connector.wiring import Services, build_services
from tests import greedy_process
from tests.pipeline.helpers import chair, send
from tests.support import PhotoServer, TestClock
from worker.queue_workers import MakeWorker
from worker.runner import advance


def planned_run(services: Services, photos: PhotoServer) -> str:
    delivery, _ = send(services, chair(photos))
    intake.handle_delivery(services, delivery)
    return services.runs.page()[0].id


def make_worker(services: Services, queue_url: str, worker_memory_mb: int = 0, **settings: int) -> MakeWorker:
    """Return a worker of this process, whose own size and servers are those of the tests before: no limit."""
    server = MakeWorker(
        ["make"],
        connection=connect(queue_url, for_worker=True),
        serializer=JSONSerializer,
        job_monitoring_interval=1,
    )
    server.prepare(
        "make", replace(services.settings, worker_memory_mb=worker_memory_mb, **settings), services.runs
    )
    return server


def enqueue(queue_url: str, function: str, *args: object) -> None:
    queue = Queue("make", connection=connect(queue_url), serializer=JSONSerializer)
    queue.enqueue_call(function, args=args, result_ttl=0, failure_ttl=1)


@pytest.fixture
def without_check_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.queue_workers.CHECK_PROCESS.warm", lambda: None)


def test_a_run_that_is_handed_over_is_due_at_once_and_its_late_worker_writes_nothing(
    services: Services, photos: PhotoServer, clock: TestClock
) -> None:
    run = services.runs.lease(planned_run(services, photos), "host:7", 20)
    assert services.runs.hand_over("host:8") == []
    assert services.runs.hand_over("host:7") == [run.id]
    handed = services.runs.get(run.id)
    assert (handed.state, handed.attempts, handed.due_at) == (RunState.PARKED, 0, clock.now())
    with pytest.raises(Exception, match="changed by somebody else"):
        services.runs.finish(run, RunState.DONE)
    assert maintenance.sweep(services, "me") >= 1
    assert services.runs.lease(run.id, "host:9", 20).attempts == 0


@pytest.mark.usefixtures("without_check_process")
def test_a_worker_that_is_stopped_ends_its_job_at_the_deadline_and_hands_its_run_over(
    services: Services, photos: PhotoServer, queue_url: str, eventually: Callable[..., None]
) -> None:
    run_id = planned_run(services, photos)
    connect(queue_url).flushall()
    enqueue(queue_url, "time.sleep", 600)
    pid = os.fork()
    if pid == 0:
        make_worker(services, queue_url, drain_s=1).work(logging_level="CRITICAL")
        os._exit(0)

    def horses() -> list[int]:
        found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout
        return [int(each) for each in found.split()]

    eventually(lambda: bool(horses()))
    assert services.runs.lease(run_id, f"{socket.gethostname()}:{horses()[0]}", 600)
    os.kill(pid, signal.SIGTERM)
    eventually(lambda: os.waitpid(pid, os.WNOHANG)[0] == pid)
    assert services.runs.get(run_id).state is RunState.PARKED


@pytest.mark.usefixtures("without_check_process")
def test_a_job_with_too_much_memory_is_ended_and_the_worker_goes_on(
    services: Services, queue_url: str
) -> None:
    enqueue(queue_url, "tests.greedy_process.hold", 700)
    enqueue(queue_url, "time.sleep", 0)
    own_mb = psutil.Process().memory_info().rss // 1_000_000  # the fork has most of it from the start
    make_worker(services, queue_url, job_memory_mb=own_mb + 100).work(burst=True, logging_level="CRITICAL")
    totals = services.counters.totals()
    assert [killed.total for killed in totals["jobs_killed"]] == [1]
    assert [sum(peak.buckets.values()) for peak in totals["job_peak_bytes"]] == [2]
    assert connect(queue_url).llen("rq:queue:make") == 0  # the next job was run


@pytest.mark.usefixtures("without_check_process")
def test_a_run_that_needs_too_much_memory_is_tried_once_more_and_then_fails_with_the_reason(
    services: Services, photos: PhotoServer, queue_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(greedy_process, "runs", services.runs)
    run_id = planned_run(services, photos)
    own_mb = psutil.Process().memory_info().rss // 1_000_000
    for _ in range(MEMORY_TRIES):
        connect(queue_url).flushall()
        enqueue(queue_url, "tests.greedy_process.lease_and_hold", run_id, 700)
        worker = make_worker(services, queue_url, job_memory_mb=own_mb + 100)
        worker.work(burst=True, logging_level="CRITICAL")
        parked = services.runs.get(run_id)
        assert parked.state is RunState.PARKED and "more memory" in parked.error
    advance(services, run_id)
    failed = services.runs.get(run_id)
    assert failed.state is RunState.FAILED
    assert "GB. Give fewer or smaller pictures" in failed.error


def test_a_try_that_was_too_large_counts_for_its_step_alone(services: Services, photos: PhotoServer) -> None:
    run_id = planned_run(services, photos)
    services.runs.lease(run_id, "host:7", 20)
    services.runs.hand_over("host:7", too_large_text(4_000_000_000))
    run = services.runs.lease(run_id, "host:8", 20)
    assert run.attempts == 1 and "over 4.0 GB" in run.error
    services.runs.checkpoint(run, step="a", next_step="b", work={}, timings={})
    after = services.runs.get(run_id)
    assert (after.attempts, after.error) == (0, "")


@pytest.mark.usefixtures("without_check_process")
def test_the_job_of_a_run_that_was_cancelled_is_ended(
    services: Services, photos: PhotoServer, queue_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(greedy_process, "runs", services.runs)
    run_id = planned_run(services, photos)
    connect(queue_url).flushall()
    enqueue(queue_url, "tests.greedy_process.lease_and_cancel", run_id)
    enqueue(queue_url, "time.sleep", 0)
    make_worker(services, queue_url).work(burst=True, logging_level="CRITICAL")
    assert services.runs.get(run_id).state is RunState.CANCELLED
    assert "jobs_killed" not in services.counters.totals()  # nothing went wrong
    assert connect(queue_url).llen("rq:queue:make") == 0


@pytest.mark.usefixtures("without_check_process")
def test_a_worker_that_has_grown_ends_after_its_job(services: Services, queue_url: str) -> None:
    for _ in range(3):
        enqueue(queue_url, "time.sleep", 0)
    make_worker(services, queue_url, worker_memory_mb=1).work(logging_level="CRITICAL")
    assert connect(queue_url).llen("rq:queue:make") == 2


def test_a_limit_holds_for_all_workers_together(queue_url: str, clock: TestClock) -> None:
    connect(queue_url).flushall()
    workers = [FleetPace(queue_url, clock, {"api.example.com": 600}) for _ in range(4)]  # one in 100 ms

    def ask(number: int) -> bool:
        try:
            workers[number % 4].wait("api.example.com:8443", "acme", "submit")
        except Busy as error:
            assert 0 < error.retry_after_s < 60
            return False
        return True

    with pytest.MonkeyPatch.context() as patch:
        waits: list[float] = []
        patch.setattr("dam_connector.fleet_pace.time.sleep", waits.append)
        with ThreadPoolExecutor(8) as pool:
            sent = sum(pool.map(ask, range(200)))
    # 2 s at once, and those that may wait 5 s
    assert sent == 71 and max(waits) == 5
    clock.forward(60)
    assert ask(0)
    workers[0].wait("other.example.com", "acme", "submit")


def test_a_host_that_answers_429_is_left_alone_by_all_workers(
    services: Services, photos: PhotoServer, clock: TestClock
) -> None:
    photos.files["a"], photos.statuses["a"] = b"{}", 429
    photos.headers["a"] = {"Retry-After": "30"}
    other = build_services(services.settings, clock=clock)

    def ask(http: HttpClient) -> int:
        return http.request("GET", photos.url("a"), vendor="v", operation="o", headers={}).status

    assert ask(services.http) == 429
    for each in (services, other):
        with pytest.raises(Busy) as refused:
            ask(each.http)
        assert 29 < refused.value.retry_after_s <= 30
    assert photos.asked["a"] == 1
    clock.forward(31)
    assert ask(other.http) == 429


def test_without_the_queue_server_there_is_no_limit(tmp_path: Path, clock: TestClock) -> None:
    pace = FleetPace(f"unix://{tmp_path}/nobody", clock, {"a": 1})
    for _ in range(3):
        pace.wait("a", "v", "o")
    pace.note("a", 429, 5)


@pytest.mark.parametrize("text", ["a", "a=", "=5", "a=x", "a=0", "a=-1", "a=nan", "a=inf", "a=1e9", "a=5,b"])
def test_a_limit_that_cannot_be_read_is_refused_at_the_start(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="DAM_CONNECTOR_RATE_LIMITS"):
        read_limits(text)
    with pytest.raises(ConfigError):
        build_services(Settings.from_env({"DAM_CONNECTOR_RATE_LIMITS": text}, data_dir=tmp_path))


def test_limits_are_read_by_host_in_any_case() -> None:
    assert read_limits(" A.example=5 ,b:8443=0.5,") == {"a.example": 5.0, "b:8443": 0.5}
