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
from dam_connector.store.gallery import SHOWN, Wanted
from dam_connector.store.users import UserRole
from dam_connector.usecases import exports
from dam_connector.web.request_context import PAGE, requires, services

bp = Blueprint("gallery", __name__)
COUNTED = 200  # versions found, where they are many
AT_ONCE = 2000  # versions chosen at once
COMPARED = 4
FILTERS = ("batch", "category", "deliverable", "code", "channel", "text")
BATCHES = 100


@bp.get("/gallery")
@requires(UserRole.VIEWER)
def index() -> ResponseReturnValue:
    """Versions that fit the filters, newest first."""
    s, wanted = services(), _wanted()
    cards, found = s.gallery.find(
        wanted, before=request.args.get("cursor", "")[:40], limit=PAGE, most=COUNTED
    )
    records = s.products.names_of({card.asset.sku for card in cards})
    choices = {kind: s.gallery.values(kind) for kind in ("category", "deliverable", "code")}
    return render_template(
        "gallery.html",
        cards=cards,
        names=records,
        wanted=wanted,
        state=request.values.get("state", ""),
        chosen={name: getattr(wanted, name) for name in FILTERS if getattr(wanted, name)},
        choices={**choices, "channel": list(s.rules.current().channel)},
        batches=s.batches.page(limit=BATCHES),
        states=SHOWN,
        found=found,
        counted=COUNTED,
        at_once=AT_ONCE,
        reasons=s.rules.current().review.reasons,
        next=cards[-1].id if len(cards) == PAGE else None,
    )


def _wanted() -> Wanted:
    """The filters of the request."""
    given: dict[str, Any] = {name: request.values.get(name, "").strip()[:200] for name in FILTERS}
    wanted, state = Wanted(**given), request.values.get("state", "")
    return replace(wanted, states=(VersionState(state),)) if state in set(VersionState) else wanted


def chosen_ids() -> list[str]:
    """The ids that the form chose: one by one, or all that its filters find."""
    if request.form.get("all"):
        return services().gallery.ids(_wanted(), limit=AT_ONCE)
    return list(dict.fromkeys(request.form.getlist("v")))[:AT_ONCE]


def back_to_gallery() -> ResponseReturnValue:
    filters: dict[str, Any] = {k: v for k in (*FILTERS, "state", "cursor") if (v := request.form.get(k))}
    return redirect(url_for("gallery.index", **filters))


@bp.post("/gallery/download")
@requires(UserRole.VIEWER)
def download() -> ResponseReturnValue:
    """The chosen versions' files as a ZIP, in their folders and under their names."""
    cards = services().gallery.cards(chosen_ids())
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
def choose_to_compare() -> ResponseReturnValue:
    """On to the comparison, whose address can be shared."""
    chosen = chosen_ids()
    if not 2 <= len(chosen) <= COMPARED:
        flash(f"Choose 2 to {COMPARED} versions to compare.", "error")
        return back_to_gallery()
    return redirect(url_for("gallery.compare", v=chosen))


@bp.get("/compare")
@requires(UserRole.VIEWER)
def compare() -> ResponseReturnValue:
    """2 to 4 versions beside each other: pictures under a slider, models turning together."""
    ids = list(dict.fromkeys(request.args.getlist("v")))
    versions = [v for each in ids if (v := services().assets.get(each[:40]))]
    if len(versions) != len(ids) or not 2 <= len(versions) <= COMPARED:
        abort(404, f"a comparison names 2 to {COMPARED} versions that there are")
    return render_template(
        "compare.html", versions=versions, names=services().products.names_of({v.asset.sku for v in versions})
    )
