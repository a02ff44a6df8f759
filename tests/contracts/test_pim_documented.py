"""PIMs without captured deliveries: Akeneo and Shopify by their documentation; watched folders."""

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dam_connector.adapters import adapter_names, open_adapter
from dam_connector.adapters.common.context import AdapterContext
from dam_connector.domain.event import EventKind
from dam_connector.domain.product import View
from dam_connector.domain.rules import Connection
from dam_connector.errors import (
    BadOutput,
    DeliveryError,
    NotFound,
    RateLimited,
    Refused,
    Unavailable,
)
from dam_connector.ports import InboundWebhook, Pim
from tests.contracts.documented_pims import FAKES, UUID
from tests.contracts.pim_servers import FakePimReply
from tests.contracts.shopify_costs import cost_error, query_cost
from tests.contracts.test_pim_vendors import SHOPS
from tests.support import TestClock, picture


def hook(
    clock: TestClock, topic: str, data: Any, *, secret: str = "secret-1", event: str = "ev-1"
) -> InboundWebhook:
    body = json.dumps(data).encode()
    sign = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
    headers = {
        "x-shopify-hmac-sha256": sign,
        "x-shopify-topic": topic,
        "x-shopify-event-id": event,
        "x-shopify-triggered-at": "2026-11-20T11:00:00Z",
    }
    return InboundWebhook(headers=headers, body=body, received_at=clock.now())


def test_shopify_s_webhooks_are_proved_and_mean_what_they_say(opened: Callable, clock: TestClock) -> None:
    source, _ = opened("shopify")
    updated = hook(
        clock, "products/update", {"id": 42, "title": "T", "updated_at": "2026-11-20T12:00:00+02:00"}
    )
    again = replace(updated, headers={**updated.headers, "x-shopify-event-id": "ev-2"})
    assert source.verify(updated).key == source.verify(again).key  # no signature covers the id
    (event,) = source.normalize(updated)
    assert (event.kind, event.ref, event.at) == (
        EventKind.UPDATED,
        "42",
        datetime(2026, 11, 20, 10, tzinfo=UTC),
    )
    (gone,) = source.normalize(hook(clock, "products/delete", {"id": 42}))
    assert (gone.kind, gone.at) == (EventKind.DELETED, datetime(2026, 11, 20, 11, tzinfo=UTC))
    assert source.normalize(hook(clock, "orders/create", {"id": 1})) == []
    for bad in (
        hook(clock, "products/update", {"id": 1}, secret="x"),
        replace(updated, body=b"{}"),
        replace(updated, headers={}),
    ):
        with pytest.raises(DeliveryError):
            source.verify(bad)
    with pytest.raises(BadOutput):
        source.normalize(hook(clock, "products/update", {"title": "x"}))


def test_shopify_s_texts_in_further_locales(opened: Callable) -> None:
    source, _ = opened("shopify", locales=["de", "fr_CH"])
    (chair,) = source.fetch("42")
    assert chair.name == "Chair"
    assert chair.translations == {"de": {"name": "Stuhl", "description": "Ein stiller Stuhl."}}


def test_a_product_of_shopify(opened: Callable) -> None:
    source, _ = opened("shopify")
    (chair,) = source.fetch("42")
    assert (chair.sku, chair.name, chair.brand, chair.category, chair.color, chair.style_tags) == (
        "CH1",
        "Chair",
        "Nord",
        "Chairs",
        "Teal",
        "warm, oak",
    )
    assert chair.description == "A quiet chair." and chair.dimensions.height_m == 0.815
    assert [(i.view, i.url) for i in chair.images] == [
        (View.FRONT, "https://cdn.example/a.jpg?v=1")
    ]  # ours is left aside
    with pytest.raises(NotFound):
        source.fetch("7")
    assert [e.ref for e in source.changed_since(datetime(2026, 11, 20, 9, tzinfo=UTC))] == ["1", "2"]


