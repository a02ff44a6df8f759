"""Backups: one file with all records and files of one moment, made while the service runs.

It is a tar file, in this order: `format.json`; `tables/NAME.jsonl.gz` for each table; `blobs.txt`, the
addresses of the files; `blobs/SHA256` for each of them; `manifest.json` with the checksums of the others. The
manifest comes last, so that a file without it is incomplete. While it is made, its name ends in `.part`; the
next try goes on where the last one ended.
"""

import gzip
import hashlib
import io
import json
import os
import secrets
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from dam_connector import __version__
from dam_connector.domain.ids import Sha256, new_id
from dam_connector.errors import ConfigError
from dam_connector.ports import Blobs
from dam_connector.private_files import open_private
from dam_connector.store.database import Database
from dam_connector.store.named_locks import repeat_every
from dam_connector.store.revisions import known_schemas
from dam_connector.store.table_dump import load_tables, open_dump, require_empty
from dam_connector.usecases.retention import FILES_LEASE, MIN_BLOB_GRACE
from dam_connector.usecases.storage_owner import CLAIM_NOTE, OWNER_NOTE, StorageMark
from dam_connector.wiring import Services

FORMAT = 1
LEASE_S = 60.0
CHUNK_BYTES = 1 << 20
RESUMABLE_FOR = MIN_BLOB_GRACE / 2  # later, files of the begun backup may have been removed


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupSummary:
    """The content of a backup."""

    made_at: str  # the moment of the records, ISO 8601
    schema: str  # of the database
    tables: int
    records: int
    files: int
    missing: int  # files of versions that the storage did not have


@dataclass
class _Begun:
    """The members that a `.part` file has already."""

    format: dict[str, Any] = field(default_factory=dict)
    sums: dict[str, str] = field(default_factory=dict)  # SHA-256 of members by name, without blobs
    wanted: list[str] | None = None  # the addresses in blobs.txt
    blobs: set[str] = field(default_factory=set)
    end: int = 0  # where the next member begins


def make_backup(services: Services, path: Path) -> BackupSummary:
    """Write a backup, or go on with one that was interrupted.

    Raises:
        ConfigError: the file exists or cannot be written, or another backup is being made.
        StorageUnavailable: the database or the storage does not answer.
    """
    if path.exists():
        raise ConfigError(f"{path} exists; choose another name")
    owner = new_id("bak", services.clock.now())
    if not services.locks.lease(FILES_LEASE, owner, LEASE_S):
        raise ConfigError("another backup, or the removal of unused files, runs now; try again later")
    part = path.with_name(f"{path.name}.part")
    try:
        with repeat_every(LEASE_S / 4, lambda: services.locks.lease(FILES_LEASE, owner, LEASE_S)):
            summary = _write_backup(services, part)
            part.replace(path)
    except OSError as error:
        cause = error.strerror or type(error).__name__
        raise ConfigError(f"{part} cannot be written: {cause}; the same command goes on later") from error
    finally:
        services.locks.release(FILES_LEASE, owner)
    return summary


def _write_backup(services: Services, part: Path) -> BackupSummary:
    begun = _read_begun(part) if part.exists() else _Begun()
    if begun.wanted is None or _is_stale(begun, services.clock.now()):
        begun = _Begun()
        part.unlink(missing_ok=True)
    with open_private(part, "r+b" if begun.end else "wb") as file:
        file.truncate(begun.end)
        file.seek(begun.end)
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
            if begun.wanted is None:
                _add_records(services, archive, begun, part)
            for sha256 in begun.wanted or []:
                if sha256 not in begun.blobs:
                    _add(archive, f"blobs/{sha256}", services.blobs.get(Sha256(sha256)))
            manifest = {**begun.format, "files": len(begun.wanted or []), "sums": begun.sums}
            _add(archive, "manifest.json", json.dumps(manifest).encode())
        file.flush()
        os.fsync(file.fileno())
    return _summary(manifest)


def _is_stale(begun: _Begun, now: datetime) -> bool:
    return now - datetime.fromisoformat(begun.format["made_at"]) > RESUMABLE_FOR


