"""How requests to outside systems end, for the counts of `/metrics`."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from dam_connector.errors import BadOutput, Busy, NotFound, RateLimited, Refused

OnRequest = Callable[[str, str, float], None]  # called with the system, the outcome and the seconds
UNAVAILABLE_STATUS = (408, 425, 500, 502, 503, 504)  # and all above 504: another try may help
# How requests that raise are counted; all others: unavailable.
_OUTCOMES: Mapping[type[Exception], str] = {
    Busy: "busy",
    RateLimited: "limited",
    NotFound: "refused",
    Refused: "refused",
    BadOutput: "refused",
}


def ignore_request(system: str, outcome: str, seconds: float) -> None:
    """Do nothing after a request."""


@contextmanager
def observed(on_request: OnRequest, system: str) -> Iterator[Callable[[int], None]]:
    """Report a request when the block ends; yield a function that notes the status of its response."""
    started, outcome = time.monotonic(), "ok"

    def note_status(status: int) -> None:
        nonlocal outcome
        outcome = _outcome_of(status)

    try:
        yield note_status
    except Exception as error:
        outcome = next((name for kind, name in _OUTCOMES.items() if isinstance(error, kind)), "unavailable")
        raise
    finally:
        on_request(system, outcome, time.monotonic() - started)


def _outcome_of(status: int) -> str:
    if status == 429:
        return "limited"
    if status in UNAVAILABLE_STATUS or status > 504:
        return "unavailable"
    return "refused" if status >= 400 else "ok"
