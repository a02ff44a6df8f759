"""Addresses that lead into our network, or nowhere: those of tests/data/hostile_urls.json are tried out."""

import contextlib
import json
import re
import socket
import ssl
import threading
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pytest

from dam_connector.adapters.common import http_session
from dam_connector.adapters.http import AddressBlocked, HttpClient
from dam_connector.errors import Unavailable
from tests.certificates import write_credential
from tests.support import ROOT
from tests.unit.test_http import Call, first_bytes, get, redirect, request, serving

URLS: list[tuple[str, str]] = json.loads((ROOT / "tests/data/hostile_urls.json").read_text())
WAYS: dict[str, Call] = {
    "get": get,
    "first bytes": first_bytes,
    "request": request,
    "POST": partial(request, method="POST"),
}


@pytest.fixture
def no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of other hosts are unknown."""

    def look_up(host: str, *args: object, **kwargs: object) -> object:
        if any(c.isalpha() for c in str(host).replace("x", "")) and "localhost" not in str(host).lower():
            kwargs["flags"] = socket.AI_NUMERICHOST
        return real(host, *args, **kwargs)  # type: ignore[arg-type]

    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", look_up)


@pytest.fixture
def no_connection(no_names: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """No connection is made."""

    def connect(connection: object) -> object:
        raise AssertionError("a connection was made")

    monkeypatch.setattr(http_session._LimitedConnection, "_new_conn", connect)


@pytest.mark.parametrize("call", WAYS.values(), ids=WAYS)
def test_no_form_of_an_inner_address_is_called(call: Call, no_connection: None) -> None:
    assert len(URLS) >= 95 and len({url for url, _ in URLS}) == len(URLS)
    http, blocked = HttpClient(timeout_s=5), 0
    for url, why in URLS:
        try:
            call(http, url)
        except (AddressBlocked, Unavailable) as error:  # also for POST: nothing was sent
            blocked += isinstance(error, AddressBlocked)
        else:
            raise AssertionError(f"{url}: {why}")
    assert blocked >= len(URLS) - 5  # the others are names that nobody knows


def test_no_redirect_leads_to_an_inner_address(no_names: None) -> None:
    absolute = [
        url for url, _ in URLS if re.match(r"[\w+]+://[^/]", url) and url.isascii() and url.isprintable()
    ]
    locations = iter(absolute)
    with serving(lambda head: redirect(next(locations))(head)) as server:
        http = HttpClient(frozenset({server.host}), timeout_s=5)
        for url in absolute:
            with pytest.raises((AddressBlocked, Unavailable)):
                get(http, f"http://{server.host}/{quote(url)}")
        assert server.requests == len(absolute) > 80


@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["::1"], ["169.254.169.254", "1.1.1.1"], ["fec0::1"]])
def test_names_that_lead_to_an_inner_address_are_refused(
    addresses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_up(host: str, port: int, *args: object, **kwargs: object) -> list[tuple[object, ...]]:
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port),
            )
            for address in addresses
        ]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    for call in WAYS.values():
        with pytest.raises(AddressBlocked):
            call(HttpClient(timeout_s=5), "http://inner.test/")


def serve_tls(listener: socket.socket, context: ssl.SSLContext) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as tls:
                tls.recv(10)


def test_a_request_that_was_not_sent_is_known_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A paid request whose fate is unknown waits for a person; one that was never sent is tried again."""

    def unknown(*_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unavailable):  # nobody listens there
        request(HttpClient(frozenset({"127.0.0.1"})), f"http://127.0.0.1:{port}/", "POST")
    files = write_credential(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["c2pa_certificate"], files["c2pa_key"])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve_tls, args=(listener, context), daemon=True).start()
        with pytest.raises(Unavailable):  # nobody trusts its certificate
            request(
                HttpClient(frozenset({"127.0.0.1"})),
                f"https://127.0.0.1:{listener.getsockname()[1]}/",
                "POST",
            )
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    for allowed in (frozenset[str](), frozenset({"down.test"})):
        with pytest.raises(Unavailable):
            request(HttpClient(allowed), "http://down.test/", "POST")
