"""The audit log: each action of a person, with its time, address, subject and changes.

Entries about users, tokens, logins, connections and rules are rows of a table of its own, which the database
protects against changes. Entries about versions and products are those of their history. Both are shown as
one log.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dam_connector.domain.ids import new_id
from dam_connector.ports import Clock
from dam_connector.store.database import Database
from dam_connector.store.tables import audit, history

COMMAND_LINE = "command line"
EXPORT_PAGE = 500  # entries that are read at once
# Events of the history that nobody decided.
MACHINE_EVENTS = ("sent", "budget", "draft", "in_review", "blocked")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One thing that somebody did."""

    id: str
    at: datetime  # in UTC
    by: str  # the user's name; empty for the connector itself
    address: str  # from which the request came; empty for commands and the connector itself
    action: str  # e.g. `login`, `user_changed`, `approved`
    subject: str  # the user, token, connection, product or version that it concerns
    detail: str  # what changed, for people

    @property
    def cursor(self) -> str:
        """Return the text that `AuditLog.page` continues from."""
        return f"{self.at.isoformat()}|{self.id}"


def insert_entry(
    c: sa.Connection, clock: Clock, action: str, *, by: str, subject: str, detail: str = ""
) -> None:
    """Insert an entry in the transaction of the change that it records.

    Args:
        c: the connection of the transaction.
        clock: the clock.
        action: the kind of action; at most 40 characters.
        by: the user's name, or `COMMAND_LINE`; empty for the connector itself.
        subject: the user, token, connection, product or version.
        detail: the changes, for people.
    """
    now = clock.now()
    values = {
        "id": new_id("aud", now),
        "at": now,
        "by": by,
        "action": action,
        "subject": subject,
        "detail": detail,
    }
    c.execute(sa.insert(audit).values(values))


class AuditLog:
    """The table of audit entries, with the history of products and versions."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock

    def add(self, action: str, *, by: str, subject: str, detail: str = "") -> None:
        """Add an entry; see `insert_entry`."""
        with self._db.write() as c:
            insert_entry(c, self._clock, action, by=by, subject=subject, detail=detail)

    def page(self, *, before: str = "", limit: int = 50) -> list[AuditEntry]:
        """Return a page of entries, newest first.

        Args:
            before: the cursor of an entry; the page begins with the one before it.
            limit: the most entries.

        Raises:
            ValueError: `before` is no cursor.
        """
        # Each table gives at most a page, the newest first, so that neither is read whole.
        newest = [_newest(each.subquery(), before, limit) for each in (_own_entries(), _events())]
        entries = sa.union_all(*(each.subquery().select() for each in newest)).subquery()
        query = sa.select(entries).order_by(entries.c.at.desc(), entries.c.id.desc()).limit(limit)
        with self._db.read() as c:
            return [_entry(row) for row in c.execute(query)]

    def all(self) -> Iterator[AuditEntry]:
        """Yield all entries, newest first."""
        cursor = ""
        while found := self.page(before=cursor, limit=EXPORT_PAGE):
            yield from found
            cursor = found[-1].cursor


def _newest(entries: sa.Subquery, before: str, limit: int) -> sa.Select[Any]:
    query = sa.select(entries).order_by(entries.c.at.desc(), entries.c.id.desc()).limit(limit)
    if not before:
        return query
    text, _, entry_id = before.partition("|")
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a cursor has a time with its zone")
    older = sa.or_(entries.c.at < at, entries.c.id < entry_id)
    return query.where(entries.c.at <= at, older)


def _own_entries() -> sa.Select[Any]:
    return sa.select(
        audit.c.id, audit.c.at, audit.c.by, audit.c.address, audit.c.action, audit.c.subject, audit.c.detail
    )


def _events() -> sa.Select[Any]:
    subject = history.c.sku + sa.func.coalesce(" " + history.c.version_id, "")
    return sa.select(
        history.c.id,
        history.c.at,
        history.c.by,
        history.c.address,
        history.c.event.label("action"),
        subject.label("subject"),
        history.c.detail,
    ).where(history.c.event.not_in(MACHINE_EVENTS))


def _entry(row: Any) -> AuditEntry:
    return AuditEntry(
        id=row.id,
        at=row.at,
        by=row.by,
        address=row.address,
        action=row.action,
        subject=row.subject,
        detail=row.detail,
    )
