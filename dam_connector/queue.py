"""Wake-ups through RQ, which carry only ids. The database is the truth: a lost wake-up is found by the sweep.

There are two kinds of workers, each with two queues. `intake` workers handle deliveries before publishing;
`make` workers handle single products before batches. While Redis is away, RQ's defaults would block the
caller for 5 s; therefore callers use no retries and short timeouts.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, AuthorizationError, NoPermissionError, RedisError
from redis.retry import Retry
from rq import Queue as RqNative
from rq import Worker
from rq.serializers import JSONSerializer

from dam_connector.errors import Unavailable
from dam_connector.outages import OutageLog
from dam_connector.ports import Queue

QUEUE_OUTAGE = OutageLog("queue")  # of this process, whoever notices it

JOB_TIMEOUT_S = 900
LIVE_TTL_S = 55  # the key of a worker that has less than that left has missed its heartbeats
HEALTH_CHECK_S = 20  # a connection of a worker may have been cut while its job computed
GATHER_INTERVAL_S = 0.05  # a wake-up waits this long for others, to be sent with them in one message
MAX_JOBS_PER_MESSAGE = 500


@dataclass(frozen=True, slots=True)
class JobDefinition:
    """The code of a job and the queue it waits in."""

    # Its dotted name. It is not imported, since the web process must not load the worker's code.
    function: str
    # The name of an RQ queue.
    queue: str
    # For quick jobs, many: creating an RQ job costs more than running it.
    ids_per_job: int = 1


JOBS: Mapping[str, JobDefinition] = {
    "handle_delivery": JobDefinition("worker.jobs.handle_deliveries", "intake", ids_per_job=25),
    "finish_run": JobDefinition("worker.jobs.advance_run", "finish"),
    "advance_run": JobDefinition("worker.jobs.advance_run", "make"),
    "advance_batch": JobDefinition("worker.jobs.advance_batch", "bulk"),
    "advance_bulk_run": JobDefinition("worker.jobs.advance_run", "bulk"),
    "check_finished_file": JobDefinition("worker.jobs.check_finished_file", "bulk"),
}
QUEUES = tuple(dict.fromkeys(job.queue for job in JOBS.values()))
# By kind of worker, the preferred queue first.
QUEUES_BY_WORKER: Mapping[str, tuple[str, ...]] = {
    "intake": ("intake", "finish"),
    "make": ("make", "bulk"),
    # For large fleets: workers of one queue, so that each is scaled by itself.
    "receive": ("intake",),
    "publish": ("finish",),
    "single": ("make",),
    "bulk": ("bulk",),
}
MAKE_KINDS = ("make", "single", "bulk")  # workers that compute
FAIRNESS_INTERVAL = (
    5  # after this many jobs a worker takes one of its other queue first, so that none starves
)


def connect(url: str, *, for_worker: bool = False) -> Redis:
    """Connect to the queue server.

    Args:
        for_worker: wait and retry as RQ workers need it, and try connections that were not used for long
            first; otherwise fail at once, for callers that send wake-ups.
    """
    if for_worker:
        return Redis.from_url(url, health_check_interval=HEALTH_CHECK_S)
    return Redis.from_url(url, retry=Retry(NoBackoff(), 0), socket_connect_timeout=0.3, socket_timeout=1.0)


def note_queue_away(error: RedisError) -> None:
    """Log that the queue server does not answer, once an outage and then once a minute."""
    QUEUE_OUTAGE.away(queue_error_text(error))


def queue_error_text(error: RedisError) -> str:
    """Return why the queue server did not answer, in one line without secrets."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def refusal(error: RedisError) -> str:
    """Return why the queue server will refuse this client for ever, or an empty text if it may not."""
    text = str(error)
    if "DB index" in text or "Invalid Database" in text:
        return "it has no database of that number"
    if isinstance(error, (AuthenticationError, AuthorizationError, NoPermissionError)):
        return "it refuses the password"
    return ""


