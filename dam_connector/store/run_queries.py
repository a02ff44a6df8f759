"""Questions about runs that change nothing."""

from collections.abc import Collection, Iterable
from datetime import datetime

import sqlalchemy as sa

from dam_connector.domain.ids import first_id
from dam_connector.domain.issue_codes import CODES
from dam_connector.domain.run import (
    COMPUTE_KINDS,
    GENERATION_KINDS,
    MAKING_KINDS,
    OPEN_STATES,
    RunKind,
    RunState,
)
from dam_connector.domain.version import USABLE_STATES, VersionState
from dam_connector.ports import Clock
from dam_connector.store.database import Database
from dam_connector.store.run_records import BlockedRun, FailedRun, RunRecord, is_dismissed, run_from_row
from dam_connector.store.tables import runs as t
from dam_connector.store.tables import versions

RECENT_RUNS = 50  # of them the average CPU time is taken
MAX_CAUSE = 200  # characters of a cause that are compared: addresses of pages hold no more
CHUNK_SKUS = 2_000  # products whose runs are looked up in one statement


def _has_cause(cause: str) -> sa.ColumnElement[bool]:
    """Return the condition that the error of a run has a cause."""
    if cause in CODES:
        return t.c.error.startswith(f"{cause}: ", autoescape=True)
    if len(cause) < MAX_CAUSE:
        return t.c.error == cause
    return t.c.error.startswith(cause[:MAX_CAUSE], autoescape=True)


