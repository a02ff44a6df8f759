"""Lists of what changed since a time, in the order of the changes, page by page."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dam_connector.domain.outside_values import to_utc

SEPARATOR = "~"


@dataclass(frozen=True, slots=True)
class Changes:
    """Records that changed since a time, or after the last one of the page before.

    A record that changes again while somebody reads the pages comes again, at the end. None is left out.
    """

    since: datetime
    after_id: str = ""  # empty: the first page

    @classmethod
    def from_cursor(cls, cursor: str, since: datetime) -> "Changes":
        """Return the changes behind a cursor, or since a time without one.

        Raises:
            ValueError: The cursor is not one of `cursor_of`.
        """
        if not cursor:
            return cls(since)
        text, separator, record_id = cursor.partition(SEPARATOR)
        at = to_utc(datetime.fromisoformat(text))
        if not separator or at is None:
            raise ValueError(cursor)
        return cls(at, record_id)

    def apply(self, query: Any, updated_at: sa.ColumnElement[Any], record_id: sa.ColumnElement[Any]) -> Any:
        """Return a query for these records only, in the order of their changes."""
        if self.after_id:
            later = sa.or_(
                updated_at > self.since, sa.and_(updated_at == self.since, record_id > self.after_id)
            )
            query = query.where(updated_at >= self.since, later)
        else:
            query = query.where(updated_at >= self.since)
        return query.order_by(updated_at, record_id)


def cursor_of(updated_at: datetime, record_id: str) -> str:
    """Return the cursor of the page after a record."""
    return f"{updated_at.isoformat()}{SEPARATOR}{record_id}"
