"""The archive of rules: each text of plugin.json that was in force, by its fingerprint.

A run finishes by the rules it began with, and every process falls back to the same last good rules.
"""

import json
from typing import Any

import sqlalchemy as sa

from dam_connector.ports import Clock
from dam_connector.store.audit import insert_entry
from dam_connector.store.database import Database
from dam_connector.store.tables import rules_seen

MAX_CHANGED_KEYS = 20  # in an entry of the audit log


class RulesArchive:
    """The table of rules that were in force."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock

    def add(self, fingerprint: str, text: str) -> None:
        """Store the text of rules that came into force now, under their fingerprint."""
        with self._db.write() as c:
            before = c.execute(_newest_text()).scalar()
            self._db.upsert(
                c, rules_seen, {"fingerprint": fingerprint, "text": text, "at": self._clock.now()}
            )
            detail = "changed: " + ", ".join(changed_keys(before or "{}", text)[:MAX_CHANGED_KEYS])
            insert_entry(c, self._clock, "rules_in_force", by="", subject=fingerprint[:12], detail=detail)

    def get(self, fingerprint: str) -> str | None:
        """Return the text of the rules with this fingerprint, or None."""
        with self._db.read() as c:
            return c.execute(
                sa.select(rules_seen.c.text).where(rules_seen.c.fingerprint == fingerprint)
            ).scalar()

    def texts(self) -> list[str]:
        """Return the texts of all rules that were in force, the newest first."""
        with self._db.read() as c:
            return list(c.execute(sa.select(rules_seen.c.text).order_by(rules_seen.c.at.desc())).scalars())

    def newest(self) -> str | None:
        """Return the text of the rules that came into force last, or None."""
        with self._db.read() as c:
            return c.execute(_newest_text()).scalar()


def changed_keys(before: str, after: str) -> list[str]:
    """Return the JSON pointers of the differences between two texts of plugin.json, three levels deep."""
    try:
        return _changed_pointers(json.loads(before), json.loads(after), depth=3)
    except ValueError:
        return ["/"]


def _changed_pointers(before: Any, after: Any, *, depth: int, pointer: str = "") -> list[str]:
    if before == after:
        return []
    if not depth or not isinstance(before, dict) or not isinstance(after, dict):
        return [pointer or "/"]
    return [
        found
        for key in sorted(before.keys() | after.keys())
        for found in _changed_pointers(
            before.get(key), after.get(key), depth=depth - 1, pointer=f"{pointer}/{key}"
        )
    ]


def _newest_text() -> Any:
    return sa.select(rules_seen.c.text).order_by(rules_seen.c.at.desc()).limit(1)
