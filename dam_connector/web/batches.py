"""The pages of bulk uploads: template, check of a sheet, progress of a batch, results."""

import json
import threading
import time
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from flask import (
    Blueprint,
    Response,
    abort,
    current_app,
    flash,
    jsonify,
    redirect,
    render_template,
    request,
    stream_with_context,
    url_for,
)
from flask.typing import ResponseReturnValue

from dam_connector.domain.ids import Sha256
from dam_connector.domain.visible_names import visible_part
from dam_connector.errors import InputError, NotFound, StateConflict
from dam_connector.store.batch_records import Batch, RowState
from dam_connector.store.users import UserRole
from dam_connector.usecases import batch_exports, batch_preview, batch_rows
from dam_connector.usecases import batches as bulk
from dam_connector.web.batch_progress import names, newest_cards, progress_facts
from dam_connector.web.request_context import requires, services, signed_in_user
from schemas.sheet_headers import COLUMNS
from schemas.sheet_table import Sheet
from schemas.sheet_template import MIME, sheet_template
from schemas.uploads import MAX_UPLOAD_BYTES, PictureList, list_pictures, read_uploaded_sheet

bp = Blueprint("batches", __name__, url_prefix="/batches")
MAX_NAME_LENGTH = 200
BATCHES_PER_PAGE = 30
EVENT_INTERVAL_S = 2.0  # least time between two events of a stream
STREAM_DURATION_S = 60.0  # the browser opens the next stream by itself


@bp.url_value_preprocessor
def allow_large_uploads(endpoint: str | None, values: dict[str, object] | None) -> None:
    """Allow larger forms than elsewhere, for sheets with pictures; runs before the CSRF check reads them."""
    request.max_content_length = MAX_UPLOAD_BYTES


@bp.get("")
@requires(UserRole.VIEWER)
def index() -> ResponseReturnValue:
    """Show all batches with their progress, newest first."""
    found = services().batches.page(before=request.args.get("cursor", ""), limit=BATCHES_PER_PAGE)
    progress = services().batches.counts.progress([b.id for b in found])
    return render_template(
        "batches.html",
        batches=found,
        progress=progress,
        next=found[-1].id if len(found) == BATCHES_PER_PAGE else None,
    )


@bp.get("/template.<extension>")
@requires(UserRole.VIEWER)
def sheet(extension: str) -> ResponseReturnValue:
    """Send the empty sheet."""
    if extension not in MIME:
        abort(404)
    headers = {"Content-Disposition": f"attachment; filename=dam-connector-template.{extension}"}
    return Response(sheet_template(extension), mimetype=MIME[extension], headers=headers)


@bp.get("/new")
@requires(UserRole.MERCHANDISER)
def new() -> ResponseReturnValue:
    """Show the form for the upload of a sheet."""
    return render_template("batch_new.html")


@bp.post("/check")
@requires(UserRole.MERCHANDISER)
def check() -> ResponseReturnValue:
    """Store an uploaded sheet that can be read, and redirect to its check; nothing is made yet.

    The sheet and the file of pictures are stored when they were read and are within the limits.
    """
    services().disk.require()
    page: dict[str, Any] = {"name": _batch_name(default=_uploaded_name() or "upload")}
    try:
        package = _uploaded("pictures", "pictures_id")
        sheet_data = _uploaded("file", "sheet")
        parsed_sheet = read_uploaded_sheet(sheet_data)
        _list(package)
        page["header"] = parsed_sheet.header
        page["sheet"] = services().blobs.put(sheet_data)
        page["pictures_id"] = services().blobs.put(package) if package else ""
        chosen = _chosen_columns(parsed_sheet)
        batch_rows.map_columns(parsed_sheet, chosen)
    except InputError as error:
        return _page_of_problem(error, page), 422
    return redirect(_check_address(chosen, **page), 303)


@bp.get("/check")
@requires(UserRole.MERCHANDISER)
def checked() -> ResponseReturnValue:
    """Show the result for each row of a sheet that was uploaded, as it is now."""
    return _checked_page(since=request.args.get("since", ""))


def _checked_page(since: str = "", refusal: str = "") -> ResponseReturnValue:
    """Return the page with the check of the sheet that the request names.

    Args:
        since: the id of an earlier check: the rows that have changed since are marked.
        refusal: why no batch was begun from that check.
    """
    services().disk.require()
    page = {name: request.values.get(name, "") for name in ("sheet", "pictures_id")}
    page["name"] = _batch_name(default="upload")
    try:
        parsed_sheet = read_uploaded_sheet(_stored_file(page["sheet"]))
        pictures, chosen = _list(_stored_file(page["pictures_id"])), _chosen_columns(parsed_sheet)
        mapping = batch_rows.map_columns(parsed_sheet, chosen)
        preview = batch_preview.preview_batch(services(), parsed_sheet, mapping, pictures, since=since)
    except InputError as error:
        return _page_of_problem(error, page), 422
    return render_template(
        "batch_check.html",
        preview=preview,
        states=RowState,
        name_problem=bulk.name_problem(services(), page["name"]),
        refusal=refusal,
        address=_check_address(chosen, since=since, **page),
        columns=COLUMNS,
        header=parsed_sheet.header,
        **page,
    )


