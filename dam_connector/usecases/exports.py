"""Exporting: what was made, to take away: manifests, the sheet with its status, files in their folders or as a ZIP."""

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
from dam_connector.domain.version import Role, VersionFile, VersionState
from dam_connector.errors import NotFound
from dam_connector.store.batches import Batch, BatchRow, RowState
from dam_connector.store.gallery import ManifestVersion, VersionCard
from dam_connector.wiring import Services
from schemas.sheet_template import csv_text

CHUNK_ROWS = 500
ERROR_COLUMN = "error"  # the column that failed rows come back with
STATUS_COLUMN = "status"
KNOWN_STATUS_COLUMNS = ("status", "generation status", "generation_status", "asset status", "asset_status")
EXPORTED_STATES = (
    VersionState.IN_REVIEW,
    VersionState.APPROVED,
    VersionState.PUBLISHED,
)  # what an export of a whole batch holds
ZIP_TIMESTAMP = (1980, 1, 1, 0, 0, 0)  # the same files make the same ZIP
PICTURE_MIMES = ("image/jpeg", "image/png", "image/webp", "image/avif")
_UNTAKEN = {
    RowState.WAITING: RowStatus.WAITING,
    RowState.FAILED: RowStatus.FAILED,
    RowState.CANCELLED: RowStatus.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class RowResult:
    """A row with how it stands: its versions, each asset's newest first, and why it failed."""

    row: BatchRow
    status: RowStatus
    versions: tuple[ManifestVersion, ...]
    error: str


def row_results(services: Services, batch: Batch) -> Iterator[RowResult]:
    """Every row of a batch, in the sheet's order."""
    rows = services.batches.all_rows(batch.id)
    while chunk := list(islice(rows, CHUNK_ROWS)):
        skus = [row.sku for row in chunk if row.state in (RowState.TAKEN, RowState.UNCHANGED)]
        made, making = services.gallery.manifest_versions(skus), services.runs.generation_status(skus)
        for row in chunk:
            yield _told(row, made.get(row.sku, []), *making.get(row.sku, (False, "")))


def _told(row: BatchRow, made: list[ManifestVersion], making: bool, error: str) -> RowResult:
    if row.state in _UNTAKEN:
        return RowResult(row, _UNTAKEN[row.state], (), row.error)
    stands = row_status(is_generating=making, states={m.card.state for m in made})
    codes = dict.fromkeys(code for m in made for code in m.codes)
    why = (
        error or (f"blocked: {', '.join(codes)}" if codes else "nothing could be made")
        if stands is RowStatus.FAILED
        else ""
    )
    return RowResult(row, stands, tuple(made), why)


def manifest(services: Services, batch: Batch) -> Iterator[dict[str, Any]]:
    """A record for each row that is settled, in the sheet's order; docs/bulk.md names the fields."""
    for each in row_results(services, batch):
        if each.status in FINAL_STATUSES:
            yield manifest_record(services, each)


def manifest_record(services: Services, each: RowResult) -> dict[str, Any]:
    """A row as a manifest tells it."""
    if each.status in (RowStatus.FAILED, RowStatus.CANCELLED):
        return {
            "sku": each.row.sku,
            "status": each.status.value.lower(),
            "error": each.error,
            "row": each.row.line,
        }
    versions = [_version(services, made) for made in each.versions]
    pictures = [_file(services, f)["url"] for card in _newest(each.versions) for f in _pictures(card)]
    first = each.versions[0]
    return {
        "sku": each.row.sku,
        "status": "completed",
        "image_count": len(pictures),
        "image_urls": pictures,
        "request_id": first.provenance.get("request_id") or first.run_id,
        "model_actual": first.provenance.get("model_actual")
        or f"{first.provenance.get('generator', 'local')} ({first.provenance.get('tool', '')})",
        "review": each.status.value,
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
    """One record a line."""
    return (json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def status_csv(services: Services, batch: Batch) -> Iterator[str]:
    """The sheet as it was uploaded, with each row's status, in its own column of that name if it has one, and why rows failed."""
    own = next((c for c in batch.columns if c.strip().lower() in KNOWN_STATUS_COLUMNS), "")
    columns = [c for c in batch.columns if c != ERROR_COLUMN]
    header = [*columns, *([] if own else [STATUS_COLUMN]), ERROR_COLUMN]
    yield csv_text([header])
    for each in row_results(services, batch):
        cells = {**each.row.cells, (own or STATUS_COLUMN): each.status.value, ERROR_COLUMN: each.error}
        yield csv_text([[cells.get(name, "") for name in header]])


def failed_csv(services: Services, batch: Batch) -> str:
    """The rows that failed as the sheet had them, with why: a sheet to be mended and uploaded again."""
    columns = tuple(c for c in batch.columns if c != ERROR_COLUMN)
    failed = (each for each in row_results(services, batch) if each.status is RowStatus.FAILED)
    return csv_text(
        chain(
            [[*columns, ERROR_COLUMN]],
            ([*(each.row.cells.get(c, "") for c in columns), each.error] for each in failed),
        )
    )


def _newest(made: Iterable[ManifestVersion]) -> Iterator[VersionCard]:
    """Each asset's first version, which is its newest."""
    return iter({m.card.asset.id: m.card for m in reversed(tuple(made))}.values())


def _pictures(card: VersionCard) -> list[VersionFile]:
    """The pictures that a version shows: each once, whatever formats it comes in."""
    files = [f for f in card.files if f.role is Role.PRIMARY and f.mime in PICTURE_MIMES]
    return list({f.view: f for f in reversed(files)}.values())[::-1]


def exported_versions(services: Services, batch: Batch) -> Iterator[VersionCard]:
    """What a batch has to give: of each asset the newest version that is in review, approved or live."""
    for each in row_results(services, batch):
        yield from _newest(m for m in each.versions if m.card.state in EXPORTED_STATES)


def exported_files(
    services: Services, cards: Iterable[VersionCard]
) -> Iterator[tuple[PurePosixPath, VersionFile]]:
    """Every file that goes out, with its place by the naming rules."""
    rules = services.rules.current()
    for card in cards:
        record = services.products.get(card.asset.sku)
        product = record.product if record else Product(sku=card.asset.sku)
        folder = PurePosixPath(product_folder(product, rules))
        yield from ((folder / f.name, f) for f in card.files if f.role is not Role.EVIDENCE)


def write_folder(services: Services, cards: Iterable[VersionCard], folder: Path) -> int:
    """How many files were written; those that are there already, of the same size, are left. Raises: NotFound."""
    count = 0
    for place, file in exported_files(services, cards):
        target = folder / place
        if not (target.exists() and target.stat().st_size == file.bytes):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(services.blobs.get(file.sha256))
        count += 1
    return count


def stream_zip(
    services: Services, cards: Iterable[VersionCard], manifest: Iterable[str] = ()
) -> Iterator[bytes]:
    """A ZIP of all files in their folders, as it is written: one file in memory at a time; then the manifest, if there is one."""
    out = _Out()
    with zipfile.ZipFile(
        out, "w", zipfile.ZIP_STORED
    ) as package:  # pictures and models are compressed already
        for name, data in _contents(services, cards):
            package.writestr(zipfile.ZipInfo(name, ZIP_TIMESTAMP), data)
            yield out.taken()
        if lines := "".join(manifest):
            package.writestr(zipfile.ZipInfo("manifest.jsonl", ZIP_TIMESTAMP), lines)
    yield out.taken()


def _contents(services: Services, cards: Iterable[VersionCard]) -> Iterator[tuple[str, bytes]]:
    for place, file in exported_files(services, cards):
        try:
            yield str(place), services.blobs.get(file.sha256)
        except NotFound:  # what is lost must not break what is there
            yield f"{place}.missing.txt", f"{file.name} is no longer in storage.".encode()


class _Out(io.RawIOBase):
    """Where a ZIP is written to and taken from piece by piece."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        return len(self._pieces[-1])

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
