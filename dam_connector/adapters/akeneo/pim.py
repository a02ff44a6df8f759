"""Akeneo as a PIM: events of the Event Platform or the old Events API; products from the REST API.

Options: `base_url`; `client_id` and `client_secret` of the connection, `user` and `password` of its API
user, by default `env/AKENEO_CLIENT_SECRET` and `env/AKENEO_PASSWORD`; `author`, by which events name that
user; `secrets` of the webhooks; `identifier`, the attribute that holds the SKU; `locale` and `scope`, the
values to prefer; `time_zone` of the server; `attributes` and `unit`, see `common.product_mapping`; `assets`,
the family and media attribute of each asset collection; `write_back`, {"ar_url" or "status": attribute to
write it into}. Facts: docs/connections/akeneo.md.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from dam_connector.adapters.akeneo.webhooks import MODEL_PREFIX, AkeneoWebhooks
from dam_connector.adapters.common.api_client import ApiClient, basic_auth
from dam_connector.adapters.common.context import AdapterContext, check_options, url_option
from dam_connector.adapters.common.product_mapping import AttributeMapping, to_text
from dam_connector.adapters.http import HttpResponse
from dam_connector.domain.event import Event, EventKind
from dam_connector.domain.outside_values import parse_integer, parse_timestamp
from dam_connector.domain.product import Product
from dam_connector.errors import AdapterError, BadOutput, ConfigError, NotFound, Refused
from dam_connector.ports import PimCapabilities

DEFAULT_ATTRIBUTES = {
    "parent": "parent",  # the code of its product model
    "name": "name",
    "description": "description",
    "category": "category",
    "brand": "brand",
    "color": "color",
    "material": "material",
}
IDENTIFIER_TYPE = "pim_catalog_identifier"  # the `attribute_type` of a value that identifies a product
DEFAULT_IDENTIFIER = "sku"
ASSET_PREFIX = "asset:"  # of an attribute in plugin.json that is an asset collection, and in image URLs
IMAGE_URL_PREFIX = "pim:"  # of an image that only this connection can fetch: `pim:CONNECTION/NAME`
PAGE_SIZE = 100
MAX_JSON_BYTES = 16_000_000
MAX_IMAGE_BYTES = 100_000_000
MAX_TOKEN_LIFETIME_S = 366 * 86_400
TOKEN_MARGIN = timedelta(minutes=2)  # a token is renewed so long before it expires


class AkeneoPim(AkeneoWebhooks, ApiClient):
    """A `Pim` whose references are product uuids, or `model:CODE` for all products of a product model."""

    def __init__(
        self,
        context: AdapterContext,
        options: Mapping[str, Any],
        mapping: AttributeMapping,
        assets: Mapping[str, tuple[str, str]],
        time_zone: tzinfo,
    ) -> None:
        """Create the adapter.

        Args:
            context: the adapter's context.
            options: the options of the connection, checked.
            mapping: our fields by Akeneo's attributes.
            assets: asset collection attribute -> asset family and the family's media attribute.
            time_zone: of the server, which reads the dates of a search in it.
        """
        super().__init__(context.http, url_option(options, example="https://my-pim.cloud.akeneo.com"), {})
        self._name, self._clock, self._mapping, self._assets = context.name, context.clock, mapping, assets
        self._secrets = [context.secret(str(each)) for each in options.get("secrets", [])]
        self._client_auth = basic_auth(
            str(options.get("client_id", "")),
            context.secret(str(options.get("client_secret", "env/AKENEO_CLIENT_SECRET"))),
        )
        self._user = str(options.get("user", ""))
        # the old Events API names the user, the Event Platform an id of the user or of the client
        self._own_names = {self._user, *(str(options.get(name, "")) for name in ("client_id", "author"))} - {
            ""
        }
        self._identifier = str(options.get("identifier", ""))
        self._time_zone = time_zone
        self._password = context.secret(str(options.get("password", "env/AKENEO_PASSWORD")))
        self._locale, self._scope = str(options.get("locale", "")), str(options.get("scope", ""))
        self._locales = [str(each) for each in options.get("locales", ())]
        self._write_back_attributes = {str(k): str(v) for k, v in options.get("write_back", {}).items()}
        self._token, self._expires_at = "", datetime.min.replace(tzinfo=UTC)
        self.capabilities = PimCapabilities(
            can_fetch=True, can_list_changes=True, can_write_back=bool(self._write_back_attributes)
        )

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
        local_since = since.astimezone(self._time_zone).strftime("%Y-%m-%d %H:%M:%S")
        search = {"updated": [{"operator": ">", "value": local_since}]}
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
        sku = self._sku(record, values)
        attributes = {
            code: to_text(value)
            for code, value in values.items()
            # what the connector wrote back is no fact of the product: it must not start a new version
            if value is not None and code not in self._write_back_attributes.values()
        }

        def get_value(attribute: str) -> Any:
            if attribute in self._mapping.image_attributes:
                return self._image_url(attribute, values)
            return values.get(attribute, record.get("parent") if attribute == "parent" else None)

        translations = {each: self._values_in(record, each).get for each in self._locales}
        return self._mapping.build_product(sku, get_value, (), attributes, translations)

    def _sku(self, record: Mapping[str, Any], values: Mapping[str, Any]) -> str:
        """Return the value of the identifier attribute.

        A product that is asked for by its uuid has no identifier of its own, only that value.

        Raises:
            BadOutput: the product has none.
        """
        typed = [
            code
            for code, entries in (record.get("values") or {}).items()
            if any(isinstance(e, dict) and e.get("attribute_type") == IDENTIFIER_TYPE for e in entries or ())
        ]
        candidates = [self._identifier] if self._identifier else [DEFAULT_IDENTIFIER, *typed[:1]]
        sku = next((str(values[code]) for code in candidates if values.get(code)), "")
        if not sku:
            raise BadOutput(
                self.vendor,
                "fetch",
                f"/values/{candidates[-1]}: product {record.get('uuid')} has no value; name the attribute "
                "that holds the SKU in the option identifier",
            )
        return sku

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


def _time_zone_option(options: Mapping[str, Any]) -> tzinfo:
    """Read the option `time_zone`, e.g. `Europe/Paris`.

    Raises:
        ConfigError: there is no such time zone.
    """
    if (name := str(options.get("time_zone", "UTC"))) == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        reason = "is no time zone of this machine, e.g. Europe/Paris; the package tzdata brings them"
        raise ConfigError(f"time_zone: {name[:60]!r} {reason}") from error


def connect(options: Mapping[str, Any], context: AdapterContext) -> AkeneoPim:
    """Open the adapter.

    Raises:
        ConfigError: an option is wrong.
    """
    names = ("base_url", "client_id", "client_secret", "user", "password", "secrets", "locale", "scope")
    more = ("author", "identifier", "time_zone", "attributes", "assets", "unit", "write_back", "locales")
    check_options(options, *names, *more)
    mapping = AttributeMapping("akeneo", DEFAULT_ATTRIBUTES, options)
    assets = _assets_option(options, mapping)
    if wrong := [name for name in options.get("write_back", {}) if name not in ("ar_url", "status")]:
        raise ConfigError(f"write_back: {wrong[0]!r} is neither ar_url nor status")
    return AkeneoPim(context, options, mapping, assets, _time_zone_option(options))
