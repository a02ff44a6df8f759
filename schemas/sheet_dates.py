"""Dates in sheets, as people and spreadsheet programs write them."""

import re
from datetime import UTC, datetime, timedelta

from dam_connector.domain.outside_values import parse_timestamp, to_utc

EXAMPLE = "e.g. 2026-12-01"
_DOTTED = re.compile(r"(\d{1,2})\. ?(\d{1,2})\. ?(\d{4})")  # the day is first wherever dates have dots
_SLASHED = re.compile(r"(\d{1,2})[/-](\d{1,2})[/-](\d{4})")  # which is the day depends on the country
_YEAR_FIRST = re.compile(r"(\d{4})[/.](\d{1,2})[/.](\d{1,2})")
_DAY_NUMBER = re.compile(r"[2-7]\d{4}(\.\d+)?")  # of the years 1954 to 2119
_FIRST_DAY = datetime(1899, 12, 30, tzinfo=UTC)  # day 0 of spreadsheet programs


def read_date(cell: str) -> datetime | None:
    """Return the moment in a cell, in UTC; None if it is none, or if it could be one of two."""
    text = cell.strip()
    if found := _DOTTED.fullmatch(text):
        return _day(found[3], found[2], found[1])
    if found := _YEAR_FIRST.fullmatch(text):
        return _day(found[1], found[2], found[3])
    if found := _SLASHED.fullmatch(text):
        days = _readings(found)
        return days[0] if len(set(days)) == 1 else None
    return parse_timestamp(text)


def date_remedy(cell: str) -> str:
    """Return what to write in place of a cell that `read_date` cannot read."""
    text = cell.strip()
    if _DAY_NUMBER.fullmatch(text):
        return f"{_FIRST_DAY + timedelta(days=float(text)):%Y-%m-%d}, if it is the number of a day"
    if found := _SLASHED.fullmatch(text):
        return " or ".join(f"{day:%Y-%m-%d}" for day in _readings(found)) or EXAMPLE
    return EXAMPLE


def _readings(found: re.Match[str]) -> list[datetime]:
    """Return the days that two numbers and a year can mean: the day first, and the month first."""
    days = (_day(found[3], found[2], found[1]), _day(found[3], found[1], found[2]))
    return [day for day in days if day]


def _day(year: str, month: str, day: str) -> datetime | None:
    try:
        return to_utc(datetime(int(year), int(month), int(day)))
    except ValueError:
        return None
