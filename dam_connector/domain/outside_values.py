"""Numbers, times and JSON that come from outside: in headers, bodies, links and sheets.

A value that is none becomes None here, never an exception: `int("²")`, a text of 5,000 digits and a time
before the year 1 in UTC each raise another one.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

MAX_INTEGER = 10**15
MAX_DEPTH = 100  # of arrays and objects in each other
MAX_CLOCK_DIFFERENCE = timedelta(minutes=5)  # between an outside clock and ours
FIRST_YEAR, LAST_YEAR = 1970, 2999  # of a time; calculations with it stay within what datetime can hold


def decode_json(text: str | bytes) -> Any:
    """Return the value of a JSON text that no function that goes through it can fail on.

    Raises:
        ValueError: the text is not JSON, is nested deeper, or has a number of too many digits.
    """
    try:
        if isinstance(text, bytes):  # json's own decoding lets half surrogate pairs through
            text = text.decode(json.detect_encoding(text))
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError(f"nested more than {MAX_DEPTH} deep") from error
    require_shallow(value)
    return value


def require_shallow(value: Any) -> None:
    """Check that the value of a JSON text is not nested deeper than functions can go.

    Raises:
        ValueError: it is.
    """
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        below = [v.values() if isinstance(v, dict) else v for v in level if isinstance(v, (dict, list))]
        if not below:
            return
        level = [child for children in below for child in children]
    raise ValueError(f"nested more than {MAX_DEPTH} deep")


def parse_integer(value: object, *, most: int = MAX_INTEGER) -> int | None:
    """Return an integer from 0 to `most`; None if the value is none.

    Args:
        value: a text of ASCII digits, or a number, whose fraction is dropped.
        most: the largest number to accept.
    """
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(most)):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
        return None
    return int(value)


def parse_timestamp(text: object) -> datetime | None:
    """Return an ISO 8601 time in UTC, also one without a time zone; None if the text is none."""
    try:
        return to_utc(datetime.fromisoformat(str(text).strip()))
    except ValueError:
        return None


def parse_unix_time(value: object) -> datetime | None:
    """Return the time of seconds since 1970, in UTC; None if the value is no such number."""
    seconds = parse_integer(value)
    try:
        return None if seconds is None else to_utc(datetime.fromtimestamp(seconds, UTC))
    except (ValueError, OverflowError, OSError):
        return None


def to_utc(moment: datetime) -> datetime | None:
    """Return a time in UTC, which one without a time zone is in; None if its year is out of range."""
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def limit_to_clock(moment: datetime, now: datetime) -> datetime:
    """Return a time of an outside clock; one that is too far ahead counts as ours, in whole seconds.

    So the next events of the same source are not older, if it names whole seconds.
    """
    return moment if moment <= now + MAX_CLOCK_DIFFERENCE else now.replace(microsecond=0)
