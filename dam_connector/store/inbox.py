"""Inbox: every webhook delivery, stored before anything else happens with it."""

import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dam_connector.domain.ids import DeliveryId, new_id
from dam_connector.errors import Unavailable
from dam_connector.ports import Clock, InboundWebhook
from dam_connector.store.database import Database
from dam_connector.store.tables import deliveries as t

MAX_ATTEMPTS = 8
FIRST_RETRY_S = 5.0
_KEPT_HEADERS = ("content-type", "user-agent", "webhook-id", "webhook-timestamp", "ce-")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRecord:
    """One stored delivery."""

    id: DeliveryId
    connection: str
    key: str
    inbound: InboundWebhook
    state: str
    attempts: int
    due_at: datetime | None
    error: str
    summary: str


class Inbox:
    """Deliveries by connection and key; a key is taken once."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock
        self._writer = _GroupWriter(db)

    def add(
        self,
        connection: str,
        key: str,
        inbound: InboundWebhook,
        *,
        needs_handling: bool = True,
        extra_headers: Collection[str] = (),
    ) -> tuple[DeliveryId, bool]:
        """The delivery's id, durable when this returns, and whether it is new. keeps: headers that are stored beside the usual ones."""
        now = self._clock.now()
        headers = {
            k: v for k, v in inbound.headers.items() if k.startswith(_KEPT_HEADERS) or k in extra_headers
        }
        row: dict[str, Any] = {
            "id": new_id("dlv", now),
            "connection": connection,
            "key": key[:200],
            "received_at": now,
            "headers": headers,
            "body": inbound.body,
            "state": "received" if needs_handling else "ignored",
            "due_at": now if needs_handling else None,
        }
        return self._writer.put(row)

    def get(self, delivery_id: str) -> DeliveryRecord | None:
        with self._db.read() as c:
            row = c.execute(sa.select(t).where(t.c.id == delivery_id)).one_or_none()
        return _record(row) if row else None

    def finish(self, delivery_id: str, state: str, *, summary: str = "", error: str = "") -> None:
        """Close a delivery as handled, ignored or failed."""
        with self._db.write() as c:
            c.execute(
                sa.update(t)
                .where(t.c.id == delivery_id)
                .values(state=state, summary=summary, error=error, due_at=None, attempts=t.c.attempts + 1)
            )

    def retry_later(self, delivery_id: str, error: str) -> bool:
        """Put a delivery off with back-off; False when it has been tried often enough and is now failed."""
        with self._db.write() as c:
            tried = c.execute(sa.select(t.c.attempts).where(t.c.id == delivery_id)).scalar_one() + 1
            again = tried < MAX_ATTEMPTS
            due = self._clock.now() + timedelta(seconds=FIRST_RETRY_S * 2 ** (tried - 1)) if again else None
            c.execute(
                sa.update(t)
                .where(t.c.id == delivery_id)
                .values(attempts=tried, error=error, due_at=due, state="received" if again else "failed")
            )
        return bool(again)

    def reopen(self, delivery_id: str) -> bool:
        """Make a delivery due again, for a replay; False when there is none."""
        with self._db.write() as c:
            done = c.execute(
                sa.update(t)
                .where(t.c.id == delivery_id)
                .values(state="received", attempts=0, due_at=self._clock.now(), error="")
            )
        return done.rowcount == 1

    def due(self, limit: int, *, older_than_s: float) -> list[str]:
        """Open deliveries that have been due for a while: their wake-up was lost."""
        before = self._clock.now() - timedelta(seconds=older_than_s)
        query = (
            sa.select(t.c.id)
            .where(t.c.state == "received", t.c.due_at <= before)
            .order_by(t.c.due_at)
            .limit(limit)
        )
        with self._db.read() as c:
            return list(c.execute(query).scalars())

    def postpone(self, ids: Iterable[str], seconds: float) -> None:
        """Say that these were woken just now: they are due again only after a while."""
        with self._db.write() as c:
            c.execute(
                sa.update(t)
                .where(t.c.id.in_(list(ids)), t.c.state == "received")
                .values(due_at=self._clock.now() + timedelta(seconds=seconds))
            )

    def page(self, *, state: str = "", before: str = "", limit: int = 50) -> list[DeliveryRecord]:
        """Deliveries, newest first, from just before the id `before`."""
        query = sa.select(t).order_by(t.c.id.desc()).limit(limit)
        query = query.where(t.c.state == state) if state else query
        query = query.where(t.c.id < before) if before else query
        with self._db.read() as c:
            return [_record(row) for row in c.execute(query)]

    def counts(self, *states: str) -> dict[str, int]:
        """By state, of all or of these, each up to MANY."""
        return self._db.counts(t.c.state, states or ["received", "handled", "ignored", "failed"])