def _page_of_problem(error: InputError, page: dict[str, Any]) -> str:
    """Return the form for the upload with the error of the sheet, and the files that were stored of it."""
    known = {"columns": COLUMNS, "header": (), "sheet": "", "pictures_id": "", **page}
    return render_template("batch_new.html", problem=error, **known)


def _check_address(chosen: dict[str, str], *, since: str = "", **page: Any) -> str:
    """Return the address of the check of a stored sheet, with the columns that were chosen by hand."""
    given = {"since": since, **{name: page.get(name) for name in ("sheet", "pictures_id", "name")}}
    columns = {f"map-{ours}": theirs for ours, theirs in chosen.items()}
    query: dict[str, Any] = {name: value for name, value in given.items() if value} | columns
    return url_for("batches.checked", **query)


def _list(package: bytes) -> PictureList:
    """Return the pictures in a ZIP that was uploaded; none where there is no ZIP."""
    if not package:
        return PictureList()
    return list_pictures(package, services().settings.max_picture_bytes)


def _store_named_pictures(sheet: Sheet, mapping: dict[str, str], package: bytes, listed: PictureList) -> None:
    """Store the pictures in a ZIP that a sheet names."""
    bulk.store_zip_pictures(services(), package, batch_rows.named_pictures(sheet, mapping, listed.files))


@bp.post("")
@requires(UserRole.MERCHANDISER)
def begin() -> ResponseReturnValue:
    """Start a batch from the sheet that was checked."""
    services().disk.require()
    form = request.form
    try:
        data, package = _stored_file(form.get("sheet", "")), _stored_file(form.get("pictures_id", ""))
        parsed_sheet = read_uploaded_sheet(data)
        mapping = batch_rows.map_columns(parsed_sheet, _chosen_columns(parsed_sheet))
        listed = _list(package)
        if package:
            _store_named_pictures(parsed_sheet, mapping, package, listed)
        batch = bulk.start(
            services(),
            _batch_name(default="upload"),
            signed_in_user().name,
            parsed_sheet,
            mapping,
            listed,
            check=form.get("check", ""),
        )
    except InputError as error:
        flash(str(error), "error")
        return redirect(url_for("batches.new"))
    except StateConflict as error:
        page = _checked_page(since=form.get("check", ""), refusal=f"Nothing was begun: {error}.")
        return current_app.make_response(page).get_data(), 409
    return redirect(url_for("batches.batch", batch_id=batch.id))


def _batch_name(default: str) -> str:
    return visible_part(request.values.get("name", ""))[:MAX_NAME_LENGTH] or default


def _uploaded_name() -> str:
    uploaded = request.files.get("file")
    return visible_part(uploaded.filename or "")[:MAX_NAME_LENGTH] if uploaded else ""


def _chosen_columns(sheet: Sheet) -> dict[str, str]:
    """Return the columns that the request assigns by hand: the sheet's names by ours."""
    given = request.values
    return {c: given[f"map-{c}"] for c in COLUMNS if given.get(f"map-{c}") in sheet.header}


def _uploaded(field: str, stored_field: str) -> bytes:
    """Return the bytes of the file in a field of the form, or of one that was uploaded before."""
    uploaded = request.files.get(field)
    return (
        uploaded.read()
        if uploaded and uploaded.filename
        else _stored_file(request.form.get(stored_field, ""))
    )


def _stored_file(sha256: str) -> bytes:
    """Return the bytes of a file that was uploaded before; empty without a hash.

    Raises:
        InputError: the file was deleted meanwhile, or the hash is none.
    """
    try:
        return services().blobs.get(Sha256(sha256)) if sha256 else b""
    except (NotFound, ValueError) as error:
        raise InputError("sheet.unreadable", "The file was deleted meanwhile. Choose it again.") from error


@bp.get("/<batch_id>")
@requires(UserRole.VIEWER)
def batch(batch_id: str) -> ResponseReturnValue:
    """Show the progress of a batch, its failed rows and its newest versions."""
    found = _batch(batch_id)
    cards = newest_cards(found)
    return render_template(
        "batch.html", batch=found, cards=cards, names=names(cards), **progress_facts(found)
    )


@bp.get("/<batch_id>/now")
@requires(UserRole.VIEWER)
def now(batch_id: str) -> ResponseReturnValue:
    """Send the state of a batch as JSON, for a browser that got no event stream."""
    return jsonify(_snapshot(_batch(batch_id), {}))


