"""Numbers and times from outside that int() and datetime trip over: each is refused, none is a bug."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient

from dam_connector.adapters.common.webhook_signatures import check_sent_at
from dam_connector.adapters.http import HttpClient
from dam_connector.domain.outside_values import decode_json, parse_integer, parse_timestamp, parse_unix_time
from dam_connector.errors import AdapterError, DeliveryError
from dam_connector.usecases import intake
from dam_connector.wiring import Services
from schemas.strict_json import load_json
from tests.support import TestClock, record, signed

ODD_TIMESTAMPS = ("999999999999", "²", "-1", "", "1e9", "9" * 5000, "٣", "0x10")


@pytest.mark.parametrize(
    "text", ["²", "٣", "-5", "", " 5", "1_0", "9" * 5000, "5.5", True, None, float("nan")]
)
def test_what_is_no_integer(text: object) -> None:
    assert parse_integer(text) is None and parse_integer("8", most=7) is None
    assert parse_integer("42") == parse_integer(42) == parse_integer(42.9) == 42


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0000-00-00", "soon", "", None, 5]
)
def test_what_is_no_time(text: object) -> None:
    assert parse_timestamp(text) is None
    assert parse_timestamp("2026-01-31T12:00:00+02:00") == datetime(2026, 1, 31, 10, tzinfo=UTC)


@pytest.mark.parametrize("text", ODD_TIMESTAMPS)
def test_a_signed_time_that_is_none_is_refused(text: str, clock: TestClock) -> None:
    assert parse_unix_time(text) is None
    with pytest.raises(DeliveryError) as refused:
        check_sent_at(text, clock.now(), "x-time")
    assert refused.value.status == 400 and "x-time" in str(refused.value)


@pytest.mark.parametrize("text", ["999999999999", "99999999999"])
def test_a_webhook_from_another_age_is_refused(client: FlaskClient, clock: TestClock, text: str) -> None:
    body = b"{}"
    answer = client.post(
        "/webhooks/main", data=body, headers={**signed(body, at=clock.now()), "webhook-timestamp": text}
    )
    assert answer.status_code == 400 and "webhook-timestamp" in answer.json["error"]["message"]


def deliver(
    client: FlaskClient, clock: TestClock, at: str, *, type: str = "product.created", **changes: str
) -> str:
    """Send a signed product event of a time; return the id of the delivery."""
    body = json.dumps({"type": type, "timestamp": at, "data": {**record(), **changes}}).encode()
    answer = client.post("/webhooks/main", data=body, headers=signed(body, at=clock.now(), message=at))
    assert answer.status_code == 202
    return str(answer.json["delivery_id"])


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_an_event_of_an_impossible_time_fails_with_its_place(
    client: FlaskClient, services: Services, clock: TestClock, at: str
) -> None:
    delivery = deliver(client, clock, at)
    intake.handle_delivery(services, delivery)
    stored = services.inbox.get(delivery)
    assert stored.state == "failed" and "/timestamp" in stored.error


def test_an_impossible_go_live_time_is_an_issue_not_a_bug(
    client: FlaskClient, services: Services, clock: TestClock
) -> None:
    delivery = deliver(client, clock, clock.now().isoformat(), live_from="0001-01-01T00:00:00+14:00")
    intake.handle_delivery(services, delivery)
    stored = services.inbox.get(delivery)
    assert stored.state == "failed" and "/live_from" in stored.error


def test_a_foreign_clock_is_believed_five_minutes_into_the_future(
    client: FlaskClient, services: Services, clock: TestClock
) -> None:
    """A product that its source dates to the year 2900 would never change again."""
    intake.handle_delivery(services, deliver(client, clock, "2900-01-01T00:00:00Z", name="First"))
    assert services.products.get("CH123").source_time == clock.now()
    assert "ahead of our clock" in services.inbox.page(limit=1)[0].summary
    intake.handle_delivery(services, deliver(client, clock, clock.now().isoformat(), name="At once"))
    assert services.products.get("CH123").product.name == "At once"
    clock.forward(600)
    intake.handle_delivery(services, deliver(client, clock, clock.now().isoformat(), name="Second"))
    assert services.products.get("CH123").product.name == "Second"
    clock.forward(1)
    intake.handle_delivery(services, deliver(client, clock, clock.now().isoformat(), type="product.deleted"))
    assert services.products.get("CH123").deleted


@pytest.fixture
def answer_with() -> Iterator[Callable[[bytes], str]]:
    """Serve the same bytes to every connection; the function returns the address."""
    server = socket.create_server(("127.0.0.1", 0))

    def start(data: bytes) -> str:
        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with closing(connection):
                    connection.recv(65_536)
                    connection.sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}/"

    yield start
    server.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
        b"HTTP/1.1 302 Found\r\nLocation: http://[\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 429 Slow\r\nRetry-After: \xb2\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 \xb2 OK\r\n\r\n",
    ],
)
def test_answers_that_break_a_reader_are_failures_of_the_other_side(
    answer_with: Callable[[bytes], str], answer: bytes
) -> None:
    http, url = HttpClient(frozenset({"127.0.0.1"}), timeout_s=5), answer_with(answer)
    with pytest.raises(AdapterError):
        http.get(url, max_bytes=100)
    with suppress(AdapterError):  # the first bytes may be good
        http.get_first_bytes(url, count=10, timeout_s=5)
    for method in ("GET", "POST"):
        try:
            reply = http.request(method, url, vendor="x", operation="y", headers={})
        except AdapterError:
            continue
        assert reply.status in (302, 429) and reply.retry_after_s(7) == 7


def test_odd_lengths_are_ignored_and_long_waits_are_not_believed(
    answer_with: Callable[[bytes], str],
) -> None:
    http = HttpClient(frozenset({"127.0.0.1"}), timeout_s=5)
    url = answer_with(b"HTTP/1.1 200 OK\r\nContent-Length: \xb2\r\nRetry-After: 99999999999\r\n\r\nhello")
    assert http.get(url, max_bytes=100) == b"hello"
    reply = http.request("POST", url, vendor="x", operation="y", headers={})
    assert reply.retry_after_s(7) == 86_400


def test_json_that_is_nested_too_deeply_is_no_json(answer_with: Callable[[bytes], str]) -> None:
    body = b"[" * 100_000
    url = answer_with(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    reply = HttpClient(frozenset({"127.0.0.1"}), timeout_s=5).request(
        "GET", url, vendor="x", operation="y", headers={}
    )
    with pytest.raises(AdapterError):
        reply.json("x", "y")


UNWORKABLE = ("[" * 100_000, '{"a":' * 101 + "1" + "}" * 101, '{"sku": ' + "9" * 5000 + "}", "{")


@pytest.mark.parametrize("text", UNWORKABLE, ids=["deep", "101 deep", "5000 digits", "cut"])
def test_json_that_cannot_be_worked_with_is_refused_everywhere(
    text: str, client: FlaskClient, api: Callable[[str], FlaskClient], clock: TestClock, services: Services
) -> None:
    body = text.encode()
    with pytest.raises(ValueError):
        decode_json(body)
    admin = api("admin")
    for path in ("/products", "/versions/x/decision", "/versions/x/waivers", "/versions/x/regenerate"):
        answer = admin.post(f"/api/v1{path}", data=body, content_type="application/json")
        assert answer.status_code == 400 and answer.json["error"]["problems"], path
    sent = client.post("/webhooks/main", data=body, headers=signed(body, at=clock.now()))
    assert sent.status_code in (202, 400)
    if sent.status_code == 202:
        delivery_id = sent.json["delivery_id"]
        with suppress(AdapterError):  # a failure of the sender, not a bug of ours
            intake.handle_delivery(services, delivery_id)
        assert admin.get(f"/deliveries/{delivery_id}").status_code == 200


@pytest.mark.parametrize("unclean", ["\\u0000", "\\ud800", "\\ud83d x"])
@pytest.mark.parametrize(
    "body", ['{"text": "a%s"}', '{"text": "a", "%s": 1}', '{"text": "a", "x": [{"y": ["%s"]}]}']
)
def test_no_body_brings_a_nul_or_half_a_surrogate_pair(
    body: str, unclean: str, api: Callable[[str], FlaskClient]
) -> None:
    admin = api("admin")
    for path in (
        "/products",
        "/versions/x/comments",
        "/guest-links",
        "/rules/check",
        "/versions/bulk/comments",
    ):
        sent = admin.post(f"/api/v1{path}", data=body % unclean, content_type="application/json")
        (problem,) = sent.json["error"]["problems"]
        assert sent.status_code == 400 and "NUL or half a surrogate pair" in problem, path


def test_whole_pairs_and_written_backslashes_are_clean() -> None:
    assert load_json('["\\ud83d\\ude00", "\\\\u0000"]') == ["\U0001f600", "\\u0000"]


def test_half_surrogate_pairs_are_no_utf8() -> None:
    with pytest.raises(ValueError):
        decode_json(b'"\xed\xa0\x80"')


def test_json_as_deep_as_allowed_is_read() -> None:
    assert decode_json("[" * 100 + "]" * 100) and decode_json(b'{"a": [1, {"b": null}]}')["a"][0] == 1
