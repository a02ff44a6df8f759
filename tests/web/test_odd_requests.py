"""Requests that no browser sends: none is a 500, and no NUL, which PostgreSQL does not take, gets in."""

import re
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from gunicorn.http.body import Body, ChunkedReader
from gunicorn.http.unreader import IterUnreader

from dam_connector.adapters.http import AddressBlocked
from dam_connector.wiring import Services
from tests.support import rules_json
from tests.web.test_route_roles import TABLE

FORM_ROUTES = ("/login", "/batches", "/batches/check", "/gallery/comment", "/runs/retry")


def addresses(value: str) -> list[tuple[str, str]]:
    """Return method and address of each route, with a value for each variable part of it."""
    rows = [row.split(" ", 1) for row in TABLE if "/events" not in row]
    return [(m, re.sub(r"<any\((\w+)[^>]*>|<[^>]+>", lambda g: g[1] or value, rule)) for m, rule in rows]


def status(client: FlaskClient, method: str, path: str) -> int:
    with client.open(path, method=method) as answer:
        return int(answer.status_code) if "X-Y" not in answer.headers else 599


def test_a_nul_in_an_address_is_refused_by_each_route(api: Callable[[str], FlaskClient]) -> None:
    admin = api("admin")
    in_path = [(m, path) for m, path in addresses("%00") if "%00" in path]
    in_query = [(m, f"{path}?q=%00") for m, path in addresses("x")]
    answers = {f"{m} {path}": status(admin, m, path) for m, path in (*in_path, *in_query)}
    assert {request: answer for request, answer in answers.items() if answer != 400} == {}


def test_a_nul_in_a_form_or_a_file_name_is_refused(app: Flask, api: Callable[[str], FlaskClient]) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    admin = api("admin")
    for path in FORM_ROUTES:
        for form in ({"name": "a\0"}, {"a\0": "b"}):
            answer = admin.post(path, data=form)
            assert answer.status_code == 400 and "NUL" in answer.text, path
    file = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a\0.csv"\r\n\r\nsku\r\n--x--\r\n'
    answer = admin.post("/batches/check", data=file, content_type="multipart/form-data; boundary=x")
    assert answer.status_code == 400


def test_long_and_odd_addresses_are_no_500(api: Callable[[str], FlaskClient]) -> None:
    admin = api("admin")
    for value in ("a" * 300, "a/" * 2030, "%ED%A0%80%0d%0aX-Y:%20z"):
        for method, path in addresses(value):
            assert status(admin, method, path) < 500, f"{method} {path[:60]}"


@pytest.mark.parametrize("path", ["/webhooks/main", "/api/v1/products", "/login"])
@pytest.mark.parametrize("body", [b"-1\r\nx\r\n0\r\n\r\n", b"z\r\n", b"5\r\nab", b"2\r\n{}x0\r\n\r\n"])
def test_broken_chunks_are_the_fault_of_the_client(
    path: str, body: bytes, api: Callable[[str], FlaskClient]
) -> None:
    stream = Body(ChunkedReader(None, IterUnreader(iter([body]))))
    answer = api("admin").post(
        path,
        content_type="application/json",
        environ_overrides={
            "wsgi.input": stream,
            "wsgi.input_terminated": True,
            "CONTENT_LENGTH": "",
            "HTTP_TRANSFER_ENCODING": "chunked",
        },
    )
    assert answer.status_code == 400


def test_rules_that_are_only_checked_allow_no_port(
    api: Callable[[str], FlaskClient], services: Services
) -> None:
    shop = {
        "adapter": "woocommerce",
        "base_url": "http://1.1.1.1:6379",
        "consumer_key": "env/K",
        "consumer_secret": "env/S",
    }
    rules = rules_json()
    rules["connections"]["channel"]["shop"] = shop
    checked = api("admin").post("/api/v1/rules/check", json=rules)
    assert checked.json["good"], checked.text
    with pytest.raises(AddressBlocked, match="port 6379"):
        services.http.get("http://1.1.1.1:6379/", max_bytes=1)