@bp.get("/<batch_id>/events")
@requires(UserRole.VIEWER)
def events(batch_id: str) -> ResponseReturnValue:
    """Send changes of a batch as server-sent events.

    A stream keeps one thread busy, so that few may be open. Answer 204 to the others: their browsers ask for
    `/now` every few seconds.
    """
    found = _batch(batch_id)
    free_streams = current_app.extensions.setdefault(
        "streams", threading.BoundedSemaphore(max(1, services().settings.web_threads // 4))
    )
    if not free_streams.acquire(blocking=False):
        return Response(status=204)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    response = Response(
        stream_with_context(_event_stream(found)), mimetype="text/event-stream", headers=headers
    )
    response.call_on_close(free_streams.release)
    return response


def _event_stream(found: Batch) -> Iterator[str]:
    """Yield an event for each change during STREAM_DURATION_S.

    The pauses are ten times as long as the counting takes, so that a stream costs a tenth of a core at most.
    """
    yield "retry: 2000\n\n"
    end_s = time.monotonic() + STREAM_DURATION_S
    sent_states: dict[str, str] = {}
    sent: tuple[str, str] = ("", "")  # the bar and the state of the batch
    while time.monotonic() < end_s:
        started_s = time.monotonic()
        snapshot = _snapshot(_batch(found.id), sent_states)
        if snapshot["cards"] or (snapshot["bar"], snapshot["state"]) != sent:
            sent = (snapshot["bar"], snapshot["state"])
            yield f"data: {json.dumps(snapshot)}\n\n"
        else:
            yield ": still here\n\n"  # writing shows whether the browser is still connected
        if snapshot["over"]:
            return
        time.sleep(max(EVENT_INTERVAL_S, 10 * (time.monotonic() - started_s)))


def _snapshot(found: Batch, sent_states: dict[str, str]) -> dict[str, Any]:
    """Return the progress bar, the cards that changed, newest first, and the state of the batch.

    Args:
        found: the batch.
        sent_states: the state of each version that was sent before, by id; updated.
    """
    cards = [c for c in newest_cards(found) if sent_states.get(c.id) != c.state]
    sent_states.update({c.id: c.state for c in cards})
    facts, known = progress_facts(found), names(cards)
    return {
        "bar": render_template("batch_now.html", batch=found, **facts),
        "cards": [{"id": c.id, "html": render_template("batch_card.html", c=c, names=known)} for c in cards],
        "state": found.state,
        "over": not facts["is_watched"],
    }


@bp.get("/<batch_id>/failed_rows.csv")
@requires(UserRole.VIEWER)
def failed(batch_id: str) -> ResponseReturnValue:
    """Send the failed rows with the reasons as CSV, to be corrected and uploaded again."""
    return _csv_download(
        ["\ufeff", batch_exports.failed_csv(services(), _batch(batch_id))], "failed_rows.csv"
    )


@bp.get("/<batch_id>/status.csv")
@requires(UserRole.VIEWER)
def status(batch_id: str) -> ResponseReturnValue:
    """Send the uploaded sheet with the status of each row as CSV."""
    found = _batch(batch_id)
    return _csv_download(chain(["\ufeff"], batch_exports.status_csv(services(), found)), "status.csv")


def _csv_download(text: Iterable[str], name: str) -> Response:
    """Return a response that downloads the text under a name."""
    lines = stream_with_context(part.encode() for part in text)
    return Response(
        lines, mimetype=MIME["csv"], headers={"Content-Disposition": f"attachment; filename={name}"}
    )


@bp.get("/<batch_id>/manifest.jsonl")
@requires(UserRole.VIEWER)
def manifest(batch_id: str) -> ResponseReturnValue:
    """Send a record for each settled row, one a line."""
    lines = stream_with_context(
        batch_exports.json_lines(batch_exports.manifest(services(), _batch(batch_id)))
    )
    return Response(
        lines,
        mimetype="application/jsonl",
        headers={"Content-Disposition": "attachment; filename=manifest.jsonl"},
    )


@bp.get("/<batch_id>/assets.zip")
@requires(UserRole.VIEWER)
def package(batch_id: str) -> ResponseReturnValue:
    """Send the newest usable version of each asset as a ZIP, in its folders, with the manifest."""
    s, found = services(), _batch(batch_id)
    data = batch_exports.stream_zip(
        s,
        batch_exports.exported_versions(s, found),
        manifest=batch_exports.json_lines(batch_exports.manifest(s, found)),
    )
    return Response(
        stream_with_context(data),
        mimetype="application/zip",
        headers={"Content-Disposition": "attachment; filename=assets.zip"},
    )


@bp.post("/<batch_id>/<any(pause, resume, cancel, retry):action>")
@requires(UserRole.MERCHANDISER)
def control(batch_id: str, action: str) -> ResponseReturnValue:
    """Pause, resume or cancel a batch, or retry its failed rows."""
    found = _batch(batch_id)
    try:
        flash(f"{found.name}: {bulk.control(services(), found, action)}.", "info")
    except StateConflict as error:
        flash(f"Nothing was changed: {error}. This page shows how it is now.", "info")
    return redirect(url_for("batches.batch", batch_id=found.id))


def _batch(batch_id: str) -> Batch:
    """Return a batch, or abort with 404."""
    return services().batches.get(batch_id) or abort(404)
