"""The webhook receiver: POST /webhooks/CONNECTION verifies, stores and answers; a job does all other work.

It is an application of its own, mounted at /webhooks. Sessions, CSRF checks and the limits of pages do not
apply to it.
"""

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from dam_connector.ports import InboundWebhook
from dam_connector.usecases.webhook_receipt import receive_webhook
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
    """Store a delivery; answer 202 with its id, which is the same when the delivery is repeated.

    The answer also names the address where the API tells what became of it.
    """
    limit_rate(services().settings.webhooks_per_minute)
    limit = services().settings.max_delivery_bytes
    if (request.content_length or 0) > limit:
        return _too_large(limit)
    if request.mimetype not in JSON_TYPES:
        return error_response(
            415, "unsupported_media_type", f"the Content-Type must be one of: {', '.join(JSON_TYPES)}"
        )
    body = request.stream.read(limit + 1) if request.content_length is None else request.get_data(cache=False)
    if len(body) > limit:
        return _too_large(limit)
    inbound = InboundWebhook(
        headers={k.lower(): v for k, v in request.headers}, body=body, received_at=services().clock.now()
    )
    delivery_id, new = receive_webhook(services(), connection, inbound)
    body_out: dict[str, object] = {"delivery_id": delivery_id, "new": new}
    if delivery_id:
        body_out["delivery"] = f"{services().settings.base_url}/api/v1/deliveries/{delivery_id}"
    return body_out, 202


def _too_large(limit: int) -> ResponseReturnValue:
    remedy = "the setting DAM_CONNECTOR_MAX_DELIVERY_BYTES says how many"
    return error_response(413, "too_large", f"a delivery may have at most {limit} bytes; {remedy}")


@bp.get("/<connection>")
def probe(connection: str) -> ResponseReturnValue:
    """Answer 200 to senders that try the address first, by GET or HEAD."""
    return {"ready": True}
