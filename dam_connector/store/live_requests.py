"""Requests of people that versions go live or are taken offline."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dam_connector.domain.ids import AssetId, VersionId
from dam_connector.domain.live import LiveRequest
from dam_connector.domain.version import Version
from dam_connector.ports import Clock
from dam_connector.store.database import Database
from dam_connector.store.tables import assets
from dam_connector.store.tables import live_requests as t


class LiveRequests:
    """The table of live requests. They are added and undone, never deleted."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock

    def add(self, version: Version, *, goes_live: bool, by: str, due_at: datetime | None = None) -> None:
        """Store a request.

        Args:
            version: The version.
            goes_live: Whether it goes live; otherwise it is taken offline.
            by: Who asked for it.
            due_at: When the request begins to count; None: now.
        """
        now = self._clock.now()
        row = {
            "asset_id": version.asset.id,
            "version_id": version.id,
            "goes_live": goes_live,
            "by": by,
            "at": now,
            "due_at": due_at,
        }
        of_asset = t.c.asset_id == version.asset.id
        with self._db.write() as c:
            c.execute(sa.select(assets.c.id).where(assets.c.id == version.asset.id).with_for_update())
            last = c.execute(sa.select(sa.func.max(t.c.number)).where(of_asset)).scalar() or 0
            c.execute(sa.insert(t).values(number=last + 1, **row))

    def undo_newest(self, version: Version) -> None:
        """Undo the newest request that a version goes live; earlier requests about it still count."""
        goes_live = (t.c.version_id == version.id, t.c.goes_live.is_(True), t.c.undone.is_(False))
        newest = sa.select(sa.func.max(t.c.number)).where(*goes_live).scalar_subquery()
        with self._db.write() as c:
            c.execute(sa.update(t).where(*goes_live, t.c.number == newest).values(undone=True))

    def of_version(self, version: Version) -> list[LiveRequest]:
        """Return the requests about a version that were not undone, in the order in which they were given."""
        return [r for r in self.of_asset(version.asset.id) if r.version_id == version.id and not r.undone]

    def of_asset(self, asset_id: str) -> list[LiveRequest]:
        """Return all requests about an asset, in the order in which they were given."""
        with self._db.read() as c:
            return [
                _request(row)
                for row in c.execute(sa.select(t).where(t.c.asset_id == asset_id).order_by(t.c.number))
            ]

    def last_of_asset(self, asset_id: str) -> LiveRequest | None:
        """Return the last request about an asset that was not undone, or None."""
        return next((r for r in reversed(self.of_asset(asset_id)) if not r.undone), None)

    def newest(self, version: Version) -> LiveRequest | None:
        """Return the newest request about a version that was not undone, or None."""
        found = self.of_version(version)
        return found[-1] if found else None


def _request(row: Any) -> LiveRequest:
    return LiveRequest(
        asset_id=AssetId(row.asset_id),
        number=row.number,
        version_id=VersionId(row.version_id),
        goes_live=row.goes_live,
        by=row.by,
        at=row.at,
        due_at=row.due_at,
        undone=row.undone,
    )
