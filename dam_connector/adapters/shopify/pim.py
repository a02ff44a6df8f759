"""Shopify: webhooks signed by the app's secret, GraphQL for the facts. Facts: docs/connections/shopify.md."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from dam_connector.adapters.common.context import AdapterContext, check_options
from dam_connector.adapters.common.envelopes import parse_json
from dam_connector.adapters.common.graphql import nodes
from dam_connector.adapters.common.mixins import ReadOnlyPim
from dam_connector.adapters.common.product_mapping import AttributeMapping, parse_timestamp
from dam_connector.adapters.common.webhook_signatures import hmac_sha256, signature_matches
from dam_connector.adapters.shopify.client import (
    METAFIELD_KEY,
    METAFIELD_NAMESPACE,
    ShopifyClient,
    open_client,
    parse_media_note,
)
from dam_connector.domain.event import Event, EventKind
from dam_connector.domain.product import Product
from dam_connector.errors import BadOutput, ConfigError, DeliveryError, NotFound
from dam_connector.ports import InboundWebhook, PimCapabilities, VerifiedWebhook

DEFAULT_ATTRIBUTES = {
    "name": "title",
    "description": "descriptionHtml",
    "category": "productType",
    "brand": "vendor",
    "color": "Color",
    "material": "Material",
}
PAGE_SIZE = 100
PRODUCT_GID_PREFIX = "gid://shopify/Product/"
METAFIELD_PREFIX = "meta:"  # before NAMESPACE.KEY of a metafield, in plugin.json
_KIND_BY_TOPIC = {
    "products/create": EventKind.CREATED,
    "products/update": EventKind.UPDATED,
    "products/delete": EventKind.DELETED,
}
_PRODUCT_QUERY = f"""query One($id: ID!) {{ product(id: $id) {{ id title vendor productType tags descriptionHtml updatedAt
  ours: metafield(namespace: "{METAFIELD_NAMESPACE}", key: "{METAFIELD_KEY}") {{ value }}
  metafields(first: 100) {{ nodes {{ namespace key value }} }}
  media(first: 50) {{ nodes {{ id alt mediaContentType ... on MediaImage {{ image {{ url }} }} }} }}
  variants(first: 100) {{ nodes {{ sku selectedOptions {{ name value }} media(first: 5) {{ nodes {{ id alt ... on MediaImage {{ image {{ url }} }} }} }}
    metafields(first: 50) {{ nodes {{ namespace key value }} }} }} }} }} }}"""
_CHANGED_QUERY = f"""query Since($query: String!, $after: String) {{ products(first: {PAGE_SIZE}, after: $after, query: $query, sortKey: UPDATED_AT) {{
  nodes {{ id updatedAt }} pageInfo {{ hasNextPage endCursor }} }} }}"""


class ShopifyPim(ReadOnlyPim):
    """Products by their number; one product for each variant that has a SKU."""

    vendor = "shopify"
    capabilities = PimCapabilities(can_fetch=True, can_list_changes=True)

    def __init__(self, shop: ShopifyClient, secrets: list[str], fields: AttributeMapping) -> None:
        self._shop, self._secrets, self._fields = shop, secrets, fields

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        sign = inbound.headers.get("x-shopify-hmac-sha256", "")
        if not sign or not signature_matches(sign, *(hmac_sha256(secret, inbound.body) for secret in self._secrets)):
            raise DeliveryError(401, "x-shopify-hmac-sha256 does not match any of this connection's secrets")
        event = inbound.headers.get("x-shopify-event-id") or inbound.headers.get("x-shopify-webhook-id", "")
        topic = inbound.headers.get("x-shopify-topic", "")
        if not event or not topic:
            raise DeliveryError(400, "x-shopify-event-id or x-shopify-topic is missing")
        return VerifiedWebhook(key=f"{topic}:{event}"[:200], headers_to_store=("x-shopify-topic", "x-shopify-triggered-at"))

    def normalize(self, inbound: InboundWebhook) -> list[Event]:
        data = parse_json(inbound.body, self.vendor)
        kind = _KIND_BY_TOPIC.get(inbound.headers.get("x-shopify-topic", "products/update"))
        if not isinstance(data, dict):
            raise BadOutput(self.vendor, "normalize", "/: no object")
        if kind is None:
            return []
        if not isinstance(data.get("id"), int):
            raise BadOutput(self.vendor, "normalize", "/id: the product has none")
        at = (
            parse_timestamp(data.get("updated_at"))
            or parse_timestamp(inbound.headers.get("x-shopify-triggered-at"))
            or inbound.received_at
        )
        return [Event(kind=kind, ref=str(data["id"]), at=at)]

    def fetch(self, ref: str) -> list[Product]:
        found = self._shop.query(_PRODUCT_QUERY, {"id": f"{PRODUCT_GID_PREFIX}{ref}"}, "fetch").get("product")
        if not isinstance(found, dict):
            raise NotFound(self.vendor, "fetch", ref)
        return [
            self._product(found, variant) for variant in nodes(found.get("variants")) if variant.get("sku")
        ]

    def changed_since(self, since: datetime) -> Iterator[Event]:
        after: str | None = None
        query = f"updated_at:>'{since.astimezone(UTC).strftime('%Y-%m-%dT%H:%M:%SZ')}'"
        while True:
            found = (
                self._shop.query(_CHANGED_QUERY, {"query": query, "after": after}, "changed_since").get("products")
                or {}
            )
            for node in nodes(found):
                yield Event(
                    kind=EventKind.UPDATED,
                    ref=str(node["id"]).removeprefix(PRODUCT_GID_PREFIX),
                    at=parse_timestamp(node.get("updatedAt")) or since,
                )
            if not (found.get("pageInfo") or {}).get("hasNextPage"):
                return
            after = found["pageInfo"]["endCursor"]

    def _product(self, product: Mapping[str, Any], variant: Mapping[str, Any]) -> Product:
        options = {str(o.get("name")): str(o.get("value")) for o in variant.get("selectedOptions") or ()}
        metafields = {**_metafields(product), **_metafields(variant)}
        facts = {
            name: product.get(name) for name in ("title", "vendor", "productType", "tags", "descriptionHtml")
        }
        ours = {id for of in parse_media_note(product.get("ours")).values() for id in of.values()}
        media = [m for m in nodes(variant.get("media")) if m.get("id") not in ours] or [
            m for m in nodes(product.get("media")) if m.get("id") not in ours
        ]
        images = [
            (str(m["image"]["url"]), f"{m['image']['url'].rpartition('/')[2]} {m.get('alt') or ''}")
            for m in media
            if m.get("image")
        ]
        attributes = {**options, **{name: str(value) for name, value in metafields.items()}}

        def look(path: str) -> Any:
            return (
                metafields.get(path.removeprefix(METAFIELD_PREFIX))
                if path.startswith(METAFIELD_PREFIX)
                else facts.get(path, options.get(path))
            )

        return self._fields.build_product(str(variant["sku"]), look, images, attributes)


def _metafields(holder: Mapping[str, Any]) -> dict[str, Any]:
    """By NAMESPACE.KEY; measures, which are JSON, as what they are."""
    found: dict[str, Any] = {}
    for node in nodes(holder.get("metafields")):
        if node.get("namespace") == METAFIELD_NAMESPACE:
            continue
        value = str(node.get("value"))
        try:
            read = json.loads(value) if value.startswith("{") else value
        except ValueError:
            read = value
        found[f"{node.get('namespace')}.{node.get('key')}"] = read
    return found


def connect(options: Mapping[str, Any], context: AdapterContext) -> ShopifyPim:
    check_options(options, "base_url", "token", "api_version", "secrets", "attributes", "unit", "image_order")
    secrets = options.get("secrets")
    if not isinstance(secrets, list) or not secrets:
        raise ConfigError('secrets: the app\'s, such as ["env/SHOPIFY_SECRET"]')
    return ShopifyPim(
        open_client(options, context),
        [context.secret(str(each)) for each in secrets],
        AttributeMapping("shopify", DEFAULT_ATTRIBUTES, options),
    )
