"""Tasks: what providers are asked to do for runs. Written before they are asked, so that nobody asks twice for what may have been paid for.

    waiting -> submitting -> submitted -> settled         (billed; with what was made, or with why it was not)
       ^          |  |           +------> released        (nothing was begun, or nothing is billed)
       |          |  +-> settled | released               (where the answer to a submission brings what was made)
       |          +----> lost -> submitted | waiting | unknown
       +---- nothing was begun

A task that is `submitting` longer than an answer may take was left by a process that died: it is lost, like one whose answer was.
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

MAX_ERROR = 500
RENOTIFY_AFTER_S = 3.0  # after so long a run is told again that its task ended


class TaskState(StrEnum):
    WAITING = "waiting"  # for a slot, for credit, or for a provider that is away
    SUBMITTING = "submitting"
    SUBMITTED = "submitted"
    LOST = "lost"  # its answer was lost; it is being looked for
    UNKNOWN = "unknown"  # it may have been billed: for a person to find out
    SETTLED = "settled"
    RELEASED = "released"


S = TaskState
IN_FLIGHT_STATES = (S.SUBMITTING, S.SUBMITTED, S.LOST)
ENDED_STATES = (S.UNKNOWN, S.SETTLED, S.RELEASED)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRecord:
    """A task as stored. order, result: plain values. heard: its run was told of its end. look_at: when it is due; of one that is
    submitting or lost, when its submission began."""

    id: str
    run_id: str
    provider: str
    sku: str
    batch_id: str
    state: TaskState
    ref: str
    order: Mapping[str, Any]
    result: Mapping[str, Any]
    estimate_usd: float
    cost_usd: float | None
    error: str
    tries: int
    heard: bool
    look_at: datetime
    created_at: datetime
    updated_at: datetime

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED_STATES


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOrigin:
    """What a task is for."""

    run_id: str
    provider: str
    sku: str
    category: str
    deliverable: str
    batch_id: str = ""


class Tasks:
    """The book of tasks. Every change is a compare-and-set on the state."""

    def __init__(self, db: Database, clock: Clock, spend: Spend) -> None:
        self._db, self._clock, self._spend = db, clock, spend

    def find_or_add(self, origin: TaskOrigin, order: Mapping[str, Any], estimate_usd: float) -> TaskRecord:
        """The run's task at this provider: a new one, unless there is one that made something, or whose end the run has not heard of."""
        now = self._clock.now()
        with self._spend.exclusive() as c:
            known = self._newest(c, origin.run_id, origin.provider)
            if known and (
                known.result.get("files") or not (known.heard and known.has_ended)
            ):  # a worker may have died over what was made
                c.execute(sa.update(t).where(t.c.id == known.id).values(heard=False))
                return known
            columns = {name: getattr(origin, name) for name in TaskOrigin.__dataclass_fields__}
            more: dict[str, Any] = {
                "id": new_id("tsk", now),
                "state": S.WAITING.value,
                "order": dict(order),
                "result": {},
                "estimate_usd": estimate_usd,
            }
            c.execute(sa.insert(t).values(**columns, **more, look_at=now, created_at=now, updated_at=now))
            return _entry(c.execute(sa.select(t).where(t.c.id == more["id"])).one())

    def _newest(self, c: sa.Connection, run_id: str, provider: str) -> TaskRecord | None:
        query = (
            sa.select(t)
            .where(t.c.run_id == run_id, t.c.provider == provider)
            .order_by(t.c.id.desc())
            .limit(1)
        )
        row = c.execute(query).one_or_none()
        return _entry(row) if row else None

    def newest(self, run_id: str, provider: str) -> TaskRecord | None:
        """The run's newest task at this provider."""
        with self._db.read() as c:
            return self._newest(c, run_id, provider)

    def get(self, task_id: str) -> TaskRecord | None:
        with self._db.read() as c:
            row = c.execute(sa.select(t).where(t.c.id == task_id)).one_or_none()
        return _entry(row) if row else None

    def begin_submission(self, entry: TaskRecord, caps: SpendCaps, concurrency: int) -> None:
        """From now on it is being submitted, and its estimate counts as spent.

        Raises: OutOfCredit when a cap is reached, Busy when no slot is free, StateConflict when it waits no longer.
        """
        with self._spend.exclusive() as c:
            flying = c.execute(
                sa.select(sa.func.count()).where(
                    t.c.provider == entry.provider, t.c.state.in_(_plain(IN_FLIGHT_STATES))
                )
            ).scalar_one()
            if flying >= concurrency:
                raise Busy(entry.provider, "submit", f"all {concurrency} slots are taken", retry_after_s=0)
            self._spend.check_caps(c, entry.provider, entry.batch_id, entry.estimate_usd, caps)
            now = self._clock.now()
            self._set(
                c, entry.id, (S.WAITING,), S.SUBMITTING, error="", look_at=now, created_at=now
            )  # it counts for the day on which it is spent

    def postpone(self, entry: TaskRecord, until: datetime, error: str, *, failed_try: bool = False) -> None:
        """Nothing was begun: it is tried again then."""
        self._move(
            entry,
            (S.WAITING, S.SUBMITTING, S.LOST),
            S.WAITING,
            look_at=until,
            error=error[:MAX_ERROR],
            tries=entry.tries + int(failed_try),
        )

    def mark_submitted(self, entry: TaskRecord, ref: str, look_at: datetime) -> None:
        """The provider's reference. An answer that came after all counts more than that it was given up."""
        self._move(entry, (S.SUBMITTING, S.LOST, S.UNKNOWN), S.SUBMITTED, ref=ref, look_at=look_at, error="")

    def mark_lost(self, entry: TaskRecord, error: str) -> None:
        """Its answer was lost."""
        self._move(entry, (S.SUBMITTING,), S.LOST, error=error[:MAX_ERROR])

    def mark_unknown(self, entry: TaskRecord, error: str) -> None:
        """Nobody can tell what became of it: it counts as spent until a person says otherwise."""
        self._move(entry, (S.LOST, S.SUBMITTED, S.SUBMITTING), S.UNKNOWN, error=error[:MAX_ERROR])

    def release(self, entry: TaskRecord, error: str) -> None:
        """Nothing was begun, or nothing is billed."""
        self._move(entry, (S.WAITING, S.SUBMITTING, S.SUBMITTED), S.RELEASED, error=error[:MAX_ERROR])

    def settle(
        self, entry: TaskRecord, usd: float | None, result: Mapping[str, Any], error: str = ""
    ) -> None:
        """What was billed, the estimate where the provider does not say; and what was made, or why it was not."""
        cost = entry.estimate_usd if usd is None else usd
        self._move(
            entry,
            (S.SUBMITTING, S.SUBMITTED, S.UNKNOWN),
            S.SETTLED,
            cost_usd=cost,
            result=dict(result),
            error=error[:MAX_ERROR],
        )

    def acknowledge(self, entry: TaskRecord) -> None:
        """The run was told of the end."""
        with self._db.write() as c:
            c.execute(sa.update(t).where(t.c.id == entry.id).values(heard=True))

    def _move(self, entry: TaskRecord, source: tuple[TaskState, ...], to: TaskState, **values: Any) -> None:
        with self._db.write() as c:
            self._set(c, entry.id, source, to, **values)

    def _set(
        self,
        c: sa.Connection,
        task_id: str,
        source: tuple[TaskState, ...],
        to: TaskState,
        **values: Any,
    ) -> None:
        """Raises: StateConflict."""
        where = (t.c.id == task_id, t.c.state.in_(_plain(source)))
        require_one_row(
            c.execute(
                sa.update(t).where(*where).values(state=to.value, updated_at=self._clock.now(), **values)
            ),
            f"task {task_id}",
        )

    def due(self, state: TaskState, limit: int, provider: str = "") -> list[TaskRecord]:
        """Tasks in this state whose time to be looked at has come, the oldest first; of all providers or of one."""
        which = (
            t.c.state == state.value,
            t.c.look_at <= self._clock.now(),
            *([t.c.provider == provider] if provider else []),
        )
        return self._all(sa.select(t).where(*which).order_by(t.c.id).limit(limit))

    def providers_with_due_tasks(self) -> list[str]:
        """The providers that tasks wait for whose time has come."""
        with self._db.read() as c:
            which = (t.c.state == S.WAITING.value, t.c.look_at <= self._clock.now())
            return list(
                c.execute(sa.select(t.c.provider).where(*which).distinct().order_by(t.c.provider)).scalars()
            )

    def abandoned(self, provider: str, seconds: float) -> list[TaskRecord]:
        """Tasks that have been submitting for longer than an answer takes."""
        before = self._clock.now() - timedelta(seconds=seconds)
        return self._all(
            sa.select(t).where(
                t.c.state == S.SUBMITTING.value, t.c.provider == provider, t.c.updated_at < before
            )
        )

    def unacknowledged(self, limit: int) -> list[TaskRecord]:
        """Ended tasks whose runs are open and were not told, though there was time."""
        before = self._clock.now() - timedelta(seconds=RENOTIFY_AFTER_S)
        is_open = sa.exists().where(runs.c.id == t.c.run_id, runs.c.state.in_([s.value for s in OPEN_STATES]))
        return self._all(
            sa.select(t)
            .where(
                t.c.heard.is_(False), t.c.state.in_(_plain(ENDED_STATES)), t.c.updated_at < before, is_open
            )
            .limit(limit)
        )

    def orphaned(self, limit: int) -> list[TaskRecord]:
        """Tasks that wait or run though nobody wants them any more."""
        is_open = sa.exists().where(runs.c.id == t.c.run_id, runs.c.state.in_([s.value for s in OPEN_STATES]))
        known = sa.exists().where(runs.c.id == t.c.run_id)
        return self._all(
            sa.select(t)
            .where(t.c.state.in_(_plain((S.WAITING, S.SUBMITTED))), t.c.heard.is_(False), known, ~is_open)
            .limit(limit)
        )

    def _all(self, query: Any) -> list[TaskRecord]:
        with self._db.read() as c:
            return [_entry(row) for row in c.execute(query)]

    def postpone_polling(self, ids: Iterable[str], at: datetime) -> None:
        """Say when these are looked at next."""
        with self._db.write() as c:
            c.execute(
                sa.update(t)
                .where(t.c.id.in_(list(ids)), t.c.state.in_(_plain((S.SUBMITTED, S.WAITING))))
                .values(look_at=at)
            )

    def poll_now(self, provider: str, ref: str) -> bool:
        """Whether a task of ours has this reference, or one that begins with it; then it is looked at next."""
        mine = sa.or_(t.c.ref == ref, t.c.ref.startswith(f"{ref} ", autoescape=True))
        with self._db.write() as c:
            done = c.execute(
                sa.update(t)
                .where(t.c.provider == provider, t.c.state == S.SUBMITTED.value, mine)
                .values(look_at=self._clock.now())
            )
        return bool(done.rowcount)

    def count(self, provider: str, *states: TaskState) -> int:
        with self._db.read() as c:
            return int(
                c.execute(
                    sa.select(sa.func.count()).where(t.c.provider == provider, t.c.state.in_(_plain(states)))
                ).scalar_one()
            )

    def refs_since(self, provider: str, since: datetime) -> set[str]:
        """The references of the tasks that were begun since then, a while before included."""
        query = sa.select(t.c.ref).where(
            t.c.provider == provider, t.c.ref != "", t.c.updated_at >= since - timedelta(hours=1)
        )
        with self._db.read() as c:
            return set(c.execute(query).scalars())


def _plain(states: Iterable[TaskState]) -> list[str]:
    return [s.value for s in states]


def _entry(row: Any) -> TaskRecord:
    values = {name: getattr(row, name) for name in TaskRecord.__dataclass_fields__}
    return TaskRecord(**{**values, "state": TaskState(row.state)})
