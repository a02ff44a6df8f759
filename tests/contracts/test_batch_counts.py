"""The kept counts of batches agree with their rows at any time, on SQLite and on PostgreSQL."""

import random
from collections import Counter
from dataclasses import asdict

import pytest
import sqlalchemy as sa

from dam_connector.domain.row_status import RowStatus, row_status
from dam_connector.domain.run import COMPUTE_KINDS, RunKind, RunState
from dam_connector.domain.version import VersionState
from dam_connector.store.batch_records import Batch, BatchState, NewBatchRow, RowState
from dam_connector.store.batch_tables import batch_counts, batch_marks, batch_rows
from dam_connector.store.tables import assets, runs, versions
from dam_connector.usecases import batch_exports, failed_rows
from dam_connector.usecases.maintenance import sweep
from dam_connector.wiring import Services
from tests.contracts.test_store import new_run

FIELDS = {
    RowStatus.GENERATED: "in_review",
    RowStatus.REJECTED: "in_review",
    RowStatus.PUBLISHED: "live",
}


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    return "" if request.param == "sqlite" else str(request.getfixturevalue("migrated_postgres")())


def begun(services: Services, name: str, skus: list[str]) -> Batch:
    """A batch that runs; its last row failed in the sheet."""
    rows = [
        NewBatchRow(
            line=line,
            sku=sku,
            cells={},
            product=None,
            state=RowState.FAILED if sku == skus[-1] else RowState.WAITING,
        )
        for line, sku in enumerate(skus, 2)
    ]
    return services.batches.begin(services.batches.store(name, "ann", ("sku",), rows))


def counted_from_scratch(services: Services, batch: Batch) -> dict[str, int]:
    counts: Counter[str] = Counter()
    with services.db.read() as c:
        for row in c.execute(sa.select(batch_rows).where(batch_rows.c.batch_id == batch.id)).all():
            if row.state in ("waiting", "failed", "cancelled"):
                counts[row.state] += 1
                continue
            open_runs = sa.select(runs.c.id).where(
                runs.c.sku == row.sku,
                runs.c.state.in_(["queued", "running", "parked"]),
                runs.c.kind.in_([kind.value for kind in COMPUTE_KINDS]),
            )
            states = sa.select(versions.c.state).join(assets).where(assets.c.sku == row.sku)
            status = row_status(
                is_generating=c.execute(open_runs).first() is not None,
                states=set(c.execute(states).scalars()),
                without=RowStatus.MAKES_NOTHING if row.state == "makes_nothing" else RowStatus.FAILED,
            )
            counts[FIELDS.get(status, status.value.lower().replace(" ", "_"))] += 1
    return dict(counts)


def shown(services: Services, batch: Batch) -> dict[str, int]:
    return {name: n for name, n in asdict(services.batches.progress(batch.id)).items() if n}


class Changes:
    """Random changes as workers and people make them."""

    def __init__(self, services: Services, batches: list[Batch], skus: list[str], seed: int) -> None:
        self.services, self.batches, self.skus = services, batches, skus
        self.random, self.runs = random.Random(seed), 0

    def make_one(self) -> None:
        self.random.choice([self.finish_row, self.add_run, self.end_run, self.set_version])()

    def finish_row(self) -> None:
        rows = [row for batch in self.batches for row in self.services.batches.all_rows(batch.id)]
        state = self.random.choice([RowState.TAKEN, RowState.UNCHANGED, RowState.MAKES_NOTHING])
        self.services.batches.finish_row(self.random.choice(rows).id, state)

    def add_run(self) -> None:
        self.runs += 1
        kind = self.random.choice([*COMPUTE_KINDS, RunKind.PUBLISH])
        sku = self.random.choice(self.skus)
        (run,) = self.services.runs.add(
            [new_run(sku=sku, kind=kind, input_hash=f"h{self.runs}", deliverable=f"d{self.runs}")]
        )
        self.services.assets.assign_version(
            sku=sku,
            deliverable=f"d{self.runs}",
            slot=1,
            kind="image",
            run_id=run,
            rules_fingerprint="r",
        )

    def end_run(self) -> None:
        if found := self.services.runs.page(limit=50):
            run = self.services.runs.lease(self.random.choice(found).id, "me", 20)
            if run:
                self.services.runs.finish(run, self.random.choice([RunState.DONE, RunState.FAILED]))

    def set_version(self) -> None:
        state = self.random.choice([s for s in VersionState if s is not VersionState.DRAFT])
        sku = self.random.choice(self.skus)
        which = sa.select(assets.c.id).where(assets.c.sku == sku)
        with self.services.db.write() as c:
            c.execute(sa.update(versions).where(versions.c.asset_id.in_(which)).values(state=state.value))


