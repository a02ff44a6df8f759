"""Deliveries that arrive twice, in the wrong order, too late or not at all, for every PIM with webhooks."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from dam_connector.adapters import open_adapter
from dam_connector.adapters.common.context import AdapterContext
from dam_connector.adapters.http import HttpClient
from dam_connector.domain.event import EventKind
from dam_connector.domain.product import Product
from dam_connector.domain.rules import Connection
from dam_connector.errors import DeliveryError, NotFound
from dam_connector.ports import InboundWebhook, Pim
from dam_connector.usecases import intake
from dam_connector.usecases.backfill import poll_pims
from dam_connector.wiring import Services
from tests.contracts.documented_pims import AKENEO, SHOPIFY
from tests.support import SECRET, TestClock, event_body, product, signed

WORDS = "secret-1"


@dataclass
class VendorDelivery:
    """A vendor's delivery about one product."""

    options: dict[str, Any]  # of the connection
    make: Callable[[str, str, datetime], tuple[dict[str, str], bytes]]
    late_s: float = 0  # the age that is refused; 0 if no time in it is signed


def _hmac(body: bytes, secret: str = WORDS) -> bytes:
    return hmac.new(secret.encode(), body, hashlib.sha256).digest()


def _woo(ref: str, id: str, at: datetime) -> tuple[dict[str, str], bytes]:
    body = json.dumps({"id": int(ref), "date_modified_gmt": at.strftime("%Y-%m-%dT%H:%M:%S")}).encode()
    sign = base64.b64encode(_hmac(body)).decode()
    return {
        "x-wc-webhook-topic": "product.updated",
        "x-wc-webhook-delivery-id": id,
        "x-wc-webhook-signature": sign,
    }, body


def _saleor(ref: str, id: str, at: datetime) -> tuple[dict[str, str], bytes]:
    body = json.dumps({"issuedAt": at.isoformat(), "product": {"id": ref}}).encode()
    return {"saleor-event": "product_updated", "saleor-signature": _hmac(body).hex()}, body


def _vendure(ref: str, id: str, at: datetime) -> tuple[dict[str, str], bytes]:
    body = json.dumps({"type": "product.updated", "timestamp": at.isoformat(), "data": {"id": ref}}).encode()
    return signed(body, at=at, message=id), body


def _standard(ref: str, id: str, at: datetime) -> tuple[dict[str, str], bytes]:
    body = event_body({"sku": ref, "name": "x"}, kind="product.updated", at=at)
    return signed(body, at=at, message=id), body


def _akeneo(ref: str, id: str, at: datetime) -> tuple[dict[str, str], bytes]:
    said = {
        "id": id,
        "type": "com.akeneo.pim.v1.product.updated",
        "time": at.isoformat(),
        "data": {"product": {"uuid": ref}},
    }
    body = json.dumps(said).encode()
    return {"x-akeneo-signature-primary": _hmac(body).hex()}, body


def _shopify(ref: str, id: str, at: datetime) -> tuple[dict[str, str], bytes]:
    body = json.dumps({"id": int(ref), "updated_at": at.isoformat()}).encode()
    sign = base64.b64encode(_hmac(body)).decode()
    return {
        "x-shopify-topic": "products/update",
        "x-shopify-event-id": id,
        "x-shopify-hmac-sha256": sign,
    }, body


HOOK = {"secrets": ["env/S"]}
DELIVERIES: dict[str, VendorDelivery] = {
    "standard": VendorDelivery({"secrets": ["env/W"]}, _standard, late_s=300),
    "woocommerce": VendorDelivery(
        {**HOOK, "base_url": "https://shop.example", "consumer_key": "env/S", "consumer_secret": "env/S"},
        _woo,
    ),
    "saleor": VendorDelivery({**HOOK, "api_url": "https://shop.example/graphql/", "token": "env/S"}, _saleor),
    "vendure": VendorDelivery(
        {"secrets": ["env/W"], "base_url": "https://shop.example", "password": "env/S"}, _vendure, late_s=300
    ),
    "akeneo": VendorDelivery({**AKENEO, "base_url": "https://pim.example"}, _akeneo, late_s=86_400),
    "shopify": VendorDelivery({**SHOPIFY, "base_url": "https://shop.example"}, _shopify),
}


class PimWithOwnProducts:
    """A PIM that verifies and reads deliveries as the vendor's adapter does, with products of its own."""

    def __init__(self, vendor: Pim) -> None:
        self._vendor = vendor
        self.capabilities = replace(vendor.capabilities, can_fetch=True, can_list_changes=True)
        self.facts: dict[str, tuple[Product, datetime]] = {}
        self.verify, self.normalize = vendor.verify, vendor.normalize

    def fetch(self, ref: str) -> list[Product]:
        if ref not in self.facts:
            raise NotFound("told", "fetch", ref)
        return [self.facts[ref][0]]

    def changed_since(self, since: datetime) -> Iterator[Any]:
        from dam_connector.domain.event import Event

        return (
            Event(kind=EventKind.UPDATED, ref=ref, at=at)
            for ref, (_, at) in self.facts.items()
            if at >= since
        )


