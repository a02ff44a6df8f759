"""WooCommerce tells of a deletion after the product was restored: the shop is asked, and it stays live."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from dam_connector.adapters import open_adapter
from dam_connector.domain.rules import Connection
from dam_connector.ports import InboundWebhook, Pim
from dam_connector.usecases import backfill, intake
from dam_connector.usecases.expiry import withdraw_deleted
from dam_connector.wiring import Services
from tests.contracts.pim_servers import FakePim, FakePimReply
from tests.contracts.test_pim_vendors import SECRETS, SHOPS
from tests.pipeline.helpers import Drain, approve, live, newest
from tests.support import PhotoServer, http_to, picture


class WooShop:
    """A WooCommerce shop with product 6, on loopback; its clock is the one of the services."""

    def __init__(self, services: Services, photo: str) -> None:
        self._clock = services.clock
        self.record: dict[str, Any] = {
            "id": 6,
            "sku": "CH123",
            "name": "Chair",
            "type": "simple",
            "status": "publish",
            "images": [{"id": 1, "src": photo}],
            "date_modified_gmt": self.gmt(),
        }
        self.server = FakePim(self._answer)
        address = {**SHOPS["woocommerce"][1], "base_url": self.server.url, "unit": "cm"}
        reachable = http_to(self.server.host, services.adapter_context)
        context = replace(services.adapter_context, http=reachable, secret=SECRETS.__getitem__)
        connection = Connection(adapter="woocommerce", options=address)
        self.source: Pim = open_adapter("pim", "main", connection, context)

    def gmt(self, seconds_ago: float = 0) -> str:
        return (self._clock.now() - timedelta(seconds=seconds_ago)).strftime("%Y-%m-%dT%H:%M:%S")

    def _answer(self, method: str, path: str, query: Any, headers: Any, body: Any) -> FakePimReply:
        now = {"Date": format_datetime(self._clock.now(), usegmt=True)}
        if path.endswith("/products/6"):
            return 200, self.record, now
        return 200, [self.record] if path.endswith("/products") else [], {"X-WP-TotalPages": "1"}


@pytest.fixture
def woo(
    shop: Services, photos: PhotoServer, drain: Drain, monkeypatch: pytest.MonkeyPatch
) -> Iterator[WooShop]:
    """Return a shop whose product 6 is live."""
    photos.files["a.jpg"] = picture()
    found = WooShop(shop, photos.url("a.jpg"))
    monkeypatch.setattr(type(shop), "pim", lambda self, name: found.source)
    hook(shop, found.record, "product.created")
    drain()
    approve(shop, newest(shop))
    drain()
    assert live(shop) == ["packshotV1"]
    yield found
    found.server.stop()


def hook(services: Services, body: dict[str, Any], topic: str) -> str:
    """Receive and handle a webhook as WooCommerce signs it; return its summary."""
    raw = json.dumps(body).encode()
    signature = base64.b64encode(hmac.new(SECRETS["env/PROBE"].encode(), raw, hashlib.sha256).digest())
    headers = {
        "x-wc-webhook-topic": topic,
        "x-wc-webhook-delivery-id": f"{topic} {services.clock.now()}",
        "x-wc-webhook-signature": signature.decode(),
    }
    inbound = InboundWebhook(headers=headers, body=raw, received_at=services.clock.now())
    delivery, is_new = intake.receive_webhook(services, "main", inbound)
    assert is_new
    intake.handle_delivery(services, delivery)
    stored = services.inbox.get(delivery)
    assert stored and stored.state == "handled", stored
    return stored.summary


def is_deleted(services: Services) -> bool:
    record = services.products.get("CH123")
    assert record is not None
    return record.deleted


@pytest.mark.parametrize("topic", ["product.restored", "product.updated"])
@pytest.mark.parametrize("seconds_before", [3, 240])
def test_a_product_that_is_there_stays_whatever_comes_late(
    woo: WooShop, shop: Services, drain: Drain, topic: str, seconds_before: int
) -> None:
    shop.clock.forward(3600)  # type: ignore[attr-defined]
    restored_at = woo.gmt(seconds_before)  # trashed and restored before the hook of the deletion arrives
    woo.record |= {"date_modified_gmt": restored_at, "name": "Chair as restored"}
    hook(shop, {"id": 6}, "product.deleted")
    assert not is_deleted(shop) and withdraw_deleted(shop) == 0
    shop.clock.forward(2)  # type: ignore[attr-defined]
    hook(shop, dict(woo.record), topic)
    backfill.poll_pims(shop)
    shop.clock.forward(300)  # type: ignore[attr-defined]
    backfill.poll_pims(shop)
    drain()
    record = shop.products.get("CH123")
    assert record and record.product.name == "Chair as restored" and not record.deleted
    assert withdraw_deleted(shop) == 0 and live(shop) == ["packshotV1"]
    shop.clock.forward(60)  # type: ignore[attr-defined]
    woo.record |= {"date_modified_gmt": woo.gmt(), "name": "Chair"}
    hook(shop, dict(woo.record), "product.updated")
    assert shop.products.get("CH123").product.name == "Chair"  # type: ignore[union-attr]


def test_a_product_in_the_trash_is_deleted_and_is_back_when_it_is_restored(
    woo: WooShop, shop: Services, drain: Drain
) -> None:
    shop.clock.forward(3600)  # type: ignore[attr-defined]
    woo.record["status"] = "trash"
    hook(shop, {"id": 6}, "product.deleted")
    assert is_deleted(shop) and withdraw_deleted(shop) == 1
    drain()
    assert live(shop) == []
    shop.clock.forward(60)  # type: ignore[attr-defined]
    woo.record |= {"status": "publish", "date_modified_gmt": woo.gmt()}
    hook(shop, dict(woo.record), "product.restored")
    drain()
    assert not is_deleted(shop) and live(shop) == ["packshotV1"]
