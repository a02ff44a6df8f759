"""Decisions and publications: who approved which files, and which version is live in which channel."""

from collections.abc import Collection, Iterator
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
from dam_connector.store.database import Database, require_one_row
from dam_connector.store.paging import ordered_values
from dam_connector.store.tables import assets, publications, versions
from dam_connector.store.tables import decisions as t

STATE_AFTER = {Verdict.APPROVED: VersionState.APPROVED, Verdict.REJECTED: VersionState.REJECTED}


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRecord:
    """A decision as stored."""

    id: str
    version_id: str
    decision: Decision
    source: str  # where it was made, e.g. "page", "api" or a DAM connection
    at: datetime
    undone: bool
    stage: str  # the stage of the review that decided; empty without stages
    is_final: bool  # False: other stages follow


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicationRecord:
    """One asset's live version in one channel."""

    asset_id: str
    channel: str
    version_id: str
    url: str  # where the channel shows it
    at: datetime  # when it went live


class Decisions:
    """The table of decisions. A decision and the version's state change in one transaction."""

    def __init__(self, db: Database, clock: Clock, assets: Assets) -> None:
        self._db, self._clock, self._assets = db, clock, assets

    def record(
        self, version: Version, decision: Decision, source: str, *, stage: str = "", is_final: bool = True
    ) -> str:
        """Store a decision about a version in review, pinned to its files; return the decision's id.

        Args:
            version: The version.
            decision: The decision.
            source: Where it was made, e.g. "page", "api" or a DAM connection.
            stage: The stage of the review that decides.
            is_final: False: other stages follow, and the version stays in review.

        Raises:
            StateConflict: The version is not in review any more.
        """
        now = self._clock.now()
        decision_id = new_id("dec", now)
        with self._db.write() as c:
            if is_final:
                after = STATE_AFTER[decision.verdict]
                self._assets.transition_in(c, version.id, after, from_states=[VersionState.IN_REVIEW])
            else:
                in_review = versions.c.state == VersionState.IN_REVIEW.value
                same = sa.update(versions).where(versions.c.id == version.id, in_review)
                require_one_row(c.execute(same.values(stage=versions.c.stage)), f"version {version.id}")
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
                    stage=stage,
                    is_final=is_final,
                )
            )
        return decision_id

    def is_approved(self, version: Version) -> bool:
        """Return True if the newest final decision about a version is an approval that was not undone."""
        final = (d for d in self.of_version(version.id) if d.is_final)
        newest = next(final, None)
        return newest is not None and newest.decision.verdict is Verdict.APPROVED and not newest.undone

    def reinstate(self, version: Version) -> None:
        """Approve a superseded or withdrawn version again, by the approval that it had.

        Raises:
            StateConflict: Nobody approved it, or it is in another state.
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
        """Undo the final decision about a version: it is in review again, in its last stage.

        Raises:
            StateConflict: The version is neither approved nor rejected any more.
        """
        with self._db.write() as c:
            self._assets.transition_in(
                c,
                version.id,
                VersionState.IN_REVIEW,
                from_states=[VersionState.APPROVED, VersionState.REJECTED],
            )
            c.execute(sa.update(t).where(t.c.version_id == version.id, t.c.is_final).values(undone=True))

    def undo_stage(self, version: Version, *, by: str) -> None:
        """Undo the approval by a stage that a person gave last. The version stays in review.

        Raises:
            StateConflict: Somebody decided later, or it was not this person.
        """
        newest = next((d for d in self.of_version(version.id) if not d.undone), None)
        if newest is None or newest.is_final or newest.decision.by != by:
            raise StateConflict(f"{by} approved version {version.id} in no stage, or somebody decided later")
        with self._db.write() as c:
            c.execute(sa.update(t).where(t.c.id == newest.id).values(undone=True))

    def approved_stages(self, version_id: str) -> set[str]:
        """Return the names of the stages that approved a version."""
        return {
            d.stage
            for d in self.of_version(version_id)
            if d.stage and not d.undone and d.decision.verdict is Verdict.APPROVED
        }

    def of_version(self, version_id: str) -> list[DecisionRecord]:
        """Return all decisions about a version, the newest first."""
        with self._db.read() as c:
            return [
                _record(row)
                for row in c.execute(sa.select(t).where(t.c.version_id == version_id).order_by(t.c.id.desc()))
            ]

    def of_versions(self, version_ids: Collection[str]) -> list[DecisionRecord]:
        """Return all decisions about some versions, the newest first."""
        query = sa.select(t).where(t.c.version_id.in_(list(version_ids))).order_by(t.c.id.desc())
        with self._db.read() as c:
            return [_record(row) for row in c.execute(query)]

    def current(self, version_id: str) -> Decision | None:
        """Return the newest final decision about a version that was not undone, or None."""
        found = self.of_version(version_id)
        return next((d.decision for d in found if d.is_final and not d.undone), None)

    def approved_version(self, version: Version) -> ApprovedVersion:
        """Return a version in the form that channels accept.

        Raises:
            StateConflict: The version is not approved, or its files are not those that were approved.
        """
        with self._db.read() as c:
            row = c.execute(
                sa.select(t)
                .where(
                    t.c.version_id == version.id,
                    t.c.verdict == Verdict.APPROVED.value,
                    t.c.undone.is_(False),
                    t.c.is_final,
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
    """The table of publications: which version of an asset is live in which channel."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock

    def set(self, version: Version, channel: str, url: str) -> None:
        """Record that a version is its asset's live one in a channel.

        Args:
            version: The version.
            channel: The channel connection.
            url: Where the channel shows it.
        """
        now = self._clock.now()
        row = {
            "asset_id": version.asset.id,
            "channel": channel,
            "version_id": version.id,
            "url": url,
            "at": now,
            "asked_at": now,  # nobody reads it any more: `live_requests` has the time
        }
        with self._db.write() as c:
            self._touch_live(c, version.asset.id, channel)  # the one before, which is live there no more
            self._db.upsert(c, publications, row)
            self._touch_live(c, version.asset.id, channel)

    def remove(self, asset_id: str, channel: str) -> None:
        """Record that no version of an asset is live in a channel."""
        with self._db.write() as c:
            self._touch_live(c, asset_id, channel)
            c.execute(
                sa.delete(publications).where(
                    publications.c.asset_id == asset_id, publications.c.channel == channel
                )
            )

    def _touch_live(self, c: sa.Connection, asset_id: str, channel: str) -> None:
        """Record that the version of an asset that is live in a channel changes now."""
        live = sa.select(publications.c.version_id).where(
            publications.c.asset_id == asset_id, publications.c.channel == channel
        )
        c.execute(
            sa.update(versions)
            .where(versions.c.id == live.scalar_subquery())
            .values(updated_at=self._clock.now())
        )

    def of_versions(self, version_ids: Collection[str]) -> list[PublicationRecord]:
        """Return the publications of some versions in all channels."""
        return self._where(publications.c.version_id.in_(list(version_ids)))

    def of_version(self, version_id: str) -> list[PublicationRecord]:
        """Return the publications of a version in all channels."""
        return self._where(publications.c.version_id == version_id)

    def of_asset(self, asset_id: str) -> list[PublicationRecord]:
        """Return the publications of an asset in all channels."""
        return self._where(publications.c.asset_id == asset_id)

    def _where(self, condition: Any) -> list[PublicationRecord]:
        return self._records(sa.select(publications).where(condition))

    def _records(self, query: Any) -> list[PublicationRecord]:
        names = PublicationRecord.__dataclass_fields__
        with self._db.read() as c:
            return [
                PublicationRecord(**{name: row._mapping[name] for name in names}) for row in c.execute(query)
            ]

    def of_product(self, sku: str) -> list[PublicationRecord]:
        """Return the publications of a product's versions in all channels."""
        query = (
            sa.select(publications)
            .join(assets, assets.c.id == publications.c.asset_id)
            .where(assets.c.sku == sku)
        )
        return self._records(query)

    def skus(self, channel: str) -> Iterator[str]:
        """Yield the SKUs that have a live version in a channel, in order."""
        query = (
            sa.select(assets.c.sku)
            .join(publications, publications.c.asset_id == assets.c.id)
            .where(publications.c.channel == channel)
        )
        return ordered_values(self._db, query, assets.c.sku)


def _record(row: Any) -> DecisionRecord:
    decision = Decision(verdict=Verdict(row.verdict), by=row.by, reasons=tuple(row.reasons), note=row.note)
    return DecisionRecord(
        id=row.id,
        version_id=row.version_id,
        decision=decision,
        source=row.source,
        at=row.at,
        undone=row.undone,
        stage=row.stage,
        is_final=row.is_final,
    )
