"""The inbox: every webhook delivery is stored here before anything else happens with it."""

import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dam_connector.domain.ids import DeliveryId, first_id, new_id
from dam_connector.domain.retry_policy import DELIVERY_RETRIES
from dam_connector.errors import StorageUnavailable
from dam_connector.ports import Clock, InboundWebhook
from dam_connector.store.database import Database
from dam_connector.store.tables import deliveries as t

MAX_BODY_KEY = 150  # characters of a key that the id of another delivery follows
REPEAT_S = 600  # in which the same body may be a repeat
_STORED_HEADERS = ("content-type", "user-agent", "webhook-id", "webhook-timestamp", "ce-")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRecord:
    """A delivery as stored."""

    id: DeliveryId
    connection: str
    key: str  # identifies the delivery within its connection
    inbound: InboundWebhook
    state: str  # received, handled, ignored or failed
    attempts: int
    due_at: datetime | None  # None: nothing is to be done
    error: str
    summary: str  # what it led to


class Inbox:
    """The table of deliveries. A connection's delivery key is stored once."""

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
        has_own_id: bool = True,
        extra_headers: Collection[str] = (),
    ) -> tuple[DeliveryId, bool]:
        """Store a delivery once; return its id and whether it is new. It is durable when this returns.

        Args:
            connection: The connection that it was sent to.
            key: Identifies the delivery within its connection; a repeated delivery has the same key.
            inbound: Headers and body.
            needs_handling: Whether a job handles it; otherwise it is stored as ignored.
            has_own_id: False if the key is that of the body alone. A repeat is then one that comes within
                REPEAT_S with nothing else of the connection in between.
            extra_headers: Names of headers to store besides the usual ones.

        Raises:
            Unavailable: The database does not answer.
        """
        now = self._clock.now()
        headers = {
            k: v for k, v in inbound.headers.items() if k.startswith(_STORED_HEADERS) or k in extra_headers
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
        return self._writer.put(row, has_own_id=has_own_id)

    def get(self, delivery_id: str) -> DeliveryRecord | None:
        """Return a delivery by its id, or None."""
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
        """Make a delivery due again after a back-off; return False if it is now failed for good."""
        with self._db.write() as c:
            before = c.execute(sa.select(t.c.attempts).where(t.c.id == delivery_id)).scalar_one()
            again = not DELIVERY_RETRIES.is_last(before)
            wait = timedelta(seconds=DELIVERY_RETRIES.wait_s(before))
            due = self._clock.now() + wait if again else None
            c.execute(
                sa.update(t)
                .where(t.c.id == delivery_id)
                .values(attempts=before + 1, error=error, due_at=due, state="received" if again else "failed")
            )
        return bool(again)

    def reopen(self, delivery_id: str) -> bool:
        """Make a delivery due again, to replay it; return False if there is none."""
        with self._db.write() as c:
            done = c.execute(
                sa.update(t)
                .where(t.c.id == delivery_id)
                .values(state="received", attempts=0, due_at=self._clock.now(), error="")
            )
        return done.rowcount == 1

    def dismiss(self, delivery_id: str) -> bool:
        """Ignore a failed delivery from now on, with its error; return False if it is not failed."""
        failed = (t.c.id == delivery_id, t.c.state == "failed")
        with self._db.write() as c:
            return c.execute(sa.update(t).where(*failed).values(state="ignored")).rowcount == 1

    def due(self, limit: int, *, older_than_s: float) -> list[str]:
        """Return open deliveries that have been due for longer than a time: their wake-up was lost."""
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
        """Make open deliveries due after `seconds`, because they were woken now."""
        with self._db.write() as c:
            c.execute(
                sa.update(t)
                .where(t.c.id.in_(list(ids)), t.c.state == "received")
                .values(due_at=self._clock.now() + timedelta(seconds=seconds))
            )

    def page(
        self, *, state: str = "", connection: str = "", before: str = "", limit: int = 50
    ) -> list[DeliveryRecord]:
        """Return a page of deliveries, the newest first, from just before the id `before`."""
        query = sa.select(t).order_by(t.c.id.desc()).limit(limit)
        query = query.where(t.c.state == state) if state else query
        query = query.where(t.c.connection == connection) if connection else query
        query = query.where(t.c.id < before) if before else query
        with self._db.read() as c:
            return [_record(row) for row in c.execute(query)]

    def counts(self, *states: str, connection: str = "") -> dict[str, int]:
        """Return the number of deliveries by state, of these states or of all, each up to MAX_COUNT.

        Args:
            states: The states.
            connection: Only the deliveries of this connection; empty: of all.
        """
        only = (t.c.connection == connection,) if connection else ()
        return self._db.counts(t.c.state, states or ["received", "handled", "ignored", "failed"], *only)


class _PendingRow:
    """A row that a thread waits to have written; `wake` is locked until it is, or its thread must write."""

    __slots__ = ("error", "has_own_id", "is_writer", "row", "stored", "wake")

    def __init__(self, row: dict[str, Any], *, has_own_id: bool) -> None:
        self.row = row
        self.has_own_id = has_own_id
        self.stored: tuple[DeliveryId, bool] | None = None
        self.error: Exception | None = None
        self.is_writer = False
        self.wake = threading.Lock()
        self.wake.acquire()


class _GroupWriter:
    """A writer that stores rows of several threads in one transaction: one wait for the disk serves them all.

    The first thread that comes while nobody writes becomes the writer and writes all rows that are waiting.
    Then it wakes the threads whose rows it wrote and makes the first thread that came meanwhile the next
    writer, so that the disk works while answers are made. A row is durable when `put` returns.
    docs/lab/webhooks.md has the figures of this method and of earlier attempts.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._lock = threading.Lock()
        self._waiting: list[_PendingRow] = []
        self._busy = False

    def put(self, row: dict[str, Any], *, has_own_id: bool) -> tuple[DeliveryId, bool]:
        """Store a delivery; return the id under which it is stored and whether it is new.

        Raises:
            StorageUnavailable: The database refused it.
        """
        pending = _PendingRow(row, has_own_id=has_own_id)
        with self._lock:
            self._waiting.append(pending)
            pending.is_writer, self._busy = not self._busy, True
        if not pending.is_writer:
            pending.wake.acquire()  # until it is written, or to be the next writer
        if pending.is_writer:
            self._write_pending()
        if pending.stored is None:
            cause = type(pending.error).__name__
            raise StorageUnavailable("database", "add delivery", cause) from pending.error
        return pending.stored

    def _write_pending(self) -> None:
        """Write all pending rows, wake their threads, and make the first newcomer the next writer."""
        with self._lock:
            group, self._waiting = self._waiting, []
        try:
            self._write_group(group)
        finally:
            with self._lock:
                self._busy = bool(self._waiting)
                if self._waiting:
                    self._waiting[0].is_writer = True
                    self._waiting[0].wake.release()
            for pending in group:
                if not pending.is_writer:
                    pending.wake.release()

    def _write_group(self, group: "list[_PendingRow]") -> None:
        try:
            stored = self._write(group)
        except (sa.exc.SQLAlchemyError, StorageUnavailable) as error:
            for pending in group:
                pending.error = error
            return
        for pending in group:
            pending.stored = stored[pending.row["id"]]

    def _write(self, group: "list[_PendingRow]") -> dict[str, tuple[DeliveryId, bool]]:
        """Write rows; return for each row's id the id under which it is stored, and whether it is new."""
        with self._db.write() as c:
            stored = _repeats(c, group)
            rows = [pending.row for pending in group if pending.row["id"] not in stored]
            new = self._db.insert_new_ids(c, t, rows) if rows else set()
            stored |= {row["id"]: (DeliveryId(row["id"]), True) for row in rows if row["id"] in new}
            for row in rows:
                if row["id"] not in new:
                    found = c.execute(
                        sa.select(t.c.id).where(t.c.connection == row["connection"], t.c.key == row["key"])
                    ).scalar_one()
                    stored[row["id"]] = (DeliveryId(found), False)
        return stored


def _repeats(c: sa.Connection, group: "list[_PendingRow]") -> dict[str, tuple[DeliveryId, bool]]:
    """Return the rows that repeat the delivery before them; give the others of their kind a key of their own.

    The key names the delivery before it, so that two processes that store the same one at a time store one.
    """
    last: dict[str, tuple[str, str]] = {}  # by connection: id and key of its newest delivery
    repeats = {}
    for pending in group:
        row = pending.row
        connection, body_key = row["connection"], row["key"][:MAX_BODY_KEY]
        if not pending.has_own_id:
            if connection not in last:
                last[connection] = _newest(c, connection, row["received_at"])
            last_id, last_key = last[connection]
            if last_key.rpartition(":")[0] == body_key:
                repeats[row["id"]] = (DeliveryId(last_id), False)
                continue
            row["key"] = f"{body_key}:{last_id or int(row['received_at'].timestamp()) // REPEAT_S}"
        last[connection] = (row["id"], row["key"])
    return repeats


def _newest(c: sa.Connection, connection: str, now: datetime) -> tuple[str, str]:
    """Return id and key of the newest delivery of a connection within REPEAT_S; empty without one."""
    since = first_id("dlv", now - timedelta(seconds=REPEAT_S))
    query = sa.select(t.c.id, t.c.key).where(t.c.connection == connection, t.c.id >= since)
    row = c.execute(query.order_by(t.c.id.desc()).limit(1)).one_or_none()
    return (row.id, row.key) if row else ("", "")


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
