"""The shelf of the built-in DAM: what was put there, by external id."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from dam_connector.domain.ids import Sha256, new_id
from dam_connector.ports import Clock
from dam_connector.store.database import Database
from dam_connector.store.tables import library as t
from dam_connector.store.tables import version_files


@dataclass(frozen=True, slots=True, kw_only=True)
class ShelfRecord:
    """One version's place in the library."""

    ref: str
    external_id: str
    version_id: str
    folder: str
    state: str


class Shelf:
    """Rows of the built-in DAM."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock

    def put(
        self, *, external_id: str, version_id: str, folder: str, state: str, files: Any, metadata: Any
    ) -> str:
        """The reference of this external id, which is put there when it is new and left as it is when it is not."""
        now = self._clock.now()
        row = {
            "ref": new_id("lib", now),
            "external_id": external_id,
            "version_id": version_id,
            "folder": folder,
            "state": state,
            "files": files,
            "metadata": metadata,
            "updated_at": now,
        }
        with self._db.write() as c:
            self._db.insert_new(c, t, row)
            return str(c.execute(sa.select(t.c.ref).where(t.c.external_id == external_id)).scalar_one())

    def set_state(self, ref: str, state: str) -> bool:
        with self._db.write() as c:
            return (
                c.execute(
                    sa.update(t).where(t.c.ref == ref).values(state=state, updated_at=self._clock.now())
                ).rowcount
                == 1
            )

    def remove(self, ref: str) -> None:
        with self._db.write() as c:
            c.execute(sa.delete(t).where(t.c.ref == ref))

    def file(self, name: str) -> Sha256 | None:
        """The newest file of this name, of what was put here."""
        mine = (
            sa.select(version_files.c.sha256)
            .join(t, t.c.version_id == version_files.c.version_id)
            .where(version_files.c.name == name)
        )
        with self._db.read() as c:
            found = c.execute(mine.order_by(version_files.c.version_id.desc()).limit(1)).scalar()
        return Sha256(found) if found else None

    def get(self, ref: str) -> ShelfRecord | None:
        with self._db.read() as c:
            row = c.execute(
                sa.select(t.c.ref, t.c.external_id, t.c.version_id, t.c.folder, t.c.state).where(
                    t.c.ref == ref
                )
            ).one_or_none()
        return ShelfRecord(**row._mapping) if row else None
