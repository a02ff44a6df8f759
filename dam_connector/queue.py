"""Wake-ups through RQ: ids only, JSON serializer. The database is the truth; a lost wake-up costs a sweep.

Two kinds of workers, each with two lanes: `intake` (deliveries before publishing) and `make` (single products before batches).
With Redis away, RQ's defaults block the caller for 5 s; no retries and short timeouts make that none.
"""

import queue
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import structlog
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue as RqNative
from rq import Worker
from rq.serializers import JSONSerializer

from dam_connector.errors import Unavailable

log = structlog.get_logger()

JOB_TIMEOUT_S = 900
GATHER_S = 0.05  # a wake-up waits so long for others: one message to the queue server serves them all
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Job:
    """Where a job's code is and which lane it waits in. The code is named, not imported: the web process must not load it."""

    function: str
    queue: str
    ids_per_job: int = 1  # quick jobs go many at a time: making a job costs more than doing it


JOBS: Mapping[str, Job] = {
    "handle_delivery": Job("worker.jobs.handle_deliveries", "intake", ids_per_job=25),
    "finish_run": Job("worker.jobs.advance_run", "finish"),
    "advance_run": Job("worker.jobs.advance_run", "make"),
    "advance_batch": Job("worker.jobs.advance_batch", "bulk"),
    "advance_bulk_run": Job("worker.jobs.advance_run", "bulk"),
}
QUEUES = tuple(dict.fromkeys(job.queue for job in JOBS.values()))
SERVED: Mapping[str, tuple[str, ...]] = {
    "intake": ("intake", "finish"),
    "make": ("make", "bulk"),
}  # by kind of worker: its lanes, the quick one first
TURN = 5  # every so many jobs a worker looks into its other lane first, so that neither waits for ever


def connect(url: str, *, patient: bool = False) -> Redis:
    """A connection to the queue server: impatient for those who only send wake-ups, patient for workers."""
    if patient:
        return Redis.from_url(url)
    return Redis.from_url(url, retry=Retry(NoBackoff(), 0), socket_connect_timeout=0.3, socket_timeout=1.0)


class RqQueue:
    """The Queue port on RQ."""

    def __init__(self, url: str) -> None:
        self._redis = connect(url)
        self._queues = {
            name: RqNative(name, connection=self._redis, serializer=JSONSerializer) for name in QUEUES
        }

    def wake(self, job: str, ids: Iterable[str]) -> bool:
        target, all_ids, step = self._queues[JOBS[job].queue], list(ids), JOBS[job].ids_per_job
        groups = [all_ids[at : at + step] for at in range(0, len(all_ids), step)]
        datas = [
            RqNative.prepare_data(
                JOBS[job].function, args=tuple(group), timeout=JOB_TIMEOUT_S, result_ttl=0, failure_ttl=60
            )
            for group in groups
        ]
        try:
            for start in range(0, len(datas), _BATCH):
                target.enqueue_many(datas[start : start + _BATCH])
        except RedisError as error:
            log.warning("queue_away", job=job, waiting=len(all_ids), error=type(error).__name__)
            return False
        return True

    def length(self, job: str) -> int:
        try:
            return len(self._queues[JOBS[job].queue])
        except RedisError as error:
            raise Unavailable("queue", "length", type(error).__name__) from error

    def workers(self, job: str) -> int:
        try:
            return Worker.count(queue=self._queues[JOBS[job].queue])
        except RedisError:
            return 0


class BackgroundQueue:
    """Wake-ups sent by a thread, so that a webhook's answer never waits for Redis; what gathers meanwhile goes in one batch."""

    def __init__(self, inner: RqQueue) -> None:
        self._inner = inner
        self._waiting: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def wake(self, job: str, ids: Iterable[str]) -> bool:
        for each in ids:
            self._waiting.put((job, each))
        with self._lock:  # started by the first wake-up: gunicorn forks before that
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._send, name="wake-ups", daemon=True)
                self._thread.start()
        return True

    def _send(self) -> None:
        while True:
            gathered: dict[str, list[str]] = {}
            job, each = self._waiting.get()
            gathered.setdefault(job, []).append(each)
            time.sleep(GATHER_S)
            while not self._waiting.empty() and len(gathered[job]) < _BATCH:
                job, each = self._waiting.get()
                gathered.setdefault(job, []).append(each)
            for name, ids in gathered.items():
                self._inner.wake(name, ids)

    def length(self, job: str) -> int:
        return self._inner.length(job)

    def workers(self, job: str) -> int:
        return self._inner.workers(job)
