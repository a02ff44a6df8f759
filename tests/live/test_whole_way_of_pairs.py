"""The whole way on two pairs of real systems: Vendure with Directus, WooCommerce with ResourceSpace.

docs/reliability.md has a table of these scenarios.
"""

import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.live.pairs import Pair
from tests.live.servers import ROOT, until

pytestmark = [pytest.mark.live, pytest.mark.timeout(1800)]
SAMPLES = ROOT / "dam_connector" / "samples"
FRONT, BACK, LAMP = SAMPLES / "mug-front.jpg", SAMPLES / "mug-back.jpg", SAMPLES / "lamp-front.jpg"
STAMP = f"{int(time.time()):X}"  # a kit that goes on has the products of earlier times
PATIENCE_S = 300.0
MANY = 50


def versions(pair: Pair, sku: str) -> dict[int, dict[str, Any]]:
    """The versions of a product's packshot, by number."""
    assets = pair.connector.ask("GET", f"/assets?sku={sku}", pair.api)
    briefs = [v for a in assets for v in a["versions"] if a["deliverable"] == "packshot"]
    return {v["number"]: pair.connector.ask("GET", f"/versions/{v['id']}", pair.api) for v in briefs}


def version(pair: Pair, sku: str, number: int, state: str) -> dict[str, Any]:
    """A version, once it has this state here and, in review, a reference in the DAM."""

    def found() -> Any:
        one = versions(pair, sku).get(number)
        return one if one and one["state"] == state and (one["dam_ref"] or state == "blocked") else None

    words = f"V{number} of {sku} is not {state} on {pair.name}"
    return dict(until(found, PATIENCE_S, words))


def shows(pair: Pair, product: str, number: int | None, *, beside: int) -> list[str]:
    """The shop's gallery, once it shows this version of ours, or none, beside so many pictures of its own."""

    def found() -> Any:
        names = pair.gallery(product)
        ours = [name for name in names if "_V" in name]
        good = len(names) - len(ours) == beside and (
            not ours if number is None else len(ours) == 1 and f"_V{number}_" in ours[0]
        )
        return [*names, "shown"] if good else None

    words = f"V{number} is not shown on {pair.name}"
    return list(until(found, PATIENCE_S, words))[:-1]


def in_dam(pair: Pair, ref: str, states: tuple[str, ...]) -> None:
    until(lambda: pair.dam_state(ref) in states, PATIENCE_S, f"{pair.dam} does not say {states}")


@pytest.fixture(scope="module")
def shop_of(pair: Pair) -> Callable[[str], tuple[str, str]]:
    """A product for each test: made once, by its word; the SKU and its number in the shop."""
    made: dict[str, tuple[str, str]] = {}

    def product(word: str) -> tuple[str, str]:
        if word not in made:
            sku = f"{word}-{STAMP}"
            made[word] = (sku, pair.add(f"Mug {word}", sku, [FRONT]))
        return made[word]

    return product


def test_from_creation_to_the_next_version_rollback_and_withdrawal(pair: Pair) -> None:
    sku = f"WAY-{STAMP}"
    product = pair.add("Speckled mug", sku, [FRONT, BACK])
    first = version(pair, sku, 1, "in_review")
    in_dam(pair, first["dam_ref"], ("in_review",))
    pair.say(first["dam_ref"], "approved")
    version(pair, sku, 1, "published")
    shows(pair, product, 1, beside=2)
    in_dam(pair, first["dam_ref"], pair.approved)

    pair.rename(product, "Speckled mug, large")
    second = version(pair, sku, 2, "in_review")
    pair.say(second["dam_ref"], "approved")
    version(pair, sku, 2, "published")
    shows(pair, product, 2, beside=2)

    pair.connector.ask("POST", f"/versions/{first['id']}/rollback", pair.api)
    version(pair, sku, 1, "published")
    shows(pair, product, 1, beside=2)

    pair.connector.ask("POST", f"/versions/{first['id']}/withdraw", pair.api)
    version(pair, sku, 1, "withdrawn")
    shows(pair, product, None, beside=2)
    in_dam(pair, first["dam_ref"], pair.withdrawn)


def test_a_rejection_in_the_dam_arrives_with_its_words(pair: Pair, shop_of: Any) -> None:
    sku, product = shop_of("REJECT")
    found = version(pair, sku, 1, "in_review")
    pair.say(found["dam_ref"], "rejected", "the handle is cut off")
    rejected = version(pair, sku, 1, "rejected")
    assert "the handle is cut off" in rejected["decision"]["note"]
    assert not [name for name in pair.gallery(product) if "_V" in name]


