"""Endpoints of the API for touch-ups of cut-outs."""

from typing import Any

from dam_connector.domain.touch_up import TouchUp
from dam_connector.store.users import UserRole
from dam_connector.usecases import touch_ups as use
from dam_connector.web.api.blueprint import bp, idempotent
from dam_connector.web.api.versions import requested_version, taken
from dam_connector.web.request_context import requires, services, signed_in_user
from schemas import touch_ups as s
from schemas.api import TakenOut


@bp.get("/versions/<version_id>/touch-ups")
@requires(UserRole.VIEWER)
@bp.response(200, s.TouchUpsOut)
def touch_ups(version_id: str) -> dict[str, list[TouchUp]]:
    """List the touch-ups of the photo that a version is made from, the oldest first."""
    return {"items": use.of_version(services(), requested_version(version_id))}


@bp.post("/versions/<version_id>/touch-ups")
@requires(UserRole.REVIEWER)
@idempotent
@bp.arguments(s.TouchUpIn)
@bp.response(202, TakenOut)
def touch_up(data: dict[str, Any], version_id: str) -> dict[str, Any]:
    """Correct the mask of a version by strokes, and make the next version with it.

    The version's files show the mask (`mask-VIEW`) and the photo (`cutout-VIEW`), with the role `evidence`.
    The strokes count for every later cut-out of the photo. 422: the version has no mask.
    """
    found = requested_version(version_id)
    run = use.touch_up(services(), found, by=signed_in_user().name, **data)
    return taken(found, run)
