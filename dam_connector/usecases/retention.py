"""Retention: one job removes old records, and files that no record names.

A file is removed when no record names its address (`store.table_dump`), and nobody has stored it again for
`DAM_CONNECTOR_KEEP_UNUSED_FILES_DAYS`: files are stored before the record that names them.
"""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import structlog

from dam_connector.domain.ids import Sha256, new_id
from dam_connector.errors import Busy, ConfigError
from dam_connector.store.named_locks import repeat_every
from dam_connector.store.retention import Retention
from dam_connector.store.table_dump import referenced_blobs
from dam_connector.usecases.maintenance import delete_expired
from dam_connector.usecases.storage_owner import require_own_storage
from dam_connector.wiring import Services

log = structlog.get_logger()
FILES_LEASE = "files"  # a backup reads files that a removal must not remove meanwhile
LEASE_S = 60.0
LAST_NOTE = "retention:last"
EVERY = timedelta(days=1)
MIN_BLOB_GRACE = timedelta(days=1)  # longer than any step, upload or backup takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """How much was removed, or would be."""

    deliveries: int = 0
    runs: int = 0
    checkpoints: int = 0  # of runs that stay
    history: int = 0
    expired: int = 0  # answers of the API, tokens, links, half-stored batches
    files: int = 0
    bytes: int = 0  # of these files


def remove_when_due(services: Services) -> bool:
    """Remove old records and unused files once a day; return whether it was time."""
    last = services.notes.get(LAST_NOTE)
    if last and services.clock.now() - datetime.fromisoformat(last) < EVERY:
        return False
    try:
        remove_old(services)
    except Busy as error:  # a backup is made
        log.info("retention_put_off", error=str(error))
        return False
    except ConfigError as error:  # the storage is another one
        log.error("retention_refused", problems=list(error.problems))
    services.notes.set(LAST_NOTE, services.clock.now().isoformat())
    return True


def remove_old(services: Services, *, dry_run: bool = False) -> Removed:
    """Remove old records and unused files, and log how many; with `dry_run` only count them.

    Raises:
        Busy: a backup is being made.
        ConfigError: the storage belongs to another database; nothing is removed.
    """
    require_own_storage(services)
    owner = new_id("gc", services.clock.now())
    if not services.locks.lease(FILES_LEASE, owner, LEASE_S):
        message = "a backup is being made, or another removal runs"
        raise Busy("connector", "gc", message, retry_after_s=LEASE_S)
    try:
        with repeat_every(LEASE_S / 4, lambda: services.locks.lease(FILES_LEASE, owner, LEASE_S)):
            removed = _remove(services, delete=not dry_run)
    finally:
        services.locks.release(FILES_LEASE, owner)
    log.info("old_would_be_removed" if dry_run else "old_removed", **asdict(removed))
    return removed


def _remove(services: Services, *, delete: bool) -> Removed:
    settings, retention = services.settings, Retention(services.db)
    removed = {
        name: remove(services.clock.now() - timedelta(days=days), delete=delete) if days > 0 else 0
        for name, remove, days in (
            ("deliveries", retention.deliveries, settings.keep_deliveries_days),
            ("runs", retention.follow_up_runs, settings.keep_runs_days),
            ("checkpoints", retention.checkpoints, settings.keep_runs_days),
            ("history", retention.history, settings.keep_history_days),
        )
    }
    removed["expired"] = delete_expired(services) if delete else 0
    files, size = remove_unused_files(services, delete=delete)
    return Removed(**removed, files=files, bytes=size)


def remove_unused_files(services: Services, *, delete: bool) -> tuple[int, int]:
    """Remove the files that no record names; return their number and bytes.

    The old files are listed before the records are read. A file that is stored again after that is young
    again, and stays.

    Raises:
        ConfigError: the storage belongs to another database.
    """
    require_own_storage(services)
    days = services.settings.keep_unused_files_days
    if days <= 0:
        return 0, 0
    before = services.clock.now() - max(timedelta(days=days), MIN_BLOB_GRACE)
    old = {
        bytes.fromhex(blob.sha256): blob.bytes for blob in services.blobs.list() if blob.stored_at < before
    }
    count = size = 0
    unused = old.keys() - referenced_blobs(services.db) if old else set()
    for address in unused:
        if not delete or services.blobs.delete(Sha256(address.hex()), stored_before=before):
            count, size = count + 1, size + old[address]
    if delete:
        services.blobs.delete_leftovers(before)
    return count, size
