"""Exports: the manifest of a batch, its sheet with the status of each row, files in folders or as a ZIP."""

import io
import json
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from typing import Any

from dam_connector.domain.file_names import product_folder
from dam_connector.domain.product import Product
from dam_connector.domain.row_status import FINAL_STATUSES, RowStatus, row_status
from dam_connector.domain.sku_tokens import apart_folder
from dam_connector.domain.version import Role, VersionFile, VersionState
from dam_connector.errors import NotFound
from dam_connector.store.batch_records import Batch, BatchRow, RowState
from dam_connector.store.gallery import ManifestVersion, VersionCard
from dam_connector.usecases.failed_rows import explain_rows, failed_rows
from dam_connector.wiring import Services
from schemas.sheet_table import surplus_cells
from schemas.sheet_template import csv_text

CHUNK_ROWS = 500  # rows whose versions are read with one query
ERROR_COLUMN = "error"
APPROVED_COLUMN = "approved_assets"
STATUS_COLUMN = "status"
KNOWN_STATUS_COLUMNS = ("status", "generation status", "generation_status", "asset status", "asset_status")
EXPORTED_STATES = (VersionState.IN_REVIEW, VersionState.APPROVED, VersionState.PUBLISHED)  # of a whole batch
APPROVED_STATES = (VersionState.APPROVED, VersionState.PUBLISHED)
OWN_ROLES = (Role.PREVIEW, Role.EVIDENCE)  # of pictures for our pages
ZIP_TIMESTAMP = (1980, 1, 1, 0, 0, 0)  # the same files make the same ZIP
PICTURE_MIMES = ("image/jpeg", "image/png", "image/webp", "image/avif")
_STATUS_WITHOUT_VERSIONS = {
    RowState.WAITING: RowStatus.WAITING,
    RowState.FAILED: RowStatus.FAILED,
    RowState.CANCELLED: RowStatus.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class RowResult:
    """The result of a row of a batch."""

    row: BatchRow
    status: RowStatus
    # The newest version of each asset comes first.
    versions: tuple[ManifestVersion, ...]
    # Why the row failed or makes nothing, for people; else empty.
    text: str
    # The same for programs, with issue codes.
    error: str

    @property
    def approval_counts(self) -> tuple[int, int]:
        """Return how many of its assets are approved or live by their newest version, and of how many."""
        newest = list(_newest(self.versions))
        return sum(card.state in APPROVED_STATES for card in newest), len(newest)


def row_results(services: Services, batch: Batch) -> Iterator[RowResult]:
    """Yield the result of each row of a batch, in the sheet's order."""
    rows = services.batches.all_rows(batch.id)
    while chunk := list(islice(rows, CHUNK_ROWS)):
        skus = [row.sku for row in chunk if row.state not in _STATUS_WITHOUT_VERSIONS]
        versions = services.gallery.manifest_versions(skus)
        generation = services.runs.generation_status(skus)
        statuses = {
            row.id: _status(row, versions.get(row.sku, []), generation.get(row.sku, (False, ""))[0])
            for row in chunk
        }
        taken = [row for row in chunk if row.state not in _STATUS_WITHOUT_VERSIONS]
        failed = [row for row in taken if statuses[row.id] is RowStatus.FAILED]
        reasons = {each.row.id: each for each in explain_rows(services, batch, failed)}
        for row in chunk:
            status, made, reason = statuses[row.id], versions.get(row.sku, []), reasons.get(row.id)
            if reason:
                yield RowResult(row, status, tuple(made), reason.text, reason.error)
            elif row in taken and status is not RowStatus.MAKES_NOTHING:
                yield RowResult(row, status, tuple(made), "", "")
            else:
                yield RowResult(row, status, (), row.error, row.error)


def _status(row: BatchRow, versions: list[ManifestVersion], is_generating: bool) -> RowStatus:
    if row.state in _STATUS_WITHOUT_VERSIONS:
        return _STATUS_WITHOUT_VERSIONS[row.state]
    is_nothing = row.state is RowState.MAKES_NOTHING
    return row_status(
        is_generating=is_generating,
        states={v.card.state for v in versions},
        without=RowStatus.MAKES_NOTHING if is_nothing else RowStatus.FAILED,
    )


def manifest(services: Services, batch: Batch) -> Iterator[dict[str, Any]]:
    """Yield a record for each row with a final status, in the sheet's order; fields: docs/bulk.md."""
    for each in row_results(services, batch):
        if each.status in FINAL_STATUSES:
            yield manifest_record(services, each)


def manifest_record(services: Services, each: RowResult) -> dict[str, Any]:
    """Return the manifest's record of a row."""
    if each.status in (RowStatus.FAILED, RowStatus.CANCELLED, RowStatus.MAKES_NOTHING):
        return {
            "sku": each.row.sku,
            "status": each.status.value.lower().replace(" ", "_"),
            "error": each.error,
            "row": each.row.line,
        }
    versions = [_version(services, made) for made in each.versions]
    pictures = [_file(services, f)["url"] for card in _newest(each.versions) for f in _pictures(card)]
    first = each.versions[0]
    approved, assets = each.approval_counts
    return {
        "sku": each.row.sku,
        "status": "completed",
        "image_count": len(pictures),
        "image_urls": pictures,
        "request_id": first.provenance.get("request_id") or first.run_id,
        "model_actual": first.provenance.get("model_actual")
        or f"{first.provenance.get('generator', 'local')} ({first.provenance.get('tool', '')})",
        "review": each.status.value,
        "approved": approved,
        "assets": assets,
        "cost_usd": round(sum(v["cost_usd"] for v in versions), 6),
        "versions": versions,
        "row": each.row.line,
    }


def _version(services: Services, made: ManifestVersion) -> dict[str, Any]:
    card = made.card
    return {
        "id": card.id,
        "deliverable": card.asset.deliverable,
        "slot": card.asset.slot,
        "version": card.number,
        "state": card.state.value,
        "issues": list(made.codes),
        "cost_usd": float(made.provenance.get("cost_usd") or 0),
        "files": [_file(services, f) for f in card.files if f.role is not Role.EVIDENCE],
    }


def _file(services: Services, file: VersionFile) -> dict[str, Any]:
    url = f"{services.settings.base_url}/files/{file.sha256}/{file.name}"
    return {
        "name": file.name,
        "role": file.role.value,
        "mime": file.mime,
        "bytes": file.bytes,
        "sha256": file.sha256,
        "url": url,
    }


def json_lines(records: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield each record as one line of JSON."""
    return (json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def status_csv(services: Services, batch: Batch) -> Iterator[str]:
    """Yield the uploaded sheet as CSV: the status of each row, why it failed, how many assets are approved.

    The status replaces the sheet's own status column, see `KNOWN_STATUS_COLUMNS`, or gets a column of its
    own. The cells are separated as in that sheet.
    """
    own = next((c for c in batch.columns if c.strip().lower() in KNOWN_STATUS_COLUMNS), "")
    columns = [c for c in batch.columns if c not in (ERROR_COLUMN, APPROVED_COLUMN)]
    header = [*columns, *([] if own else [STATUS_COLUMN]), ERROR_COLUMN, APPROVED_COLUMN]
    yield csv_text([header], batch.delimiter)
    for each in row_results(services, batch):
        approved, assets = each.approval_counts
        cells = {**each.row.cells, (own or STATUS_COLUMN): each.status.value, ERROR_COLUMN: each.text}
        cells[APPROVED_COLUMN] = f"{approved} of {assets}" if assets else ""
        row = [*(cells.get(name, "") for name in header), *surplus_cells(each.row.cells)]
        yield csv_text([row], batch.delimiter)


def failed_csv(services: Services, batch: Batch) -> str:
    """Return the failed rows as CSV with the reasons: a sheet to be corrected and uploaded again.

    Its cells are separated as in the sheet that was uploaded: a spreadsheet opens the one as the other. A row
    with more cells than the header keeps them, so that its reason moves by as many columns. Once they are in
    their columns, the reason is in its own.
    """
    columns = tuple(c for c in batch.columns if c != ERROR_COLUMN)
    failed = failed_rows(services, batch)
    rows = (
        [*(each.row.cells.get(c, "") for c in columns), *surplus_cells(each.row.cells), each.text]
        for each in failed
    )
    return csv_text(chain([[*columns, ERROR_COLUMN]], rows), batch.delimiter)


def _newest(made: Iterable[ManifestVersion]) -> Iterator[VersionCard]:
    """Return the newest version of each asset, which is its first."""
    return iter({m.card.asset.id: m.card for m in reversed(tuple(made))}.values())


def _pictures(card: VersionCard) -> list[VersionFile]:
    """Return the pictures of a version, one for each view, whatever formats it has."""
    files = [f for f in card.files if f.role is Role.PRIMARY and f.mime in PICTURE_MIMES]
    return list({f.view: f for f in reversed(files)}.values())[::-1]


def exported_versions(services: Services, batch: Batch) -> Iterator[VersionCard]:
    """Yield the versions that an export of a batch contains: each asset's newest in `EXPORTED_STATES`."""
    for each in row_results(services, batch):
        yield from _newest(m for m in each.versions if m.card.state in EXPORTED_STATES)


def exported_files(
    services: Services, cards: Iterable[VersionCard]
) -> Iterator[tuple[PurePosixPath, VersionFile]]:
    """Yield the files of some versions, each with its path by the naming rules.

    The pages' own previews are left out; a manifest names their addresses.
    Two files never have the same path: where names of two SKUs, or of two assets of one, are the same on some
    disk, those of the second are in a folder of their own.
    """
    rules = services.rules.current()
    owners: dict[str, str] = {}  # version by path, as disks that do not distinguish case see it
    skus: dict[str, str] = {}  # the same for its SKU
    for card in cards:
        sku = card.asset.sku
        record = services.products.get(sku)
        folder = PurePosixPath(product_folder(record.product if record else Product(sku=sku), rules))
        files = [f for f in card.files if f.role not in OWN_ROLES]
        if any(skus.setdefault(str(folder / f.name).lower(), sku) != sku for f in files):
            folder = PurePosixPath(apart_folder(str(folder), sku))
        if any(owners.setdefault(str(folder / f.name).lower(), card.id) != card.id for f in files):
            folder /= f"{card.asset.deliverable}_{card.asset.slot}_V{card.number}"
        yield from ((folder / f.name, f) for f in files)


def write_folder(services: Services, cards: Iterable[VersionCard], folder: Path) -> int:
    """Write the files of some versions into a folder; return the number of files.

    A file of the same name and size is not written again.

    Raises:
        NotFound: a file is no longer stored.
    """
    count = 0
    for path, file in exported_files(services, cards):
        target = folder / path
        if not (target.exists() and target.stat().st_size == file.bytes):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(services.blobs.get(file.sha256))
        count += 1
    return count


def stream_zip(
    services: Services, cards: Iterable[VersionCard], manifest: Iterable[str] = ()
) -> Iterator[bytes]:
    """Yield a ZIP of the files of some versions in pieces, with one file in memory at a time.

    Args:
        manifest: lines of a manifest, which is added at the end.
    """
    buffer = _ZipBuffer()
    # Pictures and models are compressed already.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as package:
        for name, data in _contents(services, cards):
            package.writestr(zipfile.ZipInfo(name, ZIP_TIMESTAMP), data)
            yield buffer.pop()
        if lines := "".join(manifest):
            package.writestr(zipfile.ZipInfo("manifest.jsonl", ZIP_TIMESTAMP), lines)
    yield buffer.pop()


def _contents(services: Services, cards: Iterable[VersionCard]) -> Iterator[tuple[str, bytes]]:
    for path, file in exported_files(services, cards):
        try:
            yield str(path), services.blobs.get(file.sha256)
        except NotFound:  # a lost file does not prevent the export of the others
            yield f"{path}.missing.txt", f"{file.name} is no longer in storage.".encode()


class _ZipBuffer(io.RawIOBase):
    """A stream that a ZIP is written to, and from which the new bytes are taken."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        return len(self._pieces[-1])

    def pop(self) -> bytes:
        """Return the bytes written since the last call."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