def test_a_deleted_product_goes_offline_and_comes_back(pair: Pair, shop_of: Any) -> None:
    sku, product = shop_of("DELETE")
    found = version(pair, sku, 1, "in_review")
    pair.say(found["dam_ref"], "approved")
    version(pair, sku, 1, "published")
    shows(pair, product, 1, beside=1)
    pair.remove(product)
    version(pair, sku, 1, "withdrawn")
    in_dam(pair, found["dam_ref"], pair.withdrawn)
    assert requests.get(f"{pair.connector.url}/ar/{sku}", timeout=30).status_code == 404
    pair.restore(product)
    version(pair, sku, 1, "published")
    shows(pair, pair.restored(product), 1, beside=1)


def test_an_outage_of_the_dam_loses_nothing(pair: Pair) -> None:
    sku = f"OUTAGE-{STAMP}"
    with pair.dam_away():
        product = pair.add("Mug in an outage", sku, [FRONT])
        until(lambda: versions(pair, sku).get(1), PATIENCE_S, "nothing is made while the DAM is away")
        time.sleep(5)
        assert versions(pair, sku)[1]["state"] == "draft"
    found = version(pair, sku, 1, "in_review")
    in_dam(pair, found["dam_ref"], ("in_review",))
    pair.say(found["dam_ref"], "approved")
    version(pair, sku, 1, "published")
    shows(pair, product, 1, beside=1)


def test_wrong_rights_are_named(pair: Pair) -> None:
    environ = pair.connector.environ_of_commands
    for secrets, connection in _wrong(pair):
        code, said = pair.connector.try_run("connection", "test", connection, environ={**environ, **secrets})
        assert code != 0 and connection in said, said
        assert not any(value in said for value in secrets.values())
    assert "good" in pair.connector.run("connection", "test", pair.dam)


def _wrong(pair: Pair) -> list[tuple[dict[str, str], str]]:
    if pair.dam == "directus":
        return [
            ({"DIRECTUS_TOKEN": pair.reviewer}, "directus"),  # type: ignore[attr-defined]
            ({"DIRECTUS_TOKEN": "no such token"}, "directus"),
            ({"SHOP_PASSWORD": "no such password"}, "store"),
        ]
    keys = pair.rig["woocommerce"]["keys"]["read"]  # type: ignore[attr-defined]
    return [
        ({"RESOURCESPACE_KEY": "no such key"}, "rs"),
        ({"WOOCOMMERCE_KEY": keys["key"], "WOOCOMMERCE_SECRET": keys["secret"]}, "store"),
        ({"WORDPRESS_PASSWORD": "no such password"}, "store"),
    ]


def test_changes_by_hand_on_both_sides(pair: Pair, shop_of: Any) -> None:
    sku, product = shop_of("HAND")
    found = version(pair, sku, 1, "in_review")
    pair.replace_file(found["dam_ref"])
    pair.say(found["dam_ref"], "approved")
    time.sleep(20)  # the poll of the DAM reads the files, finds another one, and refuses the decision
    assert versions(pair, sku)[1]["state"] == "in_review"
    pair.connector.ask("POST", f"/versions/{found['id']}/decision", pair.api, json={"verdict": "approved"})
    version(pair, sku, 1, "published")
    ours = [name for name in shows(pair, product, 1, beside=1) if "_V1_" in name]
    pair.take_off(product, ours[0])
    until(lambda: len(pair.gallery(product)) == 1, 60, "the merchant could not take it off")
    listed = pair.connector.try_run("reconcile")[1]
    assert sku in listed, listed
    pair.connector.try_run("reconcile", "--mend")
    shows(pair, product, 1, beside=1)


def test_variations_have_versions_of_their_own(pair: Pair) -> None:
    red, blue = f"RED-{STAMP}", f"BLUE-{STAMP}"
    pair.add("Mug in colours", f"COLOURS-{STAMP}", [FRONT], {red: [LAMP], blue: []})
    for sku in (red, blue):
        found = version(pair, sku, 1, "in_review")
        pair.say(found["dam_ref"], "approved")
        version(pair, sku, 1, "published")
    time.sleep(15)  # its own publication comes back as webhooks, which make nothing
    assert [len(versions(pair, sku)) for sku in (red, blue)] == [1, 1]


def test_fifty_products_in_one_second(pair: Pair) -> None:
    skus = [f"MANY{n:02}-{STAMP}" for n in range(MANY)]

    products = pair.add_many(skus, FRONT)

    def waiting() -> list[str]:
        return [sku for sku in skus if [v["state"] for v in versions(pair, sku).values()] != ["in_review"]]

    until(lambda: not waiting(), 1500, "not all products came into review")
    assert len({versions(pair, sku)[1]["dam_ref"] for sku in skus}) == MANY
    for product in products:
        pair.remove(product)
    state = {"withdrawn", "in_review"}  # nothing was live, so nothing is taken off
    assert {versions(pair, sku)[1]["state"] for sku in skus} <= state