@pytest.fixture(params=list(DELIVERIES))
def sent(request: pytest.FixtureRequest) -> VendorDelivery:
    return DELIVERIES[request.param]


@pytest.fixture
def source(
    sent: VendorDelivery, services: Services, context: AdapterContext, monkeypatch: pytest.MonkeyPatch
) -> PimWithOwnProducts:
    name = next(n for n, each in DELIVERIES.items() if each is sent)
    secrets = {"env/S": WORDS, "env/S2": "secret-2", "env/W": SECRET}
    own = replace(context, http=HttpClient(), secret=lambda ref: secrets.get(ref, "word"))
    told = PimWithOwnProducts(
        open_adapter("pim", "main", Connection(adapter=name, options=sent.options), own)
    )
    monkeypatch.setattr(type(services), "pim", lambda self, connection: told)
    return told


def deliver(
    services: Services, sent: VendorDelivery, id: str, at: datetime, *, after_s: float = 1
) -> tuple[str, bool]:
    """Receive and handle a delivery; return its summary and whether it was new."""
    headers, body = sent.make("42", id, at)
    inbound = InboundWebhook(
        headers={"content-type": "application/json", **headers},
        body=body,
        received_at=at + timedelta(seconds=after_s),
    )
    delivery, new = intake.receive_webhook(services, "main", inbound)
    intake.handle_delivery(services, delivery)
    record = services.inbox.get(delivery)
    assert record and not record.error, record
    return record.summary, new


def test_a_delivery_that_comes_twice_counts_once(
    sent: VendorDelivery, source: PimWithOwnProducts, services: Services, clock: TestClock
) -> None:
    source.facts["42"] = (product("CH1"), clock.now())
    assert deliver(services, sent, "d-1", clock.now())[1]
    assert not deliver(services, sent, "d-1", clock.now())[1]
    assert len(services.inbox.page()) == 1


def test_deliveries_in_the_wrong_order_leave_the_newest_facts(
    sent: VendorDelivery, source: PimWithOwnProducts, services: Services, clock: TestClock
) -> None:
    early, late = clock.now(), clock.now() + timedelta(seconds=30)
    source.facts["42"] = (product("CH1", color="green"), late)
    clock.forward(60)
    deliver(services, sent, "d-2", late)
    source.facts["42"] = (product("CH1", color="of an answer that was kept too long"), early)
    deliver(services, sent, "d-1", early)
    record = services.products.get("CH1")
    if sent is DELIVERIES["standard"]:  # it carries its facts, and the later one had none of these
        return
    assert record and record.product.color == "green" and record.source_time == late


def test_a_delivery_that_comes_too_late_is_refused_where_its_time_is_signed(
    sent: VendorDelivery, source: PimWithOwnProducts, services: Services, clock: TestClock
) -> None:
    source.facts["42"] = (product("CH1"), clock.now())
    if sent.late_s:
        with pytest.raises(DeliveryError):
            deliver(services, sent, "d-1", clock.now(), after_s=sent.late_s + 60)
    else:
        deliver(services, sent, "d-1", clock.now(), after_s=86_400)
        assert services.products.get("CH1")


def test_a_delivery_that_was_lost_is_found_by_asking(
    sent: VendorDelivery, source: PimWithOwnProducts, services: Services, clock: TestClock
) -> None:
    poll_pims(services)
    clock.forward(300)
    source.facts["42"] = (product("CH1"), clock.now())
    assert services.products.get("CH1") is None
    assert poll_pims(services) >= 1 and services.products.get("CH1")


def test_of_a_product_that_is_gone_meanwhile_nothing_is_left(
    sent: VendorDelivery, source: PimWithOwnProducts, services: Services, clock: TestClock
) -> None:
    source.facts["42"] = (product("CH1"), clock.now())
    deliver(services, sent, "d-1", clock.now())
    source.facts.clear()
    clock.forward(30)
    assert "gone" in deliver(services, sent, "d-2", clock.now())[0] and services.products.get("CH1").deleted


def test_what_normalize_needs_is_stored_and_no_credential_is(
    sent: VendorDelivery, source: PimWithOwnProducts, services: Services, clock: TestClock
) -> None:
    source.facts["42"] = (product("CH1"), clock.now())
    summary, _ = deliver(services, sent, "d-1", clock.now())
    assert "42" in summary or "CH1" in summary
    stored = services.inbox.page()[0].inbound.headers
    assert not [
        name
        for name in stored
        if any(word in name for word in ("signature", "hmac", "authorization", "secret"))
    ]
