"""Content-addressed storage of bytes in S3, Google Cloud Storage or Azure. Nothing is overwritten."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotSupportedError

from dam_connector.domain.ids import Sha256
from dam_connector.errors import FileMissing, StorageUnavailable
from dam_connector.object_storage import MISSING_BUCKET, object_error_cause
from dam_connector.ports import BlobStream, StoredBlob
from dam_connector.store.folder_blobs import (
    MARK_NAME,
    PART_BYTES,
    RENEW_AFTER,
    BlobParts,
    blob_address,
    blob_key,
)

SLOT_WAIT_S = 0.5  # for a slot, where requests at once are bounded
PART_SLOT_WAIT_S = 2.0  # the same within a file that is being sent


class ObjectBlobs:
    """Blobs in S3, Google Cloud Storage or Azure, written by create-only puts."""

    def __init__(self, store: Any, location: str, at_once: int = 0) -> None:
        """Create the blobs in a store.

        Args:
            store: a store of obstore.
            location: its URL, for messages.
            at_once: the most threads that may wait for it at once; others fail. 0: any number.
        """
        self._store, self._location, self._at_once = store, location, at_once
        self._slots = threading.Semaphore(at_once) if at_once else None

    @contextmanager
    def _slot(self, operation: str, wait_s: float = SLOT_WAIT_S) -> Iterator[None]:
        """Hold one of the slots of requests at once, so that a slow storage does not take all threads."""
        if self._slots is None:
            yield
            return
        if not self._slots.acquire(timeout=wait_s):
            message = f"{self._location} is slow: {self._at_once} requests wait for it"
            raise StorageUnavailable("storage", operation, message)
        try:
            yield
        finally:
            self._slots.release()

    @contextmanager
    def _request(self, operation: str, sha256: str = "", wait_s: float = SLOT_WAIT_S) -> Iterator[None]:
        """Raise FileMissing or StorageUnavailable for errors of a request.

        Raises:
            FileMissing: The storage does not have the object, and is there.
            StorageUnavailable: It does not answer, its bucket does not exist, or all slots are taken.
        """
        with self._slot(operation, wait_s):
            try:
                yield
            except FileNotFoundError as error:
                if MISSING_BUCKET.search(str(error)) or self._is_bucket_missing():
                    raise self._unavailable(operation, "the bucket does not exist") from error
                message = f"{self._location} does not have {sha256 or 'it'}"
                raise FileMissing("storage", operation, message) from error
            except AlreadyExistsError:
                raise
            except (BaseError, OSError) as error:
                raise self._unavailable(operation, object_error_cause(error)) from error

    def _unavailable(self, operation: str, cause: str) -> StorageUnavailable:
        return StorageUnavailable("storage", operation, f"{self._location}: {cause}")

    def _is_bucket_missing(self) -> bool:
        """Return whether the whole bucket is missing: a request for one object does not say it."""
        try:
            next(iter(obstore.list(self._store, prefix=MARK_NAME, chunk_size=1)), None)
        except FileNotFoundError:
            return True
        except BaseError as error:
            return bool(MISSING_BUCKET.search(str(error)))
        return False

    def put(self, data: bytes) -> Sha256:
        sha256 = Sha256(hashlib.sha256(data).hexdigest())
        with suppress(AlreadyExistsError), self._request("put"):  # others put the same bytes there meanwhile
            self._put(sha256, data)
        return sha256

    def _put(self, sha256: Sha256, data: bytes) -> None:
        """Create an object that is missing, never over another one; write an old one again, to renew it."""
        try:
            stored_at: datetime = obstore.head(self._store, blob_key(sha256))["last_modified"]
        except FileNotFoundError:
            self._create(blob_key(sha256), data)
            return
        if datetime.now(UTC) - stored_at > RENEW_AFTER:
            obstore.put(self._store, blob_key(sha256), data, use_multipart=False)

    def _create(self, key: str, data: bytes) -> None:
        try:
            obstore.put(self._store, key, data, mode="create", use_multipart=False)
        except NotSupportedError:  # AWS_CONDITIONAL_PUT=disabled: the bytes are the same anyway
            obstore.put(self._store, key, data, use_multipart=False)

    def stream(self, sha256: Sha256) -> BlobStream:
        key = blob_key(sha256)
        with self._request("get", sha256):
            found = obstore.get(self._store, key)
            return BlobParts(found.meta["size"], self._parts(sha256, found), lambda: None)

    def _parts(self, sha256: Sha256, found: Any) -> Iterator[bytes]:
        """Yield an object in parts. A slot is held while a part is read, not while a client takes it."""
        with self._request("get", sha256):
            parts = iter(found.stream(min_chunk_size=PART_BYTES))
        while True:
            with self._request("get", sha256, PART_SLOT_WAIT_S):
                part = next(parts, None)
            if part is None:
                return
            yield bytes(part)

    def first_bytes(self, sha256: Sha256, count: int) -> bytes:
        key = blob_key(sha256)
        with self._request("get", sha256):
            size = obstore.head(self._store, key)["size"]
            if not size:
                return b""
            return bytes(obstore.get_range(self._store, key, start=0, end=min(count, size)))

    def get(self, sha256: Sha256) -> bytes:
        key = blob_key(sha256)
        with self._request("get", sha256):
            return bytes(obstore.get(self._store, key).bytes())

    def has(self, sha256: Sha256) -> bool:
        key = blob_key(sha256)
        with suppress(FileMissing), self._request("head", sha256):
            obstore.head(self._store, key)
            return True
        return False

    def list(self) -> Iterator[StoredBlob]:
        try:
            for page in obstore.list(self._store):
                for found in page:
                    if (sha256 := blob_address(found["path"])) is not None:
                        yield StoredBlob(sha256=sha256, bytes=found["size"], stored_at=found["last_modified"])
        except (BaseError, FileNotFoundError) as error:
            raise self._unavailable("list", object_error_cause(error)) from error

    def delete(self, sha256: Sha256, *, stored_before: datetime) -> bool:
        key = blob_key(sha256)
        with suppress(FileMissing), self._request("delete", sha256):
            if obstore.head(self._store, key)["last_modified"] >= stored_before:
                return False
            obstore.delete(self._store, key)
            return True
        return False

    def mark(self) -> str:
        with suppress(FileMissing), self._request("mark"):
            return bytes(obstore.get(self._store, MARK_NAME).bytes()).decode(errors="replace")
        return ""

    def set_mark(self, text: str, *, replace: bool = False) -> bool:
        with suppress(AlreadyExistsError), self._request("mark"):
            if replace:
                obstore.put(self._store, MARK_NAME, text.encode(), use_multipart=False)
            else:
                self._create(MARK_NAME, text.encode())
            return True
        return self.mark() == text

    def delete_leftovers(self, before: datetime) -> int:
        return 0  # an object is complete or absent
