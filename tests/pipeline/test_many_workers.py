"""Many processes on one PostgreSQL: nobody waits for a lock, connections are counted, releases overlap."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from dam_connector.cli import main
from dam_connector.domain.run import RunState
from dam_connector.errors import StorageUnavailable
from dam_connector.store import database as database_module
from dam_connector.store.database import Database
from dam_connector.usecases import intake, maintenance
from dam_connector.wiring import Services
from tests.contracts.test_migrations import reflected, revisions
from tests.pipeline.helpers import chair, send
from tests.support import PhotoServer, TestClock
from worker.__main__ import wait_for_schema

PROMPT_S = 15.0  # a lock that nobody releases would be waited for without an end
FIRST_ADDITIVE = "0012"  # from here on, migrations only add


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue("migrated_postgres")()


def planned_run(services: Services, photos: PhotoServer) -> str:
    delivery, _ = send(services, chair(photos))
    intake.handle_delivery(services, delivery)
    return services.runs.page()[0].id


def test_neither_a_late_wake_up_nor_the_sweeper_waits_for_a_run_that_is_being_written(
    services: Services, photos: PhotoServer, clock: TestClock
) -> None:
    run_id = planned_run(services, photos)
    clock.forward(60)
    with services.db._writer.connect() as writer, ThreadPoolExecutor(1) as pool:
        writer.execute(sa.text("SELECT id FROM runs WHERE id = :id FOR UPDATE"), {"id": run_id})
        assert pool.submit(services.runs.lease, run_id, "late", 20).result(PROMPT_S) is None
        assert pool.submit(maintenance.sweep, services, "me").result(PROMPT_S) > 0
    assert services.runs.get(run_id).state is RunState.QUEUED
    assert services.runs.lease(run_id, "next", 20) is not None


def test_of_many_workers_that_are_woken_for_a_run_one_has_it(services: Services, photos: PhotoServer) -> None:
    run_id = planned_run(services, photos)
    with ThreadPoolExecutor(8) as pool:
        leases = list(pool.map(lambda n: services.runs.lease(run_id, f"w{n}", 20), range(16)))
    assert sum(lease is not None for lease in leases) == 1


def test_a_process_opens_no_more_connections_than_it_may(services: Services) -> None:
    database = Database(services.db.url.render_as_string(hide_password=False), max_connections=3)
    most = []

    def ask(_: int) -> None:
        with database.read() as c:
            c.execute(sa.text("SELECT pg_sleep(0.02)"))
            most.append(database._reader.pool.checkedout())

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(ask, range(24)))
    assert 1 <= max(most) <= 3 and len(most) == 24
    database.close()


def test_a_transaction_of_a_process_that_was_cut_off_is_ended_by_the_server(services: Services) -> None:
    with services.db.read() as c:
        assert c.execute(sa.text("SHOW idle_in_transaction_session_timeout")).scalar() == "2min"


def test_workers_of_a_new_release_wait_for_the_migration(
    postgres: Callable[..., str], services: Services
) -> None:
    empty = Database(postgres())
    assert empty.missing_migration() == revisions()[-1]
    waiting = threading.Thread(target=wait_for_schema, args=(replace(services, db=empty),), daemon=True)
    waiting.start()
    time.sleep(0.1)
    assert waiting.is_alive()
    empty.migrate()
    waiting.join(PROMPT_S)
    assert not waiting.is_alive() and empty.missing_migration() == ""
    empty.close()


def test_a_migration_gives_up_rather_than_block_everybody_behind_a_long_reader(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "MIGRATION_LOCK_S", 0.2)
    with services.db.snapshot() as reader, pytest.raises(StorageUnavailable, match="lock timeout"):
        reader.execute(sa.text("SELECT count(*) FROM runs")).all()
        with services.db.schema_change() as connection:
            connection.execute(sa.text("ALTER TABLE runs ADD COLUMN more integer"))


def test_a_migration_only_adds_so_that_the_release_before_goes_on(postgres: Callable[..., str]) -> None:
    """Its workers name columns: all of them are still there, and new ones need no value."""
    database = Database(postgres())
    before = None
    for revision in revisions():
        database.migrate(revision)
        with database.read() as c:
            now = reflected(c)
        if before is not None and revision >= FIRST_ADDITIVE:
            for name, table in before.tables.items():
                assert set(table.c.keys()) <= set(now.tables[name].c.keys()), f"{revision}: {name}"
                for column in now.tables[name].c:
                    is_new = column.name not in table.c
                    assert not is_new or column.nullable or column.server_default is not None, column
                for column in table.c:
                    assert now.tables[name].c[column.name].nullable >= column.nullable, column
        before = now
    database.close()


def test_migrate_says_what_it_did(tmp_path: Path) -> None:
    def migrate(*options: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, ["migrate", "--data-dir", str(tmp_path), *options])
        return done.exit_code, done.output

    code, text = migrate("--check")
    assert code == 1 and "run dam-connector migrate" in text
    assert migrate() == (0, f"migrated to {revisions()[-1]}\n")
    assert migrate() == (0, "up to date; nothing was changed\n") and migrate("--check")[0] == 0
