"""Health for supervisors and load balancers, and the API's own page."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from dam_connector.errors import Unavailable
from dam_connector.store.users import UserRole
from dam_connector.web.request_context import requires, services

bp = Blueprint("health", __name__)


@bp.get("/healthz")
def alive() -> ResponseReturnValue:
    """200 while the process answers."""
    return {"status": "ok"}


@bp.get("/readyz")
def ready() -> ResponseReturnValue:
    """200 when database and queue answer; 503 and which does not."""
    found = {"database": "ok", "queue": "ok"}
    try:
        services().db.ping()
    except Unavailable as error:
        found["database"] = str(error)
    try:
        services().queue.length("handle_delivery")
    except Unavailable as error:
        found["queue"] = str(error)
    return found, 200 if set(found.values()) == {"ok"} else 503


@bp.get("/api/docs")
@requires(UserRole.VIEWER)
def api_docs() -> ResponseReturnValue:
    """The API, to read and to try."""
    return render_template("api.html")
