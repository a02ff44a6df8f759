"""Everything a person does to versions: decide, undo, regenerate, enlarge, comment, accept a finding, publish again, withdraw; one version or many."""

from urllib.parse import urlsplit

from flask import Blueprint, abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.issue import Waiver
from dam_connector.domain.version import Version
from dam_connector.errors import Refused, StateConflict
from dam_connector.store.users import UserRole
from dam_connector.usecases import bulk_review, publish, review
from dam_connector.web import formatting
from dam_connector.web.gallery import back_to_gallery, selected_ids
from dam_connector.web.request_context import requires, services, signed_in_user

bp = Blueprint("version_actions", __name__)


@bp.post("/versions/<version_id>/decide")
@requires(UserRole.REVIEWER)
def decide(version_id: str) -> ResponseReturnValue:
    """Record a decision and go on to the next version that waits."""
    found, form = _version(version_id), request.form
    if form.get("verdict") not in set(Verdict):
        abort(400)
    decision = Decision(
        verdict=Verdict(form["verdict"]),
        by=signed_in_user().name,
        reasons=tuple(r[:80] for r in form.getlist("reasons")[:9]),
        note=form.get("note", "")[:2000],
    )
    try:
        go_live_at = formatting.parse_utc_time(form.get("go_live_at", ""))
        review.decide(
            services(),
            found,
            decision,
            source="page",
            delay_s=services().settings.undo_s,
            go_live_at=go_live_at,
        )
    except StateConflict:
        flash(
            f"Somebody was faster: this version is {_version(version_id).state.value.replace('_', ' ')} now.",
            "error",
        )
        return redirect(url_for("versions.version", version_id=version_id))
    flash(
        f"{found.asset.sku} {found.asset.deliverable} V{found.number} {decision.verdict.value}.|{found.id}",
        "undo",
    )
    following = services().assets.page(
        state="in_review", before=found.id, limit=1, oldest_first=True
    ) or services().assets.page(state="in_review", limit=1, oldest_first=True)
    return redirect(
        url_for("versions.version", version_id=following[0].id) if following else url_for("versions.queue")
    )


@bp.post("/versions/<version_id>/undo")
@requires(UserRole.REVIEWER)
def undo(version_id: str) -> ResponseReturnValue:
    try:
        review.undo(services(), _version(version_id), by=signed_in_user().name)
        flash("Undone: the version is in review again.", "info")
    except StateConflict:
        flash("Too late to undo: the version went on meanwhile.", "error")
    return redirect(url_for("versions.version", version_id=version_id))


@bp.post("/versions/<version_id>/regenerate")
@requires(UserRole.REVIEWER)
def regenerate(version_id: str) -> ResponseReturnValue:
    user, generator = signed_in_user(), request.form.get("generator", "")
    if generator and not user.role.includes(UserRole.ADMIN):
        abort(403)
    try:
        run = review.regenerate(
            services(),
            _version(version_id),
            note=request.form.get("note", "")[:2000],
            by=user.name,
            generator=generator,
        )
        flash("The next version is being made." if run else "The next version was asked for before.", "info")
    except Refused as error:
        flash(f"Nothing is made: {error}.", "error")
    return redirect(url_for("versions.version", version_id=version_id))


@bp.post("/versions/<version_id>/upscale")
@requires(UserRole.REVIEWER)
def upscale(version_id: str) -> ResponseReturnValue:
    run = review.upscale(services(), _version(version_id), by=signed_in_user().name)
    flash("A version with twice the pixels is being made." if run else "It was asked for before.", "info")
    return redirect(url_for("versions.version", version_id=version_id))


@bp.post("/versions/<version_id>/comment")
@requires(UserRole.REVIEWER)
def comment(version_id: str) -> ResponseReturnValue:
    text = request.form.get("comment", "").strip()[:2000]
    if text:
        review.comment(services(), _version(version_id), text=text, by=signed_in_user().name)
    return redirect(url_for("versions.version", version_id=version_id))


@bp.post("/versions/<version_id>/waive")
@requires(UserRole.ADMIN)
def waive(version_id: str) -> ResponseReturnValue:
    reason, until = (
        request.form.get("reason", "").strip(),
        formatting.parse_day_end(request.form.get("until", "")),
    )
    if len(reason) < 3:
        flash("Say why the finding is accepted.", "error")
    elif until is not None and until < services().clock.now():
        flash("That day is over: choose a later one, or none.", "error")
    else:
        waiver = Waiver(
            code=request.form.get("code", ""), by=signed_in_user().name, reason=reason[:500], until=until
        )
        review.waive(services(), _version(version_id), waiver)
        flash("Accepted, with your reason on record.", "info")
    return redirect(url_for("versions.version", version_id=version_id))


