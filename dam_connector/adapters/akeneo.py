"""Akeneo: the Event Platform's events and, until it ends, the old Events API's; REST for the facts, pictures and what is written back.

Facts: docs/connections/akeneo.md.
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
from dam_connector.adapters.common.product_mapping import AttributeMapping, parse_timestamp, to_text
from dam_connector.adapters.common.webhook_signatures import hmac_sha256, signature_matches
from dam_connector.adapters.http import HttpResponse
from dam_connector.domain.event import Event, EventKind
from dam_connector.domain.product import Product
from dam_connector.errors import AdapterError, BadOutput, ConfigError, DeliveryError, NotFound, Refused
from dam_connector.ports import InboundWebhook, PimCapabilities, VerifiedWebhook

DEFAULT_ATTRIBUTES = {
    "name": "name",
    "description": "description",
    "category": "category",
    "brand": "brand",
    "color": "color",
    "material": "material",
}
_KINDS = {
    "created": EventKind.CREATED,
    "updated": EventKind.UPDATED,
    "became-complete": EventKind.UPDATED,
    "deleted": EventKind.DELETED,
}
EVENT_TYPE_PREFIX = "com.akeneo.pim.v1."
EVENTS_API_TOLERANCE = timedelta(minutes=5)
EVENT_PLATFORM_TOLERANCE = timedelta(
    hours=24
)  # it signs no time: retries come within the hour, and what is older is a replay
MODEL_PREFIX = "model:"  # before the code of a product model in a reference
ASSET_PREFIX = "asset:"  # before an attribute that is an asset collection, in plugin.json
IMAGE_URL_PREFIX = "pim:"
PAGE_SIZE = 100
MAX_JSON_BYTES = 16_000_000
MAX_IMAGE_BYTES = 100_000_000
TOKEN_MARGIN = timedelta(minutes=2)  # before a token ends


class AkeneoPim(ApiClient):
    """Products by their uuid; a product model is as many products as it has below it."""

    vendor = "akeneo"

    def __init__(
        self, context: AdapterContext, options: Mapping[str, Any], fields: AttributeMapping, assets: Mapping[str, tuple[str, str]]
    ) -> None:
        super().__init__(context.http, url_option(options, example="https://my-pim.cloud.akeneo.com"), {})
        self._name, self._clock, self._fields, self._assets = context.name, context.clock, fields, assets
        self._secrets = [context.secret(str(each)) for each in options.get("secrets", [])]
        self._login = basic_auth(
            str(options.get("client_id", "")),
            context.secret(str(options.get("client_secret", "env/AKENEO_CLIENT_SECRET"))),
        )
        self._user, self._word = (
            str(options.get("user", "")),
            context.secret(str(options.get("password", "env/AKENEO_PASSWORD"))),
        )
        self._locale, self._scope = str(options.get("locale", "")), str(options.get("scope", ""))
        self._written = {str(k): str(v) for k, v in options.get("write_back", {}).items()}
        self._token, self._until = "", datetime.min.replace(tzinfo=UTC)
        self.capabilities = PimCapabilities(can_fetch=True, can_list_changes=True, can_write_back=bool(self._written))

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        if "x-akeneo-signature-primary" in inbound.headers:
            return self._verify_platform(inbound)
        sign, stamp = (
            inbound.headers.get("x-akeneo-request-signature", ""),
            inbound.headers.get("x-akeneo-request-timestamp", ""),
        )
        if not sign or not stamp.isascii() or not stamp.isdigit() or len(stamp) > 12:
            raise DeliveryError(
                400, "x-akeneo-signature-primary, or x-akeneo-request-signature and -timestamp, are missing"
            )
        if abs(inbound.received_at - datetime.fromtimestamp(int(stamp), UTC)) > EVENTS_API_TOLERANCE:
            raise DeliveryError(401, "x-akeneo-request-timestamp is more than five minutes off")
        if not signature_matches(
            sign,
            *(hmac_sha256(s, stamp.encode() + b"." + inbound.body) for s in self._secrets),
            hexadecimal=True,
        ):
            raise DeliveryError(401, "the signature does not match any of this connection's secrets")
        return VerifiedWebhook(key=hashlib.sha256(inbound.body).hexdigest())

    def _verify_platform(self, inbound: InboundWebhook) -> VerifiedWebhook:
        """One event of the Event Platform: no time is signed, but the body says when it happened."""
        if inbound.headers.get("x-akeneo-signature-algorithm", "HmacSHA256") != "HmacSHA256":
            raise DeliveryError(400, "x-akeneo-signature-algorithm: only HmacSHA256 is known")
        given = [inbound.headers.get(f"x-akeneo-signature-{which}", "") for which in ("primary", "secondary")]
        expected = [hmac_sha256(secret, inbound.body) for secret in self._secrets]
        if not any([signature_matches(sign, *expected, hexadecimal=True) for sign in given if sign]):
            raise DeliveryError(401, "neither signature matches any of this connection's secrets")
        try:
            said = parse_json(inbound.body, self.vendor)
        except BadOutput as error:
            raise DeliveryError(400, str(error)) from error
        if not isinstance(said, dict) or not said.get("id"):
            return VerifiedWebhook(key=f"ping:{hashlib.sha256(inbound.body).hexdigest()}", is_event=False)
        at = parse_timestamp(said.get("time"))
        if at is None or abs(inbound.received_at - at) > EVENT_PLATFORM_TOLERANCE:
            raise DeliveryError(401, "the event's time is more than a day off")
        return VerifiedWebhook(key=str(said["id"])[:180])

    def normalize(self, inbound: InboundWebhook) -> list[Event]:
        said = parse_json(inbound.body, self.vendor)
        if not isinstance(said, dict):
            raise BadOutput(self.vendor, "normalize", "/: no object")
        if isinstance(said.get("events"), list):
            return [
                event
                for each in said["events"]
                if isinstance(each, dict)
                for event in self._old(each, inbound)
            ]
        subject, _, what = str(said.get("type", "")).removeprefix(EVENT_TYPE_PREFIX).partition(".")
        kind, data = _KINDS.get(what.partition(".")[0]), said.get("data")
        if not str(said.get("type", "")).startswith(EVENT_TYPE_PREFIX) or kind is None:
            return []
        if not isinstance(data, dict):
            raise BadOutput(self.vendor, "normalize", "/data: the event has none")
        if self._user and (data.get("author") or {}).get("identifier") == self._user:
            return []  # what we wrote ourselves
        about = data.get(subject.replace("-", "_")) or {}
        ref = _ref(subject, about)
        return [Event(kind=_kind(kind, ref), ref=ref, at=parse_timestamp(said.get("time")) or inbound.received_at)]

    def _old(self, said: Mapping[str, Any], inbound: InboundWebhook) -> Iterator[Event]:
        """What an event of the old Events API means; a request carries up to ten."""
        subject, _, what = str(said.get("action", "")).partition(".")
        kind = {**_KINDS, "removed": EventKind.DELETED}.get(what)
        if kind is None or (self._user and said.get("author") == self._user):
            return
        ref = _ref(subject.replace("_", "-"), (said.get("data") or {}).get("resource") or {})
        yield Event(
            kind=_kind(kind, ref), ref=ref, at=parse_timestamp(said.get("event_datetime")) or inbound.received_at
        )

    def fetch(self, ref: str) -> list[Product]:
        if not ref.startswith(MODEL_PREFIX):
            return [self._product(self._got(f"/api/rest/v1/products-uuid/{quote(ref, safe='')}", "fetch"))]
        found = list(
            self._searched({"parent": [{"operator": "=", "value": ref.removeprefix(MODEL_PREFIX)}]}, "fetch")
        )
        if not found:
            raise NotFound(
                self.vendor, "fetch", f"the product model {ref.removeprefix(MODEL_PREFIX)} has no products"
            )
        return [self._product(each) for each in found]

    def changed_since(self, since: datetime) -> Iterator[Event]:
        updated_after = since.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
        for each in self._searched({"updated": [{"operator": ">", "value": updated_after}]}, "changed_since"):
            yield Event(
                kind=EventKind.UPDATED, ref=str(each["uuid"]), at=parse_timestamp(each.get("updated")) or since
            )

    def fetch_picture(self, name: str) -> bytes:
        """name: the code of a media file, or FAMILY/CODE/ATTRIBUTE of an asset."""
        parts = name.removeprefix(ASSET_PREFIX).split("/")
        if {"", ".", ".."} & set(parts) or (name.startswith(ASSET_PREFIX) and len(parts) != 3):
            raise NotFound(self.vendor, "picture", f"{name!r} names no picture")
        if not name.startswith(ASSET_PREFIX):
            return self._bytes(f"/api/rest/v1/media-files/{quote(name)}/download")
        family, code, attribute = parts
        asset = self._got(
            f"/api/rest/v1/asset-families/{quote(family, safe='')}/assets/{quote(code, safe='')}", "picture"
        )
        value = self._chosen((asset.get("values") or {}).get(attribute) or [])
        return self._bytes(f"/api/rest/v1/asset-media-files/{quote(str(value))}")

    def write_back(self, ref: str, values: Mapping[str, str]) -> None:
        attributes = {
            self._written[name]: [{"locale": None, "scope": None, "data": value or None}]
            for name, value in values.items()
            if name in self._written
        }
        if attributes and not ref.startswith(MODEL_PREFIX):
            self._authorized(
                "PATCH",
                f"/api/rest/v1/products-uuid/{quote(ref, safe='')}",
                "write_back",
                json={"values": attributes},
            )

    def _product(self, record: Mapping[str, Any]) -> Product:
        values = {
            code: self._chosen(each)
            for code, each in (record.get("values") or {}).items()
            if isinstance(each, list)
        }
        values["category"] = values.get("category") or (record.get("categories") or [record.get("family")])[0]
        values["family"] = record.get("family")
        sku = str(record.get("identifier") or values.get("sku") or "")
        if not sku:
            raise BadOutput(self.vendor, "fetch", f"/identifier: product {record.get('uuid')} has none")
        texts = {code: to_text(value) for code, value in values.items() if value is not None}

        def look(path: str) -> Any:
            if path in self._fields.image_attributes:
                return self._address(path, values)
            return values.get(path)

        return self._fields.build_product(sku, look, (), texts)

    def _address(self, path: str, values: Mapping[str, Any]) -> str:
        """The address of a picture that only we can fetch; none where the attribute is empty."""
        attribute = path.removeprefix(ASSET_PREFIX)
        value = values.get(attribute)
        if not value:
            return ""
        if not path.startswith(ASSET_PREFIX):
            return f"{IMAGE_URL_PREFIX}{self._name}/{value}"
        family, media = self._assets[attribute]
        return (
            f"{IMAGE_URL_PREFIX}{self._name}/{ASSET_PREFIX}{family}/{value[0] if isinstance(value, list) else value}/{media}"
        )

    def _chosen(self, values: list[Any]) -> Any:
        """Of an attribute's values the one of our locale and scope; one that has none where ours is missing."""

        def fit(value: Mapping[str, Any]) -> int:
            return (value.get("locale") in (None, self._locale)) + (
                value.get("scope", value.get("channel")) in (None, self._scope)
            )

        found = sorted((v for v in values if isinstance(v, dict)), key=fit)
        return found[-1].get("data") if found else None

    def _searched(self, search: Mapping[str, Any], operation: str) -> Iterator[dict[str, Any]]:
        query = urlencode({"search": json.dumps(search), "pagination_type": "search_after", "limit": PAGE_SIZE})
        path = f"/api/rest/v1/products-uuid?{query}"
        while path:
            page = self._got(path, operation)
            yield from (
                item
                for item in (page.get("_embedded") or {}).get("items") or ()
                if isinstance(item, dict) and item.get("uuid")
            )
            path = str(((page.get("_links") or {}).get("next") or {}).get("href") or "")

    def _got(self, path: str, operation: str) -> dict[str, Any]:
        return self.parse_object(self._authorized("GET", path, operation), operation)

    def _bytes(self, path: str) -> bytes:
        return self._authorized("GET", path, "picture", max_bytes=MAX_IMAGE_BYTES).body

    def _authorized(self, method: str, path: str, operation: str, **more: Any) -> HttpResponse:
        """A reply to a request with a token; one that was ended early is renewed once."""
        for fresh in (False, True):
            if fresh or self._clock.now() > self._until:
                self._log_in()
            try:
                return self.request(
                    method,
                    path,
                    operation,
                    headers={"Authorization": f"Bearer {self._token}"},
                    **{"max_bytes": MAX_JSON_BYTES, **more},
                )
            except _TokenExpired:
                self._until = datetime.min.replace(tzinfo=UTC)
        raise Refused(self.vendor, operation, "its token is refused right after the login")

    def error_for(self, reply: HttpResponse, operation: str) -> AdapterError:
        if reply.status == 401 and operation != "login":
            return _TokenExpired(self.vendor, operation, "the token has ended")
        return super().error_for(reply, operation)

    def _log_in(self) -> None:
        said = {"grant_type": "password", "username": self._user, "password": self._word}
        found = self.request_json(
            "POST", "/api/oauth/v1/token", "login", json=said, headers={"Authorization": self._login}
        )
        if not found.get("access_token"):
            raise BadOutput(self.vendor, "login", "/access_token: there is none")
        self._token = str(found["access_token"])
        self._until = self._clock.now() + timedelta(seconds=float(found.get("expires_in") or 3600)) - TOKEN_MARGIN


