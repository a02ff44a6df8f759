"""How many rows of each batch are in which status, kept as they change.

A batch of 50,000 rows is not read for its bar. Each row has the status under which it was counted last, and
`batch_counts` has the sums. In the transaction of a change that may give a row another status, triggers
(migration 0021) write the product into `batch_marks`: an insert, for which nobody waits. The sweeper counts
the rows of marked products anew. A reader takes the sums and looks itself at the rows that it finds marked,
so that its answer is exact at any time.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from dam_connector.domain.row_status import RowStatus, row_status
from dam_connector.domain.run import COMPUTE_KINDS
from dam_connector.store.batch_records import BatchProgress, BatchState, RowState
from dam_connector.store.batch_tables import batch_counts, batch_marks, batch_rows, batches
from dam_connector.store.database import Database
from dam_connector.store.tables import assets, runs, versions

CHUNK_ROWS = 2_000  # rows whose products are looked up in one statement
OPEN_STATES = ("queued", "running", "parked")
# The field of `BatchProgress` under which a row counts, by the state of the row or the status of its product.
_BY_ROW_STATE = {RowState.WAITING: "waiting", RowState.FAILED: "failed", RowState.CANCELLED: "cancelled"}
_BY_STATUS = {
    RowStatus.GENERATING: "generating",
    RowStatus.IN_REVIEW: "in_review",
    RowStatus.GENERATED: "in_review",
    RowStatus.REJECTED: "in_review",
    RowStatus.PUBLISHED: "live",
    RowStatus.FAILED: "failed",
    RowStatus.MAKES_NOTHING: "makes_nothing",
}
_FIELDS = [field.name for field in fields(BatchProgress)]


@dataclass(frozen=True, slots=True)
class _Row:
    """A row as it was counted last."""

    id: str
    batch_id: str
    sku: str
    state: str
    counted_as: str  # a field of `BatchProgress`; empty: it was never counted


class CountedRow(NamedTuple):
    """A row as it counts now."""

    line: int  # its line in the sheet
    sku: str
    counted_as: str  # a field of `BatchProgress`


class BatchCounts:
    """The sums over the rows of batches."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def progress(self, batch_ids: Sequence[str]) -> dict[str, BatchProgress]:
        """Return the progress of batches by their ids; see `Batches.progress`."""
        with self._db.read() as c:
            marked = sorted(set(c.execute(sa.select(batch_marks.c.sku)).scalars()))
            counts, changed = _sums_and_changed_rows(c, batch_ids, marked)
            for row, counted_as in _recount(c, changed):
                counts[row.batch_id][row.counted_as] -= 1
                counts[row.batch_id][counted_as] += 1
        return {batch_id: _progress(each) for batch_id, each in counts.items()}

    def failed_ids(self, batch_id: str, *, after: int = 0, until: int = 0, limit: int) -> list[str]:
        """Return the ids of the rows that `BatchProgress.failed` counts, in the sheet's order.

        Args:
            batch_id: The batch.
            after: Only rows after this line of the sheet.
            until: Only rows up to this line; 0: to the end.
            limit: How many to return at most.
        """
        query = sa.select(*_COLUMNS, batch_rows.c.line).where(batch_rows.c.batch_id == batch_id, _may_fail())
        if until:
            query = query.where(batch_rows.c.line <= until)
        query = query.order_by(batch_rows.c.line).limit(CHUNK_ROWS)
        found: list[str] = []
        with self._db.read() as c:
            while len(found) < limit and (rows := c.execute(query.where(batch_rows.c.line > after)).all()):
                counted = _recount(c, [_Row(*row[:-1]) for row in rows])
                found += [row.id for row, counted_as in counted if counted_as == "failed"]
                after = rows[-1].line
        return found[:limit]

    def with_failed_run(self, batch_id: str) -> list[CountedRow]:
        """Return the taken rows of a batch for whose products a run failed, in the sheet's order."""
        failed = (runs.c.state == "failed", runs.c.kind.in_([kind.value for kind in COMPUTE_KINDS]))
        return self._counted(batch_id, batch_rows.c.sku.in_(sa.select(runs.c.sku).where(*failed)))

    def failed_of_products(self, batch_id: str) -> list[CountedRow]:
        """Return the taken rows that `BatchProgress.failed` counts, in the sheet's order."""
        return [row for row in self._counted(batch_id, _may_fail()) if row.counted_as == "failed"]

    def _counted(self, batch_id: str, which: sa.ColumnElement[bool]) -> list[CountedRow]:
        """Return some taken rows of a batch as they count now, in the sheet's order."""
        query = sa.select(*_COLUMNS, batch_rows.c.line).where(
            batch_rows.c.batch_id == batch_id,
            batch_rows.c.state.not_in([state.value for state in _BY_ROW_STATE]),
            which,
        )
        with self._db.read() as c:
            rows = c.execute(query.order_by(batch_rows.c.line)).all()
            lines = {row.id: row.line for row in rows}
            counted = list(_recount(c, [_Row(*row[:-1]) for row in rows]))
        return [CountedRow(lines[row.id], row.sku, counted_as) for row, counted_as in counted]

    def keep_up(self, limit: int = CHUNK_ROWS) -> int:
        """Count rows anew that may have another status, and those that were never counted.

        It waits for nobody: a row that somebody writes at this moment is left for the next time.

        Args:
            limit: How many marks and how many new rows to look at, at most.

        Returns:
            How many were looked at; with fewer than `limit` nothing is left.
        """
        not_counted = (
            sa.select(batch_rows.c.id)
            .join(batches, batches.c.id == batch_rows.c.batch_id)
            .where(batch_rows.c.counted_as == "", batches.c.state != BatchState.STORING.value)
            .limit(limit)
        )
        with self._db.read() as c:
            marks = c.execute(sa.select(batch_marks.c.id, batch_marks.c.sku).limit(limit)).all()
            new = list(c.execute(not_counted).scalars())
        if marks or new:
            with self._db.write() as c:
                self._count(c, {mark.id: mark.sku for mark in marks}, new)
        return max(len(marks), len(new))

    def _count(self, c: sa.Connection, marks: Mapping[str, str], new: list[str]) -> None:
        """Count the rows of marked products and new rows, and remove the marks whose rows were all free."""
        skus = sorted(set(marks.values()))
        of_products = batch_rows.c.sku.in_(skus)
        everything = c.execute(sa.select(batch_rows.c.id, batch_rows.c.sku).where(of_products)).all()
        rows = {
            row.id: row
            for which in (of_products, batch_rows.c.id.in_(new))
            for row in _rows(c, sa.select(*_COLUMNS).where(which).with_for_update(skip_locked=True))
        }
        busy = {row.sku for row in everything if row.id not in rows}
        deltas: Counter[tuple[str, str]] = Counter()
        changes = []
        for row, counted_as in _recount(c, list(rows.values())):
            if counted_as != row.counted_as:
                deltas[row.batch_id, row.counted_as] -= 1
                deltas[row.batch_id, counted_as] += 1
                changes.append({"row_id": row.id, "value": counted_as})
        if changes:
            c.execute(
                sa.update(batch_rows)
                .where(batch_rows.c.id == sa.bindparam("row_id"))
                .values(counted_as=sa.bindparam("value")),
                changes,
            )
        self._add(c, deltas)
        over = [mark for mark, sku in marks.items() if sku not in busy]
        c.execute(sa.delete(batch_marks).where(batch_marks.c.id.in_(over)))

    def _add(self, c: sa.Connection, deltas: Mapping[tuple[str, str], int]) -> None:
        insert = (sqlite.insert if self._db.is_sqlite else postgresql.insert)(batch_counts)
        added = insert.on_conflict_do_update(
            index_elements=["batch_id", "counted_as"],
            set_={"rows": batch_counts.c.rows + insert.excluded.rows},
        )
        values = [
            {"batch_id": batch_id, "counted_as": counted_as, "rows": delta}
            for (batch_id, counted_as), delta in sorted(deltas.items())  # in one order: no deadlock
            if delta and counted_as
        ]
        if values:
            c.execute(added, values)


