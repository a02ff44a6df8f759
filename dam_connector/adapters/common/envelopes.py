"""The product event in three envelopes: Standard Webhooks, structured and binary CloudEvents."""

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from marshmallow import ValidationError

from dam_connector.adapters.common.record_values import shown
from dam_connector.domain.event import Event, EventKind
from dam_connector.domain.outside_values import decode_json, parse_timestamp
from dam_connector.errors import BadOutput
from dam_connector.ports import InboundWebhook
from schemas.common import problem_lines
from schemas.event import TYPES, EventSchema
from schemas.product import load_product, to_text, unknown_keys


def load_events(inbound: InboundWebhook, vendor: str) -> list[Event]:
    """Parse the product event that a webhook carries.

    Returns:
        The event. Nothing if its type is none of ours, e.g. `category.updated`: a sender may send all it has.

    Raises:
        BadOutput: with the JSON pointer and message of each mistake.
    """
    envelope = _unwrap(inbound, vendor)
    if _is_of_other_type(envelope):
        return []
    return [_load(envelope, vendor)]


def _is_of_other_type(envelope: Mapping[str, Any]) -> bool:
    """Return whether an envelope is a proper one, with a type of event that is none of ours."""
    name = envelope.get("type")
    is_proper = parse_timestamp(envelope.get("timestamp")) is not None
    return isinstance(name, str) and bool(name.strip()) and name not in TYPES and is_proper


def _load(envelope: Mapping[str, Any], vendor: str) -> Event:
    try:
        loaded = EventSchema().load(envelope)
    except ValidationError as error:
        raise BadOutput(
            vendor, "normalize", "; ".join(problem_lines(error.messages, EventSchema()))
        ) from error
    kind = EventKind(loaded["type"].removeprefix("product."))
    product = None if kind is EventKind.DELETED else load_product(loaded["data"])
    return Event(
        kind=kind,
        ref=to_text(loaded["data"]["sku"]).strip(),
        at=loaded["timestamp"].astimezone(UTC),
        product=product,
    )


def type_of(inbound: InboundWebhook, vendor: str) -> str:
    """Return for people the type of an event that is ignored, and those that are known."""
    found = shown(_unwrap(inbound, vendor).get("type"))
    return f"its type is {found}; known types: {', '.join(TYPES)}"


def unused_keys(inbound: InboundWebhook, vendor: str) -> dict[str, list[str]]:
    """Return for people, by SKU, the keys of a product record that are none of ours."""
    data = _unwrap(inbound, vendor).get("data")
    if not isinstance(data, Mapping):
        return {}
    mistyped, others = unknown_keys(data)
    return {str(data.get("sku")).strip(): [*mistyped, *(f"{each}: is none of our keys" for each in others)]}


def _unwrap(inbound: InboundWebhook, vendor: str) -> Mapping[str, Any]:
    """Return the event as `{type, timestamp, data}`, whichever envelope it has."""
    data = parse_json(inbound.body, vendor)
    if inbound.headers.get("content-type", "").startswith("application/cloudevents+json"):
        if not isinstance(data, Mapping):
            raise BadOutput(vendor, "normalize", "/: a CloudEvent is a JSON object")
        return {"type": data.get("type"), "timestamp": data.get("time"), "data": data.get("data")}
    if "ce-id" in inbound.headers:
        return {
            "type": inbound.headers.get("ce-type"),
            "timestamp": inbound.headers.get("ce-time"),
            "data": data,
        }
    if not isinstance(data, Mapping):
        raise BadOutput(vendor, "normalize", "/: the body is not a JSON object")
    return data


def parse_json(body: bytes, vendor: str) -> Any:
    """Parse JSON of any type.

    Raises:
        BadOutput: it is not JSON, or nested too deeply.
    """
    try:
        return decode_json(body)
    except ValueError as error:
        raise BadOutput(
            vendor,
            "normalize",
            f"/: not JSON ({type(error).__name__}); it must be UTF-8 JSON without Content-Encoding",
        ) from error
