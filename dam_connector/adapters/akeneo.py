"""Akeneo as a PIM: events of the Event Platform or the old Events API; products from the REST API.

Options: `base_url`; `client_id` and `client_secret` of the connection, `user` and `password` of its API
user, by default `env/AKENEO_CLIENT_SECRET` and `env/AKENEO_PASSWORD`; `secrets` of the webhooks; `locale`
and `scope`, the values to prefer; `attributes` and `unit`, see `common.product_mapping`; `assets`, the
family and media attribute of each asset collection; `write_back`, {"ar_url" or "status": attribute to
write it into}. Facts: docs/connections/akeneo.md.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from dam_connector.adapters.common.api_client import ApiClient, basic_auth
from dam_connector.adapters.common.context import AdapterContext, check_options, url_option
from dam_connector.adapters.common.envelopes import parse_json
from dam_connector.adapters.common.product_mapping import AttributeMapping, to_text
from dam_connector.adapters.common.webhook_signatures import check_sent_at, hmac_sha256, signature_matches
from dam_connector.adapters.http import HttpResponse
from dam_connector.domain.event import Event, EventKind
from dam_connector.domain.outside_values import parse_integer, parse_timestamp
from dam_connector.domain.product import Product
from dam_connector.errors import AdapterError, BadOutput, ConfigError, DeliveryError, NotFound, Refused
from dam_connector.ports import InboundWebhook, PimCapabilities, VerifiedWebhook

DEFAULT_ATTRIBUTES = {
    "parent": "parent",  # the code of its product model
    "name": "name",
    "description": "description",
    "category": "category",
    "brand": "brand",
    "color": "color",
    "material": "material",
}
_KIND_BY_ACTION = {
    "created": EventKind.CREATED,
    "updated": EventKind.UPDATED,
    "became-complete": EventKind.UPDATED,
    "deleted": EventKind.DELETED,
}
_KIND_BY_OLD_ACTION = {**_KIND_BY_ACTION, "removed": EventKind.DELETED}
EVENT_TYPE_PREFIX = "com.akeneo.pim.v1."
# The Event Platform signs no timestamp. Its retries come within the hour, so an older event is a replay.
EVENT_PLATFORM_TOLERANCE = timedelta(hours=24)
MODEL_PREFIX = "model:"  # of a reference that is a product model's code
ASSET_PREFIX = "asset:"  # of an attribute in plugin.json that is an asset collection, and in image URLs
IMAGE_URL_PREFIX = "pim:"  # of an image that only this connection can fetch: `pim:CONNECTION/NAME`
PAGE_SIZE = 100
MAX_JSON_BYTES = 16_000_000
MAX_IMAGE_BYTES = 100_000_000
MAX_TOKEN_LIFETIME_S = 366 * 86_400
TOKEN_MARGIN = timedelta(minutes=2)  # a token is renewed so long before it expires


class AkeneoPim(ApiClient):
    """A `Pim` whose references are product uuids, or `model:CODE` for all products of a product model."""

    vendor = "akeneo"

    def __init__(
        self,
        context: AdapterContext,
        options: Mapping[str, Any],
        mapping: AttributeMapping,
        assets: Mapping[str, tuple[str, str]],
    ) -> None:
        """Create the adapter.

        Args:
            context: the adapter's context.
            options: the options of the connection, checked.
            mapping: our fields by Akeneo's attributes.
            assets: asset collection attribute -> asset family and the family's media attribute.
        """
        super().__init__(context.http, url_option(options, example="https://my-pim.cloud.akeneo.com"), {})
        self._name, self._clock, self._mapping, self._assets = context.name, context.clock, mapping, assets
        self._secrets = [context.secret(str(each)) for each in options.get("secrets", [])]
        self._client_auth = basic_auth(
            str(options.get("client_id", "")),
            context.secret(str(options.get("client_secret", "env/AKENEO_CLIENT_SECRET"))),
        )
        self._user = str(options.get("user", ""))
        self._password = context.secret(str(options.get("password", "env/AKENEO_PASSWORD")))
        self._locale, self._scope = str(options.get("locale", "")), str(options.get("scope", ""))
        self._locales = [str(each) for each in options.get("locales", ())]
        self._write_back_attributes = {str(k): str(v) for k, v in options.get("write_back", {}).items()}
        self._token, self._expires_at = "", datetime.min.replace(tzinfo=UTC)
        self.capabilities = PimCapabilities(
            can_fetch=True, can_list_changes=True, can_write_back=bool(self._write_back_attributes)
        )

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        if "x-akeneo-signature-primary" in inbound.headers:
            return self._verify_event_platform(inbound)
        signature = inbound.headers.get("x-akeneo-request-signature", "")
        timestamp = inbound.headers.get("x-akeneo-request-timestamp", "")
        if not signature:
            raise DeliveryError(
                400, "x-akeneo-signature-primary, or x-akeneo-request-signature and -timestamp, are missing"
            )
        check_sent_at(timestamp, inbound.received_at, "x-akeneo-request-timestamp")
        message = timestamp.encode() + b"." + inbound.body
        expected = [hmac_sha256(secret, message) for secret in self._secrets]
        if not signature_matches(signature, *expected, hexadecimal=True):
            raise DeliveryError(401, "the signature does not match any of this connection's secrets")
        return VerifiedWebhook(key=hashlib.sha256(inbound.body).hexdigest())

    def _verify_event_platform(self, inbound: InboundWebhook) -> VerifiedWebhook:
        """Verify one event of the Event Platform; its time is only in the signed body."""
        if inbound.headers.get("x-akeneo-signature-algorithm", "HmacSHA256") != "HmacSHA256":
            raise DeliveryError(400, "x-akeneo-signature-algorithm: only HmacSHA256 is supported")
        signatures = [
            inbound.headers.get(f"x-akeneo-signature-{which}", "") for which in ("primary", "secondary")
        ]
        expected = [hmac_sha256(secret, inbound.body) for secret in self._secrets]
        if not any([signature_matches(s, *expected, hexadecimal=True) for s in signatures if s]):
            raise DeliveryError(401, "neither signature matches any of this connection's secrets")
        try:
            event = parse_json(inbound.body, self.vendor)
        except BadOutput as error:
            raise DeliveryError(400, str(error)) from error
        if not isinstance(event, dict) or not event.get("id"):
            digest = hashlib.sha256(inbound.body).hexdigest()
            return VerifiedWebhook(key=f"ping:{digest}", is_event=False)
        at = parse_timestamp(event.get("time"))
        if at is None or abs(inbound.received_at - at) > EVENT_PLATFORM_TOLERANCE:
            raise DeliveryError(401, "the event's time is more than a day off")
        return VerifiedWebhook(key=str(event["id"])[:180])

    def normalize(self, inbound: InboundWebhook) -> list[Event]:
        message = parse_json(inbound.body, self.vendor)
        if not isinstance(message, dict):
            raise BadOutput(self.vendor, "normalize", "/: the body is not a JSON object")
        if isinstance(message.get("events"), list):  # of the Events API, up to ten in one webhook
            entries = [entry for entry in message["events"] if isinstance(entry, dict)]
            return [event for entry in entries for event in self._events_api_event(entry, inbound)]
        subject, _, action = str(message.get("type", "")).removeprefix(EVENT_TYPE_PREFIX).partition(".")
        kind, data = _KIND_BY_ACTION.get(action.partition(".")[0]), message.get("data")
        if not str(message.get("type", "")).startswith(EVENT_TYPE_PREFIX) or kind is None:
            return []
        if not isinstance(data, dict):
            raise BadOutput(self.vendor, "normalize", "/data: the event has none")
        if self._user and (data.get("author") or {}).get("identifier") == self._user:
            return []  # our own write_back caused it
        ref = _ref(subject, data.get(subject.replace("-", "_")) or {})
        at = parse_timestamp(message.get("time")) or inbound.received_at
        return [Event(kind=_event_kind(kind, ref), ref=ref, at=at)]

    def _events_api_event(self, entry: Mapping[str, Any], inbound: InboundWebhook) -> Iterator[Event]:
        """Yield the event of one entry of the old Events API, unless our own write_back caused it."""
        subject, _, action = str(entry.get("action", "")).partition(".")
        kind = _KIND_BY_OLD_ACTION.get(action)
        if kind is None or (self._user and entry.get("author") == self._user):
            return
        ref = _ref(subject.replace("_", "-"), (entry.get("data") or {}).get("resource") or {})
        at = parse_timestamp(entry.get("event_datetime")) or inbound.received_at
        yield Event(kind=_event_kind(kind, ref), ref=ref, at=at)

    def fetch(self, ref: str) -> list[Product]:
        if not ref.startswith(MODEL_PREFIX):
            path = f"/api/rest/v1/products-uuid/{quote(ref, safe='')}"
            return [self._product(self._get_json(path, "fetch"))]
        code = ref.removeprefix(MODEL_PREFIX)
        records = list(self._search({"parent": [{"operator": "=", "value": code}]}, "fetch"))
        if not records:
            raise NotFound(self.vendor, "fetch", f"the product model {code} has no products")
        return [self._product(record) for record in records]

    def changed_since(self, since: datetime) -> Iterator[Event]:
        since_utc = since.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
        search = {"updated": [{"operator": ">", "value": since_utc}]}
        for record in self._search(search, "changed_since"):
            at = parse_timestamp(record.get("updated")) or since
            yield Event(kind=EventKind.UPDATED, ref=str(record["uuid"]), at=at)

    def fetch_picture(self, name: str) -> bytes:
        """Fetch an image by a media file's code, or by `asset:FAMILY/CODE/ATTRIBUTE`."""
        parts = name.removeprefix(ASSET_PREFIX).split("/")
        if {"", ".", ".."} & set(parts) or (name.startswith(ASSET_PREFIX) and len(parts) != 3):
            raise NotFound(self.vendor, "fetch_picture", f"{name!r} is no image name")
        if not name.startswith(ASSET_PREFIX):
            return self._get_bytes(f"/api/rest/v1/media-files/{quote(name)}/download")
        family, code, attribute = parts
        path = f"/api/rest/v1/asset-families/{quote(family, safe='')}/assets/{quote(code, safe='')}"
        asset = self._get_json(path, "fetch_picture")
        value = self._preferred_value((asset.get("values") or {}).get(attribute) or [])
        return self._get_bytes(f"/api/rest/v1/asset-media-files/{quote(str(value))}")

    def write_back(self, ref: str, values: Mapping[str, str]) -> None:
        body = {
            self._write_back_attributes[name]: [{"locale": None, "scope": None, "data": value or None}]
            for name, value in values.items()
            if name in self._write_back_attributes
        }
        if body and not ref.startswith(MODEL_PREFIX):
            path = f"/api/rest/v1/products-uuid/{quote(ref, safe='')}"
            self._request_authorized("PATCH", path, "write_back", json={"values": body})

    def _product(self, record: Mapping[str, Any]) -> Product:
        values = {
            code: self._preferred_value(entries)
            for code, entries in (record.get("values") or {}).items()
            if isinstance(entries, list)
        }
        values["category"] = values.get("category") or (record.get("categories") or [record.get("family")])[0]
        values["family"] = record.get("family")
        sku = str(record.get("identifier") or values.get("sku") or "")
        if not sku:
            raise BadOutput(self.vendor, "fetch", f"/identifier: product {record.get('uuid')} has none")
        attributes = {code: to_text(value) for code, value in values.items() if value is not None}

        def get_value(attribute: str) -> Any:
            if attribute in self._mapping.image_attributes:
                return self._image_url(attribute, values)
            return values.get(attribute, record.get("parent") if attribute == "parent" else None)

        translations = {each: self._values_in(record, each).get for each in self._locales}
        return self._mapping.build_product(sku, get_value, (), attributes, translations)

    def _values_in(self, record: Mapping[str, Any], locale: str) -> dict[str, Any]:
        """Return the values that a record has in a locale, by attribute."""
        return {
            code: self._preferred_value(own)
            for code, entries in (record.get("values") or {}).items()
            if isinstance(entries, list)
            and (own := [e for e in entries if isinstance(e, dict) and e.get("locale") == locale])
        }

    def _image_url(self, attribute: str, values: Mapping[str, Any]) -> str:
        """Return the `pim:` URL of an image; empty if the attribute is."""
        code = attribute.removeprefix(ASSET_PREFIX)
        value = values.get(code)
        if not value:
            return ""
        if not attribute.startswith(ASSET_PREFIX):
            return f"{IMAGE_URL_PREFIX}{self._name}/{value}"
        family, media_attribute = self._assets[code]
        asset_code = value[0] if isinstance(value, list) else value
        return f"{IMAGE_URL_PREFIX}{self._name}/{ASSET_PREFIX}{family}/{asset_code}/{media_attribute}"

    def _preferred_value(self, entries: list[Any]) -> Any:
        """Return the value of our locale and scope; prefer one for all locales or scopes to another's."""

        def fitness(entry: Mapping[str, Any]) -> int:
            scope = entry.get("scope", entry.get("channel"))
            return (entry.get("locale") in (None, self._locale)) + (scope in (None, self._scope))

        found = sorted((entry for entry in entries if isinstance(entry, dict)), key=fitness)
        return found[-1].get("data") if found else None

    def _search(self, search: Mapping[str, Any], operation: str) -> Iterator[dict[str, Any]]:
        """Yield the product records of a search, page by page."""
        query = urlencode(
            {"search": json.dumps(search), "pagination_type": "search_after", "limit": PAGE_SIZE}
        )
        path = f"/api/rest/v1/products-uuid?{query}"
        while path:
            page = self._get_json(path, operation)
            for record in (page.get("_embedded") or {}).get("items") or ():
                if isinstance(record, dict) and record.get("uuid"):
                    yield record
            path = str(((page.get("_links") or {}).get("next") or {}).get("href") or "")

    def _get_json(self, path: str, operation: str) -> dict[str, Any]:
        return self.parse_object(self._request_authorized("GET", path, operation), operation)

    def _get_bytes(self, path: str) -> bytes:
        return self._request_authorized("GET", path, "fetch_picture", max_bytes=MAX_IMAGE_BYTES).body

    def _request_authorized(self, method: str, path: str, operation: str, **options: Any) -> HttpResponse:
        """Send a request with a token; log in again, once, if the token was revoked."""
        for is_retry in (False, True):
            if is_retry or self._clock.now() > self._expires_at:
                self._log_in()
            headers = {"Authorization": f"Bearer {self._token}"}
            try:
                return self.request(
                    method, path, operation, headers=headers, **{"max_bytes": MAX_JSON_BYTES, **options}
                )
            except _TokenExpired:
                self._expires_at = datetime.min.replace(tzinfo=UTC)
        raise Refused(self.vendor, operation, "its token is refused right after the login")

    def error_for(self, reply: HttpResponse, operation: str) -> AdapterError:
        if reply.status == 401 and operation != "login":
            return _TokenExpired(self.vendor, operation, "the token has expired")
        return super().error_for(reply, operation)

    def _log_in(self) -> None:
        body = {"grant_type": "password", "username": self._user, "password": self._password}
        headers = {"Authorization": self._client_auth}
        answer = self.request_json("POST", "/api/oauth/v1/token", "login", json=body, headers=headers)
        if not answer.get("access_token"):
            raise BadOutput(self.vendor, "login", "/access_token: it is missing")
        self._token = str(answer["access_token"])
        lifetime = timedelta(
            seconds=parse_integer(answer.get("expires_in"), most=MAX_TOKEN_LIFETIME_S) or 3600
        )
        self._expires_at = self._clock.now() + lifetime - TOKEN_MARGIN


