"""WooCommerce: signed webhooks, and its REST interface for the facts. Facts: docs/connections/woocommerce.md."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from dam_connector.adapters.common.api_client import ApiClient, basic_auth
from dam_connector.adapters.common.context import AdapterContext, check_options, url_option
from dam_connector.adapters.common.envelopes import parse_json
from dam_connector.adapters.common.mixins import ReadOnlyPim
from dam_connector.adapters.common.product_mapping import AttributeMapping, parse_timestamp
from dam_connector.adapters.common.webhook_signatures import hmac_sha256, signature_matches
from dam_connector.domain.event import Event, EventKind
from dam_connector.domain.product import Product
from dam_connector.errors import BadOutput, ConfigError, DeliveryError, NotFound
from dam_connector.ports import InboundWebhook, PimCapabilities, VerifiedWebhook

DEFAULT_ATTRIBUTES = {
    "name": "name",
    "description": "description",
    "category": "categories",
    "style_tags": "tags",
    "brand": "brand",
    "color": "color",
    "material": "material",
    "width": "dimensions.width",
    "height": "dimensions.height",
    "depth": "dimensions.length",
}
PAGE_SIZE = 100
MAX_PAGE_BYTES = 16_000_000
OUR_MEDIA = "_dam_connector_media"  # of a product's meta data: the ids of pictures that we put there
_KIND_BY_ACTION = {
    "created": EventKind.CREATED,
    "updated": EventKind.UPDATED,
    "restored": EventKind.UPDATED,
    "deleted": EventKind.DELETED,
}


class WooCommercePim(ReadOnlyPim, ApiClient):
    """Products by their id there; one with variations is as many products as these."""

    vendor = "woocommerce"
    capabilities = PimCapabilities(can_fetch=True, can_list_changes=True)

    def __init__(
        self, context: AdapterContext, base_url: str, key: str, secret: str, webhook_secrets: list[str], fields: AttributeMapping
    ) -> None:
        super().__init__(
            context.http, f"{base_url.rstrip('/')}/wp-json/wc/v3", {"Authorization": basic_auth(key, secret)}
        )
        self._secrets, self._fields = webhook_secrets, fields

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        sign = inbound.headers.get("x-wc-webhook-signature", "")
        if not sign and inbound.body.startswith(b"webhook_id=") and len(inbound.body) < 64:
            return VerifiedWebhook(
                key=f"ping:{inbound.body.decode('ascii', 'replace')}", is_event=False
            )  # it is sent, unsigned, when a webhook is switched on
        if not sign or not signature_matches(sign, *(hmac_sha256(secret, inbound.body) for secret in self._secrets)):
            raise DeliveryError(401, "x-wc-webhook-signature does not match any of this connection's secrets")
        key = inbound.headers.get("x-wc-webhook-delivery-id", "")
        if not key:
            raise DeliveryError(400, "x-wc-webhook-delivery-id is missing")
        return VerifiedWebhook(key=key, headers_to_store=("x-wc-webhook-topic",))

    def normalize(self, inbound: InboundWebhook) -> list[Event]:
        data = parse_json(inbound.body, self.vendor)
        topic = inbound.headers.get("x-wc-webhook-topic", "product.updated")
        kind = _KIND_BY_ACTION.get(topic.partition(".")[2])
        if not isinstance(data, dict):
            raise BadOutput(self.vendor, "normalize", "the body is not a JSON object")
        if "code" in data and "id" not in data:
            return []  # it was built when it was sent, and the product was gone by then
        if not topic.startswith("product.") or kind is None:
            return []
        if not isinstance(data.get("id"), int):
            raise BadOutput(self.vendor, "normalize", "/id: the product has none")
        return [
            Event(
                kind=kind,
                ref=str(data["id"]),
                at=parse_timestamp(data.get("date_modified_gmt")) or inbound.received_at,
            )
        ]

    def fetch(self, ref: str) -> list[Product]:
        data = self.request_json("GET", f"/products/{int(ref)}", "fetch", max_bytes=MAX_PAGE_BYTES)
        if data.get("status") == "trash":
            raise NotFound(self.vendor, "fetch", f"product {ref} is in the trash")
        if data.get("type") != "variable":
            return [self._product(data, data)] if data.get("sku") else []
        variations = self._pages(f"/products/{int(ref)}/variations?per_page={PAGE_SIZE}", "fetch")
        return [
            self._product({**data, **_own(variation)}, data)
            for variation in variations
            if variation.get("sku")
        ]

    def changed_since(self, since: datetime) -> Iterator[Event]:
        modified_after = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
        path = (
            f"/products?modified_after={modified_after}&dates_are_gmt=true&orderby=modified&order=asc&per_page={PAGE_SIZE}"
        )
        for data in self._pages(path, "changed_since"):
            yield Event(
                kind=EventKind.UPDATED,
                ref=str(data["id"]),
                at=parse_timestamp(data.get("date_modified_gmt")) or since,
            )

    def _pages(self, path: str, operation: str) -> Iterator[dict[str, Any]]:
        number, last = 1, 1
        while number <= last:
            reply = self.request("GET", f"{path}&page={number}", operation, max_bytes=MAX_PAGE_BYTES)
            rows = parse_json(reply.body, self.vendor)
            if not isinstance(rows, list):
                raise BadOutput(self.vendor, operation, "the answer is no list")
            yield from (row for row in rows if isinstance(row, dict) and "id" in row)
            last = min(10_000, int(reply.headers.get("x-wp-totalpages", "1") or 1))
            number += 1

    def _product(self, data: Mapping[str, Any], whole: Mapping[str, Any]) -> Product:
        ours = {int(i) for i in _meta(whole, OUR_MEDIA) or () if str(i).isdigit()}
        pictures = [
            i
            for i in data.get("images") or ()
            if isinstance(i, dict) and i.get("id") not in ours and i.get("src")
        ]
        images = [(str(i["src"]), f"{i.get('name', '')} {i.get('alt', '')}") for i in pictures]
        attributes = {
            str(a.get("name")): ", ".join(map(str, _options(a)))
            for a in data.get("attributes") or ()
            if isinstance(a, dict)
        }
        return self._fields.build_product(str(data["sku"]), lambda path: _look(data, path), images, attributes)


def _own(variation: Mapping[str, Any]) -> dict[str, Any]:
    """What a variation says itself, over its parent: its picture before the parent's."""
    own = {name: variation[name] for name in ("id", "sku", "attributes", "meta_data") if variation.get(name)}
    dimensions = variation.get("dimensions") or {}
    own |= {"dimensions": dimensions} if any(dimensions.values()) else {}
    image = variation.get("image")
    return {**own, **({"images": [image]} if isinstance(image, dict) and image.get("src") else {})}


