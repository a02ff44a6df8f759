"""WooCommerce as a PIM: signed webhooks; products from the REST API wc/v3.

Options: `base_url`; `consumer_key` and `consumer_secret`, by default `env/WOOCOMMERCE_KEY` and
`env/WOOCOMMERCE_SECRET`; `secrets` of the webhooks; `attributes`, `unit` and `image_order`, see
`common.product_mapping`. Facts: docs/connections/woocommerce.md.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from dam_connector.adapters.common.api_client import basic_auth
from dam_connector.adapters.common.context import AdapterContext, check_options, url_option
from dam_connector.adapters.common.envelopes import parse_json
from dam_connector.adapters.common.mixins import ReadOnlyPim
from dam_connector.adapters.common.product_mapping import AttributeMapping, to_text
from dam_connector.adapters.common.webhook_signatures import hmac_sha256, key_of_body, signature_matches
from dam_connector.adapters.http import HttpResponse
from dam_connector.adapters.woocommerce.client import (
    MAX_JSON_BYTES,
    MEDIA_IDS_KEY,
    WooCommerceClient,
    meta_value,
)
from dam_connector.domain.event import Event, EventKind
from dam_connector.domain.outside_values import parse_integer, parse_timestamp, to_utc
from dam_connector.domain.product import Product
from dam_connector.errors import BadOutput, ConfigError, DeliveryError, NotFound, Refused
from dam_connector.ports import InboundWebhook, PimCapabilities, VerifiedWebhook
from schemas.numbers_and_units import METRES_PER_UNIT

DEFAULT_ATTRIBUTES = {
    "parent": "parent_id",
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
GLOBAL_PREFIX = "pa_"  # of the slug of an attribute that all products share, e.g. `pa_color`
DELETION_REPEAT_S = 2
_BARE_BODY = re.compile(rb'\s*\{\s*"id"\s*:\s*\d+\s*\}\s*')  # of a deletion
META_PREFIX = "meta:"  # of an attribute in plugin.json that is in the product's meta data
DEFAULT_UNIT = "cm"  # where the shop does not say in which unit its dimensions are
NOT_FOR_SALE = {  # a product's status, and the words for it
    "trash": "in the trash",
    "draft": "a draft",
    "auto-draft": "a draft",
    "pending": "not published yet",
}
TOPICS = ("product.created", "product.updated", "product.deleted", "product.restored")
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
        self._address = f"{context.public_url.rstrip('/')}/webhooks/{context.name}"

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        signature = inbound.headers.get("x-wc-webhook-signature", "")
        if not signature and inbound.body.startswith(b"webhook_id=") and len(inbound.body) < 64:
            # WooCommerce sends this, unsigned, when a webhook is activated
            return VerifiedWebhook(key="ping", is_event=False, is_proved=False)
        expected = [hmac_sha256(secret, inbound.body) for secret in self._secrets]
        if not signature or not signature_matches(signature, *expected):
            raise DeliveryError(401, "x-wc-webhook-signature does not match any of this connection's secrets")
        return VerifiedWebhook(
            key=_delivery_key(inbound),
            has_own_id=bool(_BARE_BODY.fullmatch(inbound.body)),
            headers_to_store=("x-wc-webhook-topic",),
        )

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
        if kind is EventKind.DELETED and data.keys() == {"id"}:
            return [self._deletion(data["id"], inbound)]
        at = parse_timestamp(data.get("date_modified_gmt")) or inbound.received_at
        return [Event(kind=kind, ref=_owner(data), at=at)]

    def _deletion(self, number: int, inbound: InboundWebhook) -> Event:
        """Return the event of a deletion, whose body holds a number only: of a product or of a variation.

        The shop knows which product a variation belongs to, and its clock is the one of all other events.
        """
        try:
            reply = self.request("GET", f"/products/{number}", "normalize", max_bytes=MAX_JSON_BYTES)
        except NotFound:
            return Event(kind=EventKind.DELETED, ref=str(number), at=inbound.received_at)
        ref = _owner(self.parse_object(reply, "normalize"))
        return Event(kind=EventKind.DELETED, ref=ref, at=_sent_at(reply) or inbound.received_at)

    def fetch(self, ref: str) -> list[Product]:
        product = self.request_json("GET", f"/products/{int(ref)}", "fetch", max_bytes=MAX_JSON_BYTES)
        if reason := NOT_FOR_SALE.get(str(product.get("status"))):
            raise NotFound(self.vendor, "fetch", f"product {ref} is {reason}")
        if (owner := _owner(product)) != str(product.get("id")):
            return [each for each in self.fetch(owner) if each.sku == product.get("sku")]
        self._read_unit()
        if product.get("type") != "variable":
            return [self._product(product, product)] if product.get("sku") else []
        variations = self._pages(f"/products/{int(ref)}/variations?per_page={PAGE_SIZE}", "fetch")
        return [
            self._product({**product, **_own_values(variation, product)}, product)
            for variation in variations
            if variation.get("sku") and variation.get("status") not in NOT_FOR_SALE
        ]

    def check_rights(self) -> Iterator[str]:
        """Prove that the shop sends its webhooks here."""
        try:
            rows = list(self._pages(f"/webhooks?per_page={PAGE_SIZE}", "webhooks"))
        except Refused:
            yield "its key may not list webhooks, so whether they come was not tested"
            return
        here = [row for row in rows if _is_same_address(str(row.get("delivery_url", "")), self._address)]
        active = {row.get("topic") for row in here if row.get("status") == "active"}
        missing = [topic for topic in TOPICS if topic not in active]
        if missing:
            reason = f"no active webhook for {', '.join(missing)} at {self._address}"
            off = "; WooCommerce switches one off after five failures in a row" if here else ""
            raise Refused(self.vendor, "webhooks", f"{reason}{off}")
        yield f"its webhooks come here: {', '.join(TOPICS)}"

    def _read_unit(self) -> None:
        """Read the unit of the shop's dimensions once, unless plugin.json has one or the key may not."""
        if self._mapping.unit:
            return
        path = "/settings/products/woocommerce_dimension_unit"
        try:
            unit = str(self.request_json("GET", path, "fetch").get("value") or DEFAULT_UNIT)
        except (NotFound, Refused):
            unit = DEFAULT_UNIT
        if unit not in METRES_PER_UNIT:
            reason = f"the shop's dimensions are in {unit}; choose one of {', '.join(METRES_PER_UNIT)} there"
            raise BadOutput(self.vendor, "fetch", reason)
        self._mapping.unit = unit

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
        our_ids = _our_ids(parent)
        images = [
            (str(image["src"]), f"{to_text(image.get('name'))}\n{to_text(image.get('alt'))}")
            for image in record.get("images") or ()
            if isinstance(image, dict) and image.get("id") not in our_ids and image.get("src")
        ]
        attributes = {
            to_text(attribute.get("name")): to_text(_attribute_values(attribute))
            for attribute in record.get("attributes") or ()
            if isinstance(attribute, dict)
        }
        own = {**record, "parent_id": parent["id"] if parent.get("type") == "variable" else None}
        return self._mapping.build_product(
            str(record["sku"]), lambda name: _get_value(own, name), images, attributes
        )


