"""Saleor as a PIM: signed webhooks; products from the GraphQL API.

Options: `api_url`; `token`, by default `env/SALEOR_TOKEN`; `secrets`, for webhooks that are signed with a
secret (as in older versions) instead of the shop's published key; `app_id`, the connector's own app,
whose changes are ignored; `attributes`, `unit` and `image_order`, see `common.product_mapping`;
`locales`, further locales whose names and descriptions are taken in. Facts: docs/connections/saleor.md.
"""

import base64
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
from dam_connector.adapters.common.product_mapping import AttributeMapping, GetValue
from dam_connector.adapters.common.webhook_signatures import (
    PublishedKeys,
    decode_base64url,
    hmac_sha256,
    key_of_body,
    signature_matches,
)
from dam_connector.adapters.saleor.client import SaleorClient, api_url_option, is_ours, language_code
from dam_connector.adapters.saleor.webhooks import EVENTS, OWN_APP_QUERY, missing_events
from dam_connector.domain.event import Event, EventKind
from dam_connector.domain.outside_values import decode_json, parse_timestamp
from dam_connector.domain.product import Product
from dam_connector.errors import BadOutput, DeliveryError, NotFound, Refused
from dam_connector.ports import InboundWebhook, PimCapabilities, VerifiedWebhook
from schemas.product import normal_locale

DEFAULT_ATTRIBUTES = {
    "parent": "product",
    "name": "name",
    "description": "description",
    "category": "category",
    "brand": "brand",
    "color": "color",
    "material": "material",
}
PAGE_SIZE = 50
KIND_BY_EVENT = {
    "product_created": EventKind.CREATED,
    "product_updated": EventKind.UPDATED,
    "product_metadata_updated": EventKind.UPDATED,
    "product_media_created": EventKind.UPDATED,
    "product_media_updated": EventKind.UPDATED,
    "product_media_deleted": EventKind.UPDATED,
    "product_variant_created": EventKind.UPDATED,
    "product_variant_updated": EventKind.UPDATED,
    "product_variant_deleted": EventKind.UPDATED,  # of the product, which has one variant less
    "product_deleted": EventKind.DELETED,
}
_ATTRIBUTES = "attributes { attribute { slug } values { name value } }"
# With no size, the address is that of a thumbnail: smaller, of less quality, and without the file's name.
_MEDIA = "media { url(size: 0) alt type metadata { key value } }"
_PRODUCT_QUERY = f"""query One($id: ID!) {{ product(id: $id) {{
  id %s name description category {{ name }} updatedAt
  {_ATTRIBUTES}
  {_MEDIA}
  variants {{ sku name {_ATTRIBUTES} {_MEDIA} }}
}} }}"""
_CHANGED_QUERY = f"""query Since($at: DateTime!, $after: String) {{
  products(
    first: {PAGE_SIZE}, after: $after,
    where: {{updatedAt: {{range: {{gte: $at}}}}}}, sortBy: {{field: LAST_MODIFIED_AT, direction: ASC}}
  ) {{ pageInfo {{ hasNextPage endCursor }} edges {{ node {{ id updatedAt }} }} }} }}"""
# A new variant leaves its product's date as it was.
_CHANGED_VARIANTS_QUERY = f"""query VariantsSince($at: DateTime!, $after: String) {{
  productVariants(
    first: {PAGE_SIZE}, after: $after,
    where: {{updatedAt: {{gte: $at}}}}, sortBy: {{field: LAST_MODIFIED_AT, direction: ASC}}
  ) {{ pageInfo {{ hasNextPage endCursor }} edges {{ node {{ updatedAt product {{ id }} }} }} }} }}"""


