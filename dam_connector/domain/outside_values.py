"""Numbers and times that come from outside: in headers, bodies, links and sheets.

A value that is none becomes None here, never an exception: `int("²")`, a text of 5,000 digits and a time
before the year 1 in UTC each raise another one.
"""

from datetime import UTC, datetime, timedelta

MAX_INTEGER = 10**15
MAX_CLOCK_DIFFERENCE = timedelta(minutes=5)  # between an outside clock and ours
FIRST_YEAR, LAST_YEAR = 1970, 2999  # of a time; calculations with it stay within what datetime can hold


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
