"""A storage belongs to one database: another one neither removes its files nor is restored there."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from dam_connector.cli import main
from dam_connector.errors import ConfigError, StorageUnavailable
from dam_connector.ops.backup import make_backup, restore_backup
from dam_connector.store.blobs import FolderBlobs, open_blobs
from dam_connector.store.columns import metadata
from dam_connector.store.database import Database
from dam_connector.store.notes import Notes
from dam_connector.usecases import retention
from dam_connector.usecases.retention import remove_old, remove_when_due
from dam_connector.usecases.storage_owner import OWNER_NOTE, StorageMark, claim_storage, require_own_storage
from dam_connector.wiring import Services
from tests.contracts.test_dam_channel_provider_blobs import S3_ENVIRON, s3  # noqa: F401 - a fixture
from tests.contracts.test_migrations import fill
from tests.pipeline.test_backup import fill_with_files
from tests.support import TestClock
from worker.__main__ import check_storage

YEAR = timedelta(days=365)


@pytest.fixture
def s3_environ(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    for name, value in S3_ENVIRON.items():
        monkeypatch.setenv(name, value.format(s3=s3))


@pytest.fixture
def empty_database(tmp_path: Path) -> Iterator[Database]:
    db = Database(f"sqlite:///{tmp_path}/restored/connector.db")
    yield db
    db.close()


def test_a_restore_refuses_the_storage_of_a_running_service(
    services: Services, tmp_path: Path, empty_database: Database
) -> None:
    fill_with_files(services)
    make_backup(services, tmp_path / "all.backup")
    before = {blob.sha256 for blob in services.blobs.list()}
    with pytest.raises(ConfigError, match="storage is not empty"):
        restore_backup(tmp_path / "all.backup", empty_database, services.blobs)
    assert {blob.sha256 for blob in services.blobs.list()} == before
    assert services.blobs.mark() == "" and not Path(str(empty_database.url.database)).exists()


@pytest.mark.usefixtures("s3_environ")
def test_a_restore_refuses_a_bucket_with_files(
    services: Services, tmp_path: Path, empty_database: Database
) -> None:
    fill_with_files(services)
    make_backup(services, tmp_path / "all.backup")
    bucket = open_blobs("s3://bucket/live")
    bucket.put(b"of the live service")
    with pytest.raises(ConfigError, match="storage is not empty"):
        restore_backup(tmp_path / "all.backup", empty_database, bucket)
    restore_backup(tmp_path / "all.backup", empty_database, bucket, take_over=True)
    assert len(list(bucket.list())) == 6


def test_an_interrupted_restore_is_repeated_and_then_the_storage_is_its_own(
    services: Services, tmp_path: Path, empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    named, path = fill_with_files(services), tmp_path / "all.backup"
    require_own_storage(services)
    make_backup(services, path)
    blobs, put, stored = FolderBlobs(tmp_path / "restored" / "files"), FolderBlobs.put, []

    def put_two(self: FolderBlobs, data: bytes) -> str:
        if len(stored) == 2:
            raise KeyboardInterrupt
        stored.append(data)
        return put(self, data)

    monkeypatch.setattr(FolderBlobs, "put", put_two)
    with pytest.raises(KeyboardInterrupt):
        restore_backup(path, empty_database, blobs)
    monkeypatch.setattr(FolderBlobs, "put", put)
    assert restore_backup(path, empty_database, blobs).files == len(named)
    owner = Notes(empty_database, services.clock).get(OWNER_NOTE)
    assert StorageMark.parse(blobs.mark()) == StorageMark(owner=owner)
    assert owner != services.notes.get(OWNER_NOTE)
    other = Database(f"sqlite:///{tmp_path}/third.db")
    with pytest.raises(ConfigError, match="storage is not empty"):  # it is over, and no longer repeated
        restore_backup(path, other, blobs)
    other.close()


def test_the_removal_refuses_the_storage_of_another_database(
    services: Services, tmp_path: Path, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_own_storage(services)
    file = services.blobs.put(b"of the live service")
    copy_db = Database(f"sqlite:///{tmp_path}/copy.db")
    copy_db.migrate()
    copy = replace(
        services, db=copy_db, notes=Notes(copy_db, clock), locks=type(services.locks)(copy_db, clock)
    )
    clock.moment = datetime.now(UTC) + YEAR
    with pytest.raises(ConfigError, match="belongs to another database"):
        remove_old(copy)
    logged: list[str] = []
    monkeypatch.setattr(retention.log, "error", lambda event, **_: logged.append(event))
    assert remove_when_due(copy) and logged == ["retention_refused"]
    assert services.blobs.has(file)
    assert remove_old(services).files == 1
    copy_db.close()


def test_a_storage_without_the_mark_is_refused_until_it_is_claimed(
    services: Services, tmp_path: Path
) -> None:
    require_own_storage(services)
    require_own_storage(services)
    elsewhere = replace(services, blobs=FolderBlobs(tmp_path / "elsewhere"))
    with pytest.raises(ConfigError, match="its mark is missing; is STORAGE_URL the same"):
        require_own_storage(elsewhere)
    claim_storage(elsewhere)
    require_own_storage(elsewhere)
    require_own_storage(services)


def test_the_first_use_of_an_earlier_release_marks_only_the_storage_with_its_files(
    services: Services, tmp_path: Path
) -> None:
    fill_with_files(services)
    wrong = replace(services, blobs=FolderBlobs(tmp_path / "wrong"))
    with pytest.raises(ConfigError, match="none of the newest files"):
        require_own_storage(wrong)
    assert wrong.blobs.mark() == ""
    require_own_storage(services)


def test_a_new_database_does_not_mark_a_storage_with_files(services: Services, tmp_path: Path) -> None:
    used = FolderBlobs(tmp_path / "used")
    for n in range(3):
        used.put(f"file {n}".encode())
    settings = replace(services.settings, storage_url=str(tmp_path / "used"))
    with pytest.raises(ConfigError, match="has files already"):
        require_own_storage(replace(services, blobs=used, settings=settings))
    assert used.mark() == ""


def test_a_first_use_that_was_interrupted_goes_on(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        write = Notes.set

        def fail(self: Notes, name: str, value: object) -> None:
            if name == OWNER_NOTE:
                raise KeyboardInterrupt
            write(self, name, value)

        patch.setattr(Notes, "set", fail)
        with pytest.raises(KeyboardInterrupt):
            require_own_storage(services)
    require_own_storage(services)
    assert services.notes.get(OWNER_NOTE) == json.loads(services.blobs.mark())["owner"]


@pytest.mark.usefixtures("s3_environ")
def test_a_worker_with_a_wrong_bucket_does_not_start(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_with_files(services)
    require_own_storage(services)
    lines: list[str] = []
    monkeypatch.setattr("worker.__main__.log.error", lambda event, error: lines.append(error))
    for url in ("s3://nosuchbucket/files", "s3://bucket/wrong"):
        with pytest.raises(SystemExit) as ended:
            check_storage(replace(services, blobs=open_blobs(url)))
        assert ended.value.code == 1
    assert lines[0] == "storage mark: s3://nosuchbucket/files: the bucket does not exist"
    assert "its mark is missing" in lines[1]
    check_storage(services)


FORKED_JOB = """
import os, signal, sys
from dam_connector.settings import Settings
from dam_connector.wiring import build_services
from worker.__main__ import check_storage_apart

