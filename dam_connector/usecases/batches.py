"""Batches: from an uploaded sheet to products, a row at a time, each on its own.

flow/preview.py reads and judges every row before anything is made; `begin` stores them; `advance` is the job behind it: a few rows, then it goes to the
end of the queue again, in a lane of its own, so that a sheet of 100,000 rows holds up neither a single webhook nor another sheet.
"""

import io
import zipfile
from collections.abc import Mapping
from pathlib import PurePath

import structlog

from dam_connector.domain.ids import Sha256
from dam_connector.domain.issue import Severity
from dam_connector.errors import InputError, NotFound, StateConflict
from dam_connector.store.batches import Batch, BatchRow, BatchState, RowState
from dam_connector.usecases.batch_preview import check_rows, issue_text
from dam_connector.usecases.intake import ingest_product, rerun_product
from dam_connector.wiring import Services
from schemas.sheet import Sheet

log = structlog.get_logger()
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".avif", ".tif", ".tiff")
MIN_ROWS, MAX_ROWS = (
    2,
    100,
)  # of a turn; else one for each worker, so that what is queued keeps all busy and nobody waiting


def start(
    services: Services,
    name: str,
    owner: str,
    sheet: Sheet,
    mapping: Mapping[str, str],
    pictures: Mapping[str, Sha256],
) -> Batch:
    """Store the batch and set it going. Raises: StateConflict when there is one of this name."""
    batch = services.batches.add(name, owner, sheet.header, check_rows(services, sheet, mapping, pictures))
    services.gallery.tag_batch(batch.id)
    services.queue.wake("advance_batch", [batch.wake_token])
    return batch


def advance(services: Services, wake_token: str) -> None:
    """Take the next rows of a batch; while there are more, the next turn waits behind what these rows make.

    So a batch keeps no more rows in the queue than there are workers, and several batches share it row by row.
    """
    batch = services.batches.claim_iteration(wake_token)
    if batch is None:
        return
    limit = min(MAX_ROWS, max(MIN_ROWS, services.queue.workers("advance_bulk_run")))
    rows = services.batches.rows(batch.id, state=RowState.WAITING, limit=limit)
    for row in rows:
        try:
            _take(services, batch, row)
        except Exception as error:  # a row's failure is its own, whatever it is
            log.exception("row_failed", batch_id=batch.id, sku=row.sku)
            services.batches.finish_row(
                row.id, RowState.FAILED, f"could not be taken: {type(error).__name__}; the log has more"
            )
    if len(rows) == limit:
        services.queue.wake("advance_batch", [batch.wake_token])
    else:
        services.batches.finish(batch.id)


def _take(services: Services, batch: Batch, row: BatchRow) -> None:
    """Make the row's product known and plan its runs. What is wrong with it stays its own."""
    if row.product is None:
        services.batches.finish_row(row.id, RowState.FAILED, row.error)
        return
    taken = ingest_product(
        services, row.product, connection="", ref=row.sku, source_time=batch.created_at, batch_id=batch.id
    )
    services.gallery.tag_batch(batch.id, row.sku)
    record = services.products.get(row.sku)
    wrong = [i for i in record.issues if i.severity is Severity.ERROR] if record else []
    if wrong and not taken.planned:
        services.batches.finish_row(row.id, RowState.FAILED, "; ".join(issue_text(i) for i in wrong))
    else:
        services.batches.finish_row(row.id, RowState.TAKEN)


def control(services: Services, batch: Batch, action: str) -> str:
    """Pause, resume, cancel or retry a batch; gives what happened in words.

    Raises: StateConflict when it is in no state for it.
    """
    if action == "pause" and batch.state is BatchState.RUNNING:
        services.batches.set_state(batch.id, BatchState.PAUSED)
        return "paused: rows that are under way are finished"
    if action == "resume" and batch.state is BatchState.PAUSED:
        return _go(services, batch, "going on")
    if action == "cancel" and batch.state in (BatchState.RUNNING, BatchState.PAUSED):
        services.batches.set_state(batch.id, BatchState.CANCELLED)
        return "cancelled: what is made stays"
    if action == "retry" and batch.state is not BatchState.CANCELLED:
        again = services.batches.retry_failed(batch.id)
        retried = sum(
            bool(rerun_product(services, sku, batch_id=batch.id))
            for sku in services.batches.failed_skus(batch.id)
        )
        _go(services, batch, "")
        return (
            f"{again + retried} rows again"
            if again + retried
            else "what failed must be mended in the sheet and uploaded again"
        )
    raise StateConflict(f"the batch is {batch.state.value}: it cannot {action}")


def _go(services: Services, batch: Batch, words: str) -> str:
    services.batches.set_state(batch.id, BatchState.RUNNING)
    services.queue.wake("advance_batch", [find(services, batch.id).wake_token])
    return words


def store_zip_pictures(services: Services, data: bytes, name: str) -> dict[str, Sha256]:
    """The pictures in a ZIP, stored, by file name; folders in it do not count. Raises: InputError sheet.unreadable."""
    found = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            for member in package.infolist():
                base = PurePath(member.filename).name
                if (
                    base.lower().endswith(PICTURE_SUFFIXES)
                    and member.file_size <= services.settings.max_picture_bytes
                ):
                    found[base] = services.blobs.put(package.read(member))
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        raise InputError(
            "sheet.unreadable", f"{name} is neither a folder nor a ZIP that can be read."
        ) from error
    return found


def find(services: Services, id_or_name: str) -> Batch:
    """Raises: NotFound."""
    batch = services.batches.get(id_or_name)
    if batch is None:
        raise NotFound("catalog", "batch", f"there is no batch {id_or_name!r}")
    return batch
