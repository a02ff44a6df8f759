"""Batches: bulk uploads, their rows, and the progress of each."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from dam_connector.domain.codec import from_plain, to_plain
from dam_connector.domain.ids import new_id
from dam_connector.domain.product import Product
from dam_connector.errors import StateConflict
from dam_connector.ports import Clock
from dam_connector.store.batch_counts import BatchCounts
from dam_connector.store.batch_records import (
    Batch,
    BatchProgress,
    BatchRow,
    BatchState,
    NewBatchRow,
    RowState,
    RowWithProduct,
    taken_text,
)
from dam_connector.store.batch_tables import batch_rows, batches
from dam_connector.store.database import Database

IDLE_AFTER_S = 30.0  # a running batch that did not change for so long is woken again
TAKEN_STATES = ("taken", "unchanged", "makes_nothing")  # of rows whose products are stored
CHUNK_ROWS = 2_000  # rows written in one transaction


class Batches:
    """The tables of batches and of their rows.

    Rows are stored as they were uploaded, so that failed ones can be given back.
    """

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock
        self.counts = BatchCounts(db)

    def store(
        self,
        name: str,
        owner: str,
        columns: tuple[str, ...],
        rows: Iterable[NewBatchRow],
        *,
        delimiter: str = ",",
    ) -> Batch:
        """Store the rows of a batch. Nobody sees it until it begins.

        Many rows take many short transactions, so that others need not wait. If they are interrupted, the
        rows lie unused until `delete_unfinished`, and the name stays free.

        Args:
            name: The batch's name, e.g. the file's name.
            owner: The user who uploaded it.
            columns: The header of the sheet.
            rows: The rows, in the sheet's order.
            delimiter: What separates the cells of the sheet; exports of the batch use it too.

        Raises:
            StateConflict: There is a batch of this name.
        """
        if self.get(name):
            raise StateConflict(taken_text(name))
        now = self._clock.now()
        batch = Batch(
            id=new_id("bat", now),
            name=name,
            owner=owner,
            state=BatchState.STORING,
            created_at=now,
            columns=columns,
            delimiter=delimiter,
        )
        values = {
            "id": batch.id,
            "name": batch.id,
            "owner": owner,
            "state": batch.state.value,
            "created_at": now,
            "touched_at": now,
            "columns": _stored_header(columns, delimiter),
        }
        with self._db.write() as c:
            c.execute(sa.insert(batches).values(values))
        for chunk in _chunks(rows):
            with self._db.write() as c:
                c.execute(sa.insert(batch_rows), [self._row_values(batch.id, row) for row in chunk])
        return batch

    def begin(self, batch: Batch) -> Batch:
        """Give a stored batch its name and start it.

        Raises:
            StateConflict: There is a batch of this name.
        """
        values = {"name": batch.name, "state": BatchState.RUNNING.value, "touched_at": self._clock.now()}
        free = ~sa.exists().where(batches.c.name == batch.name)
        with self._db.write() as c:
            done = c.execute(sa.update(batches).where(batches.c.id == batch.id, free).values(values))
            if done.rowcount != 1:
                raise StateConflict(taken_text(batch.name))
        return replace(batch, state=BatchState.RUNNING)

    def delete_unfinished(self, before: datetime) -> int:
        """Delete batches whose rows were not all stored, created before a time; return how many."""
        unfinished = sa.select(batches.c.id).where(
            batches.c.state == BatchState.STORING.value, batches.c.created_at < before
        )
        with self._db.write() as c:
            ids = list(c.execute(unfinished).scalars())
            c.execute(sa.delete(batch_rows).where(batch_rows.c.batch_id.in_(ids)))
            c.execute(sa.delete(batches).where(batches.c.id.in_(ids)))
        return len(ids)

    def _row_values(self, batch_id: str, row: NewBatchRow) -> dict[str, Any]:
        return {
            "id": new_id("row", self._clock.now()),
            "batch_id": batch_id,
            "line": row.line,
            "sku": row.sku[:500],
            "state": row.state.value,
            "cells": dict(row.cells),
            "facts": to_plain(row.product) if row.product else {},
            "error": row.error,
        }

    def get(self, id_or_name: str) -> Batch | None:
        """Return a batch by its id or name, or None."""
        with self._db.read() as c:
            row = c.execute(
                sa.select(batches).where(sa.or_(batches.c.id == id_or_name, batches.c.name == id_or_name))
            ).first()
        return _batch(row) if row else None

    def page(self, *, before: str = "", limit: int = 50) -> list[Batch]:
        """Return a page of batches, the newest first, from just before the id `before`."""
        query = sa.select(batches).where(batches.c.state != BatchState.STORING.value)
        query = query.order_by(batches.c.id.desc()).limit(limit)
        with self._db.read() as c:
            return [_batch(row) for row in c.execute(query.where(batches.c.id < before) if before else query)]

    def set_state(self, batch_id: str, state: BatchState) -> None:
        """Set the state of a batch; if it is cancelled, cancel its waiting rows too."""
        with self._db.write() as c:
            c.execute(
                sa.update(batches)
                .where(batches.c.id == batch_id)
                .values(state=state.value, touched_at=self._clock.now())
            )
            if state is BatchState.CANCELLED:
                waiting = (batch_rows.c.batch_id == batch_id) & (batch_rows.c.state == "waiting")
                c.execute(sa.update(batch_rows).where(waiting).values(state="cancelled"))

    def finish(self, batch_id: str) -> None:
        """Set a running batch to done; do nothing if it was paused or cancelled meanwhile."""
        with self._db.write() as c:
            c.execute(
                sa.update(batches)
                .where(batches.c.id == batch_id, batches.c.state == "running")
                .values(state="done")
            )

    def claim_iteration(self, wake_token: str) -> Batch | None:
        """Return the batch whose next rows the caller takes, or None.

        It is None if another job claimed this iteration, or if the batch is not running.

        Args:
            wake_token: The argument of the job, from `Batch.wake_token`.
        """
        batch_id, _, number = wake_token.partition("~")
        unclaimed = (
            batches.c.id == batch_id,
            batches.c.iteration == int(number),
            batches.c.state == "running",
        )
        with self._db.write() as c:
            if (
                c.execute(
                    sa.update(batches)
                    .where(*unclaimed)
                    .values(iteration=int(number) + 1, touched_at=self._clock.now())
                ).rowcount
                != 1
            ):
                return None
            return _batch(c.execute(sa.select(batches).where(batches.c.id == batch_id)).one())

    def idle_wake_tokens(self) -> list[str]:
        """Return the wake tokens of running batches that have not changed for IDLE_AFTER_S seconds."""
        idle = (
            batches.c.state == "running",
            batches.c.touched_at < self._clock.now() - timedelta(seconds=IDLE_AFTER_S),
        )
        with self._db.read() as c:
            return [_batch(row).wake_token for row in c.execute(sa.select(batches).where(*idle))]

    def rows(
        self, batch_id: str, *, state: RowState | None = None, after: int = 0, limit: int = 100
    ) -> list[BatchRow]:
        """Return a page of rows in the sheet's order.

        Args:
            batch_id: The batch.
            state: Only rows in this state; None: in any.
            after: Only rows after this line of the sheet.
            limit: How many rows to return at most.
        """
        query = (
            sa.select(batch_rows)
            .where(batch_rows.c.batch_id == batch_id, batch_rows.c.line > after)
            .order_by(batch_rows.c.line)
            .limit(limit)
        )
        with self._db.read() as c:
            return [
                _row(r) for r in c.execute(query.where(batch_rows.c.state == state.value) if state else query)
            ]

    def newest_taken(self, batch_id: str, *, limit: int) -> list[BatchRow]:
        """Return rows that were taken, the last ones of the sheet first."""
        query = sa.select(batch_rows).where(
            batch_rows.c.batch_id == batch_id, batch_rows.c.state.in_(TAKEN_STATES)
        )
        with self._db.read() as c:
            return [_row(r) for r in c.execute(query.order_by(batch_rows.c.line.desc()).limit(limit))]

    def all_rows(
        self, batch_id: str, state: RowState | None = None, *, after: int = 0, chunk: int = CHUNK_ROWS
    ) -> Iterator[BatchRow]:
        """Yield every row of a batch in the sheet's order, reading `chunk` rows at a time."""
        while found := self.rows(batch_id, state=state, after=after, limit=chunk):
            yield from found
            after = found[-1].line

    def failed_rows(
        self, batch_id: str, *, after: int = 0, until: int = 0, limit: int = 100
    ) -> list[BatchRow]:
        """Return a page of the rows that `BatchProgress.failed` counts; see `BatchCounts.failed_ids`."""
        ids = self.counts.failed_ids(batch_id, after=after, until=until, limit=limit)
        query = sa.select(batch_rows).where(batch_rows.c.id.in_(ids)).order_by(batch_rows.c.line)
        with self._db.read() as c:
            return [_row(r) for r in c.execute(query)]

    def finish_row(
        self, row_id: str, state: RowState, error: str = "", *, can_be_tried_again: bool = True
    ) -> None:
        """Set the state of a row, with the error if it failed; one that must be corrected has no product."""
        values: dict[str, Any] = {"state": state.value, "error": error}
        if not can_be_tried_again:
            values["facts"] = {}
        with self._db.write() as c:
            c.execute(sa.update(batch_rows).where(batch_rows.c.id == row_id).values(values))
            its_batch = sa.select(batch_rows.c.batch_id).where(batch_rows.c.id == row_id).scalar_subquery()
            c.execute(
                sa.update(batches).where(batches.c.id == its_batch).values(touched_at=self._clock.now())
            )

    def retry_rows(self, batch_id: str, state: RowState, ids: Collection[str] | None = None) -> int:
        """Set rows in a state that have a product to waiting; return how many.

        Args:
            batch_id: The batch.
            state: The state.
            ids: Only these rows; None: all.
        """
        listed = None if ids is None else list(ids)
        starts = [0] if listed is None else range(0, len(listed), CHUNK_ROWS)
        count = 0
        with self._db.write() as c:
            for start in starts:
                which = _with_product(batch_id, state)
                if listed is not None:
                    which &= batch_rows.c.id.in_(listed[start : start + CHUNK_ROWS])
                count += c.execute(
                    sa.update(batch_rows).where(which).values(state="waiting", error="")
                ).rowcount
        return count

    def with_product(self, batch_id: str, state: RowState) -> list[RowWithProduct]:
        """Return the rows in a state that have a product, those that `retry_rows` may set to waiting."""
        query = sa.select(batch_rows.c.id, batch_rows.c.sku, batch_rows.c.error)
        query = query.where(_with_product(batch_id, state)).order_by(batch_rows.c.line)
        with self._db.read() as c:
            return [RowWithProduct(*row) for row in c.execute(query)]

    def progress(self, batch_id: str) -> BatchProgress:
        """Return the progress of a batch. Unchanged rows count by the versions made of their product before.

        A taken row is generating while one of its runs is open. Otherwise it is live if one of its versions
        is, in review if a version waits for a decision or has one, and failed if its runs failed or all
        versions are blocked. A row that made nothing counts like this when rules that do came later.
        """
        return self.counts.progress([batch_id])[batch_id]


