"""Small records: history, leases by name, notes that outlive a process, the rules that were in force, idempotency keys."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import sqlalchemy as sa

from dam_connector.domain.ids import new_id
from dam_connector.errors import Busy
from dam_connector.ports import Clock
from dam_connector.store.database import Database
from dam_connector.store.tables import history, idempotency, leases, notes, rules_seen

TURN_LEASE_S = 150.0
TURN_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """Something that happened to a product or a version."""

    at: datetime
    sku: str
    version_id: str | None
    what: str
    by: str
    detail: str


class Ledger:
    """The books."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock

    def tell(
        self, what: str, *, sku: str, version_id: str | None = None, by: str = "", detail: str = ""
    ) -> None:
        """Write a line into the history."""
        now = self._clock.now()
        with self._db.write() as c:
            c.execute(
                sa.insert(history).values(
                    id=new_id("his", now),
                    at=now,
                    sku=sku,
                    version_id=version_id,
                    what=what,
                    by=by,
                    detail=detail,
                )
            )

    def history(self, *, sku: str = "", version_id: str = "", limit: int = 200) -> list[HistoryEntry]:
        """Lines about a product or a version, newest first."""
        query = sa.select(history).order_by(history.c.id.desc()).limit(limit)
        query = query.where(history.c.sku == sku) if sku else query
        query = query.where(history.c.version_id == version_id) if version_id else query
        with self._db.read() as c:
            return [
                HistoryEntry(**{k: v for k, v in row._mapping.items() if k != "id"})
                for row in c.execute(query)
            ]

    def lease(self, name: str, owner: str, seconds: float) -> bool:
        """Whether the owner now holds this lease, freshly or still."""
        now = self._clock.now()
        row = {"name": name, "owner": owner, "until": now + timedelta(seconds=seconds)}
        with self._db.write() as c:
            if self._db.insert_new(c, leases, row):
                return True
            mine = sa.or_(leases.c.owner == owner, leases.c.until < now)
            return c.execute(sa.update(leases).where(leases.c.name == name, mine).values(row)).rowcount == 1

    def release(self, name: str, owner: str) -> None:
        with self._db.write() as c:
            c.execute(sa.delete(leases).where(leases.c.name == name, leases.c.owner == owner))

    @contextmanager
    def turn(self, what: str) -> Iterator[None]:
        """One at a time does this; whose process died is waited for a while. Raises: Busy while somebody else does."""
        name, owner = f"turn:{sha256(what.encode()).hexdigest()[:32]}", new_id("own", self._clock.now())
        if not self.lease(name, owner, TURN_LEASE_S):
            raise Busy(
                "connector", "turn", "somebody else is changing the same thing just now", retry_after_s=TURN_S
            )
        try:
            yield
        finally:
            self.release(name, owner)

    def note(self, name: str, value: Any) -> None:
        """Keep a small JSON value under a name."""
        with self._db.write() as c:
            self._db.upsert(c, notes, {"name": name, "value": value, "at": self._clock.now()})

    def noted(self, name: str) -> Any:
        """The value kept under a name, or None."""
        with self._db.read() as c:
            return c.execute(sa.select(notes.c.value).where(notes.c.name == name)).scalar()

    def keep_rules(self, fingerprint: str, text: str) -> None:
        """Keep the text of rules that came into force."""
        with self._db.write() as c:
            self._db.upsert(
                c, rules_seen, {"fingerprint": fingerprint, "text": text, "at": self._clock.now()}
            )

    def rules_text(self, fingerprint: str = "") -> str | None:
        """The text of the rules with this fingerprint, or of the newest."""
        query = sa.select(rules_seen.c.text).order_by(rules_seen.c.at.desc()).limit(1)
        with self._db.read() as c:
            return c.execute(
                query.where(rules_seen.c.fingerprint == fingerprint) if fingerprint else query
            ).scalar()

    def answer(self, key: str) -> tuple[int, str, Any] | None:
        """Status, request hash and body of the answer that this idempotency key got before."""
        with self._db.read() as c:
            row = c.execute(sa.select(idempotency).where(idempotency.c.key == key)).one_or_none()
        return (row.status, row.request_sha256, row.body) if row else None

    def forget_answers(self, before: datetime) -> int:
        """How many answers were forgotten: those kept before then."""
        with self._db.write() as c:
            return c.execute(sa.delete(idempotency).where(idempotency.c.at < before)).rowcount

    def keep_answer(self, key: str, request_sha256: str, status: int, body: Any) -> None:
        """Keep an answer under its idempotency key; the first one stays."""
        with self._db.write() as c:
            self._db.insert_new(
                c,
                idempotency,
                {
                    "key": key,
                    "request_sha256": request_sha256,
                    "status": status,
                    "body": body,
                    "at": self._clock.now(),
                },
            )
