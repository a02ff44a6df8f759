"""The versions in review, by the stage in which they wait."""

from collections.abc import Collection

import sqlalchemy as sa

from dam_connector.domain.version import VersionState
from dam_connector.store.database import Database
from dam_connector.store.tables import versions as t


class ReviewQueue:
    """The stages of the table of versions."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def set_stage(self, version_id: str, stage: str) -> None:
        """Record the stage of the review in which a version waits; empty: in none."""
        with self._db.write() as c:
            c.execute(sa.update(t).where(t.c.id == version_id).values(stage=stage))

    def count(self, stages: Collection[str]) -> int:
        """Return how many versions in review wait in some stages, counted up to MAX_COUNT."""
        query = sa.select(t.c.id).where(t.c.state == VersionState.IN_REVIEW.value, t.c.stage.in_(stages))
        with self._db.read() as c:
            return self._db.count(c, query)
