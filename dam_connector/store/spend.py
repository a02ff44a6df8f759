"""Spending on provider tasks, and the caps on it.

The estimate of a task counts as spent from its submission on, until the task is settled with the amount
billed, or released.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dam_connector.errors import OutOfCredit
from dam_connector.ports import Clock
from dam_connector.store.database import Database
from dam_connector.store.tables import tasks as t

NOTICE_SHARE = 0.8  # of a cap: when it is spent, a notice is written
FREE_STATES = ("waiting", "released")  # states of tasks that cost nothing
_LOCK = 1618033988  # key of the PostgreSQL advisory lock of `exclusive`


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendCaps:
    """The most that may be spent at a provider, in USD; None: no cap."""

    day: float | None = None
    month: float | None = None
    batch: float | None = None


class Spend:
    """Sums over the table of tasks."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock

    @contextmanager
    def exclusive(self) -> Iterator[sa.Connection]:
        """Open a transaction in which no other process checks or reserves amounts."""
        with self._db.write() as c:
            if not self._db.is_sqlite:  # SQLite runs one writing transaction at a time anyway
                c.execute(sa.text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            yield c

    def check_caps(self, c: sa.Connection, provider: str, batch_id: str, usd: float, caps: SpendCaps) -> None:
        """Check that an amount can be spent.

        Args:
            c: The connection of an `exclusive` transaction.
            provider: The provider connection.
            batch_id: The batch that the task belongs to; empty: none.
            usd: The amount.
            caps: The caps.

        Raises:
            OutOfCredit: The amount would exceed a cap.
        """
        bounds = [
            ("a day", caps.day, (t.c.created_at >= self._day(),)),
            ("a month", caps.month, (t.c.created_at >= self._month(),)),
        ]
        if batch_id:
            bounds.append(("a batch", caps.batch, (t.c.batch_id == batch_id,)))
        for name, cap, which in bounds:
            if cap is not None and (spent := _sum(c, provider, *which)) + usd > cap + 1e-9:
                raise OutOfCredit(
                    provider,
                    "submit",
                    f"the cap of ${cap:g} {name} is reached: ${spent:.2f} are spent or reserved",
                )

    def spent(self, provider: str, batch_id: str = "") -> dict[str, float]:
        """Return USD spent or reserved at a provider: by `day` (UTC), `month` and, if given, `batch`."""
        usd = sa.func.coalesce(t.c.cost_usd, t.c.estimate_usd)
        today = sa.func.sum(sa.case((t.c.created_at >= self._day(), usd), else_=0.0))
        of_month = (t.c.provider == provider, t.c.created_at >= self._month(), t.c.state.not_in(FREE_STATES))
        with self._db.read() as c:
            day, month = c.execute(sa.select(today, sa.func.sum(usd)).where(*of_month)).one()
            sums = {"day": float(day or 0), "month": float(month or 0)}
            return {**sums, "batch": _sum(c, provider, t.c.batch_id == batch_id)} if batch_id else sums

    def totals(self, *fields: str, since: datetime | None = None) -> dict[str, list[tuple[str, int, float]]]:
        """Return number and cost of tasks by field, grouped by its values, the most expensive first.

        The tasks are read once, whatever the number of fields.

        Args:
            fields: "provider", "category", "deliverable", "state" or "batch".
            since: Count tasks from this time on; None: from the beginning of the month.

        Returns:
            By field: tuples of the field's value, the number of tasks, and USD.
        """
        keys = [t.c["batch_id" if field == "batch" else field] for field in fields]
        usd = sa.func.sum(sa.func.coalesce(t.c.cost_usd, t.c.estimate_usd))
        counted = (t.c.state.not_in(FREE_STATES), t.c.created_at >= (since or self._month()))
        query = sa.select(sa.func.count(), usd, *keys).where(*counted).group_by(*keys)
        sums: dict[str, dict[str, tuple[int, float]]] = {field: {} for field in fields}
        with self._db.read() as c:
            for number, amount, *values in c.execute(query):
                for field, value in zip(fields, values, strict=True):
                    known, spent = sums[field].get(value, (0, 0.0))
                    sums[field][value] = known + number, spent + (amount or 0.0)
        sums.get("batch", {}).pop("", None)
        return {
            field: sorted(
                ((name, number, round(amount, 4)) for name, (number, amount) in each.items()),
                key=lambda entry: (-entry[2], entry[0]),
            )
            for field, each in sums.items()
        }

    def totals_by(self, field: str, *, since: datetime | None = None) -> list[tuple[str, int, float]]:
        """Return number and cost of tasks, grouped by one field; see `totals`."""
        return self.totals(field, since=since)[field]

    def tasks_in_state(self, state: str, *, limit: int = 50) -> list[Mapping[str, Any]]:
        """Return tasks in a state as mappings, the newest first, e.g. `unknown` ones to be checked."""
        query = sa.select(
            t.c.id, t.c.provider, t.c.sku, t.c.deliverable, t.c.estimate_usd, t.c.error, t.c.created_at
        )
        with self._db.read() as c:
            return [
                dict(row._mapping)
                for row in c.execute(query.where(t.c.state == state).order_by(t.c.id.desc()).limit(limit))
            ]

    def _day(self) -> datetime:
        return self._clock.now().replace(hour=0, minute=0, second=0, microsecond=0)

    def _month(self) -> datetime:
        return self._day().replace(day=1)


def _sum(c: sa.Connection, provider: str, *which: Any) -> float:
    usd = sa.func.sum(sa.func.coalesce(t.c.cost_usd, t.c.estimate_usd))
    return float(
        c.execute(
            sa.select(usd).where(t.c.provider == provider, t.c.state.not_in(FREE_STATES), *which)
        ).scalar()
        or 0
    )