class SaleorPim(ReadOnlyPim):
    """A `Pim` for one shop; references are global ids, and each variant with a SKU is a product."""

    vendor = "saleor"
    capabilities = PimCapabilities(can_fetch=True, can_list_changes=True)

    def __init__(
        self,
        context: AdapterContext,
        client: SaleorClient,
        secrets: list[str],
        app_id: str,
        mapping: AttributeMapping,
        locales: list[str],
    ) -> None:
        self._client, self._secrets, self._app_id, self._mapping = client, secrets, app_id, mapping
        self._address = f"{context.public_url.rstrip('/')}/webhooks/{context.name}"
        self._locales = {f"in{number}": locale for number, locale in enumerate(locales)}  # by alias
        self._product_query = _PRODUCT_QUERY % " ".join(
            f"{alias}: translation(languageCode: {language_code(locale)}) {{ name description }}"
            for alias, locale in self._locales.items()
        )
        keys_url = f"{client.origin}/.well-known/jwks.json"
        self._keys = PublishedKeys(context, self.vendor, keys_url, _public_key)

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        signature, event = (
            inbound.headers.get("saleor-signature", ""),
            inbound.headers.get("saleor-event", ""),
        )
        if not signature or not event:
            raise DeliveryError(400, "saleor-signature or saleor-event is missing")
        verify = self._verify_by_key if ".." in signature else self._verify_by_secret
        if not verify(signature, inbound.body):
            raise DeliveryError(
                401, "the signature matches none of the shop's keys, nor of this connection's secrets"
            )
        return VerifiedWebhook(key=key_of_body(inbound), has_own_id=False, headers_to_store=("saleor-event",))

    def _verify_by_secret(self, signature: str, body: bytes) -> bool:
        expected = [hmac_sha256(secret, body) for secret in self._secrets]
        return signature_matches(signature, *expected, hexadecimal=True)

    def _verify_by_key(self, signature: str, body: bytes) -> bool:
        """Verify a detached JWS (RFC 7515) whose payload is the raw body, unencoded (RFC 7797)."""
        encoded_header, _, encoded_proof = signature.partition("..")
        try:
            header, proof = decode_json(decode_base64url(encoded_header)), decode_base64url(encoded_proof)
        except ValueError:
            return False
        if (
            not isinstance(header, dict)
            or header.get("alg") != "RS256"
            or header.get("b64") is not False
            or header.get("crit") != ["b64"]
        ):
            return False
        message = encoded_header.encode() + b"." + body
        return self._keys.verify(lambda key: _is_signed_by(key, proof, message))

    def normalize(self, inbound: InboundWebhook) -> list[Event]:
        data = parse_json(inbound.body, self.vendor)
        data = data[0] if isinstance(data, list) and data else data
        if not isinstance(data, dict):
            raise BadOutput(self.vendor, "normalize", "/: the body is not a JSON object")
        kind = KIND_BY_EVENT.get(inbound.headers.get("saleor-event", ""))
        if kind is None or self._is_own_change(data):
            return []
        ref = _product_id(data)
        issued_at = data.get("issuedAt") or (data.get("meta") or {}).get("issued_at")
        return [Event(kind=kind, ref=ref, at=parse_timestamp(issued_at) or inbound.received_at)]

    def _is_own_change(self, data: Mapping[str, Any]) -> bool:
        """Return whether our own app caused the event; it must not start another run."""
        principal = data.get("issuingPrincipal") or (data.get("meta") or {}).get("issuing_principal") or {}
        return bool(self._app_id) and self._app_id in (principal.get("id"), principal.get("name"))

    def check_rights(self) -> Iterator[str]:
        """Prove that the token is an app's, whose webhook comes here."""
        app = self._client.own_app(OWN_APP_QUERY, "webhooks")
        here = [each for each in app.get("webhooks") or () if each.get("targetUrl") == self._address]
        active = [each for each in here if each.get("isActive")]
        missing = missing_events(active[0]) if active else list(EVENTS)
        if missing:
            reason = f"no active webhook for {', '.join(missing)} at {self._address}"
            remedy = "dam-connector connect pim saleor makes it"
            raise Refused(self.vendor, "webhooks", f"{reason}; {remedy}")
        yield "its webhook comes here, with all events"

    def fetch(self, ref: str) -> list[Product]:
        product = self._client.query(self._product_query, {"id": ref}, "fetch").get("product")
        if not isinstance(product, dict):
            self._client.require_app("fetch")  # else no product is seen, and all would count as deleted
            raise NotFound(self.vendor, "fetch", ref)
        variants = product.get("variants") or ()
        return [self._product(product, variant) for variant in variants if variant.get("sku")]

    def changed_since(self, since: datetime) -> Iterator[Event]:
        self._client.require_app("changed_since")  # else no product is seen
        seen = set()
        for query, name in ((_CHANGED_QUERY, "products"), (_CHANGED_VARIANTS_QUERY, "productVariants")):
            for node in self._changed(query, name, since):
                ref = str((node.get("product") or node)["id"])
                if ref not in seen:
                    seen.add(ref)
                    at = parse_timestamp(node.get("updatedAt")) or since
                    yield Event(kind=EventKind.UPDATED, ref=ref, at=at)

    def _changed(self, query: str, name: str, since: datetime) -> Iterator[dict[str, Any]]:
        after: str | None = None
        while True:
            variables = {"at": since.astimezone(UTC).isoformat(), "after": after}
            page = self._client.query(query, variables, "changed_since").get(name) or {}
            yield from (edge["node"] for edge in page.get("edges") or ())
            if not (page.get("pageInfo") or {}).get("hasNextPage"):
                return
            after = page["pageInfo"]["endCursor"]

    def _product(self, product: Mapping[str, Any], variant: Mapping[str, Any]) -> Product:
        attributes = {**_attributes(product), **_attributes(variant)}
        values = {
            "product": product.get("id"),
            "name": product.get("name"),
            "description": _plain_text(product.get("description")),
            "category": (product.get("category") or {}).get("name"),
        }
        media = _source_media(variant) or _source_media(product)
        images = [(str(m["url"]), str(m.get("alt") or "")) for m in media]
        return self._mapping.build_product(
            str(variant["sku"]),
            lambda name: values.get(name, attributes.get(name)),
            images,
            attributes,
            self._translations(product),
        )

    def _translations(self, product: Mapping[str, Any]) -> dict[str, GetValue]:
        """Return the name and the description of a product in its further languages, by locale."""
        found = {locale: product.get(alias) or {} for alias, locale in self._locales.items()}
        return {
            locale: {"name": each.get("name"), "description": _plain_text(each.get("description") or "")}.get
            for locale, each in found.items()
        }


