"""The port `Clock`, implemented with the machine's clock."""

from datetime import UTC, datetime


class SystemClock:
    """A clock that returns timezone-aware times in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)
