"""Slow and greedy clients at the web server: good requests are answered meanwhile, bad ones are cut."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import BoundedSemaphore

import pytest
from gunicorn.config import Config
from gunicorn.workers.gthread import ThreadWorker

from dam_connector.ops.supervisor import web_command
from dam_connector.settings import Settings
from dam_connector.web_server.received_request import MAX_BODY_BYTES, MAX_HEADER_BYTES, ReceivedRequest
from dam_connector.web_server.timed_socket import TimedSocket
from dam_connector.web_server.worker import Connection, PatientWorker
from tests.processes import free_port
from tests.web.patient_server import LARGE

CHUNKED = b"POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
HEAD = b"POST /read HTTP/1.1\r\nHost: a\r\n"


@contextmanager
def running(*options: str) -> Iterator[int]:
    port = free_port()
    command = [sys.executable, "-m", "tests.web.patient_server", str(port), *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_listening(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def wait_until_listening(port: int, process: "subprocess.Popen[bytes]") -> None:
    while process.poll() is None:
        try:
            if ask(port, HEAD + b"Content-Length: 2\r\n\r\nab"):
                return
        except OSError:
            continue


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with running() as port:
        yield port


@pytest.fixture(scope="module")
def impatient_port() -> Iterator[int]:
    """The port of a server that waits for half a second."""
    with running("short") as port:
        yield port


def connect(port: int, data: bytes) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), 20)
    client.sendall(data)
    return client


def read_all(client: socket.socket) -> bytes:
    """Read until the server closes the connection."""
    received = b""
    try:
        while data := client.recv(65_536):
            received += data
    except ConnectionError:
        pass
    return received


def ask(port: int, request: bytes) -> bytes:
    """Send a request on a connection of its own; return the response."""
    with connect(port, request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)) as client:
        return read_all(client)


@pytest.mark.parametrize(
    ("count", "part"),
    [
        (12, HEAD + b"Content-Length: 1000\r\n\r\nabc"),
        (60, HEAD + b"X-Slow: "),
        (30, b""),
        (12, HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"),
        (12, HEAD + b"Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n"),
        (6, HEAD + b"Content-Length: 5000000\r\n\r\nabc"),
        (6, b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n"),
    ],
    ids=["bodies", "headers", "nothing", "chunked", "expecting", "large bodies", "slow readers"],
)
def test_good_requests_are_answered_during_an_attack(port: int, count: int, part: bytes) -> None:
    with ExitStack() as attack:
        for _ in range(count):
            attack.enter_context(connect(port, part))
        for _ in range(5):
            assert ask(port, HEAD + b"Content-Length: 2\r\n\r\nab").endswith(b"\r\n\r\n2")


@pytest.mark.parametrize("part", [HEAD + b"X-Slow: ", HEAD + b"Content-Length: 9\r\n\r\nabc", b""])
def test_half_a_request_is_cut(impatient_port: int, part: bytes) -> None:
    with connect(impatient_port, part) as client:
        assert read_all(client) == b""


def test_half_a_large_body_is_refused(impatient_port: int) -> None:
    with connect(impatient_port, HEAD + b"Content-Length: 5000000\r\n\r\nabc") as client:
        assert read_all(client).startswith(b"HTTP/1.1 408 ")


def test_a_reader_that_stops_is_cut_and_others_get_all(impatient_port: int) -> None:
    large = b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with connect(impatient_port, large) as slow:
        slow.recv(10)
        with connect(impatient_port, b"") as cut_later:  # after as long a time
            read_all(cut_later)
        assert len(read_all(slow)) < len(LARGE)
    with connect(impatient_port, large) as good:
        assert len(read_all(good)) > len(LARGE)


def test_headers_have_a_limit(port: int) -> None:
    response = ask(port, HEAD + b"".join(b"X-%d: %s\r\n" % (n, b"x" * 1000) for n in range(40)))
    assert response.startswith(b"HTTP/1.1 431 ")


def test_an_upload_that_is_refused_is_not_read(port: int) -> None:
    with connect(port, b"POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 300000000\r\n\r\n") as client:
        assert client.recv(100).startswith(b"HTTP/1.1 401 ")
        client.settimeout(0.2)
        sent = 0
        with pytest.raises(OSError):
            while True:
                sent += client.send(bytes(65_536))
        assert sent < 50_000_000


def test_requests_that_follow_each_other_on_a_connection_are_answered_in_order(port: int) -> None:
    two = HEAD + b"Content-Length: 2\r\n\r\nab" + HEAD + b"Content-Length: 3\r\n\r\nabc"
    last = HEAD + b"Content-Length: 4\r\nConnection: close\r\n\r\nabcd"
    with connect(port, two + last[:30]) as client:
        client.sendall(last[30:])
        received = read_all(client)
    assert [part[-1:] for part in received.split(b"HTTP/1.1 200 OK")[1:]] == [b"2", b"3", b"4"]


def test_long_and_chunked_bodies_arrive_whole(port: int) -> None:
    assert ask(port, HEAD + b"Content-Length: 5000000\r\n\r\n" + bytes(5_000_000)).endswith(b"5000000")
    chunks = b"2710\r\n" + bytes(10_000) + b"\r\n3\r\nabc\r\n0\r\n\r\n"
    assert ask(port, CHUNKED + chunks).endswith(b"10003")


@pytest.mark.parametrize(
    "body",
    [
        b"3\r\nabc\r\n0\r\nX-Checksum: 1\r\n\r\n",
        b"3\r\nabc\r\n0\r\nA: 1\r\nB: 0\r\n\r\n",
        b"3;name=value\r\nabc\r\n0;last\r\n\r\n",
        b"0003\r\nabc\r\n000\r\n\r\n",
    ],
    ids=["a trailer", "trailers", "extensions", "zeros"],
)
def test_a_chunked_body_ends_with_its_trailers(impatient_port: int, body: bytes) -> None:
    """A server that waits for more drops the connection without an answer."""
    assert ask(impatient_port, CHUNKED + body).endswith(b"\r\n\r\n3")
    for cut in range(1, len(body)):
        request = ReceivedRequest(CHUNKED + body[:cut])
        assert not request.is_complete, body[:cut]
        request.add(body[cut:])
        assert request.is_complete


def test_a_chunk_that_looks_like_the_end_is_none() -> None:
    request = ReceivedRequest(CHUNKED + b"7\r\nab0\r\n\r\n")
    assert not request.is_complete
    request.add(b"\r\n0\r\n\r\n")
    assert request.is_complete


@pytest.mark.parametrize(
    "body", [b"-5\r\nhello\r\n", b"zz\r\n", b"1" * 5000, b"3" + b";x" * 3000, b"0\r\n" + b"X: y\r\n" * 9000]
)
def test_broken_chunks_are_refused_at_once(impatient_port: int, body: bytes) -> None:
    request = ReceivedRequest(CHUNKED + body)
    assert not request.is_complete and request.is_broken
    assert ask(impatient_port, CHUNKED + body)[:12] == b"HTTP/1.1 400"


def test_a_request_behind_a_chunked_one_is_answered(impatient_port: int) -> None:
    second = HEAD + b"Content-Length: 2\r\nConnection: close\r\n\r\nab"
    with connect(impatient_port, CHUNKED + b"3\r\nabc\r\n0\r\n\r\n" + second) as client:
        received = read_all(client)
    assert [part[-1:] for part in received.split(b"HTTP/1.1 200 OK")[1:]] == [b"3", b"2"]


def test_a_thread_gets_a_request_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """gunicorn copies all that it has for each chunk: a megabyte of tiny chunks took eight seconds."""
    monkeypatch.setattr(ThreadWorker, "handle", lambda self, conn: conn.parser.unreader.read())
    near, far = socket.socketpair()
    with near, far:
        conn = Connection(Config(), TimedSocket(near, BoundedSemaphore()), ("", 0), ("", 0))
        whole = CHUNKED + b"1\r\na\r\n" * 20_000 + b"0\r\n\r\n"
        conn.request = ReceivedRequest(whole)
        piece = PatientWorker.__new__(PatientWorker).handle(conn)
        assert len(piece) <= 8192 and piece + conn.sock.take_early() == whole


def test_a_client_that_waits_for_a_word_gets_it(port: int) -> None:
    head = HEAD + b"Content-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    with connect(port, head) as client:
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"ab")
        assert read_all(client).endswith(b"\r\n\r\n2")


@pytest.mark.parametrize("cut", [1, 7, 40, 60])
def test_a_request_is_complete_with_its_last_byte(cut: int) -> None:
    whole = HEAD + b"Content-Length: 10\r\n\r\n0123456789"
    request = ReceivedRequest(whole[:cut])
    for byte in whole[cut:-1]:
        request.add(bytes([byte]))
        assert not request.is_complete
    request.add(whole[-1:])
    assert request.is_complete and request.data == whole


def test_large_requests_are_recognised_by_their_headers() -> None:
    request = ReceivedRequest(HEAD + b"Content-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1))
    assert request.is_large and not request.is_complete
    assert ReceivedRequest(b"x" * (MAX_HEADER_BYTES + 1)).has_too_large_headers


def test_the_service_runs_under_this_worker() -> None:
    command = web_command(Settings())
    assert "dam_connector.web_server.worker.PatientWorker" in command and "--no-sendfile" in command
    assert command[command.index("--forwarder-headers") + 1] == ""  # no client sets SCRIPT_NAME
