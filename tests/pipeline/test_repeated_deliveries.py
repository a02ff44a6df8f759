"""Deliveries with the same body: which of them repeat an earlier one, and which are meant."""

import hashlib
import hmac
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from dam_connector.adapters import open_adapter
from dam_connector.domain.rules import Connection
from dam_connector.ports import InboundWebhook
from dam_connector.usecases import intake
from dam_connector.wiring import Services
from tests.support import TestClock

MAPPING = {
    "type": "$.event",
    "types": {"saved": "updated", "removed": "deleted"},
    "fields": {"sku": "$.code", "name": "$.title", "front": "$.photo"},
}
PLAIN = {"header": "x-hub-signature-256", "prefix": "sha256="}
TIMED = {"header": "x-sign", "content": "{timestamp}.{body}", "timestamp_header": "x-time"}
SECRET = "s-of-sender"


@pytest.fixture
def send(services: Services, clock: TestClock, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    context = replace(services.adapter_context, secret=lambda reference: SECRET)
    opened: dict[str, Any] = {}
    monkeypatch.setattr(type(services), "pim", lambda self, name: opened["pim"])

    def send_one(event: str, *, form: dict[str, str], code: str = "CH123", forward: float = 1) -> Any:
        options = {"secrets": ["env/X"], "signature": form, "mapping": MAPPING}
        opened["pim"] = open_adapter("pim", "main", Connection(adapter="standard", options=options), context)
        clock.forward(forward)
        record = {"event": event, "code": code, "title": "Chair", "photo": "https://x.example/front.jpg"}
        body, stamp = json.dumps(record).encode(), str(int(clock.now().timestamp()))
        signed = f"{stamp}.".encode() + body if form is TIMED else body
        digest = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        headers = {"x-hub-signature-256": f"sha256={digest}", "x-sign": digest, "x-time": stamp}
        inbound = InboundWebhook(headers=headers, body=body, received_at=clock.now())
        return intake.receive_webhook(services, "main", inbound)

    return send_one


@pytest.mark.parametrize("form", [PLAIN, TIMED])
def test_a_change_that_is_taken_back_and_made_again_counts(
    send: Callable[..., Any], services: Services, form: dict[str, str]
) -> None:
    for event, is_deleted in (("saved", False), ("removed", True), ("saved", False), ("removed", True)):
        delivery_id, is_new = send(event, form=form)
        assert is_new
        intake.handle_delivery(services, delivery_id)
        record = services.products.get("CH123")
        assert record and record.deleted is is_deleted


def test_a_body_that_follows_directly_is_a_repeat_for_ten_minutes(send: Callable[..., Any]) -> None:
    first, is_new = send("saved", form=PLAIN)
    assert is_new and send("saved", form=PLAIN) == (first, False)
    assert send("saved", form=PLAIN, forward=500) == (first, False)
    second, is_new = send("saved", form=PLAIN, forward=601)
    assert is_new and second != first


def test_the_same_signed_time_is_the_same_delivery(send: Callable[..., Any]) -> None:
    first, is_new = send("saved", form=TIMED)
    assert is_new and send("saved", form=TIMED, forward=0) == (first, False)
    assert send("saved", form=TIMED, code="B", forward=0)[1]
    assert send("saved", form=TIMED, forward=0) == (first, False)  # the sender tries it again
    assert send("saved", form=TIMED)[1]


def test_other_connections_are_not_in_between(services: Services, clock: TestClock) -> None:
    inbound = InboundWebhook(headers={}, body=b"{}", received_at=clock.now())
    first, _ = services.inbox.add("main", "body", inbound, has_own_id=False)
    services.inbox.add("other", "else", inbound)
    assert services.inbox.add("main", "body", inbound, has_own_id=False) == (first, False)


def test_one_body_from_many_at_a_time_is_stored_once(services: Services, clock: TestClock) -> None:
    inbound = InboundWebhook(headers={}, body=b"{}", received_at=clock.now())

    def add(_: int) -> tuple[str, bool]:
        return services.inbox.add("main", "body", inbound, has_own_id=False)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(add, range(50)))
    assert len({each for each, _ in answers}) == 1 and sum(is_new for _, is_new in answers) == 1


def test_a_delivery_of_another_type_is_ignored_and_says_why(
    send: Callable[..., Any], services: Services
) -> None:
    delivery_id, _ = send("paid", form=TIMED)
    intake.handle_delivery(services, delivery_id)
    record = services.inbox.get(delivery_id)
    assert record and record.state == "ignored"
    assert record.summary == (
        "no event about a product: its type at $['event'] is 'paid'; known types: saved, removed"
    )