class RqQueue:
    """The port `Queue`, implemented with RQ."""

    def __init__(self, url: str) -> None:
        """Create a queue on the server at a URL; connect when it is used first."""
        self._redis = connect(url)
        self._queues = {
            name: RqNative(name, connection=self._redis, serializer=JSONSerializer) for name in QUEUES
        }

    def wake(self, job: str, ids: Iterable[str]) -> bool:
        definition, all_ids = JOBS[job], list(ids)
        size = definition.ids_per_job
        groups = [all_ids[start : start + size] for start in range(0, len(all_ids), size)]
        jobs = [
            RqNative.prepare_data(
                definition.function, args=tuple(group), timeout=JOB_TIMEOUT_S, result_ttl=0, failure_ttl=60
            )
            for group in groups
        ]
        try:
            for start in range(0, len(jobs), MAX_JOBS_PER_MESSAGE):
                self._queues[definition.queue].enqueue_many(jobs[start : start + MAX_JOBS_PER_MESSAGE])
        except RedisError as error:
            note_queue_away(error)
            return False
        QUEUE_OUTAGE.back()
        return True

    def length(self, job: str) -> int:
        try:
            return len(self._queues[JOBS[job].queue])
        except RedisError as error:
            raise Unavailable("queue", "length", type(error).__name__) from error

    def workers(self, job: str) -> int:
        """Return how many workers that live serve the queue of a job.

        RQ forgets a dead one after minutes. Each heartbeat gives the key of a worker at least a minute more.
        """
        try:
            keys = Worker.all_keys(queue=self._queues[JOBS[job].queue])
            with self._redis.pipeline(transaction=False) as pipeline:
                for key in keys:
                    pipeline.ttl(key)
                return sum(ttl >= LIVE_TTL_S for ttl in pipeline.execute())
        except RedisError:
            return 0


class BackgroundQueue:
    """A `Queue` that sends wake-ups in a thread, so that the answer to a webhook never waits for Redis.

    Wake-ups that arrive within `GATHER_INTERVAL_S` are sent in one message.
    """

    def __init__(self, inner: RqQueue) -> None:
        """Create a queue that sends through another one."""
        self._inner = inner
        self._waiting: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def wake(self, job: str, ids: Iterable[str]) -> bool:
        for record_id in ids:
            self._waiting.put((job, record_id))
        with self._lock:  # started by the first wake-up, since gunicorn forks before that
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._send, name="wake-ups", daemon=True)
                self._thread.start()
        return True

    def _send(self) -> None:
        while True:
            ids_by_job: dict[str, list[str]] = {}
            job, record_id = self._waiting.get()
            ids_by_job.setdefault(job, []).append(record_id)
            time.sleep(GATHER_INTERVAL_S)
            while not self._waiting.empty() and len(ids_by_job[job]) < MAX_JOBS_PER_MESSAGE:
                job, record_id = self._waiting.get()
                ids_by_job.setdefault(job, []).append(record_id)
            for name, ids in ids_by_job.items():
                self._inner.wake(name, ids)

    def length(self, job: str) -> int:
        return self._inner.length(job)

    def workers(self, job: str) -> int:
        return self._inner.workers(job)


class CommitQueue:
    """The port `Queue`, with wake-ups that wait for the commit of the open database transaction.

    A job that starts before the commit would not find what it is for.
    """

    def __init__(self, inner: Queue, after_commit: Callable[[Callable[[], object]], bool]) -> None:
        """Create the queue.

        Args:
            inner: the queue that sends the wake-ups.
            after_commit: `Database.after_commit`.
        """
        self._inner = inner
        self._after_commit = after_commit

    def wake(self, job: str, ids: Iterable[str]) -> bool:
        all_ids = list(ids)
        return self._after_commit(lambda: self._inner.wake(job, all_ids)) or self._inner.wake(job, all_ids)

    def length(self, job: str) -> int:
        return self._inner.length(job)

    def workers(self, job: str) -> int:
        return self._inner.workers(job)