def _add_records(services: Services, archive: tarfile.TarFile, begun: _Begun, part: Path) -> None:
    """Add all records of one moment, and the list of the files that they name and the storage has."""
    format_: dict[str, Any] = {"format": FORMAT, "release": __version__, "records": {}}
    format_["made_at"] = services.clock.now().isoformat()
    with open_dump(services.db) as dump:
        format_["schema"] = dump.schema
        for table in dump.tables():
            with tempfile.TemporaryFile(dir=part.parent) as spool:
                format_["records"][table] = _compress(dump.lines(table), spool)
                begun.sums[f"tables/{table}.jsonl.gz"] = _add_file(archive, f"tables/{table}.jsonl.gz", spool)
    begun.wanted = [each.hex() for each in sorted(dump.references) if services.blobs.has(Sha256(each.hex()))]
    format_["missing"] = len(dump.version_files.difference(map(bytes.fromhex, begun.wanted)))
    begun.format = format_
    begun.sums["format.json"] = _add(archive, "format.json", json.dumps(format_).encode())
    begun.sums["blobs.txt"] = _add(archive, "blobs.txt", "\n".join(begun.wanted).encode())


def _compress(lines: Iterator[bytes], spool: IO[bytes]) -> int:
    """Write lines into a temporary file, compressed; return their number."""
    count = 0
    with gzip.GzipFile(fileobj=spool, mode="wb", mtime=0, compresslevel=6) as packed:
        for line in lines:
            packed.write(line)
            count += 1
    return count


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> str:
    """Add a member; return its SHA-256."""
    return _add_file(archive, name, io.BytesIO(data))


def _add_file(archive: tarfile.TarFile, name: str, file: IO[bytes]) -> str:
    info = tarfile.TarInfo(name)
    info.size, info.mode = file.seek(0, os.SEEK_END), 0o600
    file.seek(0)
    archive.addfile(info, file)
    archive.members = []  # type: ignore[attr-defined]  # it would remember all, however many there are
    file.seek(0)
    return _sha256(file)


def _members(archive: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, IO[bytes]]]:
    """Yield the files in an archive, and remember none of them.

    Raises:
        ConfigError: there is something else in it.
    """
    while member := archive.next():
        archive.members = []  # type: ignore[attr-defined]
        file = archive.extractfile(member)
        if file is None:
            raise ConfigError(f"this is no backup of dam-connector: {member.name} is no file")
        yield member, file


def _sha256(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while data := file.read(CHUNK_BYTES):
        digest.update(data)
    return digest.hexdigest()


def _read_begun(part: Path) -> _Begun:
    """Return the whole members at the beginning of an incomplete backup."""
    begun, size = _Begun(), part.stat().st_size
    try:
        with tarfile.open(part, "r:") as archive:
            for member, file in _members(archive):
                end = member.offset_data + -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
                if end > size or member.name == "manifest.json":
                    break
                if not _note_member(begun, member, file):
                    break
                begun.end = end
    except (tarfile.TarError, ConfigError, OSError, ValueError, KeyError):
        return begun if begun.wanted is not None else _Begun()
    return begun


def _note_member(begun: _Begun, member: tarfile.TarInfo, file: IO[bytes]) -> bool:
    """Note a member of an incomplete backup; return False if it is damaged."""
    digest = _sha256(file)
    if member.name.startswith("blobs/"):
        begun.blobs.add(digest)
        return digest == member.name.removeprefix("blobs/")
    begun.sums[member.name] = digest
    file.seek(0)
    if member.name == "format.json":
        begun.format = json.loads(file.read())
    if member.name == "blobs.txt":
        begun.wanted = file.read().decode().split()
    return True


def check_backup(path: Path) -> BackupSummary:
    """Check that a backup is complete, undamaged, and of a schema that this release knows.

    Raises:
        ConfigError: it is not.
    """
    sums, blobs, manifest = dict[str, str](), set[str](), dict[str, Any]()
    try:
        with tarfile.open(path, "r:") as archive:
            for member, file in _members(archive):
                if member.name == "manifest.json":
                    manifest = json.loads(file.read())
                elif member.name.startswith("blobs/"):
                    blobs.add(_checked_blob(path, member.name, _sha256(file)))
                else:
                    sums[member.name] = _sha256(file)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise ConfigError(f"{path} is damaged, or no backup of dam-connector: {error}") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    if not manifest:
        raise ConfigError(f"{path} is incomplete: its manifest is missing")
    try:
        _check_manifest(path, manifest, sums, blobs)
        return _summary(manifest)
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path} is damaged: its manifest lacks {error}; use another backup") from error


def _checked_blob(path: Path, name: str, digest: str) -> str:
    if name != f"blobs/{digest}":
        raise ConfigError(f"{path} is damaged: {name} has other bytes than were stored; use another backup")
    return digest


