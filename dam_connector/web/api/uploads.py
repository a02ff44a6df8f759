"""Endpoints of the API for uploads and batches: check a sheet, begin a batch, watch and control it."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from flask import Response, abort, request, stream_with_context
from flask_smorest.fields import Upload
from marshmallow import Schema

from dam_connector.domain.brought_model import MIME_BY_FORMAT, model_format
from dam_connector.domain.ids import Sha256
from dam_connector.domain.picture_size import picture_size, size_issue
from dam_connector.domain.product import SIGNATURE_BYTES, picture_mime
from dam_connector.errors import InputError, NotFound
from dam_connector.store.batch_records import Batch, BatchProgress, BatchState, RowState
from dam_connector.store.users import UserRole
from dam_connector.usecases import batch_exports, batch_preview, batch_rows, failed_rows
from dam_connector.usecases import batches as bulk
from dam_connector.usecases.source_images import HELD_PREFIX
from dam_connector.web.api.blueprint import (
    bp,
    idempotent,
    idempotent_with_fetches,
    page_body,
    record_response,
)
from dam_connector.web.request_context import requires, services, signed_in_user
from schemas import api as s
from schemas import api_batches as b
from schemas.sheet_table import Sheet
from schemas.sheet_template import MIME, sheet_template
from schemas.uploads import MAX_UPLOAD_BYTES, PictureList, list_pictures, read_uploaded_sheet

ZIP_SIGNATURE = b"PK\x03\x04"  # of XLSX files too


class UploadIn(Schema):
    """A file."""

    file = Upload(required=True)


@bp.url_value_preprocessor
def allow_large_uploads(endpoint: str | None, values: dict[str, object] | None) -> None:
    """Allow larger bodies for uploads than elsewhere."""
    if endpoint == "api.upload":
        request.max_content_length = MAX_UPLOAD_BYTES


@bp.post("/uploads")
@requires(UserRole.MERCHANDISER)
@bp.arguments(UploadIn, location="files")
@bp.response(201, b.UploadOut)
def upload(files: dict[str, Any]) -> dict[str, Any]:
    """Store a sheet, a ZIP of pictures, a photo or a model. The same file again gets the same answer."""
    services().disk.require()
    data = files["file"].read()
    if not data:
        abort(422, "the file is empty")
    mime = picture_mime(data[:SIGNATURE_BYTES]) or (MIME_BY_FORMAT.get(model_format(data), ""))
    if mime.startswith("image/") and len(data) > services().settings.max_picture_bytes:
        abort(413, f"a picture may have {services().settings.max_picture_bytes} bytes at most")
    size, most = picture_size(data), services().settings.max_picture_pixels
    if size and (found := size_issue(size, "/file", max_pixels=most, min_side_px=1)):  # it may be a swatch
        raise InputError.of_issue(found)
    sha256 = services().blobs.put(data)
    return {"sha256": sha256, "bytes": len(data), "mime": mime, "address": f"{HELD_PREFIX}{sha256}"}


@bp.get("/batches/template")
@requires(UserRole.VIEWER)
@bp.arguments(b.TemplateArgs, location="query")
@bp.response(200, b.binary(MIME["csv"]), content_type="text/csv")
@bp.alt_response(200, schema=b.binary(MIME["xlsx"]), content_type=MIME["xlsx"], success=True)
def template(args: dict[str, Any]) -> Response:
    """Return the empty sheet with an example row."""
    return Response(sheet_template(args["format"]), mimetype=MIME[args["format"]])


@bp.post("/batches/check")
@requires(UserRole.MERCHANDISER)
@bp.arguments(b.SheetIn)
@bp.response(200, b.PreviewOut)
def check_sheet(data: dict[str, Any]) -> dict[str, Any]:
    """Check each row of an uploaded sheet; nothing is made."""
    sheet, mapping, package = _read(data)
    pictures = _list(package)
    preview = batch_preview.preview_batch(services(), sheet, mapping, pictures)
    rows = [row for shown in preview.rows.values() for row in shown]
    return {
        **asdict(preview),
        "notes": preview.notes,
        "header": sheet.header,
        "counts": {state.value: count for state, count in preview.counts.items()},
        "rows": [
            {**asdict(row), "forecast": preview.forecasts.get(row.line)}
            for row in sorted(rows, key=lambda row: row.line)
        ],
    }


def _list(package: bytes) -> PictureList:
    """Return the pictures in a ZIP that was uploaded; none where there is no ZIP."""
    if not package:
        return PictureList()
    return list_pictures(package, services().settings.max_picture_bytes)


def _read(data: dict[str, Any]) -> tuple[Sheet, dict[str, str], bytes]:
    """Return the sheet that a request names, its columns by ours, and the ZIP beside it."""
    content, package = _stored_upload(data["sheet"], "sheet"), _stored_upload(data["pictures"], "pictures")
    sheet = read_uploaded_sheet(content)
    return sheet, batch_rows.map_columns(sheet, data["columns"]), package


def _stored_upload(sha256: str, field: str) -> bytes:
    try:
        return services().blobs.get(Sha256(sha256)) if sha256 else b""
    except NotFound as error:
        message = "There is no such upload, or it was deleted meanwhile. Upload the file again."
        raise InputError("sheet.unreadable", message, pointer=f"/json/{field}", measured=sha256) from error


@bp.post("/batches")
@requires(UserRole.MERCHANDISER)
@idempotent_with_fetches
@bp.arguments(b.BatchIn)
@bp.response(202, b.BatchOut)
def begin_batch(data: dict[str, Any]) -> dict[str, Any]:
    """Begin a batch from an uploaded sheet.

    409: there is a batch of this name, or pictures have changed since the check that `check` names.
    """
    services().disk.require()
    sheet, mapping, package = _read(data)
    listed = _list(package)
    if package:
        named = batch_rows.named_pictures(sheet, mapping, listed.files)
        bulk.store_zip_pictures(services(), package, named)
    body: dict[str, Any] = {}

    def record(batch: Batch) -> None:
        body.update(_facts(batch, services().batches.progress(batch.id)))
        record_response(b.BatchOut().dump(body), 202)

    owner = signed_in_user().name
    bulk.start(
        services(),
        data["name"].strip(),
        owner,
        sheet,
        mapping,
        listed,
        check=data["check"],
        record=record,
    )
    return body


@bp.get("/batches")
@requires(UserRole.VIEWER)
@bp.arguments(s.PageArgs, location="query")
@bp.response(200, s.page_of(b.BatchOut))
def list_batches(args: dict[str, Any]) -> dict[str, Any]:
    """List batches with their progress, newest first."""
    found = services().batches.page(before=args["cursor"], limit=args["limit"])
    page = page_body(found, args["limit"])
    progress = services().batches.counts.progress([batch.id for batch in found])
    return {**page, "items": [_facts(batch, progress[batch.id]) for batch in found]}


@bp.get("/batches/<batch_id>")
@requires(UserRole.VIEWER)
@bp.response(200, b.BatchOut)
def batch(batch_id: str) -> dict[str, Any]:
    """Return a batch, by its id or name, with its progress; ask again until `is_over`."""
    found = _batch(batch_id)
    return _facts(found, services().batches.progress(found.id))


@bp.get("/batches/<batch_id>/rows")
@requires(UserRole.VIEWER)
@bp.arguments(b.BatchRowArgs, location="query")
@bp.response(200, s.page_of(b.BatchRowOut))
def list_batch_rows(args: dict[str, Any], batch_id: str) -> dict[str, Any]:
    """List the rows of a batch in the sheet's order.

    A row of whose product nothing usable was made is `failed`, with the reason, like one that the sheet
    spoiled. `progress.failed` of the batch counts the same rows, and the export `failed` has them.
    """
    if args["cursor"] and not (args["cursor"].isascii() and args["cursor"].isdigit()):
        abort(422, "this cursor is not one of a list of rows")
    found = failed_rows.rows_page(
        services(),
        _batch(batch_id),
        state=RowState(args["state"]) if args["state"] else None,
        after=int(args["cursor"] or 0),
        limit=args["limit"],
    )
    return {"items": found, "next": str(found[-1].line) if len(found) == args["limit"] else None}


@bp.get("/batches/<batch_id>/export")
@requires(UserRole.VIEWER)
@bp.arguments(b.ExportArgs, location="query")
@bp.response(200, b.binary("application/jsonl"), content_type="application/jsonl")
@bp.alt_response(200, schema=b.binary("text/csv"), content_type="text/csv", success=True)
@bp.alt_response(200, schema=b.binary("application/zip"), content_type="application/zip", success=True)
def export_batch(args: dict[str, Any], batch_id: str) -> Response:
    """Return the results of a batch: manifest, sheet with states, failed rows, or the files as a ZIP."""
    sv, found = services(), _batch(batch_id)
    if args["format"] == "csv":
        return _text(["\ufeff"], batch_exports.status_csv(sv, found), MIME["csv"])
    if args["format"] == "failed":
        return _text(["\ufeff"], [batch_exports.failed_csv(sv, found)], MIME["csv"])
    lines = batch_exports.json_lines(batch_exports.manifest(sv, found))
    if args["format"] == "jsonl":
        return _text([], lines, "application/jsonl")
    data = batch_exports.stream_zip(sv, batch_exports.exported_versions(sv, found), manifest=lines)
    return Response(stream_with_context(data), mimetype="application/zip")


def _text(head: list[str], parts: Iterable[str], mime: str) -> Response:
    encoded = (part.encode() for chunk in (head, parts) for part in chunk)
    return Response(stream_with_context(encoded), mimetype=mime)


@bp.post("/batches/<batch_id>/pause")
@requires(UserRole.MERCHANDISER)
@idempotent
@bp.response(202, b.ControlOut)
def pause_batch(batch_id: str) -> dict[str, Any]:
    """Pause a batch; rows in progress are finished."""
    return _control(batch_id, "pause")


@bp.post("/batches/<batch_id>/resume")
@requires(UserRole.MERCHANDISER)
@idempotent
@bp.response(202, b.ControlOut)
def resume_batch(batch_id: str) -> dict[str, Any]:
    """Go on with a paused batch."""
    return _control(batch_id, "resume")


@bp.post("/batches/<batch_id>/cancel")
@requires(UserRole.MERCHANDISER)
@idempotent
@bp.response(202, b.ControlOut)
def cancel_batch(batch_id: str) -> dict[str, Any]:
    """Cancel a batch; the versions made so far are kept."""
    return _control(batch_id, "cancel")


@bp.post("/batches/<batch_id>/retry")
@requires(UserRole.MERCHANDISER)
@bp.response(202, b.ControlOut)
def retry_batch(batch_id: str) -> dict[str, Any]:
    """Retry the failed rows of a batch; safe to repeat."""
    return _control(batch_id, "retry")


def _control(batch_id: str, action: str) -> dict[str, Any]:
    found = _batch(batch_id)
    outcome = bulk.control(services(), found, action)
    return {**_facts(_batch(found.id), services().batches.progress(found.id)), "outcome": outcome}


def _facts(batch: Batch, progress: BatchProgress) -> dict[str, Any]:
    """Return a batch with its progress."""
    stopped = batch.state in (BatchState.PAUSED, BatchState.CANCELLED)
    facts = {name: getattr(batch, name) for name in ("id", "name", "owner", "created_at", "columns")}
    return {
        **facts,
        "state": batch.state.value,
        "progress": progress,
        "is_over": stopped or not progress.in_progress,
    }


def _batch(batch_id: str) -> Batch:
    """Return a batch, or abort with 404."""
    return services().batches.get(batch_id) or abort(404, "there is no such batch")
