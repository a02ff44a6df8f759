"""WooCommerce as a PIM: signed webhooks; products from the REST API wc/v3.

Options: `base_url`; `consumer_key` and `consumer_secret`, by default `env/WOOCOMMERCE_KEY` and
`env/WOOCOMMERCE_SECRET`; `secrets` of the webhooks; `attributes`, `unit` and `image_order`, see
`common.product_mapping`. Facts: docs/connections/woocommerce.md.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from dam_connector.adapters.common.api_client import basic_auth
from dam_connector.adapters.common.context import AdapterContext, check_options, url_option
from dam_connector.adapters.common.envelopes import parse_json
from dam_connector.adapters.common.mixins import ReadOnlyPim
from dam_connector.adapters.common.product_mapping import AttributeMapping
from dam_connector.adapters.common.webhook_signatures import hmac_sha256, key_of_body, signature_matches
from dam_connector.adapters.woocommerce.client import (
    MAX_JSON_BYTES,
    MEDIA_IDS_KEY,
    WooCommerceClient,
    meta_value,
)
from dam_connector.domain.event import Event, EventKind
from dam_connector.domain.outside_values import parse_integer, parse_timestamp
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
MAX_PAGES = 10_000
META_PREFIX = "meta:"  # of an attribute in plugin.json that is in the product's meta data
_KIND_BY_ACTION = {
    "created": EventKind.CREATED,
    "updated": EventKind.UPDATED,
    "restored": EventKind.UPDATED,
    "deleted": EventKind.DELETED,
}


class WooCommercePim(ReadOnlyPim, WooCommerceClient):
    """A `Pim` for one shop; references are product ids, and each variation with a SKU is a product."""

    vendor = "woocommerce"
    capabilities = PimCapabilities(can_fetch=True, can_list_changes=True)

    def __init__(
        self,
        context: AdapterContext,
        base_url: str,
        authorization: str,
        webhook_secrets: list[str],
        mapping: AttributeMapping,
    ) -> None:
        api_url = f"{base_url.rstrip('/')}/wp-json/wc/v3"
        super().__init__(context.http, api_url, {"Authorization": authorization})
        self._secrets, self._mapping = webhook_secrets, mapping

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        signature = inbound.headers.get("x-wc-webhook-signature", "")
        if not signature and inbound.body.startswith(b"webhook_id=") and len(inbound.body) < 64:
            # WooCommerce sends this, unsigned, when a webhook is activated
            return VerifiedWebhook(key="ping", is_event=False, is_proved=False)
        expected = [hmac_sha256(secret, inbound.body) for secret in self._secrets]
        if not signature or not signature_matches(signature, *expected):
            raise DeliveryError(401, "x-wc-webhook-signature does not match any of this connection's secrets")
        return VerifiedWebhook(key=key_of_body(inbound), headers_to_store=("x-wc-webhook-topic",))

    def normalize(self, inbound: InboundWebhook) -> list[Event]:
        data = parse_json(inbound.body, self.vendor)
        topic = inbound.headers.get("x-wc-webhook-topic", "product.updated")
        kind = _KIND_BY_ACTION.get(topic.partition(".")[2])
        if not isinstance(data, dict):
            raise BadOutput(self.vendor, "normalize", "/: the body is not a JSON object")
        if "code" in data and "id" not in data:
            return []  # an error: the body is made when it is sent, and the product was deleted by then
        if not topic.startswith("product.") or kind is None:
            return []
        if not isinstance(data.get("id"), int):
            raise BadOutput(self.vendor, "normalize", "/id: the product has no number")
        at = parse_timestamp(data.get("date_modified_gmt")) or inbound.received_at
        return [Event(kind=kind, ref=str(data["id"]), at=at)]

    def fetch(self, ref: str) -> list[Product]:
        product = self.request_json("GET", f"/products/{int(ref)}", "fetch", max_bytes=MAX_JSON_BYTES)
        if product.get("status") == "trash":
            raise NotFound(self.vendor, "fetch", f"product {ref} is in the trash")
        if product.get("type") != "variable":
            return [self._product(product, product)] if product.get("sku") else []
        variations = self._pages(f"/products/{int(ref)}/variations?per_page={PAGE_SIZE}", "fetch")
        return [
            self._product({**product, **_own_values(variation)}, product)
            for variation in variations
            if variation.get("sku")
        ]

    def changed_since(self, since: datetime) -> Iterator[Event]:
        since_gmt = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
        path = (
            f"/products?modified_after={since_gmt}&dates_are_gmt=true"
            f"&orderby=modified&order=asc&per_page={PAGE_SIZE}"
        )
        for product in self._pages(path, "changed_since"):
            yield Event(
                kind=EventKind.UPDATED,
                ref=str(product["id"]),
                at=parse_timestamp(product.get("date_modified_gmt")) or since,
            )

    def _pages(self, path: str, operation: str) -> Iterator[dict[str, Any]]:
        number, last = 1, 1
        while number <= last:
            reply = self.request("GET", f"{path}&page={number}", operation, max_bytes=MAX_JSON_BYTES)
            rows = parse_json(reply.body, self.vendor)
            if not isinstance(rows, list):
                raise BadOutput(self.vendor, operation, "/: the response is not a list")
            yield from (row for row in rows if isinstance(row, dict) and "id" in row)
            last = min(MAX_PAGES, parse_integer(reply.headers.get("x-wp-totalpages")) or 1)
            number += 1

    def _product(self, record: Mapping[str, Any], parent: Mapping[str, Any]) -> Product:
        """Build a product.

        Args:
            record: the product, or a variation's own values over its parent's.
            parent: the product itself, whose meta data lists our pictures.
        """
        our_ids = {parse_integer(id) for id in meta_value(parent, MEDIA_IDS_KEY) or ()} - {None}
        images = [
            (str(image["src"]), f"{image.get('name', '')} {image.get('alt', '')}")
            for image in record.get("images") or ()
            if isinstance(image, dict) and image.get("id") not in our_ids and image.get("src")
        ]
        attributes = {
            str(attribute.get("name")): ", ".join(map(str, _attribute_values(attribute)))
            for attribute in record.get("attributes") or ()
            if isinstance(attribute, dict)
        }
        return self._mapping.build_product(
            str(record["sku"]), lambda name: _get_value(record, name), images, attributes
        )


def _own_values(variation: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a variation that replace its parent's, e.g. its own picture."""
    own = {name: variation[name] for name in ("id", "sku", "attributes", "meta_data") if variation.get(name)}
    dimensions = variation.get("dimensions") or {}
    own |= {"dimensions": dimensions} if any(dimensions.values()) else {}
    image = variation.get("image")
    return {**own, **({"images": [image]} if isinstance(image, dict) and image.get("src") else {})}