class _TokenExpired(Refused):
    """A token expired, or was revoked before its time."""


def _ref(subject: str, resource: Mapping[str, Any]) -> str:
    """Return our reference of an event's product or product model.

    Raises:
        BadOutput: the event names neither.
    """
    if subject == "product-model" and resource.get("code"):
        return f"{MODEL_PREFIX}{resource['code']}"
    if not resource.get("uuid"):
        raise BadOutput("akeneo", "normalize", "/data: it names no product")
    return str(resource["uuid"])


def _event_kind(kind: EventKind, ref: str) -> EventKind:
    """Return UPDATED for product models: if one is deleted, its products have events of their own."""
    return EventKind.UPDATED if ref.startswith(MODEL_PREFIX) else kind


def _assets_option(options: Mapping[str, Any], mapping: AttributeMapping) -> dict[str, tuple[str, str]]:
    """Read the option `assets`: attribute -> (family, media attribute), for each mapped asset collection.

    Raises:
        ConfigError: an asset collection is mapped that `assets` does not describe.
    """
    assets = options.get("assets", {})
    mapped = [
        attribute.removeprefix(ASSET_PREFIX)
        for attribute in mapping.image_attributes
        if attribute.startswith(ASSET_PREFIX)
    ]
    if not isinstance(assets, dict) or (
        missing := [name for name in mapped if not {"family", "media"} <= set(assets.get(name, {}))]
    ):
        name = missing[0] if isinstance(assets, dict) else "ATTRIBUTE"
        raise ConfigError(
            f"assets: must name the family of {name} and the family's attribute that holds the image: "
            f'{{"{name}": {{"family": "...", "media": "..."}}}}'
        )
    return {name: (str(entry["family"]), str(entry["media"])) for name, entry in assets.items()}


def connect(options: Mapping[str, Any], context: AdapterContext) -> AkeneoPim:
    """Open the adapter.

    Raises:
        ConfigError: an option is wrong.
    """
    names = ("base_url", "client_id", "client_secret", "user", "password", "secrets", "locale", "scope")
    check_options(options, *names, "attributes", "assets", "unit", "write_back", "locales")
    mapping = AttributeMapping("akeneo", DEFAULT_ATTRIBUTES, options)
    assets = _assets_option(options, mapping)
    if wrong := [name for name in options.get("write_back", {}) if name not in ("ar_url", "status")]:
        raise ConfigError(f"write_back: {wrong[0]!r} is neither ar_url nor status")
    return AkeneoPim(context, options, mapping, assets)
