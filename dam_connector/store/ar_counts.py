"""How often shoppers looked at models on the AR page, and placed them in their room. Only sums are stored."""

from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from dam_connector.domain.version import Version
from dam_connector.store.database import Database
from dam_connector.store.review_tables import ar_counts as t
from dam_connector.store.tables import assets, versions

MAX_LISTED = 1000  # versions


class ArEvent(StrEnum):
    """What a shopper did; the values are names of columns."""

    VIEW = "views"
    START = "ar_starts"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArCount:
    """The sums of one version."""

    sku: str
    version_id: str
    deliverable: str
    number: int  # of the version
    views: int  # how often its model was shown in 3D
    ar_starts: int  # how often the button to see it in a room was pressed


class ArCounts:
    """The table of counts: a row for each version, with nothing about who looked, or when."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, version: Version, event: ArEvent) -> None:
        """Count one event of a version."""
        row = {"version_id": version.id, "sku": version.asset.sku, "views": 0, "ar_starts": 0}
        with self._db.write() as c:
            insert = (sqlite.insert if self._db.is_sqlite else postgresql.insert)(t)
            added = {event.value: t.c[event.value] + 1}
            c.execute(
                insert.values({**row, event.value: 1}).on_conflict_do_update(
                    index_elements=["version_id"], set_=added
                )
            )

    def of(self, sku: str = "") -> list[ArCount]:
        """Return the sums of a product's versions, or of all, the most viewed first."""
        query = (
            sa.select(t, assets.c.deliverable, versions.c.number)
            .join(versions, versions.c.id == t.c.version_id)
            .join(assets, assets.c.id == versions.c.asset_id)
            .order_by(t.c.views.desc(), t.c.version_id.desc())
            .limit(MAX_LISTED)
        )
        with self._db.read() as c:
            rows = c.execute(query.where(t.c.sku == sku) if sku else query)
            return [ArCount(**row._mapping) for row in rows]
