"""Content-addressed storage of bytes in a folder. Nothing is overwritten."""

import fcntl
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from dam_connector.domain.ids import Sha256
from dam_connector.errors import FileMissing, StorageUnavailable
from dam_connector.ports import BlobStream, StoredBlob
from dam_connector.private_files import make_private_dir

RENEW_AFTER = timedelta(hours=12)  # less than half of the shortest time for which unused blobs are kept
TEMPORARY_PREFIX = ".new-"
MARK_NAME = "storage-owner.json"  # whose storage it is; no blob has such a name
PART_BYTES = 262_144  # of a blob that is streamed


@contextmanager
def _new_file(folder: Path, data: bytes) -> Iterator[str]:
    """Give a file with some bytes, to be moved to its name. Both survive a power failure afterwards."""
    make_private_dir(folder)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=TEMPORARY_PREFIX)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        Path(temporary).unlink(missing_ok=True)
    entries = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(entries)
    finally:
        os.close(entries)


def blob_key(sha256: str) -> str:
    if len(sha256) != 64 or not all(c in "0123456789abcdef" for c in sha256):
        raise FileMissing("storage", "get", "not a SHA-256")
    return f"{sha256[:2]}/{sha256[2:]}"


def blob_address(key: str) -> Sha256 | None:
    """Return the address of the blob under a key; None for other files."""
    sha256 = key.replace("/", "")
    return Sha256(sha256) if len(key) == 65 and re.fullmatch("[0-9a-f]{64}", sha256) else None


@contextmanager
def _locked(folder: Path, mode: int) -> Iterator[None]:
    """Hold a lock on a folder of blobs, shared or exclusive, among all processes."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, mode)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _translated_errors(operation: str) -> Iterator[None]:
    """Raise StorageUnavailable for errors of the disk, e.g. when it is full."""
    try:
        yield
    except OSError as error:
        raise StorageUnavailable("storage", operation, error.strerror or type(error).__name__) from error


class FolderBlobs:
    """Blobs in a folder on disk.

    A file is written under a temporary name, synced and renamed, so that a blob is complete or absent.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def _missing(self, sha256: Sha256) -> FileMissing:
        return FileMissing("storage", "get", f"the folder {self._root.absolute()} does not have {sha256}")

    def mark(self) -> str:
        with _translated_errors("mark"):
            try:
                return (self._root / MARK_NAME).read_text(errors="replace")
            except FileNotFoundError:
                return ""

    def set_mark(self, text: str, *, replace: bool = False) -> bool:
        place = self._root / MARK_NAME
        with _translated_errors("mark"):
            try:
                with _new_file(self._root, text.encode()) as temporary:
                    (os.replace if replace else os.link)(temporary, place)
            except FileExistsError:
                return self.mark() == text
        return True

    def put(self, data: bytes) -> Sha256:
        sha256 = Sha256(hashlib.sha256(data).hexdigest())
        target = self._root / blob_key(sha256)
        with _translated_errors("put"):
            if not self._renew(target):
                self._write(target, data)
        return sha256

    def _renew(self, target: Path) -> bool:
        """Make an existing blob young again; return False if there is none.

        The lock keeps `delete` from removing it at the same moment.
        """
        try:
            if time.time() - target.stat().st_mtime > RENEW_AFTER.total_seconds():
                with _locked(target.parent, fcntl.LOCK_SH):
                    os.utime(target)
        except FileNotFoundError:
            return False
        return True

    def _write(self, target: Path, data: bytes) -> None:
        with _new_file(target.parent, data) as temporary:
            os.replace(temporary, target)

    def get(self, sha256: Sha256) -> bytes:
        with _translated_errors("get"):
            try:
                return (self._root / blob_key(sha256)).read_bytes()
            except FileNotFoundError as error:
                raise self._missing(sha256) from error

    def stream(self, sha256: Sha256) -> BlobStream:
        with _translated_errors("get"):
            try:
                file = (self._root / blob_key(sha256)).open("rb")
            except FileNotFoundError as error:
                raise self._missing(sha256) from error
            return BlobParts(
                os.fstat(file.fileno()).st_size, iter(partial(file.read, PART_BYTES), b""), file.close
            )

    def first_bytes(self, sha256: Sha256, count: int) -> bytes:
        with _translated_errors("get"):
            try:
                with (self._root / blob_key(sha256)).open("rb") as file:
                    return file.read(count)
            except FileNotFoundError as error:
                raise self._missing(sha256) from error

    def has(self, sha256: Sha256) -> bool:
        return (self._root / blob_key(sha256)).exists()

    def list(self) -> Iterator[StoredBlob]:
        for path in self._root.glob("[0-9a-f][0-9a-f]/*"):
            if (sha256 := blob_address(f"{path.parent.name}/{path.name}")) is None:
                continue
            with suppress(FileNotFoundError):
                found = path.stat()
                yield StoredBlob(sha256=sha256, bytes=found.st_size, stored_at=_stored_at(found))

    def delete(self, sha256: Sha256, *, stored_before: datetime) -> bool:
        target = self._root / blob_key(sha256)
        with _translated_errors("delete"), suppress(FileNotFoundError):
            with _locked(target.parent, fcntl.LOCK_EX):
                if _stored_at(target.stat()) >= stored_before:
                    return False
                target.unlink()
                return True
        return False

    def delete_leftovers(self, before: datetime) -> int:
        count = 0
        for path in self._root.glob(f"[0-9a-f][0-9a-f]/{TEMPORARY_PREFIX}*"):
            with suppress(FileNotFoundError):
                if _stored_at(path.stat()) < before:
                    path.unlink()
                    count += 1
        return count


def _stored_at(status: os.stat_result) -> datetime:
    """Return when a file was stored, rounded as `list` shows it: a finer time would seem to be later."""
    return datetime.fromtimestamp(status.st_mtime, UTC)


class BlobParts:
    """A blob that is read in parts."""

    def __init__(self, size: int, parts: Iterator[bytes], close: Callable[[], object]) -> None:
        self.size, self._parts, self._close = size, parts, close

    def __iter__(self) -> Iterator[bytes]:
        return self._parts

    def close(self) -> None:
        """Read no further."""
        self._close()
