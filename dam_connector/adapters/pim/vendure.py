"""Vendure: thin events signed by Standard Webhooks (its core has none: a small plugin sends them), and the Admin API for the facts.

Facts, and the plugin: docs/connections/vendure.md.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from dam_connector.adapters.caller import Caller
from dam_connector.adapters.envelopes import read_json
from dam_connector.adapters.kit import Kit, only
from dam_connector.adapters.records import Fields, moment_of
from dam_connector.adapters.signatures import signer, standard_webhook
from dam_connector.catalog.event import Event, EventKind
from dam_connector.catalog.product import Product
from dam_connector.errors import BadOutput, ConfigError, NotFound, Refused, Unavailable
from dam_connector.ports import Inbound, PimCapabilities, Verified

USUAL = {"name": "name", "description": "description", "category": "category", "brand": "brand", "color": "color", "material": "material"}
MAX_ANSWER = 16_000_000
PAGE = 100
OURS = "dam-connector"  # a tag of assets that we put there
_LOGIN = "mutation Login($name: String!, $word: String!) { login(username: $name, password: $word) { __typename ... on ErrorResult { message } } }"
_PRODUCT = """query One($id: ID!) { product(id: $id) {
  id name description updatedAt
  facetValues { name facet { code } } collections { name } customFields
  assets { source preview name mimeType type tags { value } }
  variants { sku name options { name group { code } } facetValues { name facet { code } }
             assets { source preview name mimeType type tags { value } } } } }"""
_SINCE = f"""query Since($at: DateTime!, $skip: Int!) {{
  products(options: {{take: {PAGE}, skip: $skip, filter: {{updatedAt: {{after: $at}}}}, sort: {{updatedAt: ASC}}}}) {{ totalItems items {{ id updatedAt }} }} }}"""


class Vendure(Caller):
    """Products by their id there; one product for each variant."""

    vendor = "vendure"
    capabilities = PimCapabilities(fetch=True, changed_since=True)

    def __init__(self, kit: Kit, base_url: str, user: str, password: str, secrets: list[str], fields: Fields) -> None:
        super().__init__(kit.http, base_url, {})
        self._user, self._password, self._fields = user, password, fields
        self._signers = [signer(secret) for secret in secrets]
        self._token = ""

    def verify(self, inbound: Inbound) -> Verified:
        return Verified(key=standard_webhook(inbound, self._signers))

    def normalize(self, inbound: Inbound) -> list[Event]:
        said = read_json(inbound.body, self.vendor)
        data = said.get("data") if isinstance(said, dict) else None
        if not isinstance(data, dict):
            raise BadOutput(self.vendor, "normalize", "/data: the event has none")
        subject, _, what = str(said.get("type", "")).partition(".")
        ref = {"product": data.get("id"), "product_variant": data.get("productId")}.get(subject)
        if ref is None:
            return []  # of assets and the like
        at = moment_of(said.get("timestamp")) or inbound.received_at
        gone = subject == "product" and what == "deleted"
        kind = EventKind.DELETED if gone else EventKind.CREATED if (subject, what) == ("product", "created") else EventKind.UPDATED
        return [Event(kind=kind, ref=str(ref), at=at)]

    def fetch(self, ref: str) -> list[Product]:
        found = self._query(_PRODUCT, {"id": ref}, "fetch").get("product")
        if not isinstance(found, dict):
            raise NotFound(self.vendor, "fetch", ref)
        return [self._product(found, variant) for variant in found.get("variants") or () if variant.get("sku")]

    def changed_since(self, moment: datetime) -> Iterator[Event]:
        skip, total = 0, 1
        while skip < total:
            found = self._query(_SINCE, {"at": moment.astimezone(UTC).isoformat(), "skip": skip}, "changed_since").get("products") or {}
            total = int(found.get("totalItems") or 0)
            for each in found.get("items") or ():
                yield Event(kind=EventKind.UPDATED, ref=str(each["id"]), at=moment_of(each.get("updatedAt")) or moment)
            skip += PAGE

    def _query(self, query: str, variables: dict[str, Any], operation: str) -> dict[str, Any]:
        """The data of an answer; logs in when it must. Raises: as `Caller.ask`."""
        for fresh in (False, True):
            if fresh or not self._token:
                self._log_in()
            said, _ = self._sent(query, variables, operation, {"Authorization": f"Bearer {self._token}"})
            errors = said.get("errors") or ()
            if not errors:
                data = said.get("data")
                return data if isinstance(data, dict) else {}
            if (errors[0].get("extensions") or {}).get("code") != "FORBIDDEN":
                raise BadOutput(self.vendor, operation, str(errors[0].get("message", ""))[:200])
        raise Refused(self.vendor, operation, "the user may not read products")

    def _log_in(self) -> None:
        said, token = self._sent(_LOGIN, {"name": self._user, "word": self._password}, "login", {})
        found = (said.get("data") or {}).get("login") or {}
        if found.get("__typename") != "CurrentUser":
            raise Refused(self.vendor, "login", str(found.get("message") or "the user or the password is wrong")[:200])
        if not token:
            raise Unavailable(self.vendor, "login", "no vendure-auth-token came; its tokenMethod must allow bearer")
        self._token = token

    def _sent(self, query: str, variables: dict[str, Any], operation: str, headers: Mapping[str, str]) -> tuple[dict[str, Any], str]:
        body = {"query": query, "variables": variables}
        reply = self.ask("POST", "/admin-api", operation, json=body, headers=headers, max_bytes=MAX_ANSWER)
        return self.read(reply, operation), reply.headers.get("vendure-auth-token", "")

    def _product(self, product: Mapping[str, Any], variant: Mapping[str, Any]) -> Product:
        attributes = {**_facets(product), **_facets(variant)}
        attributes |= {str(option["group"]["code"]): str(option["name"]) for option in variant.get("options") or () if option.get("group")}
        own = product.get("customFields")
        attributes |= {name: str(value) for name, value in own.items() if isinstance(value, (str, int, float))} if isinstance(own, dict) else {}
        collections = [c.get("name") for c in product.get("collections") or ()]
        facts = {"name": product.get("name"), "description": product.get("description"), "category": collections[0] if collections else ""}
        assets = [a for a in (variant.get("assets") or product.get("assets") or ()) if a.get("type") == "IMAGE" and not _is_ours(a)]
        images = [(self._address(str(a.get("source") or a.get("preview"))), str(a.get("name") or "")) for a in assets]
        return self._fields.product(str(variant["sku"]), lambda path: facts.get(path) or attributes.get(path), images, attributes)

    def _address(self, source: str) -> str:
        return source if "://" in source else f"{self._base}/{source.lstrip('/')}"


def _facets(data: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for each in data.get("facetValues") or ():
        found.setdefault(str((each.get("facet") or {}).get("code")), []).append(str(each.get("name")))
    return {code: ", ".join(names) for code, names in found.items()}


def _is_ours(asset: Mapping[str, Any]) -> bool:
    return any(tag.get("value") == OURS for tag in asset.get("tags") or ())


def connect(options: Mapping[str, Any], kit: Kit) -> Vendure:
    only(options, "base_url", "user", "password", "secrets", "attributes", "unit", "image_order")
    if not str(options.get("base_url", "")).startswith(("http://", "https://")):
        raise ConfigError("base_url: the server's address, such as https://shop.example")
    secrets = options.get("secrets")
    if not isinstance(secrets, list) or not secrets:
        raise ConfigError('secrets: those of its webhooks, such as ["env/VENDURE_WEBHOOK_SECRET"]')
    return Vendure(
        kit,
        base_url=str(options["base_url"]),
        user=str(options.get("user", "")),
        password=kit.secret(str(options.get("password", "env/VENDURE_PASSWORD"))),
        secrets=[kit.secret(str(each)) for each in secrets],
        fields=Fields("vendure", USUAL, options),
    )
