"""`dam-connector doctor` on installations that do not work: a line for each part, never a traceback."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import make_url

from dam_connector.cli import main
from dam_connector.ops import doctor
from dam_connector.ops.doctor import PartStatus
from dam_connector.settings import Settings
from tests.contracts.test_migrations import revisions
from tests.pipeline.test_outages import guarded_queue
from tests.support import ENVIRON

__all__ = ["guarded_queue"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    for name in ENVIRON:
        monkeypatch.delenv(name, raising=False)
    yield tmp_path


def states() -> dict[str, tuple[bool, str, str]]:
    ran = CliRunner().invoke(main, ["doctor", "--json"])
    assert ran.exit_code in (0, 1) and not isinstance(ran.exception, ValueError)
    found = json.loads(ran.stdout)
    assert ran.exit_code == int(not all(row["good"] for row in found))
    return {row["part"]: (row["good"], row["detail"], row["remedy"]) for row in found}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "foo"),
        ("DATABASE_URL", "mysql://x/y"),
        ("REDIS_URL", "127.0.0.1:26379"),
        ("DAM_CONNECTOR_DRAIN_S", "abc"),
        ("DAM_CONNECTOR_LOG_FORMAT", "xml"),
    ],
)
def test_a_wrong_setting_is_a_line(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    found = states()
    assert set(found) == {"settings"} and found["settings"][1].startswith(name)


def test_a_missing_migration_is_a_line_and_the_other_parts_follow(
    postgres: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres()
    monkeypatch.setenv("DATABASE_URL", url.replace("postgresql+psycopg://", "postgres://"))
    found = states()
    newest = revisions()[-1]
    assert found["database"] == (False, f"migration {newest} is missing", "Run dam-connector migrate.")
    assert found["storage"][0] and found["plugin.json"][0]
    assert CliRunner().invoke(main, ["migrate"]).exit_code == 0
    assert states()["database"] == (True, "PostgreSQL", "")


def test_a_wrong_name_of_a_database_that_runs_is_no_reason_to_start_it(
    postgres: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make_url(postgres()).set(database="absent").render_as_string(hide_password=False)
    monkeypatch.setenv("DATABASE_URL", url)
    good, detail, remedy = states()["database"]
    assert not good and "does not exist" in detail and remedy.startswith("It runs.")


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ('FATAL:  password authentication failed for user "connector"', "It runs. Correct user and password"),
        ("connection refused", "Start it, or correct host and port"),
    ],
)
def test_the_remedy_fits_the_reason(reason: str, remedy: str) -> None:
    assert doctor._database_remedy(f"database read: connection failed: {reason}").startswith(remedy)


def test_a_wrong_password_of_redis_is_no_reason_to_start_it(
    guarded_queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", f"unix://:wrong@{guarded_queue}")
    good, detail, remedy = states()["queue"]
    assert (good, detail) == (False, f"unix://{guarded_queue} answers: it refuses the password")
    assert remedy == "It runs. Correct the password in REDIS_URL."
    monkeypatch.setenv("REDIS_URL", f"unix://{guarded_queue}.absent")
    assert "does not answer" in states()["queue"][1]


def test_each_part_has_its_time_and_one_that_breaks_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    ever = threading.Event()
    monkeypatch.setattr(doctor, "LIMIT_S", 0.05)

    def hangs(settings: Settings) -> list[PartStatus]:
        ever.wait(60)
        return []

    def breaks(settings: Settings) -> list[PartStatus]:
        raise KeyError("no such thing")

    monkeypatch.setattr(doctor, "_queue", hangs)
    monkeypatch.setattr(doctor, "_storage", breaks)
    parts = doctor.check_parts(Settings.from_env({}))
    assert next(parts) == PartStatus(
        "queue", False, "no answer within 0.05 s", "Check its address, and the network."
    )
    monkeypatch.setattr(doctor, "LIMIT_S", 15.0)
    found = {each.part: each for each in parts}
    assert (
        found["storage"].detail == "the check broke: KeyError: 'no such thing'" and found["plugin.json"].good
    )
    ever.set()
