"""How fast requests may follow each other. All processes share it: `fleet_pace.py` keeps it in Redis."""

from typing import Protocol


class Pace(Protocol):
    """Limits of requests by host."""

    def wait(self, host: str, vendor: str, operation: str) -> None:
        """Wait until a request may be sent to a host.

        Args:
            host: host and port, as in the address.
            vendor: the name in errors.
            operation: the operation's name in errors.

        Raises:
            Busy: that would take long, or the host asked for a pause; nothing was sent.
        """
        ...

    def note(self, host: str, status: int, retry_after_s: float) -> None:
        """Note the response of a host: after 429 nobody asks it for a while.

        Args:
            host: host and port, as in the address.
            status: the status of the response.
            retry_after_s: the time that it named; 0: none.
        """
        ...


class NoPace:
    """A pace without limits."""

    def wait(self, host: str, vendor: str, operation: str) -> None:
        """Do not wait."""

    def note(self, host: str, status: int, retry_after_s: float) -> None:
        """Note nothing."""


NO_PACE: Pace = NoPace()
