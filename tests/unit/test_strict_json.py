"""JSON is read without guessing: by plugin.json, product files and the API."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import Schema, fields

from dam_connector.errors import ConfigError
from schemas.common import MAX_PROBLEM_CHARACTERS, MAX_PROBLEMS, problem_lines
from schemas.rules_loader import load_rules
from schemas.rules_notes import rules_notes
from schemas.strict_json import load_json
from tests.support import rules_json

CLEAN = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
NUMBERS = st.integers(-(10**12), 10**12) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | CLEAN,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(CLEAN, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_every_value_reads_back(value: object) -> None:
    assert load_json(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1, "b": {"c": 1, "c": 2}}', 'the key "c" is given twice'),
        ('{"a": NaN}', "NaN is no number"),
        ("[-Infinity]", "-Infinity is no number"),
        ("[1e400]", "too large a number"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": ' * 50_000, "nested too deeply"),
        ('// rules\n{"a": 1}', "no comments"),
        ('{"a": 1,}', "remove the comma"),
        ("{'a': 1}", "double quotes"),
        ("{“a”: 1}", "straight quotes"),
        ('{"a"', "line 1, column 5"),
    ],
)
def test_what_needs_a_guess_is_refused_with_its_place(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        load_json(text)


def test_a_key_twice_in_the_rules_is_refused() -> None:
    text = json.dumps(rules_json())
    with pytest.raises(ConfigError, match='the key "name" is given twice'):
        load_rules(f'{text[:-1]}, "name": "other"}}')


@pytest.mark.parametrize("folder", ["/{sku}", "../{sku}"])
def test_a_folder_that_looks_as_if_it_were_elsewhere_is_noted(folder: str) -> None:
    rules = rules_json(naming={"default": "{sku}_V{version}_{format}", "folder": folder})
    assert any(note.startswith("/naming/folder") for note in rules_notes(load_rules(json.dumps(rules))))


def test_a_list_of_what_is_known_names_the_nearest() -> None:
    rules = rules_json(products={"required": ["sku", "nmae"]})
    with pytest.raises(ConfigError, match='did you mean "name"'):
        load_rules(json.dumps(rules))


def test_a_hostile_body_gets_a_short_list_of_its_problems() -> None:
    schema = Schema.from_dict({"sku": fields.String(required=True)})()
    problems = schema.validate({f"k{number}{'x' * 5000}": 1 for number in range(20_000)})
    lines = list(problem_lines(problems, schema))
    assert len(lines) == MAX_PROBLEMS + 1 and max(map(len, lines)) <= MAX_PROBLEM_CHARACTERS
    assert lines[-1] == f"/: there are more than these {MAX_PROBLEMS} problems; correct them first"
    few = {"x": ["Unknown field."], "images": {"front": ["no"]}}
    assert [line.partition(":")[0] for line in problem_lines(few, schema)] == ["/x", "/images/front"]
