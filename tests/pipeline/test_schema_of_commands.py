"""No command migrates a database silently: the workers of the release before may be at work."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from dam_connector.cli import main
from dam_connector.errors import ConfigError
from dam_connector.store.database import Database
from tests.contracts.test_migrations import revisions
from tests.support import ENVIRON

EARLIER = "0021"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ENVIRON:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def database_of(folder: Path) -> Database:
    (folder / "data").mkdir(exist_ok=True)
    return Database(f"sqlite:///{folder / 'data' / 'connector.db'}")


@pytest.mark.parametrize(
    "words",
    [
        ["gc", "--dry-run"],
        ["gc"],
        ["user", "list"],
        ["user", "remove", "ann"],
        ["rules", "plan"],
        ["run", "CH123"],
        ["backup", "all.backup"],
    ],
)
def test_a_command_refuses_an_earlier_schema_and_changes_nothing(folder: Path, words: list[str]) -> None:
    database = database_of(folder)
    database.migrate(EARLIER)
    ran = CliRunner().invoke(main, words)
    assert ran.exit_code == 1
    assert f"the database needs migration {revisions()[-1]}: run dam-connector migrate" in ran.output
    assert database.current_migration() == EARLIER
    database.close()
    assert CliRunner().invoke(main, ["migrate"]).exit_code == 0
    assert CliRunner().invoke(main, ["user", "list"]).exit_code == 0


def test_the_first_command_creates_the_tables_of_a_new_sqlite_file(folder: Path) -> None:
    assert CliRunner().invoke(main, ["user", "list"]).exit_code == 0
    database = database_of(folder)
    assert database.missing_migration() == ""
    database.close()


def test_a_new_database_of_postgresql_is_left_to_migrate(
    postgres: Callable[..., str],
) -> None:
    database = Database(postgres())
    with pytest.raises(ConfigError, match="run dam-connector migrate"):
        database.require_schema()
    database.migrate()
    database.require_schema()
    database.close()
