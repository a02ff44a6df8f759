"""Assets and their versions.

Each version number is given once, files are sealed once, and states change by compare-and-set.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dam_connector.domain.codec import to_plain
from dam_connector.domain.ids import RunId, VersionId, new_id
from dam_connector.domain.issue import Report
from dam_connector.domain.version import TRANSITIONS, Version, VersionFile, VersionState
from dam_connector.errors import StateConflict
from dam_connector.ports import Clock
from dam_connector.store.database import Database, require_one_row
from dam_connector.store.tables import assets, live_requests, products, version_files
from dam_connector.store.tables import versions as t
from dam_connector.store.version_rows import VERSIONS_WITH_ASSET, version_from_row

PAGE_SIZE = 200  # how many versions `in_dam` reads at a time


class Assets:
    """The tables of assets (by SKU, deliverable and slot) and of versions (by number)."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock

    def assign_version(
        self, *, sku: str, deliverable: str, slot: int, kind: str, run_id: RunId, rules_fingerprint: str
    ) -> tuple[VersionId, int]:
        """Return the version that a run makes, as its id and number.

        It is a new draft with the next number, or the version that the run got before.

        Args:
            sku: SKU of the product.
            deliverable: Name of the deliverable.
            slot: Slot of the deliverable, from 1 on.
            kind: "image" or "model".
            run_id: The run.
            rules_fingerprint: Of the rules that the run follows.
        """
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
            this_slot = (assets.c.sku == sku, assets.c.deliverable == deliverable, assets.c.slot == slot)
            c.execute(sa.update(assets).where(*this_slot).values(kind=kind))  # locks the row on PostgreSQL
            assigned = c.execute(sa.select(t.c.id, t.c.number).where(t.c.run_id == run_id)).one_or_none()
            if assigned:
                return VersionId(assigned.id), assigned.number
            c.execute(sa.update(assets).where(*this_slot).values(latest=assets.c.latest + 1))
            asset = c.execute(sa.select(assets).where(*this_slot)).one()
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
                    updated_at=now,
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
        """Write files, report and provenance into a draft; do nothing if it has the same files already.

        Raises:
            StateConflict: The version is no draft any more and has other files.
        """
        with self._db.write() as c:
            done = c.execute(
                sa.update(t)
                .where(t.c.id == version_id, t.c.state == VersionState.DRAFT.value)
                .values(
                    files=to_plain(files),
                    report=to_plain(report),
                    provenance=to_plain(provenance),
                    updated_at=self._clock.now(),
                )
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
            sealed = c.execute(sa.select(t.c.files).where(t.c.id == version_id)).scalar_one()
        if sealed != to_plain(files):
            raise StateConflict(f"version {version_id} is sealed with other files")

    def set_report(self, version_id: str, report: Report) -> None:
        """Replace the report of a version, e.g. after an issue was waived."""
        with self._db.write() as c:
            self._change(c, version_id, report=to_plain(report))

    def set_dam_ref(self, version_id: str, dam: str, ref: str) -> None:
        """Record that a version is in review in a DAM, under the DAM's id of it."""
        with self._db.write() as c:
            self._change(c, version_id, dam=dam, dam_ref=ref, dam_state=VersionState.IN_REVIEW.value)

    def set_dam_state(self, version_id: str, state: VersionState | None) -> None:
        """Record the state that the DAM is known to have for a version.

        Args:
            version_id: The version.
            state: The state; None: it is not known, so that it is written to the DAM again.
        """
        with self._db.write() as c:
            c.execute(sa.update(t).where(t.c.id == version_id).values(dam_state=state.value if state else ""))

    def set_go_live_at(self, version_id: str, at: datetime | None) -> None:
        """Set when a version goes live after its approval; None: at once."""
        with self._db.write() as c:
            self._change(c, version_id, go_live_at=at)

    def touch(self, version_id: str) -> None:
        """Record that something about a version changed now, e.g. a comment or a publication."""
        with self._db.write() as c:
            self._change(c, version_id)

    def _change(self, c: sa.Connection, version_id: str, **values: Any) -> None:
        c.execute(sa.update(t).where(t.c.id == version_id).values(updated_at=self._clock.now(), **values))

    def set_public(self, version_id: str, *, is_public: bool) -> None:
        """Allow everybody to fetch the files of a version, or only users who are logged in."""
        with self._db.write() as c:
            c.execute(sa.update(t).where(t.c.id == version_id).values(is_public=is_public))

    def transition(
        self, version_id: str, to: VersionState, *, from_states: Iterable[VersionState] | None = None
    ) -> None:
        """Change a version's state if the table of transitions allows it.

        Nothing happens if the version has the state already.

        Args:
            version_id: The version.
            to: The new state.
            from_states: Change it only from one of these states; None: from any that allows it.

        Raises:
            StateConflict: The version is in a state from which this transition is not allowed.
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
        """Do the same as `transition`, inside the caller's database transaction."""
        allowed = [s for s in (from_states or VersionState) if to in TRANSITIONS[s]]
        more: dict[str, Any] = {"updated_at": self._clock.now()}
        if to in (VersionState.SUPERSEDED, VersionState.WITHDRAWN):
            more["is_public"] = False
        done = c.execute(
            sa.update(t).where(t.c.id == version_id, t.c.state.in_(allowed)).values(state=to.value, **more)
        )
        if (
            done.rowcount == 0
            and from_states is None
            and c.execute(sa.select(t.c.state).where(t.c.id == version_id)).scalar() == to.value
        ):
            return
        require_one_row(done, f"version {version_id}")

    def supersede_others(self, version_id: str, states: Iterable[VersionState]) -> None:
        """Supersede the older versions of the same asset.

        Args:
            version_id: The version that takes their place.
            states: Supersede only versions in one of these states.
        """
        with self._db.write() as c:
            row = c.execute(sa.select(t.c.asset_id, t.c.number).where(t.c.id == version_id)).one()
            older = (
                t.c.asset_id == row.asset_id,
                t.c.number < row.number,
                t.c.state.in_(list(states)),
            )
            superseded = {"state": VersionState.SUPERSEDED.value, "is_public": False}
            c.execute(sa.update(t).where(*older).values(**superseded, updated_at=self._clock.now()))

    def newest_requested(self) -> Iterator[Version]:
        """Yield the newest version, of those that people asked to be live, of each asset."""
        last = ""
        while True:
            newest = (
                sa.select(sa.func.max(live_requests.c.version_id))
                .where(live_requests.c.asset_id > last)
                .group_by(live_requests.c.asset_id)
                .order_by(live_requests.c.asset_id)
                .limit(PAGE_SIZE)
            )
            query = VERSIONS_WITH_ASSET.where(t.c.id.in_(newest)).order_by(t.c.asset_id)
            with self._db.read() as c:
                found = [version_from_row(row) for row in c.execute(query)]
            yield from found
            if len(found) < PAGE_SIZE:
                return
            last = found[-1].asset.id

    def has_newer(self, version: Version, states: Iterable[VersionState]) -> bool:
        """Return whether the asset has a version with a higher number in one of these states."""
        query = sa.select(t.c.id).where(
            t.c.asset_id == version.asset.id,
            t.c.number > version.number,
            t.c.state.in_([s.value for s in states]),
        )
        with self._db.read() as c:
            return c.execute(query.limit(1)).first() is not None

    def lock_asset(self, asset_id: str) -> None:
        """Let nobody else change the asset's versions until the open transaction ends."""
        with self._db.write() as c:
            c.execute(sa.select(assets.c.id).where(assets.c.id == asset_id).with_for_update())

    def show_only(self, asset_id: str, version_ids: Iterable[str]) -> None:
        """Let everybody fetch the files of these versions of an asset, and of no others."""
        with self._db.write() as c:
            c.execute(
                sa.update(t)
                .where(t.c.asset_id == asset_id)
                .values(is_public=sa.case((t.c.id.in_(list(version_ids)), sa.true()), else_=sa.false()))
            )

    def get(self, version_id: str) -> Version | None:
        """Return a version by its id, or None."""
        return self._one(t.c.id == version_id)

    def by_dam_ref(self, dam: str, ref: str) -> Version | None:
        """Return the version that has an id in a DAM, or None."""
        return self._one(sa.and_(t.c.dam == dam, t.c.dam_ref == ref))

    def _one(self, condition: Any) -> Version | None:
        with self._db.read() as c:
            row = c.execute(VERSIONS_WITH_ASSET.where(condition)).one_or_none()
        return version_from_row(row) if row else None

    def expired(self, now: datetime, limit: int) -> list[Version]:
        """Return versions that are live or approved, of products that have expired."""
        return self._live_where(products.c.live_until <= now.isoformat(), limit)

    def of_deleted_products(self, limit: int) -> list[Version]:
        """Return versions that are live or approved, of products that were deleted."""
        return self._live_where(products.c.deleted.is_(True), limit)

    def _live_where(self, condition: Any, limit: int) -> list[Version]:
        """Return versions that are live or approved, of products that satisfy a condition."""
        states = [VersionState.PUBLISHED.value, VersionState.APPROVED.value]
        query = (
            VERSIONS_WITH_ASSET.join(products, products.c.sku == assets.c.sku)
            .where(t.c.state.in_(states), condition)
            .order_by(t.c.id)
            .limit(limit)
        )
        with self._db.read() as c:
            return [version_from_row(row) for row in c.execute(query)]

    def of_product(self, sku: str) -> list[Version]:
        """Return all versions of a SKU by deliverable and slot, the newest first."""
        query = VERSIONS_WITH_ASSET.where(assets.c.sku == sku).order_by(
            assets.c.deliverable, assets.c.slot, t.c.number.desc()
        )
        with self._db.read() as c:
            return [version_from_row(row) for row in c.execute(query)]

    def current(self, sku: str, deliverable: str) -> Version | None:
        """Return the newest version of a deliverable's first slot that is in review, approved or live."""
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
        stages: Collection[str] | None = None,
    ) -> list[Version]:
        """Return a page of versions by creation.

        Args:
            state: Only versions in this state; empty: in any.
            deliverable: Only versions of this deliverable; empty: of any.
            before: Id of the last version of the page before; empty: the first page.
            limit: How many versions a page has at most.
            oldest_first: Sort by creation, the oldest first; otherwise the newest first.
            stages: Only versions that wait in these stages of their review; None: in any.
        """
        query = VERSIONS_WITH_ASSET.order_by(t.c.id if oldest_first else t.c.id.desc()).limit(limit)
        query = query.where(t.c.state == state) if state else query
        query = query.where(assets.c.deliverable == deliverable) if deliverable else query
        query = query.where(t.c.stage.in_(stages)) if stages is not None else query
        query = query.where(t.c.id > before if oldest_first else t.c.id < before) if before else query
        with self._db.read() as c:
            return [version_from_row(row) for row in c.execute(query)]

    def counts(self, *states: str, deliverable: str = "") -> dict[str, int]:
        """Return the number of versions by state, of these states or of all, each counted up to MAX_COUNT.

        Args:
            states: The states.
            deliverable: Only versions of this deliverable; empty: of any.
        """
        its_assets = sa.select(assets.c.id).where(assets.c.deliverable == deliverable)
        only = (t.c.asset_id.in_(its_assets),) if deliverable else ()
        return self._db.counts(t.c.state, states or [s.value for s in VersionState], *only)

    def versions(self, asset_id: str) -> list[Version]:
        """Return all versions of an asset, the newest first."""
        query = VERSIONS_WITH_ASSET.where(t.c.asset_id == asset_id).order_by(t.c.number.desc())
        with self._db.read() as c:
            return [version_from_row(row) for row in c.execute(query)]

    def in_dam(self, dam: str, states: Iterable[VersionState]) -> Iterator[Version]:
        """Yield the versions in a DAM that are in one of these states, the oldest first."""
        last, values = "", [s.value for s in states]
        while True:
            query = (
                VERSIONS_WITH_ASSET.where(
                    t.c.dam == dam, t.c.dam_ref != "", t.c.state.in_(values), t.c.id > last
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
        """Return MIME type and name of a version's file, or None.

        Args:
            sha256: SHA-256 of the file.
            public: Only files of versions that everybody may fetch.
        """
        query = sa.select(version_files.c.mime, version_files.c.name).join(
            t, t.c.id == version_files.c.version_id
        )
        query = query.where(
            version_files.c.sha256 == sha256, *([t.c.is_public.is_(True)] if public else [])
        ).limit(1)
        with self._db.read() as c:
            row = c.execute(query).one_or_none()
        return (row.mime, row.name) if row else None
