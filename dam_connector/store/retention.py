"""The deletion of old records that nothing needs any more.

Rows that later work depends on stay whatever their age: open records, the audit log, and the runs that made
something, since they say which input was made already. Of those only the checkpoint is emptied.
"""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from dam_connector.domain.run import COMPUTE_KINDS, RunKind, RunState
from dam_connector.domain.version import VersionState
from dam_connector.store.audit import MACHINE_EVENTS
from dam_connector.store.database import Database
from dam_connector.store.tables import deliveries, history, runs, versions

CLOSED_DELIVERIES = ("handled", "ignored", "failed")
FINISHED = (RunState.DONE.value, RunState.FAILED.value, RunState.CANCELLED.value)
ROWS_PER_DELETION = 1000  # in one transaction, so that others wait for a moment only


class Retention:
    """Counts or deletes old records."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def deliveries(self, before: datetime, *, delete: bool) -> int:
        """Count or delete the closed deliveries received before a time."""
        old = sa.and_(deliveries.c.state.in_(CLOSED_DELIVERIES), deliveries.c.received_at < before)
        return self._apply(deliveries.c.id, old, sa.delete(deliveries), delete)

    def history(self, before: datetime, *, delete: bool) -> int:
        """Count or delete the entries of the connector itself before a time. Those of people are kept."""
        old = sa.and_(
            history.c.event.in_(MACHINE_EVENTS), history.c.by == "", history.c.at < before
        )  # all others are a part of the audit log
        return self._apply(history.c.id, old, sa.delete(history), delete)

    def follow_up_runs(self, before: datetime, *, delete: bool) -> int:
        """Count or delete the finished runs that made nothing, e.g. publications, finished before a time.

        Those of approved versions stay: an undo must know whether the publication began.
        """
        approved = sa.select(versions.c.id).where(versions.c.state == VersionState.APPROVED.value)
        needed = sa.and_(runs.c.kind == RunKind.PUBLISH.value, runs.c.version_id.in_(approved))
        old = sa.and_(
            runs.c.kind.not_in([k.value for k in COMPUTE_KINDS]),
            runs.c.state.in_(FINISHED),
            runs.c.finished_at < before,
            ~needed,
        )
        return self._apply(runs.c.id, old, sa.delete(runs), delete)

    def checkpoints(self, before: datetime, *, delete: bool) -> int:
        """Count or empty the checkpoints of other runs finished before a time; a retry begins anew."""
        old = sa.and_(
            runs.c.kind.in_([k.value for k in COMPUTE_KINDS]),
            runs.c.state.in_(FINISHED),
            runs.c.finished_at < before,
            sa.cast(runs.c.work, sa.Text) != "{}",
        )
        begin_anew = sa.case((runs.c.state == RunState.DONE.value, runs.c.next_step), else_="")
        emptied = sa.update(runs).values(work={}, next_step=begin_anew)
        return self._apply(runs.c.id, old, emptied, delete)

    def _apply(self, key: Any, condition: Any, statement: Any, delete: bool) -> int:
        """Count the rows of a condition, or apply a statement to them in several transactions."""
        if not delete:
            with self._db.read() as c:
                return int(c.execute(sa.select(sa.func.count(key)).where(condition)).scalar_one())
        total = 0
        while True:
            with self._db.write() as c:
                ids = c.execute(sa.select(key).where(condition).limit(ROWS_PER_DELETION)).scalars().all()
                if not ids:
                    return total
                c.execute(statement.where(key.in_(ids), condition))
                total += len(ids)
