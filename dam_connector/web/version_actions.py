"""The actions of people on versions, one at a time or many from the gallery.

Decide, undo, regenerate, upscale, accept a finding, roll back and withdraw; comments are in comments.py.
"""

from urllib.parse import urlsplit

from flask import Blueprint, abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.issue import Waiver
from dam_connector.domain.version import Version, VersionState
from dam_connector.errors import ProductDeleted, Refused, StateConflict
from dam_connector.store.users import UserRole
from dam_connector.usecases import bulk_review, publish, review, stages
from dam_connector.web import formatting
from dam_connector.web.gallery import back_to_gallery, selected_ids
from dam_connector.web.queue_place import requested_place, requested_query
from dam_connector.web.request_context import requested_text, requires, services, signed_in_user

bp = Blueprint("version_actions", __name__)


@bp.post("/versions/<version_id>/decide")
@requires(UserRole.REVIEWER)
def decide(version_id: str) -> ResponseReturnValue:
    """Record a decision and show the next version in review."""
    found, form = _version(version_id), request.form
    if form.get("verdict") not in set(Verdict):
        abort(400, "choose Approve or Reject on the page of the version")
    decision = Decision(
        verdict=Verdict(form["verdict"]),
        by=signed_in_user().name,
        reasons=tuple(r[:80] for r in form.getlist("reasons")[:9]),
        note=requested_text("note"),
    )
    if found.state is VersionState.IN_REVIEW and not _has_reason(decision):
        flash("Choose a reason for the rejection. A note is optional.", "error")
        return redirect(_address(version_id))
    require_asked(found)
    try:
        go_live_at = formatting.parse_utc_time(form.get("go_live_at", ""))
        ended = review.decide(
            services(),
            found,
            decision,
            source="page",
            delay_s=services().settings.undo_s,
            go_live_at=go_live_at,
            stage=form.get("stage"),
        )
    except ProductDeleted as error:
        flash(f"Not approved: {error}.", "error")
        return redirect(_address(version_id))
    except StateConflict:
        flash(
            f"Somebody else was faster: this version is now {_state_text(_version(version_id))}.",
            "error",
        )
        return redirect(_address(version_id))
    flash(
        f"{found.asset.sku} {found.asset.deliverable} V{found.number} {decision.verdict.value}"
        f"{'' if ended else _next_stage_text(found)}.|{found.id}",
        "undo",
    )
    place = requested_place(found)
    following = place.next_id or next((i for i in place.ids if i != found.id), "")
    return redirect(place.version_address(following) if following else place.address)


def require_asked(version: Version) -> str | None:
    """Return the stage in which the user is asked about a version in review; abort with 403 if in none.

    It is empty without stages, and None for a version that is not in review.
    """
    if version.state is not VersionState.IN_REVIEW:
        return None
    user, pending = signed_in_user(), stages.progress(services(), version).pending
    if pending and not pending.asks(user.name, user.role.included):
        abort(403, f"this version waits for {pending.name}: {pending.who}. Nothing is to be done by you")
    return pending.name if pending else ""


def require_may_undo(version: Version) -> None:
    """Abort with 403 if a stage in which the user is not asked ended the review of a version."""
    user = signed_in_user()
    if not stages.may_undo(services(), version, name=user.name, roles=user.role.included):
        abort(403, "another stage ended this review; who is asked in it can undo that")


def _refused_text() -> str:
    has_stages = bool(services().rules.current().review.stages)
    return "not in review, or not yours to decide" if has_stages else "not in review"


def _next_stage_text(version: Version) -> str:
    pending = stages.progress(services(), version).pending
    return f"; {pending.name} is asked now" if pending else ""


def _requested_reasons() -> tuple[str, ...]:
    return tuple(r[:80] for r in request.form.getlist("reasons")[:9] if r.strip())


def _has_reason(decision: Decision) -> bool:
    """Return whether a decision may be recorded: a rejection needs a reason."""
    return decision.verdict is Verdict.APPROVED or bool(decision.reasons)


def _address(version_id: str) -> str:
    """Return the address of a version in the list that the address of the request names."""
    return url_for("versions.version", version_id=version_id, **requested_query())


@bp.post("/versions/<version_id>/undo")
@requires(UserRole.REVIEWER)
def undo(version_id: str) -> ResponseReturnValue:
    """Take back the decision about a version."""
    found = _version(version_id)
    require_may_undo(found)
    try:
        review.undo(services(), found, by=signed_in_user().name)
        flash("Undone: the version is in review again.", "info")
    except StateConflict:
        flash("Too late to undo: the version was processed meanwhile.", "error")
    return redirect(_address(version_id))


@bp.post("/versions/<version_id>/regenerate")
@requires(UserRole.REVIEWER)
def regenerate(version_id: str) -> ResponseReturnValue:
    """Make the next version; an admin may choose the generator."""
    user, generator = signed_in_user(), request.form.get("generator", "")
    if generator and not user.role.includes(UserRole.ADMIN):
        abort(403, "only admins may choose the generator; regenerate without choosing one")
    try:
        run = review.regenerate(
            services(),
            _version(version_id),
            note=requested_text("note"),
            by=user.name,
            generator=generator,
        )
        flash("The next version is being made." if run else "The next version is being made already.", "info")
    except Refused as error:
        flash(f"No version is made: {error}.", "error")
    return redirect(url_for("versions.version", version_id=version_id))


