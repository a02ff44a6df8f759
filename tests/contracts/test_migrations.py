"""Databases of every earlier schema, with rows in each table, come to the newest one with all their rows."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from dam_connector.domain.ids import AssetId
from dam_connector.domain.live import live_version_id
from dam_connector.store.assets import Assets
from dam_connector.store.columns import metadata
from dam_connector.store.database import Database
from dam_connector.store.live_requests import LiveRequests
from dam_connector.store.revisions import MIGRATIONS
from tests.support import TestClock

ROWS = 3  # of each table
AT = datetime(2026, 5, 1, 12, 0)
# The values of columns that are not free text. Each is taken for its number of the row.
KNOWN: dict[tuple[str, str], tuple[Any, ...]] = {
    ("assets", "kind"): ("image", "model", "image"),
    ("batches", "columns"): (["sku", "name"],),
    ("batches", "state"): ("running", "paused", "done"),
    ("batch_rows", "state"): ("waiting", "taken", "failed"),
    ("captures", "kind"): ("walk", "spin", "walk"),
    ("decisions", "verdict"): ("approved", "rejected", "approved"),
    ("deliveries", "state"): ("received", "handled", "failed"),
    ("library", "files"): ([{"name": "a.jpg"}],),
    ("products", "issues"): ([],),
    ("runs", "kind"): ("image", "model", "publish"),
    ("runs", "state"): ("parked", "queued", "done"),
    ("runs", "step"): ("collect_sources", "", "publish_to_channels"),
    ("runs", "position"): (1, 0, 4),
    ("tasks", "state"): ("ordered", "submitted", "done"),
    ("users", "role"): ("admin", "reviewer", "viewer"),
    ("versions", "state"): ("published", "in_review", "approved"),
    ("versions", "files"): ([],),
    ("versions", "report"): ({"issues": [], "rows": []},),
}
# Columns that a migration replaced, by the revision that did.
REPLACED = {("runs", "position"): "0007", ("publications", "asked_at"): ""}


def revisions() -> list[str]:
    """All revisions, the first one first."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return sorted(script.revision for script in ScriptDirectory.from_config(config).walk_revisions())


@dataclass(frozen=True)
class Schemas:
    """Databases of one kind at each revision. They are made once: a copy costs less than to migrate again."""

    templates: dict[str, str]  # by revision: the address of an empty database
    copy: Callable[
        [str, str], str
    ]  # gives the address of a copy of a template; the second is the copy's name

    def open(self, revision: str, name: str) -> Database:
        return Database(self.copy(self.templates[revision], name))


SchemasOf = Callable[[str], Schemas]


def _migrated_step_by_step(first: str, copy: Callable[[str, str], str]) -> Schemas:
    templates, before = {}, first
    for revision in revisions():
        templates[revision] = before = copy(before, f"schema{revision}")
        database = Database(before)
        database.migrate(revision)
        database.close()  # a template has no connections
    return Schemas(templates, copy)


@pytest.fixture(scope="module")
def schemas_by_kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SchemasOf:
    """Give the schemas of a kind of database, which are made once; pytest mixes the kinds of its tests."""

    @cache
    def schemas_of(kind: str) -> Schemas:
        if kind == "postgresql":
            fresh = request.getfixturevalue("postgres")
            return _migrated_step_by_step(
                fresh(stays=True),
                lambda url, name: str(fresh(sa.make_url(url).database, stays=name.startswith("schema"))),
            )
        folder = tmp_path_factory.mktemp("schemas")
        Database(f"sqlite:///{folder}/first.sqlite").close()
        return _migrated_step_by_step(f"sqlite:///{folder}/first.sqlite", partial(_copy_file, folder))

    return schemas_of


def _copy_file(folder: Path, url: str, name: str) -> str:
    if Path(str(sa.make_url(url).database)).exists():
        shutil.copy(str(sa.make_url(url).database), folder / f"{name}.sqlite")
    return f"sqlite:///{folder}/{name}.sqlite"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def schemas(request: pytest.FixtureRequest, schemas_by_kind: SchemasOf) -> Schemas:
    return schemas_by_kind(request.param)


def reflected(connection: sa.Connection) -> sa.MetaData:
    """The tables as the database has them now."""
    found = sa.MetaData()
    found.reflect(connection)
    return found


def plausible(table: sa.Table, column: sa.Column[Any], number: int) -> Any:
    """A value of a column; numbers count from 0."""
    if choices := KNOWN.get((table.name, column.name)):
        return choices[number % len(choices)]
    if column.foreign_keys:
        return f"{next(iter(column.foreign_keys)).column.table.name}-{number}"
    if isinstance(column.type, sa.JSON):
        return {"a": [number, "ä"]}
    if isinstance(column.type, sa.DateTime):
        return AT + timedelta(hours=number)
    if isinstance(column.type, sa.Boolean):
        return bool(number % 2)
    if isinstance(column.type, sa.LargeBinary):
        return b"\x00\xff" + bytes([number])
    if isinstance(column.type, (sa.Integer, sa.Float)):
        return number + 1
    return f"{table.name}-{number}" if column.name == "id" else f"{column.name} ä {number}"[:40]


