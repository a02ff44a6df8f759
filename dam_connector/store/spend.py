"""Spend: what providers were asked to do for each run, written before they are asked; what it costs; and the caps on that.

A task is `submitting` from before its request leaves until its answer is stored: whoever finds it so does not ask again, since it
may have been paid for. What is reserved counts as spent until it is settled with what was really billed, or released.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from dam_connector.catalog.ids import new_id
from dam_connector.errors import OutOfCredit
from dam_connector.ports import Clock
from dam_connector.store.database import Database, changed_one
from dam_connector.store.tables import batch_rows, batches, runs
from dam_connector.store.tables import tasks as t

NOTICE = 0.8  # of a cap
_LOCK = 1618033988  # PostgreSQL's, for those who reserve at once


class TaskStanding(StrEnum):
    SUBMITTING = "submitting"
    SUBMITTED = "submitted"
    UNKNOWN = "unknown"  # its answer was lost; it may have been billed
    SETTLED = "settled"
    RELEASED = "released"  # nothing was begun, or nothing was billed


_BATCH = (  # of a task whose run a batch asked for: the newest one before it that has its SKU
    sa.select(sa.func.max(batch_rows.c.batch_id))
    .join(batches, batches.c.id == batch_rows.c.batch_id)
    .where(batch_rows.c.sku == t.c.sku, batches.c.created_at <= t.c.created_at, sa.exists().where(runs.c.id == t.c.run_id, runs.c.bulk))
    .scalar_subquery()
)
COUNTED = [s.value for s in TaskStanding if s is not TaskStanding.RELEASED]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """The most that may be spent, in USD; None: no end."""

    day: float | None = None
    month: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEntry:
    """A provider's task in the books. fresh: it was reserved just now, so that nobody can have asked for it before."""

    id: str
    state: TaskStanding
    ref: str
    estimate_usd: float
    created_at: datetime
    fresh: bool = False


