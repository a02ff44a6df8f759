"""Backup while the service runs, and restore onto an empty directory or the other kind of database."""

import gzip
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from dam_connector.cli import main
from dam_connector.domain.ids import Sha256
from dam_connector.errors import ConfigError
from dam_connector.ops import backup
from dam_connector.ops.backup import check_backup, make_backup, restore_backup
from dam_connector.store.blobs import FolderBlobs, open_blobs
from dam_connector.store.columns import metadata
from dam_connector.store.database import Database
from dam_connector.store.revisions import known_schemas
from dam_connector.store.table_dump import TRANSIENT_TABLES
from dam_connector.usecases import retention
from dam_connector.usecases.retention import FILES_LEASE
from dam_connector.usecases.storage_owner import OWNER_NOTE
from dam_connector.wiring import Services
from tests.contracts.test_migrations import fill, reflected
from tests.support import TestClock

KINDS = ["sqlite", "postgresql"]


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest) -> str:
    return "" if request.param == "sqlite" else str(request.getfixturevalue("migrated_postgres")())


@pytest.fixture
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Database]]:
    """Give an empty database of a kind, without tables."""
    opened = []

    def new(kind: str) -> Database:
        url = f"sqlite:///{tmp_path}/restored/connector.db"
        opened.append(Database(url if kind == "sqlite" else request.getfixturevalue("postgres")()))
        return opened[-1]

    yield new
    for each in opened:
        each.close()


def records(db: Database) -> dict[str, list[Any]]:
    """All records by table, as Python values."""
    with db.read() as c:
        return {
            table.name: sorted(
                repr(tuple(row))
                for row in c.execute(sa.select(*table.columns))
                if OWNER_NOTE not in row  # a restored database has a name of its own
            )
            for table in metadata.sorted_tables
            if table.name not in TRANSIENT_TABLES
        }


def fill_with_files(services: Services) -> list[Sha256]:
    """Add rows to every table, and files that some of them name; return the files' addresses."""
    fill(services.db)
    named = [services.blobs.put(f"file {n}".encode() * 1000) for n in range(5)]
    services.blobs.put(b"named by nobody")
    with services.db.write() as c:
        t = metadata.tables
        c.execute(sa.update(t["products"]).values(sources={"front": named[0]}))
        c.execute(sa.update(t["version_files"]).values(sha256=named[1]))
        c.execute(sa.update(t["runs"]).values(work={"a": [{"b": named[2]}]}))
        c.execute(sa.update(t["deliveries"]).values(body=f'"held:{named[3]}"'.encode()))
        c.execute(sa.update(t["batch_rows"]).values(cells={"front": f"held:{named[4]}"}))
    return named


@pytest.mark.parametrize("target", KINDS)
def test_a_backup_is_restored_onto_either_kind_of_database(
    services: Services, tmp_path: Path, target: str, new_database: Callable[[str], Database]
) -> None:
    named = fill_with_files(services)
    made = make_backup(services, tmp_path / "all.backup")
    assert made.files == len(named) and made.missing == 0 and made.records > 60
    db, blobs = new_database(target), FolderBlobs(tmp_path / "restored" / "files")
    assert restore_backup(tmp_path / "all.backup", db, blobs) == made == check_backup(tmp_path / "all.backup")
    assert records(db) == records(services.db)
    assert {b.sha256 for b in blobs.list()} == set(named)
    with pytest.raises(ConfigError, match="not empty"):  # the same again: nothing is overwritten
        restore_backup(tmp_path / "all.backup", db, blobs)
    assert (tmp_path / "all.backup").stat().st_mode & 0o077 == 0


def test_records_that_come_meanwhile_are_not_in_a_backup(
    services: Services,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    new_database: Callable[[str], Database],
) -> None:
    fill_with_files(services)
    before, add = records(services.db), backup._add_file

    def add_and_write(archive: tarfile.TarFile, name: str, file: Any) -> str:
        services.history.add("sent", sku="LATE")
        services.notes.set("late", name)
        return add(archive, name, file)

    monkeypatch.setattr(backup, "_add_file", add_and_write)
    make_backup(services, tmp_path / "all.backup")
    db = new_database("sqlite")
    restore_backup(tmp_path / "all.backup", db, FolderBlobs(tmp_path / "restored" / "files"))
    assert records(db) == before != records(services.db)


def test_an_interrupted_backup_goes_on(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: TestClock
) -> None:
    named, read, path = fill_with_files(services), [], tmp_path / "all.backup"
    get = FolderBlobs.get

    def get_three(blobs: FolderBlobs, sha256: Sha256) -> bytes:
        if len(read) == 3:
            raise KeyboardInterrupt
        read.append(sha256)
        return get(blobs, sha256)

    monkeypatch.setattr(FolderBlobs, "get", get_three)
    with pytest.raises(KeyboardInterrupt):
        make_backup(services, path)
    monkeypatch.setattr(FolderBlobs, "get", get)
    part = path.with_name("all.backup.part")
    with part.open("r+b") as file:  # half of the last file is lost
        file.truncate(part.stat().st_size - 700)
    assert not path.exists()
    services.history.add("sent", sku="LATER")  # it is of the moment of the first try
    again: list[str] = []
    monkeypatch.setattr(FolderBlobs, "get", lambda blobs, sha256: again.append(sha256) or get(blobs, sha256))
    assert make_backup(services, path).files == 5 == check_backup(path).files
    assert len(again) < len(named) and not part.exists()
    with pytest.raises(ConfigError, match="exists"):
        make_backup(services, path)


