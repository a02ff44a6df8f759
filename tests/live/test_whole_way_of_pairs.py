"""The whole way on pairs of real systems: Vendure and WooCommerce, each with Directus and ResourceSpace.

docs/reliability.md has a table of these scenarios. The longer ones run on the two main pairs alone.
"""

import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.live.conftest import MAIN_PAIRS
from tests.live.pairs import Pair
from tests.live.servers import ROOT, until

pytestmark = [pytest.mark.live, pytest.mark.timeout(1800)]
main_pairs = pytest.mark.parametrize("pair", MAIN_PAIRS, indirect=True, scope="session")
SAMPLES = ROOT / "dam_connector" / "samples"
FRONT, BACK, LAMP = SAMPLES / "mug-front.jpg", SAMPLES / "mug-back.jpg", SAMPLES / "lamp-front.jpg"
STAMP = f"{int(time.time()):X}"  # a kit that goes on has the products of earlier times
PATIENCE_S = 300.0
MANY = 50


def stamped(pair: Pair, word: str) -> str:
    """A SKU of this pair: the shops share the DAMs, and the DAMs share the shops."""
    return f"{word}-{pair.shop.name[0]}{pair.dam.connection[0]}-{STAMP}".upper()


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


def approved_there(pair: Pair, sku: str, number: int = 1) -> dict[str, Any]:
    """A version that a person approves in the DAM, once it is published."""
    found = version(pair, sku, number, "in_review")
    pair.dam.say(found["dam_ref"], "approved")
    return version(pair, sku, number, "published")


def shows(pair: Pair, product: str, number: int | None, *, beside: int) -> list[str]:
    """The shop's gallery, once it shows this version of ours, or none, beside so many pictures of its own."""

    def found() -> Any:
        names = pair.shop.gallery(product)
        ours = [name for name in names if "_V" in name]
        good = len(names) - len(ours) == beside and (
            not ours if number is None else len(ours) == 1 and f"_V{number}_" in ours[0]
        )
        return [*names, "shown"] if good else None

    words = f"V{number} is not shown on {pair.name}"
    return list(until(found, PATIENCE_S, words))[:-1]


def ours(pair: Pair, product: str, sku: str) -> list[str]:
    """The pictures of ours that the shop shows for a variation."""
    return [name for name in pair.shop.pictures(product, sku) if "_V" in name]


def in_dam(pair: Pair, ref: str, states: tuple[str, ...]) -> None:
    until(lambda: pair.dam.state(ref) in states, PATIENCE_S, f"{pair.dam.connection} does not say {states}")


def is_deleted(pair: Pair, sku: str) -> bool:
    return bool(pair.connector.ask("GET", f"/products/{sku}", pair.api)["deleted"])


@pytest.fixture(scope="module")
def shop_of(pair: Pair) -> Callable[[str], tuple[str, str]]:
    """A product for each test: made once, by its word; the SKU and its number in the shop."""
    made: dict[str, tuple[str, str]] = {}

    def product(word: str) -> tuple[str, str]:
        if word not in made:
            sku = stamped(pair, word)
            made[word] = (sku, pair.shop.add(f"Mug {word}", sku, [FRONT]))
        return made[word]

    return product


def test_from_creation_to_the_next_version_rollback_and_withdrawal(pair: Pair) -> None:
    sku = stamped(pair, "WAY")
    product = pair.shop.add("Speckled mug", sku, [FRONT, BACK])
    first = version(pair, sku, 1, "in_review")
    in_dam(pair, first["dam_ref"], ("in_review",))
    pair.dam.say(first["dam_ref"], "approved")
    version(pair, sku, 1, "published")
    shows(pair, product, 1, beside=2)
    in_dam(pair, first["dam_ref"], pair.dam.approved)

    pair.shop.rename(product, "Speckled mug, large")
    approved_there(pair, sku, 2)
    shows(pair, product, 2, beside=2)

    pair.connector.ask("POST", f"/versions/{first['id']}/rollback", pair.api)
    version(pair, sku, 1, "published")
    shows(pair, product, 1, beside=2)

    pair.connector.ask("POST", f"/versions/{first['id']}/withdraw", pair.api)
    version(pair, sku, 1, "withdrawn")
    shows(pair, product, None, beside=2)
    in_dam(pair, first["dam_ref"], pair.dam.withdrawn)


def test_a_rejection_in_the_dam_arrives_with_its_words(pair: Pair, shop_of: Any) -> None:
    sku, product = shop_of("REJECT")
    found = version(pair, sku, 1, "in_review")
    pair.dam.say(found["dam_ref"], "rejected", "the handle is cut off")
    rejected = version(pair, sku, 1, "rejected")
    assert "the handle is cut off" in rejected["decision"]["note"]
    assert not [name for name in pair.shop.gallery(product) if "_V" in name]


def test_a_deleted_product_goes_offline_and_comes_back(pair: Pair, shop_of: Any) -> None:
    sku, product = shop_of("DELETE")
    found = approved_there(pair, sku)
    shows(pair, product, 1, beside=1)
    pair.shop.remove(product)
    version(pair, sku, 1, "withdrawn")
    in_dam(pair, found["dam_ref"], pair.dam.withdrawn)
    assert requests.get(f"{pair.connector.url}/ar/{sku}", timeout=30).status_code == 404
    back = pair.shop.restore(product)
    version(pair, sku, 1, "published")
    shows(pair, back, 1, beside=1)