def fill(database: Database) -> dict[str, list[dict[str, Any]]]:
    """Add ROWS rows to each table that the database has; return them by table."""
    added: dict[str, list[dict[str, Any]]] = {}
    with database.write() as c:
        for table in reflected(c).sorted_tables:
            if table.name == "alembic_version":
                continue
            rows = [{x.name: plausible(table, x, n) for x in table.columns} for n in range(ROWS)]
            c.execute(sa.insert(table), rows)
            added[table.name] = rows
    return added


@dataclass(frozen=True)
class Upgraded:
    """A database that had rows in each table at a revision, and was migrated to the newest schema."""

    database: Database
    revision: str
    added: dict[str, list[dict[str, Any]]]  # the rows, by table


@pytest.fixture(scope="module", params=revisions())
def upgraded(schemas: Schemas, request: pytest.FixtureRequest) -> Iterator[Upgraded]:
    database = schemas.open(request.param, f"filled{request.param}")
    added = fill(database)
    database.migrate()
    yield Upgraded(database, request.param, added)
    database.close()


def test_all_rows_survive_from_each_schema(upgraded: Upgraded) -> None:
    assert len(upgraded.added) >= 14
    with upgraded.database.read() as c:
        assert compare_metadata(MigrationContext.configure(c), metadata) == []
        tables = reflected(c).tables
        for name, rows in upgraded.added.items():
            found = [dict(row) for row in c.execute(sa.select(tables[name])).mappings()]
            survived = [key for key in rows[0] if key in tables[name].columns and (name, key) not in REPLACED]
            assert set(rows[0]) - set(survived) <= {key for table, key in REPLACED if table == name}
            for row in rows:
                expected = {key: row[key] for key in survived}
                assert expected in [{key: each[key] for key in survived} for each in found], name
        if upgraded.database.is_sqlite:
            assert c.exec_driver_sql("PRAGMA foreign_key_check").all() == []


def test_the_stores_read_rows_of_each_schema(upgraded: Upgraded, clock: TestClock) -> None:
    assets = Assets(upgraded.database, clock)
    assert [assets.get(f"versions-{n}").state.value for n in range(ROWS)] == list(KNOWN["versions", "state"])
    if upgraded.revision < "0008":
        requests = LiveRequests(upgraded.database, clock)
        assert [len(requests.of_asset(f"assets-{n}")) for n in range(ROWS)] == [1, 0, 1]


VERSION = {
    "files": [],
    "report": {"issues": [], "rows": []},
    "provenance": {},
    "rules_fingerprint": "r",
}


# The states of an asset's versions, the hour in which one was published, and the version to be live.
HISTORIES: list[tuple[list[str], dict[int, float], int | None]] = [
    (["published"], {1: 2}, 1),
    (["superseded", "published"], {2: 3}, 2),
    (["published", "superseded"], {1: 3}, 1),  # rolled back
    (["withdrawn"], {}, None),
    (["withdrawn", "published"], {2: 3}, 2),
    (["approved", "published"], {2: 3}, 2),  # the first one's publishing failed for good
    (["superseded", "withdrawn"], {}, None),
    (["published", "approved"], {1: 1.5}, 2),  # the second one is about to replace the first
    (["published", "in_review"], {1: 2}, 1),
    (["rejected"], {}, None),
]


def add_versions(
    c: sa.Connection,
    t: Mapping[str, sa.Table],
    asset: str,
    states: list[str],
    published: dict[int, float],
) -> None:
    """Add an asset with versions that were approved an hour after each other, to the tables before 0008."""
    row = {"id": asset, "sku": asset, "deliverable": "d", "slot": 1, "kind": "image"}
    c.execute(sa.insert(t["assets"]), row | {"latest": len(states)})
    for n, state in enumerate(states, 1):
        name, at = f"{asset}v{n}", AT + timedelta(hours=n)
        row = {"id": name, "asset_id": asset, "number": n, "run_id": name, "state": state}
        c.execute(sa.insert(t["versions"]), {**row, **VERSION, "created_at": AT})
        row = {"id": name, "version_id": name, "verdict": "approved", "reasons": [], "files": {}}
        c.execute(sa.insert(t["decisions"]), row | {"at": at})
    for n, hour in published.items():
        at = AT + timedelta(hours=hour)
        row = {"asset_id": asset, "channel": "viewer", "version_id": f"{asset}v{n}", "at": at}
        asked = {"asked_at": at} if "asked_at" in t["publications"].columns else {}
        c.execute(sa.insert(t["publications"]), row | asked)


@pytest.mark.parametrize("revision", revisions()[:7])
def test_the_same_version_is_to_be_live_after_the_migration(
    schemas: Schemas, clock: TestClock, revision: str
) -> None:
    database = schemas.open(revision, f"histories{revision}")
    with database.write() as c:
        tables = reflected(c).tables
        for number, (states, published, _) in enumerate(HISTORIES):
            add_versions(c, tables, f"a{number}", states, published)
    database.migrate()
    requests = LiveRequests(database, clock)
    for number, (states, _, live) in enumerate(HISTORIES):
        found = live_version_id(requests.of_asset(AssetId(f"a{number}")), clock.now())
        assert found == (f"a{number}v{live}" if live else None), states
    database.close()
