"""Decisions and publications: who approved which bytes, and what is live where."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.ids import new_id
from dam_connector.domain.version import ApprovedVersion, Version, VersionState
from dam_connector.errors import StateConflict
from dam_connector.ports import Clock
from dam_connector.store.assets import Assets
from dam_connector.store.database import Database
from dam_connector.store.tables import assets, publications
from dam_connector.store.tables import decisions as t

PAGE_SIZE = 500
STATE_AFTER = {Verdict.APPROVED: VersionState.APPROVED, Verdict.REJECTED: VersionState.REJECTED}


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRecord:
    """A decision as it stands in the books."""

    id: str
    version_id: str
    decision: Decision
    source: str
    at: datetime
    undone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicationRecord:
    """One asset's live version in one channel."""

    asset_id: str
    channel: str
    version_id: str
    url: str
    at: datetime
    asked_at: datetime


class Decisions:
    """A decision and the version's state change together or not at all."""

    def __init__(self, db: Database, clock: Clock, assets: Assets) -> None:
        self._db, self._clock, self._assets = db, clock, assets

    def record(self, version: Version, decision: Decision, source: str) -> str:
        """Decide about a version in review, pinned to its files; gives the decision's id.

        Raises: StateConflict when the version is not in review any more.
        """
        now = self._clock.now()
        decision_id = new_id("dec", now)
        with self._db.write() as c:
            self._assets.transition_in(
                c, version.id, STATE_AFTER[decision.verdict], from_states=[VersionState.IN_REVIEW]
            )
            c.execute(
                sa.insert(t).values(
                    id=decision_id,
                    version_id=version.id,
                    verdict=decision.verdict.value,
                    by=decision.by,
                    reasons=list(decision.reasons),
                    note=decision.note,
                    files={f.name: f.sha256 for f in version.files},
                    source=source,
                    at=now,
                )
            )
        return decision_id

    def is_approved(self, version: Version) -> bool:
        """Whether the last word on a version was that it is good."""
        return any(
            d.decision.verdict is Verdict.APPROVED and not d.undone for d in self.of_version(version.id)[:1]
        )

    def reinstate(self, version: Version) -> None:
        """Approve a version again that was superseded or withdrawn, by the approval it had.

        Raises: StateConflict when nobody approved it as it is, or it stands elsewhere.
        """
        if not self.is_approved(version):
            raise StateConflict(f"nobody approved version {version.id}")
        with self._db.write() as c:
            self._assets.transition_in(
                c,
                version.id,
                VersionState.APPROVED,
                from_states=[VersionState.SUPERSEDED, VersionState.WITHDRAWN],
            )

    def undo(self, version: Version) -> None:
        """Take the last decision back: the version is in review again.

        Raises: StateConflict when it went on meanwhile.
        """
        with self._db.write() as c:
            self._assets.transition_in(
                c,
                version.id,
                VersionState.IN_REVIEW,
                from_states=[VersionState.APPROVED, VersionState.REJECTED],
            )
            c.execute(sa.update(t).where(t.c.version_id == version.id).values(undone=True))

    def of_version(self, version_id: str) -> list[DecisionRecord]:
        """All decisions about a version, newest first."""
        with self._db.read() as c:
            return [
                _record(row)
                for row in c.execute(sa.select(t).where(t.c.version_id == version_id).order_by(t.c.id.desc()))
            ]

    def current(self, version_id: str) -> Decision | None:
        """The decision that stands about a version: the newest that was not undone."""
        return next((d.decision for d in self.of_version(version_id) if not d.undone), None)

    def approved_version(self, version: Version) -> ApprovedVersion:
        """The version as a channel takes it. Raises: StateConflict unless it is approved and its files are those approved."""
        with self._db.read() as c:
            row = c.execute(
                sa.select(t)
                .where(
                    t.c.version_id == version.id, t.c.verdict == Verdict.APPROVED.value, t.c.undone.is_(False)
                )
                .order_by(t.c.id.desc())
                .limit(1)
            ).one_or_none()
        if row is None:
            raise StateConflict(f"nobody approved version {version.id}")
        try:
            return ApprovedVersion(version=version, files_sha256=row.files, approved_by=row.by)
        except ValueError as error:
            raise StateConflict(str(error)) from error


class Publications:
    """What is live where."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock

    def set(self, version: Version, channel: str, url: str, *, asked_at: datetime) -> None:
        """This version is its asset's live one in the channel. asked_at: when a person wanted it so."""
        row = {
            "asset_id": version.asset.id,
            "channel": channel,
            "version_id": version.id,
            "url": url,
            "at": self._clock.now(),
            "asked_at": asked_at,
        }
        with self._db.write() as c:
            self._db.upsert(c, publications, row)

    def remove(self, asset_id: str, channel: str) -> None:
        with self._db.write() as c:
            c.execute(
                sa.delete(publications).where(
                    publications.c.asset_id == asset_id, publications.c.channel == channel
                )
            )

    def of_version(self, version_id: str) -> list[PublicationRecord]:
        with self._db.read() as c:
            return [
                PublicationRecord(**row._mapping)
                for row in c.execute(sa.select(publications).where(publications.c.version_id == version_id))
            ]

    def of_product(self, sku: str) -> list[PublicationRecord]:
        """What is live of a product, in all channels."""
        query = (
            sa.select(publications)
            .join(assets, assets.c.id == publications.c.asset_id)
            .where(assets.c.sku == sku)
        )
        with self._db.read() as c:
            return [PublicationRecord(**row._mapping) for row in c.execute(query)]

    def skus(self, channel: str) -> Iterator[str]:
        """The SKUs of which something is live in a channel, in order, a page at a time."""
        last = ""
        while True:
            query = (
                sa.select(assets.c.sku)
                .join(publications, publications.c.asset_id == assets.c.id)
                .where(publications.c.channel == channel)
            )
            with self._db.read() as c:
                found = list(
                    c.execute(
                        query.where(assets.c.sku > last).distinct().order_by(assets.c.sku).limit(PAGE_SIZE)
                    ).scalars()
                )
            yield from found
            if len(found) < PAGE_SIZE:
                return
            last = found[-1]


def _record(row: Any) -> DecisionRecord:
    decision = Decision(verdict=Verdict(row.verdict), by=row.by, reasons=tuple(row.reasons), note=row.note)
    return DecisionRecord(
        id=row.id,
        version_id=row.version_id,
        decision=decision,
        source=row.source,
        at=row.at,
        undone=row.undone,
    )
