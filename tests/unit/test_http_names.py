"""The outgoing HTTP client while a resolver of names hangs: nobody waits for it longer than for an answer."""

import socket
import threading
from collections.abc import Iterator

import pytest

from dam_connector.adapters.common import http_session
from dam_connector.adapters.http import HttpClient
from dam_connector.errors import Busy, Unavailable
from tests.unit.test_http import CALLS, OK, TIMEOUT_S, Call, first_bytes, get, request, serving


class HangingNames:
    """A resolver that answers for `slow.test` only when it is let go, with an address of loopback."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked, self.ended = threading.Semaphore(0), threading.Semaphore(0)
        self.go_on, self._lookup = threading.Event(), socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self)

    def __call__(self, host: str, *args: object, **kwargs: object) -> object:
        if not str(host).endswith("slow.test"):
            return self._lookup(host, *args, **kwargs)  # type: ignore[arg-type]
        self.asked.release()
        self.go_on.wait(60)
        self.ended.release()
        return self._lookup("127.0.0.1", *args, **kwargs)  # type: ignore[arg-type]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[HangingNames]:
    made = HangingNames(monkeypatch)
    yield made
    made.go_on.set()


@pytest.mark.parametrize("is_allowed", [False, True])
@pytest.mark.parametrize("call", [*CALLS.values(), first_bytes, lambda h, u: request(h, u, "POST")])
def test_a_name_that_is_not_found_in_time_is_cut(call: Call, is_allowed: bool, names: HangingNames) -> None:
    http = HttpClient(frozenset({"slow.test"} if is_allowed else ()), timeout_s=TIMEOUT_S)
    with pytest.raises(Unavailable, match="no connection"):  # also for POST: nothing was sent
        call(http, "http://slow.test/")
    assert names.asked.acquire(timeout=0) and not names.ended.acquire(timeout=0)


def test_a_connection_that_comes_too_late_is_closed(names: HangingNames) -> None:
    with serving(lambda _: iter([OK, b"Content-Length: 2\r\n\r\nok"])) as server:
        port = server.host.rpartition(":")[2]
        with pytest.raises(Unavailable):
            get(HttpClient(frozenset({"slow.test"}), timeout_s=TIMEOUT_S), f"http://slow.test:{port}/")
        assert server.requests == 0
        names.go_on.set()
        assert server.was_cut.wait(20)


def test_hanging_names_leave_room_for_our_own_systems(
    names: HangingNames, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_session, "lookups", http_session.Lookups(total=4, per_host=2))
    http = HttpClient(frozenset({"localhost"}), timeout_s=TIMEOUT_S)
    for number in range(3):
        with pytest.raises(Unavailable):
            get(http, f"http://{number}.slow.test/")
    with serving(lambda _: iter([OK, b"Content-Length: 2\r\n\r\nok"])) as good:
        url = f"http://localhost:{good.host.rpartition(':')[2]}/"
        for _ in range(2):
            with pytest.raises(Busy):
                get(http, url)
        assert request(http, url).body == b"ok"
        names.go_on.set()
        for _ in range(3):
            assert names.ended.acquire(timeout=20)
        assert get(http, url) == b"ok"
