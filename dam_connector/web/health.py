"""Health checks for supervisors and load balancers."""

from flask import Blueprint, current_app
from flask.typing import ResponseReturnValue

from dam_connector.errors import Unavailable
from dam_connector.store.storage_probe import StorageProbe
from dam_connector.web.request_context import services

bp = Blueprint("health", __name__)


@bp.get("/healthz")
def alive() -> ResponseReturnValue:
    """Answer 200 while the process runs."""
    return {"status": "ok"}


@bp.get("/readyz")
def ready() -> ResponseReturnValue:
    """Answer 200 when the database and the queue answer, else 503 with the state of both.

    Too little free disk and a storage that is away are shown and change no status: webhooks, pages and
    decisions go on.
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
    probe: StorageProbe = current_app.extensions["storage_probe"]
    return {**found, "storage": probe.state(), "disk": services().disk.shortage() or "ok"}, status
