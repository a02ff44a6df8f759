"""The catalog of issue codes: complete, explained, and each code reported in a test."""

from typing import get_args

import pytest

from dam_connector.domain.issue_codes import CODES, IssueCode, known_code
from tests.issue_marks import marked_codes


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
