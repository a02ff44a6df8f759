"""Shopify as a PIM: webhooks signed with the app's secret; products from the Admin GraphQL API.

Options: `base_url`; `token`, by default `env/SHOPIFY_TOKEN`; `api_version`; `secrets`, the app's secrets;
`attributes`, `unit` and `image_order`, see `common.product_mapping`; `locales`, further locales whose names
and descriptions are taken in. Facts: docs/connections/shopify.md.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from dam_connector.adapters.common.context import AdapterContext, check_options
from dam_connector.adapters.common.envelopes import parse_json
from dam_connector.adapters.common.graphql import nodes
from dam_connector.adapters.common.mixins import ReadOnlyPim
from dam_connector.adapters.common.product_mapping import AttributeMapping, GetValue
from dam_connector.adapters.common.webhook_signatures import hmac_sha256, key_of_body, signature_matches
from dam_connector.adapters.shopify.client import (
    METAFIELD_KEY,
    METAFIELD_NAMESPACE,
    ShopifyClient,
    found_translations,
    open_client,
    parse_media_note,
    translation_fields,
)
from dam_connector.domain.event import Event, EventKind
from dam_connector.domain.outside_values import decode_json, parse_timestamp
from dam_connector.domain.product import Product
from dam_connector.errors import BadOutput, ConfigError, DeliveryError, NotFound
from dam_connector.ports import InboundWebhook, PimCapabilities, VerifiedWebhook
from schemas.product import normal_locale

DEFAULT_ATTRIBUTES = {
    "parent": "product",
    "name": "title",
    "description": "descriptionHtml",
    "category": "productType",
    "brand": "vendor",
    "color": "Color",
    "material": "Material",
}
TRANSLATED_ATTRIBUTES = {"title": "title", "body_html": "descriptionHtml"}  # by the key of a translation
PAGE_SIZE = 100
VARIANTS_PER_PAGE = 15
PRODUCT_GID_PREFIX = "gid://shopify/Product/"
METAFIELD_PREFIX = "meta:"  # of an attribute in plugin.json that is a metafield, e.g. `meta:custom.width`
_KIND_BY_TOPIC = {
    "products/create": EventKind.CREATED,
    "products/update": EventKind.UPDATED,
    "products/delete": EventKind.DELETED,
}
_IMAGE = "... on MediaImage { image { url } }"
_PRODUCT_QUERY = f"""query One($id: ID!) {{ product(id: $id) {{
  id %s title vendor productType tags descriptionHtml updatedAt
  ours: metafield(namespace: "{METAFIELD_NAMESPACE}", key: "{METAFIELD_KEY}") {{ value }}
  metafields(first: 100) {{ nodes {{ namespace key value }} }}
  media(first: 50) {{ nodes {{ id alt mediaContentType {_IMAGE} }} }} }} }}"""
# in pages, since Shopify refuses a query that may cost more than 1,000 points
_VARIANTS_QUERY = f"""query Variants($id: ID!, $after: String) {{ product(id: $id) {{
  variants(first: {VARIANTS_PER_PAGE}, after: $after) {{
    nodes {{ sku selectedOptions {{ name value }}
      media(first: 5) {{ nodes {{ id alt {_IMAGE} }} }}
      metafields(first: 30) {{ nodes {{ namespace key value }} }} }}
    pageInfo {{ hasNextPage endCursor }} }} }} }}"""
_CHANGED_QUERY = f"""query Since($query: String!, $after: String) {{
  products(first: {PAGE_SIZE}, after: $after, query: $query, sortKey: UPDATED_AT) {{
    nodes {{ id updatedAt }} pageInfo {{ hasNextPage endCursor }} }} }}"""


class ShopifyPim(ReadOnlyPim):
    """A `Pim` for one shop; references are product numbers, and each variant with a SKU is a product."""

    vendor = "shopify"
    capabilities = PimCapabilities(can_fetch=True, can_list_changes=True)

    def __init__(
        self, client: ShopifyClient, secrets: list[str], mapping: AttributeMapping, locales: Sequence[str]
    ) -> None:
        self._client, self._secrets, self._mapping = client, secrets, mapping
        self._product_query = _PRODUCT_QUERY % translation_fields(locales)

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        signature = inbound.headers.get("x-shopify-hmac-sha256", "")
        if not signature or not signature_matches(
            signature, *(hmac_sha256(secret, inbound.body) for secret in self._secrets)
        ):
            raise DeliveryError(401, "x-shopify-hmac-sha256 does not match any of this connection's secrets")
        if not inbound.headers.get("x-shopify-topic", ""):
            raise DeliveryError(400, "x-shopify-topic is missing")
        return VerifiedWebhook(
            key=key_of_body(inbound),
            has_own_id=False,
            headers_to_store=("x-shopify-topic", "x-shopify-triggered-at"),
        )

    def normalize(self, inbound: InboundWebhook) -> list[Event]:
        data = parse_json(inbound.body, self.vendor)
        kind = _KIND_BY_TOPIC.get(inbound.headers.get("x-shopify-topic", "products/update"))
        if not isinstance(data, dict):
            raise BadOutput(self.vendor, "normalize", "/: the body is not a JSON object")
        if kind is None:
            return []
        if not isinstance(data.get("id"), int):
            raise BadOutput(self.vendor, "normalize", "/id: the product has no number")
        at = (
            parse_timestamp(data.get("updated_at"))
            or parse_timestamp(inbound.headers.get("x-shopify-triggered-at"))
            or inbound.received_at
        )
        return [Event(kind=kind, ref=str(data["id"]), at=at)]

    def fetch(self, ref: str) -> list[Product]:
        data = self._client.query(self._product_query, {"id": f"{PRODUCT_GID_PREFIX}{ref}"}, "fetch")
        product = data.get("product")
        if not isinstance(product, dict):
            raise NotFound(self.vendor, "fetch", ref)
        return [self._product(product, variant) for variant in self._variants(ref) if variant.get("sku")]

    def changed_since(self, since: datetime) -> Iterator[Event]:
        after: str | None = None
        query = f"updated_at:>'{since.astimezone(UTC).strftime('%Y-%m-%dT%H:%M:%SZ')}'"
        while True:
            data = self._client.query(_CHANGED_QUERY, {"query": query, "after": after}, "changed_since")
            page = data.get("products") or {}
            for node in nodes(page):
                yield Event(
                    kind=EventKind.UPDATED,
                    ref=str(node["id"]).removeprefix(PRODUCT_GID_PREFIX),
                    at=parse_timestamp(node.get("updatedAt")) or since,
                )
            if not (page.get("pageInfo") or {}).get("hasNextPage"):
                return
            after = page["pageInfo"]["endCursor"]

    def _variants(self, ref: str) -> Iterator[dict[str, Any]]:
        after: str | None = None
        while True:
            variables = {"id": f"{PRODUCT_GID_PREFIX}{ref}", "after": after}
            data = self._client.query(_VARIANTS_QUERY, variables, "fetch")
            page = (data.get("product") or {}).get("variants") or {}
            yield from nodes(page)
            if not (page.get("pageInfo") or {}).get("hasNextPage"):
                return
            after = page["pageInfo"]["endCursor"]

    def _product(self, product: Mapping[str, Any], variant: Mapping[str, Any]) -> Product:
        options = {str(o.get("name")): str(o.get("value")) for o in variant.get("selectedOptions") or ()}
        metafields = {**_metafields(product), **_metafields(variant)}
        values = {
            name: product.get(name) for name in ("title", "vendor", "productType", "tags", "descriptionHtml")
        }

        values["product"] = product.get("id")

        def get_value(attribute: str) -> Any:
            if attribute.startswith(METAFIELD_PREFIX):
                return metafields.get(attribute.removeprefix(METAFIELD_PREFIX))
            return values.get(attribute, options.get(attribute))

        attributes = {**options, **{name: str(value) for name, value in metafields.items()}}
        return self._mapping.build_product(
            str(variant["sku"]),
            get_value,
            _source_images(product, variant),
            attributes,
            _translations(product),
        )


def _translations(product: Mapping[str, Any]) -> dict[str, GetValue]:
    """Return the name and the description of a product in its further languages, by locale."""
    texts: dict[str, dict[str, Any]] = {}
    for each in found_translations(product):
        if attribute := TRANSLATED_ATTRIBUTES.get(str(each.get("key"))):
            texts.setdefault(str(each.get("locale")), {})[attribute] = each.get("value")
    return {locale: found.get for locale, found in texts.items()}


def _source_images(product: Mapping[str, Any], variant: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return URL and text of the variant's images, or else the product's; without those that we published."""
    our_ids = {id for ids in parse_media_note(product.get("ours")).values() for id in ids.values()}
    for holder in (variant, product):
        if media := [node for node in nodes(holder.get("media")) if node.get("id") not in our_ids]:
            break
    return [
        (str(m["image"]["url"]), f"{m['image']['url'].rpartition('/')[2]}\n{m.get('alt') or ''}")
        for m in media
        if m.get("image")
    ]