class _Slot:
    """A row on its way, what became of it, and whether its thread is to write for all that wait."""

    __slots__ = ("error", "leads", "row", "stored", "turn")

    def __init__(self, row: dict[str, Any]) -> None:
        self.row = row
        self.stored: tuple[DeliveryId, bool] | None = None
        self.error: Exception | None = None
        self.leads = False
        self.turn = threading.Lock()
        self.turn.acquire()


class _GroupWriter:
    """Rows that arrive at the same moment are written in one unit: one wait for the disk serves them all.

    Who comes when nobody writes, writes what has gathered; done, they wake those whose rows these were, and make the
    first of those who came meanwhile the next writer, so that the disk works on while answers are made. A row is durable
    when `put` returns. docs/benchmarks.md has the figures of this and of what was tried before.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._gate = threading.Lock()
        self._waiting: list[_Slot] = []
        self._busy = False

    def put(self, row: dict[str, Any]) -> tuple[DeliveryId, bool]:
        """The id under which this delivery is stored, and whether it is new. Raises: Unavailable."""
        slot = _Slot(row)
        with self._gate:
            self._waiting.append(slot)
            slot.leads, self._busy = not self._busy, True
        if not slot.leads:
            slot.turn.acquire()  # until it is written, or to be the next writer
        if slot.leads:
            self._lead()
        if slot.stored is None:
            raise Unavailable("database", "add delivery", type(slot.error).__name__) from slot.error
        return slot.stored

    def _lead(self) -> None:
        with self._gate:
            group, self._waiting = self._waiting, []
        try:
            self._write_group(group)
        finally:
            with self._gate:
                self._busy = bool(self._waiting)
                if self._waiting:
                    self._waiting[0].leads = True
                    self._waiting[0].turn.release()
            for slot in group:
                if not slot.leads:
                    slot.turn.release()

    def _write_group(self, group: "list[_Slot]") -> None:
        try:
            stored = self._write([slot.row for slot in group])
        except sa.exc.SQLAlchemyError as error:
            for slot in group:
                slot.error = error
            return
        for slot in group:
            slot.stored = stored[slot.row["id"]]

    def _write(self, rows: list[dict[str, Any]]) -> dict[str, tuple[DeliveryId, bool]]:
        """For each row's id the id it is stored under, and whether it is new."""
        with self._db.write() as c:
            new = self._db.insert_new_ids(c, t, rows)
            stored = {row["id"]: (DeliveryId(row["id"]), True) for row in rows if row["id"] in new}
            for row in rows:
                if row["id"] not in new:
                    found = c.execute(
                        sa.select(t.c.id).where(t.c.connection == row["connection"], t.c.key == row["key"])
                    ).scalar_one()
                    stored[row["id"]] = (DeliveryId(found), False)
        return stored


def _record(row: Any) -> DeliveryRecord:
    inbound = InboundWebhook(headers=row.headers, body=bytes(row.body), received_at=row.received_at)
    return DeliveryRecord(
        id=DeliveryId(row.id),
        connection=row.connection,
        key=row.key,
        inbound=inbound,
        state=row.state,
        attempts=row.attempts,
        due_at=row.due_at,
        error=row.error,
        summary=row.summary,
    )
