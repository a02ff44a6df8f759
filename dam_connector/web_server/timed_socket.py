"""A socket whose peer must keep a pace, while only some of the threads wait for peers."""

import errno
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from werkzeug.exceptions import RequestTimeout

GRACE_S = 20.0  # for one request's body to begin
MIN_BYTES_PER_S = 16_384  # of a body, after that
WRITE_TIMEOUT_S = 10.0  # for each piece of a response
SLOT_WAIT_S = 2.0
_PIECE_BYTES = 65_536


class TimedSocket:
    """The socket of a client, for a thread that works on a request of it.

    A thread that must wait for a slow client takes one of the slots. If none is free, the client is dropped.
    """

    def __init__(self, sock: socket.socket, slots: threading.BoundedSemaphore) -> None:
        """Create it.

        Args:
            sock: the socket.
            slots: as many as there are threads that may wait for clients at once.
        """
        self._sock, self._slots = sock, slots
        self.must_not_wait = False  # for bytes to arrive
        self._early, self._early_at = b"", 0  # bytes that arrived before a thread works, and how many it has
        self.begin_request()

    def begin_request(self) -> None:
        """Start the time of a request's body."""
        self._started_s, self._count = time.monotonic(), 0

    def put_back(self, data: bytes) -> None:
        """Let `recv` return bytes that arrived before.

        gunicorn copies all that it has for each chunk of a body, so it gets them from here in pieces. A
        megabyte of chunks of one byte occupied the server for eight seconds otherwise.
        """
        self._early, self._early_at = data, 0

    def take_early(self) -> bytes:
        """Return the bytes put back that `recv` did not return yet, and forget them."""
        rest = self._early[self._early_at :]
        self._early, self._early_at = b"", 0
        return rest

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Receive bytes.

        Raises:
            RequestTimeout: they come too slowly, or too many threads wait for clients.
            TimeoutError: there are none yet, and the thread must not wait.
        """
        if early := self._early[self._early_at : self._early_at + size]:
            self._early_at += len(early)
            return early
        data = self._receive_unless_empty(size, flags)
        if data is None and self.must_not_wait:
            raise TimeoutError
        if data is None:
            with self._waiting(RequestTimeout("too many slow requests; try again later")):
                data = self._receive_in_time(size, flags)
        self._count += len(data)
        return data

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send all bytes.

        Raises:
            BrokenPipeError: the client takes them too slowly, or too many threads wait for clients.
        """
        view = memoryview(data).cast("B")
        sent = self.send_now(view)
        if sent == len(view):
            return
        with self._waiting(_dropped()):
            self._sock.settimeout(WRITE_TIMEOUT_S)
            try:
                for start in range(sent, len(view), _PIECE_BYTES):
                    self._sock.sendall(view[start : start + _PIECE_BYTES])
            except TimeoutError as error:
                raise _dropped() from error

    def receive_now(self, size: int) -> bytes:
        """Return the bytes that are there; empty when the client closed its side.

        Raises:
            BlockingIOError: there are none yet.
        """
        return self._sock.recv(size)

    def send_now(self, data: Any) -> int:
        """Send as much as the system takes at once; return how many bytes."""
        self._sock.settimeout(0)
        view, sent = memoryview(data).cast("B"), 0
        try:
            while sent < len(view):
                sent += self._sock.send(view[sent:])
        except BlockingIOError:
            pass
        return sent

    def _receive_unless_empty(self, size: int, flags: int) -> bytes | None:
        """Return the bytes that are there; None when there are none yet."""
        self._sock.settimeout(0)
        try:
            return self._sock.recv(size, flags)
        except BlockingIOError:
            return None

    def _receive_in_time(self, size: int, flags: int) -> bytes:
        left_s = self._started_s + GRACE_S + self._count / MIN_BYTES_PER_S - time.monotonic()
        self._sock.settimeout(max(0.001, left_s))
        try:
            return self._sock.recv(size, flags)
        except TimeoutError as error:
            raise RequestTimeout("the request came too slowly") from error

    @contextmanager
    def _waiting(self, refusal: Exception) -> Iterator[None]:
        if not self._slots.acquire(timeout=SLOT_WAIT_S):
            raise refusal
        try:
            yield
        finally:
            self._slots.release()


def _dropped() -> BrokenPipeError:
    return BrokenPipeError(errno.EPIPE, "the client takes the response too slowly")
