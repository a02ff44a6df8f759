"""The outgoing HTTP client on hostile servers: it refuses, counts and cuts.

A server here sends for as long as it is read. That its loop ends shows that the client cut the connection.
"""

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import repeat
from urllib.parse import quote

import pytest

from dam_connector.adapters.common import http_session
from dam_connector.adapters.http import AddressBlocked, HttpClient, HttpResponse, ResponseTooLarge
from dam_connector.errors import Busy, ConnectorError, Refused, SubmitUnknown, Unavailable

TIMEOUT_S = 0.5
MAX_BYTES = 100_000
BUFFERS = 8_000_000  # what both ends of a connection on loopback may hold unread
GZIP_BOMB = gzip.compress(bytes(30_000_000))
OK = b"HTTP/1.1 200 OK\r\n"

Call = Callable[[HttpClient, str], object]


class RawServer:
    """Sends bytes on loopback as they are, until the client closes; then `was_cut` is set."""

    def __init__(self, pieces: Callable[[bytes], Iterator[bytes]], pause_s: float = 0) -> None:
        self._pieces, self._pause_s = pieces, pause_s
        self.sent, self.requests = 0, 0
        self.was_cut, self._stopped = threading.Event(), threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            head = connection.recv(65_536)
            self.requests += 1
            try:
                for piece in self._pieces(head):
                    connection.sendall(piece)
                    self.sent += len(piece)
                    if self._stopped.wait(self._pause_s):
                        return
                while connection.recv(65_536):  # b"" or an error: the client has closed
                    pass
            except OSError:
                pass
            self.was_cut.set()

    def stop(self) -> None:
        self._stopped.set()
        self._listener.close()


@contextmanager
def serving(pieces: Callable[[bytes], Iterator[bytes]], pause_s: float = 0) -> Iterator[RawServer]:
    server = RawServer(pieces, pause_s)
    try:
        yield server
    finally:
        server.stop()


def client(**options: float) -> HttpClient:
    return HttpClient(frozenset({"127.0.0.1"}), **{"timeout_s": TIMEOUT_S, **options})


def get(http: HttpClient, url: str) -> object:
    return http.get(url, max_bytes=MAX_BYTES)


def first_bytes(http: HttpClient, url: str) -> object:
    return http.get_first_bytes(url, count=16, timeout_s=http.timeout_s)


def request(http: HttpClient, url: str, method: str = "GET") -> HttpResponse:
    return http.request(method, url, vendor="x", operation="y", headers={}, max_bytes=MAX_BYTES)


def endless(head: bytes, piece: bytes) -> Callable[[bytes], Iterator[bytes]]:
    def pieces(_: bytes) -> Iterator[bytes]:
        yield head
        yield from repeat(piece)

    return pieces


