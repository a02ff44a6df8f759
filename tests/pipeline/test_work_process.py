"""Jobs of a make worker share a process until it is used up; a job that dies takes no other with it."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError
from rq.worker.base import BaseWorker

from dam_connector.wiring import Services
from tests.pipeline.test_fleet_limits import (
    enqueue,
    make_worker,
    without_check_process,  # noqa: F401 - a fixture
)
from worker.queue_workers import MakeWorker
from worker.work_process import WorkProcess


@pytest.fixture
def process() -> Iterator[WorkProcess]:
    def perform(job: dict[str, str]) -> None:
        if job["do"] == "die":
            os.kill(os.getpid(), 9)
        if job["do"] == "raise":
            raise ValueError
        Path(job["out"]).write_text(str(os.getpid()))

    started = WorkProcess(perform)
    yield started
    started.end()


def test_a_process_performs_one_job_after_the_other(process: WorkProcess, tmp_path: Path) -> None:
    for name in ("a", "b"):
        process.start({"do": "write", "out": str(tmp_path / name)})
        assert process.wait()
    assert {(tmp_path / name).read_text() for name in "ab"} == {str(process.pid)}
    assert process.peak_bytes > 1_000_000
    assert not process.is_used_up(3, 1 << 40, 60)
    assert process.is_used_up(2, 1 << 40, 60)
    assert process.is_used_up(3, 1_000_000, 60)
    assert process.is_used_up(3, 1 << 40, 0)


@pytest.mark.parametrize("end", ["die", "raise"])
def test_the_end_of_a_process_is_told_from_the_end_of_its_job(process: WorkProcess, end: str) -> None:
    process.start({"do": end})
    assert not process.wait()
    process.start({"do": "write"})  # a job for a process that has ended raises nothing
    assert not process.wait()


def test_an_answer_that_got_lost_is_found(process: WorkProcess, tmp_path: Path) -> None:
    process.start({"do": "write", "out": str(tmp_path / "a")})
    deadline = time.monotonic() + 30
    while not os.read(process._wakes, 1):  # as a timer's signal loses it just after it was read
        assert time.monotonic() < deadline
    assert process.wait()


def test_a_process_whose_worker_is_gone_ends(process: WorkProcess) -> None:
    os.close(process._requests)
    assert os.waitpid(process.pid, 0)[1] == 0
    process._requests = os.open(os.devnull, os.O_WRONLY)


def pids(tmp_path: Path) -> list[str]:
    return [line.split()[0] for line in (tmp_path / "pids").read_text().splitlines()]


@pytest.mark.usefixtures("without_check_process")
@pytest.mark.parametrize(("jobs_per_process", "processes"), [(50, 1), (2, 2), (1, 4)])
def test_jobs_share_a_process_until_it_is_used_up(
    services: Services,
    queue_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    jobs_per_process: int,
    processes: int,
) -> None:
    # The process begins with the memory of this one, which the tests before made large.
    monkeypatch.setattr("worker.queue_workers.MAX_CACHED_MB", 1_000_000)
    for _ in range(4):
        enqueue(queue_url, "tests.greedy_process.note_pid", str(tmp_path / "pids"))
    worker = make_worker(services, queue_url, jobs_per_process=jobs_per_process, job_memory_mb=0)
    assert isinstance(worker, MakeWorker)
    worker.work(burst=True, logging_level="CRITICAL")
    assert len(pids(tmp_path)) == 4 and len(set(pids(tmp_path))) == processes
    assert worker._process is None  # it ends with its worker


@pytest.mark.usefixtures("without_check_process")
def test_a_worker_outlasts_a_queue_server_that_is_away_during_a_job(
    services: Services, queue_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(original: Callable[..., object]) -> Callable[..., object]:
        def call(worker: BaseWorker, *arguments: object, **named: object) -> object:
            if worker.is_horse or "pipeline" in named:
                return original(worker, *arguments, **named)
            raise ConnectionError("no route to host")

        return call

    for method in (
        "maintain_heartbeats",
        "heartbeat",
        "check_for_suspension",
        "set_current_job_working_time",
    ):
        monkeypatch.setattr(BaseWorker, method, failing(getattr(BaseWorker, method)))
    enqueue(queue_url, "time.sleep", 2)
    enqueue(queue_url, "tests.greedy_process.note_pid", str(tmp_path / "pids"))
    make_worker(services, queue_url).work(burst=True, logging_level="CRITICAL")
    assert len(pids(tmp_path)) == 1
