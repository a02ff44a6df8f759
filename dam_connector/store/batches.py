"""Batches: bulk uploads, their rows, and how far each has come."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from dam_connector.domain.codec import from_plain, to_plain
from dam_connector.domain.ids import new_id
from dam_connector.domain.product import Product
from dam_connector.domain.row_status import RowStatus, row_status
from dam_connector.domain.run import COMPUTE_KINDS
from dam_connector.errors import StateConflict
from dam_connector.ports import Clock
from dam_connector.store.database import Database
from dam_connector.store.tables import assets, batch_rows, batches, runs, versions

IDLE_AFTER_S = 30.0
CHUNK_ROWS = 2_000  # rows written in one unit


class BatchState(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    DONE = "done"  # every row was taken; what they make may still be under way


class RowState(StrEnum):
    WAITING = "waiting"
    TAKEN = "taken"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBatchRow:
    """A row to be stored. product: None where the row means none; then `error` says why."""

    line: int
    sku: str
    cells: Mapping[str, str]
    product: Product | None
    state: RowState
    error: str = ""
    codes: tuple[str, ...] = ()  # of the issues that `error` tells


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRow:
    id: str
    line: int
    sku: str
    state: RowState
    cells: Mapping[str, str]
    product: Product | None
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One bulk upload. columns: the sheet's own header."""

    id: str
    name: str
    owner: str
    state: BatchState
    created_at: datetime
    columns: tuple[str, ...]
    iteration: int = 0

    @property
    def wake_token(self) -> str:
        """What its job is woken with: of several wake-ups for one turn, the first one counts."""
        return f"{self.id}~{self.iteration}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchProgress:
    """Rows by how far they have come; each row is in one of these."""

    waiting: int
    generating: int
    in_review: int
    live: int
    failed: int
    cancelled: int

    @property
    def total(self) -> int:
        return self.waiting + self.generating + self.in_review + self.live + self.failed + self.cancelled

    @property
    def in_progress(self) -> int:
        return self.waiting + self.generating


