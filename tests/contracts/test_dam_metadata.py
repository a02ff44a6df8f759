"""The option `metadata`: values in the DAM's own fields, and the check of their types."""

# ruff: noqa: F811 (fixtures)

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dam_connector.adapters.common.context import AdapterContext
from dam_connector.domain.metadata_templates import WrongValue, metadata_values, parse_template
from dam_connector.errors import Refused
from dam_connector.ports import Blobs, ChecksMetadata, PushRequest
from schemas.rules_loader import load_rules
from tests.contracts.dams.harness import FakeDam
from tests.contracts.dams.resourcespace import FakeResourceSpace
from tests.contracts.test_dams import FAKES, blobs, start_fake, version  # noqa: F401
from tests.support import product, rules_json

TEMPLATES = {
    "season": "{attributes.season}",
    "seats": "{attributes.seats:integer}",
    "keywords": "{style_tags:list}",
}
CHAIR = product(attributes={"season": "SS26", "seats": 4}, style_tags="oak, modern")
STORED: dict[str, dict[str, Any]] = {
    "directus": {"season": "SS26", "seats": 4, "keywords": ["oak", "modern"]},
    "resourcespace": {"season": "SS26", "seats": "4", "keywords": "oak, modern"},
    "cloudinary": {"season": "SS26", "seats": "4", "keywords": '["oak", "modern"]'},
    "bynder": {"season": "o-ss", "seats": "4", "keywords": "oak, modern"},
    "aem": {"season": "SS26", "seats": "4", "seats@TypeHint": "Long", "keywords": "oak, modern"},
}
WITH_TYPES = [name for name in FAKES if name != "aem"]
Start = Callable[[str], FakeDam]


def push(server: FakeDam, context: AdapterContext, store: Blobs, made: Any, number: int = 1) -> str:
    request = PushRequest(
        external_id=f"CH123:model:1:{number}",
        version=version(store, number),
        product=made,
        folder="furniture/CH123",
        review_url="https://dam.example/versions/ver_1",
    )
    return server.open(context, metadata=TEMPLATES).push(request, store)


@pytest.mark.parametrize("name", list(FAKES))
def test_values_are_in_the_fields_of_every_dam(
    start_fake: Start,
    context: AdapterContext,
    blobs: Blobs,
    name: str,
) -> None:
    server = start_fake(name)
    found = server.metadata_of(push(server, context, blobs, CHAIR))
    assert {field: found.get(field) for field in STORED[name]} == STORED[name]


@pytest.mark.parametrize("name", list(FAKES))
def test_a_value_that_is_missing_or_does_not_fit_is_left_out(
    start_fake: Start,
    context: AdapterContext,
    blobs: Blobs,
    name: str,
) -> None:
    server = start_fake(name)
    found = server.metadata_of(push(server, context, blobs, product(attributes={"seats": "four"})))
    assert not any(found.get(field) for field in STORED[name])


def check(server: FakeDam, context: AdapterContext, made: Any, **templates: str) -> list[str]:
    dam = server.open(context, metadata=templates)
    assert isinstance(dam, ChecksMetadata)
    return list(dam.check_metadata([made]))


@pytest.mark.parametrize("name", WITH_TYPES)
def test_the_connection_test_compares_fields_types_and_values(
    start_fake: Start,
    context: AdapterContext,
    name: str,
) -> None:
    server = start_fake(name)
    if isinstance(server, FakeResourceSpace):
        server.rights.add("a")
    good = check(server, context, CHAIR, **TEMPLATES)
    assert good == ["metadata: 3 fields, their types fit; the values of 1 products fit"]
    with pytest.raises(Refused, match="metadata/seazon: there is no such field"):
        check(server, context, CHAIR, seazon="{attributes.season}")
    four = replace(CHAIR, attributes={"seats": "four", "season": "AW 27"})
    with pytest.raises(Refused, match="metadata/seats: CH123: 'four' is no integer"):
        check(server, context, four, seats="{attributes.seats:integer}")
    if name != "resourcespace":  # it tells no type of numbers and no options
        kind = "number" if name == "bynder" else "integer"
        with pytest.raises(Refused, match=f"the field is of type {kind}; write {{...:integer}}"):
            check(server, context, CHAIR, seats="{attributes.seats}")
        with pytest.raises(Refused, match="season: CH123: 'AW 27' is none of its options: SS26"):
            check(server, context, four, season="{attributes.season}")


@pytest.mark.parametrize("name", ["aem", "resourcespace"])
def test_where_no_types_are_told_values_are_checked_all_the_same(
    start_fake: Start, context: AdapterContext, name: str
) -> None:
    server = start_fake(name)
    assert "does not tell their types" in check(server, context, CHAIR, **TEMPLATES)[0]
    with pytest.raises(Refused, match="is no integer"):
        check(server, context, replace(CHAIR, attributes={"s": "x"}), s="{attributes.s:integer}")


def test_resourcespace_takes_numbers_and_short_names_and_names_one_that_is_unknown(
    start_fake: Start, context: AdapterContext, blobs: Blobs
) -> None:
    server = start_fake("resourcespace")
    request = PushRequest(
        external_id="CH123:model:1:1", version=version(blobs), product=CHAIR, folder="x", review_url=""
    )
    dam = server.open(context, metadata={"95": "{sku}", "season": "{attributes.season}"})
    found = server.metadata_of(dam.push(request, blobs))
    assert (found["95"], found["season"]) == ("CH123", "SS26")
    with pytest.raises(Refused, match="metadata/seazon: no field of this short name"):
        server.open(context, metadata={"seazon": "{sku}"}).push(request, blobs)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{attributes.season", "expected"),
        ("{seazon}", "unknown field {seazon}"),
        ("Season", "it has no field in braces"),
        ("{sku:int}", "unknown kind 'int'"),
        ("about {sku:integer}", "must stand alone"),
        ("{sku!r}", "unknown field"),
    ],
)
def test_a_wrong_template_is_refused_with_its_place(template: str, said: str) -> None:
    dam = {"adapter": "directus", "base_url": "https://d.example", "metadata": {"Season": template}}
    connections = {**rules_json()["connections"], "dam": {"library": {"adapter": "library"}, "d": dam}}
    with pytest.raises(ValueError):
        parse_template(template)
    problems = load_problems(rules_json(connections=connections))
    assert any("/connections/dam/d/metadata/Season" in line and said in line for line in problems)


def load_problems(rules: dict[str, Any]) -> list[str]:
    from schemas.adapter_options import option_problems

    load_rules(json.dumps(rules))
    d = rules["connections"]["dam"]["d"]
    return list(option_problems("dam", "d", "directus", {k: v for k, v in d.items() if k != "adapter"}))


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{name} ({brand})", "Modern Dining Chair ()"),
        ("{brand}", None),
        ("{width_cm:number}", 40.0),
        ("{attributes.day:date}", "2026-12-01"),
        ("{attributes.ok:boolean}", True),
    ],
)
def test_a_template_is_rendered(template: str, value: object) -> None:
    known = metadata_values(product(attributes={"day": "2026-12-01T10:00", "ok": "Yes"}))
    assert parse_template(template).render(known) == value
    for wrong in ("{name:integer}", "{name:number}", "{name:boolean}", "{name:date}"):
        with pytest.raises(WrongValue):
            parse_template(wrong).render(known)
