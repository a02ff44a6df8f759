"""Ports of what the connector itself runs on: time, files, wake-ups and the built-in DAM's records."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from dam_connector.domain.ids import Sha256


class Clock(Protocol):
    """The source of the current time; tests replace it."""

    def now(self) -> datetime:
        """Return the current time, timezone-aware and in UTC."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBlob:
    """A stored blob, without its bytes."""

    sha256: Sha256
    bytes: int
    # When it was stored last; storing the same bytes again renews it, if it is more than half a day old.
    stored_at: datetime


class BlobStream(Protocol):
    """The bytes of a blob, in parts. Whoever opened it closes it."""

    size: int  # in bytes

    def __iter__(self) -> Iterator[bytes]:
        """Yield the parts in order."""
        ...

    def close(self) -> None:
        """Read no further."""
        ...


class Blobs(Protocol):
    """Content-addressed storage of bytes."""

    def put(self, data: bytes) -> Sha256:
        """Store bytes durably and return their address. Storing the same bytes twice costs little."""
        ...

    def get(self, sha256: Sha256) -> bytes:
        """Return the bytes at an address.

        Raises:
            FileMissing: nothing is stored there.
        """
        ...

    def stream(self, sha256: Sha256) -> "BlobStream":
        """Open the bytes at an address, to be read in parts: memory does not grow with their number.

        Raises:
            FileMissing: nothing is stored there.
        """
        ...

    def first_bytes(self, sha256: Sha256, count: int) -> bytes:
        """Return the first bytes at an address, and read no more.

        Raises:
            FileMissing: nothing is stored there.
        """
        ...

    def has(self, sha256: Sha256) -> bool:
        """Return whether bytes are stored at an address."""
        ...

    def list(self) -> Iterator[StoredBlob]:
        """Yield all blobs, in any order. Those that are stored meanwhile may be left out."""
        ...

    def delete(self, sha256: Sha256, *, stored_before: datetime) -> bool:
        """Delete a blob, unless it was stored again at or after a time; return whether it was deleted."""
        ...

    def mark(self) -> str:
        """Return the text that says whose storage this is; empty when nothing says it.

        Raises:
            StorageUnavailable: the storage cannot be read, e.g. since its bucket does not exist.
        """
        ...

    def set_mark(self, text: str, *, replace: bool = False) -> bool:
        """Write the text that says whose storage this is; return False when there is another one.

        Args:
            text: the new mark.
            replace: whether to overwrite another mark.
        """
        ...

    def delete_leftovers(self, before: datetime) -> int:
        """Delete files that writes which were interrupted before a time left; return how many."""
        ...


class LibraryStore(Protocol):
    """Records of the built-in DAM: one for each pushed version. The bytes are in the blob storage."""

    def put(
        self, *, external_id: str, version_id: str, folder: str, state: str, files: Any, metadata: Any
    ) -> str:
        """Store a record once, and return its reference: a repeat leaves the record as it is.

        Args:
            external_id: the same for every try to push one version.
            version_id: the version's id.
            folder: the folder of its files, by the naming rules.
            state: a value of `VersionState`.
            files: the version's files, JSON-serializable.
            metadata: facts to show beside the files, JSON-serializable.
        """
        ...

    def set_state(self, ref: str, state: str) -> bool:
        """Write the state of a record; return whether the record exists."""
        ...

    def get_state(self, ref: str) -> str | None:
        """Return the state of a record, or None if it does not exist."""
        ...

    def newest_file(self, name: str) -> Sha256 | None:
        """Return the content hash of the newest file of this name, or None."""
        ...

    def remove(self, ref: str) -> None:
        """Delete a record, if it exists."""
        ...


class Queue(Protocol):
    """Wake-ups: hints that something is due. The database, not the queue, says what is due."""

    def wake(self, job: str, ids: Iterable[str]) -> bool:
        """Send wake-ups for a job.

        Args:
            job: a name in `queue.JOBS`, e.g. `advance_run`.
            ids: what the job is for: ids of deliveries, runs or batches.

        Returns:
            Whether the queue server accepted them. False, never an exception, while it is away.
        """
        ...

    def length(self, job: str) -> int:
        """Return the number of wake-ups that wait in the queue of a job.

        Raises:
            Unavailable: the queue server is away.
        """
        ...

    def workers(self, job: str) -> int:
        """Return the number of workers that serve the queue of a job; 0 while the queue server is away."""
        ...
