"""The domain: names, rules, completeness, codec, ids, hashes."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from marshmallow import ValidationError

from dam_connector.domain.codec import from_plain, to_plain
from dam_connector.domain.completeness import product_issues
from dam_connector.domain.ids import new_id
from dam_connector.domain.issue import Issue, Report, Severity, apply_severities, issue
from dam_connector.domain.planning import input_hash, planned_runs
from dam_connector.domain.product import Product
from dam_connector.domain.rules import ProductRules
from dam_connector.domain.run import TRANSITIONS as RUN_TRANSITIONS
from dam_connector.domain.run import RunState
from dam_connector.domain.version import TRANSITIONS, VersionState
from dam_connector.domain.version_marks import version_marks
from dam_connector.errors import ConfigError
from schemas.product import dump_product, load_product
from schemas.rules_loader import load_rules
from tests.support import MODEL, product, record, rules_json


@pytest.mark.issue("product.field_missing", "product.dimensions_implausible")
def test_completeness_by_category_and_plausible_sizes() -> None:
    rules = ProductRules(
        required=("sku", "name", "images.any"),
        required_by_category={"furniture": ("dimensions", "attributes.ean", "images.front")},
    )
    found = list(
        product_issues(
            product(
                "T1",
                category="furniture",
                dimensions={"width": 900, "height": 1, "unit": "m"},
                images={"hero": "http://x/y"},
            ),
            rules,
        )
    )
    assert "The depth is missing, which the rules demand for the category furniture." in [
        i.message for i in found
    ]
    assert {(i.code, i.pointer) for i in found} == {
        ("product.field_missing", "/dimensions/depth"),
        ("product.field_missing", "/attributes/ean"),
        ("product.field_missing", "/images/front"),
        ("product.dimensions_implausible", "/dimensions/width_m"),
    }


@pytest.mark.issue("product.never_live")
def test_a_product_that_ends_before_it_begins_is_warned_of() -> None:
    def found(**dates: str) -> list[Issue]:
        issues = product_issues(product("T1", **dates), ProductRules())
        return [each for each in issues if each.code == "product.never_live"]

    (warning,) = found(live_from="2027-04-01", live_until="2027-03-31")
    assert (warning.severity, warning.pointer) == ("warning", "/live_until")
    assert "from 2027-04-01 00:00 UTC and until 2027-03-31 00:00 UTC" in warning.message
    assert not found(live_from="2027-03-31")
    assert not found(live_from="2027-04-01", live_until="2027-04-02")


@pytest.mark.parametrize(
    ("unit", "metres"), [("m", 2.0), ("cm", 0.02), ("mm", 0.002), ("in", 0.0508), ("ft", 0.6096)]
)
def test_units(unit: str, metres: float) -> None:
    assert product(dimensions={"width": 2, "unit": unit}).dimensions.width_m == metres


def test_a_product_goes_over_the_wire_and_into_the_store_and_back() -> None:
    original = product(
        images={"front": "http://x/f.jpg", "back": "http://x/b.jpg"}, attributes={"ean": "1"}, brand="B"
    )
    assert load_product(dump_product(original)) == original
    assert from_plain(Product, json.loads(json.dumps(to_plain(original)))) == original


def test_the_input_hash_knows_facts_pictures_and_rules_but_not_addresses() -> None:
    rules = load_rules(json.dumps(rules_json()))
    d = rules.deliverables[0]
    base = input_hash(product(images={"front": "http://a"}), {"front": "1"}, d, 1, rules)
    assert input_hash(product(images={"front": "http://b"}), {"front": "1"}, d, 1, rules) == base
    others = {
        input_hash(product(color="red"), {"front": "1"}, d, 1, rules),
        input_hash(product(), {"front": "2"}, d, 1, rules),
        input_hash(product(), {"front": "1"}, d, 2, rules),
        input_hash(product(), {"front": "1"}, rules.deliverables[1], 1, rules),
    }
    assert len(others | {base}) == 5


def test_another_net_makes_what_is_cut_out_of_photos_again_and_an_update_nothing() -> None:
    hashes = []
    for imaging in ({}, {"net": "u2netp.onnx"}, {"net": "none"}, {"net": "isnet.onnx"}):
        rules = load_rules(json.dumps(rules_json(imaging=imaging)))
        from_photo = rules.deliverables[0]
        from_model = replace(from_photo, made_from="model")
        hashes.append([input_hash(product(), {"front": "1"}, d, 1, rules) for d in (from_photo, from_model)])
    photos, models = zip(*hashes, strict=True)
    assert photos[0] == photos[1] and len(set(photos)) == 3 and len(set(models)) == 1


@pytest.mark.parametrize("name", ["", "none.onnx", "model.onnx", "../u2net.onnx", "u2net.onnx/../x", "u2net"])
def test_a_net_is_a_file_name_of_a_known_kind(name: str) -> None:
    with pytest.raises(ConfigError, match="/imaging/net: must be"):
        load_rules(json.dumps(rules_json(imaging={"net": name})))


PHOTOS = {"front": "1"}


def test_planning_goes_by_category_and_count() -> None:
    rules = load_rules(
        json.dumps(
            rules_json(
                deliverables=[
                    {"name": "life", "kind": "rendition", "count": 3, "categories": ["decor"]},
                    {"name": "model", "kind": "model"},
                ],
                naming={"default": "{sku}_{deliverable:slug}_{slot}_V{version}_{format}"},
            )
        )
    )
    assert [(p.deliverable.name, p.slot) for p in planned_runs(product(), PHOTOS, {}, rules)] == [
        ("life", 1),
        ("life", 2),
        ("life", 3),
        ("model", 1),
    ]
    assert [p.deliverable.name for p in planned_runs(product(category="shoes"), PHOTOS, {}, rules)] == [
        "model"
    ]


def test_planning_goes_by_what_there_is_to_start_from() -> None:
    spin = {"name": "spin", "kind": "rendition", "made_from": "model", "motion": "spin", "formats": ["webp"]}
    room = {"name": "room", "kind": "rendition", "style": "lifestyle", "formats": ["png"]}
    rules = load_rules(
        json.dumps(
            rules_json(
                deliverables=[spin, room, MODEL],
                naming={"default": "{sku}_{deliverable:slug}_V{version}_{format}"},
            )
        )
    )

    def hashes(sources: dict, models: dict) -> dict[str, str]:
        return {p.deliverable.name: p.input_hash for p in planned_runs(product(), sources, models, rules)}

    assert set(hashes(PHOTOS, {})) == {"room", "model"} and hashes({"inspiration": "9"}, {}) == {}
    with_model = hashes(PHOTOS, {"model": "5"})
    assert set(with_model) == {"spin", "room", "model"} and with_model["model"] == hashes(PHOTOS, {})["model"]
    other_photo, other_model, inspired = (
        hashes({"front": "2"}, {"model": "5"}),
        hashes(PHOTOS, {"model": "6"}),
        hashes({**PHOTOS, "inspiration": "9"}, {"model": "5"}),
    )
    assert (
        other_photo["spin"] == with_model["spin"] != other_model["spin"]
        and other_model["room"] == with_model["room"]
    )
    assert inspired["room"] != with_model["room"] and inspired["model"] == with_model["model"]


def test_ids_sort_by_time_also_within_a_millisecond() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    ids = [new_id("x", now) for _ in range(500)] + [
        new_id("x", now + timedelta(milliseconds=n)) for n in range(1, 50)
    ]
    assert ids == sorted(ids) and len(set(ids)) == len(ids)


def test_severities_are_the_admins_and_the_worst_comes_first() -> None:
    found = apply_severities(
        [issue("model.single_view", "a"), issue("file.bytes", "b"), issue("cutout.cropped", "c")],
        {"cutout.cropped": "error", "model.single_view": "off"},
    )
    assert [(i.code, i.severity) for i in found] == [
        ("cutout.cropped", Severity.ERROR),
        ("file.bytes", Severity.ERROR),
    ]
    assert Report(issues=found).blocked


def test_causes_come_before_what_follows_from_them() -> None:
    found = apply_severities(
        [
            issue("likeness.mirrored", "d"),
            issue("geometry.normals", "c"),
            issue("source.same_picture", "a"),
            issue("model.low_confidence", "b"),
        ],
        {},
    )
    assert "".join(i.message for i in found) == "abcd"
    assert version_marks(found).text == "one photo as two views"


@pytest.mark.parametrize(("table", "states"), [(TRANSITIONS, VersionState), (RUN_TRANSITIONS, RunState)])
def test_the_tables_of_transitions_are_whole(table: dict, states: type) -> None:
    assert set(table) == set(states)


def test_records_with_half_a_character_are_refused() -> None:
    from marshmallow import ValidationError

    for bad in ("\ud800", "a\x00b"):
        with pytest.raises(ValidationError):
            load_product(record(name=bad))


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("2026-12-01", "2026-12-01T00:00:00+00:00"),
        ("2026-12-01T08:00", "2026-12-01T08:00:00+00:00"),
        ("2026-12-01T08:00:00+01:00", "2026-12-01T08:00:00+01:00"),
        ("", None),
        (None, None),
    ],
)
def test_an_embargo_is_a_day_or_a_moment(said: str | None, meant: str | None) -> None:
    found = load_product({"sku": "A", "live_from": said})
    assert (found.live_from.isoformat() if found.live_from else None) == meant
    assert load_product(dump_product(found)) == found
    with pytest.raises(ValidationError, match="live_from"):
        load_product({"sku": "A", "live_from": "next week"})


def test_a_record_may_have_numbers_for_texts_and_nothing_for_what_is_absent() -> None:
    found = load_product(
        {
            "sku": 10023,
            "name": "Chair",
            "color": None,
            "style_tags": ["warm", "oak"],
            "images": {"front": "https://x.example/a.jpg", "back": "", "left": None},
            "dimensions": {"width": 46, "height": "", "depth": None, "unit": "cm"},
            "live_from": "",
            "attributes": {
                "legs": 4,
                "weight": 4.5,
                "indoor": True,
                "note": None,
                "tags": ["a", 2],
                "x": " ",
            },
        }
    )
    assert (found.sku, found.color, found.style_tags, found.live_from) == ("10023", "", "warm, oak", None)
    assert [image.view.value for image in found.images] == ["front"]
    assert (found.dimensions.width_m, found.dimensions.height_m) == (0.46, None)
    assert found.attributes == {"legs": "4", "weight": "4.5", "indoor": "true", "tags": "a, 2"}
    with pytest.raises(ValidationError, match="attributes"):
        load_product({"sku": "A", "attributes": {"nested": {"a": 1}}})
    with pytest.raises(ValidationError, match="sku"):
        load_product({"sku": None})


def test_categories_are_compared_without_case_and_blanks() -> None:
    deliverable = {**rules_json()["deliverables"][0], "categories": ["Floor  Lamps"]}
    review = {"owners": {"LAMPS": "ann"}, "stages": {"lamps": [{"name": "brand"}]}}
    products = {"required": ["sku"], "categories": {"Lamps": {"required": ["color"]}}}
    rules = load_rules(json.dumps(rules_json(deliverables=[deliverable], review=review, products=products)))
    assert rules.deliverables[0].is_for_category("floor lamps ")
    assert not rules.deliverables[0].is_for_category("floorlamps")
    assert rules.products.required_for("lamps") == ("sku", "color")
    assert rules.review.owner_of("Lamps") == "ann" and rules.review.owner_of("sofas") == ""
    assert [stage.name for stage in rules.review.stages_for("Lamps")] == ["brand"]


def test_a_category_that_is_named_twice_is_refused() -> None:
    review = {"owners": {"Lamps": "ann", "lamps": "bob"}}
    with pytest.raises(ConfigError, match="/review/owners/lamps: 'Lamps' is the same category"):
        load_rules(json.dumps(rules_json(review=review)))


def test_a_description_that_is_new_makes_nothing_again_where_nobody_reads_it() -> None:
    rules = load_rules(json.dumps(rules_json(deliverables=[MODEL])))
    (before,) = planned_runs(product(), PHOTOS, {}, rules)
    (after,) = planned_runs(product(description="A chair of oak."), PHOTOS, {}, rules)
    assert before.input_hash in after.former_hashes and before.input_hash != after.input_hash
