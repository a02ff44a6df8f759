"""/metrics for Prometheus. It exists only where a token for it is set, and is never public."""

import hmac

from flask import Blueprint, Response, abort, current_app, request
from flask.typing import ResponseReturnValue

from dam_connector.usecases.metrics import Metrics
from dam_connector.web.request_context import services

bp = Blueprint("metrics", __name__)
TOKEN_VARIABLE = "DAM_CONNECTOR_METRICS_TOKEN"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@bp.get("/metrics")
def show() -> ResponseReturnValue:
    """Answer with all metrics to whoever sends the token as `Authorization: Bearer ...`."""
    token = services().settings.environ.get(TOKEN_VARIABLE, "")
    if not token:
        abort(404)
    sent = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
    if not hmac.compare_digest(sent.encode(), token.encode()):
        abort(401, f"send the value of {TOKEN_VARIABLE} as Authorization: Bearer ...")
    metrics = current_app.extensions.get("metrics")
    if metrics is None:
        metrics = current_app.extensions.setdefault("metrics", Metrics(services()))
    return Response(metrics.text(), content_type=CONTENT_TYPE, headers={"Cache-Control": "no-store"})
