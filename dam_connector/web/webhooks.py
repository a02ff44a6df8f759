"""The receiver: POST /webhooks/CONNECTION. Verified, stored, answered; everything else happens in a job.

It is an application of its own behind /webhooks: no session, no CSRF, no page limits stand in a delivery's way.
"""

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from dam_connector.ports import InboundWebhook
from dam_connector.usecases import intake
from dam_connector.web.rate_limit import limit_rate
from dam_connector.web.request_context import error_response, services

bp = Blueprint("webhooks", __name__)
JSON_TYPES = (
    "application/json",
    "application/cloudevents+json",
    "application/x-www-form-urlencoded",
    "text/json",
)


@bp.post("/<connection>")
def receive(connection: str) -> ResponseReturnValue:
    """202 with the delivery's id, the same one for a repeat."""
    limit_rate(services().settings.webhooks_per_minute)
    limit = services().settings.max_delivery_bytes
    if (request.content_length or 0) > limit:
        return error_response(413, "too_large", f"a delivery has at most {limit} bytes")
    if request.mimetype not in JSON_TYPES:
        return error_response(415, "unsupported_media_type", f"send one of: {', '.join(JSON_TYPES)}")
    body = request.stream.read(limit + 1) if request.content_length is None else request.get_data(cache=False)
    if len(body) > limit:
        return error_response(413, "too_large", f"a delivery has at most {limit} bytes")
    inbound = InboundWebhook(
        headers={k.lower(): v for k, v in request.headers}, body=body, received_at=services().clock.now()
    )
    delivery_id, new = intake.receive(services(), connection, inbound)
    return {"delivery_id": delivery_id, "new": new}, 202


@bp.get("/<connection>")
def probe(connection: str) -> ResponseReturnValue:
    """200 for senders that try the address first (HEAD too)."""
    return {"ready": True}
