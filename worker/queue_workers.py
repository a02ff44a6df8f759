"""The workers that serve the queues: RQ's, with fairness, limits of memory, and an end within a deadline."""

import os
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import Any

import psutil
import structlog
from rq import Queue, SimpleWorker, Worker
from rq.job import Job

from dam_connector import tracing
from dam_connector.counters import SharedCounters, resident_bytes
from dam_connector.errors import StorageUnavailable
from dam_connector.queue import FAIRNESS_INTERVAL
from dam_connector.settings import Settings
from dam_connector.store.runs import Runs
from worker.check_process import CHECK_PROCESS, CheckerExited

log = structlog.get_logger()
WORKER_TTL_S = 60  # an idle worker looks up so often; a dead one is counted for a minute longer
MONITOR_S = 3  # between two looks at the memory of a job
REPORT_S = 20.0  # between two reports of a worker's memory
RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss


class _FairWorker:
    """A mixin for RQ's workers.

    It asks a queue server that was away every other second, not every minute. It looks into its queues in
    turn, so that bulk work neither delays a single product nor waits for ever itself. Asked to stop, it takes
    no further job, and hands over the run that it is at when the deadline is over.
    """

    max_connection_wait_time = 2.0
    queues: list[Queue]
    counters: SharedCounters
    kind = ""  # as in `QUEUES_BY_WORKER`
    _settings: Settings
    _runs: Runs
    _stop_requested: bool
    _ordered_queues: list[Queue]
    _job_count = 0
    _reported_at = -REPORT_S

    def prepare(self, kind: str, settings: Settings, runs: Runs) -> None:
        """Give the worker what RQ does not know of."""
        self.kind, self._settings, self._runs = kind, settings, runs
        self.counters = SharedCounters(settings.effective_redis_url)

    def heartbeat(self, *args: Any, **kwargs: Any) -> None:
        """Say that this worker lives, and now and then how much memory it has. RQ calls this at intervals."""
        super().heartbeat(*args, **kwargs)  # type: ignore[misc]
        if time.monotonic() - self._reported_at >= REPORT_S:
            self._reported_at = time.monotonic()
            self.counters.report_process(self.kind)

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Execute a job; end this worker afterwards if it has too much memory."""
        super().execute_job(job, queue)  # type: ignore[misc]
        limit = self._settings.worker_memory_mb * 1_000_000
        if limit and (used := resident_bytes()) > limit:
            log.warning("worker_recycled", kind=self.kind, bytes=used, limit=limit)
            self._stop_requested = True

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Take no further job, and let the one under way end until the deadline."""
        timer = threading.Timer(self._settings.drain_s, self._end_now)
        timer.daemon = True
        timer.start()
        log.info("worker_stopping", kind=self.kind, deadline_s=self._settings.drain_s)
        super().request_stop(signum, frame)  # type: ignore[misc]

    def _end_now(self) -> None:
        """End the job under way. Another worker goes on with its run at once."""
        raise NotImplementedError

    def _hand_over(self, pid: int) -> None:
        """Give back the runs of a process that has just ended, or is about to."""
        with suppress(StorageUnavailable):  # then their leases run out
            log.warning("job_cut_off", runs=self._runs.hand_over(f"{socket.gethostname()}:{pid}"))

    def reorder_queues(self, reference_queue: Queue) -> None:
        """Set the order of the queues for the next job. RQ calls this after each job."""
        self._job_count += 1
        is_reversed = self._job_count % FAIRNESS_INTERVAL == 0
        self._ordered_queues = self.queues[::-1] if is_reversed else self.queues[:]


class MakeWorker(_FairWorker, Worker):
    """A worker that forks a process for each job: a job that crashes or eats memory harms no other.

    The check process is started before the fork, so that each job finds it running.
    """

    def perform_job(self, job: Job, queue: Queue) -> bool:
        """Perform a job, in its own process; send its traces before that ends."""
        done = super().perform_job(job, queue)
        tracing.flush()
        return bool(done)

    def wait_for_horse(self) -> tuple[int | None, int | None, Any]:
        """Wait until the job's process has ended; count it if it died, and the most memory that it had."""
        pid, status, usage = super().wait_for_horse()
        if pid and usage:
            queue = self.queues[0].name
            self.counters.observe("job_peak_bytes", usage.ru_maxrss * RSS_UNIT, queue=queue)
            if status and os.WIFSIGNALED(status):
                self.counters.add("jobs_killed", queue=queue)
                log.error("job_killed", signal=os.WTERMSIG(status))
            self.counters.send()
        return pid, status, usage

    def maintain_heartbeats(self, job: Job) -> None:
        """Say that the job lives; end it if it has too much memory. RQ calls this every MONITOR_S."""
        limit = self._settings.job_memory_mb * 1_000_000
        if limit and (used := _bytes_of_tree(self.horse_pid)) > limit:
            log.error("job_too_large", job=job.args[0] if job.args else "", bytes=used, limit=limit)
            self.kill_horse()
        super().maintain_heartbeats(job)

    def fork_work_horse(self, *args: Any, **kwargs: Any) -> None:
        """Start the check process, then fork."""
        with suppress(CheckerExited):  # the job tries again, and reports the reason
            CHECK_PROCESS.warm()
        super().fork_work_horse(*args, **kwargs)

    def _end_now(self) -> None:
        if pid := self.horse_pid:
            self.kill_horse(signal.SIGKILL)
            self._hand_over(pid)


class IntakeWorker(_FairWorker, SimpleWorker):
    """A worker that runs many small jobs in its own process."""

    def _end_now(self) -> None:
        self._hand_over(os.getpid())  # deliveries that are cut off are found by the sweeper
        os._exit(0)


def _bytes_of_tree(pid: int) -> int:
    """Return the resident memory of a process and its children; 0 if it has ended."""
    try:
        process = psutil.Process(pid)
        return sum(each.memory_info().rss for each in (process, *process.children(recursive=True)))
    except psutil.Error:
        return 0
