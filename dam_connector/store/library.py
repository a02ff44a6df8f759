"""Records of the built-in DAM, implementing `ports.LibraryStore`."""

from typing import Any

import sqlalchemy as sa

from dam_connector.domain.ids import Sha256, new_id
from dam_connector.ports import Clock
from dam_connector.store.database import Database
from dam_connector.store.tables import library as t
from dam_connector.store.tables import version_files


class LibraryRecords:
    """Rows of the table `library`; each method is explained in `ports.LibraryStore`."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock

    def put(
        self, *, external_id: str, version_id: str, folder: str, state: str, files: Any, metadata: Any
    ) -> str:
        """Store a record once; return its reference."""
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

    def newest_file(self, name: str) -> Sha256 | None:
        """Return the content hash of the newest file of this name, or None."""
        mine = (
            sa.select(version_files.c.sha256)
            .join(t, t.c.version_id == version_files.c.version_id)
            .where(version_files.c.name == name)
        )
        with self._db.read() as c:
            found = c.execute(mine.order_by(version_files.c.version_id.desc()).limit(1)).scalar()
        return Sha256(found) if found else None

    def get_state(self, ref: str) -> str | None:
        """Return the state of a record, or None if it does not exist."""
        with self._db.read() as c:
            found = c.execute(sa.select(t.c.state).where(t.c.ref == ref)).scalar()
        return str(found) if found else None