class Batches:
    """Rows are kept as they were uploaded, so that those that failed can be given back."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock

    def add(self, name: str, owner: str, columns: tuple[str, ...], rows: Iterable[NewBatchRow]) -> Batch:
        """Store a batch. Raises: StateConflict when there is one of this name."""
        now = self._clock.now()
        batch = Batch(
            id=new_id("bat", now),
            name=name,
            owner=owner,
            state=BatchState.RUNNING,
            created_at=now,
            columns=columns,
        )
        values = {
            "id": batch.id,
            "name": name,
            "owner": owner,
            "state": "paused",
            "created_at": now,
            "touched_at": now,
            "columns": list(columns),
        }
        with self._db.write() as c:
            if not self._db.insert_new(c, batches, values):
                raise StateConflict(f"there is a batch {name!r} already; choose another name")
        for chunk in _chunks(rows):
            with self._db.write() as c:
                c.execute(sa.insert(batch_rows), [self._row_values(batch.id, row) for row in chunk])
        self.set_state(batch.id, BatchState.RUNNING)
        return batch

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
        with self._db.read() as c:
            row = c.execute(
                sa.select(batches).where(sa.or_(batches.c.id == id_or_name, batches.c.name == id_or_name))
            ).first()
        return _batch(row) if row else None

    def page(self, *, before: str = "", limit: int = 50) -> list[Batch]:
        """Batches, newest first."""
        query = sa.select(batches).order_by(batches.c.id.desc()).limit(limit)
        with self._db.read() as c:
            return [_batch(row) for row in c.execute(query.where(batches.c.id < before) if before else query)]

    def set_state(self, batch_id: str, state: BatchState) -> None:
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
        """A running batch is done; one that was paused or cancelled meanwhile stays so."""
        with self._db.write() as c:
            c.execute(
                sa.update(batches)
                .where(batches.c.id == batch_id, batches.c.state == "running")
                .values(state="done")
            )

    def claim_iteration(self, wake_token: str) -> Batch | None:
        """The batch whose next rows are to be taken; None when somebody took this turn, or the batch is not running."""
        batch_id, _, number = wake_token.partition("~")
        mine = (batches.c.id == batch_id, batches.c.turn == int(number), batches.c.state == "running")
        with self._db.write() as c:
            if (
                c.execute(
                    sa.update(batches).where(*mine).values(turn=int(number) + 1, touched_at=self._clock.now())
                ).rowcount
                != 1
            ):
                return None
            return _batch(c.execute(sa.select(batches).where(batches.c.id == batch_id)).one())

    def idle_wake_tokens(self) -> list[str]:
        """The next turns of running batches of which no row was taken for IDLE_S."""
        idle = (
            batches.c.state == "running",
            batches.c.touched_at < self._clock.now() - timedelta(seconds=IDLE_AFTER_S),
        )
        with self._db.read() as c:
            return [_batch(row).wake_token for row in c.execute(sa.select(batches).where(*idle))]

    def rows(
        self, batch_id: str, *, state: RowState | None = None, after: int = 0, limit: int = 100
    ) -> list[BatchRow]:
        """Rows in the sheet's order, from just after a line."""
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
        """Rows that were taken, the last ones first."""
        query = sa.select(batch_rows).where(
            batch_rows.c.batch_id == batch_id, batch_rows.c.state.in_(["taken", "unchanged"])
        )
        with self._db.read() as c:
            return [_row(r) for r in c.execute(query.order_by(batch_rows.c.line.desc()).limit(limit))]

    def all_rows(self, batch_id: str, state: RowState | None = None) -> Iterator[BatchRow]:
        """Every row, a page at a time."""
        after = 0
        while found := self.rows(batch_id, state=state, after=after, limit=CHUNK_ROWS):
            yield from found
            after = found[-1].line

    def finish_row(self, row_id: str, state: RowState, error: str = "") -> None:
        with self._db.write() as c:
            c.execute(
                sa.update(batch_rows).where(batch_rows.c.id == row_id).values(state=state.value, error=error)
            )
            mine = sa.select(batch_rows.c.batch_id).where(batch_rows.c.id == row_id).scalar_subquery()
            c.execute(sa.update(batches).where(batches.c.id == mine).values(touched_at=self._clock.now()))

    def retry_failed(self, batch_id: str) -> int:
        """Rows that have a product and failed wait again; gives how many."""
        failed = (
            (batch_rows.c.batch_id == batch_id)
            & (batch_rows.c.state == "failed")
            & (sa.cast(batch_rows.c.facts, sa.Text) != "{}")
        )
        with self._db.write() as c:
            done = c.execute(sa.update(batch_rows).where(failed).values(state="waiting", error=""))
        return done.rowcount

    def failed_skus(self, batch_id: str, *, limit: int | None = None) -> dict[str, str]:
        """The SKUs of rows that were taken and of which a run failed, with what it said."""
        mine = sa.select(batch_rows.c.sku).where(
            batch_rows.c.batch_id == batch_id, batch_rows.c.state.in_(["taken", "unchanged"])
        )
        failed = (
            runs.c.state == "failed",
            runs.c.kind.in_([k.value for k in COMPUTE_KINDS]),
            runs.c.sku.in_(mine),
        )
        with self._db.read() as c:
            return {
                sku: error
                for sku, error in c.execute(sa.select(runs.c.sku, runs.c.error).where(*failed).limit(limit))
            }

    def progress(self, batch_id: str) -> BatchProgress:
        """How far the rows have come; unchanged ones by what was made of them before.

        A taken row is generating while one of its runs is open, then live when one of its versions is, in review when one awaits or got a
        decision, else failed: its runs failed, or reports block all that was made.
        """
        taken = sa.select(batch_rows.c.sku).where(
            batch_rows.c.batch_id == batch_id, batch_rows.c.state.in_(["taken", "unchanged"])
        )
        making = sa.select(runs.c.sku).where(
            runs.c.sku.in_(taken),
            runs.c.state.in_(["queued", "running", "parked"]),
            runs.c.kind.in_([k.value for k in COMPUTE_KINDS]),
        )
        made = (
            sa.select(assets.c.sku, versions.c.state)
            .join(versions, versions.c.asset_id == assets.c.id)
            .where(assets.c.sku.in_(taken))
        )
        by_row_state = (
            sa.select(batch_rows.c.state, sa.func.count())
            .where(batch_rows.c.batch_id == batch_id)
            .group_by(batch_rows.c.state)
        )
        with self._db.read() as c:
            counts: dict[str, int] = {state: n for state, n in c.execute(by_row_state)}
            mine, generating = set(c.execute(taken).scalars()), set(c.execute(making.distinct()).scalars())
            states: dict[str, set[str]] = {}
            for sku, state in c.execute(made.distinct()):
                states.setdefault(sku, set()).add(state)
        stand = Counter(
            row_status(is_generating=sku in generating, states=states.get(sku, ())) for sku in mine
        )
        return BatchProgress(
            waiting=counts.get("waiting", 0),
            generating=stand[RowStatus.GENERATING],
            in_review=stand[RowStatus.IN_REVIEW] + stand[RowStatus.GENERATED] + stand[RowStatus.REJECTED],
            live=stand[RowStatus.PUBLISHED],
            failed=counts.get("failed", 0) + stand[RowStatus.FAILED],
            cancelled=counts.get("cancelled", 0),
        )


def _chunks(rows: Iterable[NewBatchRow]) -> Iterator[list[NewBatchRow]]:
    chunk: list[NewBatchRow] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == CHUNK_ROWS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _batch(row: Any) -> Batch:
    state, columns = BatchState(row.state), tuple(row.columns)
    return Batch(
        id=row.id,
        name=row.name,
        owner=row.owner,
        state=state,
        created_at=row.created_at,
        columns=columns,
        iteration=row.turn,
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