def _check_manifest(path: Path, manifest: dict[str, Any], sums: dict[str, str], blobs: set[str]) -> None:
    if manifest.get("format") != FORMAT:
        raise ConfigError(f"{path} is of a newer release ({manifest.get('release')}); install that one")
    if manifest["schema"] not in known_schemas():
        raise ConfigError(
            f"{path} has schema {manifest['schema']} of release {manifest['release']}, which is newer than "
            f"this one ({__version__}, schema {known_schemas()[-1]}); install that release and restore again"
        )
    wrong = sorted(
        name for name in {*sums, *manifest["sums"]} if sums.get(name) != manifest["sums"].get(name)
    )
    if wrong or len(blobs) != manifest["files"]:
        detail = ", ".join(wrong) or f"{len(blobs)} of {manifest['files']} files are there"
        raise ConfigError(f"{path} is damaged: {detail}; use another backup")


def _summary(manifest: dict[str, Any]) -> BackupSummary:
    return BackupSummary(
        made_at=manifest["made_at"],
        schema=manifest["schema"],
        tables=len(manifest["records"]),
        records=sum(manifest["records"].values()),
        files=manifest["files"],
        missing=manifest["missing"],
    )


def restore_backup(path: Path, db: Database, blobs: Blobs, *, take_over: bool = False) -> BackupSummary:
    """Store a backup in an empty database, of either kind, and a storage of files.

    It is checked as a whole before anything is written. Files come first and records last, in one
    transaction, so that an interrupted restore can be repeated. The storage is marked as the new database's,
    so that no other service, such as the one of the backup, uses the same files.

    Args:
        path: the backup.
        db: the empty database.
        blobs: the storage; empty, or as the same restore left it when it was interrupted.
        take_over: whether the storage may have files and another owner, which is gone.

    Raises:
        ConfigError: the backup is damaged or of a newer schema, or the database or the storage is not empty.
        StorageUnavailable: the database or the storage does not answer.
    """
    summary = check_backup(path)
    require_empty(db)
    mark = _mark_storage(blobs, summary.made_at, take_over)
    with tarfile.open(path, "r:") as archive:
        tables = []
        for member, file in _members(archive):
            if member.name.startswith("blobs/"):
                blobs.put(file.read())
            elif member.name.startswith("tables/"):
                lines = _lines(archive, member)
                if _table(member.name) == "notes":
                    lines = _with_owner(lines, mark.owner, summary.made_at)
                tables.append((_table(member.name), lines))
        load_tables(db, summary.schema, tables)
    blobs.set_mark(StorageMark(owner=mark.owner).text(), replace=True)
    return summary


def _mark_storage(blobs: Blobs, made_at: str, take_over: bool) -> StorageMark:
    """Mark an empty storage for a restore; return the mark, which an interrupted one has set already."""
    found = StorageMark.parse(blobs.mark())
    if found and found.restores == made_at:
        return found
    if not take_over and (found or next(iter(blobs.list()), None)):
        raise ConfigError(
            "the storage is not empty: it has files, maybe of the service that the backup is of; restore "
            "into an empty one with STORAGE_URL",
            "--take-over-storage keeps its files for the restored service, when no other service uses them",
        )
    mark = StorageMark(owner=f"sto_{secrets.token_hex(13)}", restores=made_at)
    if not blobs.set_mark(mark.text(), replace=take_over):
        raise ConfigError("another process has marked the storage meanwhile; try again")
    return mark


def _with_owner(lines: Callable[[], Iterator[bytes]], owner: str, at: str) -> Callable[[], Iterator[bytes]]:
    """Return the lines of the notes with another name of the database: the old one is that of its origin."""

    def read() -> Iterator[bytes]:
        for line in lines():
            if json.loads(line)["name"] not in (OWNER_NOTE, CLAIM_NOTE):
                yield line
        moment = datetime.fromisoformat(at).replace(tzinfo=None).isoformat()
        yield json.dumps({"name": OWNER_NOTE, "value": owner, "at": moment}).encode()

    return read


def _table(name: str) -> str:
    return name.removeprefix("tables/").removesuffix(".jsonl.gz")


def _lines(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Callable[[], Iterator[bytes]]:
    """Return a function that yields the lines of a table."""

    def read() -> Iterator[bytes]:
        file = archive.extractfile(member)
        assert file is not None
        with gzip.open(file, "rb") as lines:
            yield from lines

    return read
