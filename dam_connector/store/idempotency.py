"""Answers of the API under the Idempotency-Key of their request, so that a repeat gets the first answer."""

from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from dam_connector.ports import Clock
from dam_connector.store.database import Database
from dam_connector.store.tables import idempotency


class StoredResponse(NamedTuple):
    """The answer to the first request with an idempotency key."""

    status: int  # the HTTP status
    request_sha256: str  # of method, path and body of the request
    body: Any  # the JSON body


class IdempotencyKeys:
    """The table of stored responses, by idempotency key."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock

    def get(self, key: str) -> StoredResponse | None:
        """Return the response stored under a key, or None."""
        with self._db.read() as c:
            row = c.execute(sa.select(idempotency).where(idempotency.c.key == key)).one_or_none()
        return StoredResponse(row.status, row.request_sha256, row.body) if row else None

    def add(self, key: str, response: StoredResponse) -> None:
        """Store a response under a key; do nothing when the key has one already."""
        row = {"key": key, "at": self._clock.now(), **response._asdict()}
        with self._db.write() as c:
            self._db.insert_new(c, idempotency, row)

    def delete_before(self, before: datetime) -> int:
        """Delete the responses stored before a time; return how many there were."""
        with self._db.write() as c:
            return c.execute(sa.delete(idempotency).where(idempotency.c.at < before)).rowcount