def assert_one_notion_of_failed_rows(services: Services, batch: Batch) -> None:
    """The bar, the pages of failed rows, the API's rows, the manifest and the file name the same rows."""
    paged: list[int] = []
    while page := services.batches.failed_rows(batch.id, after=paged[-1] if paged else 0, limit=2):
        paged += [row.line for row in page]
    found = [each.row.line for each in failed_rows.failed_rows(services, batch)]
    api = failed_rows.rows_page(services, batch, state=None, after=0, limit=100)
    results = batch_exports.row_results(services, batch)
    assert len(paged) == shown(services, batch).get("failed", 0)
    assert paged == found == [row.line for row in api if row.state is RowState.FAILED]
    assert paged == [each.row.line for each in results if each.status is RowStatus.FAILED]
    assert batch_exports.failed_csv(services, batch).count("\n") == 1 + len(paged)
    partly = {row.line for row in failed_rows.partly_made_rows(services, batch)}
    assert not partly & set(paged)
    assert failed_rows.retryable_rows(services, batch).failed <= len(paged)


def test_kept_counts_agree_with_the_rows_after_every_change(services: Services) -> None:
    skus = [f"S{n}" for n in range(9)]
    batches = [begun(services, "first", skus), begun(services, "second", [*skus[4:], "other", "bad"])]
    changes = Changes(services, batches, skus, seed=7)
    for number in range(60):
        changes.make_one()
        if number == 30:
            services.batches.set_state(batches[1].id, BatchState.CANCELLED)
        for batch in batches:
            assert shown(services, batch) == counted_from_scratch(services, batch), number
            assert_one_notion_of_failed_rows(services, batch)
        if number % 7 == 0:
            services.batches.counts.keep_up(limit=3)
            for batch in batches:
                assert shown(services, batch) == counted_from_scratch(services, batch), number
    sweep(services, "me")
    with services.db.read() as c:
        assert c.execute(sa.select(sa.func.count()).select_from(batch_marks)).scalar() == 0
        for batch in batches:
            kept = c.execute(
                sa.select(batch_counts.c.counted_as, batch_counts.c.rows).where(
                    batch_counts.c.batch_id == batch.id
                )
            )
            assert {name: n for name, n in kept if n} == counted_from_scratch(services, batch)


def test_products_outside_batches_leave_no_marks(services: Services) -> None:
    services.runs.add([new_run(sku="alone")])
    with services.db.read() as c:
        assert c.execute(sa.select(batch_marks)).first() is None


def test_a_row_that_somebody_writes_is_counted_later(services: Services) -> None:
    if services.db.is_sqlite:
        pytest.skip("SQLite has one writer at a time")
    batch = begun(services, "first", ["A", "B", "bad"])
    counts = services.batches.counts
    counts.keep_up()
    services.runs.add([new_run(sku="A")])
    rows = services.batches.rows(batch.id)
    with services.db._writer.begin() as other:  # it has the row, and has not ended
        other.execute(sa.update(batch_rows).where(batch_rows.c.id == rows[0].id).values(state="taken"))
        assert counts.keep_up() == 1
        assert shown(services, batch) == {"waiting": 2, "failed": 1}
    assert shown(services, batch) == {"waiting": 1, "generating": 1, "failed": 1}
    assert counts.keep_up() and not counts.keep_up()
    assert shown(services, batch) == {"waiting": 1, "generating": 1, "failed": 1}
