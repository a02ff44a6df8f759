"""Drafts of captures: one for each product and person, with a row for each photo."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dam_connector.domain.capture_draft import CaptureDraft, CapturePhoto
from dam_connector.domain.ids import Sha256, new_id
from dam_connector.domain.product import Capture
from dam_connector.ports import Clock
from dam_connector.store.database import Database
from dam_connector.store.review_tables import capture_photos, captures


class Captures:
    """The tables of drafts. What is finished or cancelled is deleted."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock

    def begin(self, sku: str, by: str, kind: Capture, planned: int) -> CaptureDraft:
        """Return the draft of a product and a person; begin it if there is none.

        Args:
            sku: The product.
            by: The name of the person.
            kind: Of a new draft. One that is there keeps its own.
            planned: How many photos a new draft is planned for.
        """
        now = self._clock.now()
        values = {
            "id": new_id("cap", now),
            "sku": sku,
            "by": by,
            "kind": kind.value,
            "planned": planned,
            "begun_at": now,
            "changed_at": now,
        }
        with self._db.write() as c:
            self._db.insert_new(c, captures, values)
            row = c.execute(_of(sku, by)).one()
            return _draft(row, _photo_rows(c, row.id))

    def get(self, sku: str, by: str) -> CaptureDraft | None:
        """Return the draft of a product and a person, or None."""
        with self._db.read() as c:
            row = c.execute(_of(sku, by)).one_or_none()
            return _draft(row, _photo_rows(c, row.id)) if row else None

    def lock(self, sku: str, by: str) -> CaptureDraft | None:
        """Return the draft, or None; nobody else changes it until the open transaction ends."""
        with self._db.write() as c:
            row = c.execute(_of(sku, by).with_for_update()).one_or_none()
            return _draft(row, _photo_rows(c, row.id)) if row else None

    def plan(self, draft_id: str, planned: int) -> None:
        """Store how many photos a draft is planned for."""
        self._touch(draft_id, planned=planned)

    def put_photo(self, draft_id: str, photo: CapturePhoto) -> None:
        """Store a photo at its place; another one there is replaced."""
        values = {"capture_id": draft_id, "place": photo.place, "sha256": photo.sha256, "bytes": photo.bytes}
        with self._db.write() as c:
            self._db.upsert(c, capture_photos, values)
            self._touch(draft_id)

    def remove_photo(self, draft_id: str, place: int) -> bool:
        """Remove the photo at a place; return whether there was one."""
        t = capture_photos
        with self._db.write() as c:
            done = c.execute(sa.delete(t).where(t.c.capture_id == draft_id, t.c.place == place))
            self._touch(draft_id)
        return done.rowcount == 1

    def delete(self, draft_id: str) -> bool:
        """Delete a draft with its photos; return whether it was there."""
        return self._delete([draft_id]) == 1

    def delete_before(self, moment: datetime) -> int:
        """Delete the drafts that were changed last before a time; return how many."""
        with self._db.read() as c:
            old = c.execute(sa.select(captures.c.id).where(captures.c.changed_at < moment)).scalars().all()
        return sum(self._delete([draft_id], moment) for draft_id in old)

    def _delete(self, ids: Sequence[str], unchanged_since: datetime | None = None) -> int:
        with self._db.write() as c:
            query = sa.select(captures.c.id).where(captures.c.id.in_(ids)).with_for_update()
            if unchanged_since:  # a photo may have come meanwhile
                query = query.where(captures.c.changed_at < unchanged_since)
            found = c.execute(query).scalars().all()
            c.execute(sa.delete(capture_photos).where(capture_photos.c.capture_id.in_(found)))
            return c.execute(sa.delete(captures).where(captures.c.id.in_(found))).rowcount

    def _touch(self, draft_id: str, **values: Any) -> None:
        with self._db.write() as c:
            changed = {"changed_at": self._clock.now(), **values}
            c.execute(sa.update(captures).where(captures.c.id == draft_id).values(changed))


def _of(sku: str, by: str) -> Any:
    return sa.select(captures).where(captures.c.sku == sku, captures.c.by == by)


def _photo_rows(c: sa.Connection, draft_id: str) -> Sequence[Any]:
    t = capture_photos
    return c.execute(sa.select(t).where(t.c.capture_id == draft_id).order_by(t.c.place)).all()


def _draft(row: Any, photos: Sequence[Any]) -> CaptureDraft:
    return CaptureDraft(
        id=row.id,
        sku=row.sku,
        by=row.by,
        kind=Capture(row.kind),
        planned=row.planned,
        begun_at=row.begun_at,
        changed_at=row.changed_at,
        photos=tuple(CapturePhoto(place=p.place, sha256=Sha256(p.sha256), bytes=p.bytes) for p in photos),
    )