def test_a_begun_backup_that_is_old_begins_anew(services: Services, tmp_path: Path, clock: TestClock) -> None:
    fill_with_files(services)
    make_backup(services, tmp_path / "old.backup")
    (tmp_path / "old.backup").rename(tmp_path / "all.backup.part")
    clock.forward(86_400)
    assert make_backup(services, tmp_path / "all.backup").made_at == clock.now().isoformat()


def test_a_backup_and_a_removal_exclude_each_other(services: Services, tmp_path: Path) -> None:
    assert services.locks.lease(FILES_LEASE, "somebody", 60)
    with pytest.raises(ConfigError, match="another backup"):
        make_backup(services, tmp_path / "all.backup")
    assert not retention.remove_when_due(services)


def rewritten(source: Path, target: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """Copy a backup, with the bytes of each member changed; None leaves it out."""
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        for member in old:
            data = change(member.name, old.extractfile(member).read())
            if data is not None:
                member.size = len(data)
                new.addfile(member, io.BytesIO(data))
    return target


def newer(name: str, data: bytes) -> bytes:
    newest = f'"{known_schemas()[-1]}"'.encode()
    return data.replace(newest, b'"9999"') if name.endswith(".json") else data


DAMAGES: dict[str, tuple[Callable[[str, bytes], bytes | None], str]] = {
    "a file": (lambda name, data: data[:-1] + b"x" if name.startswith("blobs/") else data, "other bytes"),
    "a table": (lambda name, data: data[:-1] if "products" in name else data, "products"),
    "a lost file": (lambda name, data: None if name.startswith("blobs/") else data, "0 of 5 files"),
    "a lost table": (lambda name, data: None if "users" in name else data, "users"),
    "no manifest": (lambda name, data: None if name == "manifest.json" else data, "incomplete"),
    "a newer schema": (newer, "newer than this one"),
    "half a manifest": (lambda name, data: b'{"format": 1}' if "manifest" in name else data, "damaged"),
    "a newer format": (lambda name, data: data.replace(b'"format": 1', b'"format": 2'), "newer release"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("database_url", [""])
def test_a_damaged_or_newer_backup_is_refused_before_anything_is_written(
    services: Services, tmp_path: Path, damage: str, new_database: Callable[[str], Database]
) -> None:
    fill_with_files(services)
    make_backup(services, tmp_path / "all.backup")
    change, message = DAMAGES[damage]
    db, blobs = new_database("sqlite"), FolderBlobs(tmp_path / "restored" / "files")
    with pytest.raises(ConfigError, match=message):
        restore_backup(rewritten(tmp_path / "all.backup", tmp_path / "bad.backup", change), db, blobs)
    assert list(blobs.list()) == [] and not (tmp_path / "restored" / "connector.db").exists()


@pytest.mark.parametrize("database_url", [""])
@pytest.mark.parametrize("target", KINDS)
def test_a_backup_of_an_older_schema_is_migrated(
    services: Services, tmp_path: Path, target: str, new_database: Callable[[str], Database]
) -> None:
    """The backup is written as the release of schema 0008 would have written it."""
    old = Database(f"sqlite:///{tmp_path}/old.sqlite")
    old.migrate("0008")
    rows = fill(old)
    old.close()
    make_backup(services, tmp_path / "all.backup")
    sums: dict[str, str] = {}

    def at_0008(name: str, data: bytes) -> bytes | None:
        table = name.removeprefix("tables/").removesuffix(".jsonl.gz")
        if name.startswith("tables/"):
            if table not in rows:
                return None
            lines = [json.dumps(row, default=backup_encode).encode() + b"\n" for row in rows[table]]
            data = gzip.compress(b"".join(lines))
        if name == "manifest.json":
            manifest = json.loads(data)
            return json.dumps({**manifest, "schema": "0008", "sums": sums}).encode()
        sums[name] = backup._sha256(io.BytesIO(data))
        return data

    db = new_database(target)
    path = rewritten(tmp_path / "all.backup", tmp_path / "old.backup", at_0008)
    restore_backup(path, db, FolderBlobs(tmp_path / "restored" / "files"))
    with db.read() as c:
        assert c.execute(sa.select(sa.func.count()).select_from(metadata.tables["versions"])).scalar() == 3
        assert "audit" in reflected(c).tables


def backup_encode(value: Any) -> str:
    from dam_connector.store.table_dump import _encode

    return _encode(value)


@pytest.mark.parametrize("database_url", [""])
def test_the_commands(services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "STORAGE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    fill_with_files(services)
    run, path = CliRunner().invoke, str(tmp_path / "all.backup")
    source, target = f"--data-dir={services.settings.data_dir}", f"--data-dir={tmp_path / 'new'}"
    made = run(main, ["backup", path, source, "--json"])
    assert made.exit_code == 0 and json.loads(made.stdout)["files"] == 5
    restored = run(main, ["restore", path, target])
    assert restored.exit_code == 0 and "5 files restored" in restored.stdout
    lost = run(main, ["backup", str(tmp_path / "no" / "folder"), source])
    assert lost.exit_code == 1 and "cannot be written: No such file" in lost.stderr
    again = run(main, ["restore", path, target])
    assert again.exit_code == 1 and "not empty" in again.stderr and "Traceback" not in again.output
    assert run(main, ["restore", str(services.settings.plugin_json), target]).exit_code == 1
    assert (tmp_path / "new").stat().st_mode & 0o077 == 0
    kept = open_blobs(str(tmp_path / "new" / "files"))
    assert len(list(kept.list())) == 5 and os.listdir(tmp_path / "new")
    counted = run(main, ["gc", "--dry-run", "--json", target])
    assert counted.exit_code == 0 and json.loads(counted.stdout)["files"] == 0
