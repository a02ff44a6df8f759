"""The page's action on the mask of a version: strokes correct it, and the next version is made with it."""

from typing import Any

from flask import Blueprint, abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from marshmallow import ValidationError

from dam_connector.domain.outside_values import decode_json
from dam_connector.errors import Refused
from dam_connector.store.users import UserRole
from dam_connector.usecases import touch_ups
from dam_connector.web.queue_place import requested_query
from dam_connector.web.request_context import requires, services, signed_in_user
from schemas.touch_ups import TouchUpIn

bp = Blueprint("touch_ups", __name__)


@bp.post("/versions/<version_id>/touch-up")
@requires(UserRole.REVIEWER)
def touch_up(version_id: str) -> ResponseReturnValue:
    """Store strokes on the mask of a version, and make the next version with them."""
    version = services().assets.get(version_id) or abort(404)
    data = _requested_strokes()
    try:
        touch_ups.touch_up(services(), version, by=signed_in_user().name, **data)
        flash("The next version is being made with this mask.", "info")
    except Refused as error:
        flash(f"No version is made: {error}.", "error")
    return redirect(url_for("versions.version", version_id=version_id, **requested_query()))


def _requested_strokes() -> dict[str, Any]:
    """Return the strokes in the form of the request, or abort with 400."""
    try:
        strokes = decode_json(request.form.get("strokes", "") or "[]")
        answers = {name: request.form.get(name, "") == "yes" for name in ("replaces", "mask_seen")}
        data: dict[str, Any] = TouchUpIn().load({"strokes": strokes, **answers})
    except (ValueError, ValidationError):
        abort(400, "the strokes cannot be read; paint them again")
    return data
