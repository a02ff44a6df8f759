"""Photos in DAMs that are source images of products, as they were when they were last read there."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dam_connector.domain.ids import Sha256
from dam_connector.ports import Clock
from dam_connector.store.database import Database
from dam_connector.store.review_tables import source_photos as t


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePhoto:
    """A photo in a DAM that belongs to a product."""

    dam: str  # the DAM's name in plugin.json
    ref: str  # the DAM's reference of the file
    sku: str  # of its product, which need not be known here yet; empty: it belongs to none any more
    former_skus: tuple[str, ...] = ()  # products that are still to be taken in without it
    view: str = ""  # empty: the file does not say
    name: str = ""  # of the file
    fingerprint: str = ""  # by the DAM; another one for other bytes
    sha256: Sha256 = Sha256("")  # of the bytes, which are stored
    taken_in: bool = False  # all products that it concerns were taken in since it changed

    @property
    def skus(self) -> tuple[str, ...]:
        """Return the products that it concerns."""
        return tuple(dict.fromkeys(filter(None, (*self.former_skus, self.sku))))


class SourcePhotos:
    """The table of these photos."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock

    def get(self, dam: str, ref: str) -> SourcePhoto | None:
        """Return a photo by the DAM's reference, or None."""
        with self._db.read() as c:
            row = c.execute(sa.select(t).where(t.c.dam == dam, t.c.ref == ref)).one_or_none()
        return _photo(row) if row else None

    def of_product(self, sku: str) -> list[SourcePhoto]:
        """Return the photos of a product, by DAM and reference."""
        query = sa.select(t).where(t.c.sku == sku).order_by(t.c.dam, t.c.ref)
        with self._db.read() as c:
            return [_photo(row) for row in c.execute(query)]

    def put(self, photo: SourcePhoto) -> SourcePhoto:
        """Store a photo over the one with the same reference; return it as stored.

        The products of the one before that are not this one's are still to be taken in without it.
        """
        with self._db.write() as c:
            query = sa.select(t).where(t.c.dam == photo.dam, t.c.ref == photo.ref).with_for_update()
            row = c.execute(query).one_or_none()
            former = [sku for sku in (_photo(row).skus if row else ()) if sku != photo.sku]
            stored = replace(photo, former_skus=tuple(former), taken_in=False)
            values = {name: getattr(stored, name) for name in SourcePhoto.__dataclass_fields__}
            values |= {"former_skus": former, "at": self._clock.now()}
            self._db.upsert(c, t, values)
        return stored

    def mark_taken_in(self, photo: SourcePhoto) -> None:
        """Record that all products that a photo concerns were taken in, unless it has changed meanwhile."""
        same = [
            t.c[name] == getattr(photo, name)
            for name in ("dam", "ref", "sku", "view", "fingerprint", "sha256")
        ]
        with self._db.write() as c:
            if photo.sku:
                c.execute(sa.update(t).where(*same).values(taken_in=True, former_skus=[]))
            else:
                c.execute(sa.delete(t).where(*same))

    def recheck(self, dam: str) -> None:
        """Record that all photos of a DAM are to be read again and their products to be taken in."""
        with self._db.write() as c:
            values = {"taken_in": False, "at": self._clock.now()}
            c.execute(sa.update(t).where(t.c.dam == dam).values(values))

    def waiting(self, dam: str, before: datetime, limit: int) -> list[SourcePhoto]:
        """Return photos that changed before a moment and whose products were not taken in since."""
        query = sa.select(t).where(t.c.dam == dam, t.c.taken_in.is_(False), t.c.at < before)
        with self._db.read() as c:
            return [_photo(row) for row in c.execute(query.order_by(t.c.at).limit(limit))]


def _photo(row: Any) -> SourcePhoto:
    values = {name: row._mapping[name] for name in SourcePhoto.__dataclass_fields__}
    return SourcePhoto(**{**values, "former_skus": tuple(row.former_skus)})
