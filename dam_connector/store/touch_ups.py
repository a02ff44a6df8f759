"""Touch-ups: strokes that people painted to correct the cut-outs of photos."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from dam_connector.domain.codec import from_plain, to_plain
from dam_connector.domain.ids import Sha256, new_id
from dam_connector.domain.touch_up import Stroke, TouchUp, strokes_in_force
from dam_connector.ports import Clock
from dam_connector.store.database import Database
from dam_connector.store.review_tables import touch_ups as t


class TouchUps:
    """The table of touch-ups. Rows are only added."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock

    def add(
        self, photo: Sha256, strokes: Iterable[Stroke], *, version_id: str, by: str, replaces: bool = False
    ) -> str:
        """Store a touch-up and return its id.

        Args:
            photo: the hash of the photo.
            strokes: the strokes, the oldest first.
            version_id: the version whose mask was shown.
            by: the name of the person.
            replaces: whether the earlier touch-ups of the photo no longer count.
        """
        now = self._clock.now()
        values = {
            "id": new_id("tou", now),
            "photo_sha256": photo,
            "version_id": version_id,
            "by": by,
            "at": now,
            "strokes": [to_plain(stroke) for stroke in strokes],
            "replaces": replaces,
        }
        with self._db.write() as c:
            c.execute(sa.insert(t).values(values))
        return str(values["id"])

    def of_photo(self, photo: Sha256) -> list[TouchUp]:
        """Return the touch-ups of a photo, the oldest first."""
        with self._db.read() as c:
            rows = c.execute(sa.select(t).where(t.c.photo_sha256 == photo).order_by(t.c.id)).all()
        return [_touch_up(row) for row in rows]

    def strokes(self, photo: Sha256) -> tuple[Stroke, ...]:
        """Return the strokes that count for a photo, the oldest first."""
        return strokes_in_force(self.of_photo(photo))


def _touch_up(row: Any) -> TouchUp:
    return TouchUp(
        id=row.id,
        photo_sha256=Sha256(row.photo_sha256),
        version_id=row.version_id,
        by=row.by,
        at=row.at,
        strokes=tuple(from_plain(Stroke, stroke) for stroke in row.strokes),
        replaces=row.replaces,
    )