@pytest.mark.parametrize("name", list(FAKES))
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((500, {}, {}), Unavailable),
        ((429, {}, {"Retry-After": "7"}), RateLimited),
        ((403, {}, {}), Refused),
        ((200, b"<html>", {}), BadOutput),
    ],
)
def test_failures_say_what_to_do_next(
    opened: Callable, name: str, answer: FakePimReply, error: type[Exception]
) -> None:
    source, server = opened(name)
    ref = {"akeneo": UUID, "shopify": "42"}[name]
    source.fetch(ref)
    server.next_replies = [answer]
    with pytest.raises(error) as told:
        source.fetch(ref)
    assert "secret" not in str(told.value) and "token " not in str(told.value)


def watched(context: AdapterContext, folder: Path, **options: Any) -> Pim:
    found: Pim = open_adapter(
        "pim", "sheets", Connection(adapter="csv", options={"path": str(folder), **options}), context
    )
    return found


def dropped(path: Path, text: str, at: datetime) -> None:
    path.write_text(text)
    os.utime(path, (at.timestamp(), at.timestamp()))


def test_sheets_that_are_dropped_into_a_folder_are_products(context: AdapterContext, tmp_path: Path) -> None:
    early, late = datetime(2026, 11, 20, 9, tzinfo=UTC), datetime(2026, 11, 20, 11, tzinfo=UTC)
    dropped(
        tmp_path / "a.csv",
        "sku,title,image_url,height,unit\nCH1,Chair,front.jpg,81.5,cm\n"
        ",No sku,,,\nCH2,Stool,https://x.example/s.jpg,,\n",
        early,
    )
    dropped(tmp_path / "b.csv", "Artikel;Bezeichnung\nCH3;Tisch\n", late)
    dropped(tmp_path / "notes.md", "sku\nX\n", late)
    dropped(tmp_path / "~lock.csv", "sku\nX\n", late)
    dropped(tmp_path / "bad.csv", "colour,size\nred,1\n", late)
    (tmp_path / "front.jpg").write_bytes(picture())
    source = watched(context, tmp_path, columns={"sku": "Artikel"})
    assert [e.ref for e in source.changed_since(early)] == ["CH3"]
    source = watched(context, tmp_path)
    chair, stool = list(source.changed_since(early - timedelta(hours=1)))
    assert (chair.at, chair.product.name, chair.product.dimensions.height_m) == (early, "Chair", 0.815)
    assert (
        chair.product.images[0].url == "pim:sheets/front.jpg"
        and stool.product.images[0].url == "https://x.example/s.jpg"
    )
    assert source.fetch_picture("front.jpg") == picture()
    for outside in ("../secret", "/etc/passwd", "none.jpg"):
        with pytest.raises(NotFound):
            source.fetch_picture(outside)
    with pytest.raises(DeliveryError):
        source.verify(InboundWebhook(headers={}, body=b"", received_at=late))
    with pytest.raises(Unavailable):
        list(watched(context, tmp_path / "nowhere").changed_since(early))


def test_every_source_has_a_case() -> None:
    assert adapter_names("pim") == sorted(["standard", "memory", "csv", *SHOPS, *FAKES])


def test_what_a_query_to_shopify_may_cost_is_counted_as_it_counts() -> None:
    assert query_cost("query A($id: ID!) { product(id: $id) { id title } }") == 1
    assert (
        query_cost("query B { products(first: 10) { nodes { id } pageInfo { hasNextPage } } }") == 2 + 10 * 2
    )
    nested = "query C { a(first: 10, query: $q) { nodes { b(first: 5) { nodes { c { d } } } } } }"
    assert query_cost(nested) == 2 + 10 * (1 + (2 + 5 * (1 + 1)))
    assert cost_error("query D { a(first: 250) { nodes { b(first: 9) { nodes { id } } } } }") is not None
    assert query_cost("mutation E { fileDelete(fileIds: $ids) { deletedFileIds } }") == 10
