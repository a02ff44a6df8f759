"""Health checks for supervisors and load balancers, and the page of the API."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from dam_connector.errors import Unavailable
from dam_connector.store.users import UserRole
from dam_connector.web.request_context import requires, services

bp = Blueprint("health", __name__)


@bp.get("/healthz")
def alive() -> ResponseReturnValue:
    """Answer 200 while the process runs."""
    return {"status": "ok"}


@bp.get("/readyz")
def ready() -> ResponseReturnValue:
    """Answer 200 when the database and the queue answer, else 503 with the state of both.

    Too little free disk is shown and changes no status: pages, decisions and publishing go on.
    """
    found = {"database": "ok", "queue": "ok"}
    try:
        services().db.ping()
    except Unavailable as error:
        found["database"] = str(error)
    try:
        services().queue.length("handle_delivery")
    except Unavailable as error:
        found["queue"] = str(error)
    status = 200 if set(found.values()) == {"ok"} else 503
    return {**found, "disk": services().disk.shortage() or "ok"}, status


@bp.get("/api/docs")
@requires(UserRole.VIEWER)
def api_docs() -> ResponseReturnValue:
    """Show the API, to read and to try out."""
    return render_template("api.html")
