"""Whose storage it is: a mark in the storage names the database whose records name its files.

With a storage of another database, runs would fail for files that are elsewhere, and the removal of unused
files would delete those of the other service. Restored databases get a name of their own.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from dam_connector.domain.ids import new_id
from dam_connector.errors import Busy, ConfigError
from dam_connector.store.blobs import shown_location
from dam_connector.store.file_records import newest_files
from dam_connector.wiring import Services

OWNER_NOTE = "storage:owner"  # the name that this database has in the mark
CLAIM_NOTE = "storage:claim"  # the same, while the first mark is being written
LOCK_TRIES = 40
LOCK_WAIT_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageMark:
    """The content of the mark in a storage."""

    owner: str  # the name of the database
    restores: str = ""  # while a backup is restored: the moment of its records

    @classmethod
    def parse(cls, text: str) -> "StorageMark | None":
        """Return the mark with a text; None where there is none."""
        if not text:
            return None
        try:
            found = json.loads(text)
            return cls(owner=str(found["owner"]), restores=str(found.get("restores", "")))
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls(owner="unreadable")

    def text(self) -> str:
        """Return the text of the mark."""
        return json.dumps(asdict(self))


def require_own_storage(services: Services) -> None:
    """Check that the storage is the one of this database; mark it at the first use.

    Raises:
        ConfigError: it belongs to another database, or it is not the one that has this database's files.
        StorageUnavailable: the storage or the database does not answer.
    """
    owner, mark = services.notes.get(OWNER_NOTE), _mark(services)
    if owner and mark and mark.owner == owner:
        return
    with _locked(services):
        owner, mark = services.notes.get(OWNER_NOTE), _mark(services)  # another process may have marked it
        if owner is None and mark and mark.owner == services.notes.get(CLAIM_NOTE):
            services.notes.set(OWNER_NOTE, mark.owner)  # a first use that was interrupted
        elif owner or mark:
            _check_owner(services, owner, mark)
        else:
            _require_known_files(services)
            _claim(services, replace=False)


def compare_owner(services: Services) -> str:
    """Return where the storage is, for people, unless it belongs to another database. Mark nothing.

    Raises:
        ConfigError: it belongs to another database, or lacks the mark of this one.
        StorageUnavailable: the storage or the database does not answer.
    """
    owner, mark = services.notes.get(OWNER_NOTE), _mark(services)
    claimed = services.notes.get(CLAIM_NOTE)  # of a first use that was interrupted
    if (owner or mark) and not (owner is None and mark and mark.owner == claimed):
        _check_owner(services, owner, mark)
    return _where(services)


def _check_owner(services: Services, owner: str | None, mark: StorageMark | None) -> None:
    where = _where(services)
    if mark is None:
        raise ConfigError(
            f"the storage {where} is not the one that has the files of this database: its mark is missing; "
            "is STORAGE_URL the same everywhere? When all files were moved there: dam-connector claim-storage"
        )
    if mark.owner != owner:
        raise ConfigError(
            f"the storage {where} belongs to another database; set a STORAGE_URL of its own for this one. "
            "When that database is gone for good: dam-connector claim-storage"
        )


def _require_known_files(services: Services) -> None:
    """Check that a storage without a mark has files that this database names, or none at all."""
    where, named = _where(services), newest_files(services.db)
    if named and not any(services.blobs.has(sha256) for sha256 in named):
        raise ConfigError(
            f"the storage {where} has none of the newest files that this database names; "
            "is STORAGE_URL the same everywhere? When they are lost for good: dam-connector claim-storage"
        )
    if not named and services.settings.storage_url and _has_many(services):
        raise ConfigError(
            f"the storage {where} has files already, and this database names none; set a STORAGE_URL of its "
            "own for it. When no other database uses them: dam-connector claim-storage"
        )


def _has_many(services: Services) -> bool:
    """Return whether the storage has more files than checks of an installation leave there."""
    return sum(1 for _, _ in zip(services.blobs.list(), range(2), strict=False)) > 1


def claim_storage(services: Services) -> None:
    """Make the storage this database's, whoever had it before."""
    with _locked(services):
        _claim(services, replace=True)


def _claim(services: Services, *, replace: bool) -> None:
    owner = services.notes.get(OWNER_NOTE) or new_id("sto", services.clock.now())
    services.notes.set(CLAIM_NOTE, owner)
    if not services.blobs.set_mark(StorageMark(owner=owner).text(), replace=replace):
        _check_owner(services, owner, _mark(services))
    services.notes.set(OWNER_NOTE, owner)


def _mark(services: Services) -> StorageMark | None:
    return StorageMark.parse(services.blobs.mark())


def _where(services: Services) -> str:
    return shown_location(services.settings.effective_storage_url)


@contextmanager
def _locked(services: Services) -> Iterator[None]:
    """Hold the lock on the mark, so that processes which start together do not mark two storages."""
    for _ in range(LOCK_TRIES):
        try:
            with services.locks.lock("storage mark"):
                yield
                return
        except Busy:
            time.sleep(LOCK_WAIT_S)
    raise ConfigError("another process has been marking the storage for 20 s; try again")
