"""Vendure as a PIM: events by Standard Webhooks; products from the Admin API.

Options: `base_url`; `user`; `password`, by default `env/VENDURE_PASSWORD`; `secrets` of the webhooks;
`attributes` (also `custom:NAME`, a custom field of the product), `unit` and `image_order`, see
`common.product_mapping`. Facts: docs/connections/vendure.md.

Vendure's core sends no webhooks; a small plugin does, which the same page shows.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from dam_connector.adapters.common.context import AdapterContext, check_options, url_option
from dam_connector.adapters.common.envelopes import parse_json
from dam_connector.adapters.common.mixins import ReadOnlyPim
from dam_connector.adapters.common.product_mapping import AttributeMapping, GetValue
from dam_connector.adapters.common.webhook_signatures import make_signer, verify_standard_webhook
from dam_connector.adapters.vendure.client import VendureClient, is_ours
from dam_connector.domain.event import Event, EventKind
from dam_connector.domain.outside_values import parse_integer, parse_timestamp
from dam_connector.domain.product import Product
from dam_connector.errors import BadOutput, ConfigError, NotFound
from dam_connector.ports import InboundWebhook, PimCapabilities, VerifiedWebhook

DEFAULT_ATTRIBUTES = {
    "parent": "product",
    "name": "name",
    "description": "description",
    "category": "category",
    "brand": "brand",
    "color": "color",
    "material": "material",
}
PAGE_SIZE = 100
CUSTOM_FIELD_PREFIX = "custom:"  # of an attribute in plugin.json that is a custom field
_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PRODUCT_QUERY = """query One($id: ID!) { product(id: $id) {
  id name description updatedAt languageCode translations { languageCode name description }
  facetValues { name facet { code } } collections { name } %s
  assets { source preview name mimeType type tags { value } }
  variants { sku name options { name group { code } } facetValues { name facet { code } }
             assets { source preview name mimeType type tags { value } } } } }"""
_CHANGED_QUERY = f"""query Since($at: DateTime!, $skip: Int!) {{
  products(options: {{
    take: {PAGE_SIZE}, skip: $skip, filter: {{updatedAt: {{after: $at}}}}, sort: {{updatedAt: ASC}}
  }}) {{ totalItems items {{ id updatedAt }} }} }}"""


class VendurePim(ReadOnlyPim):
    """A `Pim` for one shop; references are product ids, and each variant with a SKU is a product."""

    vendor = "vendure"
    capabilities = PimCapabilities(can_fetch=True, can_list_changes=True)

    def __init__(
        self, client: VendureClient, base_url: str, secrets: list[str], mapping: AttributeMapping
    ) -> None:
        self._client, self._base_url, self._mapping = client, base_url.rstrip("/"), mapping
        self._signers = [make_signer(secret) for secret in secrets]
        custom_fields = mapping.attributes_with_prefix(CUSTOM_FIELD_PREFIX)
        self._product_query = _PRODUCT_QUERY % (
            f"customFields {{ {' '.join(custom_fields)} }}" if custom_fields else ""
        )

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        return VerifiedWebhook(key=verify_standard_webhook(inbound, self._signers))

    def normalize(self, inbound: InboundWebhook) -> list[Event]:
        message = parse_json(inbound.body, self.vendor)
        data = message.get("data") if isinstance(message, dict) else None
        if not isinstance(data, dict):
            raise BadOutput(self.vendor, "normalize", "/data: the event has none")
        subject, _, action = str(message.get("type", "")).partition(".")
        ref = {"product": data.get("id"), "product_variant": data.get("productId")}.get(subject)
        if ref is None:
            return []  # the event is about something else, e.g. an asset
        kind = EventKind.UPDATED
        if subject == "product":
            kind = {"created": EventKind.CREATED, "deleted": EventKind.DELETED}.get(action, kind)
        at = parse_timestamp(message.get("timestamp")) or inbound.received_at
        return [Event(kind=kind, ref=str(ref), at=at)]

    def fetch(self, ref: str) -> list[Product]:
        product = self._client.query(self._product_query, {"id": ref}, "fetch").get("product")
        if not isinstance(product, dict):
            raise NotFound(self.vendor, "fetch", ref)
        variants = product.get("variants") or ()
        return [self._product(product, variant) for variant in variants if variant.get("sku")]

    def changed_since(self, since: datetime) -> Iterator[Event]:
        skip, total = 0, 1
        while skip < total:
            variables = {"at": since.astimezone(UTC).isoformat(), "skip": skip}
            page = self._client.query(_CHANGED_QUERY, variables, "changed_since").get("products") or {}
            total = parse_integer(page.get("totalItems")) or 0
            for product in page.get("items") or ():
                yield Event(
                    kind=EventKind.UPDATED,
                    ref=str(product["id"]),
                    at=parse_timestamp(product.get("updatedAt")) or since,
                )
            skip += PAGE_SIZE

    def _product(self, product: Mapping[str, Any], variant: Mapping[str, Any]) -> Product:
        attributes = {**_facets(product), **_facets(variant)}
        attributes |= {
            str(option["group"]["code"]): str(option["name"])
            for option in variant.get("options") or ()
            if option.get("group")
        }
        attributes |= {
            f"{CUSTOM_FIELD_PREFIX}{name}": str(value)
            for name, value in (product.get("customFields") or {}).items()
            if isinstance(value, (str, int, float))
        }
        collections = [collection.get("name") for collection in product.get("collections") or ()]
        values = {
            "product": product.get("id"),
            "name": product.get("name"),
            "description": product.get("description"),
            "category": collections[0] if collections else "",
        }
        assets = _source_assets(variant) or _source_assets(product)
        images = [
            (self._image_url(str(a.get("source") or a.get("preview"))), str(a.get("name") or ""))
            for a in assets
        ]
        return self._mapping.build_product(
            str(variant["sku"]),
            lambda name: values.get(name) or attributes.get(name),
            images,
            attributes,
            _translations(product),
        )

    def _image_url(self, source: str) -> str:
        return source if "://" in source else f"{self._base_url}/{source.lstrip('/')}"


def _translations(product: Mapping[str, Any]) -> dict[str, GetValue]:
    """Return by locale what gives the name and the description of a product in its other languages."""
    return {
        str(each["languageCode"]): each.get
        for each in product.get("translations") or ()
        if isinstance(each, dict) and each.get("languageCode") not in (None, product.get("languageCode"))
    }


def _source_assets(holder: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the images of a product or variant, without those that we published."""
    return [a for a in holder.get("assets") or () if a.get("type") == "IMAGE" and not is_ours(a)]


