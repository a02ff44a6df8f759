"""The archive of rules: each text of plugin.json that was in force, by its fingerprint.

A run finishes by the rules it began with, and every process falls back to the same last good rules.
"""

import sqlalchemy as sa

from dam_connector.ports import Clock
from dam_connector.store.database import Database
from dam_connector.store.tables import rules_seen


class RulesArchive:
    """The table of rules that were in force."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock

    def add(self, fingerprint: str, text: str) -> None:
        """Store the text of rules that came into force now, under their fingerprint."""
        with self._db.write() as c:
            self._db.upsert(
                c, rules_seen, {"fingerprint": fingerprint, "text": text, "at": self._clock.now()}
            )

    def get(self, fingerprint: str) -> str | None:
        """Return the text of the rules with this fingerprint, or None."""
        with self._db.read() as c:
            return c.execute(
                sa.select(rules_seen.c.text).where(rules_seen.c.fingerprint == fingerprint)
            ).scalar()

    def newest(self) -> str | None:
        """Return the text of the rules that came into force last, or None."""
        with self._db.read() as c:
            return c.execute(sa.select(rules_seen.c.text).order_by(rules_seen.c.at.desc()).limit(1)).scalar()
