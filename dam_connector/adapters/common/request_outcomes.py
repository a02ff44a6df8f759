"""How requests to outside systems end, for the counts of `/metrics`."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol, TypeVar

from dam_connector import tracing
from dam_connector.errors import BadOutput, Busy, NotFound, RateLimited, Refused


class HasStatus(Protocol):
    """A response."""

    @property
    def status(self) -> int:
        """Return the status, e.g. 200."""
        ...


Response = TypeVar("Response", bound=HasStatus)
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
def observed(on_request: OnRequest, system: str) -> Iterator[Callable[[Response], Response]]:
    """Report a request when the block ends; yield a function that notes its response and returns it."""
    started, outcome = time.monotonic(), "ok"

    def note(response: Response) -> Response:
        nonlocal outcome
        outcome = _outcome_of(response.status)
        return response

    try:
        with tracing.span(f"request {system}", is_outgoing=True, system=system):
            yield note
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
