"""The catalog of issue codes: complete, explained, and each code reported in a test."""

import re
from typing import get_args

import pytest

from dam_connector.domain.issue_codes import CODES, IssueCode, known_code
from tests.issue_marks import marked_codes
from tests.support import ROOT

# What the command line runs too: there, sizes and photos are options, and no record or PIM is near.
BY_HAND = [p for name in ("imaging", "modeling", "capture") for p in (ROOT / "worker" / name).rglob("*.py")]


def test_the_type_and_the_catalog_have_the_same_codes() -> None:
    assert set(get_args(IssueCode)) == set(CODES)
    with pytest.raises(KeyError):
        known_code("limit.colour_of_the_sky")


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_a_severity_a_meaning_and_a_remedy(code: IssueCode) -> None:
    spec = CODES[code]
    assert spec.severity in ("error", "warning", "info")
    assert spec.meaning.endswith(".") and spec.remedy.endswith(".")


def test_every_code_is_reported_in_a_marked_test() -> None:
    assert set(CODES) - marked_codes() == set()


def test_no_remedy_of_what_is_made_by_hand_too_speaks_of_a_pim_or_a_record() -> None:
    quote = r'(?<!")"([^"\n]+)"(?!")'  # no docstring
    quoted = {literal for path in BY_HAND for literal in re.findall(quote, path.read_text())}
    made = [CODES[known_code(literal)] for literal in quoted if literal in CODES]
    said = [text for spec in made for text in (spec.meaning, spec.remedy)]
    said += [literal for literal in quoted if literal[:1].isupper() and literal.endswith(".")]
    assert len(made) > 40 and len(said) > 100
    assert [text for text in said if re.search(r"\bPIM\b|\brecord\b|record's", text)] == []