@bp.post("/versions/<version_id>/upscale")
@requires(UserRole.REVIEWER)
def upscale(version_id: str) -> ResponseReturnValue:
    """Make the next version of a picture with twice the pixels."""
    run = review.upscale(services(), _version(version_id), by=signed_in_user().name)
    done = "A version with twice the pixels is being made."
    flash(done if run else "That version is being made already.", "info")
    return redirect(url_for("versions.version", version_id=version_id))


@bp.post("/versions/<version_id>/waive")
@requires(UserRole.ADMIN)
def waive(version_id: str) -> ResponseReturnValue:
    """Accept an error of a blocked version, with a reason and until a day."""
    reason, until = (
        request.form.get("reason", "").strip(),
        formatting.parse_day_end(request.form.get("until", "")),
    )
    if len(reason) < 3:
        flash("Give a reason for accepting the finding.", "error")
    elif until is not None and until < services().clock.now():
        flash("That day is over. Choose a later day, or none.", "error")
    else:
        waiver = Waiver(
            code=request.form.get("code", ""), by=signed_in_user().name, reason=reason[:500], until=until
        )
        review.waive(services(), _version(version_id), waiver)
        flash("Accepted. Your reason is in the history.", "info")
    return redirect(url_for("versions.version", version_id=version_id))


@bp.post("/versions/<version_id>/rollback")
@requires(UserRole.REVIEWER)
def rollback(version_id: str) -> ResponseReturnValue:
    """Publish an earlier approved version again."""
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
    """Remove a live version from every channel."""
    found = _version(version_id)
    try:
        publish.withdraw(
            services(), found, by=signed_in_user().name, reason=request.form.get("reason", "")[:500]
        )
        flash(f"V{found.number} is removed from every channel.", "info")
    except StateConflict:
        flash("Nothing was changed: the version is no longer live.", "error")
    return redirect(url_for("versions.version", version_id=version_id))


def _version(version_id: str) -> Version:
    """Return a version, or abort with 404."""
    return services().assets.get(version_id) or abort(404)


@bp.post("/gallery/<any(approve, reject):action>")
@requires(UserRole.REVIEWER)
def decide_all(action: str) -> ResponseReturnValue:
    """Approve or reject the selected versions that are in review; undo is possible for a few seconds."""
    approves = action == "approve"
    decision = Decision(
        verdict=Verdict.APPROVED if approves else Verdict.REJECTED,
        by=signed_in_user().name,
        reasons=() if approves else _requested_reasons(),
        note="" if approves else requested_text("note"),
    )
    if not _has_reason(decision):
        flash("Choose a reason for the rejection. A note is optional.", "error")
        return back_to_gallery()
    outcome = bulk_review.decide_all(
        services(),
        selected_ids(),
        decision,
        delay_s=services().settings.undo_s,
        roles=signed_in_user().role.included,
    )
    _flash_outcome(outcome, decision.verdict.value, _refused_text(), kind="undo-all")
    return back_to_gallery()


@bp.post("/gallery/undo")
@requires(UserRole.REVIEWER)
def undo_all() -> ResponseReturnValue:
    """Take back the last decision about many versions."""
    _flash_outcome(
        bulk_review.undo_all(services(), by=signed_in_user().name), "in review again", "processed meanwhile"
    )
    referrer = urlsplit(request.referrer or "")
    return redirect(
        f"{url_for('gallery.index')}?{referrer.query}"
        if referrer.path == url_for("gallery.index")
        else url_for("gallery.index")
    )


@bp.post("/gallery/regenerate")
@requires(UserRole.REVIEWER)
def regenerate_all() -> ResponseReturnValue:
    """Make the next version of each selected one."""
    note = requested_text("regenerate-note")
    _flash_outcome(
        bulk_review.regenerate_all(services(), selected_ids(), note=note, by=signed_in_user().name),
        "being made again",
        "being made already",
    )
    return back_to_gallery()


@bp.post("/gallery/upscale")
@requires(UserRole.REVIEWER)
def upscale_all() -> ResponseReturnValue:
    """Make the next version of each selected picture with twice the pixels."""
    _flash_outcome(
        bulk_review.upscale_all(services(), selected_ids(), by=signed_in_user().name),
        "being made with twice the pixels",
        "not a still picture, or being made already",
    )
    return back_to_gallery()


@bp.post("/gallery/comment")
@requires(UserRole.REVIEWER)
def comment_all() -> ResponseReturnValue:
    """Add one comment to each selected version."""
    text = requested_text("comment")
    if not text:
        flash("Write a comment first.", "error")
        return back_to_gallery()
    _flash_outcome(
        bulk_review.comment_all(services(), selected_ids(), text=text, by=signed_in_user().name),
        "commented on",
        "not found",
    )
    return back_to_gallery()


def _state_text(version: Version) -> str:
    return version.state.value.replace("_", " ")


def _flash_outcome(outcome: bulk_review.BulkResult, done: str, refused: str, kind: str = "info") -> None:
    parts = [
        f"{len(outcome.done)} {done}" if outcome.done else "",
        f"{outcome.refused} {refused}" if outcome.refused else "",
    ]
    flash(
        ", ".join(filter(None, parts)) + "." if any(parts) else "Select some versions first.",
        kind if outcome.done else "error",
    )
