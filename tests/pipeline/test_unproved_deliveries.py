"""Deliveries, or parts of them, that anybody could have sent: nothing of them is stored or believed."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from dam_connector.adapters import open_adapter
from dam_connector.adapters.common.context import AdapterContext
from dam_connector.app import create_app
from dam_connector.domain.rules import Connection
from dam_connector.errors import NotFound
from dam_connector.ports import InboundWebhook, PimCapabilities
from dam_connector.store.spend import SpendCaps
from dam_connector.store.tasks import TaskOrigin
from dam_connector.usecases import intake
from dam_connector.wiring import Services
from tests.support import TestClock, product, rules_json

SECRET = "token-for-tests"  # that of HOOK_TOKEN
OPTIONS = {
    "secrets": ["env/HOOK_TOKEN"],
    "base_url": "https://shop.example",
    "consumer_key": "env/HOOK_TOKEN",
    "consumer_secret": "env/HOOK_TOKEN",
}
MESHY = {"adapter": "meshy", "api_key": "env/MESHY_API_KEY"}


class Shop:
    """A WooCommerce shop whose deliveries are real and which has one product, or none."""

    capabilities = PimCapabilities(can_fetch=True)

    def __init__(self, context: AdapterContext) -> None:
        vendor = open_adapter("pim", "shop", Connection(adapter="woocommerce", options=OPTIONS), context)
        self.verify, self.normalize = vendor.verify, vendor.normalize
        self.has_product = True

    def fetch(self, ref: str) -> list[object]:
        if not self.has_product:
            raise NotFound("shop", "fetch", ref)
        return [product("CH1")]


@pytest.fixture
def shop(services: Services, monkeypatch: pytest.MonkeyPatch) -> Shop:
    found = Shop(services.adapter_context)
    monkeypatch.setattr(type(services), "pim", lambda self, name: found)
    return found


def delivery(clock: TestClock, *, topic: str = "product.updated", id: str = "1") -> InboundWebhook:
    """A delivery with a signed body; topic and id are in no signature."""
    body = json.dumps({"id": 42, "date_modified_gmt": "2026-11-20T10:00:00"}).encode()
    signature = base64.b64encode(hmac.new(SECRET.encode(), body, hashlib.sha256).digest()).decode()
    headers = {
        "x-wc-webhook-topic": topic,
        "x-wc-webhook-delivery-id": id,
        "x-wc-webhook-signature": signature,
    }
    return InboundWebhook(headers=headers, body=body, received_at=clock.now())


def handle(services: Services, inbound: InboundWebhook) -> str:
    delivery_id, _ = intake.receive_webhook(services, "main", inbound)
    intake.handle_delivery(services, delivery_id)
    record = services.inbox.get(delivery_id)
    return record.summary if record else ""


def test_a_deletion_that_only_a_header_claims_deletes_nothing(
    shop: Shop, services: Services, clock: TestClock
) -> None:
    handle(services, delivery(clock))
    clock.forward(3600)
    handle(services, delivery(clock, topic="product.deleted", id="2"))
    record = services.products.get("CH1")
    assert record and not record.deleted
    shop.has_product = False
    clock.forward(3600)
    assert "gone" in handle(services, delivery(clock, topic="product.deleted", id="3"))
    record = services.products.get("CH1")
    assert record and record.deleted


@pytest.mark.usefixtures("shop")
def test_the_same_body_under_new_ids_is_stored_once(services: Services, clock: TestClock) -> None:
    answers = [
        intake.receive_webhook(services, "main", delivery(clock, id=str(number), topic=topic))
        for number in range(5)
        for topic in ("product.updated", "product.deleted")
    ]
    assert [is_new for _, is_new in answers] == [True] + [False] * 9
    assert len(services.inbox.page()) == 1
    clock.forward(timedelta(days=1).total_seconds())
    assert intake.receive_webhook(services, "main", delivery(clock))[1]  # it may be meant


@pytest.mark.usefixtures("shop")
def test_an_unsigned_ping_is_answered_and_not_stored(services: Services) -> None:
    client = create_app(services).test_client()
    for number in range(5):
        headers = {"content-type": "application/x-www-form-urlencoded"}
        response = client.post("/webhooks/main", data=f"webhook_id={number}", headers=headers)
        assert (response.status_code, response.json) == (202, {"delivery_id": "", "new": False})
    assert services.inbox.page() == []


def hint(services: Services, task: str, status: str) -> bool:
    """Send a hint of Meshy, which signs none; return whether it is stored."""
    body = {"id": task, "type": "image-to-3d", "status": status}
    response = create_app(services).test_client().post("/webhooks/meshy", json=body)
    assert response.status_code == 202
    return bool(response.json["new"])


def test_an_unsigned_hint_is_stored_only_for_a_task_of_ours_and_once_for_each_status(
    services: Services, clock: TestClock, write_rules: Callable[..., None]
) -> None:
    connections = rules_json()["connections"]
    write_rules(connections={**connections, "provider": {"meshy": MESHY}})
    assert not hint(services, "unknown", "SUCCEEDED")
    task = services.tasks.find_or_add(
        TaskOrigin(provider="meshy", run_id="run_1", sku="CH1", category="x", deliverable="model"), {}, 1.0
    )
    services.tasks.begin_submission(task, SpendCaps(), 1)
    services.tasks.mark_submitted(task, "image-to-3d/ours", clock.now())
    found = [
        hint(services, "ours", status) for status in ("IN_PROGRESS", "a", "b", "IN_PROGRESS", "SUCCEEDED")
    ]
    assert found == [True, True, False, False, True]
    assert len(services.inbox.page()) == 3
