"""Events from Akeneo: of the Event Platform, and of the Events API that ends on 31 December 2026.

Facts: docs/connections/akeneo.md.
"""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from dam_connector.adapters.common.envelopes import parse_json
from dam_connector.adapters.common.webhook_signatures import check_sent_at, hmac_sha256, signature_matches
from dam_connector.domain.event import Event, EventKind
from dam_connector.domain.outside_values import parse_timestamp
from dam_connector.errors import BadOutput, DeliveryError
from dam_connector.ports import InboundWebhook, VerifiedWebhook

VENDOR = "akeneo"
_KIND_BY_ACTION = {
    "created": EventKind.CREATED,
    "updated": EventKind.UPDATED,
    "became-complete": EventKind.UPDATED,
    "deleted": EventKind.DELETED,
}
_KIND_BY_OLD_ACTION = {**_KIND_BY_ACTION, "removed": EventKind.DELETED}
EVENT_TYPE_PREFIX = "com.akeneo.pim.v1."
# The Event Platform signs no timestamp. Its retries come within the hour, so an older event is a replay.
EVENT_PLATFORM_TOLERANCE = timedelta(hours=24)
MODEL_PREFIX = "model:"  # of a reference that is a product model's code


class AkeneoWebhooks:
    """The part of the adapter that verifies and reads events."""

    vendor = VENDOR
    _secrets: list[str]
    _own_names: set[str]  # by which an event names our own user as its author

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        if "x-akeneo-signature-primary" in inbound.headers:
            return self._verify_event_platform(inbound)
        signature = inbound.headers.get("x-akeneo-request-signature", "")
        timestamp = inbound.headers.get("x-akeneo-request-timestamp", "")
        if not signature:
            raise DeliveryError(
                400, "x-akeneo-signature-primary, or x-akeneo-request-signature and -timestamp, are missing"
            )
        check_sent_at(timestamp, inbound.received_at, "x-akeneo-request-timestamp")
        message = timestamp.encode() + b"." + inbound.body
        expected = [hmac_sha256(secret, message) for secret in self._secrets]
        if not signature_matches(signature, *expected, hexadecimal=True):
            raise DeliveryError(401, "the signature does not match any of this connection's secrets")
        return VerifiedWebhook(key=hashlib.sha256(inbound.body).hexdigest())

    def _verify_event_platform(self, inbound: InboundWebhook) -> VerifiedWebhook:
        """Verify one event of the Event Platform; its time is only in the signed body."""
        if inbound.headers.get("x-akeneo-signature-algorithm", "HmacSHA256") != "HmacSHA256":
            raise DeliveryError(400, "x-akeneo-signature-algorithm: only HmacSHA256 is supported")
        signatures = [
            inbound.headers.get(f"x-akeneo-signature-{which}", "") for which in ("primary", "secondary")
        ]
        expected = [hmac_sha256(secret, inbound.body) for secret in self._secrets]
        if not any([signature_matches(s, *expected, hexadecimal=True) for s in signatures if s]):
            raise DeliveryError(401, "neither signature matches any of this connection's secrets")
        try:
            event = parse_json(inbound.body, VENDOR)
        except BadOutput as error:
            raise DeliveryError(400, str(error)) from error
        if not isinstance(event, dict) or not event.get("id"):
            digest = hashlib.sha256(inbound.body).hexdigest()
            return VerifiedWebhook(key=f"ping:{digest}", is_event=False)
        at = parse_timestamp(event.get("time"))
        if at is None or abs(inbound.received_at - at) > EVENT_PLATFORM_TOLERANCE:
            raise DeliveryError(401, "the event's time is more than a day off")
        return VerifiedWebhook(key=str(event["id"])[:180])

    def normalize(self, inbound: InboundWebhook) -> list[Event]:
        message = parse_json(inbound.body, VENDOR)
        if not isinstance(message, dict):
            raise BadOutput(VENDOR, "normalize", "/: the body is not a JSON object")
        if isinstance(message.get("events"), list):  # of the Events API, up to ten in one webhook
            entries = [entry for entry in message["events"] if isinstance(entry, dict)]
            return [event for entry in entries for event in self._events_api_event(entry, inbound)]
        subject, _, action = str(message.get("type", "")).removeprefix(EVENT_TYPE_PREFIX).partition(".")
        kind, data = _KIND_BY_ACTION.get(action.partition(".")[0]), message.get("data")
        if not str(message.get("type", "")).startswith(EVENT_TYPE_PREFIX) or kind is None:
            return []
        if not isinstance(data, dict):
            raise BadOutput(VENDOR, "normalize", "/data: the event has none")
        if (data.get("author") or {}).get("identifier") in self._own_names:
            return []  # our own write_back caused it
        ref = _ref(subject, data.get(subject.replace("-", "_")) or {})
        at = parse_timestamp(message.get("time")) or inbound.received_at
        return [Event(kind=_event_kind(kind, ref), ref=ref, at=at)]

    def _events_api_event(self, entry: Mapping[str, Any], inbound: InboundWebhook) -> Iterator[Event]:
        """Yield the event of one entry of the old Events API, unless our own write_back caused it."""
        subject, _, action = str(entry.get("action", "")).partition(".")
        kind = _KIND_BY_OLD_ACTION.get(action)
        if kind is None or entry.get("author") in self._own_names:
            return
        ref = _ref(subject.replace("_", "-"), (entry.get("data") or {}).get("resource") or {})
        at = parse_timestamp(entry.get("event_datetime")) or inbound.received_at
        yield Event(kind=_event_kind(kind, ref), ref=ref, at=at)


def _ref(subject: str, resource: Mapping[str, Any]) -> str:
    """Return our reference of an event's product or product model.

    Raises:
        BadOutput: the event names neither.
    """
    if subject == "product-model" and resource.get("code"):
        return f"{MODEL_PREFIX}{resource['code']}"
    if not resource.get("uuid"):
        raise BadOutput("akeneo", "normalize", "/data: it names no product")
    return str(resource["uuid"])


def _event_kind(kind: EventKind, ref: str) -> EventKind:
    """Return UPDATED for product models: if one is deleted, its products have events of their own."""
    return EventKind.UPDATED if ref.startswith(MODEL_PREFIX) else kind
