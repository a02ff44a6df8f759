"""The domain: names, rules, completeness, codec, ids, hashes."""

import json
import re
from datetime import UTC, datetime, timedelta

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from dam_connector.domain import naming
from dam_connector.domain.codec import from_plain, to_plain
from dam_connector.domain.completeness import product_issues
from dam_connector.domain.ids import new_id
from dam_connector.domain.issue import Report, Severity, apply_severities, issue
from dam_connector.domain.planning import input_hash, planned_runs
from dam_connector.domain.product import Product, is_safe_sku
from dam_connector.domain.rules import ProductRules
from dam_connector.domain.run import TRANSITIONS as RUN_TRANSITIONS
from dam_connector.domain.run import RunState
from dam_connector.domain.version import TRANSITIONS, VersionState
from dam_connector.errors import ConfigError
from schemas.plugin import json_schema
from schemas.product import dump_product, load_product
from schemas.rules_loader import load_rules
from tests.support import MODEL, ROOT, product, record, rules_json

SAFE_SKU = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._+-]{0,20}[A-Za-z0-9])?", fullmatch=True).filter(
    is_safe_sku
)
PATTERN = "{sku}_{name:pascal}_V{version}_{format:upper}"


def test_the_name_that_everybody_expects() -> None:
    values = {"sku": "CH123", "name": "Modern Dining Chair", "version": 1, "format": "glb"}
    assert naming.build_name(PATTERN, values) == "CH123_ModernDiningChair_V1_GLB"


@settings(derandomize=True, deadline=None)
@given(
    sku=SAFE_SKU,
    name=st.text(max_size=40),
    version=st.integers(1, 9999),
    format=st.sampled_from(["glb", "usdz", "jpeg", "webp", "png"]),
)
def test_parse_undoes_build_for_any_product(sku: str, name: str, version: int, format: str) -> None:
    values = {"sku": sku, "name": name, "version": version, "format": format}
    built = naming.build_name(PATTERN, values)
    assert naming.parse_name(PATTERN, built) == naming.canonical_fields(PATTERN, values)
    assert naming.canonical_fields(PATTERN, values)["sku"] == sku
    assert re.fullmatch(r"[A-Za-z0-9._+-]{1,200}", built) and not built.startswith(".")


@pytest.mark.parametrize(
    "pattern",
    [
        "{sku}_{name:slug}_v{version}.{format:lower}",
        "{sku}_{slot}_{version}",
        "{sku:lower}_{color:pascal}_V{version}",
    ],
)
def test_parse_undoes_build_for_other_patterns(pattern: str) -> None:
    values = {
        "sku": "AB-1",
        "name": "Größe Vase",
        "version": 3,
        "format": "png",
        "category": "Home & Garden",
        "slot": 2,
        "color": "dark green",
    }
    assert naming.parse_name(pattern, naming.build_name(pattern, values)) == naming.canonical_fields(
        pattern, values
    )


