"""The log of a part that everybody needs, such as the database, while it is away.

Each thread that needs the part fails for the same reason. An outage is logged once when it begins, once a
minute while it lasts, and once at its end.
"""

import threading
import time

import structlog

log = structlog.get_logger()
REPEAT_S = 60.0  # between two lines about the same outage


class OutageLog:
    """The lines `<part>_away` and `<part>_back` of this process."""

    def __init__(self, part: str) -> None:
        """Create the log of a part, e.g. `database`."""
        self.part = part
        self.is_away = False
        self._noted_at = 0.0
        self._lock = threading.Lock()

    def away(self, reason: str, **fields: object) -> None:
        """Note that the part does not answer; log it if that is new, or a minute has passed.

        Args:
            reason: Why, without secrets.
            fields: What else the line has.
        """
        with self._lock:
            if self.is_away and time.monotonic() - self._noted_at < REPEAT_S:
                return
            self.is_away, self._noted_at = True, time.monotonic()
        log.warning(f"{self.part}_away", reason=reason, **fields)

    def back(self) -> bool:
        """Note that the part answers; log it and return True if it was away."""
        if not self.is_away:  # the usual case costs no lock
            return False
        with self._lock:
            was_away, self.is_away = self.is_away, False
        if was_away:
            log.info(f"{self.part}_back")
        return was_away