@bp.post("/versions/<version_id>/rollback")
@requires(UserRole.REVIEWER)
def rollback(version_id: str) -> ResponseReturnValue:
    found = _version(version_id)
    try:
        publish.rollback(services(), found, by=signed_in_user().name)
        flash(f"V{found.number} goes live again.", "info")
    except StateConflict as error:
        flash(f"Nothing was changed: {error}.", "error")
    return redirect(url_for("versions.version", version_id=version_id))


@bp.post("/versions/<version_id>/withdraw")
@requires(UserRole.REVIEWER)
def withdraw(version_id: str) -> ResponseReturnValue:
    found = _version(version_id)
    try:
        publish.withdraw(
            services(), found, by=signed_in_user().name, reason=request.form.get("reason", "")[:500]
        )
        flash(f"V{found.number} is taken off every channel.", "info")
    except StateConflict:
        flash("Nothing was changed: it is not live any more.", "error")
    return redirect(url_for("versions.version", version_id=version_id))


def _version(version_id: str) -> Version:
    return services().assets.get(version_id) or abort(404)


@bp.post("/gallery/<any(approve, reject):action>")
@requires(UserRole.REVIEWER)
def decide_all(action: str) -> ResponseReturnValue:
    """Decide about all that were chosen and are in review; ten seconds to take it back."""
    verdict = Verdict.APPROVED if action == "approve" else Verdict.REJECTED
    reasons = tuple(r[:80] for r in request.form.getlist("reasons")[:9])
    note = request.form.get("note", "").strip()[:2000] if verdict is Verdict.REJECTED else ""
    if verdict is Verdict.REJECTED and not (reasons or note):
        flash("Say why they are rejected: choose a reason, or write a note.", "error")
        return back_to_gallery()
    decision = Decision(verdict=verdict, by=signed_in_user().name, reasons=reasons, note=note)
    outcome = bulk_review.decide_all(services(), selected_ids(), decision, delay_s=services().settings.undo_s)
    _flash_outcome(outcome, verdict.value, "not in review", kind="undo-all")
    return back_to_gallery()


@bp.post("/gallery/undo")
@requires(UserRole.REVIEWER)
def undo_all() -> ResponseReturnValue:
    """Take back what was decided together last."""
    _flash_outcome(
        bulk_review.undo_all(services(), by=signed_in_user().name), "in review again", "gone on meanwhile"
    )
    came_from = urlsplit(request.referrer or "")
    return redirect(
        f"{url_for('gallery.index')}?{came_from.query}"
        if came_from.path == url_for("gallery.index")
        else url_for("gallery.index")
    )


@bp.post("/gallery/regenerate")
@requires(UserRole.REVIEWER)
def regenerate_all() -> ResponseReturnValue:
    note = request.form.get("regenerate-note", "").strip()[:2000]
    _flash_outcome(
        bulk_review.regenerate_all(services(), selected_ids(), note=note, by=signed_in_user().name),
        "being made again",
        "asked for before",
    )
    return back_to_gallery()


@bp.post("/gallery/upscale")
@requires(UserRole.REVIEWER)
def upscale_all() -> ResponseReturnValue:
    _flash_outcome(
        bulk_review.upscale_all(services(), selected_ids(), by=signed_in_user().name),
        "being made with twice the pixels",
        "no still picture, or asked for before",
    )
    return back_to_gallery()


@bp.post("/gallery/comment")
@requires(UserRole.REVIEWER)
def comment_all() -> ResponseReturnValue:
    text = request.form.get("comment", "").strip()[:2000]
    if not text:
        flash("Write a comment first.", "error")
        return back_to_gallery()
    _flash_outcome(
        bulk_review.comment_all(services(), selected_ids(), text=text, by=signed_in_user().name),
        "commented on",
        "not found",
    )
    return back_to_gallery()


def _flash_outcome(outcome: bulk_review.Outcome, done: str, refused: str, kind: str = "info") -> None:
    parts = [
        f"{len(outcome.done)} {done}" if outcome.done else "",
        f"{outcome.refused} {refused}" if outcome.refused else "",
    ]
    flash(
        ", ".join(filter(None, parts)) + "." if any(parts) else "Choose some versions first.",
        kind if outcome.done else "error",
    )
