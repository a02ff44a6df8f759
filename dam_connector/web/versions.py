"""The review pages: the queue of versions that wait for a person, and the page of one version."""

import re
from urllib.parse import quote

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from dam_connector.domain import report_text
from dam_connector.domain.checklist import LIKENESS, checklist_answers
from dam_connector.domain.rules import LOCAL
from dam_connector.domain.touch_up import MIN_CHANGED_SHARE
from dam_connector.domain.version import Version, VersionState
from dam_connector.domain.wishes import understood_words
from dam_connector.store.users import UserRole
from dam_connector.usecases import comments, publish, review, stages, touch_ups
from dam_connector.web.queue_place import requested_place, requested_query, requested_stages
from dam_connector.web.request_context import PAGE_SIZE, requires, services, signed_in_user
from dam_connector.web.version_photos import photo_address, shown_capture, shown_photos
from schemas.report import report_json

bp = Blueprint("versions", __name__)


@bp.get("/")
@requires(UserRole.VIEWER)
def home() -> ResponseReturnValue:
    """Redirect to the review queue."""
    return redirect(url_for("versions.queue"))


@bp.get("/review")
@requires(UserRole.VIEWER)
def queue() -> ResponseReturnValue:
    """Show the versions in a state; those that wait longest first."""
    state, deliverable = request.args.get("state", "in_review"), request.args.get("deliverable", "")
    if state not in set(VersionState):
        abort(404)
    waits_for_a_person = state in ("in_review", "blocked")
    found = services().assets.page(
        state=state,
        deliverable=deliverable,
        before=request.args.get("cursor", ""),
        limit=PAGE_SIZE,
        oldest_first=waits_for_a_person,
        stages=requested_stages() if state == "in_review" else None,
    )
    names = services().products.names({v.asset.sku for v in found})
    return render_template(
        "queue.html",
        versions=found,
        names=names,
        state=state,
        deliverable=deliverable,
        query=requested_query(),
        welcome=services().notes.get(_welcome_note()) == "open",
        has_stages=bool(services().rules.current().review.stages),
        states=list(VersionState),
        by_state=services().assets.counts(deliverable=deliverable),
        deliverables=[d.name for d in services().rules.current().deliverables],
        next=found[-1].id if len(found) == PAGE_SIZE else None,
    )


@bp.post("/review/welcome")
@requires(UserRole.VIEWER)
def dismiss_welcome() -> ResponseReturnValue:
    """Show the guide to the first review no more."""
    services().notes.set(_welcome_note(), "dismissed")
    return redirect(url_for("versions.queue"))


def _welcome_note() -> str:
    """Return the name of the note that says whether the user still sees the guide to the first review."""
    return f"welcome:{signed_in_user().id}"


@bp.get("/versions/<version_id>")
@requires(UserRole.VIEWER)
def version(version_id: str) -> ResponseReturnValue:
    """Show a version beside the photos of its product, with facts, report, history and decision."""
    return version_page(_version(version_id))


def version_page(found: Version, draft: object = None) -> str:
    """Render the page of a version.

    Args:
        found: the version.
        draft: a comment that was not stored, to be shown in its form again.
    """
    s = services()
    record = s.products.get(found.asset.sku)
    siblings = [v for v in s.assets.of_product(found.asset.sku) if v.asset.id == found.asset.id]
    compared = next((v for v in siblings if v.id == request.args.get("with")), None)
    place, photos = requested_place(found), shown_photos(found, record)
    return render_template(
        "version.html",
        v=found,
        record=record,
        siblings=siblings,
        compared=compared,
        photos=photos,
        addresses={photo.name: photo_address(found, record, photo) for photo in photos},
        capture=shown_capture(found, record),
        place=place,
        cameras=photo_cameras(found),
        next_version=s.assets.get(place.next_id) if place.next_id else None,
        decisions=s.decisions.of_version(found.id),
        threads=comments.threads(s, found),
        draft=draft,
        touch_ups=touch_ups.of_version(s, found),
        least_share=MIN_CHANGED_SHARE,
        masked_pictures=_masked_pictures(found),
        stages=stages.progress(s, found),
        is_asked=stages.may_decide(
            s, found, name=signed_in_user().name, roles=signed_in_user().role.included
        ),
        may_undo=stages.may_undo(s, found, name=signed_in_user().name, roles=signed_in_user().role.included),
        publications=s.publications.of_version(found.id),
        history=s.history.entries(version_id=found.id),
        can_roll_back=publish.can_roll_back(s, found),
        goes_live_at=publish.wait_for_day(s, record.product, found)
        if record and found.state is VersionState.APPROVED
        else None,
        review=s.rules.current().review,
        owner=s.rules.current().review.owner_of(record.product.category) if record else "",
        run=s.runs.get(found.run_id),
        generators=review.available_generators(s, found)
        if signed_in_user().role.includes(UserRole.ADMIN)
        else [],
        words=_understood_words(found),
        answers=checklist_answers(found.report),
        profiles=report_text.profile_matrix(found.report.rows),
    )


def _masked_pictures(version: Version) -> list[Version]:
    """Return where the masks of a version without one are corrected, if its report speaks of them."""
    is_doubted = any(found.code.startswith("cutout.") for found in version.report.issues)
    return touch_ups.masked_pictures(services(), version) if is_doubted and not version.mask else []


def _understood_words(version: Version) -> tuple[str, ...]:
    """Return the words of a note that our own code follows, if it makes the next version of a picture."""
    deliverable = services().rules.current().deliverable(version.asset.deliverable)
    if deliverable is None or version.asset.kind == "model" or LOCAL not in deliverable.generator:
        return ()
    return understood_words(deliverable)


def photo_cameras(version: Version) -> dict[str, tuple[int, int]]:
    """Return the angles, in degrees round and up, from which the likeness check found each photo taken."""
    rows = {
        r.check.removeprefix(LIKENESS): r.measured
        for r in version.report.rows
        if r.check.startswith(LIKENESS)
    }
    found = {view: re.search(r"from (-?\d+)\D* and (-?\d+)", text or "") for view, text in rows.items()}
    return {view: (int(match[1]), int(match[2])) for view, match in found.items() if match}


REPORT_FORMATS = {
    "md": ("text/markdown", report_text.report_markdown),
    "xml": ("application/xml", report_text.report_junit),
    "json": ("application/json", report_json),
}


@bp.get("/versions/<version_id>/report.<extension>")
@requires(UserRole.VIEWER)
def report(version_id: str, extension: str) -> ResponseReturnValue:
    """Send the report of a version as Markdown, JSON or JUnit XML."""
    found = _version(version_id)
    if extension not in REPORT_FORMATS:
        abort(404)
    mime, write = REPORT_FORMATS[extension]
    name = f"{found.asset.sku}_{found.asset.deliverable}_V{found.number}_report"
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}.{extension}"}
    return Response(write(found.report, name), mimetype=mime, headers=headers)


def _version(version_id: str) -> Version:
    """Return a version, or abort with 404."""
    return services().assets.get(version_id) or abort(404)
