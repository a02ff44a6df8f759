"""Figures about all that is open, read from the records at one moment: what `/metrics` shows.

Each query reads an index, and at most `MAX_COUNT` rows of it, whatever the number of records. So a figure
that would be greater is `MAX_COUNT`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dam_connector.domain.run import OPEN_STATES, RunKind, RunState, job_name
from dam_connector.domain.version import VersionState
from dam_connector.ports import Clock
from dam_connector.queue import JOBS
from dam_connector.store.database import MAX_COUNT, Database
from dam_connector.store.spend import FREE_STATES
from dam_connector.store.tables import deliveries, leases, notes, runs, tasks, versions
from dam_connector.store.tasks import ENDED_STATES, TaskState

REVIEW_STATES = (VersionState.IN_REVIEW, VersionState.BLOCKED)
_LEASES = ("sweeper", "poller")
_DAM_POLL_PREFIX = "dam-poll:"


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetFigures:
    """Figures of one moment. Ages are in seconds; 0: nothing waits."""

    queue_age_s: Mapping[str, float]  # by queue: since when the oldest record is due that nobody works on
    queue_due: Mapping[str, int]  # by queue: how many records are due
    open_runs: Mapping[tuple[str, str, str], int]  # by state, kind and next step
    failed_runs: int  # that nobody has repeated yet
    overdue_run_age_s: Mapping[str, float]  # by kind: since when its oldest waiting run is due
    retried_runs: Mapping[str, int]  # by kind: open runs whose last try failed
    most_tries: Mapping[str, int]  # by kind: the most failed tries of an open run
    expired_leases: int  # of running runs: their workers died or are cut off
    open_tasks: Mapping[tuple[str, str], int]  # by provider and state
    spent_usd: Mapping[tuple[str, str], float]  # by provider and period: day or month, in UTC
    versions: Mapping[str, int]  # by state of `REVIEW_STATES`
    review_age_s: float  # of the oldest version in review
    held_leases: Mapping[str, bool]  # whether a sweeper and a poller work
    dam_poll_age_s: Mapping[str, float]  # by DAM that is polled


class FleetRecords:
    """Reads the figures."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock

    def read(self, providers: Iterable[str] = ()) -> FleetFigures:
        """Read the figures of this moment.

        Args:
            providers: The providers whose spending is read.

        Raises:
            StorageUnavailable: The database does not answer.
        """
        now = self._clock.now()
        with self._db.read() as c:
            due_runs = _due_runs(c, now)
            deliveries_due = _due_deliveries(c, now)
            waiting = _in_review(c, self._db)
            oldest = c.execute(
                sa.select(versions.c.created_at)
                .where(versions.c.state == VersionState.IN_REVIEW.value)
                .order_by(versions.c.id)
                .limit(1)
            ).scalar()
            return FleetFigures(
                **_queue_figures(due_runs, deliveries_due, now),
                **_retries(c),
                open_runs=_open_runs(c),
                failed_runs=self._db.count(c, sa.select(runs.c.id).where(runs.c.state == "failed")),
                expired_leases=_expired_leases(c, now),
                open_tasks=_open_tasks(c),
                spent_usd=_spent(c, providers, now),
                versions=waiting,
                review_age_s=_age(oldest, now),
                held_leases=_held_leases(c, now),
                dam_poll_age_s=_poll_ages(c, now),
            )


_DueRun = tuple[RunKind, bool, datetime, int]  # kind, whether it is bulk, the oldest due time, how many


def _due_runs(c: sa.Connection, now: datetime) -> list[_DueRun]:
    """Return the runs that wait and are due, by kind: those that have waited longest, up to MAX_COUNT."""
    waiting = (
        sa.select(runs.c.kind, runs.c.bulk, runs.c.due_at)
        .where(runs.c.state.in_((RunState.QUEUED, RunState.PARKED)), runs.c.due_at <= now)
        .order_by(runs.c.due_at)
        .limit(MAX_COUNT)
        .subquery()
    )
    query = sa.select(
        waiting.c.kind, waiting.c.bulk, sa.func.min(waiting.c.due_at), sa.func.count()
    ).group_by(waiting.c.kind, waiting.c.bulk)
    return [(RunKind(kind), bulk, oldest, n) for kind, bulk, oldest, n in c.execute(query)]


def _due_deliveries(c: sa.Connection, now: datetime) -> tuple[datetime | None, int]:
    """Return since when the oldest open delivery is due, and how many are, up to MAX_COUNT."""
    due = (
        sa.select(deliveries.c.due_at)
        .where(deliveries.c.state == "received", deliveries.c.due_at <= now)
        .order_by(deliveries.c.due_at)
        .limit(MAX_COUNT)
        .subquery()
    )
    oldest, n = c.execute(sa.select(sa.func.min(due.c.due_at), sa.func.count())).one()
    return oldest, n


