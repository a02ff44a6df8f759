"""Assets and their versions: numbers given exactly once, files sealed once, states by compare-and-set."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dam_connector.domain.codec import from_plain, to_plain
from dam_connector.domain.ids import AssetId, RunId, VersionId, new_id
from dam_connector.domain.issue import Report
from dam_connector.domain.version import TRANSITIONS, Asset, Version, VersionFile, VersionState
from dam_connector.errors import StateConflict
from dam_connector.ports import Clock
from dam_connector.store.database import Database, require_one_row
from dam_connector.store.tables import assets, version_files
from dam_connector.store.tables import versions as t

VERSIONS_WITH_ASSET = sa.select(
    t, assets.c.sku, assets.c.deliverable, assets.c.slot, assets.c.kind
).join_from(t, assets, assets.c.id == t.c.asset_id)
PAGE_SIZE = 200


class Assets:
    """Assets by (sku, deliverable, slot), versions by number."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock

    def assign_version(
        self, *, sku: str, deliverable: str, slot: int, kind: str, run_id: RunId, rules_fingerprint: str
    ) -> tuple[VersionId, int]:
        """The version this run makes: a fresh draft with the next number, or the one the run was given before."""
        now = self._clock.now()
        with self._db.write() as c:
            self._db.insert_new(
                c,
                assets,
                {
                    "id": new_id("ast", now),
                    "sku": sku,
                    "deliverable": deliverable,
                    "slot": slot,
                    "kind": kind,
                },
            )
            same = (assets.c.sku == sku, assets.c.deliverable == deliverable, assets.c.slot == slot)
            c.execute(sa.update(assets).where(*same).values(kind=kind))  # takes the row's lock on PostgreSQL
            given = c.execute(sa.select(t.c.id, t.c.number).where(t.c.run_id == run_id)).one_or_none()
            if given:
                return VersionId(given.id), given.number
            c.execute(sa.update(assets).where(*same).values(latest=assets.c.latest + 1))
            asset = c.execute(sa.select(assets).where(*same)).one()
            version_id = VersionId(new_id("ver", now))
            c.execute(
                sa.insert(t).values(
                    id=version_id,
                    asset_id=asset.id,
                    number=asset.latest,
                    run_id=run_id,
                    state=VersionState.DRAFT.value,
                    files=[],
                    report={},
                    provenance={},
                    rules_fingerprint=rules_fingerprint,
                    created_at=now,
                )
            )
        return version_id, asset.latest

    def seal(
        self,
        version_id: str,
        files: tuple[VersionFile, ...],
        report: Report,
        provenance: Mapping[str, object],
    ) -> None:
        """Write files, report and provenance into a draft; the same again is no change.

        Raises: StateConflict when the version is no draft any more and holds other files.
        """
        with self._db.write() as c:
            done = c.execute(
                sa.update(t)
                .where(t.c.id == version_id, t.c.state == VersionState.DRAFT.value)
                .values(files=to_plain(files), report=to_plain(report), provenance=to_plain(provenance))
            )
            if done.rowcount == 1:
                c.execute(sa.delete(version_files).where(version_files.c.version_id == version_id))
                c.execute(
                    sa.insert(version_files),
                    [
                        {"version_id": version_id, "name": f.name, "sha256": f.sha256, "mime": f.mime}
                        for f in files
                    ],
                )
                return
            kept = c.execute(sa.select(t.c.files).where(t.c.id == version_id)).scalar_one()
        if kept != to_plain(files):
            raise StateConflict(f"version {version_id} is sealed")

    def set_report(self, version_id: str, report: Report) -> None:
        """Replace the report, when a waiver was added to it."""
        with self._db.write() as c:
            c.execute(sa.update(t).where(t.c.id == version_id).values(report=to_plain(report)))

    def set_dam_ref(self, version_id: str, dam: str, ref: str) -> None:
        with self._db.write() as c:
            c.execute(
                sa.update(t)
                .where(t.c.id == version_id)
                .values(dam=dam, dam_ref=ref, dam_state=VersionState.IN_REVIEW.value)
            )

    def set_dam_state(self, version_id: str, state: VersionState | None) -> None:
        """Note what the DAM takes the version for; None: for nothing that we know, so that it is told again."""
        with self._db.write() as c:
            c.execute(sa.update(t).where(t.c.id == version_id).values(dam_state=state.value if state else ""))

    def set_go_live_at(self, version_id: str, at: datetime | None) -> None:
        """Say when the version is to go live once it is approved; None: at once."""
        with self._db.write() as c:
            c.execute(sa.update(t).where(t.c.id == version_id).values(go_live_at=at))

    def set_public(self, version_id: str, *, is_public: bool) -> None:
        """Let anybody fetch the version's files, or nobody any more who is not logged in."""
        with self._db.write() as c:
            c.execute(sa.update(t).where(t.c.id == version_id).values(served=is_public))

    def transition(
        self, version_id: str, to: VersionState, *, from_states: Iterable[VersionState] | None = None
    ) -> None:
        """Change a version's state by the table of transitions; being there already is no change.

        Raises: StateConflict when the version stands where no way leads there.
        """
        with self._db.write() as c:
            self.transition_in(c, version_id, to, from_states=from_states)

    def transition_in(
        self,
        c: sa.Connection,
        version_id: str,
        to: VersionState,
        *,
        from_states: Iterable[VersionState] | None = None,
    ) -> None:
        """`move` as a part of the caller's unit of writing."""
        may = [s for s in (from_states or VersionState) if to in TRANSITIONS[s]]
        hidden = {"served": False} if to in (VersionState.SUPERSEDED, VersionState.WITHDRAWN) else {}
        done = c.execute(
            sa.update(t).where(t.c.id == version_id, t.c.state.in_(may)).values(state=to.value, **hidden)
        )
        if (
            done.rowcount == 0
            and from_states is None
            and c.execute(sa.select(t.c.state).where(t.c.id == version_id)).scalar() == to.value
        ):
            return
        require_one_row(done, f"version {version_id}")

    def supersede_others(
        self, version_id: str, states: Iterable[VersionState], *, include_newer: bool = False
    ) -> None:
        """Supersede the older versions of the same asset that stand in one of these states."""
        with self._db.write() as c:
            row = c.execute(sa.select(t.c.asset_id, t.c.number).where(t.c.id == version_id)).one()
            others = [t.c.asset_id == row.asset_id, t.c.id != version_id, t.c.state.in_(list(states))]
            older = [] if include_newer else [t.c.number < row.number]
            c.execute(
                sa.update(t).where(*others, *older).values(state=VersionState.SUPERSEDED.value, served=False)
            )

    def get(self, version_id: str) -> Version | None:
        return self._one(t.c.id == version_id)

    def by_dam_ref(self, dam: str, ref: str) -> Version | None:
        return self._one(sa.and_(t.c.dam == dam, t.c.dam_ref == ref))

    def _one(self, condition: Any) -> Version | None:
        with self._db.read() as c:
            row = c.execute(VERSIONS_WITH_ASSET.where(condition)).one_or_none()
        return version_from_row(row) if row else None

    def of_product(self, sku: str) -> list[Version]:
        """All versions of a SKU, by deliverable and slot, newest first."""
        query = VERSIONS_WITH_ASSET.where(assets.c.sku == sku).order_by(
            assets.c.deliverable, assets.c.slot, t.c.number.desc()
        )
        with self._db.read() as c:
            return [version_from_row(row) for row in c.execute(query)]

    def current(self, sku: str, deliverable: str) -> Version | None:
        """The newest version of a deliverable's first slot that is in review, approved or live."""
        states = [s.value for s in (VersionState.IN_REVIEW, VersionState.APPROVED, VersionState.PUBLISHED)]
        query = VERSIONS_WITH_ASSET.where(
            assets.c.sku == sku,
            assets.c.deliverable == deliverable,
            assets.c.slot == 1,
            t.c.state.in_(states),
        )
        with self._db.read() as c:
            row = c.execute(query.order_by(t.c.number.desc()).limit(1)).one_or_none()
        return version_from_row(row) if row else None

    def page(
        self,
        *,
        state: str = "",
        deliverable: str = "",
        before: str = "",
        limit: int = 50,
        oldest_first: bool = False,
    ) -> list[Version]:
        """Versions, newest first from just before the id `before`; oldest first from just after it when asked so."""
        query = VERSIONS_WITH_ASSET.order_by(t.c.id if oldest_first else t.c.id.desc()).limit(limit)
        query = query.where(t.c.state == state) if state else query
        query = query.where(assets.c.deliverable == deliverable) if deliverable else query
        query = query.where(t.c.id > before if oldest_first else t.c.id < before) if before else query
        with self._db.read() as c:
            return [version_from_row(row) for row in c.execute(query)]

    def counts(self, *states: str) -> dict[str, int]:
        """By state, of all or of these, each up to MANY."""
        return self._db.counts(t.c.state, states or [s.value for s in VersionState])

    def of_asset(self, version: Version) -> list[Version]:
        """All versions of this one's asset, newest first."""
        with self._db.read() as c:
            return [
                version_from_row(row)
                for row in c.execute(
                    VERSIONS_WITH_ASSET.where(t.c.asset_id == version.asset.id).order_by(t.c.number.desc())
                )
            ]

    def in_dam(self, dam: str, states: Iterable[VersionState]) -> Iterator[Version]:
        """Versions that lie in a DAM and stand in one of these states, oldest first, a page at a time."""
        last, wanted = "", [s.value for s in states]
        while True:
            query = (
                VERSIONS_WITH_ASSET.where(
                    t.c.dam == dam, t.c.dam_ref != "", t.c.state.in_(wanted), t.c.id > last
                )
                .order_by(t.c.id)
                .limit(PAGE_SIZE)
            )
            with self._db.read() as c:
                found = [version_from_row(row) for row in c.execute(query)]
            yield from found
            if len(found) < PAGE_SIZE:
                return
            last = found[-1].id

    def find_file(self, sha256: str, *, public: bool) -> tuple[str, str] | None:
        """MIME type and name of a file of a version. public: only of one whose files anybody may fetch."""
        query = sa.select(version_files.c.mime, version_files.c.name).join(
            t, t.c.id == version_files.c.version_id
        )
        query = query.where(
            version_files.c.sha256 == sha256, *([t.c.served.is_(True)] if public else [])
        ).limit(1)
        with self._db.read() as c:
            row = c.execute(query).one_or_none()
        return (row.mime, row.name) if row else None


def version_from_row(row: Any) -> Version:
    asset = Asset(
        id=AssetId(row.asset_id), sku=row.sku, deliverable=row.deliverable, slot=row.slot, kind=row.kind
    )
    return Version(
        id=VersionId(row.id),
        asset=asset,
        number=row.number,
        state=VersionState(row.state),
        run_id=RunId(row.run_id),
        files=tuple(from_plain(VersionFile, f) for f in row.files),
        report=from_plain(Report, row.report),
        provenance=row.provenance,
        rules_fingerprint=row.rules_fingerprint,
        created_at=row.created_at,
        dam=row.dam,
        dam_ref=row.dam_ref,
        dam_state=row.dam_state,
        go_live_at=row.go_live_at,
    )
