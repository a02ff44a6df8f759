"""The receiver: POST /webhooks/CONNECTION. Verified, stored, answered; everything else happens in a job.

It is an application of its own behind /webhooks: no session, no CSRF, no page limits stand in a delivery's way.
"""

import threading
import time

from flask import Blueprint, abort, request
from flask.typing import ResponseReturnValue

from dam_connector.ports import InboundWebhook
from dam_connector.usecases import intake
from dam_connector.web.request_context import problem, services

bp = Blueprint("webhooks", __name__)
JSON_TYPES = (
    "application/json",
    "application/cloudevents+json",
    "application/x-www-form-urlencoded",
    "text/json",
)


class MinuteCounts:
    """How many came from each address in this minute.

    `limits`' memory storage did this before: it starts a timer thread for every few hits, and two threads that start the
    same one at once answer with a 500.
    """

    def __init__(self) -> None:
        self._lock, self._minute = threading.Lock(), 0
        self._counts: dict[str, int] = {}

    def allow(self, address: str, limit: int, now_s: float) -> bool:
        """Count one more; False when that is more than `limit`."""
        minute = int(now_s // 60)
        with self._lock:
            if minute != self._minute:
                self._minute, self._counts = minute, {}
            count = self._counts[address] = self._counts.get(address, 0) + 1
        return count <= limit


_counts = MinuteCounts()


@bp.post("/<connection>")
def receive(connection: str) -> ResponseReturnValue:
    """202 with the delivery's id, the same one for a repeat."""
    if not _counts.allow(
        request.remote_addr or "", services().settings.webhooks_per_minute, time.monotonic()
    ):
        abort(429)
    limit = services().settings.max_delivery_bytes
    if (request.content_length or 0) > limit:
        return problem(413, "too_large", f"a delivery has at most {limit} bytes")
    if request.mimetype not in JSON_TYPES:
        return problem(415, "unsupported_media_type", f"send one of: {', '.join(JSON_TYPES)}")
    body = request.stream.read(limit + 1) if request.content_length is None else request.get_data(cache=False)
    if len(body) > limit:
        return problem(413, "too_large", f"a delivery has at most {limit} bytes")
    inbound = InboundWebhook(
        headers={k.lower(): v for k, v in request.headers}, body=body, received_at=services().clock.now()
    )
    delivery_id, new = intake.receive(services(), connection, inbound)
    return {"delivery_id": delivery_id, "new": new}, 202


@bp.get("/<connection>")
def probe(connection: str) -> ResponseReturnValue:
    """200 for senders that try the address first (HEAD too)."""
    return {"ready": True}