def _facets(holder: Mapping[str, Any]) -> dict[str, str]:
    """Return facet values by the facet's code; several values are joined."""
    found: dict[str, list[str]] = {}
    for value in holder.get("facetValues") or ():
        found.setdefault(str((value.get("facet") or {}).get("code")), []).append(str(value.get("name")))
    return {code: ", ".join(names) for code, names in found.items()}


def connect(options: Mapping[str, Any], context: AdapterContext) -> VendurePim:
    """Open the adapter.

    Raises:
        ConfigError: an option is wrong.
    """
    check_options(options, "base_url", "user", "password", "secrets", "attributes", "unit", "image_order")
    secrets = options.get("secrets")
    if not isinstance(secrets, list) or not secrets:
        raise ConfigError(
            'secrets: must be a list of the webhooks\' secrets, e.g. ["env/VENDURE_WEBHOOK_SECRET"]'
        )
    mapping = AttributeMapping("vendure", DEFAULT_ATTRIBUTES, options)
    custom_fields = mapping.attributes_with_prefix(CUSTOM_FIELD_PREFIX)
    if wrong := [name for name in custom_fields if not _FIELD_NAME.fullmatch(name)]:
        raise ConfigError(f"attributes: {wrong[0]!r} is not the name of a custom field")
    base_url = url_option(options)
    password = context.secret(str(options.get("password", "env/VENDURE_PASSWORD")))
    client = VendureClient(context.http, base_url, str(options.get("user", "")), password)
    return VendurePim(client, base_url, [context.secret(str(each)) for each in secrets], mapping)