SLOW = {
    "header": endless(b"", b"H"),
    "header lines": endless(OK, b"X: y\r\n"),
    "continue": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body with length": endless(OK + b"Content-Length: 90000\r\n\r\n", b"x"),
    "body without length": endless(OK + b"\r\n", b"x"),
    "one chunk": endless(OK + b"Transfer-Encoding: chunked\r\n\r\n15f90\r\n", b"x"),
    "chunk size": endless(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    "trailers": endless(OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"),
    "gzip without content": endless(
        OK + b"Content-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x08\0\0\0\0\0\x03", b"n"
    ),
}
CALLS: dict[str, Call] = {"get": get, "request": request}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("pieces", SLOW.values(), ids=SLOW)
def test_a_slow_response_is_cut(pieces: Callable[[bytes], Iterator[bytes]], call: Call) -> None:
    with serving(pieces, pause_s=0.05) as server:
        with pytest.raises(Unavailable):
            call(client(), f"http://{server.host}/")
        assert server.was_cut.wait(20)
    assert server.sent < 1000


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_slow_tls_handshake_is_cut(call: Call) -> None:
    with serving(endless(b"\x16\x03\x03\x3f\x00", b"\x02"), pause_s=0.05) as server:
        with pytest.raises(Unavailable):
            call(client(), f"https://{server.host}/")
        assert server.was_cut.wait(20)
    assert server.sent < 1000


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_slow_response_to_a_paid_request_is_unknown(method: str) -> None:
    with serving(SLOW["header"], pause_s=0.05) as server:
        with pytest.raises(SubmitUnknown):
            request(client(), f"http://{server.host}/", method)
        assert server.was_cut.wait(20)


def test_first_bytes_are_cut_too() -> None:
    with serving(SLOW["header"], pause_s=0.05) as server:
        with pytest.raises(Unavailable):
            first_bytes(client(), f"http://{server.host}/")
        assert server.was_cut.wait(20)


def test_a_server_that_reads_nothing_is_cut() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(SubmitUnknown):
        client().request(
            "POST",
            f"http://127.0.0.1:{listener.getsockname()[1]}/",
            vendor="x",
            operation="y",
            headers={},
            content=bytes(4 * BUFFERS),
        )


FLOODS = {
    name: endless(head, piece * 10_000)
    for name, head, piece in (
        ("header line", OK, b"x"),
        ("continue", b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        ("body", OK + b"\r\n", b"x"),
        ("one chunk", OK + b"Transfer-Encoding: chunked\r\n\r\nffffffff\r\n", b"x"),
        ("small chunks", OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        ("chunk size", OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
        ("trailers", OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"),
        ("gzip without content", OK + b"Content-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x08\0\0\0\0\0\x03", b"n"),
    )
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("pieces", FLOODS.values(), ids=FLOODS)
def test_a_flood_is_cut_by_its_bytes(pieces: Callable[[bytes], Iterator[bytes]], call: Call) -> None:
    with serving(pieces) as server:
        with pytest.raises((ResponseTooLarge, Unavailable)):
            call(client(timeout_s=60), f"http://{server.host}/")
        assert server.was_cut.wait(20)
    assert server.sent < BUFFERS


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_bytes_are_counted_after_decoding(call: Call) -> None:
    head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(GZIP_BOMB)
    with serving(lambda _: iter([head, GZIP_BOMB])) as server, pytest.raises(ResponseTooLarge):
        call(client(timeout_s=60), f"http://{server.host}/")


def redirect(location: str, body: bytes = b"") -> Callable[[bytes], Iterator[bytes]]:
    head = b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Encoding: gzip\r\n\r\n" % location.encode()
    return endless(head, body) if body else lambda _: iter([head])


@pytest.mark.parametrize("follow", [True, False])
def test_the_body_of_a_redirect_is_not_read(follow: bool) -> None:
    with (
        serving(lambda _: iter([OK, b"Content-Length: 2\r\n\r\nok"])) as target,
        serving(redirect(f"http://{target.host}/", GZIP_BOMB)) as server,
    ):
        url = f"http://{server.host}/"
        if follow:
            assert get(client(timeout_s=60), url) == b"ok"
        else:
            reply = client(timeout_s=60).request("GET", url, vendor="x", operation="y", headers={})
            assert (reply.status, reply.body) == (302, b"")
        assert server.was_cut.wait(20)
    assert server.sent < BUFFERS


def test_redirects_share_one_deadline() -> None:
    def pieces(_: bytes) -> Iterator[bytes]:
        threading.Event().wait(TIMEOUT_S * 0.4)
        yield b"HTTP/1.1 302 Found\r\nLocation: /again\r\n\r\n"

    with serving(pieces) as server:
        with pytest.raises(Unavailable):
            get(client(), f"http://{server.host}/")
        assert server.requests < 5


def test_few_redirects_are_followed() -> None:
    with serving(redirect("/again")) as server, pytest.raises(Refused, match="redirects"):
        get(client(timeout_s=60), f"http://{server.host}/")
    assert server.requests == 6


@pytest.mark.parametrize("location", ["http://[::1]/", "http://10.0.0.1/", "http://1.1.1.1:22/", "file:///x"])
def test_each_redirect_is_checked(location: str) -> None:
    with serving(redirect(location)) as server, pytest.raises(AddressBlocked):
        get(client(timeout_s=60), f"http://{server.host}/")


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "169.254.169.254", "168.63.129.16", "100.100.100.200", "0.0.0.0"),
        *("[::]", "[::1]", "[::8.8.8.8]", "[::10.0.0.1]", "[::ffff:10.0.0.1]", "[::ffff:168.63.129.16]"),
        *("[fec0::1]", "[feff::1]", "[fe80::1]", "[fd00::1]", "[ff02::1]", "[4000::1]"),
        *("[64:ff9b::10.0.0.1]", "[64:ff9b:1::10.0.0.1]", "[2002:a00:1::]", "[2001:0:4136:e378::1]"),
        *("2130706433", "0x7f.1", "[::ffff:0:10.0.0.1]", "192.0.0.192", "192.0.0.8", "192.88.99.1"),
    ],
)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_addresses_that_are_not_public_are_refused(address: str, call: Call) -> None:
    with pytest.raises(AddressBlocked):
        call(HttpClient(timeout_s=20), f"http://{address}/")  # nothing is waited for


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "2a00:1450:4001::200e"])
def test_public_addresses_are_allowed(address: str) -> None:
    assert http_session.is_public(address)


@pytest.mark.parametrize("port", [0, 22, 25, 6379, 8188, 9443])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_unusual_ports_are_refused(port: int, call: Call) -> None:
    with pytest.raises(AddressBlocked, match=f"port {port} "):
        call(HttpClient(timeout_s=20), f"http://1.1.1.1:{port}/")


def test_a_configured_address_keeps_its_port_and_its_check() -> None:
    http = HttpClient(timeout_s=TIMEOUT_S)
    http.allow_port("http://10.0.0.1:9443/api")
    with pytest.raises(AddressBlocked, match="private network"):
        get(http, "http://10.0.0.1:9443/file")
    with pytest.raises(AddressBlocked, match="port 9444"):
        get(http, "http://10.0.0.1:9444/file")


@pytest.mark.parametrize("limits", [{"max_requests": 2}, {"max_requests_per_host": 2}])
def test_a_request_too_many_is_busy_and_reaches_no_server(limits: dict[str, int]) -> None:
    go_on = threading.Event()

    def pieces(_: bytes) -> Iterator[bytes]:
        arrived.release()
        go_on.wait(60)
        yield OK + b"Content-Length: 2\r\n\r\nok"

    arrived, results = threading.Semaphore(0), []
    with serving(pieces) as server:
        http, url = client(timeout_s=60, slot_wait_s=0.2, **limits), f"http://{server.host}/"
        threads = [threading.Thread(target=lambda: results.append(get(http, url))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for _ in threads:
            assert arrived.acquire(timeout=20)
        for call in (get, request, lambda http, url: request(http, url, "POST")):
            with pytest.raises(Busy):
                call(http, url)
        assert server.requests == 2
        go_on.set()
        for thread in threads:
            thread.join(20)
        assert results == [b"ok", b"ok"] == [get(http, url) for _ in range(2)]


def test_slow_downloads_from_many_hosts_leave_room_for_our_own_systems() -> None:
    go_on, arrived = threading.Event(), threading.Semaphore(0)

    def pieces(_: bytes) -> Iterator[bytes]:
        arrived.release()
        go_on.wait(60)
        yield OK + b"Content-Length: 2\r\n\r\nok"

    ok = lambda _: iter([OK + b"Content-Length: 2\r\n\r\nok"])  # noqa: E731
    with serving(pieces) as slow, serving(ok) as good:
        http = client(max_requests=4, timeout_s=60, slot_wait_s=0.2)
        threads = [threading.Thread(target=get, args=(http, f"http://{slow.host}/")) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in threads:
            assert arrived.acquire(timeout=20)
        with pytest.raises(Busy):
            get(http, f"http://{good.host}/")
        assert getattr(request(http, f"http://{good.host}/"), "body") == b"ok"  # noqa: B009
        go_on.set()
        for thread in threads:
            thread.join(20)


def test_errors_leave_no_slot_taken() -> None:
    with serving(lambda _: iter([b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"])) as server:
        http = client(max_requests=1, slot_wait_s=0.1, timeout_s=60)
        for _ in range(3):
            with pytest.raises(ConnectorError, match="500"):
                get(http, f"http://{server.host}/")


def answer_encoded_paths(location: str) -> Callable[[bytes], Iterator[bytes]]:
    """Answer /old with a redirect, and two paths only as they are encoded."""

    def pieces(request: bytes) -> Iterator[bytes]:
        path = request.split()[1]
        body = path if path in (b"/my%20photo.jpg", b"/St%C3%BChle.jpg") else b"?"
        moved = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\n".encode() if path == b"/old" else OK
        yield moved + f"Content-Length: {len(body)}\r\n\r\n".encode() + body

    return pieces


@pytest.mark.parametrize("path", ["my photo.jpg", "Stühle.jpg"])
@pytest.mark.parametrize("ends", ["{}", " {} ", "{}\n", "\u00a0{}\r\n"])
def test_addresses_are_taken_as_people_paste_them(path: str, ends: str) -> None:
    with serving(answer_encoded_paths("")) as server:
        assert get(client(), ends.format(f"http://{server.host}/{path}")) == f"/{quote(path)}".encode()


@pytest.mark.parametrize("location", ["/my photo.jpg", "/Stühle.jpg", "/my%20photo.jpg"])
def test_redirects_may_be_written_without_encoding(location: str) -> None:
    with serving(answer_encoded_paths(location)) as server:
        assert get(client(), f"http://{server.host}/old") == f"/{quote(location[1:], safe='%')}".encode()