def test_an_outage_of_the_dam_loses_nothing(pair: Pair) -> None:
    sku = stamped(pair, "OUTAGE")
    with pair.dam.away():
        product = pair.shop.add("Mug in an outage", sku, [FRONT])
        until(lambda: versions(pair, sku).get(1), PATIENCE_S, "nothing is made while the DAM is away")
        time.sleep(5)
        assert versions(pair, sku)[1]["state"] == "draft"
    found = version(pair, sku, 1, "in_review")
    in_dam(pair, found["dam_ref"], ("in_review",))
    approved_there(pair, sku)
    shows(pair, product, 1, beside=1)


@main_pairs
def test_an_outage_of_the_shop_holds_a_publication_up_and_loses_nothing(pair: Pair) -> None:
    sku = stamped(pair, "CLOSED")
    product = pair.shop.add("Mug of a closed shop", sku, [FRONT])
    found = version(pair, sku, 1, "in_review")
    with pair.shop.away():
        pair.dam.say(found["dam_ref"], "approved")
        version(pair, sku, 1, "approved")
        time.sleep(5)
        assert versions(pair, sku)[1]["state"] == "approved"
    version(pair, sku, 1, "published")
    shows(pair, product, 1, beside=1)


@main_pairs
def test_wrong_rights_are_named(pair: Pair) -> None:
    environ = pair.connector.environ_of_commands
    for connection, people in ((pair.dam.connection, pair.dam), ("store", pair.shop)):
        for secrets, word in people.wrong_rights():
            changed = {**environ, **secrets}
            code, said = pair.connector.try_run("connection", "test", connection, environ=changed)
            assert code != 0 and connection in said and word in said, (secrets.keys(), said)
            assert not any(value in said for value in secrets.values())
        assert "good" in pair.connector.run("connection", "test", connection)
    assert "good" in pair.connector.run("connection", "test", "shop")


def test_changes_by_hand_on_both_sides(pair: Pair, shop_of: Any) -> None:
    sku, product = shop_of("HAND")
    found = version(pair, sku, 1, "in_review")
    pair.dam.replace_file(found["dam_ref"])
    pair.dam.say(found["dam_ref"], "approved")
    time.sleep(20)  # the poll of the DAM reads the files, finds another one, and refuses the decision
    assert versions(pair, sku)[1]["state"] == "in_review"
    pair.connector.ask("POST", f"/versions/{found['id']}/decision", pair.api, json={"verdict": "approved"})
    version(pair, sku, 1, "published")
    (shown,) = [name for name in shows(pair, product, 1, beside=1) if "_V1_" in name]
    pair.shop.take_off(product, shown)
    until(lambda: len(pair.shop.gallery(product)) == 1, 60, "the merchant could not take it off")
    listed = pair.connector.try_run("reconcile", "--connection", "store")[1]
    assert sku in listed, listed
    pair.connector.try_run("reconcile", "--connection", "store", "--mend")
    shows(pair, product, 1, beside=1)


@main_pairs
def test_variations_have_versions_of_their_own_which_go_with_them(pair: Pair) -> None:
    red, blue = stamped(pair, "RED"), stamped(pair, "BLUE")
    product = pair.shop.add("Mug in colours", stamped(pair, "COLOURS"), [FRONT], {red: [LAMP], blue: []})
    for sku in (red, blue):
        approved_there(pair, sku)
        until(lambda sku=sku: ours(pair, product, sku), PATIENCE_S, f"{sku} shows nothing")
    time.sleep(15)  # its own publication comes back as webhooks, which make nothing
    assert [len(versions(pair, sku)) for sku in (red, blue)] == [1, 1]
    photos = [
        pair.connector.ask("GET", f"/products/{sku}", pair.api)["sources"]["front"] for sku in (red, blue)
    ]
    assert photos[0] != photos[1]  # red's own photo, and the product's for blue
    assert len(pair.shop.own_pictures(product, red)) == 1
    theirs = [name for name in pair.shop.gallery(product) if "_V" not in name]

    pair.shop.remove_variant(product, red)
    version(pair, red, 1, "withdrawn")
    gone = f"{red} is still shown by {pair.shop.name}"
    until(lambda: not [n for n in pair.shop.gallery(product) if n.startswith(red)], PATIENCE_S, gone)
    assert is_deleted(pair, red) and not is_deleted(pair, blue)
    assert versions(pair, blue)[1]["state"] == "published" and ours(pair, product, blue)
    assert [name for name in pair.shop.gallery(product) if "_V" not in name] == theirs


@main_pairs
def test_fifty_products_in_one_second(pair: Pair) -> None:
    skus = [stamped(pair, f"MANY{n:02}") for n in range(MANY)]

    products = pair.shop.add_many(skus, FRONT)

    def waiting() -> list[str]:
        return [sku for sku in skus if [v["state"] for v in versions(pair, sku).values()] != ["in_review"]]

    until(lambda: not waiting(), 1500, "not all products came into review")
    assert len({versions(pair, sku)[1]["dam_ref"] for sku in skus}) == MANY

    pair.shop.remove(*products)  # their hooks share seconds, too
    until(lambda: all(is_deleted(pair, sku) for sku in skus), PATIENCE_S, "some deletions were not heard")
    assert not any(v["state"] in ("published", "approved") for s in skus for v in versions(pair, s).values())
