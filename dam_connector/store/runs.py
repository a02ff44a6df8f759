"""Runs: leases with fences, checkpoints, parking, and which runs are due."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dam_connector.domain.ids import RunId, new_id
from dam_connector.domain.run import (
    ADOPTION_KINDS,
    COMPUTE_KINDS,
    GENERATION_KINDS,
    OPEN_STATES,
    TRANSITIONS,
    RunKind,
    RunState,
)
from dam_connector.errors import StateConflict
from dam_connector.store.database import require_one_row
from dam_connector.store.request_origin import work_origin
from dam_connector.store.run_queries import RunQueries
from dam_connector.store.run_records import (
    NEWER_FACTS,
    NewRun,
    RunInput,
    RunRecord,
    base_input_hash,
    is_generation,
    newest_generation,
    origin_of_version,
    run_from_row,
)
from dam_connector.store.tables import runs as t

FIRST_SWEEP_AFTER_S = 5.0  # whoever adds a run wakes it; the sweeper wakes it only after this time


class Runs(RunQueries):
    """The table of runs; every change is a compare-and-set on state and fence."""

    def add(self, runs: Iterable[NewRun]) -> list[RunId]:
        """Store the runs that are needed; return their ids.

        A run is not needed if the newest run of its slot has the same input. Older open and failed runs of
        the slot are cancelled. An input that comes back after another one runs again.
        """
        added = []
        with self._db.write() as c:
            for run in runs:
                run_id = (
                    self._add_generation(c, run)
                    if run.kind in GENERATION_KINDS
                    else self._insert(c, run, run.input_hash)
                )
                added += [run_id] if run_id else []
        return added

    def add_first(self, run: NewRun) -> RunId | None:
        """Store a run that adopts the first version of a slot; return its id.

        Later news with the same input make nothing. Return None if the slot has a run already.
        """
        of_slot = is_generation(run.sku, run.deliverable, run.slot)
        with self._db.write() as c:
            if c.execute(newest_generation(of_slot)).first():
                return None
            return self._insert(c, run, run.input_hash)

    def _add_generation(self, c: sa.Connection, run: NewRun) -> RunId | None:
        of_slot = is_generation(run.sku, run.deliverable, run.slot)
        newest = newest_generation(of_slot)
        before = c.execute(newest).one_or_none()
        if before and base_input_hash(before.input_hash) in (run.input_hash, *run.former_hashes):
            return self._reopen_cancelled(c, before)
        run_id = self._insert(c, run, run.input_hash)
        if run_id is None:  # the input ran before another one, or was added by another process just now
            before = c.execute(newest).one()
            if base_input_hash(before.input_hash) == base_input_hash(run.input_hash) or "~" in run.input_hash:
                return None
            run_id = self._insert(c, run, f"{run.input_hash}~{before.id}")
        if run_id:
            c.execute(
                sa.update(t)
                .where(
                    of_slot,
                    t.c.id != run_id,
                    t.c.state.in_((*OPEN_STATES, RunState.FAILED)),
                    t.c.kind.not_in(ADOPTION_KINDS),  # newer facts do not change a finished file
                )
                .values(self._cancelled())
            )
        return run_id

    def _cancelled(self) -> dict[str, Any]:
        return {
            "state": RunState.CANCELLED.value,
            "fence": t.c.fence + 1,
            "due_at": None,
            "finished_at": self._clock.now(),
            "error": NEWER_FACTS,
        }

    def newest_input(self, sku: str, deliverable: str, slot: int) -> RunInput | None:
        """Return the input of the newest run that makes a version of a slot, or None."""
        with self._db.read() as c:
            row = c.execute(newest_generation(is_generation(sku, deliverable, slot))).one_or_none()
        return RunInput(row.input_hash, row.rules_fingerprint) if row else None

    def _insert(self, c: sa.Connection, run: NewRun, input_hash: str) -> RunId | None:
        now = self._clock.now()
        run_id = new_id("run", now)
        row: dict[str, Any] = {
            "id": run_id,
            "origin": origin_of_version(c, run.version_id) or work_origin.get() or run_id,
            **run.to_row(),
            "input_hash": input_hash,
            "state": RunState.QUEUED.value,
            "work": {},
            "timings": {},
            "created_at": now,
            "due_at": run.due_at or now,
            "lease_until": now + timedelta(seconds=FIRST_SWEEP_AFTER_S),
        }
        return RunId(run_id) if self._db.insert_new(c, t, row) else None

    def _reopen_cancelled(self, c: sa.Connection, before: Any) -> RunId | None:
        done = c.execute(
            sa.update(t)
            .where(t.c.id == before.id, t.c.state == RunState.CANCELLED.value, t.c.error == NEWER_FACTS)
            .values(self._queued_again())
        )
        return RunId(before.id) if done.rowcount == 1 else None

    def _queued_again(self) -> dict[str, Any]:
        return {
            "state": RunState.QUEUED.value,
            "due_at": self._clock.now(),
            "attempts": 0,
            "error": "",
            "finished_at": None,
            "lease_until": None,
            "wake_count": 0,
        }

    def lease(self, run_id: str, owner: str, seconds: float) -> RunRecord | None:
        """Lease a run; return None if it is not due, not open, or leased by somebody else.

        Taking over from a worker whose lease ran out counts as an attempt.

        Args:
            run_id: The run.
            owner: Who leases it, unique for a process.
            seconds: How long the lease lasts.
        """
        now = self._clock.now()
        free = sa.or_(
            t.c.state.in_((RunState.QUEUED, RunState.PARKED)),
            sa.and_(t.c.state == RunState.RUNNING, t.c.lease_until < now),
        )
        is_due = sa.or_(t.c.due_at.is_(None), t.c.due_at <= now, t.c.state == RunState.RUNNING)
        # Who writes the run at this moment works on it: a late wake-up does not wait for that.
        unlocked = sa.select(t.c.id).where(t.c.id == run_id, free, is_due).with_for_update(skip_locked=True)
        with self._db.write() as c:
            done = c.execute(
                sa.update(t)
                .where(t.c.id == unlocked.scalar_subquery())
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
        return run_from_row(row)

    def fence(self, run: RunRecord) -> Callable[[sa.Connection], None]:
        """Return a check for `Database.guarded` that raises StateConflict once the run's lease was lost."""
        held = sa.select(t.c.id).where(
            t.c.id == run.id, t.c.state == RunState.RUNNING.value, t.c.fence == run.fence
        )

        def check(c: sa.Connection) -> None:
            if c.execute(held.with_for_update()).first() is None:
                raise StateConflict(f"run {run.id} was taken over by another worker, or cancelled")

        return check

    def renew(self, run: RunRecord, seconds: float) -> None:
        """Renew the lease of a run for `seconds` from now.

        Raises:
            StateConflict: The lease was lost.
        """
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
        reached = {"step": step, "next_step": next_step, "work": dict(work), "timings": dict(timings)}
        self._set(run, **reached, attempts=0, error="")

    def park(self, run: RunRecord, until: datetime, error: str = "", *, failed_try: bool = False) -> None:
        """Park a run.

        Args:
            run: The run.
            until: When it is due again.
            error: What it waits for.
            failed_try: Whether this counts as a failed attempt.

        Raises:
            StateConflict: The lease was lost.
        """
        self._stop(run, RunState.PARKED, due_at=until, error=error, attempts=run.attempts + int(failed_try))

    def wake(self, run_id: str) -> tuple[RunKind, bool] | None:
        """Make a parked run due; return its kind and whether it is bulk, or None if it is not parked."""
        with self._db.write() as c:
            where = (t.c.id == run_id, t.c.state == RunState.PARKED.value)
            row = c.execute(
                sa.update(t)
                .where(*where)
                .values(due_at=self._clock.now(), lease_until=None, wake_count=0)
                .returning(t.c.kind, t.c.bulk)
            ).one_or_none()
        return (RunKind(row.kind), row.bulk) if row else None

    def set_wait_reason(self, run_id: str, error: str) -> None:
        """Store what a parked run waits for."""
        with self._db.write() as c:
            c.execute(
                sa.update(t)
                .where(t.c.id == run_id, t.c.state == RunState.PARKED.value)
                .values(error=error[:2000])
            )

    def finish(self, run: RunRecord, state: RunState, error: str = "") -> None:
        """Close a run as done or failed.

        Raises:
            StateConflict: The lease was lost.
        """
        self._stop(run, state, due_at=None, error=error, finished_at=self._clock.now())

    def _stop(self, run: RunRecord, state: RunState, **values: Any) -> None:
        assert state in TRANSITIONS[RunState.RUNNING]
        self._set(run, state=state.value, lease_owner="", lease_until=None, wake_count=0, **values)

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

    def hand_over(self, owner: str, error: str = "") -> list[str]:
        """Make the runs of a process that is ending due at once; return their ids.

        Args:
            owner: The process, as it named itself when it leased them. It writes no more.
            error: Why the process was ended, if it was at fault: this counts as a failed try.
        """
        values = {"state": RunState.PARKED.value, "fence": t.c.fence + 1, "due_at": self._clock.now()}
        if error:
            values |= {"attempts": t.c.attempts + 1, "error": error}
        held = (t.c.state == RunState.RUNNING.value, t.c.lease_owner == owner)
        freed = {"lease_owner": "", "lease_until": None, "wake_count": 0}
        with self._db.write() as c:
            return list(
                c.execute(sa.update(t).where(*held).values(**values, **freed).returning(t.c.id)).scalars()
            )

    def requeue(self, run_id: str, *, rules_fingerprint: str = "") -> bool:
        """Queue a failed or cancelled run again from its checkpoint; return False if it is neither.

        Args:
            run_id: The run.
            rules_fingerprint: The rules that it follows from now on; empty: those that it began with.
        """
        allowed = [s.value for s, to in TRANSITIONS.items() if RunState.QUEUED in to]
        rules = {"rules_fingerprint": rules_fingerprint} if rules_fingerprint else {}
        with self._db.write() as c:
            done = c.execute(
                sa.update(t)
                .where(t.c.id == run_id, t.c.state.in_(allowed))
                .values({**self._queued_again(), **rules})
            )
        return done.rowcount == 1

    def dismiss(self, run_id: str) -> bool:
        """Cancel a failed run for a person who does not want it, with its error; return False if it is none.

        The same input makes no new run; another one does.
        """
        failed = (t.c.id == run_id, t.c.state == RunState.FAILED.value)
        with self._db.write() as c:
            return c.execute(sa.update(t).where(*failed).values(state=RunState.CANCELLED.value)).rowcount == 1

    def cancel_outdated(self, run_id: str) -> None:
        """Cancel a failed run whose input is no longer asked for. If it comes back, it runs again."""
        failed = (t.c.id == run_id, t.c.state == RunState.FAILED.value)
        with self._db.write() as c:
            c.execute(sa.update(t).where(*failed).values(state=RunState.CANCELLED.value, error=NEWER_FACTS))

    def cancel_slot(self, sku: str, deliverable: str, slot: int) -> None:
        """Cancel the open and failed runs that make versions of a slot which nobody asks for any more."""
        of_slot = (t.c.sku == sku, t.c.deliverable == deliverable, t.c.slot == slot)
        with self._db.write() as c:
            c.execute(
                sa.update(t)
                .where(
                    *of_slot,
                    t.c.kind.in_(COMPUTE_KINDS),
                    t.c.state.in_((*OPEN_STATES, RunState.FAILED)),
                )
                .values(self._cancelled())
            )

    def due(self, limit: int) -> list[tuple[str, RunKind, bool]]:
        """Return open runs that must be woken, as (id, kind, whether it is a bulk run).

        They were parked long enough, their wake-up was lost, or their worker died. Runs that were woken
        recently are left out.
        """
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
        """Record that runs were woken now; leave them out of `due` for twice as long after each wake-up.

        While a run is not running, `lease_until` is the time until which it is not woken again. A worker that
        got the wake-up may lease it before.

        Args:
            ids: The runs.
            seconds: How long they are left out after the first wake-up; at most 64 times as long after later
                ones.
        """
        now = self._clock.now()
        waiting = (RunState.QUEUED, RunState.PARKED)
        with self._db.write() as c:
            rows = c.execute(
                sa.select(t.c.id, t.c.wake_count)
                .where(t.c.id.in_(list(ids)), t.c.state.in_(waiting))
                .with_for_update(skip_locked=True)
            ).all()
            for row in rows:
                until = now + timedelta(seconds=seconds * 2 ** min(row.wake_count, 6))
                c.execute(
                    sa.update(t)
                    .where(t.c.id == row.id, t.c.state.in_(waiting))
                    .values(wake_count=row.wake_count + 1, lease_until=until)
                )