def _delivery_key(inbound: InboundWebhook) -> str:
    """Return the key of a delivery.

    No signature covers the topic and the id that WooCommerce gives a delivery, and all deliveries of one
    webhook within a second share that id. So the body counts. The body of a deletion is the product's number
    only, and is the same the next time, so it counts again soon.
    """
    if _BARE_BODY.fullmatch(inbound.body):
        period = int(inbound.received_at.timestamp()) // DELETION_REPEAT_S
        return f"{hashlib.sha256(inbound.body).hexdigest()}:{period}"
    return key_of_body(inbound)


def _is_same_address(one: str, other: str) -> bool:
    return one.rstrip("/").lower() == other.lower()


def _owner(record: Mapping[str, Any]) -> str:
    """Return the number of a product, or of the product that a variation belongs to."""
    is_variation = record.get("type") == "variation" and isinstance(record.get("parent_id"), int)
    return str(record["parent_id"] if is_variation and record["parent_id"] else record["id"])


def _sent_at(reply: HttpResponse) -> datetime | None:
    """Return the time at which the shop answered, by its own clock."""
    try:
        return to_utc(parsedate_to_datetime(reply.headers.get("date", "")))
    except ValueError:
        return None


def _own_values(variation: Mapping[str, Any], parent: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a variation that replace its parent's, e.g. its own picture.

    A variation without a picture of its own has the first one of its parent.
    """
    own = {name: variation[name] for name in ("id", "sku", "meta_data") if variation.get(name)}
    own["attributes"] = _merge_attributes(variation, parent)
    dimensions = variation.get("dimensions") or {}
    own |= {"dimensions": dimensions} if any(dimensions.values()) else {}
    image = variation.get("image")
    if not isinstance(image, dict) or not image.get("src"):
        return own
    first = next((each.get("id") for each in parent.get("images") or () if isinstance(each, dict)), None)
    inherited = image.get("id") == first or image.get("id") in _our_ids(parent)
    return own if inherited else {**own, "images": [image]}


def _merge_attributes(variation: Mapping[str, Any], parent: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a variation's attributes, and those of its product that it does not choose."""
    own, shared = (
        [each for each in record.get("attributes") or () if isinstance(each, dict)]
        for record in (variation, parent)
    )
    chosen = {(each.get("id"), each.get("name")) for each in own}
    return [*own, *(each for each in shared if (each.get("id"), each.get("name")) not in chosen)]


def _our_ids(product: Mapping[str, Any]) -> set[int]:
    """Return the numbers of the pictures that we published in a product's gallery."""
    ids = meta_value(product, MEDIA_IDS_KEY)
    return {id for each in (ids if isinstance(ids, list) else ()) if (id := parse_integer(each)) is not None}


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
        slug = str(attribute.get("slug", "")).lower()
        names = (to_text(attribute.get("name")).lower(), slug, slug.removeprefix(GLOBAL_PREFIX))
        if name.lower() in names or name.lower().removeprefix(GLOBAL_PREFIX) == names[0]:
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
        mapping=AttributeMapping("woocommerce", DEFAULT_ATTRIBUTES, {"unit": "", **options}),
    )
