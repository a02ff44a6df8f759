"""The workers that serve the queues: RQ's, with fairness, limits of memory, and an end within a deadline."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import psutil
import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, SimpleWorker, Worker
from rq.exceptions import DequeueTimeout
from rq.executions import Execution
from rq.job import Job
from rq.worker_registration import register

from dam_connector import tracing
from dam_connector.counters import SharedCounters, resident_bytes
from dam_connector.domain.run import too_large_text
from dam_connector.errors import ConfigError, StorageUnavailable
from dam_connector.queue import (
    FAIRNESS_INTERVAL,
    QUEUE_OUTAGE,
    connect,
    note_queue_away,
    refusal,
)
from dam_connector.server_addresses import without_password
from dam_connector.settings import Settings
from dam_connector.store.runs import Runs
from worker.check_process import CHECK_PROCESS, CheckerExited
from worker.work_process import RSS_UNIT, WorkProcess, as_usage

log = structlog.get_logger()
WORKER_TTL_S = 30  # an idle worker says twice in this time that it lives; see queue.LIVE_TTL_S
QUEUE_WAIT_S = 2.0  # between two questions to a queue server that is away
MONITOR_S = 3  # between two looks at the memory of a job
REPORT_S = 20.0  # between two reports of a worker's memory
IDLE_S = 30.0  # a process that waited so long for a job is ended, for its memory
MAX_CACHED_MB = 1500  # so is one that has more than this after a job


def wait_for_queue(url: str) -> None:
    """Wait until the queue server answers.

    Raises:
        ConfigError: It answers, and will never let this worker in.
    """
    connection = connect(url)
    while True:
        try:
            connection.ping()
        except RedisError as error:
            if reason := refusal(error):
                raise ConfigError(
                    f"REDIS_URL: {without_password(url)}: {reason}; correct REDIS_URL"
                ) from error
            note_queue_away(error)
            time.sleep(QUEUE_WAIT_S)
        else:
            QUEUE_OUTAGE.back()
            connection.close()
            return


class PatientQueue(Queue):
    """A queue that RQ's workers wait for, also while its server is away."""

    @classmethod
    def dequeue_any(cls, *args: Any, **kwargs: Any) -> Any:
        """Wait for the next job; a server that is away counts as one without jobs."""
        try:
            return super().dequeue_any(*args, **kwargs)
        except RedisError as error:
            note_queue_away(error)
            time.sleep(QUEUE_WAIT_S)
            raise DequeueTimeout("the queue server does not answer") from error


