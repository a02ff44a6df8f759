"""Notes: small JSON values under names that outlive a process, e.g. poll cursors and worker heartbeats."""

from typing import Any

import sqlalchemy as sa

from dam_connector.ports import Clock
from dam_connector.store.database import Database
from dam_connector.store.tables import notes


class Notes:
    """The table of notes."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock

    def set(self, name: str, value: Any) -> None:
        """Store a JSON value under a name, over the one before it.

        Args:
            name: e.g. "dam-poll:resourcespace"; at most 120 characters.
            value: Anything that JSON can hold.
        """
        with self._db.write() as c:
            self._db.upsert(c, notes, {"name": name, "value": value, "at": self._clock.now()})

    def delete(self, name: str) -> None:
        """Delete the value under a name, if there is one."""
        with self._db.write() as c:
            c.execute(sa.delete(notes).where(notes.c.name == name))

    def get(self, name: str) -> Any:
        """Return the value stored under a name, or None."""
        with self._db.read() as c:
            return c.execute(sa.select(notes.c.value).where(notes.c.name == name)).scalar()
