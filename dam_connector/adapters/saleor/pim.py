"""Saleor: webhooks signed by its published key (or, as it was, by a secret), and GraphQL for the facts. Facts: docs/connections/saleor.md."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers

from dam_connector.adapters.common.context import AdapterContext, check_options
from dam_connector.adapters.common.envelopes import parse_json
from dam_connector.adapters.common.mixins import ReadOnlyPim
from dam_connector.adapters.common.product_mapping import AttributeMapping, parse_timestamp
from dam_connector.adapters.common.webhook_signatures import (
    PublishedKeys,
    decode_base64url,
    hmac_sha256,
    signature_matches,
)
from dam_connector.adapters.saleor.client import SaleorClient, api_url_option, is_ours
from dam_connector.domain.event import Event, EventKind
from dam_connector.domain.product import Product
from dam_connector.errors import BadOutput, DeliveryError, NotFound
from dam_connector.ports import InboundWebhook, PimCapabilities, VerifiedWebhook

DEFAULT_ATTRIBUTES = {
    "name": "name",
    "description": "description",
    "category": "category",
    "brand": "brand",
    "color": "color",
    "material": "material",
}
PAGE_SIZE = 50
_KIND_BY_EVENT = {
    "product_created": EventKind.CREATED,
    "product_updated": EventKind.UPDATED,
    "product_metadata_updated": EventKind.UPDATED,
    "product_media_created": EventKind.UPDATED,
    "product_media_updated": EventKind.UPDATED,
    "product_media_deleted": EventKind.UPDATED,
    "product_variant_created": EventKind.UPDATED,
    "product_variant_updated": EventKind.UPDATED,
    "product_deleted": EventKind.DELETED,
}
_PRODUCT_FIELDS = """
  id name description category { name } updatedAt
  attributes { attribute { slug } values { name value } }
  media { url alt type metadata { key value } }
  variants { sku name attributes { attribute { slug } values { name value } } media { url alt type metadata { key value } } }
"""
_PRODUCT_QUERY = f"query One($id: ID!) {{ product(id: $id) {{ {_PRODUCT_FIELDS} }} }}"
_CHANGED_QUERY = f"""query Since($at: DateTime!, $after: String) {{
  products(first: {PAGE_SIZE}, after: $after, where: {{updatedAt: {{range: {{gte: $at}}}}}}, sortBy: {{field: LAST_MODIFIED_AT, direction: ASC}}) {{
    pageInfo {{ hasNextPage endCursor }} edges {{ node {{ id updatedAt }} }} }} }}"""


class SaleorPim(ReadOnlyPim):
    """Products by their global id; one product for each variant that has a SKU."""

    vendor = "saleor"
    capabilities = PimCapabilities(can_fetch=True, can_list_changes=True)

    def __init__(
        self, context: AdapterContext, api_url: str, token: str, secrets: list[str], app_id: str, fields: AttributeMapping
    ) -> None:
        self._shop, self._secrets, self._app_id, self._fields = (
            SaleorClient(context.http, api_url, token),
            secrets,
            app_id,
            fields,
        )
        self._keys = PublishedKeys(context, self.vendor, f"{self._shop.origin}/.well-known/jwks.json", _public_key)

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        sign, event = inbound.headers.get("saleor-signature", ""), inbound.headers.get("saleor-event", "")
        if not sign or not event:
            raise DeliveryError(400, "saleor-signature or saleor-event is missing")
        if not (self._by_key(sign, inbound.body) if ".." in sign else self._by_secret(sign, inbound.body)):
            raise DeliveryError(
                401, "the signature matches none of the shop's keys, nor of this connection's secrets"
            )
        return VerifiedWebhook(
            key=f"{event}:{hashlib.sha256(inbound.body).hexdigest()}", headers_to_store=("saleor-event",)
        )  # a delivery has no id, but says when it was issued

    def _by_secret(self, sign: str, body: bytes) -> bool:
        return signature_matches(sign, *(hmac_sha256(secret, body) for secret in self._secrets), hexadecimal=True)

    def _by_key(self, sign: str, body: bytes) -> bool:
        """A detached JWS (RFC 7515, 7797): its payload is the raw body, not coded."""
        header, _, signature = sign.partition("..")
        try:
            found, proof = json.loads(decode_base64url(header)), decode_base64url(signature)
        except ValueError:
            return False
        if (
            not isinstance(found, dict)
            or found.get("alg") != "RS256"
            or found.get("b64") is not False
            or found.get("crit") != ["b64"]
        ):
            return False
        return self._keys.verify(lambda key: _is_signed_by(key, proof, header.encode() + b"." + body))

    def normalize(self, inbound: InboundWebhook) -> list[Event]:
        data = parse_json(inbound.body, self.vendor)
        data = data[0] if isinstance(data, list) and data else data
        if not isinstance(data, dict):
            raise BadOutput(self.vendor, "normalize", "the body is not a JSON object")
        kind = _KIND_BY_EVENT.get(inbound.headers.get("saleor-event", ""))
        if kind is None or self._is_our_own(data):
            return []
        ref = _product_id(data)
        issued = data.get("issuedAt") or (data.get("meta") or {}).get("issued_at")
        return [Event(kind=kind, ref=ref, at=parse_timestamp(issued) or inbound.received_at)]

    def _is_our_own(self, data: Mapping[str, Any]) -> bool:
        """Whether we caused the event: what we write must not come back as news."""
        by = data.get("issuingPrincipal") or (data.get("meta") or {}).get("issuing_principal") or {}
        return bool(self._app_id) and self._app_id in (by.get("id"), by.get("name"))

    def fetch(self, ref: str) -> list[Product]:
        found = self._shop.query(_PRODUCT_QUERY, {"id": ref}, "fetch").get("product")
        if not isinstance(found, dict):
            raise NotFound(self.vendor, "fetch", ref)
        return [
            self._product(found, variant) for variant in found.get("variants") or () if variant.get("sku")
        ]

    def changed_since(self, since: datetime) -> Iterator[Event]:
        after: str | None = None
        while True:
            found = (
                self._shop.query(
                    _CHANGED_QUERY, {"at": since.astimezone(UTC).isoformat(), "after": after}, "changed_since"
                ).get("products")
                or {}
            )
            for edge in found.get("edges") or ():
                yield Event(
                    kind=EventKind.UPDATED,
                    ref=str(edge["node"]["id"]),
                    at=parse_timestamp(edge["node"].get("updatedAt")) or since,
                )
            if not (found.get("pageInfo") or {}).get("hasNextPage"):
                return
            after = found["pageInfo"]["endCursor"]

    def _product(self, product: Mapping[str, Any], variant: Mapping[str, Any]) -> Product:
        attributes = {**_attributes(product), **_attributes(variant)}
        facts = {
            "name": product.get("name"),
            "description": _plain_text(product.get("description")),
            "category": (product.get("category") or {}).get("name"),
        }
        media = _source_media(variant) or _source_media(product)
        images = [(str(m["url"]), str(m.get("alt") or "")) for m in media]
        return self._fields.build_product(
            str(variant["sku"]), lambda path: facts.get(path, attributes.get(path)), images, attributes
        )


def _source_media(holder: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The pictures that are not ours."""
    return [m for m in holder.get("media") or () if m.get("type") == "IMAGE" and not is_ours(m)]


