"""The gallery: all versions by filters, download of many, and comparison of up to four."""

from dataclasses import replace
from typing import Any

from flask import (
    Blueprint,
    Response,
    abort,
    flash,
    redirect,
    render_template,
    request,
    stream_with_context,
    url_for,
)
from flask.typing import ResponseReturnValue

from dam_connector.domain.version import VersionState
from dam_connector.store.gallery import VISIBLE_STATES, GalleryFilter
from dam_connector.store.users import UserRole
from dam_connector.usecases import batch_exports
from dam_connector.web.request_context import PAGE_SIZE, requires, services

bp = Blueprint("gallery", __name__)
MAX_COUNTED = 200  # counting the versions found stops here
MAX_SELECTED = 2000  # versions that one action takes
MAX_COMPARED = 4  # versions beside each other
FILTER_FIELDS = ("batch", "category", "deliverable", "code", "channel", "text")
MAX_BATCHES_LISTED = 100  # batches to choose from in the filter


@bp.get("/gallery")
@requires(UserRole.VIEWER)
def index() -> ResponseReturnValue:
    """Show the versions that the filters find, newest first."""
    s, gallery_filter = services(), requested_filter()
    cards, found = s.gallery.page_and_count(
        gallery_filter, before=request.args.get("cursor", "")[:40], limit=PAGE_SIZE, max_count=MAX_COUNTED
    )
    records = s.products.names({card.asset.sku for card in cards})
    choices = {kind: s.gallery.tag_values(kind) for kind in ("category", "deliverable", "code")}
    return render_template(
        "gallery.html",
        cards=cards,
        names=records,
        filter=gallery_filter,
        state=request.values.get("state", ""),
        active={name: value for name in FILTER_FIELDS if (value := getattr(gallery_filter, name))},
        choices={**choices, "channel": list(s.rules.current().channel)},
        batches=s.batches.page(limit=MAX_BATCHES_LISTED),
        states=VISIBLE_STATES,
        found=found,
        counted=MAX_COUNTED,
        at_once=MAX_SELECTED,
        reasons=s.rules.current().review.reasons,
        next=cards[-1].id if len(cards) == PAGE_SIZE else None,
    )


def requested_filter() -> GalleryFilter:
    """Return the filter that the request asks for."""
    fields: dict[str, Any] = {name: request.values.get(name, "").strip()[:200] for name in FILTER_FIELDS}
    gallery_filter, state = GalleryFilter(**fields), request.values.get("state", "")
    if state not in set(VersionState):
        return gallery_filter
    return replace(gallery_filter, states=(VersionState(state),))


def selected_ids() -> list[str]:
    """Return the ids of the versions selected in the form: one by one, or all that its filters find."""
    if request.form.get("all"):
        return services().gallery.ids(requested_filter(), limit=MAX_SELECTED)
    return list(dict.fromkeys(request.form.getlist("v")))[:MAX_SELECTED]


def back_to_gallery() -> ResponseReturnValue:
    """Redirect to the gallery with the filters of the form."""
    filters: dict[str, Any] = {
        k: v for k in (*FILTER_FIELDS, "state", "cursor") if (v := request.form.get(k))
    }
    return redirect(url_for("gallery.index", **filters))


@bp.post("/gallery/download")
@requires(UserRole.VIEWER)
def download() -> ResponseReturnValue:
    """Send the files of the selected versions as a ZIP, in their folders and under their names."""
    cards = services().gallery.cards(selected_ids())
    if not cards:
        flash("Select some versions first.", "error")
        return back_to_gallery()
    headers = {"Content-Disposition": "attachment; filename=assets.zip"}
    return Response(
        stream_with_context(batch_exports.stream_zip(services(), cards)),
        mimetype="application/zip",
        headers=headers,
    )


@bp.post("/gallery/compare")
@requires(UserRole.VIEWER)
def start_comparison() -> ResponseReturnValue:
    """Redirect to the comparison of the selected versions, whose address can be shared."""
    ids = selected_ids()
    if not 2 <= len(ids) <= MAX_COMPARED:
        flash(f"Select 2 to {MAX_COMPARED} versions to compare.", "error")
        return back_to_gallery()
    return redirect(url_for("gallery.compare", v=ids))


@bp.get("/compare")
@requires(UserRole.VIEWER)
def compare() -> ResponseReturnValue:
    """Show 2 to 4 versions beside each other: pictures under a slider, models that turn together."""
    ids = list(dict.fromkeys(request.args.getlist("v")))
    versions = [v for version_id in ids if (v := services().assets.get(version_id[:40]))]
    if len(versions) != len(ids) or not 2 <= len(versions) <= MAX_COMPARED:
        abort(404, f"a comparison needs 2 to {MAX_COMPARED} versions that exist; select them in the gallery")
    return render_template(
        "compare.html", versions=versions, names=services().products.names({v.asset.sku for v in versions})
    )