def _get_value(record: Mapping[str, Any], name: str) -> Any:
    """Return a value by a key, by keys joined with dots, by `meta:KEY`, or by a product attribute's name."""
    if name.startswith(META_PREFIX):
        return meta_value(record, name.removeprefix(META_PREFIX))
    value: Any = record
    for key in name.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    if isinstance(value, list):  # of categories, only the first
        entries = value[:1] if name == "categories" else value
        return [entry.get("name") for entry in entries if isinstance(entry, dict)]
    if value is not None:
        return value
    for attribute in record.get("attributes") or ():
        if not isinstance(attribute, dict):
            continue
        if str(attribute.get("name", "")).lower().removeprefix("pa_") == name.lower():
            return _attribute_values(attribute)
    return None


def _attribute_values(attribute: Mapping[str, Any]) -> list[Any]:
    return list(attribute.get("options") or filter(None, [attribute.get("option")]))


def connect(options: Mapping[str, Any], context: AdapterContext) -> WooCommercePim:
    """Open the adapter.

    Raises:
        ConfigError: an option is wrong.
    """
    check_options(
        options, "base_url", "consumer_key", "consumer_secret", "secrets", "attributes", "unit", "image_order"
    )
    secrets = options.get("secrets")
    if not isinstance(secrets, list) or not secrets:
        raise ConfigError(
            'secrets: must be a list of the webhooks\' secrets, e.g. ["env/WOOCOMMERCE_WEBHOOK_SECRET"]'
        )
    key = context.secret(str(options.get("consumer_key", "env/WOOCOMMERCE_KEY")))
    secret = context.secret(str(options.get("consumer_secret", "env/WOOCOMMERCE_SECRET")))
    return WooCommercePim(
        context,
        base_url=url_option(options),
        authorization=basic_auth(key, secret),
        webhook_secrets=[context.secret(str(each)) for each in secrets],
        mapping=AttributeMapping("woocommerce", DEFAULT_ATTRIBUTES, options),
    )
