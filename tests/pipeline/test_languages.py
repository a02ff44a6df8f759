"""Texts in other languages: from the PIM to the channels that want them and to the AR page."""

import json
from typing import Any

import pytest
from marshmallow import ValidationError

from dam_connector.domain.asset_texts import alt_text
from dam_connector.domain.product import Product
from dam_connector.usecases.publish import build_listing
from dam_connector.wiring import Services
from schemas.product import dump_product, load_product
from schemas.webhook_listing import dump_listing
from tests.pipeline.helpers import PACKSHOT, Drain, Rules, approve, chair, newest, send
from tests.support import PhotoServer, product

GERMAN = {"de_DE": {"name": "Stuhl Falun", "color": "türkis"}, "fr": {"name": "Chaise Falun", "color": ""}}


def words(made: Product, locale: str) -> tuple[str, str]:
    found = made.in_locale(locale)
    return found.name, found.color


def test_a_product_in_a_locale_has_what_is_translated() -> None:
    made = product(color="teal", translations=GERMAN)
    assert words(made, "") == words(made, "es") == ("Modern Dining Chair", "teal")
    assert words(made, "de-DE") == words(made, "de") == words(made, "de-AT") == ("Stuhl Falun", "türkis")
    assert words(made, "fr-CH") == ("Chaise Falun", "teal")
    assert load_product(dump_product(made)) == made


@pytest.mark.parametrize("wrong", [{"german": {}}, {"de": {"sku": "x"}}, {"de": "Stuhl"}, ["de"]])
def test_translations_that_are_none_are_refused(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        product(translations=wrong)


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        ("", "Chair by Nord, in a room"),
        ("de-AT", "Chair von Nord, in einem Raum"),
        ("ja", "Nord Chair, 室内"),
        ("sv", "Chair by Nord, in a room"),
    ],
)
def test_our_own_words_in_alt_texts_are_in_the_locale(locale: str, text: str) -> None:
    assert alt_text(product(name="Chair", brand="Nord"), style="lifestyle", locale=locale) == text


def listed(shop: Services, channel: str) -> tuple[str, list[str]]:
    record = shop.products.get("CH123")
    assert record
    listing = build_listing(shop, channel, record.product)
    return listing.product.name, [placement.alt_text for placement in listing.placements]


def test_a_channel_gets_its_locale_and_a_changed_translation_without_a_new_version(
    shop: Services, photos: PhotoServer, drain: Drain, write_rules: Rules
) -> None:
    rules = json.loads(shop.settings.plugin_json.read_text())
    rules["connections"]["channel"]["feed"] = {"adapter": "memory", "locale": "de"}
    rules["deliverables"] = [{**PACKSHOT, "channels": ["shop", "feed"]}]
    write_rules(**rules)
    send(shop, chair(photos, translations=GERMAN))
    drain()
    approve(shop, newest(shop))
    drain()
    assert listed(shop, "shop")[0] == "Modern Dining Chair" and listed(shop, "feed")[0] == "Stuhl Falun"
    sequence = shop.channel_listings.of_product("CH123")["feed"].sequence
    shop.clock.forward(5)  # type: ignore[attr-defined]
    changed = {**GERMAN, "de": {"name": "Falun-Stuhl"}}
    send(shop, chair(photos, translations=changed), message="m2", kind="product.updated")
    drain()
    assert newest(shop).number == 1 and listed(shop, "feed")[1][0].startswith("Falun-Stuhl")
    assert shop.channel_listings.of_product("CH123")["feed"].sequence == sequence + 1
    assert shop.channel_listings.of_product("CH123")["shop"].sequence == sequence


def test_a_channel_gets_the_further_languages_that_it_names(
    shop: Services, photos: PhotoServer, drain: Drain, write_rules: Rules
) -> None:
    rules = json.loads(shop.settings.plugin_json.read_text())
    rules["connections"]["channel"]["feed"] = {"adapter": "memory", "languages": ["de", "es", "fr"]}
    rules["deliverables"] = [{**PACKSHOT, "channels": ["shop", "feed"]}]
    write_rules(**rules)
    send(shop, chair(photos, translations=GERMAN))
    drain()
    approve(shop, newest(shop))
    drain()
    record = shop.products.get("CH123")
    assert record
    sent = dump_listing(build_listing(shop, "feed", record.product))
    assert sent["name"] == "Modern Dining Chair" and "es" not in sent["translations"]
    names = {locale: texts["name"] for locale, texts in sent["translations"].items()}
    assert names == {"de": "Stuhl Falun", "fr": "Chaise Falun"}
    (asset,) = sent["assets"]
    assert asset["alt_texts"]["de"].startswith("Stuhl Falun") and "Falun" not in asset["alt_text"]
    plain = dump_listing(build_listing(shop, "shop", record.product))
    assert "translations" not in plain and "alt_texts" not in plain["assets"][0]
    sequence = shop.channel_listings.of_product("CH123")["feed"].sequence
    shop.clock.forward(5)  # type: ignore[attr-defined]
    changed = {**GERMAN, "fr": {"name": "Siège Falun"}}
    send(shop, chair(photos, translations=changed), message="m2", kind="product.updated")
    drain()
    assert shop.channel_listings.of_product("CH123")["feed"].sequence == sequence + 1


def test_the_order_of_a_channel_is_the_admin_s(
    shop: Services, photos: PhotoServer, drain: Drain, write_rules: Rules
) -> None:
    rules = json.loads(shop.settings.plugin_json.read_text())
    rules["connections"]["channel"]["shop"]["order"] = ["detail"]
    write_rules(**rules)
    send(shop, chair(photos))
    drain()
    for name in ("packshot", "detail"):
        approve(shop, newest(shop, name))
    drain()
    record = shop.products.get("CH123")
    assert record
    order = {
        channel: [
            p.approved.version.asset.deliverable
            for p in build_listing(shop, channel, record.product).placements
        ]
        for channel in ("shop", "viewer")
    }
    assert order == {"shop": ["detail", "packshot"], "viewer": ["packshot", "detail"]}
