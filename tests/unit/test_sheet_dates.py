"""Dates in sheets: read where there is one meaning, asked about where there are two."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.sheet_dates import EXAMPLE, date_remedy, read_date


@pytest.mark.parametrize(
    "cell",
    ["2027-12-31", "31.12.2027", "31. 12. 2027", "31/12/2027", "12/31/2027", "31-12-2027", "2027/12/31"],
)
def test_a_day_with_one_meaning_is_read(cell: str) -> None:
    assert read_date(f" {cell} ") == datetime(2027, 12, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cell", "remedy"),
    [
        ("03/04/2027", "2027-04-03 or 2027-03-04"),
        ("45678", "2025-01-21, if it is the number of a day"),
        ("45678.5", "2025-01-21, if it is the number of a day"),
        ("31.02.2027", EXAMPLE),
        ("31/31/2027", EXAMPLE),
        ("next spring", EXAMPLE),
        ("12.2027", EXAMPLE),
        ("01.01.0000", EXAMPLE),
    ],
)
def test_what_could_be_two_days_or_none_is_asked_about(cell: str, remedy: str) -> None:
    assert read_date(cell) is None and date_remedy(cell) == remedy


def test_a_day_that_is_the_same_either_way_is_read() -> None:
    assert read_date("05/05/2027") == datetime(2027, 5, 5, tzinfo=UTC)


@given(st.dates(min_value=datetime(1990, 1, 1).date(), max_value=datetime(2100, 1, 1).date()))
def test_dates_with_dots_have_the_day_first(day: datetime) -> None:
    found = read_date(f"{day.day}.{day.month}.{day.year}")
    assert found is not None and found.date() == day


@given(st.text(max_size=40))
def test_no_text_makes_it_fail(cell: str) -> None:
    read_date(cell)
    assert date_remedy(cell)