def _queue_figures(
    due_runs: list[_DueRun], due_deliveries: tuple[datetime | None, int], now: datetime
) -> dict[str, Any]:
    """Return the figures by queue and by kind of run."""
    oldest_delivery, delivery_count = due_deliveries
    ages: dict[str, float] = {job.queue: 0.0 for job in JOBS.values()}
    counts: dict[str, int] = dict.fromkeys(ages, 0)
    by_kind: dict[str, float] = {kind.value: 0.0 for kind in RunKind}
    intake = JOBS["handle_delivery"].queue
    ages[intake], counts[intake] = _age(oldest_delivery, now), delivery_count
    for kind, bulk, oldest, count in due_runs:
        queue, age = JOBS[job_name(kind, bulk=bulk)].queue, _age(oldest, now)
        ages[queue], counts[queue] = max(ages[queue], age), counts[queue] + count
        by_kind[kind.value] = max(by_kind[kind.value], age)
    return {"queue_age_s": ages, "queue_due": counts, "overdue_run_age_s": by_kind}


def _retries(c: sa.Connection) -> dict[str, Any]:
    """Return by kind how many open runs had a failed try, and the most tries of one."""
    parked = (
        sa.select(runs.c.kind, runs.c.attempts)
        .where(runs.c.state == RunState.PARKED.value)
        .order_by(runs.c.due_at)
        .limit(MAX_COUNT)
        .subquery()
    )
    query = (
        sa.select(parked.c.kind, sa.func.count(), sa.func.max(parked.c.attempts))
        .where(parked.c.attempts > 0)
        .group_by(parked.c.kind)
    )
    counts = dict.fromkeys((kind.value for kind in RunKind), 0)
    tries = dict(counts)
    for kind, count, most in c.execute(query):
        counts[kind], tries[kind] = count, most
    return {"retried_runs": counts, "most_tries": tries}


def _open_runs(c: sa.Connection) -> dict[tuple[str, str, str], int]:
    states = [
        sa.select(runs.c.state, runs.c.kind, runs.c.next_step)
        .where(runs.c.state == state.value)
        .limit(MAX_COUNT)
        .subquery()
        .select()
        for state in OPEN_STATES
    ]
    found = sa.union_all(*states).subquery()
    keys = (found.c.state, found.c.kind, found.c.next_step)
    query = sa.select(*keys, sa.func.count()).group_by(*keys)
    return {(state, kind, step or "first"): n for state, kind, step, n in c.execute(query)}


def _expired_leases(c: sa.Connection, now: datetime) -> int:
    expired = (runs.c.state == RunState.RUNNING.value, runs.c.lease_until < now)
    return int(c.execute(sa.select(sa.func.count()).where(*expired)).scalar_one())


def _open_tasks(c: sa.Connection) -> dict[tuple[str, str], int]:
    """Return tasks that are not over, and those that a person must look at."""
    closed = {state.value for state in ENDED_STATES if state is not TaskState.UNKNOWN}
    names = [state.value for state in TaskState if state.value not in closed]
    found = (
        sa.select(tasks.c.provider, tasks.c.state).where(tasks.c.state.in_(names)).limit(MAX_COUNT).subquery()
    )
    query = sa.select(found.c.provider, found.c.state, sa.func.count()).group_by(
        found.c.provider, found.c.state
    )
    return {(provider, state): n for provider, state, n in c.execute(query)}


def _spent(c: sa.Connection, providers: Iterable[str], now: datetime) -> dict[tuple[str, str], float]:
    """Return USD spent or reserved since the beginning of the day and of the month."""
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    usd = sa.func.coalesce(tasks.c.cost_usd, tasks.c.estimate_usd)
    today = sa.func.sum(sa.case((tasks.c.created_at >= day, usd), else_=0.0))
    found: dict[tuple[str, str], float] = {}
    for provider in providers:
        which = (
            tasks.c.provider == provider,
            tasks.c.created_at >= day.replace(day=1),
            tasks.c.state.not_in(FREE_STATES),
        )
        of_day, of_month = c.execute(sa.select(today, sa.func.sum(usd)).where(*which)).one()
        found[provider, "day"], found[provider, "month"] = float(of_day or 0), float(of_month or 0)
    return found


def _in_review(c: sa.Connection, db: Database) -> dict[str, int]:
    return {
        state.value: db.count(c, sa.select(versions.c.id).where(versions.c.state == state.value))
        for state in REVIEW_STATES
    }


def _held_leases(c: sa.Connection, now: datetime) -> dict[str, bool]:
    held = set(
        c.execute(sa.select(leases.c.name).where(leases.c.name.in_(_LEASES), leases.c.until >= now)).scalars()
    )
    return {name: name in held for name in _LEASES}


def _poll_ages(c: sa.Connection, now: datetime) -> dict[str, float]:
    """Return for each DAM that is polled at intervals when that worked last."""
    query = sa.select(notes.c.name, notes.c.at).where(
        notes.c.name >= _DAM_POLL_PREFIX, notes.c.name < _DAM_POLL_PREFIX[:-1] + ";"
    )
    return {name.removeprefix(_DAM_POLL_PREFIX): _age(at, now) for name, at in c.execute(query)}


def _age(since: datetime | None, now: datetime) -> float:
    return max(timedelta(0), now - since).total_seconds() if since else 0.0