def _source_media(holder: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the images of a product or variant, without those that we published."""
    return [m for m in holder.get("media") or () if m.get("type") == "IMAGE" and not is_ours(m)]


def _product_id(data: Mapping[str, Any]) -> str:
    """Return the product's id from an event about a product, a variant or a medium.

    Raises:
        BadOutput: the event's subscription does not include it.
    """
    variant, media = data.get("productVariant") or {}, data.get("productMedia") or {}
    holders = [data.get("product"), variant.get("product"), media.get("product")]
    refs = [holder.get("id") for holder in holders if isinstance(holder, dict)]
    refs += [holder.get(name) for holder in (media, variant, data) for name in ("productId", "product_id")]
    for ref in (*refs, data.get("id")):
        if isinstance(ref, str) and _type_of_id(ref) in ("", "Product"):
            return ref
    remedy = "productMedia { productId }" if media else "product { id }"
    raise BadOutput("saleor", "normalize", f"/product/id: it is missing; subscribe to {remedy}")


def _type_of_id(ref: str) -> str:
    """Return the type that a global id names, e.g. `ProductMedia`; empty if it names none."""
    try:
        name, colon, _ = base64.b64decode(ref, validate=True).decode("ascii").partition(":")
    except ValueError:
        return ""
    return name if colon else ""


def _attributes(holder: Mapping[str, Any]) -> dict[str, str]:
    """Return attributes by their slug; several values are joined."""
    found = {}
    for each in holder.get("attributes") or ():
        values = [str(v.get("name") or v.get("value") or "") for v in each.get("values") or ()]
        found[str((each.get("attribute") or {}).get("slug"))] = ", ".join(filter(None, values))
    return found


def _plain_text(description: Any) -> str:
    """Return the text of a description, which Saleor stores as the JSON blocks of Editor.js."""
    try:
        blocks = decode_json(description)["blocks"] if isinstance(description, str) else []
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
    """Open the adapter.

    Raises:
        ConfigError: an option is wrong.
    """
    mapped = ("attributes", "unit", "image_order", "locales")
    check_options(options, "api_url", "token", "secrets", "app_id", *mapped)
    token = context.secret(str(options.get("token", "env/SALEOR_TOKEN")))
    return SaleorPim(
        context,
        SaleorClient(context.http, api_url_option(options), token),
        secrets=[context.secret(str(each)) for each in options.get("secrets", [])],
        app_id=str(options.get("app_id", "")),
        mapping=AttributeMapping("saleor", DEFAULT_ATTRIBUTES, options),
        locales=[normal_locale(str(each)) for each in options.get("locales", ())],
    )
