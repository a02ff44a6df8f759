"""Endpoints of the API for versions: files and reports, decisions, publishing, waivers."""

from typing import Any

from flask import Response, abort

from dam_connector.domain import report_text
from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.ids import RunId
from dam_connector.domain.issue import Waiver
from dam_connector.domain.version import Version, VersionState
from dam_connector.store.gallery import GalleryFilter
from dam_connector.store.users import UserRole
from dam_connector.usecases import publish, review, stages
from dam_connector.usecases.version_details import VersionDetails, with_details
from dam_connector.web.api.blueprint import bp, idempotent, page_body, requested_changes
from dam_connector.web.request_context import requires, services, signed_in_user
from dam_connector.web.version_actions import require_asked, require_may_undo
from schemas import api_versions as s
from schemas.api import TakenOut
from schemas.api_batches import binary
from schemas.report import ReportOut

TEXT_FORMATS = {
    "md": ("text/markdown", report_text.report_markdown),
    "xml": ("application/xml", report_text.report_junit),
}


@bp.get("/versions")
@requires(UserRole.VIEWER)
@bp.arguments(s.VersionArgs, location="query")
@bp.response(200, s.VersionPage)
def versions(args: dict[str, Any]) -> dict[str, Any]:
    """List versions by filters, newest first."""
    changes = requested_changes(args)
    found = services().gallery.version_page(
        gallery_filter(args),
        before=args["cursor"],
        changes=changes,
        oldest_first=args["order"] == "oldest",
        limit=args["limit"],
    )
    return page_body(with_details(services(), found), args["limit"], changes)


def gallery_filter(args: dict[str, Any]) -> GalleryFilter:
    """Return the filter that a request asks for."""
    names = ("sku", "deliverable", "batch", "category", "code", "channel")
    states = (VersionState(args["state"]),) if args["state"] else tuple(VersionState)
    asked = None
    if args["mine"]:
        user, states = signed_in_user(), (VersionState.IN_REVIEW,)
        asked = stages.asked_stages(services(), name=user.name, roles=user.role.included)
    return GalleryFilter(**{name: args[name] for name in names}, text=args["q"], states=states, stages=asked)


@bp.get("/versions/<version_id>")
@requires(UserRole.VIEWER)
@bp.response(200, s.VersionOut)
def version(version_id: str) -> Any:
    """Return one version with files, report, decisions, comments, and where it is live."""
    return detailed(version_id)


@bp.get("/versions/<version_id>/report")
@requires(UserRole.VIEWER)
@bp.arguments(s.ReportArgs, location="query")
@bp.response(200, ReportOut)
@bp.alt_response(200, schema=binary("text/markdown"), content_type="text/markdown", success=True)
@bp.alt_response(200, schema=binary("application/xml"), content_type="application/xml", success=True)
def report(args: dict[str, Any], version_id: str) -> Any:
    """Return the report of a version as JSON, Markdown or JUnit XML."""
    found = requested_version(version_id)
    if args["format"] == "json":
        return found.report
    mime, write = TEXT_FORMATS[args["format"]]
    name = f"{found.asset.sku}_{found.asset.deliverable}_V{found.number}_report"
    return Response(write(found.report, name), mimetype=mime)


@bp.post("/versions/<version_id>/decision")
@requires(UserRole.REVIEWER)
@idempotent
@bp.arguments(s.DecisionIn)
@bp.response(200, s.VersionOut)
def decide(data: dict[str, Any], version_id: str) -> Any:
    """Approve or reject a version in review. With stages it stays there until the last one.

    403: another stage is asked. 409: somebody else decided first. 422: a time to go live, and further stages.
    """
    decision = Decision(
        verdict=Verdict(data["verdict"]),
        by=signed_in_user().name,
        reasons=tuple(data["reasons"]),
        note=data["note"],
    )
    found = requested_version(version_id)
    asked = require_asked(found)
    stage = asked if data["stage"] is None else data["stage"]  # not the next one if another was faster
    review.decide(services(), found, decision, source="api", go_live_at=data["go_live_at"], stage=stage)
    return detailed(version_id)


@bp.post("/versions/<version_id>/undo")
@requires(UserRole.REVIEWER)
@idempotent
@bp.response(200, s.VersionOut)
def undo(version_id: str) -> Any:
    """Take back the decision about a version. 403: of another stage. 409: it has taken effect."""
    found = requested_version(version_id)
    require_may_undo(found)
    review.undo(services(), found, by=signed_in_user().name)
    return detailed(version_id)


@bp.post("/versions/<version_id>/upscale")
@requires(UserRole.REVIEWER)
@idempotent
@bp.response(202, TakenOut)
def upscale(version_id: str) -> dict[str, Any]:
    """Make the next version of a picture with twice the pixels. 409: it is no still picture."""
    found = requested_version(version_id)
    return taken(found, review.upscale(services(), found, by=signed_in_user().name))


@bp.post("/versions/<version_id>/rollback")
@requires(UserRole.REVIEWER)
@idempotent
@bp.response(202, s.VersionOut)
def rollback(version_id: str) -> Any:
    """Publish an earlier approved version again in every channel. 409: nobody approved it, or it is live."""
    publish.rollback(services(), requested_version(version_id), by=signed_in_user().name)
    return detailed(version_id)


@bp.post("/versions/<version_id>/withdraw")
@requires(UserRole.REVIEWER)
@idempotent
@bp.arguments(s.WithdrawIn)
@bp.response(202, s.VersionOut)
def withdraw(data: dict[str, Any], version_id: str) -> Any:
    """Remove a live version from every channel. 409: it is not live."""
    publish.withdraw(
        services(), requested_version(version_id), by=signed_in_user().name, reason=data["reason"]
    )
    return detailed(version_id)


@bp.post("/versions/<version_id>/regenerate")
@requires(UserRole.REVIEWER)
@idempotent
@bp.arguments(s.RegenerateIn)
@bp.response(202, TakenOut)
def regenerate(data: dict[str, Any], version_id: str) -> dict[str, Any]:
    """Make the next version, with a note for the generator. An admin may choose the generator."""
    found, user = requested_version(version_id), signed_in_user()
    if data["generator"] and not user.role.includes(UserRole.ADMIN):
        abort(403, "only admins may choose the generator")
    run = review.regenerate(services(), found, note=data["note"], by=user.name, generator=data["generator"])
    return taken(found, run)


def taken(found: Version, run: RunId | None) -> dict[str, Any]:
    """Return the answer to a request for the next version."""
    outcome = "under way" if run else "asked for before"
    return {"sku": found.asset.sku, "outcome": outcome, "planned": int(run is not None), "ignored": []}


@bp.post("/versions/<version_id>/waivers")
@requires(UserRole.ADMIN)
@idempotent
@bp.arguments(s.WaiverIn)
@bp.response(200, s.VersionOut)
def waive(data: dict[str, Any], version_id: str) -> Any:
    """Accept an error of a blocked version. The reason is recorded."""
    review.waive(
        services(),
        requested_version(version_id),
        Waiver(code=data["code"], by=signed_in_user().name, reason=data["reason"], until=data["until"]),
    )
    return detailed(version_id)


def requested_version(version_id: str) -> Version:
    """Return a version, or abort with 404."""
    return services().assets.get(version_id) or abort(404, "there is no such version")


def detailed(version_id: str) -> VersionDetails:
    """Return a version with its details, or abort with 404."""
    return with_details(services(), [requested_version(version_id)])[0]