class RunQueries:
    """The reading half of `Runs`."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock

    def is_open(self, sku: str, deliverable: str, slot: int, kinds: Iterable[RunKind]) -> bool:
        """Return whether a slot has an open run of one of these kinds."""
        query = sa.select(t.c.id).where(
            t.c.sku == sku,
            t.c.deliverable == deliverable,
            t.c.slot == slot,
            t.c.kind.in_([k.value for k in kinds]),
            t.c.state.in_(OPEN_STATES),
        )
        with self._db.read() as c:
            return c.execute(query.limit(1)).first() is not None

    def has_started(self, version_id: str, kind: RunKind) -> bool:
        """Return whether a run of this kind began to work on a version."""
        query = sa.select(t.c.id).where(
            t.c.version_id == version_id, t.c.kind == kind.value, t.c.started_at.is_not(None)
        )
        with self._db.read() as c:
            return c.execute(query.limit(1)).first() is not None

    def get(self, run_id: str) -> RunRecord | None:
        """Return a run by its id, or None."""
        with self._db.read() as c:
            row = c.execute(sa.select(t).where(t.c.id == run_id)).one_or_none()
        return run_from_row(row) if row else None

    def was_cancelled(self, run_id: str, owner: str) -> bool:
        """Return whether a run was cancelled while this process worked on it."""
        query = sa.select(t.c.id).where(
            t.c.id == run_id, t.c.state == RunState.CANCELLED.value, t.c.lease_owner == owner
        )
        with self._db.read() as c:
            return c.execute(query).first() is not None

    def close(self) -> None:
        """Close this process's connections, e.g. before a fork, which must not share them."""
        self._db.close()

    def page(
        self,
        *,
        state: str = "",
        sku: str = "",
        deliverable: str = "",
        cause: str = "",
        before: str = "",
        limit: int = 50,
    ) -> list[RunRecord]:
        """Return a page of runs, the newest first, from just before the id `before`.

        Args:
            state: Only those in this state; empty: in any. `sku` and `deliverable` likewise.
            cause: Only those whose error has this group, see `FailureCause.group`, or begins with it where it
                has `MAX_CAUSE` characters or more.
            before: The id after which the page begins; empty: the newest.
            limit: How many to return at most.
        """
        asked = {"state": state, "sku": sku, "deliverable": deliverable}
        query = sa.select(t).where(*(t.c[name] == value for name, value in asked.items() if value))
        if cause:
            query = query.where(_has_cause(cause))
        query = query.where(*[t.c.id < before] * bool(before)).order_by(t.c.id.desc()).limit(limit)
        with self._db.read() as c:
            return [run_from_row(row) for row in c.execute(query)]

    def of_origin(self, origin: str, *, since: datetime, until: datetime, limit: int) -> list[RunRecord]:
        """Return the first runs that began with a delivery or another run.

        Args:
            origin: The id of the delivery or run.
            since: Only runs planned from this time on.
            until: Only runs planned before; the time bounds what is read, since origins have no index.
            limit: How many runs to return at most.
        """
        planned = t.c.id.between(first_id("run", since), first_id("run", until))
        query = sa.select(t).where(planned, t.c.origin == origin).order_by(t.c.id).limit(limit)
        with self._db.read() as c:
            return [run_from_row(row) for row in c.execute(query)]

    def newest_of_slots(self, sku: str) -> dict[tuple[str, int], RunRecord]:
        """Return the newest run that makes a version, by deliverable and slot."""
        kinds = [kind.value for kind in GENERATION_KINDS]
        query = sa.select(t).where(t.c.sku == sku, t.c.kind.in_(kinds)).order_by(t.c.created_at, t.c.id)
        with self._db.read() as c:
            return {(row.deliverable, row.slot): run_from_row(row) for row in c.execute(query)}

    def average_cpu_seconds(self, deliverable: str) -> float | None:
        """Return the average CPU time of a deliverable's newest RECENT_RUNS runs; None if it has none."""
        query = sa.select(t.c.timings).where(
            t.c.deliverable == deliverable, t.c.state == RunState.DONE.value, t.c.kind.in_(MAKING_KINDS)
        )
        with self._db.read() as c:
            recent = [
                sum(timings.values())
                for timings in c.execute(query.order_by(t.c.id.desc()).limit(RECENT_RUNS)).scalars()
            ]
        return sum(recent) / len(recent) if recent else None

    def generation_status(self, skus: Iterable[str]) -> dict[str, tuple[bool, str]]:
        """Return by SKU whether a computing run is open, and the error of the newest failed one.

        A failed run that a person dismissed counts, too.
        """
        query = (
            sa.select(t.c.sku, t.c.state, t.c.error)
            .where(t.c.sku.in_(list(skus)), t.c.kind.in_(COMPUTE_KINDS))
            .order_by(t.c.id)
        )
        found: dict[str, tuple[bool, str]] = {}
        with self._db.read() as c:
            for sku, state, error in c.execute(query):
                is_open, last_error = found.get(sku, (False, ""))
                has_failed = state == RunState.FAILED or is_dismissed(state, error)
                found[sku] = (is_open or state in OPEN_STATES, error if has_failed else last_error)
        return found

    def failed_of(self, skus: Collection[str]) -> list[FailedRun]:
        """Return the failed computing runs of some products, the newest first."""
        query = sa.select(t.c.sku, t.c.deliverable, t.c.kind, t.c.rules_fingerprint, t.c.error)
        query = query.where(t.c.state == RunState.FAILED.value, t.c.kind.in_(COMPUTE_KINDS))
        listed = list(skus)
        chunks = (listed[start : start + CHUNK_SKUS] for start in range(0, len(listed), CHUNK_SKUS))
        with self._db.read() as c:
            return [
                FailedRun(row.sku, row.deliverable, RunKind(row.kind), row.rules_fingerprint, row.error)
                for chunk in chunks
                for row in c.execute(query.where(t.c.sku.in_(chunk)).order_by(t.c.id.desc()))
            ]

    def blocked_of(self, skus: Collection[str], *, but_rules: str) -> list[BlockedRun]:
        """Return the runs of products' blocked versions, of assets without a usable version.

        Args:
            skus: The products.
            but_rules: Leave out those that followed the rules with this fingerprint.
        """
        columns = (t.c.sku, t.c.deliverable, t.c.slot, t.c.kind, t.c.rules_fingerprint)
        of_asset = versions.alias()
        usable = [state.value for state in USABLE_STATES]
        query = (
            sa.select(*columns)
            .join(versions, versions.c.run_id == t.c.id)
            .where(
                versions.c.state == VersionState.BLOCKED.value,
                t.c.rules_fingerprint != but_rules,
                ~sa.exists().where(of_asset.c.asset_id == versions.c.asset_id, of_asset.c.state.in_(usable)),
            )
        )
        listed = list(skus)
        with self._db.read() as c:
            return [
                BlockedRun(row.sku, row.deliverable, row.slot, RunKind(row.kind), row.rules_fingerprint)
                for start in range(0, len(listed), CHUNK_SKUS)
                for row in c.execute(query.where(t.c.sku.in_(listed[start : start + CHUNK_SKUS])))
            ]

    def counts(self, *states: str) -> dict[str, int]:
        """Return the number of runs by state, of these states or of all, each counted up to MAX_COUNT."""
        return self._db.counts(t.c.state, states or [s.value for s in RunState])