_COLUMNS = [batch_rows.c[name] for name in ("id", "batch_id", "sku", "state", "counted_as")]


def _may_fail() -> sa.ColumnElement[bool]:
    """Return the condition for rows that are looked at closely: the others count as failed in no case."""
    marked = batch_rows.c.sku.in_(sa.select(batch_marks.c.sku))
    return batch_rows.c.counted_as.in_(["failed", ""]) | marked


def _rows(c: sa.Connection, query: Any) -> list[_Row]:
    return [_Row(*row) for row in c.execute(query)]


def _sums_and_changed_rows(
    c: sa.Connection, batch_ids: Sequence[str], marked: list[str]
) -> tuple[dict[str, Counter[str]], list[_Row]]:
    """Return the sums of batches, and their rows that may count otherwise by now.

    One statement reads both, so that `keep_up` cannot come in between.
    """
    of_batches = batch_rows.c.batch_id.in_(batch_ids)
    no = sa.literal("")
    sums = sa.select(
        no.label("id"),
        batch_counts.c.batch_id,
        no.label("sku"),
        no.label("state"),
        batch_counts.c.counted_as,
        batch_counts.c.rows.label("n"),
    )
    parts = [
        sums.where(batch_counts.c.batch_id.in_(batch_ids)),
        sa.select(*_COLUMNS, sa.literal(0)).where(of_batches, batch_rows.c.counted_as == ""),
    ]
    if marked:
        was_counted = batch_rows.c.counted_as != ""
        of_products = batch_rows.c.sku.in_(marked)
        parts.append(sa.select(*_COLUMNS, sa.literal(0)).where(of_products, of_batches, was_counted))
    counts: dict[str, Counter[str]] = {batch_id: Counter() for batch_id in batch_ids}
    changed = []
    for *row, n in c.execute(sa.union_all(*parts)):
        each = _Row(*row)
        if each.id:
            changed.append(each)
        else:
            counts[each.batch_id][each.counted_as] += n
    return counts, changed


