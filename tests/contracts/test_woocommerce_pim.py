"""WooCommerce as a PIM: variations, deletions, texts and units, as WooCommerce 11.0.1 answers."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from dam_connector.adapters.common.context import AdapterContext
from dam_connector.domain.product import View
from dam_connector.errors import BadOutput
from dam_connector.ports import InboundWebhook
from tests.contracts.shop_pims import WOO_NO_OWN_PICTURE, WOO_PRODUCT, WOO_VARIABLE
from tests.contracts.test_pim_vendors import PROBE, Opened
from tests.support import TestClock


@pytest.fixture
def shop(context: AdapterContext) -> Iterator[Opened]:
    found = Opened(context, "woocommerce")
    yield found
    found.shop.stop()


def test_the_variations_of_woocommerce(shop: Opened) -> None:
    source = shop.source(attributes={"color": "pa_color"})
    red, green = source.fetch("14")
    assert (red.sku, red.color, [i.url for i in red.images]) == (
        "CH2-RED",
        "Red & Blue",
        ["https://shop.example/red.jpg"],
    )
    # one without a picture of its own has the product's photos, all of them
    assert {i.view: i.url for i in green.images} == {
        View.FRONT: "https://shop.example/a.jpg",
        View.BACK: "https://shop.example/b.jpg",
    }
    assert (green.sku, green.color, green.material) == ("CH2-GREEN", "Green", "Oak & ash")
    assert [each.sku for each in source.fetch("17")] == ["CH2-GREEN"]
    assert source.fetch("17") == [green]  # by its own number it is the same product


def test_a_variation_of_woocommerce_does_not_show_what_we_published(
    shop: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = {"id": 3, "src": "https://shop.example/ours.jpg", "name": "CH2-GREEN_Packshot", "alt": ""}
    monkeypatch.setitem(WOO_VARIABLE, "images", [ours, *WOO_PRODUCT["images"][:2]])
    monkeypatch.setitem(WOO_NO_OWN_PICTURE, "image", ours)  # a merchant put our picture first
    _, green = shop.source().fetch("14")
    assert {i.view: i.url for i in green.images} == {
        View.FRONT: "https://shop.example/a.jpg",
        View.BACK: "https://shop.example/b.jpg",
    }


def test_a_picture_that_a_merchant_gave_a_variation_is_its_own_though_the_gallery_has_it(
    shop: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(WOO_NO_OWN_PICTURE, "image", WOO_PRODUCT["images"][1])
    _, green = shop.source().fetch("14")
    assert [i.url for i in green.images] == ["https://shop.example/b.jpg"]


@pytest.mark.parametrize("color", ["pa_color", "color", "colour", "Colour", "pa_colour"])
def test_an_attribute_of_woocommerce_is_found_by_its_name_and_its_slug(shop: Opened, color: str) -> None:
    red, _ = shop.source(attributes={"color": color}).fetch("14")
    assert red.color == "Red & Blue"


def test_texts_of_woocommerce_are_plain(shop: Opened) -> None:
    red, _ = shop.source().fetch("14")
    assert (red.name, red.category) == ('Bottles & Jars 5" x <5', "Bottles & Jars")
    assert red.description == "A & B 5 < 6 ok – €"
    assert red.attributes["Colour"] == "Red & Blue"


def test_dimensions_of_woocommerce_have_the_shops_unit_unless_plugin_json_has_one(shop: Opened) -> None:
    unit = {"id": "woocommerce_dimension_unit", "default": "in"}
    for options, answer, expected_m in (
        ({}, (200, {**unit, "value": "in"}, {}), 1.1684),
        ({}, (401, {"code": "woocommerce_rest_cannot_view"}, {}), 0.46),
        ({"unit": "mm"}, None, 0.046),
    ):
        shop.shop.next_replies = [(200, WOO_PRODUCT, {}), *([answer] if answer else [])]
        (chair,) = shop.source(**options).fetch("13")
        assert chair.dimensions.width_m == expected_m
    shop.shop.next_replies = [(200, WOO_PRODUCT, {}), (200, {**unit, "value": "yd"}, {})]
    with pytest.raises(BadOutput, match="are in yd; choose one of m, cm"):
        shop.source().fetch("13")


@pytest.mark.parametrize(
    ("text", "metres"),
    [("1.250,5", 12.505), ('18"', 0.4572), ("81,5", 0.815), ("0.46 m", 0.46), ("", None), ("0", None)],
)
def test_a_size_of_woocommerce_never_vanishes_or_shrinks(
    shop: Opened, text: str, metres: float | None
) -> None:
    shop.shop.next_replies = [(200, {**WOO_PRODUCT, "dimensions": {"width": text}}, {})]
    (chair,) = shop.source(unit="cm").fetch("13")
    assert chair.dimensions.width_m == (metres and pytest.approx(metres))


@pytest.mark.parametrize("text", ["1.234.567", "about 40", "46 kg"])
def test_a_size_of_woocommerce_that_cannot_be_read_is_named(shop: Opened, text: str) -> None:
    shop.shop.next_replies = [(200, {**WOO_PRODUCT, "dimensions": {"width": text}}, {})]
    with pytest.raises(BadOutput, match="/dimensions/width"):
        shop.source(unit="cm").fetch("13")


def hook(topic: str, body: dict[str, Any], at: datetime, delivery: str = "7e22e4898f87") -> InboundWebhook:
    """Return a webhook as WooCommerce signs it; the deliveries of one second share their id."""
    raw = json.dumps(body).encode()
    signature = base64.b64encode(hmac.new(PROBE.encode(), raw, hashlib.sha256).digest()).decode()
    headers = {
        "x-wc-webhook-topic": topic,
        "x-wc-webhook-delivery-id": delivery,
        "x-wc-webhook-signature": signature,
    }
    return InboundWebhook(headers=headers, body=raw, received_at=at)


def test_webhooks_of_one_second_are_one_delivery_each(shop: Opened, clock: TestClock) -> None:
    source, now = shop.source(), clock.now()
    rows = [hook("product.deleted", {"id": number}, now) for number in (13, 14, 15)]
    rows += [hook("product.updated", {**WOO_PRODUCT, "id": number}, now) for number in (13, 14)]
    assert len({source.verify(each).key for each in rows}) == 5
    assert source.verify(rows[0]).key == source.verify(hook("product.deleted", {"id": 13}, now, "other")).key
    clock.forward(30)  # trashed, restored, and trashed again
    assert source.verify(rows[0]).key != source.verify(hook("product.deleted", {"id": 13}, clock.now())).key


@pytest.mark.parametrize("topic", ["product.created", "product.updated", "product.restored"])
def test_a_hook_about_a_variation_is_about_its_product(shop: Opened, topic: str, clock: TestClock) -> None:
    body = {"id": 15, "type": "variation", "parent_id": 14, "date_modified_gmt": "2026-11-20T10:00:00"}
    (event,) = shop.source().normalize(hook(topic, body, clock.now()))
    assert (event.ref, event.at) == ("14", datetime(2026, 11, 20, 10, tzinfo=UTC))


def test_a_deleted_hook_is_about_the_product_of_a_variation_and_has_the_shops_time(
    shop: Opened, clock: TestClock
) -> None:
    source = shop.source()
    for number, ref in ((18, "14"), (13, "13"), (20, "20")):
        (event,) = source.normalize(hook("product.deleted", {"id": number}, clock.now()))
        assert (event.ref, event.at) == (ref, datetime(2026, 11, 20, 12, tzinfo=UTC))
    (event,) = source.normalize(hook("product.deleted", {"id": 99}, clock.now()))
    assert (event.ref, event.at) == ("99", clock.now())  # the shop does not know it any more
