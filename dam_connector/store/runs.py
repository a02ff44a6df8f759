"""Run records: leases with fences, checkpoints, parking, and what is due."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dam_connector.domain.ids import RunId, new_id
from dam_connector.domain.run import (
    COMPUTE_KINDS,
    GENERATION_KINDS,
    OPEN_STATES,
    TRANSITIONS,
    RunKind,
    RunState,
)
from dam_connector.ports import Clock
from dam_connector.store.database import Database, require_one_row
from dam_connector.store.tables import runs as t

NEWER_FACTS = "newer facts arrived"
RECENT_RUNS = 50
FIRST_SWEEP_AFTER_S = 5.0  # a new run is woken by whoever made it; the sweeper leaves it be for so long


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """What a run is about; `input_hash` makes it unique."""

    kind: RunKind
    sku: str
    deliverable: str
    slot: int
    input_hash: str
    rules_fingerprint: str
    version_id: str | None = None
    note: str = ""
    due_at: datetime | None = None
    bulk: bool = False  # one of many
    batch_id: str = ""  # that asked for it
    generator: str = ""  # that a person chose


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run as stored."""

    id: RunId
    kind: RunKind
    sku: str
    deliverable: str
    slot: int
    version_id: str | None
    input_hash: str
    rules_fingerprint: str
    note: str
    bulk: bool
    batch_id: str
    generator: str
    state: RunState
    next_step: str  # the step to run next; "" before the first, ALL_STEPS_DONE after the last
    step: str  # the step that wrote the last checkpoint
    work: Mapping[str, Any]  # the checkpoint: the worker's Work as JSON
    timings: Mapping[str, float]
    fence: int
    attempts: int
    due_at: datetime | None
    error: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


def base_input_hash(input_hash: str) -> str:
    """The hash of the input alone: what follows `~` only tells repeated runs of one input apart."""
    return input_hash.partition("~")[0]