class _TokenExpired(Refused):
    """A token was ended before its time."""


def _ref(subject: str, about: Mapping[str, Any]) -> str:
    found = (
        f"{MODEL_PREFIX}{about.get('code')}"
        if subject == "product-model" and about.get("code")
        else about.get("uuid")
    )
    if not found:
        raise BadOutput("akeneo", "normalize", "/data: it names no product")
    return str(found)


def _kind(kind: EventKind, ref: str) -> EventKind:
    """A product model that is gone took its products with it: they tell so themselves."""
    return EventKind.UPDATED if ref.startswith(MODEL_PREFIX) else kind


def connect(options: Mapping[str, Any], context: AdapterContext) -> AkeneoPim:
    known = (
        "base_url",
        "client_id",
        "client_secret",
        "user",
        "password",
        "secrets",
        "locale",
        "scope",
        "attributes",
        "assets",
        "unit",
        "write_back",
    )
    check_options(options, *known)
    fields = AttributeMapping("akeneo", DEFAULT_ATTRIBUTES, options)
    assets = options.get("assets", {})
    wanted = [path.removeprefix(ASSET_PREFIX) for path in fields.image_attributes if path.startswith(ASSET_PREFIX)]
    if not isinstance(assets, dict) or (
        missing := [name for name in wanted if not {"family", "media"} <= set(assets.get(name, {}))]
    ):
        name = missing[0] if isinstance(assets, dict) else "ATTRIBUTE"
        raise ConfigError(
            f'assets: say of {name} which family it is and which attribute holds the picture: {{"{name}": {{"family": "...", "media": "..."}}}}'
        )
    if wrong := [name for name in options.get("write_back", {}) if name not in ("ar_url", "status")]:
        raise ConfigError(f"write_back: {wrong[0]!r} is neither ar_url nor status")
    return AkeneoPim(
        context, options, fields, {name: (str(of["family"]), str(of["media"])) for name, of in assets.items()}
    )
