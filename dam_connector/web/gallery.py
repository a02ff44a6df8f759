"""The gallery: everything that was made, found by what it is; one action on many; versions beside each other."""

from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

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

from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.version import VersionState
from dam_connector.store.gallery import SHOWN, Wanted
from dam_connector.store.users import UserRole
from dam_connector.usecases import bulk_review, exports
from dam_connector.web.request_context import PAGE, requires, services, signed_in

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


def _chosen() -> list[str]:
    """The ids that the form chose: one by one, or all that its filters find."""
    if request.form.get("all"):
        return services().gallery.ids(_wanted(), limit=AT_ONCE)
    return list(dict.fromkeys(request.form.getlist("v")))[:AT_ONCE]


def _back() -> ResponseReturnValue:
    filters: dict[str, Any] = {k: v for k in (*FILTERS, "state", "cursor") if (v := request.form.get(k))}
    return redirect(url_for("gallery.index", **filters))


@bp.post("/gallery/<any(approve, reject):what>")
@requires(UserRole.REVIEWER)
def decide(what: str) -> ResponseReturnValue:
    """Decide about all that were chosen and are in review; ten seconds to take it back."""
    verdict = Verdict.APPROVED if what == "approve" else Verdict.REJECTED
    reasons = tuple(r[:80] for r in request.form.getlist("reasons")[:9])
    note = request.form.get("note", "").strip()[:2000] if verdict is Verdict.REJECTED else ""
    if verdict is Verdict.REJECTED and not (reasons or note):
        flash("Say why they are rejected: choose a reason, or write a note.", "error")
        return _back()
    decision = Decision(verdict=verdict, by=signed_in().name, reasons=reasons, note=note)
    outcome = bulk_review.decide_all(services(), _chosen(), decision, delay_s=services().settings.undo_s)
    _tell(outcome, verdict.value, "not in review", kind="undo-all")
    return _back()


@bp.post("/gallery/undo")
@requires(UserRole.REVIEWER)
def undo() -> ResponseReturnValue:
    """Take back what was decided together last."""
    _tell(bulk_review.undo_all(services(), by=signed_in().name), "in review again", "gone on meanwhile")
    came_from = urlsplit(request.referrer or "")
    return redirect(
        f"{url_for('gallery.index')}?{came_from.query}"
        if came_from.path == url_for("gallery.index")
        else url_for("gallery.index")
    )


@bp.post("/gallery/regenerate")
@requires(UserRole.REVIEWER)
def regenerate() -> ResponseReturnValue:
    note = request.form.get("regenerate-note", "").strip()[:2000]
    _tell(
        bulk_review.regenerate_all(services(), _chosen(), note=note, by=signed_in().name),
        "being made again",
        "asked for before",
    )
    return _back()


@bp.post("/gallery/upscale")
@requires(UserRole.REVIEWER)
def upscale() -> ResponseReturnValue:
    _tell(
        bulk_review.upscale_all(services(), _chosen(), by=signed_in().name),
        "being made with twice the pixels",
        "no still picture, or asked for before",
    )
    return _back()


@bp.post("/gallery/comment")
@requires(UserRole.REVIEWER)
def comment() -> ResponseReturnValue:
    text = request.form.get("comment", "").strip()[:2000]
    if not text:
        flash("Write a comment first.", "error")
        return _back()
    _tell(
        bulk_review.comment_all(services(), _chosen(), text=text, by=signed_in().name),
        "commented on",
        "not found",
    )
    return _back()


def _tell(outcome: bulk_review.Outcome, done: str, refused: str, kind: str = "info") -> None:
    parts = [
        f"{len(outcome.done)} {done}" if outcome.done else "",
        f"{outcome.refused} {refused}" if outcome.refused else "",
    ]
    flash(
        ", ".join(filter(None, parts)) + "." if any(parts) else "Choose some versions first.",
        kind if outcome.done else "error",
    )


@bp.post("/gallery/download")
@requires(UserRole.VIEWER)
def download() -> ResponseReturnValue:
    """The chosen versions' files as a ZIP, in their folders and under their names."""
    cards = services().gallery.cards(_chosen())
    if not cards:
        flash("Choose some versions first.", "error")
        return _back()
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
    chosen = _chosen()
    if not 2 <= len(chosen) <= COMPARED:
        flash(f"Choose 2 to {COMPARED} versions to compare.", "error")
        return _back()
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
