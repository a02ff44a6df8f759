"""Batches: from an uploaded sheet to products, row by row.

`start` checks and stores the rows of a sheet. The job `advance` takes in a few rows and then goes to the end
of its queue again. Its queue is apart from that of single products, so a sheet of 100,000 rows delays neither
a webhook nor another sheet.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from hashlib import sha256

import structlog

from dam_connector.domain.ids import Sha256
from dam_connector.domain.issue import Issue, Severity
from dam_connector.domain.notify import NotifyEvent
from dam_connector.domain.visible_names import is_visible_name
from dam_connector.errors import NotFound, Refused, StateConflict, StorageUnavailable
from dam_connector.store.batch_records import (
    Batch,
    BatchRow,
    BatchState,
    NewBatchRow,
    RowState,
    taken_text,
)
from dam_connector.usecases.batch_rows import check_rows, not_taken
from dam_connector.usecases.checked_pictures import read_checked, unchanged
from dam_connector.usecases.failed_rows import NOT_TAKEN_IN, PASSING_CODES, retryable_rows
from dam_connector.usecases.product_intake import IntakeResult, ingest_product
from dam_connector.usecases.retries import rerun_product
from dam_connector.usecases.row_pictures import FilesAtHand, is_taken_in, try_product
from dam_connector.usecases.row_texts import row_text
from dam_connector.usecases.stored_facts import Keep
from dam_connector.wiring import Services
from schemas.sheet_headers import guess_columns
from schemas.sheet_table import Sheet
from schemas.uploads import PictureList, unpack_pictures

log = structlog.get_logger()
# The limits of an iteration. Between them, it takes one row for each worker: enough to keep all of them busy.
MIN_ROWS, MAX_ROWS = 2, 100
INVISIBLE_NAME = "a batch needs a name of visible characters"


def start(
    services: Services,
    name: str,
    owner: str,
    sheet: Sheet,
    mapping: Mapping[str, str],
    listed: PictureList,
    *,
    check: str = "",
    record: Callable[[Batch], object] = lambda _: None,
) -> Batch:
    """Store a batch and start its first iteration.

    Args:
        check: the id of the check of this sheet, `BatchPreview.check`; empty: nobody checked it.
        record: is called with the batch in the transaction that begins it.
        owner: the name of the user who uploaded the sheet.
        mapping: the sheet's column names by our column names.
        listed: the files beside the sheet; those that its cells name are stored.

    Raises:
        Refused: the name has invisible characters.
        StateConflict: a batch of this name exists, or pictures have changed since the check.
        StorageUnavailable: there is less free disk than the reserve, or the database does not answer.
    """
    services.disk.require()
    _require_visible(name)
    at_hand = FilesAtHand(services, listed)
    checked = check_rows(services, sheet, mapping, listed.files, unread=listed.unread)
    if check:
        checked = unchanged(checked, read_checked(services, check))
    rows = (_to_be_stored(_judged(row, at_hand, mapping)) for row in checked)
    batch = services.batches.store(name, owner, sheet.header, rows, delimiter=sheet.delimiter)
    with services.transaction():
        batch = services.batches.begin(batch)
        services.gallery.tag_batch(batch.id)
        services.queue.wake("advance_batch", [batch.wake_token])
        record(batch)
    return batch


def _require_visible(name: str) -> None:
    if not is_visible_name(name):
        raise Refused("batch", "start", INVISIBLE_NAME)


def require_free_name(services: Services, name: str) -> None:
    """Check that a batch can get a name.

    Raises:
        Refused: it has invisible characters.
        StateConflict: a batch of this name exists.
    """
    _require_visible(name)
    if problem := name_problem(services, name):
        raise StateConflict(problem)


def name_problem(services: Services, name: str) -> str:
    """Return why no batch can get a name; empty: one can."""
    if not is_visible_name(name):
        return INVISIBLE_NAME
    return taken_text(name) if services.batches.get(name) else ""


def _judged(row: NewBatchRow, at_hand: FilesAtHand, mapping: Mapping[str, str]) -> NewBatchRow:
    """Return a checked row; one with a picture at hand that is no good is bad, and nobody takes it in."""
    issues = list(at_hand.faults(row)) if is_taken_in(row) else []
    return not_taken(row, issues, mapping) if issues else row


def _to_be_stored(row: NewBatchRow) -> NewBatchRow:
    """Return a checked row as it is stored: the product of one that makes nothing is taken in, too.

    Its product is that of the row alone: the pictures that stay are those that it has when it is taken in.
    """
    row = replace(row, product=row.as_read or row.product)
    is_nothing = row.state is RowState.MAKES_NOTHING
    return replace(row, state=RowState.WAITING, error="", codes=()) if is_nothing else row


def advance(services: Services, wake_token: str) -> None:
    """Take in the next rows of a batch, and queue the next iteration if there are more.

    The next iteration waits behind the runs of these rows. A batch therefore has no more rows in the queue
    than there are workers, and several batches share the workers row by row.

    Args:
        wake_token: identifies the batch and the iteration; an iteration that ran already is skipped.
    """
    if shortage := services.disk.shortage():  # the sweeper wakes the batch again, as an idle one
        log.warning("batch_waits", cause=shortage)
        return
    batch = services.batches.claim_iteration(wake_token)
    if batch is None:
        return
    limit = min(MAX_ROWS, max(MIN_ROWS, services.queue.workers("advance_bulk_run")))
    rows = services.batches.rows(batch.id, state=RowState.WAITING, limit=limit)
    for row in rows:
        try:
            _ingest_row(services, batch, row)
        except StorageUnavailable as error:  # it is no fault of the row, which waits for the sweeper
            log.warning("batch_waits", cause=str(error))
            return
        except Exception as error:  # whatever it is, the other rows go on
            log.exception("row_failed", batch_id=batch.id, sku=row.sku)
            message = f"{NOT_TAKEN_IN}{type(error).__name__}; see the log"
            services.batches.finish_row(row.id, RowState.FAILED, message)
    if len(rows) == limit:
        services.queue.wake("advance_batch", [batch.wake_token])
    else:
        with services.transaction():
            services.batches.finish(batch.id)
            services.outbox.add(NotifyEvent.BATCH_DONE, by=batch.owner, detail=batch.name)


def _ingest_row(services: Services, batch: Batch, row: BatchRow) -> None:
    if row.product is None:
        services.batches.finish_row(row.id, RowState.FAILED, row.error)
        return
    fetched, faults = try_product(services, row.product)
    if faults:  # the product keeps what it has
        services.batches.finish_row(
            row.id,
            RowState.FAILED,
            _errors_text(batch, faults),
            can_be_tried_again={fault.code for fault in faults} <= PASSING_CODES,
        )
        return
    ingest_product(
        services,
        row.product,
        connection="",
        ref=row.sku,
        source_time=batch.created_at,
        batch_id=batch.id,
        keep=Keep.ALL,
        fetched=fetched,
        record=lambda result: _finish_row(services, batch, row, result),
    )


def _finish_row(services: Services, batch: Batch, row: BatchRow, result: IntakeResult) -> None:
    services.gallery.tag_batch(batch.id, row.sku)
    record = services.products.get(row.sku)
    errors = [i for i in record.issues if i.severity is Severity.ERROR] if record else []
    if errors and not result.planned:
        services.batches.finish_row(row.id, RowState.FAILED, _errors_text(batch, errors))
    elif result.makes_nothing:
        services.batches.finish_row(row.id, RowState.MAKES_NOTHING, result.makes_nothing)
    else:
        services.batches.finish_row(row.id, RowState.TAKEN)


def _errors_text(batch: Batch, errors: Iterable[Issue]) -> str:
    mapping = guess_columns(batch.columns)  # what was chosen by hand has our own names
    return "; ".join(row_text(each, mapping) for each in errors)


def control(services: Services, batch: Batch, action: str) -> str:
    """Pause, resume, cancel or retry a batch.

    Args:
        action: `pause`, `resume`, `cancel` or `retry`.

    Returns:
        The result, for people.

    Raises:
        StateConflict: the batch is not in a state for this action.
    """
    if action == "pause" and batch.state is BatchState.RUNNING:
        services.batches.set_state(batch.id, BatchState.PAUSED)
        return "paused: rows in progress are finished"
    if action == "resume" and batch.state is BatchState.PAUSED:
        _resume(services, batch)
        return "resumed"
    if action == "cancel" and batch.state in (BatchState.RUNNING, BatchState.PAUSED):
        services.batches.set_state(batch.id, BatchState.CANCELLED)
        return "cancelled: the versions made so far are kept"
    if action == "retry" and batch.state is not BatchState.CANCELLED:
        return _retry(services, batch)
    raise StateConflict(_refusal(batch.state, action))


def _refusal(state: BatchState, action: str) -> str:
    """Return why a batch in a state refuses an action, and what to do instead, for people."""
    if state is BatchState.CANCELLED:
        instead = "upload the rows that are left as a new batch"
    elif state is BatchState.DONE:
        instead = "all its rows were taken, and what is open is made; retry tries failed rows again"
    else:
        instead = f"{'resume' if state is BatchState.PAUSED else 'pause'}, cancel or retry it"
    return f"the batch is {state.value}: it cannot {action}; {instead}"


def _retry(services: Services, batch: Batch) -> str:
    """Try the rows again that a retry can help; return the result for people.

    Rows that made nothing are taken in again, too: the rules may make something of them by now.
    """
    rows = retryable_rows(services, batch)
    retried = sum(bool(rerun_product(services, sku, batch_id=batch.id)) for sku in rows.skus)
    retried += services.batches.retry_rows(batch.id, RowState.FAILED, rows.not_taken)
    idle = services.batches.retry_rows(batch.id, RowState.MAKES_NOTHING)
    _resume(services, batch)
    counts = {"row": retried, "row that made nothing": idle}
    texts = [
        f"1 {what} is retried" if n == 1 else f"{n} {what.replace('row', 'rows')} are retried"
        for what, n in counts.items()
        if n
    ]
    return (
        ", ".join(texts) or "no row can be retried: correct the failed rows in the sheet and upload it again"
    )


def _resume(services: Services, batch: Batch) -> None:
    services.batches.set_state(batch.id, BatchState.RUNNING)
    services.queue.wake("advance_batch", [find(services, batch.id).wake_token])


def store_zip_pictures(services: Services, data: bytes, wanted: Collection[Sha256]) -> None:
    """Store the pictures in a ZIP that a sheet names. Other files and too large pictures are left out.

    Args:
        data: the ZIP.
        wanted: the hashes of the pictures to be stored.

    Raises:
        InputError: with code `sheet.unreadable` when the ZIP cannot be read, or exceeds a limit.
        Busy: too many uploads are read at once.
    """
    pictures = unpack_pictures(data, services.settings.max_picture_bytes)
    for _, content in pictures:
        if sha256(content).hexdigest() in wanted:
            services.blobs.put(content)


def find(services: Services, id_or_name: str) -> Batch:
    """Return a batch by its id or name.

    Raises:
        NotFound: there is no such batch.
    """
    batch = services.batches.get(id_or_name)
    if batch is None:
        raise NotFound(
            "catalog",
            "batch",
            f"there is no batch {id_or_name!r}; dam-connector batch list, or the page Batches, has all names",
        )
    return batch
