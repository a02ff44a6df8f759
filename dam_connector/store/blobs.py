"""Content-addressed storage of bytes, in a folder or in object storage (obstore). Nothing is overwritten."""

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
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import from_url

from dam_connector.domain.ids import Sha256
from dam_connector.errors import ConfigError, NotFound, StorageUnavailable
from dam_connector.ports import Blobs, BlobStream, StoredBlob
from dam_connector.private_files import make_private_dir

RENEW_AFTER = timedelta(hours=12)  # less than half of the shortest time for which unused blobs are kept
TEMPORARY_PREFIX = ".new-"
PART_BYTES = 262_144  # of a blob that is streamed


def open_blobs(location: str) -> Blobs:
    """Open the blob storage at a folder or an object storage URL.

    Args:
        location: A path, or a URL that begins with s3://, gs://, az:// or file://.

    Raises:
        ConfigError: The URL is of an unknown kind.
    """
    if "://" not in location or location.startswith("file://"):
        return FolderBlobs(Path(location.removeprefix("file://")))
    try:
        return ObjectBlobs(from_url(location))
    except Exception as error:
        raise ConfigError("STORAGE_URL is not one of s3://, gs://, az://, file:// or a folder") from error


def _key(sha256: str) -> str:
    if len(sha256) != 64 or not all(c in "0123456789abcdef" for c in sha256):
        raise NotFound("storage", "get", "not a SHA-256")
    return f"{sha256[:2]}/{sha256[2:]}"


def _address(key: str) -> Sha256 | None:
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

    def put(self, data: bytes) -> Sha256:
        sha256 = Sha256(hashlib.sha256(data).hexdigest())
        target = self._root / _key(sha256)
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
        make_private_dir(target.parent)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=TEMPORARY_PREFIX)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def get(self, sha256: Sha256) -> bytes:
        with _translated_errors("get"):
            try:
                return (self._root / _key(sha256)).read_bytes()
            except FileNotFoundError as error:
                raise NotFound("storage", "get", sha256) from error

    def stream(self, sha256: Sha256) -> BlobStream:
        with _translated_errors("get"):
            try:
                file = (self._root / _key(sha256)).open("rb")
            except FileNotFoundError as error:
                raise NotFound("storage", "get", sha256) from error
            return _Parts(
                os.fstat(file.fileno()).st_size, iter(partial(file.read, PART_BYTES), b""), file.close
            )

    def first_bytes(self, sha256: Sha256, count: int) -> bytes:
        with _translated_errors("get"):
            try:
                with (self._root / _key(sha256)).open("rb") as file:
                    return file.read(count)
            except FileNotFoundError as error:
                raise NotFound("storage", "get", sha256) from error

    def has(self, sha256: Sha256) -> bool:
        return (self._root / _key(sha256)).exists()

    def list(self) -> Iterator[StoredBlob]:
        for path in self._root.glob("[0-9a-f][0-9a-f]/*"):
            if (sha256 := _address(f"{path.parent.name}/{path.name}")) is None:
                continue
            with suppress(FileNotFoundError):
                found = path.stat()
                yield StoredBlob(sha256=sha256, bytes=found.st_size, stored_at=_stored_at(found))

    def delete(self, sha256: Sha256, *, stored_before: datetime) -> bool:
        target = self._root / _key(sha256)
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


class _Parts:
    """A blob that is read in parts."""

    def __init__(self, size: int, parts: Iterator[bytes], close: Callable[[], object]) -> None:
        self.size, self._parts, self._close = size, parts, close

    def __iter__(self) -> Iterator[bytes]:
        return self._parts

    def close(self) -> None:
        """Read no further."""
        self._close()


def _parts(sha256: Sha256, found: Any) -> Iterator[bytes]:
    """Yield an object in parts."""
    with _translated_object_errors(sha256):
        for part in found.stream(min_chunk_size=PART_BYTES):
            yield bytes(part)


@contextmanager
def _translated_object_errors(sha256: Sha256) -> Iterator[None]:
    """Raise NotFound or StorageUnavailable for errors of reading an object."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound("storage", "get", sha256) from error
    except obstore.exceptions.BaseError as error:
        raise StorageUnavailable("storage", "get", type(error).__name__) from error


class ObjectBlobs:
    """Blobs in S3, Google Cloud Storage or Azure, written by create-only puts."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def put(self, data: bytes) -> Sha256:
        sha256 = Sha256(hashlib.sha256(data).hexdigest())
        try:
            self._put(sha256, data)
        except AlreadyExistsError:
            pass  # another process put the same bytes there meanwhile
        except obstore.exceptions.BaseError as error:
            raise StorageUnavailable("storage", "put", type(error).__name__) from error
        return sha256

    def _put(self, sha256: Sha256, data: bytes) -> None:
        """Create an object that is missing, never over another one; write an old one again, to renew it."""
        try:
            stored_at: datetime = obstore.head(self._store, _key(sha256))["last_modified"]
        except FileNotFoundError:
            self._create(sha256, data)
            return
        if datetime.now(UTC) - stored_at > RENEW_AFTER:
            obstore.put(self._store, _key(sha256), data, use_multipart=False)

    def _create(self, sha256: Sha256, data: bytes) -> None:
        try:
            obstore.put(self._store, _key(sha256), data, mode="create", use_multipart=False)
        except (
            obstore.exceptions.NotSupportedError
        ):  # AWS_CONDITIONAL_PUT=disabled: the bytes are the same anyway
            obstore.put(self._store, _key(sha256), data, use_multipart=False)

    def stream(self, sha256: Sha256) -> BlobStream:
        with _translated_object_errors(sha256):
            found = obstore.get(self._store, _key(sha256))
            return _Parts(found.meta["size"], _parts(sha256, found), lambda: None)

    def first_bytes(self, sha256: Sha256, count: int) -> bytes:
        with _translated_object_errors(sha256):
            size = obstore.head(self._store, _key(sha256))["size"]
            if not size:
                return b""
            return bytes(obstore.get_range(self._store, _key(sha256), start=0, end=min(count, size)))

    def get(self, sha256: Sha256) -> bytes:
        with _translated_object_errors(sha256):
            return bytes(obstore.get(self._store, _key(sha256)).bytes())

    def has(self, sha256: Sha256) -> bool:
        try:
            obstore.head(self._store, _key(sha256))
        except FileNotFoundError:
            return False
        except obstore.exceptions.BaseError as error:
            raise StorageUnavailable("storage", "head", type(error).__name__) from error
        return True

    def list(self) -> Iterator[StoredBlob]:
        try:
            for page in obstore.list(self._store):
                for found in page:
                    if (sha256 := _address(found["path"])) is not None:
                        yield StoredBlob(sha256=sha256, bytes=found["size"], stored_at=found["last_modified"])
        except obstore.exceptions.BaseError as error:
            raise StorageUnavailable("storage", "list", type(error).__name__) from error

    def delete(self, sha256: Sha256, *, stored_before: datetime) -> bool:
        try:
            if obstore.head(self._store, _key(sha256))["last_modified"] >= stored_before:
                return False
            obstore.delete(self._store, _key(sha256))
        except FileNotFoundError:
            return False
        except obstore.exceptions.BaseError as error:
            raise StorageUnavailable("storage", "delete", type(error).__name__) from error
        return True

    def delete_leftovers(self, before: datetime) -> int:
        return 0  # an object is complete or absent
