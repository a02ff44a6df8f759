"""The gallery: everything that was made, found by what it is; one action on many; versions beside each other."""

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
from dam_connector.usecases import exports
from dam_connector.web.request_context import PAGE_SIZE, requires, services

bp = Blueprint("gallery", __name__)
MAX_COUNTED = 200  # versions found, where they are many
MAX_SELECTED = 2000  # versions chosen at once
MAX_COMPARED = 4
FILTER_FIELDS = ("batch", "category", "deliverable", "code", "channel", "text")
MAX_BATCHES_LISTED = 100


@bp.get("/gallery")
@requires(UserRole.VIEWER)
def index() -> ResponseReturnValue:
    """Versions that fit the filters, newest first."""
    s, wanted = services(), requested_filter()
    cards, found = s.gallery.page_and_count(
        wanted, before=request.args.get("cursor", "")[:40], limit=PAGE_SIZE, max_count=MAX_COUNTED
    )
    records = s.products.names({card.asset.sku for card in cards})
    choices = {kind: s.gallery.tag_values(kind) for kind in ("category", "deliverable", "code")}
    return render_template(
        "gallery.html",
        cards=cards,
        names=records,
        wanted=wanted,
        state=request.values.get("state", ""),
        chosen={name: getattr(wanted, name) for name in FILTER_FIELDS if getattr(wanted, name)},
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
    """The filters of the request."""
    given: dict[str, Any] = {name: request.values.get(name, "").strip()[:200] for name in FILTER_FIELDS}
    wanted, state = GalleryFilter(**given), request.values.get("state", "")
    return replace(wanted, states=(VersionState(state),)) if state in set(VersionState) else wanted


def selected_ids() -> list[str]:
    """The ids that the form chose: one by one, or all that its filters find."""
    if request.form.get("all"):
        return services().gallery.ids(requested_filter(), limit=MAX_SELECTED)
    return list(dict.fromkeys(request.form.getlist("v")))[:MAX_SELECTED]


def back_to_gallery() -> ResponseReturnValue:
    filters: dict[str, Any] = {
        k: v for k in (*FILTER_FIELDS, "state", "cursor") if (v := request.form.get(k))
    }
    return redirect(url_for("gallery.index", **filters))


@bp.post("/gallery/download")
@requires(UserRole.VIEWER)
def download() -> ResponseReturnValue:
    """The chosen versions' files as a ZIP, in their folders and under their names."""
    cards = services().gallery.cards(selected_ids())
    if not cards:
        flash("Choose some versions first.", "error")
        return back_to_gallery()
    headers = {"Content-Disposition": "attachment; filename=assets.zip"}
    return Response(
        stream_with_context(exports.zip_stream(services(), cards)),
        mimetype="application/zip",
        headers=headers,
    )


@bp.post("/gallery/compare")
@requires(UserRole.VIEWER)
def start_comparison() -> ResponseReturnValue:
    """On to the comparison, whose address can be shared."""
    chosen = selected_ids()
    if not 2 <= len(chosen) <= MAX_COMPARED:
        flash(f"Choose 2 to {MAX_COMPARED} versions to compare.", "error")
        return back_to_gallery()
    return redirect(url_for("gallery.compare", v=chosen))


@bp.get("/compare")
@requires(UserRole.VIEWER)
def compare() -> ResponseReturnValue:
    """2 to 4 versions beside each other: pictures under a slider, models turning together."""
    ids = list(dict.fromkeys(request.args.getlist("v")))
    versions = [v for each in ids if (v := services().assets.get(each[:40]))]
    if len(versions) != len(ids) or not 2 <= len(versions) <= MAX_COMPARED:
        abort(404, f"a comparison names 2 to {MAX_COMPARED} versions that there are")
    return render_template(
        "compare.html", versions=versions, names=services().products.names({v.asset.sku for v in versions})
    )
