"""Batches: from an uploaded sheet to products, a row at a time, each on its own.

`checked` reads and judges every row before anything is made; `begin` stores them; `advance` is the job behind it: a few rows, then it goes to the
end of the queue again, in a lane of its own, so that a sheet of 100,000 rows holds up neither a single webhook nor another sheet.
"""

import io
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import PurePath

import structlog

from dam_connector.catalog.completeness import product_issues
from dam_connector.catalog.ids import Sha256
from dam_connector.catalog.issue import Issue, Severity, issue
from dam_connector.catalog.product import Product
from dam_connector.catalog.request import tailored
from dam_connector.errors import InputError, NotFound, StateConflict
from dam_connector.flow.intake import HELD, run_again, take_product
from dam_connector.store.batches import Batch, BatchState, NewRow, Row, RowState
from dam_connector.wiring import Services
from schemas.row import COLUMNS, guessed, read_row
from schemas.sheet import Sheet

log = structlog.get_logger()
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".avif", ".tif", ".tiff")
ROWS_A_JOB = 10
KNOWN_AT_ONCE = 500
SHOWN = 200  # rows of each kind that a preview holds


@dataclass(kw_only=True)
class Preview:
    """What a sheet would do. rows: the first of each kind, by state; makes: versions of each deliverable."""

    mapping: Mapping[str, str]
    counts: dict[RowState, int] = field(default_factory=lambda: dict.fromkeys((RowState.WAITING, RowState.FAILED, RowState.UNCHANGED), 0))
    rows: dict[RowState, list[NewRow]] = field(default_factory=dict)
    makes: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def mapping_of(sheet: Sheet, given: Mapping[str, str]) -> dict[str, str]:
    """Our columns to the sheet's: what the caller says, and the rest by its names.

    Raises: InputError sheet.header when a named column is not there, or none holds the SKU.
    """
    unknown = [f"{ours}={theirs}" for ours, theirs in given.items() if ours not in COLUMNS or theirs not in sheet.header]
    if unknown:
        raise InputError("sheet.header", f"There is no such column: {', '.join(unknown)}. The sheet has: {', '.join(sheet.header)}.")
    rest = tuple(name for name in sheet.header if name not in given.values())
    found = {**{ours: theirs for ours, theirs in guessed(rest).items() if ours not in given}, **given}
    if "sku" not in found:
        raise InputError("sheet.header", f"No column holds the SKU. The sheet has: {', '.join(sheet.header)}.", limit="sku")
    return found


def checked(services: Services, sheet: Sheet, mapping: Mapping[str, str], pictures: Mapping[str, Sha256]) -> Iterator[NewRow]:
    """Every row, judged: waiting (good), failed with the reasons, or unchanged. pictures: those beside the sheet, by file name."""
    seen: dict[str, int] = {}
    rows = (_read(line, cells, mapping, pictures, seen, services) for line, cells in sheet.rows)
    while chunk := list(islice(rows, KNOWN_AT_ONCE)):
        known = services.products.facts_of([r.sku for r in chunk if r.product])
        for row in chunk:
            same = row.state is RowState.WAITING and row.product is not None and known.get(row.sku) == row.product
            yield replace(row, state=RowState.UNCHANGED) if same else row


def _read(
    line: int, cells: Mapping[str, str], mapping: Mapping[str, str], pictures: Mapping[str, Sha256], seen: dict[str, int], services: Services
) -> NewRow:
    product, wrong = read_row(cells, mapping)
    sku = cells.get(mapping["sku"], "")
    if product is not None:
        product, missing = _with_pictures(product, pictures)
        wrong = [*missing, *(i for i in product_issues(product, services.rules.current().products) if i.severity is Severity.ERROR)]
    if sku and sku in seen:
        wrong.append(issue("row.duplicate", f"{sku} stands in row {seen[sku]} too.", pointer="/sku", measured=sku))
    seen.setdefault(sku, line)
    state = RowState.FAILED if wrong else RowState.WAITING
    told, codes = "; ".join(_words(i) for i in wrong), tuple(i.code for i in wrong)
    return NewRow(line=line, sku=sku, cells=cells, product=None if wrong else product, state=state, error=told, codes=codes)


def _words(found: Issue) -> str:
    where = f"{found.pointer.strip('/')}: " if found.pointer else ""
    measured, limit = f" ({found.measured})" if found.measured else "", f", wanted: {found.limit}" if found.limit else ""
    return f"{where}{found.message.rstrip('.')}{measured}{limit}"


def _with_pictures(product: Product, pictures: Mapping[str, Sha256]) -> tuple[Product, list[Issue]]:
    """The product with the pictures beside the sheet in the place of their names."""
    images, missing = [], []
    for image in product.images:
        name = image.url.strip()
        if "://" in name:
            images.append(image)
        elif name in pictures:
            images.append(replace(image, url=f"{HELD}{pictures[name]}"))
        else:
            missing.append(
                issue("row.picture", "No such file beside the sheet, and no address.", pointer=f"/images/{image.view}", measured=name[:80])
            )
    return replace(product, images=tuple(images)), missing


