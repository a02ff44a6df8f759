"""Dates, lengths and switches in the records of other systems: each is read, absent, or refused."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from dam_connector.domain.outside_values import MAX_INTEGER, parse_timestamp, parse_unix_time
from schemas.numbers_and_units import METRES_PER_UNIT, NotANumber, NumberCell, read_length, unit_name

_NO_LENGTHS = ("", "-", "n/a", "none", "null", "0")
_NO_DATE = re.compile(r"0000-00-00(?:[T ]00:00:00(?:\.0+)?Z?)?")  # how databases write that there is none
_FALSE = ("", "0", "0.0", "false", "no", "n", "off", "null", "none")
_MILLISECONDS_FROM = 100_000_000_000  # a larger number of seconds would be in the year 5138
_UNIX_DIGITS = (10, 13)  # seconds and milliseconds since 2001, as texts
FIRST_DATE_S = 1_000_000_000  # a smaller number as a date is a year, a day such as 20261201, or a mistake
# The codes of UN/CEFACT Recommendation 20, which GS1 and many systems of retailers use.
_TRADE_UNITS = {"MMT": "mm", "CMT": "cm", "MTR": "m", "INH": "in", "FOT": "ft"}
_VALUE_KEYS = ("amount", "value")
_UNIT_KEY = re.compile(r"unit|uom|measure", re.IGNORECASE)
_MAX_SHOWN = 60
DATE_FORMS = "ISO 8601 (2026-12-01, 2026-12-01T08:00:00+01:00), or seconds or milliseconds since 1970"


class NotADate(ValueError):
    """A value that is there and is no date."""


def is_true(value: Any) -> bool:
    """Return whether a value says yes: anything but `false`, 0, null, "0", "no", an empty date and such."""
    if isinstance(value, str):
        text = value.strip().lower()
        return text not in _FALSE and not _NO_DATE.fullmatch(text.upper())
    return bool(value)


def read_time(value: Any) -> datetime | None:
    """Return a time in UTC; None if there is none.

    Args:
        value: ISO 8601, seconds or milliseconds since 1970, or an object with `date` and `timezone`. A date
            of zeros (`0000-00-00`) is none, and so is `false`.

    Raises:
        NotADate: the value is there and is no time.
    """
    if (
        value is None
        or value is False
        or value in ([], {})
        or (isinstance(value, str) and _is_no_date(value))
    ):
        return None
    moment = _time(value)
    if moment is None:
        raise NotADate(f"{shown(value)} is no time that can be read; send {DATE_FORMS}")
    return moment


def read_date(value: Any) -> datetime | None:
    """Return a time as `read_time`; a number that is too small to be one on purpose is refused.

    Raises:
        NotADate: the value is there and is no date.
    """
    if not isinstance(value, bool) and isinstance(value, (int, float)) and not value >= FIRST_DATE_S:
        raise NotADate(f"{shown(value)} is no date that can be read; send {DATE_FORMS}, or null for none")
    return read_time(value)


def _is_no_date(text: str) -> bool:
    return not text.strip() or bool(_NO_DATE.fullmatch(text.strip()))


def _time(value: Any) -> datetime | None:
    if isinstance(value, Mapping):
        return _time_in_zone(value)
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if isinstance(value, str):
        text = value.strip()
        if not (text.isascii() and text.isdigit() and len(text) in _UNIX_DIGITS):
            return parse_timestamp(text)
        value = int(text)
    if value > MAX_INTEGER:  # dividing an integer of 400 digits fails
        return None
    return parse_unix_time(value / 1000 if value >= _MILLISECONDS_FROM else value)


def _time_in_zone(value: Mapping[str, Any]) -> datetime | None:
    """Return the time of `{"date": "2026-12-01 00:00:00", "timezone": "Europe/Berlin"}`, as PHP writes it."""
    if not isinstance(value.get("date"), str) or not isinstance(value.get("timezone", ""), str):
        return None
    try:
        moment = datetime.fromisoformat(value["date"].strip())
        zone = str(value.get("timezone", "")).strip()
        if moment.tzinfo is None and zone:
            is_offset = re.fullmatch(r"[+-]\d\d:?\d\d", zone)
            moment = (
                datetime.fromisoformat(f"{moment.isoformat()}{zone}")
                if is_offset
                else moment.replace(tzinfo=ZoneInfo(zone))
            )
        return parse_timestamp(moment.isoformat())
    except (ValueError, KeyError, OverflowError, OSError):  # a zone that does not exist is a KeyError
        return None


def parse_length(value: Any, unit: str) -> float | None:
    """Return a length in metres, or None if there is none or it is 0.

    Args:
        value: a number, its text, or a measure with a unit, e.g. `{"amount": "80", "unit": "CENTIMETER"}`.
        unit: the unit of a plain number; empty: a plain number is refused.

    Raises:
        NotANumber: the value is no length, or can be two, e.g. "80,125"; it is below 0; or it has a unit
            that is not understood.
    """
    if isinstance(value, Mapping) and value:
        value, unit = _measure(value, unit)
    if value is None or value is False or value in ([], {}):
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise NotANumber(
            f'{shown(value)} is no size; send a number, a text such as "45 cm", or '
            '{"value": 45, "unit": "cm"}'
        )
    if isinstance(value, str) and value.strip().lower() in _NO_LENGTHS:
        return None
    # records of systems write decimals with a point and no marks of thousands
    text = str(value)
    is_machine_number = not isinstance(value, str) or re.fullmatch(r"\s*-?\d+\.\d+\s*", text)
    length_m = _length(NumberCell(text.strip()) if is_machine_number else text, unit)
    if length_m < 0:
        raise NotANumber(f"{shown(value)} is below 0")
    return length_m or None


def _length(text: str, unit: str) -> float:
    try:
        return read_length(text, "", unit)
    except KeyError:  # neither the text nor the record names a unit
        raise NotANumber(f"{text[:40]} has no unit; send one of {', '.join(METRES_PER_UNIT)}") from None


def _measure(measure: Mapping[str, Any], default: str) -> tuple[Any, str]:
    """Return the value and the unit of an object, by the names that systems give them.

    Raises:
        NotANumber: it has no value, or words that may be its unit and are not understood. Read in the unit
            of plain numbers, such a size would be ten times too large.
    """
    key = next((key for key in _VALUE_KEYS if key in measure), None)
    if key is None:
        raise NotANumber(f"{shown(measure)} is no size: it has neither `value` nor `amount`")
    others = {name: each for name, each in measure.items() if name != key and each not in (None, "")}
    named = {name: each for name, each in others.items() if _UNIT_KEY.search(str(name))}
    units = {found for each in named.values() if (found := length_unit(each))}
    if len(units) == 1:
        return measure[key], units.pop()
    if units or named:
        name = next(iter(named))
        raise NotANumber(
            f"{name}: {shown(named[name])} is {'one of several units' if units else 'no unit'}; "
            f"known: {', '.join(METRES_PER_UNIT)}"
        )
    for name, each in others.items():
        if isinstance(each, str) and (length_unit(each) or _ends_with_unit(each)):
            raise NotANumber(
                f"{name}: {shown(each)} may be its unit; name the key `unit`, or map the path of the value"
            )
    return measure[key], default


def length_unit(text: Any) -> str:
    """Return our name of a unit, of its word, abbreviation or UN/CEFACT code; empty if it is none."""
    if not isinstance(text, str):
        return ""
    return _TRADE_UNITS.get(text.strip().upper(), "") or unit_name(text)


def _ends_with_unit(text: str) -> bool:
    found = re.search(r"\d\s*(\D+)$", text)
    return bool(found and length_unit(found[1]))


def shown(value: Any) -> str:
    """Return a value for an error, shortened."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"
