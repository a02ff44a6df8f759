"""The `Pim` port: verification of deliveries, their keys and their events."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from dam_connector.adapters import open_adapter
from dam_connector.domain.event import EventKind
from dam_connector.domain.rules import Connection
from dam_connector.errors import BadOutput, DeliveryError, Unavailable, Unsupported
from dam_connector.ports import InboundWebhook, Pim
from dam_connector.wiring import Services
from tests.support import ROOT, TestClock, event_body, inbound, product, record, signed


@dataclass
class Harness:
    """One adapter, and how to sign deliveries for it."""

    adapter: Pim
    headers: Callable[[bytes, str], dict[str, str]]
    forged: dict[str, str]


@pytest.fixture(params=["standard", "memory"])
def harness(request: pytest.FixtureRequest, services: Services, clock: TestClock) -> Harness:
    if request.param == "standard":
        return Harness(
            services.pim("main"),
            lambda body, key: signed(body, at=clock.now(), message=key),
            {"webhook-signature": "v1,AAAA"},
        )
    secret = {"x-memory-secret": "token-for-tests"}
    return Harness(
        services.pim("mem"), lambda body, key: {**secret, "x-memory-id": key}, {"x-memory-secret": "wrong"}
    )


def deliver(
    harness: Harness, clock: TestClock, data: dict[str, Any], kind: str = "product.created", key: str = "k1"
) -> InboundWebhook:
    body = event_body(data, kind=kind, at=clock.now())
    return inbound(body, harness.headers(body, key), clock.now())


def test_a_proved_delivery_has_its_senders_key(harness: Harness, clock: TestClock) -> None:
    assert harness.adapter.verify(deliver(harness, clock, record(), key="abc")).key == "abc"


def test_a_forged_delivery_is_401(harness: Harness, clock: TestClock) -> None:
    found = deliver(harness, clock, record())
    with pytest.raises(DeliveryError) as refusal:
        harness.adapter.verify(
            InboundWebhook(
                headers={**found.headers, **harness.forged}, body=found.body, received_at=found.received_at
            )
        )
    assert refusal.value.status == 401


@pytest.mark.parametrize("kind", ["created", "updated", "deleted"])
def test_the_meaning_of_a_delivery(harness: Harness, clock: TestClock, kind: str) -> None:
    (event,) = harness.adapter.normalize(deliver(harness, clock, record("CH1"), f"product.{kind}"))
    assert event.kind is EventKind(kind) and event.ref == "CH1" and event.at == clock.now()
    assert (event.product is None) == (kind == "deleted")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'{"type":"x","timestamp":"y","data":{}}',
        b"[" * 3000,
        b'{"data":{"sku":"\\u0000"}}',
    ],
)
def test_nonsense_is_bad_output(harness: Harness, clock: TestClock, body: bytes) -> None:
    with pytest.raises(BadOutput):
        harness.adapter.normalize(
            InboundWebhook(headers={"content-type": "application/json"}, body=body, received_at=clock.now())
        )


def test_what_cannot_be_asked_says_so(harness: Harness, clock: TestClock) -> None:
    if not harness.adapter.capabilities.can_list_changes:
        with pytest.raises(Unsupported):
            harness.adapter.changed_since(clock.now())
    if not harness.adapter.capabilities.can_fetch:
        with pytest.raises(Unsupported):
            harness.adapter.fetch("CH123")


def test_memory_fetches_lists_changes_and_fails_on_request(services: Services, clock: TestClock) -> None:
    source = services.pim("mem")
    source.put(product("A"), clock.now())
    assert source.fetch("A") == [product("A")]
    assert [e.ref for e in source.changed_since(clock.now() - timedelta(seconds=1))] == ["A"]
    source.fail_with = Unavailable("memory", "fetch", "down")
    with pytest.raises(Unavailable):
        source.fetch("A")


def test_either_of_two_secrets_proves_a_sender(services: Services, clock: TestClock) -> None:
    body = event_body(record(), at=clock.now())
    headers = signed(body, at=clock.now(), secret="whsec_b2xkLXNlY3JldC1vbGQtc2VjcmV0")
    assert services.pim("main").verify(inbound(body, headers, clock.now())).key == "msg_1"


@pytest.mark.parametrize("off_s", [-301, 301])
def test_the_window_is_five_minutes(services: Services, clock: TestClock, off_s: int) -> None:
    body = event_body(record(), at=clock.now())
    headers = signed(body, at=clock.now() + timedelta(seconds=off_s))
    with pytest.raises(DeliveryError) as refusal:
        services.pim("main").verify(inbound(body, headers, clock.now()))
    assert refusal.value.status == 401


def cloud_event(clock: TestClock) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": "ev-1",
        "source": "/pim",
        "type": "product.created",
        "time": clock.now().isoformat(),
        "data": record("CE1"),
    }


def test_cloudevents_structured_and_binary(services: Services, clock: TestClock) -> None:
    source, event = services.pim("main"), cloud_event(clock)
    structured = json.dumps(event).encode()
    headers = {"content-type": "application/cloudevents+json", "authorization": "Bearer token-for-tests"}
    found = inbound(structured, headers, clock.now())
    assert source.verify(found).key == "/pim#ev-1"
    assert source.normalize(found)[0].ref == "CE1"
    binary = inbound(
        json.dumps(event["data"]).encode(),
        {
            "content-type": "application/json",
            "authorization": "Bearer token-for-tests",
            "ce-id": "ev-2",
            "ce-source": "/pim",
            "ce-type": "product.updated",
            "ce-time": event["time"],
            "ce-specversion": "1.0",
        },
        clock.now(),
    )
    assert source.verify(binary).key == "/pim#ev-2"
    assert source.normalize(binary)[0].kind is EventKind.UPDATED


def test_a_wrong_token_or_none_is_401(services: Services, clock: TestClock) -> None:
    for headers in ({"authorization": "Bearer wrong"}, {"authorization": "Bearer "}, {}):
        with pytest.raises(DeliveryError) as refusal:
            services.pim("main").verify(inbound(b"{}", headers, clock.now()))
        assert refusal.value.status == 401


def test_a_real_delivery_of_a_standard_webhooks_sender_verifies(
    services: Services, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Vendure's plugin signs with the plain bytes of its secret: captured on the wire."""
    from datetime import UTC, datetime

    first = json.loads((ROOT / "tests/data/vendure.jsonl").read_text().splitlines()[0])
    at = datetime.fromtimestamp(int(first["headers"]["webhook-timestamp"]), UTC)
    context = services.adapter_context
    object.__setattr__(context, "secret", lambda reference: "whsec-probe")
    source = open_adapter("pim", "x", Connection(adapter="standard", options={"secrets": ["env/X"]}), context)
    assert (
        source.verify(inbound(first["body"].encode(), first["headers"], at)).key
        == first["headers"]["webhook-id"]
    )


def test_product_url_is_asked_for_the_newest_facts(services: Services, photos: Any, clock: TestClock) -> None:
    photos.files["p/CH%2F1"] = json.dumps(record("CH/1", name="As it is now")).encode()
    options = {"secrets": ["env/HOOK_SECRET"], "product_url": photos.url("p/{sku}")}
    source = open_adapter(
        "pim", "x", Connection(adapter="standard", options=options), services.adapter_context
    )
    assert source.capabilities.can_fetch and source.fetch("CH/1")[0].name == "As it is now"
    photos.files["p/BAD"] = b'{"no":"sku"}'
    with pytest.raises(BadOutput):
        source.fetch("BAD")


@pytest.mark.parametrize("kind", ["category.updated", "product.price_changed", "com.example.stock.v1"])
def test_an_event_of_another_type_is_ignored(harness: Harness, clock: TestClock, kind: str) -> None:
    assert harness.adapter.normalize(deliver(harness, clock, record("CH1"), kind)) == []
