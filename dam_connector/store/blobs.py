"""Content-addressed storage of bytes, in a folder or in object storage (obstore). Nothing is overwritten."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import from_url

from dam_connector.domain.ids import Sha256
from dam_connector.errors import ConfigError, NotFound, StorageUnavailable
from dam_connector.ports import Blobs
from dam_connector.private_files import make_private_dir


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
            if not target.exists():
                self._write(target, data)
        return sha256

    def _write(self, target: Path, data: bytes) -> None:
        make_private_dir(target.parent)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".new-")
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

    def has(self, sha256: Sha256) -> bool:
        return (self._root / _key(sha256)).exists()


class ObjectBlobs:
    """Blobs in S3, Google Cloud Storage or Azure, written by create-only puts."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def put(self, data: bytes) -> Sha256:
        sha256 = Sha256(hashlib.sha256(data).hexdigest())
        try:
            if not self.has(sha256):
                obstore.put(self._store, _key(sha256), data)
        except AlreadyExistsError:
            pass  # another process put the same bytes there meanwhile
        except obstore.exceptions.BaseError as error:
            raise StorageUnavailable("storage", "put", type(error).__name__) from error
        return sha256

    def get(self, sha256: Sha256) -> bytes:
        try:
            return bytes(obstore.get(self._store, _key(sha256)).bytes())
        except FileNotFoundError as error:
            raise NotFound("storage", "get", sha256) from error
        except obstore.exceptions.BaseError as error:
            raise StorageUnavailable("storage", "get", type(error).__name__) from error

    def has(self, sha256: Sha256) -> bool:
        try:
            obstore.head(self._store, _key(sha256))
        except FileNotFoundError:
            return False
        except obstore.exceptions.BaseError as error:
            raise StorageUnavailable("storage", "head", type(error).__name__) from error
        return True
