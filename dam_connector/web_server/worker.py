"""The worker class for gunicorn: a thread gets a request when it has arrived.

gunicorn's threads read requests themselves, so that a few half-sent ones occupy them all. The figures, also
of other servers, are in docs/decisions/0008-web-server.md. Here the loop that accepts connections awaits the
headers, and bodies up to a megabyte. Longer bodies are read by threads when the application asks for them, at
a minimum pace.
"""

import selectors
import socket
import threading
import time
from concurrent.futures import Future
from functools import partial
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

from dam_connector.web_server.received_request import ReceivedRequest
from dam_connector.web_server.timed_socket import TimedSocket

REQUEST_TIMEOUT_S = 20.0  # from the first byte to the last of headers and a short body
LINGER_S = 2.0  # for a client to close its side of a connection
LINGER_BYTES = 1_048_576  # that it may still send until then
STOP_LINGER_S = 2.0  # for requests that are arriving while the server stops
MAX_CONNECTIONS = 800  # then the one that does nothing for longest is dropped
MAX_ARRIVING = 400  # requests; then the one that began first is dropped
MAX_ARRIVING_BYTES = 33_554_432  # of these together; then the largest one is dropped
_READ_BYTES = 65_536
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_BROKEN = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Connection(TConn):
    """A client's connection."""

    def __init__(self, cfg: Any, sock: TimedSocket, client: Any, server: Any) -> None:
        super().__init__(cfg, sock, client, server)
        self.request = ReceivedRequest()
        self.drained = 0  # bytes that came after the end of the last response
        self.deadline_s = 0.0  # time.monotonic() until which a request may arrive, or the client may close


class PatientWorker(ThreadWorker):
    """A worker whose threads do not wait for requests."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._slots = threading.BoundedSemaphore(max(1, self.cfg.threads // 2))
        # In the order in which they began: the deadlines are in the same order.
        self._arriving: dict[Connection, None] = {}
        self._closing: dict[Connection, None] = {}

    def accept(self, listener: socket.socket) -> None:
        """Accept a connection and await its first request."""
        try:
            sock, client = listener.accept()
        except OSError:  # the client is gone, or another process was faster
            return
        self.nr_conns += 1
        if self.nr_conns > MAX_CONNECTIONS:
            self._drop_oldest()
        timed = TimedSocket(sock, self._slots)
        self._await_request(Connection(self.cfg, timed, client, listener.getsockname()), b"")

    def on_client_socket_readable(self, conn: Connection, client: Any) -> None:
        """Await the next request of a connection that was open without one."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._await_request(conn, b"")

    def finish_request(self, conn: Connection, fs: "Future[Any]") -> None:
        """Await the next request, or close the connection without waiting for the client."""
        try:
            keeps_open = not fs.cancelled() and bool(fs.result())
        except Exception:  # noqa: BLE001 - whatever it is, gunicorn logged it
            keeps_open = False
        if keeps_open and (rest := conn.parser.unreader.take_buffered() + conn.sock.take_early()):
            self._await_request(conn, rest)
        elif keeps_open:
            super().finish_request(conn, fs)
        else:
            self._close_gently(conn)

    def handle(self, conn: Connection) -> Any:
        """Work on a request, in a thread."""
        try:
            conn.init()
        except OSError:
            return False
        conn.sock.put_back(conn.request.data)
        conn.request = ReceivedRequest()
        conn.sock.begin_request()
        return super().handle(conn)

    def _keepalive_after(self, conn: Connection, keepalive: bool) -> bool:
        """Return whether the connection can be reused: the whole body is here."""
        conn.sock.must_not_wait = True
        try:
            return super()._keepalive_after(conn, keepalive)
        finally:
            conn.sock.must_not_wait = False

    def murder_pending(self) -> None:
        """Close the connections whose time is over; the loop calls it every second."""
        now = time.monotonic() + (0.0 if self.alive else REQUEST_TIMEOUT_S - STOP_LINGER_S)
        for group in (self._arriving, self._closing):
            while group and (oldest := next(iter(group))).deadline_s <= now:
                self._drop(oldest)

    def _await_request(self, conn: Connection, data: bytes) -> None:
        conn.sock.setblocking(False)
        conn.request = ReceivedRequest(data)
        conn.deadline_s = time.monotonic() + REQUEST_TIMEOUT_S
        self._arriving[conn] = None
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._read, conn))
        if data:
            self._look_at(conn)
        if conn in self._arriving:
            self._read(conn, conn.sock)  # usually it is there already
        if len(self._arriving) > MAX_ARRIVING:
            self._drop(next(iter(self._arriving)))

    def _read(self, conn: Connection, client: Any) -> None:
        """Read some of a request; give it to a thread when it is complete."""
        try:
            data = conn.sock.receive_now(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(conn)
            return
        conn.request.add(data)
        self._look_at(conn)
        if sum(len(c.request) for c in self._arriving) > MAX_ARRIVING_BYTES:
            self._drop(max(self._arriving, key=lambda c: len(c.request)))

    def _look_at(self, conn: Connection) -> None:
        request = conn.request
        if request.has_too_large_headers:
            self._refuse(conn, _TOO_LARGE)
        elif request.is_complete or request.is_large:
            self._forget(conn)
            self.enqueue_req(conn)
        elif request.is_broken:
            self._refuse(conn, _BROKEN)
        elif request.expects_continue:
            request.expects_continue = False
            self._send_now(conn, _CONTINUE)

    def _refuse(self, conn: Connection, response: bytes) -> None:
        self._forget(conn)
        self._send_now(conn, response)
        self._close_gently(conn)

    def _send_now(self, conn: Connection, data: bytes) -> None:
        try:
            conn.sock.send_now(data)
        except OSError:  # the next read reports it
            return

    def _close_gently(self, conn: Connection) -> None:
        """Close our side, and the other when the client closed it or LINGER_S are over.

        So the client gets the whole response even if it still sends.
        """
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.setblocking(False)
        except OSError:
            self.nr_conns -= 1
            conn.close()
            return
        conn.deadline_s = time.monotonic() + LINGER_S
        self._closing[conn] = None
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._drain, conn))

    def _drain(self, conn: Connection, client: Any) -> None:
        try:
            count = len(conn.sock.receive_now(_READ_BYTES))
        except BlockingIOError:
            return
        except OSError:
            count = 0
        conn.drained += count
        if not count or conn.drained > LINGER_BYTES:
            self._drop(conn)

    def _drop_oldest(self) -> None:
        if self.keepalived_conns:
            conn = self.keepalived_conns.popleft()
            self._drop(conn)
        elif oldest := next(iter(self._closing or self._arriving), None):
            self._drop(oldest)

    def _drop(self, conn: Connection) -> None:
        self._forget(conn)
        self.nr_conns -= 1
        conn.close()

    def _forget(self, conn: Connection) -> None:
        """Stop to watch a connection."""
        self.poller.unregister(conn.sock)
        self._arriving.pop(conn, None)
        self._closing.pop(conn, None)
