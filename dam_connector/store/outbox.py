"""The outbox of notifications: events that are stored with what they tell of, and messages to be sent."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dam_connector.domain.ids import new_id
from dam_connector.domain.retry_policy import MESSAGE_RETRIES
from dam_connector.ports import Clock
from dam_connector.store.database import Database
from dam_connector.store.review_tables import notifications as t


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxMessage:
    """An event, or a message about one to a target."""

    id: str
    event: str  # a `NotifyEvent`
    target: str  # the name of the target in plugin.json; empty: not distributed yet
    sku: str
    version_id: str
    by: str
    detail: str
    at: datetime
    attempts: int


class Outbox:
    """The table of notifications. Distributed events and sent messages are deleted."""

    def __init__(self, db: Database, clock: Clock, is_wanted: Callable[[str], bool]) -> None:
        self._db, self._clock, self._is_wanted = db, clock, is_wanted

    def add(self, event: str, *, sku: str = "", version_id: str = "", by: str = "", detail: str = "") -> None:
        """Store an event in the transaction of what it tells of, if any target wants it."""
        if not self._is_wanted(event):
            return
        now = self._clock.now()
        values = {
            "id": new_id("ntf", now),
            "event": event,
            "sku": sku,
            "version_id": version_id,
            "by": by,
            "detail": detail[:2000],
            "at": now,
            "due_at": now,
        }
        with self._db.write() as c:
            c.execute(sa.insert(t).values(values))

    def undistributed(self, limit: int) -> list[OutboxMessage]:
        """Return the oldest events that were not distributed to targets yet."""
        return self._where(t.c.target == "", limit=limit)

    def distribute(self, event: OutboxMessage, targets: list[str]) -> None:
        """Replace an event by one message to each target. It happens once."""
        with self._db.write() as c:
            done = c.execute(sa.delete(t).where(t.c.id == event.id, t.c.target == ""))
            if done.rowcount == 0:
                return
            for target in targets:
                values = {
                    "id": new_id("ntf", self._clock.now()),
                    "event": event.event,
                    "target": target,
                    "sku": event.sku,
                    "version_id": event.version_id,
                    "by": event.by,
                    "detail": event.detail,
                    "at": event.at,
                    "due_at": self._clock.now(),
                }
                c.execute(sa.insert(t).values(values))

    def due(self, limit: int) -> list[OutboxMessage]:
        """Return the messages that are to be sent now, the oldest first."""
        return self._where(t.c.target != "", t.c.due_at <= self._clock.now(), limit=limit)

    def delete(self, message_id: str) -> None:
        """Delete a message that was sent, or has no receiver any more."""
        with self._db.write() as c:
            c.execute(sa.delete(t).where(t.c.id == message_id))

    def put_off(self, message: OutboxMessage) -> bool:
        """Try a message again later, each time after twice as long; return False when it is given up."""
        if MESSAGE_RETRIES.is_last(message.attempts):
            self.delete(message.id)
            return False
        wait_s = MESSAGE_RETRIES.wait_s(message.attempts)
        values = {"attempts": message.attempts + 1, "due_at": self._clock.now() + timedelta(seconds=wait_s)}
        with self._db.write() as c:
            c.execute(sa.update(t).where(t.c.id == message.id).values(values))
        return True

    def _where(self, *conditions: Any, limit: int) -> list[OutboxMessage]:
        with self._db.read() as c:
            rows = c.execute(sa.select(t).where(*conditions).order_by(t.c.id).limit(limit)).all()
        return [OutboxMessage(**{k: v for k, v in row._mapping.items() if k != "due_at"}) for row in rows]
