"""Bulk uploads: the template, the check before anything is made, the batch on its way, its failed rows back."""

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from dam_connector.catalog.ids import Sha256
from dam_connector.errors import InputError, NotFound, StateConflict
from dam_connector.flow import batches as bulk
from dam_connector.store.batches import Batch, RowState
from dam_connector.store.users import UserRole
from dam_connector.web.context import requires, services, signed_in
from schemas.row import COLUMNS
from schemas.sheet import read_sheet
from schemas.template import MIME, template

bp = Blueprint("batches", __name__, url_prefix="/batches")
MAX_UPLOAD = 500_000_000
MAX_NAME = 200
CARDS = 60


@bp.url_value_preprocessor
def roomy(endpoint: str | None, values: dict[str, object] | None) -> None:
    """Sheets with their pictures are larger than other forms; set before the CSRF check reads the form."""
    request.max_content_length = MAX_UPLOAD


@bp.get("")
@requires(UserRole.VIEWER)
def index() -> ResponseReturnValue:
    """All batches, newest first, each with its bar."""
    found = services().batches.page(before=request.args.get("cursor", ""), limit=30)
    progress = {b.id: services().batches.progress(b.id) for b in found}
    return render_template("batches.html", batches=found, progress=progress, next=found[-1].id if len(found) == 30 else None)


@bp.get("/template.<form>")
@requires(UserRole.VIEWER)
def sheet(form: str) -> ResponseReturnValue:
    """The sheet to fill in."""
    if form not in MIME:
        abort(404)
    headers = {"Content-Disposition": f"attachment; filename=dam-connector-template.{form}"}
    return Response(template(form), mimetype=MIME[form], headers=headers)


@bp.get("/new")
@requires(UserRole.MERCHANDISER)
def new() -> ResponseReturnValue:
    return render_template("batch_new.html")


@bp.post("/check")
@requires(UserRole.MERCHANDISER)
def check() -> ResponseReturnValue:
    """What each row would do. The file is kept, so that it need not be chosen again; nothing is made yet."""
    sheet_id, pictures_id = request.form.get("sheet", ""), request.form.get("pictures_id", "")
    uploaded, package = request.files.get("file"), request.files.get("pictures")
    name = request.form.get("name", "").strip()[:MAX_NAME] or (uploaded.filename if uploaded and uploaded.filename else "upload")
    if uploaded and uploaded.filename:
        sheet_id = services().blobs.put(uploaded.read())
    if package and package.filename:
        pictures_id = services().blobs.put(package.read())
    try:
        read = read_sheet(_held(sheet_id))
        mapping = bulk.mapping_of(read, {c: request.form[f"map-{c}"] for c in COLUMNS if request.form.get(f"map-{c}") in read.header})
        said = bulk.preview(services(), read, mapping, _pictures(pictures_id))
    except InputError as error:
        header = _header(sheet_id)
        return render_template(
            "batch_new.html", problem=error, name=name, header=header, columns=COLUMNS, sheet=sheet_id, pictures_id=pictures_id
        ), 422
    return render_template(
        "batch_check.html", said=said, name=name, header=read.header, columns=COLUMNS, sheet=sheet_id, pictures_id=pictures_id, states=RowState
    )


@bp.post("")
@requires(UserRole.MERCHANDISER)
def begin() -> ResponseReturnValue:
    """Set the checked sheet going."""
    form = request.form
    name = form.get("name", "").strip()[:MAX_NAME] or "upload"
    try:
        read = read_sheet(_held(form.get("sheet", "")))
        mapping = bulk.mapping_of(read, {c: form[f"map-{c}"] for c in COLUMNS if form.get(f"map-{c}") in read.header})
        batch = bulk.begin(services(), name, signed_in().name, read, mapping, _pictures(form.get("pictures_id", "")))
    except (InputError, StateConflict) as error:
        flash(str(error), "error")
        return redirect(url_for("batches.new"))
    return redirect(url_for("batches.batch", batch_id=batch.id))


def _held(sha256: str) -> bytes:
    """An uploaded file. Raises: InputError when there is none."""
    try:
        return services().blobs.get(Sha256(sha256)) if sha256 else b""
    except (NotFound, ValueError) as error:
        raise InputError("sheet.unreadable", "The file is no longer here: choose it again.") from error


def _header(sheet_id: str) -> tuple[str, ...]:
    """The sheet's header, as far as it can be read: to choose its columns by hand."""
    try:
        return read_sheet(_held(sheet_id)).header
    except InputError:
        return ()


def _pictures(pictures_id: str) -> dict[str, Sha256]:
    return bulk.zipped(services(), _held(pictures_id), "the file of pictures") if pictures_id else {}


@bp.get("/<batch_id>")
@requires(UserRole.VIEWER)
def batch(batch_id: str) -> ResponseReturnValue:
    """One batch: how far it is, what failed first, what was made last."""
    found, s = _batch(batch_id), services()
    rows = s.batches.newest(found.id, limit=CARDS)
    versions = {v.asset.id: v for v in reversed(s.assets.of_products([r.sku for r in rows]))}
    return render_template(
        "batch.html",
        batch=found,
        progress=s.batches.progress(found.id),
        failed=s.batches.rows(found.id, state=RowState.FAILED, limit=20),
        versions=sorted(versions.values(), key=lambda v: v.id, reverse=True)[:CARDS],
        now=s.clock.now(),
    )


@bp.get("/<batch_id>/failed_rows.csv")
@requires(UserRole.VIEWER)
def failed(batch_id: str) -> ResponseReturnValue:
    """The rows that failed, with why: to be mended and uploaded again."""
    text = "\ufeff" + bulk.failed_csv(services(), _batch(batch_id))
    return Response(text.encode(), mimetype=MIME["csv"], headers={"Content-Disposition": "attachment; filename=failed_rows.csv"})


@bp.post("/<batch_id>/<any(pause, resume, cancel, retry):what>")
@requires(UserRole.MERCHANDISER)
def control(batch_id: str, what: str) -> ResponseReturnValue:
    found = _batch(batch_id)
    try:
        flash(f"{found.name}: {bulk.control(services(), found, what)}.", "info")
    except StateConflict as error:
        flash(str(error), "error")
    return redirect(url_for("batches.batch", batch_id=found.id))


def _batch(batch_id: str) -> Batch:
    return services().batches.get(batch_id) or abort(404)