def _with_product(batch_id: str, state: RowState) -> Any:
    """Return the condition of rows in a state that have a product to try again."""
    return (
        (batch_rows.c.batch_id == batch_id)
        & (batch_rows.c.state == state.value)
        & (sa.cast(batch_rows.c.facts, sa.Text) != "{}")
    )


def _chunks(rows: Iterable[NewBatchRow]) -> Iterator[list[NewBatchRow]]:
    """Split rows into lists of CHUNK_ROWS."""
    chunk: list[NewBatchRow] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == CHUNK_ROWS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _stored_header(columns: tuple[str, ...], delimiter: str) -> list[str] | dict[str, Any]:
    return list(columns) if delimiter == "," else {"names": list(columns), "delimiter": delimiter}


def _batch(row: Any) -> Batch:
    header = row.columns if isinstance(row.columns, dict) else {"names": row.columns}
    state, columns = BatchState(row.state), tuple(header["names"])
    return Batch(
        id=row.id,
        name=row.name,
        owner=row.owner,
        state=state,
        created_at=row.created_at,
        columns=columns,
        delimiter=header.get("delimiter", ","),
        iteration=row.iteration,
    )


def _row(row: Any) -> BatchRow:
    product = from_plain(Product, row.facts) if row.facts else None
    return BatchRow(
        id=row.id,
        line=row.line,
        sku=row.sku,
        state=RowState(row.state),
        cells=row.cells,
        product=product,
        error=row.error,
    )