services = build_services(Settings.from_env())
services.db.migrate()
check_storage_apart(services)
if (job := os.fork()) == 0:
    signal.alarm(30)  # it ends a process that waits for threads which it does not have
    os._exit(0 if services.blobs.has("0" * 64) is False else 2)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(job, 0)[1]))
"""


@pytest.mark.usefixtures("s3_environ")
def test_jobs_that_are_forked_after_the_check_can_read_object_storage(tmp_path: Path) -> None:
    """The client's threads are lost in a fork."""
    environ = {
        **os.environ,
        "DAM_CONNECTOR_DATA_DIR": str(tmp_path / "data"),
        "STORAGE_URL": "s3://bucket/forks",
    }
    done = subprocess.run(
        [sys.executable, "-c", FORKED_JOB],
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_missing_files_are_named(services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "STORAGE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    fill(services.db)
    photo, made, other = (services.blobs.put(data) for data in (b"photo", b"made", b"other"))
    with services.db.write() as c:
        c.execute(sa.update(metadata.tables["products"]).values(sources={"front": photo}))
        c.execute(sa.update(metadata.tables["version_files"]).values(sha256=made))
    run, folder = CliRunner().invoke, f"--data-dir={services.settings.data_dir}"
    good = run(main, ["check-files", folder])
    assert good.exit_code == 0 and "0 files are missing" in good.stdout
    for lost in (photo, made):
        services.blobs.delete(lost, stored_before=datetime.now(UTC) + YEAR)
    found = run(main, ["check-files", folder, "--json"])
    assert found.exit_code == 1 and {row["sha256"] for row in json.loads(found.stdout)} == {photo, made}
    text = run(main, ["check-files", folder]).stdout
    assert "photo front is missing" in text and "restore it from a backup" in text and other not in text


def test_a_storage_that_is_away_is_no_foreign_one(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: FolderBlobs) -> str:
        raise StorageUnavailable("storage", "mark", "it does not answer")

    monkeypatch.setattr(FolderBlobs, "mark", fail)
    with pytest.raises(StorageUnavailable):
        require_own_storage(services)
    assert services.notes.get(OWNER_NOTE) is None


def test_doctor_names_a_storage_of_another_database_and_marks_none(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DATABASE_URL", "STORAGE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    run, folder = CliRunner().invoke, f"--data-dir={services.settings.data_dir}"

    def found() -> dict[str, object]:
        rows = json.loads(run(main, ["doctor", folder, "--json"]).stdout)
        (row,) = [row for row in rows if row["part"] == "owner of the storage"]
        return dict(row)

    assert found()["good"] and services.blobs.mark() == ""
    require_own_storage(services)
    assert found()["good"]
    services.blobs.set_mark(StorageMark(owner="sto_other").text(), replace=True)
    refused = found()
    assert not refused["good"] and "belongs to another database" in str(refused["detail"])
    monkeypatch.setenv("STORAGE_URL", str(tmp_path / "elsewhere"))
    assert "its mark is missing" in str(found()["detail"])
    claimed = run(main, ["claim-storage", folder], input="y\n")
    assert claimed.exit_code == 0 and found()["good"]


def test_the_web_command_refuses_a_storage_of_another_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DATABASE_URL", "STORAGE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DAM_CONNECTOR_DATA_DIR", str(tmp_path / "data"))
    FolderBlobs(tmp_path / "data" / "files").set_mark(StorageMark(owner="sto_other").text())
    refused = CliRunner().invoke(main, ["web"])
    assert refused.exit_code == 1 and "belongs to another database" in refused.stderr
    assert "Traceback" not in refused.output
