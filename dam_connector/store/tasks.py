"""Tasks of providers for runs. A task is stored before the provider is asked, so that nothing is ordered
twice.

    waiting -> submitting -> submitted -> settled    (billed; it has files, or the reason why it has none)
       ^          |  |           +------> released   (the provider did not begin, or bills nothing)
       |          |  +-> settled | released          (if the answer to the submission is already the result)
       |          +----> lost -> submitted | waiting | unknown
       +---- the provider did not begin

A task that stays `submitting` longer than an answer may take was left by a process that died. It is then
lost, like a task whose answer was lost.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from dam_connector.domain.ids import new_id
from dam_connector.domain.run import OPEN_STATES
from dam_connector.errors import Busy
from dam_connector.ports import Clock
from dam_connector.store.database import Database, require_one_row
from dam_connector.store.spend import Spend, SpendCaps
from dam_connector.store.tables import runs
from dam_connector.store.tables import tasks as t

MAX_ERROR_CHARS = 500
RENOTIFY_AFTER_S = 3.0  # a run that did not acknowledge the end of its task is notified again after this time


class TaskState(StrEnum):
    """How a task of ours is now; the diagram above has the transitions."""

    WAITING = "waiting"  # for a slot, for credit, or for a provider that is down
    SUBMITTING = "submitting"
    SUBMITTED = "submitted"
    LOST = "lost"  # the answer to its submission was lost; the broker searches for it
    UNKNOWN = "unknown"  # it may have been billed: a person must find out
    SETTLED = "settled"
    RELEASED = "released"


S = TaskState
IN_FLIGHT_STATES = (S.SUBMITTING, S.SUBMITTED, S.LOST)
ENDED_STATES = (S.UNKNOWN, S.SETTLED, S.RELEASED)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRecord:
    """A task as stored."""

    id: str
    run_id: str
    provider: str
    sku: str
    batch_id: str
    state: TaskState
    ref: str
    order: Mapping[str, Any]  # the request to the provider, as JSON
    result: Mapping[str, Any]  # what was made, as JSON
    estimate_usd: float
    cost_usd: float | None  # as billed; None until it is settled
    error: str
    attempts: int
    is_acknowledged: bool  # whether its run was notified of its end
    due_at: datetime  # when the broker looks at it next; if submitting or lost: when its submission began
    created_at: datetime  # when it was created; from its submission on, when it was submitted
    updated_at: datetime

    @property
    def has_ended(self) -> bool:
        """Return True if the broker does nothing more for it."""
        return self.state in ENDED_STATES


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOrigin:
    """The run that a task belongs to, and what it is made for."""

    run_id: str
    provider: str  # the provider connection
    sku: str
    category: str
    deliverable: str
    batch_id: str = ""  # the batch that asked for the run, if any


class Tasks:
    """The table of tasks. Every change of state is a compare-and-set."""

    def __init__(self, db: Database, clock: Clock, spend: Spend) -> None:
        self._db, self._clock, self._spend = db, clock, spend

    def find_or_add(self, origin: TaskOrigin, order: Mapping[str, Any], estimate_usd: float) -> TaskRecord:
        """Return the run's task at this provider; create one if there is none that can be used.

        A task can be used if it is open, if its run has not acknowledged its end, or if it made files, since
        a worker may have died while it processed them.

        Args:
            origin: The run and the provider.
            order: The request to the provider, as JSON.
            estimate_usd: The estimated cost.
        """
        now = self._clock.now()
        with self._spend.exclusive() as c:
            known = self._newest(c, origin.run_id, origin.provider)
            if known and (known.result.get("files") or not (known.is_acknowledged and known.has_ended)):
                c.execute(sa.update(t).where(t.c.id == known.id).values(is_acknowledged=False))
                return known
            columns = {name: getattr(origin, name) for name in TaskOrigin.__dataclass_fields__}
            more: dict[str, Any] = {
                "id": new_id("tsk", now),
                "state": S.WAITING.value,
                "order": dict(order),
                "result": {},
                "estimate_usd": estimate_usd,
            }
            c.execute(sa.insert(t).values(**columns, **more, due_at=now, created_at=now, updated_at=now))
            return _record(c.execute(sa.select(t).where(t.c.id == more["id"])).one())

    def _newest(self, c: sa.Connection, run_id: str, provider: str) -> TaskRecord | None:
        query = (
            sa.select(t)
            .where(t.c.run_id == run_id, t.c.provider == provider)
            .order_by(t.c.id.desc())
            .limit(1)
        )
        row = c.execute(query).one_or_none()
        return _record(row) if row else None

    def newest(self, run_id: str, provider: str) -> TaskRecord | None:
        """Return the run's newest task at a provider, or None."""
        with self._db.read() as c:
            return self._newest(c, run_id, provider)

    def get(self, task_id: str) -> TaskRecord | None:
        """Return a task by its id, or None."""
        with self._db.read() as c:
            row = c.execute(sa.select(t).where(t.c.id == task_id)).one_or_none()
        return _record(row) if row else None

    def begin_submission(self, task: TaskRecord, caps: SpendCaps, concurrency: int) -> None:
        """Move a waiting task to submitting; from now on its estimate counts as spent.

        Args:
            task: The task.
            caps: How much may be spent at the provider.
            concurrency: How many tasks the provider may have at the same time.

        Raises:
            OutOfCredit: A cap is reached.
            Busy: All slots are in use.
            StateConflict: The task is not waiting any more.
        """
        with self._spend.exclusive() as c:
            in_flight = c.execute(
                sa.select(sa.func.count()).where(
                    t.c.provider == task.provider, t.c.state.in_(_values(IN_FLIGHT_STATES))
                )
            ).scalar_one()
            if in_flight >= concurrency:
                raise Busy(task.provider, "submit", f"all {concurrency} slots are in use", retry_after_s=0)
            self._spend.check_caps(c, task.provider, task.batch_id, task.estimate_usd, caps)
            now = self._clock.now()
            # created_at is set anew, so that the task counts for the day on which it is submitted
            self._set(c, task.id, (S.WAITING,), S.SUBMITTING, error="", due_at=now, created_at=now)

    def postpone(self, task: TaskRecord, until: datetime, error: str, *, failed_try: bool = False) -> None:
        """Move a task that the provider did not begin back to waiting.

        Args:
            task: The task.
            until: When it is tried again.
            error: Why it waits.
            failed_try: Whether this counts as a failed attempt.
        """
        self._move(
            task,
            (S.WAITING, S.SUBMITTING, S.LOST),
            S.WAITING,
            due_at=until,
            error=error[:MAX_ERROR_CHARS],
            attempts=task.attempts + int(failed_try),
        )

    def mark_submitted(self, task: TaskRecord, ref: str, due_at: datetime) -> None:
        """Move a task to submitted, also one that was given up as unknown.

        Args:
            task: The task.
            ref: The provider's id of the task.
            due_at: When its state is asked for first.
        """
        self._move(task, (S.SUBMITTING, S.LOST, S.UNKNOWN), S.SUBMITTED, ref=ref, due_at=due_at, error="")

    def mark_lost(self, task: TaskRecord, error: str) -> None:
        """Move a task to lost: the answer to its submission did not arrive."""
        self._move(task, (S.SUBMITTING,), S.LOST, error=error[:MAX_ERROR_CHARS])

    def mark_unknown(self, task: TaskRecord, error: str) -> None:
        """Move a task to unknown. It counts as spent until a person says otherwise."""
        self._move(task, (S.LOST, S.SUBMITTED, S.SUBMITTING), S.UNKNOWN, error=error[:MAX_ERROR_CHARS])

    def release(self, task: TaskRecord, error: str) -> None:
        """Move a task to released: the provider did not begin it, or bills nothing."""
        self._move(task, (S.WAITING, S.SUBMITTING, S.SUBMITTED), S.RELEASED, error=error[:MAX_ERROR_CHARS])

    def settle(self, task: TaskRecord, usd: float | None, result: Mapping[str, Any], error: str = "") -> None:
        """Move a task to settled.

        Args:
            task: The task.
            usd: The amount billed; None: the provider does not say, so the estimate counts.
            result: What was made, as JSON; empty if nothing was.
            error: Why nothing was made.
        """
        cost = task.estimate_usd if usd is None else usd
        self._move(
            task,
            (S.SUBMITTING, S.SUBMITTED, S.UNKNOWN),
            S.SETTLED,
            cost_usd=cost,
            result=dict(result),
            error=error[:MAX_ERROR_CHARS],
        )

    def acknowledge(self, task: TaskRecord) -> None:
        """Record that the run knows of the task's end."""
        with self._db.write() as c:
            c.execute(sa.update(t).where(t.c.id == task.id).values(is_acknowledged=True))

    def _move(
        self, task: TaskRecord, from_states: tuple[TaskState, ...], to: TaskState, **values: Any
    ) -> None:
        with self._db.write() as c:
            self._set(c, task.id, from_states, to, **values)

    def _set(
        self,
        c: sa.Connection,
        task_id: str,
        from_states: tuple[TaskState, ...],
        to: TaskState,
        **values: Any,
    ) -> None:
        """Change a task that is in one of these states; raise StateConflict if it is not."""
        where = (t.c.id == task_id, t.c.state.in_(_values(from_states)))
        require_one_row(
            c.execute(
                sa.update(t).where(*where).values(state=to.value, updated_at=self._clock.now(), **values)
            ),
            f"task {task_id}",
        )

    def due(self, state: TaskState, limit: int, provider: str = "") -> list[TaskRecord]:
        """Return tasks in a state that are due, the oldest first, of one provider or of all."""
        which = (
            t.c.state == state.value,
            t.c.due_at <= self._clock.now(),
            *([t.c.provider == provider] if provider else []),
        )
        return self._all(sa.select(t).where(*which).order_by(t.c.id).limit(limit))

    def providers_with_due_tasks(self) -> list[str]:
        """Return the providers that have waiting tasks that are due."""
        with self._db.read() as c:
            which = (t.c.state == S.WAITING.value, t.c.due_at <= self._clock.now())
            return list(
                c.execute(sa.select(t.c.provider).where(*which).distinct().order_by(t.c.provider)).scalars()
            )

    def abandoned(self, provider: str, seconds: float) -> list[TaskRecord]:
        """Return the tasks of a provider that have been submitting for longer than `seconds`."""
        before = self._clock.now() - timedelta(seconds=seconds)
        return self._all(
            sa.select(t).where(
                t.c.state == S.SUBMITTING.value, t.c.provider == provider, t.c.updated_at < before
            )
        )

    def unacknowledged(self, limit: int) -> list[TaskRecord]:
        """Return ended tasks whose runs are open and did not acknowledge the end within RENOTIFY_AFTER_S."""
        before = self._clock.now() - timedelta(seconds=RENOTIFY_AFTER_S)
        is_open = sa.exists().where(runs.c.id == t.c.run_id, runs.c.state.in_([s.value for s in OPEN_STATES]))
        return self._all(
            sa.select(t)
            .where(
                t.c.is_acknowledged.is_(False),
                t.c.state.in_(_values(ENDED_STATES)),
                t.c.updated_at < before,
                is_open,
            )
            .limit(limit)
        )

    def orphaned(self, limit: int) -> list[TaskRecord]:
        """Return tasks that wait or run although their runs are over."""
        is_open = sa.exists().where(runs.c.id == t.c.run_id, runs.c.state.in_([s.value for s in OPEN_STATES]))
        known = sa.exists().where(runs.c.id == t.c.run_id)
        return self._all(
            sa.select(t)
            .where(
                t.c.state.in_(_values((S.WAITING, S.SUBMITTED))),
                t.c.is_acknowledged.is_(False),
                known,
                ~is_open,
            )
            .limit(limit)
        )

    def _all(self, query: Any) -> list[TaskRecord]:
        with self._db.read() as c:
            return [_record(row) for row in c.execute(query)]

    def set_due_at(self, ids: Iterable[str], at: datetime) -> None:
        """Set when the broker looks at waiting or submitted tasks next."""
        with self._db.write() as c:
            c.execute(
                sa.update(t)
                .where(t.c.id.in_(list(ids)), t.c.state.in_(_values((S.SUBMITTED, S.WAITING))))
                .values(due_at=at)
            )

    def poll_now(self, provider: str, ref: str) -> bool:
        """Make a submitted task due now; return False if there is none.

        Args:
            provider: The provider connection.
            ref: The provider's id of the task, or the first word of our reference.
        """
        with self._db.write() as c:
            done = c.execute(
                sa.update(t).where(*_is_submitted(provider, ref)).values(due_at=self._clock.now())
            )
        return bool(done.rowcount)

    def is_submitted(self, provider: str, ref: str) -> bool:
        """Return whether a task with this reference was submitted and has not ended; see `poll_now`."""
        with self._db.read() as c:
            return (
                c.execute(sa.select(t.c.id).where(*_is_submitted(provider, ref)).limit(1)).first() is not None
            )

    def count(self, provider: str, *states: TaskState) -> int:
        """Return how many tasks of a provider are in these states."""
        with self._db.read() as c:
            return int(
                c.execute(
                    sa.select(sa.func.count()).where(t.c.provider == provider, t.c.state.in_(_values(states)))
                ).scalar_one()
            )

    def refs_since(self, provider: str, since: datetime) -> set[str]:
        """Return the references of the tasks that were updated since then, or up to an hour before."""
        query = sa.select(t.c.ref).where(
            t.c.provider == provider, t.c.ref != "", t.c.updated_at >= since - timedelta(hours=1)
        )
        with self._db.read() as c:
            return set(c.execute(query).scalars())


def _values(states: Iterable[TaskState]) -> list[str]:
    return [s.value for s in states]


def _record(row: Any) -> TaskRecord:
    values = {name: getattr(row, name) for name in TaskRecord.__dataclass_fields__}
    return TaskRecord(**{**values, "state": TaskState(row.state)})


def _is_submitted(provider: str, ref: str) -> tuple[sa.ColumnElement[bool], ...]:
    with_ref = sa.or_(t.c.ref == ref, t.c.ref.startswith(f"{ref} ", autoescape=True))
    return t.c.provider == provider, t.c.state == S.SUBMITTED.value, with_ref
