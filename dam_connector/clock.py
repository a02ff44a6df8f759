"""The Clock port on the machine's clock."""

from datetime import UTC, datetime


class SystemClock:
    """Aware UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)