class _FairWorker:
    """A mixin for RQ's workers.

    It waits for a queue server that is away, and asks it every other second. It looks into its queues in
    turn, so that bulk work neither delays a single product nor waits for ever itself. Asked to stop, it takes
    no further job, and hands over the run that it is at when the deadline is over.
    """

    max_connection_wait_time = QUEUE_WAIT_S
    queue_class = PatientQueue
    queues: list[Queue]
    counters: SharedCounters
    kind = ""  # as in `QUEUES_BY_WORKER`
    _settings: Settings
    _runs: Runs
    _stop_requested: bool
    _ordered_queues: list[Queue]
    connection: Redis
    key: str
    serialize: Callable[[], Any]
    _job_count = 0
    _is_registered = True
    _reported_at = -REPORT_S

    def prepare(self, kind: str, settings: Settings, runs: Runs) -> None:
        """Give the worker what RQ does not know of."""
        self.kind, self._settings, self._runs = kind, settings, runs
        self.counters = SharedCounters(settings.effective_redis_url)

    def heartbeat(self, *args: Any, **kwargs: Any) -> None:
        """Say that this worker lives, and now and then how much memory it has. RQ calls this at intervals."""
        with self._despite_queue():
            super().heartbeat(*args, **kwargs)  # type: ignore[misc]
            if kwargs.get("pipeline") is None:
                self._note_queue_back()
        if time.monotonic() - self._reported_at >= REPORT_S:
            self._reported_at = time.monotonic()
            self.counters.report_process(self.kind)

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Execute a job; end this worker afterwards if it has too much memory."""
        with self._despite_queue():
            super().execute_job(job, queue)  # type: ignore[misc]
        limit = self._settings.worker_memory_mb * 1_000_000
        if limit and (used := self._lasting_bytes()) > limit:
            log.warning("worker_recycled", kind=self.kind, bytes=used, limit=limit)
            self._stop_requested = True

    def check_for_suspension(self, burst: bool) -> None:
        """Wait while all workers are suspended."""
        with self._despite_queue():
            super().check_for_suspension(burst)  # type: ignore[misc]

    def dequeue_job_and_maintain_ttl(self, *args: Any, **kwargs: Any) -> Any:
        """Wait for the next job, also while the queue server is away or mute."""
        while True:
            try:
                return super().dequeue_job_and_maintain_ttl(*args, **kwargs)  # type: ignore[misc]
            except RedisError as error:
                note_queue_away(error)
                if self._stop_requested:
                    return None
                time.sleep(self.max_connection_wait_time)

    def _set_ip_address(self, connection: Redis) -> None:
        set_address = super()._set_ip_address  # type: ignore[misc]
        self._when_queue_answers(lambda: set_address(connection))

    def register_birth(self) -> None:
        """Say that this worker begins; wait for a queue server that is away."""
        self._when_queue_answers(super().register_birth)  # type: ignore[misc]

    def subscribe(self) -> None:
        """Listen to commands; wait for a queue server that is away."""
        self._when_queue_answers(super().subscribe)  # type: ignore[misc]

    def set_state(self, *args: Any, **kwargs: Any) -> None:
        """Say what this worker does now."""
        with self._despite_queue():
            super().set_state(*args, **kwargs)  # type: ignore[misc]

    def run_maintenance_tasks(self) -> None:
        """Clean RQ's records now and then."""
        with self._despite_queue():
            super().run_maintenance_tasks()  # type: ignore[misc]

    def register_death(self) -> None:
        """Say that this worker ends; a queue server that is away forgets it by itself."""
        with self._despite_queue():
            super().register_death()  # type: ignore[misc]

    def unsubscribe(self) -> None:
        """Listen to commands no more."""
        with self._despite_queue():
            super().unsubscribe()  # type: ignore[misc]

    def _pubsub_exception_handler(self, exc: Exception, pubsub: Any, pubsub_thread: Any) -> None:
        if not isinstance(exc, RedisError):
            super()._pubsub_exception_handler(exc, pubsub, pubsub_thread)  # type: ignore[misc]
            return
        note_queue_away(exc)
        time.sleep(self.max_connection_wait_time)

    def _when_queue_answers(self, action: Callable[[], object]) -> None:
        while True:
            try:
                action()
                return
            except RedisError as error:
                note_queue_away(error)
                time.sleep(self.max_connection_wait_time)

    def _note_queue_back(self) -> None:
        """End an outage that was logged; register this worker anew, as the server may have lost its data."""
        if QUEUE_OUTAGE.back():
            self._is_registered = False
        if not self._is_registered:
            with self.connection.pipeline() as pipeline:
                pipeline.hset(self.key, mapping=self.serialize())
                register(self, pipeline)
                pipeline.expire(self.key, WORKER_TTL_S + 60)
                pipeline.execute()
            self._is_registered = True

    @contextmanager
    def _despite_queue(self) -> Iterator[None]:
        """Let nothing end this worker because the queue server is away: it has no part in the work itself.

        RQ ends a worker whose heartbeat fails during a job. What it then does not know of the job, the
        database does.
        """
        try:
            yield
        except RedisError as error:
            note_queue_away(error)
            self._is_registered = False

    def _lasting_bytes(self) -> int:
        """Return the memory that only the end of this worker gives back."""
        return resident_bytes()

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

    def _hand_over(self, pid: int, error: str = "") -> None:
        """Give back the runs of a process that has just ended, or is about to; `error` is its fault."""
        with suppress(StorageUnavailable):  # then their leases run out
            log.warning("job_cut_off", runs=self._runs.hand_over(_owner(pid), error))

    def reorder_queues(self, reference_queue: Queue) -> None:
        """Set the order of the queues for the next job. RQ calls this after each job."""
        self._job_count += 1
        is_reversed = self._job_count % FAIRNESS_INTERVAL == 0
        self._ordered_queues = self.queues[::-1] if is_reversed else self.queues[:]


