"""Shops as PIMs: captured deliveries of real servers, and fake servers that answer as documented."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dam_connector.adapters import open_adapter
from dam_connector.adapters.common.context import AdapterContext
from dam_connector.domain.event import EventKind
from dam_connector.domain.product import View
from dam_connector.domain.rules import Connection
from dam_connector.errors import (
    BadOutput,
    ConfigError,
    DeliveryError,
    NotFound,
    RateLimited,
    Refused,
    Unavailable,
)
from dam_connector.ports import InboundWebhook, Pim
from tests.contracts.pim_servers import FakePim, FakePimReply
from tests.contracts.shop_pims import SALEOR_PRODUCT, VENDURE_PRODUCT, saleor, vendure, woo
from tests.support import ROOT, TestClock, http_to

PROBE = "whsec-probe"
SHOPS: dict[str, tuple[Callable[..., FakePimReply], dict[str, Any], str]] = {
    "woocommerce": (
        woo,
        {"secrets": ["env/PROBE"], "consumer_key": "env/CK", "consumer_secret": "env/CS"},
        "base_url",
    ),
    "saleor": (saleor, {"secrets": ["env/PROBE"], "token": "env/TOKEN", "app_id": "our-app"}, "api_url"),
    "vendure": (
        vendure,
        {"secrets": ["env/PROBE"], "user": "superadmin", "password": "env/WORD"},
        "base_url",
    ),
}
SECRETS = {"env/PROBE": PROBE, "env/CK": "ck", "env/CS": "cs", "env/TOKEN": "token", "env/WORD": "word"}
REFS = {"woocommerce": ("13", "99"), "saleor": ("UHJvZHVjdDox", "bm9uZQ=="), "vendure": ("1", "99")}


class Opened:
    """A PIM adapter with its fake shop."""

    def __init__(self, context: AdapterContext, name: str) -> None:
        answer, self.options, address = SHOPS[name]
        self.name, self.shop, self._context = name, FakePim(answer), context
        self.options = {**self.options, address: self.shop.url + ("/graphql/" if name == "saleor" else "")}

    def source(self, **options: Any) -> Pim:
        context = replace(
            self._context, http=http_to(self.shop.host, self._context), secret=SECRETS.__getitem__
        )
        found: Pim = open_adapter(
            "pim", self.name, Connection(adapter=self.name, options={**self.options, **options}), context
        )
        return found


@pytest.fixture
def opened(context: AdapterContext) -> Iterator[Callable[[str], Opened]]:
    all_opened: list[Opened] = []

    def open_one(name: str) -> Opened:
        all_opened.append(Opened(context, name))
        return all_opened[-1]

    yield open_one
    for each in all_opened:
        each.shop.stop()


def captured(name: str) -> list[InboundWebhook]:
    """Return the deliveries that real servers sent, received when they were sent."""
    found, files = [], [name, "saleor_deliveries"] if name == "saleor" else [name]
    lines = [line for each in files for line in (ROOT / f"tests/data/{each}.jsonl").read_text().splitlines()]
    for line in lines:
        data = json.loads(line)
        headers = {k.lower(): v for k, v in data["headers"].items()}
        stamp = headers.get("webhook-timestamp")
        at = datetime.fromtimestamp(int(stamp), UTC) if stamp else datetime(2026, 11, 20, 22, tzinfo=UTC)
        found.append(InboundWebhook(headers=headers, body=data["body"].encode(), received_at=at))
    return found


@pytest.mark.parametrize("name", list(SHOPS))
def test_every_captured_delivery_verifies_and_says_what_it_means(
    opened: Callable[[str], Opened], name: str
) -> None:
    source = opened(name).source()
    keys = set()
    for inbound in captured(name):
        proved = source.verify(inbound)
        keys.add(proved.key)
        events = source.normalize(inbound) if proved.is_event else []
        assert all(event.ref and event.at.tzinfo for event in events)
    assert len(keys) == len(captured(name))  # each has a key of its own


@pytest.mark.parametrize("name", list(SHOPS))
def test_a_changed_body_a_wrong_secret_and_no_signature_are_refused(
    opened: Callable[[str], Opened], name: str
) -> None:
    source = opened(name).source()
    for inbound in captured(name):
        if not source.verify(inbound).is_event:
            continue
        signed = [header for header in inbound.headers if "signature" in header]
        for headers, body in (
            (inbound.headers, inbound.body + b" "),
            ({**inbound.headers, **dict.fromkeys(signed, "AAAA")}, inbound.body),
            ({k: v for k, v in inbound.headers.items() if k not in signed}, inbound.body),
        ):
            with pytest.raises(DeliveryError):
                source.verify(replace(inbound, headers=headers, body=body))


def meanings(source: Pim, name: str) -> list[tuple[str, str]]:
    return [
        (e.kind.value, e.ref)
        for i in captured(name)
        if source.verify(i).is_event
        for e in source.normalize(i)
    ]


def test_what_the_captured_deliveries_mean(opened: Callable[[str], Opened]) -> None:
    assert meanings(opened("woocommerce").source(), "woocommerce") == [
        ("deleted", "13")
    ]  # one body was dead, one delivery a ping
    said = meanings(opened("saleor").source(), "saleor")
    assert said[:3] == [("created", "UHJvZHVjdDox"), ("created", "UHJvZHVjdDox"), ("updated", "UHJvZHVjdDox")]
    assert meanings(opened("vendure").source(), "vendure")[:2] == [("created", "1"), ("updated", "1")]


def test_what_we_wrote_ourselves_does_not_come_back(opened: Callable[[str], Opened]) -> None:
    theirs = meanings(opened("saleor").source(), "saleor")[3:]  # of a member of the staff
    assert meanings(opened("saleor").source(app_id="probe"), "saleor") == theirs


def test_each_event_of_saleor_names_the_product(opened: Callable[[str], Opened]) -> None:
    said = meanings(opened("saleor").source(), "saleor")[3:]
    assert {ref for _, ref in said} == {"UHJvZHVjdDoz"}
    assert sorted(kind for kind, _ in said) == ["created", "deleted", *["updated"] * 4]


@pytest.mark.parametrize("name", list(SHOPS))
@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"7", b'"x"', b"\xff"])
def test_nonsense_is_bad_output_or_nothing(
    opened: Callable[[str], Opened], name: str, body: bytes, clock: TestClock
) -> None:
    headers = {"x-wc-webhook-topic": "product.updated", "saleor-event": "product_updated"}
    with pytest.raises(BadOutput):
        opened(name).source().normalize(InboundWebhook(headers=headers, body=body, received_at=clock.now()))


@pytest.mark.parametrize(
    ("name", "ref", "parent"),
    [
        ("woocommerce", "14", "14"),  # a product with variations
        ("woocommerce", "13", ""),  # one without
        ("saleor", REFS["saleor"][0], SALEOR_PRODUCT["id"]),
        ("vendure", REFS["vendure"][0], VENDURE_PRODUCT["id"]),
    ],
)
def test_variants_of_a_product_have_it_as_their_parent(
    opened: Callable[[str], Opened], name: str, ref: str, parent: str
) -> None:
    assert {product.parent for product in opened(name).source().fetch(ref)} == {parent}


def test_a_product_of_woocommerce(opened: Callable[[str], Opened]) -> None:
    source = opened("woocommerce").source(attributes={"brand": "meta:designer"})
    (chair,) = source.fetch("13")
    assert (chair.sku, chair.name, chair.category, chair.color, chair.material) == (
        "CH1",
        "Falun chair",
        "Chairs",
        "Teal",
        "Oak, Wool",
    )
    assert chair.description == "A quiet chair." and chair.style_tags == "warm, oak" and chair.brand == "Ada"
    assert (chair.dimensions.width_m, chair.dimensions.height_m, chair.dimensions.depth_m) == (
        0.46,
        0.815,
        0.5,
    )
    assert {i.view: i.url for i in chair.images} == {
        View.FRONT: "https://shop.example/a.jpg",
        View.BACK: "https://shop.example/b.jpg",
    }
    with pytest.raises(NotFound, match="trash"):
        source.fetch("20")
    with pytest.raises(NotFound, match="draft"):
        source.fetch("21")


def test_a_product_of_saleor(opened: Callable[[str], Opened], monkeypatch: pytest.MonkeyPatch) -> None:
    ours = {
        "url": "https://shop.example/packshot.jpg",
        "alt": "",
        "type": "IMAGE",
        "metadata": [{"key": "dam_connector", "value": "VASE-1"}],
    }
    monkeypatch.setitem(
        SALEOR_PRODUCT["variants"][0], "media", [ours]
    )  # what we published is all that the variant shows of its own
    (vase,) = opened("saleor").source(attributes={"height": "height"}, unit="cm").fetch("UHJvZHVjdDox")
    assert (vase.sku, vase.category, vase.color, vase.material) == ("VASE-1", "Decor", "Blue", "Clay")
    assert vase.description == "A blue vase. Tall." and vase.dimensions.height_m == 0.3
    assert [(i.view, i.url) for i in vase.images] == [(View.FRONT, "https://shop.example/front.jpg")]


@pytest.mark.parametrize(
    ("body", "ref"),
    [
        ({"productMedia": {"id": "UHJvZHVjdE1lZGlhOjc=", "productId": "UHJvZHVjdDox"}}, "UHJvZHVjdDox"),
        ({"productMedia": {"id": "UHJvZHVjdE1lZGlhOjc="}}, ""),
        ({"productMedia": {"productId": "UHJvZHVjdE1lZGlhOjc="}}, ""),  # `productId: id` in the subscription
        ([{"type": "ProductMedia", "id": "UHJvZHVjdE1lZGlhOjc="}], ""),
        (
            [{"type": "Variant", "id": "UHJvZHVjdFZhcmlhbnQ6NQ==", "product_id": "UHJvZHVjdDox"}],
            "UHJvZHVjdDox",
        ),
        ({"productVariant": {"id": "UHJvZHVjdFZhcmlhbnQ6NQ=="}}, ""),
        ([{"type": "Product", "id": "UHJvZHVjdDox"}], "UHJvZHVjdDox"),
    ],
)
def test_an_event_of_saleor_about_a_medium_or_a_variant_is_about_its_product(
    opened: Callable[[str], Opened], body: Any, ref: str, clock: TestClock
) -> None:
    headers = {"saleor-event": "product_media_created"}
    inbound = InboundWebhook(headers=headers, body=json.dumps(body).encode(), received_at=clock.now())
    if ref:
        assert [event.ref for event in opened("saleor").source().normalize(inbound)] == [ref]
    else:
        with pytest.raises(BadOutput, match="subscribe to product"):
            opened("saleor").source().normalize(inbound)


def test_a_token_of_saleor_that_is_no_app_s_any_more_deletes_no_product(
    opened: Callable[[str], Opened], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SECRETS, "env/TOKEN", "of an app that was removed")
    source = opened("saleor").source()
    with pytest.raises(Refused, match="not that of an active app"):
        source.fetch("UHJvZHVjdDox")
    with pytest.raises(Refused, match="not that of an active app"):
        list(source.changed_since(datetime(2026, 11, 20, 9, tzinfo=UTC)))


def test_saleor_s_texts_in_further_locales(opened: Callable[[str], Opened]) -> None:
    (vase,) = opened("saleor").source(locales=["de-at", "fr"]).fetch("UHJvZHVjdDox")
    assert vase.name == "Vase"
    assert vase.translations == {"de-AT": {"name": "Blumenvase", "description": "Eine blaue Vase."}}


def test_a_deleted_variant_of_saleor_is_a_change_of_its_product(
    opened: Callable[[str], Opened], clock: TestClock
) -> None:
    """Saleor sends no event of the product then; source: `product_variant_delete.py` in saleor/saleor."""
    body = {"productVariant": {"id": "UHJvZHVjdFZhcmlhbnQ6NQ==", "product": {"id": "UHJvZHVjdDox"}}}
    headers = {"saleor-event": "product_variant_deleted"}
    inbound = InboundWebhook(headers=headers, body=json.dumps(body).encode(), received_at=clock.now())
    (event,) = opened("saleor").source().normalize(inbound)
    assert (event.kind, event.ref) == (EventKind.UPDATED, "UHJvZHVjdDox")


def test_a_product_of_vendure(opened: Callable[[str], Opened], monkeypatch: pytest.MonkeyPatch) -> None:
    ours = {
        "source": "https://cdn.example/packshot.jpg",
        "name": "packshot.jpg",
        "type": "IMAGE",
        "tags": [{"value": "dam-connector"}],
    }
    monkeypatch.setitem(
        VENDURE_PRODUCT["variants"][0], "assets", [ours]
    )  # what we published is all that the variant has of its own
    shop = opened("vendure")
    source = shop.source(attributes={"height": "custom:height"})
    first, second = source.fetch("1")
    assert (first.sku, first.category, first.color, first.material, first.dimensions.height_m) == (
        "VASE-1",
        "Decor",
        "Blue",
        "Clay",
        0.3,
    )
    assert [i.url for i in first.images] == [f"{shop.shop.url}/assets/vase.jpg"]
    assert first.translations == second.translations == {"pt-BR": {"name": "Vaso"}}
    assert second.sku == "VASE-2" and [(i.view, i.url) for i in second.images] == [
        (View.FRONT, "https://cdn.example/v2_front.jpg")
    ]
    source.fetch("1")
    assert len(shop.shop.requests) == 3  # logged in once
    with pytest.raises(Refused, match="credentials"):
        shop.source(user="nobody").fetch("1")


@pytest.mark.parametrize("name", list(SHOPS))
def test_what_changed_since_is_listed_page_by_page(opened: Callable[[str], Opened], name: str) -> None:
    found = list(opened(name).source().changed_since(datetime(2026, 11, 20, 9, tzinfo=UTC)))
    expected = {"woocommerce": ["101", "102", "103"], "saleor": ["a", "b", "c"], "vendure": ["0", "100"]}[
        name
    ]
    assert [e.ref for e in found] == expected and {e.kind for e in found} == {EventKind.UPDATED}
    assert {e.at for e in found} == {datetime(2026, 11, 20, 10, tzinfo=UTC)}


@pytest.mark.parametrize("name", list(SHOPS))
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((500, {}, {}), Unavailable),
        ((429, {}, {"Retry-After": "7"}), RateLimited),
        ((403, {}, {}), Refused),
        ((200, b"<html>", {}), BadOutput),
        ((302, b"", {"Location": "http://169.254.169.254/"}), Refused),
    ],
)
def test_each_fault_raises_its_own_error(
    opened: Callable[[str], Opened], name: str, answer: FakePimReply, error: type[Exception]
) -> None:
    shop = opened(name)
    shop.shop.next_replies = [answer]
    with pytest.raises(error) as told:
        shop.source().fetch(REFS[name][0])
    assert not any(secret in str(told.value) for secret in SECRETS.values())


@pytest.mark.parametrize("name", list(SHOPS))
def test_a_product_that_is_not_there_is_not_found(opened: Callable[[str], Opened], name: str) -> None:
    with pytest.raises(NotFound):
        opened(name).source().fetch(REFS[name][1])


@pytest.mark.parametrize("name", list(SHOPS))
@pytest.mark.parametrize(
    "options", [{"attributes": {"colour": "x"}}, {"unit": "yard"}, {"image_order": ["aside"]}, {"shape": 1}]
)
def test_wrong_options_are_refused(opened: Callable[[str], Opened], name: str, options: dict) -> None:
    with pytest.raises(ConfigError):
        opened(name).source(**options)


def test_rotated_keys_are_asked_for_again(opened: Callable[[str], Opened], clock: TestClock) -> None:
    shop = opened("saleor")
    source = shop.source()
    by_key = next(i for i in captured("saleor") if ".." in i.headers["saleor-signature"])
    shop.shop.next_replies = [(200, {"keys": []}, {})]
    with pytest.raises(DeliveryError):
        source.verify(by_key)
    with pytest.raises(DeliveryError):
        source.verify(by_key)  # not asked again at once
    assert len(shop.shop.requests) == 1
    clock.forward(301)
    assert source.verify(by_key).key
    clock.forward(timedelta(hours=25).total_seconds())
    shop.shop.next_replies = [(500, {}, {})]
    with pytest.raises(DeliveryError) as told:
        source.verify(by_key)
    assert told.value.status == 503
