"""`standard` with a mapping: values of any shape are read, absent, or refused; none is lost silently."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dam_connector.adapters.common.record_mapping import RecordMapping
from dam_connector.domain.event import Event, EventKind
from dam_connector.errors import BadOutput, ConfigError
from schemas.record_mapping import MappingSchema

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
FIELDS = {"sku": "$.code", "name": "$.title", "width": "$.w", "front": "$.photo"}
DATES = {"live_from": "$.start", "live_until": "$.end"}


def events(message: Any, fields: dict[str, Any] = FIELDS, **options: Any) -> list[Event]:
    return RecordMapping("standard", {**options, "fields": fields}).events(message, {}, AT)


def event(record: dict[str, Any], **options: Any) -> Event:
    (found,) = events({"code": "A", **record}, {**FIELDS, **DATES}, **options)
    return found


@pytest.mark.parametrize(
    ("sent", "moment"),
    [
        ("2027-03-31", datetime(2027, 3, 31, tzinfo=UTC)),
        ("2027-03-31 08:00:00", datetime(2027, 3, 31, 8, tzinfo=UTC)),
        (1806451200, datetime(2027, 3, 31, tzinfo=UTC)),
        ("1806451200", datetime(2027, 3, 31, tzinfo=UTC)),
        (1806451200000, datetime(2027, 3, 31, tzinfo=UTC)),
        (
            {"date": "2027-03-31 00:00:00.000000", "timezone_type": 3, "timezone": "Europe/Berlin"},
            datetime(2027, 3, 30, 22, tzinfo=UTC),
        ),
        ({"date": "2027-03-31 00:00:00.000000", "timezone": "+01:00"}, datetime(2027, 3, 30, 23, tzinfo=UTC)),
        ("0000-00-00", None),
        ("0000-00-00 00:00:00", None),
        ("", None),
        (None, None),
        (False, None),
    ],
)
def test_a_date_is_read_or_absent(sent: Any, moment: datetime | None) -> None:
    found = event({"end": sent, "start": sent}).product
    assert found and found.live_until == moment and found.live_from == moment


@pytest.mark.parametrize(
    "sent",
    [
        "31.03.2027",
        "03/31/2027",
        "soon",
        20270331,
        0,
        True,
        "2027-13-01",
        ["2027-03-31", "2027-04-01"],
        {"date": "2027-03-31", "timezone": "Europe/Atlantis"},
        {"from": "2027-03-31"},
        10**400,
    ],
)
def test_a_date_that_cannot_be_read_refuses_its_product(sent: Any) -> None:
    good = {"code": "B", "title": "good", "photo": "https://x.example/b.jpg"}
    bad, other = events([{"code": "A", "end": sent}, good], {**FIELDS, **DATES})
    assert bad.product is None and bad.problem.startswith("/live_until: ")
    assert "ISO 8601" in bad.problem and other.product


def test_a_time_that_cannot_be_read_is_refused_rather_than_the_time_of_arrival() -> None:
    found = event({"changed": "30.11.2026 19:02"}, time="$.changed")
    assert found.product is None and found.problem.startswith("/time: '30.11.2026 19:02' is no time")
    assert event({"changed": "0000-00-00"}, time="$.changed").at == AT
    assert event({"changed": 5}, time="$.changed").at == datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC)


@pytest.mark.parametrize("sent", [False, 0, "0", None, "", "false", "No", "0000-00-00 00:00:00", [], {}])
def test_a_mark_of_deletion_that_says_no_deletes_nothing(sent: Any) -> None:
    assert event({"gone": sent}, deleted="$.gone").kind is EventKind.UPDATED


@pytest.mark.parametrize("sent", [True, 1, "1", "yes", "2026-11-20T11:58:00Z", {"by": "Ada"}])
def test_a_mark_of_deletion_that_says_yes_deletes(sent: Any) -> None:
    assert event({"gone": sent}, deleted="$.gone").kind is EventKind.DELETED


TWO = {"events": [{"action": "removed", "code": "A"}, {"action": "saved", "code": "B"}], "action": "other"}
TYPES = {"removed": "deleted", "saved": "updated"}


def test_each_product_of_a_message_has_its_own_type() -> None:
    gone, saved = events(TWO, products="$.events[*]", type="$.action", types=TYPES)
    assert (gone.ref, gone.kind, saved.ref, saved.kind) == (
        "A",
        EventKind.DELETED,
        "B",
        EventKind.UPDATED,
    )
    (one,) = events(
        {**TWO, "events": [{"code": "A"}, TWO["events"][1]]},
        products="$.events[*]",
        type="$.action",
        types=TYPES,
    )
    assert one.ref == "B"  # the other is of a type that has no meaning here


def test_a_product_s_own_word_is_no_type_of_an_event() -> None:
    message = {"type": "saved", "data": [{"code": "A", "type": "chair"}]}
    (found,) = events(message, products="$.data", type="$.type", types=TYPES)
    assert found.kind is EventKind.UPDATED


@pytest.mark.parametrize("place", ["$.events[0].action", "$.events[*].action"])
def test_the_type_of_one_product_is_not_that_of_all(place: str) -> None:
    with pytest.raises(BadOutput, match=r"write the path as it is in one product"):
        events(TWO, products="$.events[*]", type=place, types=TYPES)
    (single,) = events({"events": TWO["events"][:1]}, products="$.events", type=place, types=TYPES)
    assert single.kind is EventKind.DELETED


def test_several_types_of_a_message_are_refused() -> None:
    with pytest.raises(BadOutput, match="finds 2 types"):
        events(
            {"t": ["saved", "removed"], "data": [{"code": "A"}]},
            products="$.data",
            type="$.t[*]",
            types=TYPES,
        )


def test_types_without_a_place_are_refused() -> None:
    with pytest.raises(ConfigError, match="mapping/types: name the place of the type"):
        events({}, types=TYPES)


@pytest.mark.parametrize(
    ("sent", "metres"),
    [
        ({"value": 450, "uom": "mm"}, 0.45),
        ({"value": 450, "unitAbbreviation": "mm"}, 0.45),
        ({"value": 450, "unitCode": "MMT"}, 0.45),
        ({"value": 45, "unitCode": "CMT"}, 0.45),
        ({"value": 2, "unitCode": "MTR"}, 2.0),
        ({"value": 10, "unit_of_measure": "INH"}, 0.254),
        ({"value": 1, "unitOfMeasure": "FOT"}, 0.3048),
        ({"amount": "45.5", "unit": "CENTIMETER", "family": "Length"}, 0.455),
        ({"value": 45, "unit": None}, 0.45),
        ({"value": 45}, 0.45),
        ({"value": "18 in", "locale": "en"}, 0.4572),
        ("45,5 cm", 0.455),
        (0, None),
        ("0 cm", None),
        (False, None),
        ({"value": None, "unit": "cm"}, None),
    ],
)
def test_a_size_is_read_in_its_own_unit(sent: Any, metres: float | None) -> None:
    found = event({"w": sent}).product
    assert found and found.dimensions.width_m == metres


@pytest.mark.parametrize(
    "sent",
    [
        {"value": 450, "abbr": "mm"},
        {"value": 450, "label": "450 mm"},
        {"value": 450, "unitId": 7},
        {"value": 450, "unit": {"code": "mm"}},
        {"value": 450, "uom": "parsec"},
        {"value": 450, "uom": "mm", "unit": "cm"},
        {"value": {"amount": 45, "unit": "cm"}},
        {"size": 45},
        [45, 46],
        ["45 cm"],
        True,
        -5,
        "-5 cm",
        {"value": -5, "unit": "cm"},
        float("inf"),
        10**300,
        "about 5",
    ],
)
def test_an_odd_size_refuses_its_product_alone(sent: Any) -> None:
    bad, good = events([{"code": "A", "w": sent}, {"code": "B", "w": 45}])
    assert bad.product is None and bad.problem.startswith("/dimensions/width: "), bad
    assert good.product and good.product.dimensions.width_m == 0.45


def test_a_product_can_name_the_unit_of_its_sizes_elsewhere() -> None:
    records = [
        {"code": "A", "w": 450, "dim_unit": "MM"},
        {"code": "B", "w": "18 in", "dim_unit": "cm"},
        {"code": "C", "w": 450},
        {"code": "D", "w": 450, "dim_unit": "parsec"},
        {"code": "E"},
    ]
    a, b, c, d, e = events(records, unit="$.dim_unit")
    assert a.product and a.product.dimensions.width_m == 0.45
    assert b.product and b.product.dimensions.width_m == 0.4572
    assert "has no unit" in c.problem and "'parsec' is no unit" in d.problem and e.product


def test_the_schema_knows_every_field_and_a_unit_by_its_path() -> None:
    fields = dict.fromkeys(["sku", "parent", "swatch", "model_url", "live_until", "inspiration_image"], "$.x")
    assert not MappingSchema().validate({"fields": fields, "unit": "$.unit"})
    assert not MappingSchema().validate({"fields": fields, "unit": "mm"})
    assert MappingSchema().validate({"fields": fields, "unit": "parsec"})
    said = json.dumps(MappingSchema().validate({"fields": {"sku": "$.x", "colour": "$.y"}}))
    assert "live_until, attributes, attributes.NAME, or name@de" in said


def test_an_address_that_is_none_refuses_its_product_alone() -> None:
    records = [{"code": "A", "photo": "http://["}, {"code": "B"}]
    for base in ("", "https://x.example"):
        bad, good = events(records, image_base=base, images={"each": "$.photo"})
        assert bad.problem == "/images: 'http://[' is no address" and good.product


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["http://[", "2027-03-31", "45 cm", "1/2", "-5", 10**400, "9" * 60 + " 1/2"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["value", "amount", "unit", "uom", "date", "timezone", "url"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(VALUES, st.sampled_from(["code", "w", "start", "end", "title", "photo", "time", "gone", "unit"]))
def test_any_value_gives_a_product_or_a_refusal(value: Any, name: str) -> None:
    record = {"code": "A", "w": 45, "unit": "cm", name: value}
    mapping = RecordMapping(
        "standard",
        {
            "fields": {**FIELDS, **DATES, "swatch": "$.photo", "spin_images": "$.photo"},
            "time": "$.time",
            "deleted": "$.gone",
            "unit": "$.unit",
            "images": {"each": "$.photo", "url": "$.url"},
            "image_base": "https://x.example/",
        },
    )
    found, other = mapping.events([record, {"code": "B"}], {}, AT)
    assert bool(found.product) + bool(found.problem) + (found.kind is EventKind.DELETED) == 1
    assert other.product