@pytest.mark.parametrize(
    "pattern",
    [
        "{sku}-{name:slug}-v{version}",
        "{sku:lower}_{color:snake}_V{version}",
        "{sku}{version}",
        "{name}_{sku}_{version}",
    ],
)
def test_patterns_whose_names_cannot_be_read_back_are_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match="cannot be read back"):
        load_rules(json.dumps(rules_json(naming={"default": pattern})))


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("{skuu}", "unknown field"),
        ("{sku:camel}", "unknown filter"),
        ("{sku}/x", "not safe"),
        ("{sku", "expected"),
    ],
)
def test_bad_patterns_say_why(pattern: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        naming.pattern_parts(pattern)


def test_folders_do_not_climb() -> None:
    assert naming.build_folder("{category:slug}/{sku}", {"category": "../../etc", "sku": "A1"}) == "etc/A1"
    assert naming.build_folder("{name}/{sku}", {"name": "..", "sku": "con"}) == "x/_con"


@pytest.mark.parametrize("sku", ["CH123", "a", "A-1.b+c_9", "9" * 64])
def test_safe_skus(sku: str) -> None:
    assert is_safe_sku(sku)


@pytest.mark.parametrize(
    "sku", ["", "../x", "a/b", "a\\b", "a b", "-a", ".a", "a..b", "a\n", "ä", "9" * 65, "a."]
)
def test_unsafe_skus(sku: str) -> None:
    assert not is_safe_sku(sku)


def test_the_shipped_rules_are_good_and_fit_their_schema() -> None:
    text = (ROOT / "plugin.json").read_text()
    assert [d.name for d in load_rules(text).deliverables] == ["packshot", "cutout", "lifestyle", "model"]
    jsonschema.validate(json.loads(text), json_schema())


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        ({"deliverabels": []}, ['/deliverabels: unknown key, did you mean "deliverables"?']),
        (
            {"checks": {"max_triangels": 1}},
            ['/checks/max_triangels: unknown key, did you mean "max_triangles"?'],
        ),
        (
            {"checks": {"severities": {"geometry.windin": "off"}}},
            ['/checks/severities/geometry.windin: no such issue code, did you mean "geometry.winding"?'],
        ),
        (
            {"deliverables": [{"name": "a", "kind": "rendition", "fil": 1}]},
            ['/deliverables/0/fil: unknown key, did you mean "fill"?'],
        ),
        (
            {"deliverables": [{"name": "a", "kind": "rendition", "formats": ["glb"]}]},
            ["/deliverables/0/formats/0: a rendition cannot be made as glb"],
        ),
        (
            {"deliverables": [{"name": "a", "kind": "rendition", "background": "transparent"}], "x": 1},
            ["/x: unknown key"],
        ),
        (
            {"deliverables": [{"name": "a", "kind": "rendition", "channels": ["shop"]}]},
            ["/deliverables/0/channels: there is no channel 'shop'"],
        ),
        (
            {"deliverables": [{"name": "a", "kind": "model", "generator": ["tripo"]}]},
            ["/deliverables/0/generator: there is no provider 'tripo'"],
        ),
        (
            {"deliverables": [{"name": "a", "kind": "rendition", "count": 2}]},
            ["/deliverables/0: its jpeg would have the same name as that of a slot 1"],
        ),
        (
            {
                "deliverables": [
                    {
                        "name": "a",
                        "kind": "rendition",
                        "profiles": ["amazon-main"],
                        "size_px": 800,
                        "fill": 0.7,
                        "background": "#eeeeee",
                    }
                ]
            },
            [
                "/deliverables/0/size_px: amazon-main demands at least 1000 px",
                "/deliverables/0/background: amazon-main demands #ffffff",
                "/deliverables/0/fill: amazon-main demands at least 0.85",
            ],
        ),
        (
            {
                "deliverables": [
                    {"name": "a", "kind": "rendition", "profiles": ["social-portrait"], "formats": ["webp"]}
                ]
            },
            [
                "/deliverables/0/formats: social-portrait accepts jpeg or png",
                "/deliverables/0/aspect: social-portrait demands 4:5",
            ],
        ),
        (
            {"deliverables": [{"name": "a", "kind": "model", "profiles": ["web"]}]},
            ["/deliverables/0/profiles/0: there is no profile 'web' of models; known: khronos-recommended"],
        ),
        (
            {
                "deliverables": [
                    {
                        "name": "a",
                        "kind": "rendition",
                        "profiles": ["web", "google-merchant"],
                        "size_px": 3000,
                        "fill": 0.95,
                    }
                ]
            },
            [
                "/deliverables/0/size_px: web demands at most 2560 px",
                "/deliverables/0/fill: google-merchant demands at most 0.9",
            ],
        ),
        (
            {
                "deliverables": [
                    {"name": "a", "kind": "rendition", "made_from": "b", "views": ["front"], "frames": 8},
                    {"name": "m", "kind": "model"},
                ]
            },
            [
                "/deliverables/0/views: a rendition of a model has no photo",
                "/deliverables/0/frames: this is for `motion` spin or clip",
            ],
        ),
        (
            {"deliverables": [{"name": "a", "kind": "rendition", "made_from": "b"}]},
            ["/deliverables/0/made_from: there is no model deliverable 'b'"],
        ),
        (
            {"deliverables": [{"name": "a", "kind": "rendition", "camera": "north", "motion": "spin"}]},
            ["/deliverables/0/camera: use one of hero, front"],
        ),
        (
            {"deliverables": [{"name": "a", "kind": "rendition", "motion": "spin"}]},
            ["/deliverables/0/motion: this is for renditions of a model"],
        ),
        (
            {
                "deliverables": [
                    {
                        "name": "a",
                        "kind": "rendition",
                        "made_from": "m",
                        "motion": "clip",
                        "formats": ["jpeg"],
                        "profiles": ["web"],
                    }
                ]
            },
            [
                "/deliverables/0/formats: a clip is made as webp",
                "/deliverables/0/profiles: profiles are for still pictures",
            ],
        ),
        (
            {
                "deliverables": [
                    {
                        "name": "a",
                        "kind": "rendition",
                        "made_from": "m",
                        "motion": "spin",
                        "style": "lifestyle",
                        "reflection": True,
                    }
                ]
            },
            [
                "/deliverables/0/motion: a spin or clip has the style studio",
                "/deliverables/0/reflection: a lifestyle picture has a room",
            ],
        ),
        (
            {"deliverables": [{"name": "a", "kind": "model", "made_from": "photo"}]},
            ["/deliverables/0/made_from: this is for renditions"],
        ),
        (
            {"deliverables": [{"name": "a", "kind": "rendition", "background": "#fff to #000"}]},
            ["/deliverables/0/background: use"],
        ),
        ({"naming": {"default": "{sku}_{format}"}}, ["/naming/default: lacks {version}"]),
        (
            {"naming": {"patterns": {"packshot": "{nmae}"}}},
            ["/naming/patterns/packshot: unknown field {nmae}"],
        ),
        ({"review": {"dam": "bynder"}}, ["/review/dam: there is no DAM 'bynder'"]),
        ({"products": {"required": ["colour"]}}, ["/products/required/0: not a product field"]),
        (
            {
                "connections": {
                    "pim": {"a": {"adapter": "standard", "secrets": ["hunter2"]}},
                    "dam": {"library": {"adapter": "library"}},
                }
            },
            ["/connections/pim/a/secrets: do not write a secret here"],
        ),
    ],
)
def test_every_mistake_in_the_rules_has_its_place_and_a_word_of_help(change: dict, lines: list[str]) -> None:
    with pytest.raises(ConfigError) as found:
        load_rules(json.dumps(rules_json(**change)))
    for line in lines:
        assert any(p.startswith(line) for p in found.value.problems), found.value.problems
    assert "hunter2" not in str(found.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", '{"name": 1}', "\x00"])
def test_what_is_no_rules_at_all_is_refused_clearly(text: str) -> None:
    with pytest.raises(ConfigError) as found:
        load_rules(text)
    assert all(p.startswith("/") for p in found.value.problems)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8),
        lambda x: (
            st.lists(x, max_size=3)
            | st.dictionaries(st.sampled_from([*rules_json(), "adapter", "kind", "x"]), x, max_size=4)
        ),
        max_leaves=10,
    )
)
def test_no_json_breaks_the_rules_reader(data: object) -> None:
    with pytest.raises(ConfigError):
        load_rules(json.dumps(data))


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
    assert {(i.code, i.pointer) for i in found} == {
        ("product.field_missing", "/dimensions"),
        ("product.field_missing", "/attributes/ean"),
        ("product.field_missing", "/images/front"),
        ("product.dimensions_implausible", "/dimensions/width_m"),
    }


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