class MakeWorker(_FairWorker, Worker):
    """A worker whose jobs run in a process beside it: one that crashes or eats memory harms no other.

    The process stays for the next jobs; see `WorkProcess`. The check process is started before the fork, so
    that each job finds it running.
    """

    execution: Execution | None
    _is_horse: bool
    _process: WorkProcess | None = None
    _is_unwanted = False  # the job under way was ended because its run was cancelled

    def perform_job(self, job: Job, queue: Queue) -> bool:
        """Perform a job, in the process beside the worker; send its traces."""
        done = super().perform_job(job, queue)
        tracing.flush()
        return bool(done)

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Give the job to the process beside the worker; fork a new one first where that is due."""
        self._end_used_up()
        if self._process is None:
            with suppress(CheckerExited):  # the job tries again, and reports the reason
                CHECK_PROCESS.warm()
            self._runs.close()
            self._process = WorkProcess(self._perform)
        self._is_unwanted = False
        assert self.execution is not None
        self._process.start({"job": job.id, "queue": queue.name, "execution": self.execution.id})
        self._horse_pid = self._process.pid

    def wait_for_horse(self) -> tuple[int | None, int | None, Any]:
        """Wait until the job is done, or its process has ended; count one that died, and the most memory."""
        process = self._process
        assert process is not None
        if process.wait():
            pid, status, usage = process.pid, os.EX_OK, as_usage(process)
        else:
            pid, status, usage = super().wait_for_horse()
            process.close()
            self._process = None
        queue = self.queues[0].name
        if usage:
            self.counters.observe("job_peak_bytes", usage.ru_maxrss * RSS_UNIT, queue=queue)
        if status and os.WIFSIGNALED(status) and not self._is_unwanted:
            self.counters.add("jobs_killed", queue=queue)
            log.error("job_killed", signal=os.WTERMSIG(status))
        self.counters.send()
        return pid, status, usage

    def maintain_heartbeats(self, job: Job) -> None:
        """Say that the job lives; end it if it has too much memory or if nobody wants it any more.

        RQ calls this every MONITOR_S.
        """
        limit = self._settings.job_memory_mb * 1_000_000
        run_id = str(job.args[0]) if job.args else ""
        if limit and (used := _bytes_of_tree(self.horse_pid)) > limit:
            log.error("job_too_large", job=run_id, bytes=used, limit=limit)
            self.kill_horse()
            self._hand_over(self.horse_pid, too_large_text(limit))
        elif self._was_cancelled(run_id):
            log.info("job_unwanted", job=run_id)
            self._is_unwanted = True
            self.kill_horse()
        with self._despite_queue():
            super().maintain_heartbeats(job)

    def heartbeat(self, *args: Any, **kwargs: Any) -> None:
        """Say that this worker lives; give back the memory of a process that has nothing to do."""
        if not self.horse_pid:
            self._end_used_up()
        super().heartbeat(*args, **kwargs)

    def work(self, *args: Any, **kwargs: Any) -> bool:
        """Perform jobs until stopped; end the process beside the worker afterwards."""
        try:
            return bool(super().work(*args, **kwargs))
        finally:
            process, self._process = self._process, None
            if process is not None:  # a job under way may end
                process.close() if self.horse_pid else process.end()

    def _lasting_bytes(self) -> int:
        return resident_bytes() - (_bytes_of_tree(self._process.pid) if self._process else 0)

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Execute a job; if the queue server was lost meanwhile, wait for its end without it."""
        super().execute_job(job, queue)
        if self.horse_pid and self._process is not None:
            self.wait_for_horse()
            self._horse_pid = 0

    def _perform(self, given: dict[str, str]) -> None:
        """Perform a job by its id. Runs in the process beside the worker."""
        if not self._is_horse:
            self.setup_work_horse_signals()
            self._is_horse = True
        job = Job.fetch(given["job"], connection=self.connection, serializer=self.serializer)
        self.execution = Execution.fetch(given["execution"], job.id, connection=self.connection)
        queue = next(each for each in self.queues if each.name == given["queue"])
        self.perform_job(job, queue)

    def _end_used_up(self) -> None:
        """End the process beside the worker if the next job is to have a new one."""
        jobs, limit_mb = self._settings.jobs_per_process, self._settings.job_memory_mb or MAX_CACHED_MB
        max_bytes = min(MAX_CACHED_MB, limit_mb / 2) * 1_000_000
        if self._process is not None and self._process.is_used_up(jobs, int(max_bytes), IDLE_S):
            self._process.end()
            self._process = None

    def _was_cancelled(self, run_id: str) -> bool:
        with suppress(StorageUnavailable):  # the next look tells
            return self._runs.was_cancelled(run_id, _owner(self.horse_pid))
        return False

    def _end_now(self) -> None:
        if pid := self.horse_pid:
            self.kill_horse(signal.SIGKILL)
            self._hand_over(pid)


class IntakeWorker(_FairWorker, SimpleWorker):
    """A worker that runs many small jobs in its own process."""

    def _end_now(self) -> None:
        self._hand_over(os.getpid())  # deliveries that are cut off are found by the sweeper
        os._exit(0)


def _owner(pid: int) -> str:
    """Return the name under which a process of this machine holds leases; see `worker.runner.owner`."""
    return f"{socket.gethostname()}:{pid}"


def _bytes_of_tree(pid: int) -> int:
    """Return the resident memory of a process and its children; 0 if it has ended."""
    try:
        process = psutil.Process(pid)
        return sum(each.memory_info().rss for each in (process, *process.children(recursive=True)))
    except psutil.Error:
        return 0