class Spend:
    """The ledger of paid tasks, one for a run and a provider."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock

    def begin(self, run_id: str, provider: str, *, sku: str, category: str, deliverable: str, usd: float, caps: Caps) -> TaskEntry:
        """The task of this run at this provider, its estimate reserved when it is new. Raises: OutOfCredit when a cap is reached."""
        now = self._clock.now()
        with self._db.write() as c:
            if not self._db.is_sqlite:  # SQLite's write units come one after another anyway
                c.execute(sa.text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            mine = sa.and_(t.c.run_id == run_id, t.c.provider == provider)
            known = c.execute(sa.select(t).where(mine)).one_or_none()
            if known and known.state != TaskStanding.RELEASED:
                return _entry(known)
            self._hold(c, provider, usd, caps)
            values: dict[str, Any] = {"state": TaskStanding.SUBMITTING.value, "ref": "", "estimate_usd": usd, "cost_usd": None, "error": ""}
            if known:
                c.execute(sa.update(t).where(mine).values(**values, created_at=now, updated_at=now))
                return TaskEntry(id=known.id, state=TaskStanding.SUBMITTING, ref="", estimate_usd=usd, created_at=now, fresh=True)
            task_id = new_id("tsk", now)
            about = {"run_id": run_id, "provider": provider, "sku": sku, "category": category, "deliverable": deliverable}
            c.execute(sa.insert(t).values(id=task_id, **about, **values, created_at=now, updated_at=now))
        return TaskEntry(id=task_id, state=TaskStanding.SUBMITTING, ref="", estimate_usd=usd, created_at=now, fresh=True)

    def _hold(self, c: sa.Connection, provider: str, usd: float, caps: Caps) -> None:
        for name, cap, since in (("day", caps.day, self._day()), ("month", caps.month, self._month())):
            if cap is not None and (spent := _sum(c, provider, since)) + usd > cap + 1e-9:
                raise OutOfCredit(provider, "submit", f"the cap of ${cap:g} a {name} is reached: ${spent:.2f} are spent or reserved")

    def submitted(self, task_id: str, ref: str) -> None:
        """The provider's reference. Raises: StateConflict when the task is not being submitted."""
        self._move(task_id, (TaskStanding.SUBMITTING,), TaskStanding.SUBMITTED, ref=ref)

    def release(self, task_id: str, error: str = "") -> None:
        """Nothing was begun, or nothing is billed."""
        self._move(task_id, (TaskStanding.SUBMITTING, TaskStanding.SUBMITTED), TaskStanding.RELEASED, error=error[:500])

    def lost(self, task_id: str, error: str) -> None:
        """The answer was lost: it counts as spent until a person says otherwise."""
        self._move(task_id, (TaskStanding.SUBMITTING,), TaskStanding.UNKNOWN, error=error[:500])

    def settle(self, task_id: str, usd: float | None) -> None:
        """What was billed; the estimate where the provider does not say. Doing it twice changes nothing."""
        cost = t.c.estimate_usd if usd is None else usd
        self._move(task_id, (TaskStanding.SUBMITTED, TaskStanding.SETTLED), TaskStanding.SETTLED, cost_usd=cost)

    def _move(self, task_id: str, source: tuple[TaskStanding, ...], to: TaskStanding, **values: Any) -> None:
        with self._db.write() as c:
            where = (t.c.id == task_id, t.c.state.in_([s.value for s in source]))
            changed_one(c.execute(sa.update(t).where(*where).values(state=to.value, updated_at=self._clock.now(), **values)), f"task {task_id}")

    def find(self, run_id: str, provider: str) -> TaskEntry | None:
        with self._db.read() as c:
            row = c.execute(sa.select(t).where(t.c.run_id == run_id, t.c.provider == provider)).one_or_none()
        return _entry(row) if row else None

    def spent(self, provider: str) -> dict[str, float]:
        """USD spent or reserved at a provider: `day` (UTC) and `month`."""
        with self._db.read() as c:
            return {"day": _sum(c, provider, self._day()), "month": _sum(c, provider, self._month())}

    def by(self, what: str, *, since: datetime | None = None) -> list[tuple[str, int, float]]:
        """Tasks and USD by provider, category, deliverable, state or batch, the dearest first."""
        counted = (t.c.state.in_(COUNTED), t.c.created_at >= (since or self._month()))
        usd = sa.func.sum(sa.func.coalesce(t.c.cost_usd, t.c.estimate_usd))
        key = _BATCH.label("batch") if what == "batch" else t.c[what]
        query = sa.select(key, sa.func.count(), usd).where(*counted, *([_BATCH.is_not(None)] if what == "batch" else []))
        with self._db.read() as c:
            return [(str(name), n, round(total or 0, 4)) for name, n, total in c.execute(query.group_by(key).order_by(usd.desc()))]

    def unknown(self, *, limit: int = 50) -> list[Mapping[str, Any]]:
        """Tasks whose answer was lost, newest first: for a person to look up."""
        query = sa.select(t.c.id, t.c.provider, t.c.sku, t.c.deliverable, t.c.estimate_usd, t.c.error, t.c.created_at)
        with self._db.read() as c:
            return [
                dict(row._mapping) for row in c.execute(query.where(t.c.state == TaskStanding.UNKNOWN.value).order_by(t.c.id.desc()).limit(limit))
            ]

    def _day(self) -> datetime:
        return self._clock.now().replace(hour=0, minute=0, second=0, microsecond=0)

    def _month(self) -> datetime:
        return self._day().replace(day=1)


def _entry(row: Any) -> TaskEntry:
    return TaskEntry(id=row.id, state=TaskStanding(row.state), ref=row.ref, estimate_usd=row.estimate_usd, created_at=row.created_at)


def _sum(c: sa.Connection, provider: str, since: datetime) -> float:
    usd = sa.func.sum(sa.func.coalesce(t.c.cost_usd, t.c.estimate_usd))
    return float(c.execute(sa.select(usd).where(t.c.provider == provider, t.c.created_at >= since, t.c.state.in_(COUNTED))).scalar() or 0)