def _recount(c: sa.Connection, rows: list[_Row]) -> Iterable[tuple[_Row, str]]:
    """Yield each row with the field of `BatchProgress` under which it counts now."""
    for start in range(0, len(rows), CHUNK_ROWS):
        chunk = rows[start : start + CHUNK_ROWS]
        skus = sorted({row.sku for row in chunk if RowState(row.state) not in _BY_ROW_STATE})
        open_runs = sa.select(runs.c.sku).where(
            runs.c.sku.in_(skus),
            runs.c.state.in_(OPEN_STATES),
            runs.c.kind.in_([kind.value for kind in COMPUTE_KINDS]),
        )
        version_states = (
            sa.select(assets.c.sku, versions.c.state)
            .join(versions, versions.c.asset_id == assets.c.id)
            .where(assets.c.sku.in_(skus))
        )
        generating = set(c.execute(open_runs.distinct()).scalars()) if skus else set()
        states: dict[str, set[str]] = {}
        for sku, state in c.execute(version_states.distinct()) if skus else ():
            states.setdefault(sku, set()).add(state)
        for row in chunk:
            yield row, _counts_as(row, row.sku in generating, states.get(row.sku, set()))


def _counts_as(row: _Row, is_generating: bool, states: set[str]) -> str:
    state = RowState(row.state)
    if state in _BY_ROW_STATE:
        return _BY_ROW_STATE[state]
    without = RowStatus.MAKES_NOTHING if state is RowState.MAKES_NOTHING else RowStatus.FAILED
    return _BY_STATUS[row_status(is_generating=is_generating, states=states, without=without)]


def _progress(counts: Mapping[str, int]) -> BatchProgress:
    return BatchProgress(**{name: counts.get(name, 0) for name in _FIELDS})