def _product_id(data: Mapping[str, Any]) -> str:
    for holder in (
        data.get("product"),
        (data.get("productVariant") or {}).get("product"),
        (data.get("productMedia") or {}),
        data,
    ):
        if isinstance(holder, dict) and isinstance(ref := holder.get("productId") or holder.get("id"), str):
            return ref
    raise BadOutput("saleor", "normalize", "/product/id: it names no product; subscribe to product { id }")


def _attributes(data: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for each in data.get("attributes") or ():
        values = [str(v.get("name") or v.get("value") or "") for v in each.get("values") or ()]
        found[str((each.get("attribute") or {}).get("slug"))] = ", ".join(filter(None, values))
    return found


def _plain_text(description: Any) -> str:
    """The words of a description, which Saleor keeps as blocks of an editor."""
    try:
        blocks = json.loads(description)["blocks"] if isinstance(description, str) else []
        return " ".join(str(block.get("data", {}).get("text", "")) for block in blocks)
    except (ValueError, KeyError, TypeError, AttributeError):
        return str(description)


def _public_key(jwk: Mapping[str, Any]) -> RSAPublicKey:
    exponent, modulus = (int.from_bytes(decode_base64url(jwk[name]), "big") for name in ("e", "n"))
    return RSAPublicNumbers(exponent, modulus).public_key()


def _is_signed_by(key: RSAPublicKey, proof: bytes, message: bytes) -> bool:
    try:
        key.verify(proof, message, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def connect(options: Mapping[str, Any], context: AdapterContext) -> SaleorPim:
    check_options(options, "api_url", "token", "secrets", "app_id", "attributes", "unit", "image_order")
    return SaleorPim(
        context,
        api_url=api_url_option(options),
        token=context.secret(str(options.get("token", "env/SALEOR_TOKEN"))),
        secrets=[context.secret(str(each)) for each in options.get("secrets", [])],
        app_id=str(options.get("app_id", "")),
        fields=AttributeMapping("saleor", DEFAULT_ATTRIBUTES, options),
    )
