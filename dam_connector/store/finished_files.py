"""Finished files: those that become first versions, as they were found, read and checked."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from dam_connector.domain.adoption import Adoptable
from dam_connector.domain.codec import from_plain, to_plain
from dam_connector.domain.ids import Sha256, new_id
from dam_connector.domain.issue import Issue
from dam_connector.ports import Clock
from dam_connector.store.database import Database
from dam_connector.store.review_tables import finished_files as t

WAITING, CHECKED, ADOPTED = "waiting", "checked", "adopted"
WAKE_AGAIN = timedelta(minutes=2)  # after a wake-up that was lost, or a DAM that was away


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRecord:
    """One finished file as stored."""

    id: str
    source: Adoptable  # where it was found
    sha256: Sha256  # of its bytes; empty before it was read
    mime: str
    state: str  # waiting for its check, checked, adopted
    issues: tuple[Issue, ...]  # that would block its version


class FinishedFiles:
    """The table of finished files. There is one row for each asset."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock

    def get(self, sku: str, deliverable: str) -> FinishedRecord | None:
        """Return the finished file of an asset, or None."""
        return self._one(t.c.sku == sku, t.c.deliverable == deliverable)

    def by_id(self, file_id: str) -> FinishedRecord | None:
        """Return a finished file, or None."""
        return self._one(t.c.id == file_id)

    def _one(self, *where: Any) -> FinishedRecord | None:
        with self._db.read() as c:
            row = c.execute(sa.select(t).where(*where)).one_or_none()
        return _record(row) if row else None

    def of_skus(self, skus: Iterable[str]) -> Mapping[tuple[str, str], FinishedRecord]:
        """Return the finished files of products, by SKU and deliverable."""
        with self._db.read() as c:
            rows = c.execute(sa.select(t).where(t.c.sku.in_(list(skus)))).all()
        return {(row.sku, row.deliverable): _record(row) for row in rows}

    def put(
        self,
        source: Adoptable,
        *,
        state: str,
        sha256: str = "",
        mime: str = "",
        issues: Iterable[Issue] = (),
    ) -> str:
        """Store the finished file of an asset, over the one before it; return its id."""
        values = {
            "source": to_plain(source),
            "state": state,
            "sha256": sha256,
            "mime": mime,
            "issues": [to_plain(each) for each in issues],
            "at": self._clock.now(),
        }
        of_asset = (t.c.sku == source.sku, t.c.deliverable == source.deliverable)
        with self._db.write() as c:
            known = c.execute(sa.update(t).where(*of_asset).values(values).returning(t.c.id)).scalar()
            if known:
                return str(known)
            row = {"id": new_id("fin", self._clock.now()), "sku": source.sku, **values}
            c.execute(sa.insert(t).values({**row, "deliverable": source.deliverable}))
            return str(row["id"])

    def waiting(self, limit: int) -> list[str]:
        """Return files that wait for their check and were not woken of late; mark them as woken."""
        now = self._clock.now()
        query = sa.select(t.c.id).where(t.c.state == WAITING, t.c.at <= now - WAKE_AGAIN)
        with self._db.write() as c:
            ids = list(c.execute(query.order_by(t.c.at).limit(limit)).scalars())
            c.execute(sa.update(t).where(t.c.id.in_(ids)).values(at=now))
        return ids

    def count_waiting(self) -> int:
        """Return how many files wait for their check."""
        with self._db.read() as c:
            return self._db.count(c, sa.select(t.c.id).where(t.c.state == WAITING))


def _record(row: Any) -> FinishedRecord:
    return FinishedRecord(
        id=row.id,
        source=from_plain(Adoptable, row.source),
        sha256=Sha256(row.sha256),
        mime=row.mime,
        state=row.state,
        issues=tuple(from_plain(Issue, each) for each in row.issues),
    )