def _metafields(holder: Mapping[str, Any]) -> dict[str, Any]:
    """Return metafields by NAMESPACE.KEY; those that are JSON objects, such as measures, are parsed."""
    found: dict[str, Any] = {}
    for node in nodes(holder.get("metafields")):
        if node.get("namespace") == METAFIELD_NAMESPACE:
            continue
        text = str(node.get("value"))
        try:
            value = decode_json(text) if text.startswith("{") else text
        except ValueError:
            value = text
        found[f"{node.get('namespace')}.{node.get('key')}"] = value
    return found


def connect(options: Mapping[str, Any], context: AdapterContext) -> ShopifyPim:
    """Open the adapter.

    Raises:
        ConfigError: an option is wrong.
    """
    mapped = ("attributes", "unit", "image_order", "locales")
    check_options(options, "base_url", "token", "api_version", "secrets", *mapped)
    secrets = options.get("secrets")
    if not isinstance(secrets, list) or not secrets:
        raise ConfigError('secrets: must be a list of the app\'s secrets, e.g. ["env/SHOPIFY_SECRET"]')
    return ShopifyPim(
        open_client(options, context),
        [context.secret(str(each)) for each in secrets],
        AttributeMapping("shopify", DEFAULT_ATTRIBUTES, options),
        [normal_locale(str(each)) for each in options.get("locales", ())],
    )
