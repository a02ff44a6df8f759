"""Jobs: the functions that RQ calls, with ids as arguments. dam_connector/queue.py names them."""

import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache

import structlog
from PIL import Image

from dam_connector.errors import RETRYABLE, ConfigError, ConnectorError, StorageUnavailable
from dam_connector.settings import Settings
from dam_connector.usecases import batches, intake
from dam_connector.wiring import Services, build_services
from worker import adoption_trial
from worker.cache import load_net
from worker.imaging import cutout
from worker.runner import advance

log = structlog.get_logger()


@cache
def services() -> Services:
    """Return this process's services."""
    return build_services(Settings.from_env())


@contextmanager
def _despite_outage() -> Iterator[None]:
    """End a job quietly when the database is away: that is logged, and the sweeper wakes again."""
    try:
        yield
    except StorageUnavailable as error:
        if error.vendor != "database":
            log.warning("job_put_off", error=str(error))


def warm() -> None:
    """Load everything that jobs need, before they are forked: each job saves up to .3 CPU-seconds.

    That is the services, the picture codecs, OpenCV's tables, the net of the cut-outs and the database's
    compiled statements. No connection stays open. A part that fails, such as a database that does not answer,
    is left to each job.
    """
    Image.init()
    cutout.warm_up_colour_tables()
    with suppress(ConnectorError, OSError):
        services().db.ping()
        with suppress(ConfigError):  # the jobs that need it say why
            load_net(services(), services().rules.current().imaging)
        for store in (services().runs, services().assets, services().products):
            store.get("")
    services().db.close()
    gc.collect()
    gc.freeze()  # a collection in a job would touch, and so copy, every object that it inherits from here


def handle_deliveries(*delivery_ids: str) -> None:
    """Handle stored webhook deliveries. One that fails in any way does not stop the others.

    `handle_delivery` counts its failures itself. What it raises all the same, e.g. because the database is
    away, is logged; the delivery stays due.
    """
    for delivery_id in delivery_ids:
        if _pool is None:
            _handle_delivery(delivery_id)
        else:
            _pool.submit(delivery_id)
    services().counters.send()


def _handle_delivery(delivery_id: str) -> None:
    try:
        with _despite_outage():
            intake.handle_delivery(services(), delivery_id)
    except Exception:
        log.exception("delivery_not_recorded", delivery_id=delivery_id)


class DeliveryPool:
    """Threads that handle deliveries, so that one that waits for a slow host does not hold up the others.

    A job does not wait for its deliveries. Those that are lost with the process are found by the sweeper.
    """

    def __init__(self, handle: Callable[[str], None] = _handle_delivery, threads: int = 16) -> None:
        self._handle = handle
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="delivery")
        self._free = threading.Semaphore(2 * threads)
        self._lock = threading.Lock()
        self._under_way: set[str] = set()

    def submit(self, delivery_id: str) -> None:
        """Handle a delivery soon, unless it is under way; wait while there are too many."""
        with self._lock:
            if delivery_id in self._under_way:
                return
            self._under_way.add(delivery_id)
        self._free.acquire()
        self._threads.submit(self._run, delivery_id)

    def _run(self, delivery_id: str) -> None:
        try:
            self._handle(delivery_id)
        finally:
            with self._lock:
                self._under_way.discard(delivery_id)
            self._free.release()

    def close(self) -> None:
        """Wait until all have ended."""
        self._threads.shutdown()


_pool: DeliveryPool | None = None


def start_delivery_pool() -> DeliveryPool:
    """Let jobs of this process hand deliveries to threads from now on."""
    global _pool  # noqa: PLW0603 - RQ calls functions, which share no other state
    _pool = DeliveryPool()
    return _pool


def advance_batch(wake_token: str) -> None:
    """Take the next rows of a batch."""
    with _despite_outage():
        batches.advance(services(), wake_token)
    services().counters.send()


def advance_run(run_id: str) -> None:
    """Execute the steps of a run."""
    with _despite_outage():
        advance(services(), run_id)
    services().counters.send()


def check_finished_file(file_id: str) -> None:
    """Check a finished file that may be adopted. One whose DAM is away is woken again later."""
    try:
        adoption_trial.check_finished_file(services(), file_id)
    except RETRYABLE as error:
        log.warning("finished_file_not_checked", file_id=file_id, error=str(error))
    services().counters.send()
