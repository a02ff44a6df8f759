"""Vendure: thin events signed by Standard Webhooks (its core has none: a small plugin sends them), and the Admin API for the facts.

Facts, and the plugin: docs/connections/vendure.md.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from dam_connector.adapters.common.context import AdapterContext, check_options, url_option
from dam_connector.adapters.common.envelopes import parse_json
from dam_connector.adapters.common.mixins import ReadOnlyPim
from dam_connector.adapters.common.product_mapping import AttributeMapping, parse_timestamp
from dam_connector.adapters.common.webhook_signatures import make_signer, verify_standard_webhook
from dam_connector.adapters.vendure.client import VendureClient, is_ours
from dam_connector.domain.event import Event, EventKind
from dam_connector.domain.product import Product
from dam_connector.errors import BadOutput, ConfigError, NotFound
from dam_connector.ports import InboundWebhook, PimCapabilities, VerifiedWebhook

DEFAULT_ATTRIBUTES = {
    "name": "name",
    "description": "description",
    "category": "category",
    "brand": "brand",
    "color": "color",
    "material": "material",
}
PAGE_SIZE = 100
CUSTOM_FIELD_PREFIX = "custom:"  # before the name of a custom field
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PRODUCT_QUERY = """query One($id: ID!) { product(id: $id) {
  id name description updatedAt
  facetValues { name facet { code } } collections { name } %s
  assets { source preview name mimeType type tags { value } }
  variants { sku name options { name group { code } } facetValues { name facet { code } }
             assets { source preview name mimeType type tags { value } } } } }"""
_CHANGED_QUERY = f"""query Since($at: DateTime!, $skip: Int!) {{
  products(options: {{take: {PAGE_SIZE}, skip: $skip, filter: {{updatedAt: {{after: $at}}}}, sort: {{updatedAt: ASC}}}}) {{ totalItems items {{ id updatedAt }} }} }}"""


class VendurePim(ReadOnlyPim):
    """Products by their id there; one product for each variant."""

    vendor = "vendure"
    capabilities = PimCapabilities(can_fetch=True, can_list_changes=True)

    def __init__(
        self, context: AdapterContext, base_url: str, user: str, password: str, secrets: list[str], fields: AttributeMapping
    ) -> None:
        self._shop, self._base, self._fields = (
            VendureClient(context.http, base_url, user, password),
            base_url.rstrip("/"),
            fields,
        )
        self._one = _PRODUCT_QUERY % (
            f"customFields {{ {' '.join(own)} }}" if (own := fields.attributes_with_prefix(CUSTOM_FIELD_PREFIX)) else ""
        )
        self._signers = [make_signer(secret) for secret in secrets]

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        return VerifiedWebhook(key=verify_standard_webhook(inbound, self._signers))

    def normalize(self, inbound: InboundWebhook) -> list[Event]:
        said = parse_json(inbound.body, self.vendor)
        data = said.get("data") if isinstance(said, dict) else None
        if not isinstance(data, dict):
            raise BadOutput(self.vendor, "normalize", "/data: the event has none")
        subject, _, what = str(said.get("type", "")).partition(".")
        ref = {"product": data.get("id"), "product_variant": data.get("productId")}.get(subject)
        if ref is None:
            return []  # of assets and the like
        at = parse_timestamp(said.get("timestamp")) or inbound.received_at
        gone = subject == "product" and what == "deleted"
        kind = (
            EventKind.DELETED
            if gone
            else EventKind.CREATED
            if (subject, what) == ("product", "created")
            else EventKind.UPDATED
        )
        return [Event(kind=kind, ref=str(ref), at=at)]

    def fetch(self, ref: str) -> list[Product]:
        found = self._shop.query(self._one, {"id": ref}, "fetch").get("product")
        if not isinstance(found, dict):
            raise NotFound(self.vendor, "fetch", ref)
        return [
            self._product(found, variant) for variant in found.get("variants") or () if variant.get("sku")
        ]

    def changed_since(self, since: datetime) -> Iterator[Event]:
        skip, total = 0, 1
        while skip < total:
            found = (
                self._shop.query(
                    _CHANGED_QUERY, {"at": since.astimezone(UTC).isoformat(), "skip": skip}, "changed_since"
                ).get("products")
                or {}
            )
            total = int(found.get("totalItems") or 0)
            for each in found.get("items") or ():
                yield Event(
                    kind=EventKind.UPDATED, ref=str(each["id"]), at=parse_timestamp(each.get("updatedAt")) or since
                )
            skip += PAGE_SIZE

    def _product(self, product: Mapping[str, Any], variant: Mapping[str, Any]) -> Product:
        attributes = {**_facets(product), **_facets(variant)}
        attributes |= {
            str(option["group"]["code"]): str(option["name"])
            for option in variant.get("options") or ()
            if option.get("group")
        }
        own = product.get("customFields") or {}
        attributes |= {
            f"{CUSTOM_FIELD_PREFIX}{name}": str(value)
            for name, value in own.items()
            if isinstance(value, (str, int, float))
        }
        collections = [c.get("name") for c in product.get("collections") or ()]
        facts = {
            "name": product.get("name"),
            "description": product.get("description"),
            "category": collections[0] if collections else "",
        }
        assets = _source_assets(variant) or _source_assets(product)
        images = [
            (self._address(str(a.get("source") or a.get("preview"))), str(a.get("name") or ""))
            for a in assets
        ]
        return self._fields.build_product(
            str(variant["sku"]), lambda path: facts.get(path) or attributes.get(path), images, attributes
        )

    def _address(self, source: str) -> str:
        return source if "://" in source else f"{self._base}/{source.lstrip('/')}"


def _source_assets(holder: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The pictures that are not ours."""
    return [a for a in holder.get("assets") or () if a.get("type") == "IMAGE" and not is_ours(a)]


def _facets(data: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for each in data.get("facetValues") or ():
        found.setdefault(str((each.get("facet") or {}).get("code")), []).append(str(each.get("name")))
    return {code: ", ".join(names) for code, names in found.items()}


def connect(options: Mapping[str, Any], context: AdapterContext) -> VendurePim:
    check_options(options, "base_url", "user", "password", "secrets", "attributes", "unit", "image_order")
    secrets = options.get("secrets")
    if not isinstance(secrets, list) or not secrets:
        raise ConfigError('secrets: those of its webhooks, such as ["env/VENDURE_WEBHOOK_SECRET"]')
    fields = AttributeMapping("vendure", DEFAULT_ATTRIBUTES, options)
    if wrong := [name for name in fields.attributes_with_prefix(CUSTOM_FIELD_PREFIX) if not _NAME.fullmatch(name)]:
        raise ConfigError(f"attributes: {wrong[0]!r} is no custom field's name")
    return VendurePim(
        context,
        base_url=url_option(options),
        user=str(options.get("user", "")),
        password=context.secret(str(options.get("password", "env/VENDURE_PASSWORD"))),
        secrets=[context.secret(str(each)) for each in secrets],
        fields=fields,
    )
