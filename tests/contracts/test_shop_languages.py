"""Shops that take texts in further languages: alt texts, and names and descriptions of products."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from dam_connector.adapters.common.context import AdapterContext
from dam_connector.domain.listing import Listing
from dam_connector.errors import RateLimited, Refused, Unavailable
from dam_connector.ports import Blobs, Channel
from dam_connector.store.blobs import open_blobs
from tests.contracts.channels.harness import OTHER_SKU, FakeChannel
from tests.contracts.channels.saleor import FakeSaleor
from tests.contracts.channels.shopify import PRODUCT_ID, FakeShopify
from tests.contracts.test_channels import listing, model, packshot

HTML = "<p>Ein Stuhl.</p><p>Aus Eiche &amp; Stahl.</p>"


@pytest.fixture
def blobs(tmp_path: object) -> Blobs:
    return open_blobs(f"{tmp_path}/blobs")


@pytest.fixture
def shopify() -> Iterator[FakeShopify]:
    shop = FakeShopify()
    yield shop
    shop.stop()


@pytest.fixture
def saleor() -> Iterator[FakeSaleor]:
    shop = FakeSaleor()
    yield shop
    shop.stop()


@pytest.fixture
def sync(blobs: Blobs, context: AdapterContext) -> Callable[[FakeChannel, Listing], None]:
    """Sync, as often as the shop asks for more time."""

    def run(shop: FakeChannel, wanted: Listing) -> None:
        channel: Channel = shop.open(context)
        for _ in range(100):
            try:
                channel.sync(wanted, blobs)
                return
            except RateLimited:
                continue
        raise AssertionError("it never settled")

    return run


def in_german(wanted: Listing, *, name: str = "Stuhl", locale: str = "de") -> Listing:
    german = replace(wanted.product, name=name, description="Ein Stuhl.\n\nAus Eiche & Stahl.")
    placements = tuple(replace(p, alt_texts={locale: f"{name}, Eiche"}) for p in wanted.placements)
    return replace(wanted, placements=placements, translated={locale: german})


def shopify_texts(shop: FakeShopify) -> dict[str, str]:
    return {key: text for (_, _, key), (text, _) in shop.translations.items()}


def test_shopify_gets_alt_texts_names_and_descriptions_in_a_further_language(
    shopify: FakeShopify, blobs: Blobs, sync: Callable[[FakeChannel, Listing], None]
) -> None:
    wanted = in_german(listing(packshot(blobs), model(blobs)))
    sync(shopify, wanted)
    picture = shopify.product[2]
    assert {place: text for place, (text, _) in shopify.translations.items()} == {
        (picture, "de", "alt"): "Stuhl, Eiche",
        (PRODUCT_ID, "de", "title"): "Stuhl",
        (PRODUCT_ID, "de", "body_html"): HTML,
    }
    writes = shopify.write_count()
    sync(shopify, wanted)
    assert shopify.write_count() == writes
    shopify.texts["title"] = "Falun chair"  # so that Shopify calls its translation outdated
    sync(shopify, wanted)
    assert shopify.write_count() == writes + 1
    sync(shopify, in_german(listing(packshot(blobs), model(blobs)), name="Sessel"))
    assert shopify_texts(shopify) == {"alt": "Sessel, Eiche", "title": "Sessel", "body_html": HTML}


def test_a_language_that_the_shop_does_not_have_is_named(
    shopify: FakeShopify, blobs: Blobs, sync: Callable[[FakeChannel, Listing], None]
) -> None:
    with pytest.raises(Refused, match="Locale is invalid"):
        sync(shopify, in_german(listing(packshot(blobs)), locale="pl"))


def test_many_languages_and_pictures_stay_below_the_points_that_shopify_takes(
    shopify: FakeShopify, blobs: Blobs, sync: Callable[[FakeChannel, Listing], None]
) -> None:
    shopify.locales = [f"{letter}{other}" for letter in "abcd" for other in "abcde"]
    wanted = listing(*(packshot(blobs, slot=slot) for slot in range(1, 46)))
    chairs = {locale: replace(wanted.product, name=f"Chair {locale}") for locale in shopify.locales}
    alts = {locale: f"Chair {locale}, oak" for locale in chairs}
    placements = tuple(replace(p, alt_texts=alts) for p in wanted.placements)
    sync(shopify, replace(wanted, placements=placements, translated=chairs))
    assert len(shopify.translations) == 20 * 45 + 20


def test_a_text_that_the_shop_does_not_have_is_not_translated(
    shopify: FakeShopify, blobs: Blobs, sync: Callable[[FakeChannel, Listing], None]
) -> None:
    shopify.texts["body_html"] = ""
    sync(shopify, in_german(listing(packshot(blobs))))
    assert set(shopify_texts(shopify)) == {"alt", "title"}


def test_saleor_gets_alt_texts_names_and_descriptions_in_a_further_language(
    saleor: FakeSaleor, blobs: Blobs, sync: Callable[[FakeChannel, Listing], None]
) -> None:
    wanted = in_german(listing(packshot(blobs), model(blobs)), locale="de-AT")
    sync(saleor, wanted)
    (picture,) = [id for id in saleor.media if id.startswith("m10")]
    assert saleor.translations[picture, "DE_AT"] == {"alt": "Stuhl, Eiche"}
    product = saleor.translations["p1", "DE_AT"]
    blocks = json.loads(product["description"])["blocks"]
    assert product["name"] == "Stuhl" and {each["type"] for each in blocks} == {"paragraph"}
    assert [each["data"]["text"] for each in blocks] == ["Ein Stuhl.", "Aus Eiche &amp; Stahl."]
    saleor.translations["p1", "DE_AT"]["name"] = "Stuhl, von Hand verbessert"
    writes = saleor.write_count()
    sync(saleor, wanted)
    assert saleor.write_count() == writes
    sync(saleor, in_german(listing(packshot(blobs), model(blobs)), name="Sessel", locale="de-AT"))
    assert saleor.translations["p1", "DE_AT"]["name"] == "Sessel"
    assert saleor.translations[picture, "DE_AT"] == {"alt": "Sessel, Eiche"}


def test_the_texts_of_a_product_of_several_skus_are_left_alone(
    shopify: FakeShopify,
    saleor: FakeSaleor,
    blobs: Blobs,
    sync: Callable[[FakeChannel, Listing], None],
) -> None:
    """Each of them has texts of its own, and would write over those of the others."""
    for shop in (shopify, saleor):
        shop.add_second_variant()
        sync(shop, in_german(listing(packshot(blobs), sku=OTHER_SKU)))
    assert set(shopify_texts(shopify)) == {"alt"}
    assert [set(texts) for texts in saleor.translations.values()] == [{"alt"}]


@pytest.mark.parametrize("lost", range(9))
def test_a_lost_answer_leaves_no_text_unwritten(
    shopify: FakeShopify,
    saleor: FakeSaleor,
    blobs: Blobs,
    sync: Callable[[FakeChannel, Listing], None],
    lost: int,
) -> None:
    wanted = in_german(listing(packshot(blobs)))
    for shop in (shopify, saleor):
        shop.faults["write"] = [*[""] * lost, "lost"]
        try:
            sync(shop, wanted)
        except Unavailable:
            sync(shop, wanted)
    assert len(shopify.translations) == 3
    assert sorted(map(len, saleor.translations.values())) == [1, 2]
