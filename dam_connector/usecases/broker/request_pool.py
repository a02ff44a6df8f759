"""The threads in which the broker's slow requests run."""

import threading
from collections.abc import Callable
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor

import structlog

from dam_connector.errors import ConnectorError

log = structlog.get_logger()
THREADS = 32  # each one waits for an answer most of the time


class RequestPool:
    """Threads for requests, with at most one request at a time for each key."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="provider")
        self._futures: dict[str, Future[None]] = {}  # by key
        self._lock = threading.Lock()
        self._request_ended = threading.Event()

    def start(self, key: str, request: Callable[[], None]) -> None:
        """Run a request in a thread, unless one with the same key is still running."""
        with self._lock:
            if key not in self._futures or self._futures[key].done():
                self._futures[key] = self._executor.submit(self._run, key, request)

    def is_known(self, key: str) -> bool:
        """Return whether a request with this key was started since the last `forget_finished`."""
        return key in self._futures

    def forget_finished(self) -> None:
        """Forget the keys of requests that have ended."""
        with self._lock:
            self._futures = {key: future for key, future in self._futures.items() if not future.done()}

    def wait_for_end(self, seconds: float) -> None:
        """Wait until a request ends, at most for some seconds."""
        self._request_ended.wait(seconds)
        self._request_ended.clear()

    def drain(self) -> None:
        """Wait until all requests have ended, including those that they start."""
        while running := [future for future in list(self._futures.values()) if not future.done()]:
            futures.wait(running)

    def close(self) -> None:
        """Start no more requests, and do not wait for those that are running."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _run(self, key: str, request: Callable[[], None]) -> None:
        """Run a request; log its errors, so that a failing task does not stop the others."""
        try:
            request()
        except ConnectorError as error:
            log.warning("task_put_down_by_another", task=key, error=str(error))
        except Exception:
            log.exception("broker_broke", task=key)
        finally:
            self._request_ended.set()
