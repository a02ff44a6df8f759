"""Endpoints of the API for versions: files and reports, decisions, publishing, waivers."""

from typing import Any

from flask import abort

from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.issue import Waiver
from dam_connector.domain.version import Version
from dam_connector.store.users import UserRole
from dam_connector.usecases import publish, review, stages
from dam_connector.web.api.blueprint import bp, idempotent, page_body
from dam_connector.web.request_context import requires, services, signed_in_user
from dam_connector.web.version_actions import require_asked
from schemas import api as s


@bp.get("/versions")
@requires(UserRole.VIEWER)
@bp.arguments(s.VersionArgs, location="query")
@bp.response(200, s.page_of(s.VersionOut))
def versions(args: dict[str, Any]) -> dict[str, Any]:
    """List versions, newest first."""
    user = signed_in_user()
    asked = stages.asked_stages(services(), name=user.name, roles=user.role.included)
    found = services().assets.page(
        state="in_review" if args["mine"] else args["state"],
        deliverable=args["deliverable"],
        before=args["cursor"],
        limit=args["limit"],
        stages=asked if args["mine"] else None,
    )
    return page_body(found, args["limit"])


@bp.get("/versions/<version_id>")
@requires(UserRole.VIEWER)
@bp.response(200, s.VersionOut)
def version(version_id: str) -> Version:
    """Return one version with files, report and provenance."""
    return requested_version(version_id)


@bp.post("/versions/<version_id>/decision")
@requires(UserRole.REVIEWER)
@idempotent
@bp.arguments(s.DecisionIn)
@bp.response(200, s.VersionOut)
def decide(data: dict[str, Any], version_id: str) -> Any:
    """Approve or reject a version in review.

    With stages it stays in review until the last one. 403: another stage is asked. 409: somebody else decided
    first.
    """
    decision = Decision(
        verdict=Verdict(data["verdict"]),
        by=signed_in_user().name,
        reasons=tuple(data["reasons"]),
        note=data["note"],
    )
    found = requested_version(version_id)
    require_asked(found)
    review.decide(
        services(), found, decision, source="api", go_live_at=data["go_live_at"], stage=data["stage"]
    )
    return requested_version(version_id)


@bp.post("/versions/<version_id>/rollback")
@requires(UserRole.REVIEWER)
@idempotent
@bp.response(202, s.VersionOut)
def rollback(version_id: str) -> Any:
    """Publish an earlier approved version again in every channel. 409: nobody approved it, or it is live."""
    publish.rollback(services(), requested_version(version_id), by=signed_in_user().name)
    return requested_version(version_id)


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
    return requested_version(version_id)


@bp.post("/versions/<version_id>/regenerate")
@requires(UserRole.REVIEWER)
@idempotent
@bp.arguments(s.RegenerateIn)
@bp.response(202, s.TakenOut)
def regenerate(data: dict[str, Any], version_id: str) -> dict[str, Any]:
    """Make the next version, with a note for the generator. An admin may choose the generator."""
    found, user = requested_version(version_id), signed_in_user()
    if data["generator"] and not user.role.includes(UserRole.ADMIN):
        abort(403, "only admins may choose the generator")
    run = review.regenerate(services(), found, note=data["note"], by=user.name, generator=data["generator"])
    return {
        "sku": found.asset.sku,
        "outcome": "under way" if run else "asked for before",
        "planned": int(run is not None),
    }


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
    return requested_version(version_id)


def requested_version(version_id: str) -> Version:
    """Return a version, or abort with 404."""
    return services().assets.get(version_id) or abort(404, "there is no such version")