class Runs:
    """Every change is a compare-and-set on state and fence: a holder whose lease was taken over can write no more."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock

    def add(self, runs: Iterable[NewRun]) -> list[RunId]:
        """The ids of those runs that were needed: a slot whose newest run has the same input needs none.

        Older open runs of the slot are cancelled. An input that comes back after another one runs again.
        """
        added = []
        with self._db.write() as c:
            for run in runs:
                run_id = (
                    self._add_making(c, run)
                    if run.kind in GENERATION_KINDS
                    else self._insert(c, run, run.input_hash)
                )
                added += [run_id] if run_id else []
        return added

    def _add_making(self, c: sa.Connection, run: NewRun) -> RunId | None:
        slot = (
            t.c.sku == run.sku,
            t.c.deliverable == run.deliverable,
            t.c.slot == run.slot,
            t.c.kind.in_(GENERATION_KINDS),
        )
        newest = (
            sa.select(t.c.id, t.c.input_hash, t.c.state)
            .where(*slot)
            .order_by(t.c.created_at.desc(), t.c.id.desc())
            .limit(1)
        )
        before = c.execute(newest).one_or_none()
        if before and base_input_hash(before.input_hash) == run.input_hash:
            return self._reopen_cancelled(c, before)
        run_id = self._insert(c, run, run.input_hash)
        if (
            run_id is None
        ):  # the input ran before: by somebody at the same moment, or before another input came between
            before = c.execute(newest).one()
            if base_input_hash(before.input_hash) == base_input_hash(run.input_hash) or "~" in run.input_hash:
                return None
            run_id = self._insert(c, run, f"{run.input_hash}~{before.id}")
        if run_id:
            c.execute(
                sa.update(t)
                .where(*slot, t.c.id != run_id, t.c.state.in_(OPEN_STATES))
                .values(
                    state=RunState.CANCELLED.value,
                    fence=t.c.fence + 1,
                    due_at=None,
                    finished_at=self._clock.now(),
                    error=NEWER_FACTS,
                )
            )
        return run_id

    def _insert(self, c: sa.Connection, run: NewRun, input_hash: str) -> RunId | None:
        now = self._clock.now()
        row: dict[str, Any] = {
            "id": new_id("run", now),
            "kind": run.kind.value,
            "sku": run.sku,
            "deliverable": run.deliverable,
            "slot": run.slot,
            "version_id": run.version_id,
            "input_hash": input_hash,
            "rules_fingerprint": run.rules_fingerprint,
            "note": run.note,
            "bulk": run.bulk,
            "batch_id": run.batch_id,
            "generator": run.generator,
            "state": RunState.QUEUED.value,
            "work": {},
            "timings": {},
            "created_at": now,
            "due_at": run.due_at or now,
            "lease_until": now + timedelta(seconds=FIRST_SWEEP_AFTER_S),
        }
        return RunId(str(row["id"])) if self._db.insert_new(c, t, row) else None

    def _reopen_cancelled(self, c: sa.Connection, before: Any) -> RunId | None:
        done = c.execute(
            sa.update(t)
            .where(t.c.id == before.id, t.c.state == RunState.CANCELLED.value, t.c.error == NEWER_FACTS)
            .values(
                state=RunState.QUEUED.value,
                due_at=self._clock.now(),
                attempts=0,
                error="",
                finished_at=None,
                lease_until=None,
                kicks=0,
            )
        )
        return RunId(before.id) if done.rowcount == 1 else None

    def lease(self, run_id: str, owner: str, seconds: float) -> RunRecord | None:
        """The run, now ours until the lease ends; None when it is not due, not open, or somebody holds it.

        Taking over from a holder whose lease ran out counts as an attempt.
        """
        now = self._clock.now()
        free = sa.or_(
            t.c.state.in_((RunState.QUEUED, RunState.PARKED)),
            sa.and_(t.c.state == RunState.RUNNING, t.c.lease_until < now),
        )
        with self._db.write() as c:
            done = c.execute(
                sa.update(t)
                .where(
                    t.c.id == run_id,
                    free,
                    sa.or_(t.c.due_at.is_(None), t.c.due_at <= now, t.c.state == RunState.RUNNING),
                )
                .values(
                    state=RunState.RUNNING.value,
                    fence=t.c.fence + 1,
                    lease_owner=owner,
                    attempts=t.c.attempts + sa.case((t.c.state == RunState.RUNNING, 1), else_=0),
                    lease_until=now + timedelta(seconds=seconds),
                    started_at=sa.func.coalesce(t.c.started_at, now),
                    due_at=None,
                )
            )
            if done.rowcount != 1:
                return None
            row = c.execute(sa.select(t).where(t.c.id == run_id)).one()
        return _record(row)

    def renew(self, run: RunRecord, seconds: float) -> None:
        """Raises: StateConflict when the lease was lost."""
        self._set(run, lease_until=self._clock.now() + timedelta(seconds=seconds))

    def checkpoint(
        self,
        run: RunRecord,
        *,
        step: str,
        next_step: str,
        work: Mapping[str, Any],
        timings: Mapping[str, float],
    ) -> None:
        """Store how far a run has come.

        Args:
            run: The run, leased by the caller.
            step: The step that writes the checkpoint.
            next_step: The step to run next: `step` itself when it parks, `ALL_STEPS_DONE` after the last one.
            work: The worker's Work as JSON.
            timings: CPU-seconds by step.

        Raises:
            StateConflict: The lease was lost.
        """
        self._set(run, step=step, next_step=next_step, work=dict(work), timings=dict(timings), attempts=0)

    def park(self, run: RunRecord, until: datetime, error: str = "", *, failed_try: bool = False) -> None:
        """Let the run sleep until then. Raises: StateConflict."""
        self._leave(run, RunState.PARKED, due_at=until, error=error, attempts=run.attempts + int(failed_try))

    def wake(self, run_id: str) -> tuple[RunKind, bool] | None:
        """Make a sleeping run due; gives its kind and whether it is one of many, or None when it does not sleep."""
        with self._db.write() as c:
            where = (t.c.id == run_id, t.c.state == RunState.PARKED.value)
            row = c.execute(
                sa.update(t)
                .where(*where)
                .values(due_at=self._clock.now(), lease_until=None, kicks=0)
                .returning(t.c.kind, t.c.bulk)
            ).one_or_none()
        return (RunKind(row.kind), row.bulk) if row else None

    def set_wait_reason(self, run_id: str, error: str) -> None:
        """Say what a sleeping run waits for."""
        with self._db.write() as c:
            c.execute(
                sa.update(t)
                .where(t.c.id == run_id, t.c.state == RunState.PARKED.value)
                .values(error=error[:2000])
            )

    def finish(self, run: RunRecord, state: RunState, error: str = "") -> None:
        """Close the run as done or failed. Raises: StateConflict."""
        self._leave(run, state, due_at=None, error=error, finished_at=self._clock.now())

    def _leave(self, run: RunRecord, state: RunState, **values: Any) -> None:
        assert state in TRANSITIONS[RunState.RUNNING]
        self._set(run, state=state.value, lease_owner="", lease_until=None, kicks=0, **values)

    def _set(self, run: RunRecord, **values: Any) -> None:
        with self._db.write() as c:
            require_one_row(
                c.execute(
                    sa.update(t)
                    .where(t.c.id == run.id, t.c.state == RunState.RUNNING.value, t.c.fence == run.fence)
                    .values(values)
                ),
                f"run {run.id}",
            )

    def requeue(self, run_id: str) -> bool:
        """Open a failed or cancelled run again from its checkpoint; False when it is neither."""
        again = [s.value for s, to in TRANSITIONS.items() if RunState.QUEUED in to]
        with self._db.write() as c:
            done = c.execute(
                sa.update(t)
                .where(t.c.id == run_id, t.c.state.in_(again))
                .values(
                    state=RunState.QUEUED.value,
                    due_at=self._clock.now(),
                    attempts=0,
                    error="",
                    finished_at=None,
                    lease_until=None,
                    kicks=0,
                )
            )
        return done.rowcount == 1

    def due(self, limit: int) -> list[tuple[str, RunKind, bool]]:
        """Open runs (id, kind, whether a batch asked for them) that are due and held by nobody, and were not woken lately: their wake-up was lost,
        their holder died, or they have slept long enough."""
        now = self._clock.now()
        waiting = sa.and_(
            t.c.state.in_((RunState.QUEUED, RunState.PARKED)),
            t.c.due_at <= now,
            sa.or_(t.c.lease_until.is_(None), t.c.lease_until < now),
        )
        abandoned = sa.and_(t.c.state == RunState.RUNNING, t.c.lease_until < now)
        with self._db.read() as c:
            query = (
                sa.select(t.c.id, t.c.kind, t.c.bulk)
                .where(sa.or_(waiting, abandoned))
                .order_by(t.c.id)
                .limit(limit)
            )
            return [(row.id, RunKind(row.kind), row.bulk) for row in c.execute(query)]

    def mark_woken(self, ids: Iterable[str], seconds: float) -> None:
        """Note that these were woken just now: each further time they are let be for longer, at most 64-fold.

        While a run is not running, `lease_until` is the moment until which no further wake-up is sent; a worker that
        got the wake-up may take the run before.
        """
        now = self._clock.now()
        waiting = (RunState.QUEUED, RunState.PARKED)
        with self._db.write() as c:
            rows = c.execute(
                sa.select(t.c.id, t.c.kicks).where(t.c.id.in_(list(ids)), t.c.state.in_(waiting))
            ).all()
            for row in rows:
                until = now + timedelta(seconds=seconds * 2 ** min(row.kicks, 6))
                c.execute(
                    sa.update(t)
                    .where(t.c.id == row.id, t.c.state.in_(waiting))
                    .values(kicks=row.kicks + 1, lease_until=until)
                )

    def get(self, run_id: str) -> RunRecord | None:
        with self._db.read() as c:
            row = c.execute(sa.select(t).where(t.c.id == run_id)).one_or_none()
        return _record(row) if row else None

    def page(self, *, state: str = "", sku: str = "", before: str = "", limit: int = 50) -> list[RunRecord]:
        """Runs, newest first, from just before the id `before`."""
        query = sa.select(t).order_by(t.c.id.desc()).limit(limit)
        query = query.where(t.c.state == state) if state else query
        query = query.where(t.c.sku == sku) if sku else query
        query = query.where(t.c.id < before) if before else query
        with self._db.read() as c:
            return [_record(row) for row in c.execute(query)]

    def average_cpu_seconds(self, deliverable: str) -> float | None:
        """CPU-seconds that making this deliverable took lately, on average; None when it was never made."""
        query = sa.select(t.c.timings).where(
            t.c.deliverable == deliverable, t.c.state == RunState.DONE.value, t.c.kind.in_(GENERATION_KINDS)
        )
        with self._db.read() as c:
            lately = [
                sum(timings.values())
                for timings in c.execute(query.order_by(t.c.id.desc()).limit(RECENT_RUNS)).scalars()
            ]
        return sum(lately) / len(lately) if lately else None

    def generation_status(self, skus: Iterable[str]) -> dict[str, tuple[bool, str]]:
        """By SKU whether something is being made for it, and what its newest failed run said."""
        query = (
            sa.select(t.c.sku, t.c.state, t.c.error)
            .where(t.c.sku.in_(list(skus)), t.c.kind.in_(COMPUTE_KINDS))
            .order_by(t.c.id)
        )
        found: dict[str, tuple[bool, str]] = {}
        with self._db.read() as c:
            for sku, state, error in c.execute(query):
                making, before = found.get(sku, (False, ""))
                found[sku] = (making or state in OPEN_STATES, error if state == RunState.FAILED else before)
        return found

    def counts(self, *states: str) -> dict[str, int]:
        """By state, of all or of these, each up to MANY."""
        return self._db.counts(t.c.state, states or [s.value for s in RunState])


def _record(row: Any) -> RunRecord:
    names = (f for f in RunRecord.__dataclass_fields__)
    values = {name: getattr(row, name) for name in names}
    return RunRecord(**{**values, "kind": RunKind(row.kind), "state": RunState(row.state)})
