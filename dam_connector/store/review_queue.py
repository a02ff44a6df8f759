"""The versions in review, by the stage in which they wait; and what guests may see of them."""

from collections.abc import Collection

import sqlalchemy as sa

from dam_connector.domain.search_tags import search_tag
from dam_connector.domain.version import VersionState
from dam_connector.store.database import Database
from dam_connector.store.tables import version_files, version_tags
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

    def versions_with_file(self, sha256: str) -> list[str]:
        """Return the ids of the versions that have a file with this content."""
        query = sa.select(version_files.c.version_id).where(version_files.c.sha256 == sha256)
        with self._db.read() as c:
            return list(c.execute(query).scalars())

    def has_tag(self, version_id: str, kind: str, value: str) -> bool:
        """Return whether a version has a search tag."""
        query = sa.select(version_tags.c.tag).where(
            version_tags.c.version_id == version_id, version_tags.c.tag == search_tag(kind, value)
        )
        with self._db.read() as c:
            return c.execute(query).first() is not None
