"""The history of products and versions: one line for each thing that happened to them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dam_connector.domain.ids import new_id
from dam_connector.domain.notify import HISTORY_EVENTS
from dam_connector.ports import Clock
from dam_connector.store.database import Database
from dam_connector.store.outbox import Outbox
from dam_connector.store.tables import history


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One thing that happened to a product or to one of its versions."""

    at: datetime  # when it happened, in UTC
    sku: str  # the product
    version_id: str | None  # the version, or None when the product itself is meant
    event: str  # the kind of event, e.g. "approved"
    by: str  # the user's name; empty when the connector did it itself
    detail: str  # more about it, for people


class History:
    """The table of history entries. Entries are added and read, never changed.

    The events of some go into the outbox of notifications in the same transaction.
    """

    def __init__(self, db: Database, clock: Clock, outbox: Outbox | None = None) -> None:
        self._db, self._clock, self._outbox = db, clock, outbox

    def add(
        self, event: str, *, sku: str, version_id: str | None = None, by: str = "", detail: str = ""
    ) -> None:
        """Add an entry with the current time.

        Args:
            event: The kind of event, e.g. "approved"; at most 40 characters.
            sku: The product it happened to.
            version_id: The version it happened to, if one is meant.
            by: Name of the user who did it; empty for the connector itself.
            detail: More about it, for people.
        """
        now = self._clock.now()
        row = {
            "id": new_id("his", now),
            "at": now,
            "sku": sku,
            "version_id": version_id,
            "event": event,
            "by": by,
            "detail": detail,
        }
        with self._db.write() as c:
            c.execute(sa.insert(history).values(row))
            if self._outbox and (notify_event := HISTORY_EVENTS.get(event)):
                self._outbox.add(notify_event, sku=sku, version_id=version_id or "", by=by, detail=detail)

    def of_versions(self, version_ids: Collection[str], event: str) -> list[HistoryEntry]:
        """Return the entries of one kind about some versions, the oldest first."""
        query = sa.select(history).where(
            history.c.version_id.in_(list(version_ids)), history.c.event == event
        )
        with self._db.read() as c:
            return [_entry(row) for row in c.execute(query.order_by(history.c.id))]

    def entries(self, *, sku: str = "", version_id: str = "", limit: int = 200) -> list[HistoryEntry]:
        """Return the entries about a product or a version, newest first."""
        query = sa.select(history).order_by(history.c.id.desc()).limit(limit)
        query = query.where(history.c.sku == sku) if sku else query
        query = query.where(history.c.version_id == version_id) if version_id else query
        with self._db.read() as c:
            return [_entry(row) for row in c.execute(query)]


def _entry(row: Any) -> HistoryEntry:
    return HistoryEntry(
        at=row.at, sku=row.sku, version_id=row.version_id, event=row.event, by=row.by, detail=row.detail
    )
