"""Shopify: webhooks signed by the app's secret, GraphQL for the facts. Facts: docs/connections/shopify.md."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from dam_connector.adapters.common.context import AdapterContext, only
from dam_connector.adapters.common.envelopes import read_json
from dam_connector.adapters.common.graphql import nodes
from dam_connector.adapters.common.plain_pim import PlainSource
from dam_connector.adapters.common.product_mapping import Fields, hmac_sha256, matches, moment_of
from dam_connector.adapters.shopify.client import KEY, NAMESPACE, Shop, noted_media, open_shop
from dam_connector.domain.event import Event, EventKind
from dam_connector.domain.product import Product
from dam_connector.errors import BadOutput, ConfigError, DeliveryError, NotFound
from dam_connector.ports import InboundWebhook, PimCapabilities, VerifiedWebhook

USUAL = {
    "name": "title",
    "description": "descriptionHtml",
    "category": "productType",
    "brand": "vendor",
    "color": "Color",
    "material": "Material",
}
PAGE = 100
GID = "gid://shopify/Product/"
META = "meta:"  # before NAMESPACE.KEY of a metafield, in plugin.json
_KINDS = {
    "products/create": EventKind.CREATED,
    "products/update": EventKind.UPDATED,
    "products/delete": EventKind.DELETED,
}
_ONE = f"""query One($id: ID!) {{ product(id: $id) {{ id title vendor productType tags descriptionHtml updatedAt
  ours: metafield(namespace: "{NAMESPACE}", key: "{KEY}") {{ value }}
  metafields(first: 100) {{ nodes {{ namespace key value }} }}
  media(first: 50) {{ nodes {{ id alt mediaContentType ... on MediaImage {{ image {{ url }} }} }} }}
  variants(first: 100) {{ nodes {{ sku selectedOptions {{ name value }} media(first: 5) {{ nodes {{ id alt ... on MediaImage {{ image {{ url }} }} }} }}
    metafields(first: 50) {{ nodes {{ namespace key value }} }} }} }} }} }}"""
_SINCE = f"""query Since($query: String!, $after: String) {{ products(first: {PAGE}, after: $after, query: $query, sortKey: UPDATED_AT) {{
  nodes {{ id updatedAt }} pageInfo {{ hasNextPage endCursor }} }} }}"""


class Shopify(PlainSource):
    """Products by their number; one product for each variant that has a SKU."""

    vendor = "shopify"
    capabilities = PimCapabilities(fetch=True, changed_since=True)

    def __init__(self, shop: Shop, secrets: list[str], fields: Fields) -> None:
        self._shop, self._secrets, self._fields = shop, secrets, fields

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        sign = inbound.headers.get("x-shopify-hmac-sha256", "")
        if not sign or not matches(sign, *(hmac_sha256(secret, inbound.body) for secret in self._secrets)):
            raise DeliveryError(401, "x-shopify-hmac-sha256 does not match any of this connection's secrets")
        event = inbound.headers.get("x-shopify-event-id") or inbound.headers.get("x-shopify-webhook-id", "")
        topic = inbound.headers.get("x-shopify-topic", "")
        if not event or not topic:
            raise DeliveryError(400, "x-shopify-event-id or x-shopify-topic is missing")
        return VerifiedWebhook(key=f"{topic}:{event}"[:200], keeps=("x-shopify-topic", "x-shopify-triggered-at"))

    def normalize(self, inbound: InboundWebhook) -> list[Event]:
        data = read_json(inbound.body, self.vendor)
        kind = _KINDS.get(inbound.headers.get("x-shopify-topic", "products/update"))
        if not isinstance(data, dict):
            raise BadOutput(self.vendor, "normalize", "/: no object")
        if kind is None:
            return []
        if not isinstance(data.get("id"), int):
            raise BadOutput(self.vendor, "normalize", "/id: the product has none")
        at = (
            moment_of(data.get("updated_at"))
            or moment_of(inbound.headers.get("x-shopify-triggered-at"))
            or inbound.received_at
        )
        return [Event(kind=kind, ref=str(data["id"]), at=at)]

    def fetch(self, ref: str) -> list[Product]:
        found = self._shop.query(_ONE, {"id": f"{GID}{ref}"}, "fetch").get("product")
        if not isinstance(found, dict):
            raise NotFound(self.vendor, "fetch", ref)
        return [
            self._product(found, variant) for variant in nodes(found.get("variants")) if variant.get("sku")
        ]

    def changed_since(self, moment: datetime) -> Iterator[Event]:
        after: str | None = None
        query = f"updated_at:>'{moment.astimezone(UTC).strftime('%Y-%m-%dT%H:%M:%SZ')}'"
        while True:
            found = (
                self._shop.query(_SINCE, {"query": query, "after": after}, "changed_since").get("products")
                or {}
            )
            for node in nodes(found):
                yield Event(
                    kind=EventKind.UPDATED,
                    ref=str(node["id"]).removeprefix(GID),
                    at=moment_of(node.get("updatedAt")) or moment,
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
        ours = {id for of in noted_media(product.get("ours")).values() for id in of.values()}
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
                metafields.get(path.removeprefix(META))
                if path.startswith(META)
                else facts.get(path, options.get(path))
            )

        return self._fields.product(str(variant["sku"]), look, images, attributes)


def _metafields(holder: Mapping[str, Any]) -> dict[str, Any]:
    """By NAMESPACE.KEY; measures, which are JSON, as what they are."""
    found: dict[str, Any] = {}
    for node in nodes(holder.get("metafields")):
        if node.get("namespace") == NAMESPACE:
            continue
        value = str(node.get("value"))
        try:
            read = json.loads(value) if value.startswith("{") else value
        except ValueError:
            read = value
        found[f"{node.get('namespace')}.{node.get('key')}"] = read
    return found


def connect(options: Mapping[str, Any], kit: AdapterContext) -> Shopify:
    only(options, "base_url", "token", "api_version", "secrets", "attributes", "unit", "image_order")
    secrets = options.get("secrets")
    if not isinstance(secrets, list) or not secrets:
        raise ConfigError('secrets: the app\'s, such as ["env/SHOPIFY_SECRET"]')
    return Shopify(
        open_shop(options, kit),
        [kit.secret(str(each)) for each in secrets],
        Fields("shopify", USUAL, options),
    )
