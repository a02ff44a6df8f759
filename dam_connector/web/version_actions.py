"""What is live, by hand: an earlier version again, or none."""

from flask import Blueprint, abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from dam_connector.domain.version import Version
from dam_connector.errors import StateConflict
from dam_connector.store.users import UserRole
from dam_connector.usecases import publish
from dam_connector.web.request_context import requires, services, signed_in

bp = Blueprint("publishing", __name__)


@bp.post("/versions/<version_id>/rollback")
@requires(UserRole.REVIEWER)
def rollback(version_id: str) -> ResponseReturnValue:
    found = _version(version_id)
    try:
        publish.rollback(services(), found, by=signed_in().name)
        flash(f"V{found.number} goes live again.", "info")
    except StateConflict as error:
        flash(f"Nothing was changed: {error}.", "error")
    return redirect(url_for("pages.version", version_id=version_id))


@bp.post("/versions/<version_id>/withdraw")
@requires(UserRole.REVIEWER)
def withdraw(version_id: str) -> ResponseReturnValue:
    found = _version(version_id)
    try:
        publish.withdraw(services(), found, by=signed_in().name, reason=request.form.get("reason", "")[:500])
        flash(f"V{found.number} is taken off every channel.", "info")
    except StateConflict:
        flash("Nothing was changed: it is not live any more.", "error")
    return redirect(url_for("pages.version", version_id=version_id))


def _version(version_id: str) -> Version:
    return services().assets.get(version_id) or abort(404)