def _look(data: Mapping[str, Any], path: str) -> Any:
    """The value of an attribute: a key, keys joined by dots, `meta:NAME`, or the name of a product attribute."""
    if path.startswith("meta:"):
        return _meta(data, path.removeprefix("meta:"))
    here: Any = data
    for step in path.split("."):
        here = here.get(step) if isinstance(here, Mapping) else None
    if isinstance(here, list):
        return (
            [each.get("name") for each in here[:1] if isinstance(each, dict)]
            if path == "categories"
            else [e.get("name") for e in here if isinstance(e, dict)]
        )
    if here is not None:
        return here
    named = (
        a
        for a in data.get("attributes") or ()
        if isinstance(a, dict) and str(a.get("name", "")).lower().removeprefix("pa_") == path.lower()
    )
    return next((_options(a) for a in named), None)


def _options(attribute: Mapping[str, Any]) -> list[Any]:
    return list(attribute.get("options") or filter(None, [attribute.get("option")]))


def _meta(data: Mapping[str, Any], name: str) -> Any:
    return next(
        (m.get("value") for m in data.get("meta_data") or () if isinstance(m, dict) and m.get("key") == name),
        None,
    )


def connect(options: Mapping[str, Any], context: AdapterContext) -> WooCommercePim:
    check_options(
        options, "base_url", "consumer_key", "consumer_secret", "secrets", "attributes", "unit", "image_order"
    )
    secrets = options.get("secrets")
    if not isinstance(secrets, list) or not secrets:
        raise ConfigError('secrets: those of its webhooks, such as ["env/WOOCOMMERCE_WEBHOOK_SECRET"]')
    return WooCommercePim(
        context,
        base_url=url_option(options),
        key=context.secret(str(options.get("consumer_key", "env/WOOCOMMERCE_KEY"))),
        secret=context.secret(str(options.get("consumer_secret", "env/WOOCOMMERCE_SECRET"))),
        webhook_secrets=[context.secret(str(each)) for each in secrets],
        fields=AttributeMapping("woocommerce", DEFAULT_ATTRIBUTES, options),
    )