def preview(services: Services, sheet: Sheet, mapping: Mapping[str, str], pictures: Mapping[str, Sha256]) -> Preview:
    """What the sheet would do; nothing is stored."""
    said = Preview(mapping=mapping)
    for row in checked(services, sheet, mapping, pictures):
        said.counts[row.state] += 1
        if len(kept := said.rows.setdefault(row.state, [])) < SHOWN:
            kept.append(row)
        if row.state is RowState.WAITING and row.product:
            for name, count in _makes(services, row.product):
                said.makes[name] = said.makes.get(name, 0) + count
    return said


def _makes(services: Services, product: Product) -> Iterator[tuple[str, int]]:
    for deliverable in services.rules.current().deliverables:
        made = tailored(deliverable, product.request)
        if made and made.wanted_for(product.category):
            yield deliverable.name, made.count


def begin(services: Services, name: str, owner: str, sheet: Sheet, mapping: Mapping[str, str], pictures: Mapping[str, Sha256]) -> Batch:
    """Store the batch and set it going. Raises: StateConflict when there is one of this name."""
    batch = services.batches.add(name, owner, sheet.header, checked(services, sheet, mapping, pictures))
    services.gallery.file_batch(batch.id)
    services.queue.wake("advance_batch", [batch.next_turn])
    return batch


def advance(services: Services, turn: str) -> None:
    """Take the next rows of a batch; while there are more, the next turn waits behind what these rows make.

    So a batch keeps no more than ROWS_A_JOB rows in the queue, and several batches share it row by row.
    """
    batch = services.batches.take_turn(turn)
    if batch is None:
        return
    rows = services.batches.rows(batch.id, state=RowState.WAITING, limit=ROWS_A_JOB)
    for row in rows:
        try:
            _take(services, batch, row)
        except Exception as error:  # a row's failure is its own, whatever it is
            log.exception("row_failed", batch_id=batch.id, sku=row.sku)
            services.batches.finish_row(row.id, RowState.FAILED, f"could not be taken: {type(error).__name__}; the log has more")
    if len(rows) == ROWS_A_JOB:
        services.queue.wake("advance_batch", [batch.next_turn])
    else:
        services.batches.finish(batch.id)


def _take(services: Services, batch: Batch, row: Row) -> None:
    """Make the row's product known and plan its runs. What is wrong with it stays its own."""
    if row.product is None:
        services.batches.finish_row(row.id, RowState.FAILED, row.error)
        return
    taken = take_product(services, row.product, connection="", ref=row.sku, source_time=batch.created_at, bulk=True)
    services.gallery.file_batch(batch.id, row.sku)
    record = services.products.get(row.sku)
    wrong = [i for i in record.issues if i.severity is Severity.ERROR] if record else []
    if wrong and not taken.planned:
        services.batches.finish_row(row.id, RowState.FAILED, "; ".join(_words(i) for i in wrong))
    else:
        services.batches.finish_row(row.id, RowState.TAKEN)


def control(services: Services, batch: Batch, what: str) -> str:
    """Pause, resume, cancel or retry a batch; gives what happened in words.

    Raises: StateConflict when it is in no state for it.
    """
    if what == "pause" and batch.state is BatchState.RUNNING:
        services.batches.set_state(batch.id, BatchState.PAUSED)
        return "paused: rows that are under way are finished"
    if what == "resume" and batch.state is BatchState.PAUSED:
        return _go(services, batch, "going on")
    if what == "cancel" and batch.state in (BatchState.RUNNING, BatchState.PAUSED):
        services.batches.set_state(batch.id, BatchState.CANCELLED)
        return "cancelled: what is made stays"
    if what == "retry" and batch.state is not BatchState.CANCELLED:
        again = services.batches.retry_failed(batch.id)
        retried = sum(bool(run_again(services, sku, bulk=True)) for sku in services.batches.broken(batch.id))
        _go(services, batch, "")
        return f"{again + retried} rows again" if again + retried else "what failed must be mended in the sheet and uploaded again"
    raise StateConflict(f"the batch is {batch.state.value}: it cannot {what}")


def _go(services: Services, batch: Batch, words: str) -> str:
    services.batches.set_state(batch.id, BatchState.RUNNING)
    services.queue.wake("advance_batch", [find(services, batch.id).next_turn])
    return words


def zipped(services: Services, data: bytes, name: str) -> dict[str, Sha256]:
    """The pictures in a ZIP, stored, by file name; folders in it do not count. Raises: InputError sheet.unreadable."""
    found = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            for member in package.infolist():
                base = PurePath(member.filename).name
                if base.lower().endswith(PICTURES) and member.file_size <= services.settings.max_picture_bytes:
                    found[base] = services.blobs.put(package.read(member))
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        raise InputError("sheet.unreadable", f"{name} is neither a folder nor a ZIP that can be read.") from error
    return found


def find(services: Services, id_or_name: str) -> Batch:
    """Raises: NotFound."""
    batch = services.batches.get(id_or_name)
    if batch is None:
        raise NotFound("catalog", "batch", f"there is no batch {id_or_name!r}")
    return batch
