"""Any system that can send webhooks or lists its products over HTTP, as a PIM.

It takes Standard Webhooks 1.0 (headers `webhook-id`, `webhook-timestamp` and `webhook-signature`, which signs
`id.timestamp.body`; five minutes of tolerance) and CloudEvents 1.0 in structured mode
(`application/cloudevents+json`) and binary mode (`ce-*` headers). With the option `mapping`, it takes
messages of any shape; with `signature`, other signatures.

Options: `secrets`, any of which may sign, so that they can be rotated; `tokens`, for senders that cannot
sign, in the header `token_header` or as bearer tokens; `product_url`, where a product can be fetched again,
with `{sku}`; `list_url`, where all products are listed; `headers` of both. Facts:
docs/connections/standard.md.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from dam_connector.adapters.common.api_client import ApiClient
from dam_connector.adapters.common.context import AdapterContext, check_options
from dam_connector.adapters.common.envelopes import load_events, parse_json, type_of, unused_keys
from dam_connector.adapters.common.mixins import ReadOnlyPim
from dam_connector.adapters.common.product_mapping import parse_product
from dam_connector.adapters.common.record_mapping import RecordMapping
from dam_connector.adapters.common.signature_forms import SignatureForm
from dam_connector.adapters.common.webhook_signatures import make_signer, verify_standard_webhook
from dam_connector.domain.event import Event, EventKind
from dam_connector.domain.product import Product
from dam_connector.errors import BadOutput, ConfigError, DeliveryError, NotFound, Unsupported
from dam_connector.ports import InboundWebhook, PimCapabilities, VerifiedWebhook

MAX_PRODUCT_BYTES = 1_048_576
MAX_LIST_BYTES = 50_000_000  # of a page of `list_url`
MAX_PAGES = 10_000
VENDOR = "standard"
OPTIONS = ("secrets", "tokens", "token_header", "signature", "product_url", "list_url", "headers", "mapping")
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_SECRET = re.compile(r"env/[A-Za-z_][A-Za-z0-9_]*")


class StandardPim(ReadOnlyPim):
    """A `Pim` whose format, signatures and addresses are options; references are SKUs."""

    vendor = VENDOR

    def __init__(self, context: AdapterContext, options: Mapping[str, Any]) -> None:
        """Read the options.

        Raises:
            ConfigError: an option is wrong.
        """
        secrets = [context.secret(str(each)) for each in options.get("secrets", ())]
        self._signers = [make_signer(secret) for secret in secrets]
        self._tokens = [context.secret(str(each)) for each in options.get("tokens", ())]
        self._token_header = str(options.get("token_header", "")).lower()
        self._form = SignatureForm(context, secrets, options["signature"]) if "signature" in options else None
        self._mapping = RecordMapping(VENDOR, options["mapping"]) if "mapping" in options else None
        self._context = context
        self._headers = {
            str(name): _SECRET.sub(lambda found: context.secret(found[0]), str(value))
            for name, value in options.get("headers", {}).items()
        }
        self._product_url, self._list_url = (
            str(options.get(name, "")) for name in ("product_url", "list_url")
        )
        if self._list_url and not (self._mapping and self._mapping.has_time):
            raise ConfigError("list_url: needs mapping/time, the place where a record says when it changed")
        if self._product_url and "{sku}" not in self._product_url:
            raise ConfigError(
                "product_url: write {sku} where the SKU belongs, e.g. https://pim.example/products/{sku}"
            )
        self.capabilities = PimCapabilities(
            can_fetch=bool(self._product_url), can_list_changes=bool(self._list_url)
        )

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        if self._form:
            key = self._form.verify(inbound)
            return self._verified(inbound, key, has_own_id=self._form.has_own_id)
        if "webhook-signature" in inbound.headers and self._signers:
            return self._verified(inbound, verify_standard_webhook(inbound, self._signers))
        authorization = inbound.headers.get("authorization", "").removeprefix("Bearer ")
        sent = (inbound.headers.get(self._token_header, "") if self._token_header else authorization).encode()
        # a list, so that every token is compared: the time taken reveals nothing
        if sent and any([hmac.compare_digest(sent, token.encode()) for token in self._tokens]):
            return self._verified(inbound, _token_key(inbound, needs_id=self._mapping is None))
        raise DeliveryError(
            401,
            f"the request carries no valid token; send it in the header {self._token_header}"
            if self._token_header
            else "the request carries no valid signature; send webhook-id, webhook-timestamp and "
            "webhook-signature",
        )

    def _verified(self, inbound: InboundWebhook, key: str, *, has_own_id: bool = True) -> VerifiedWebhook:
        """Return the delivery's key; two with the same body and different types in a header are two."""
        header = self._mapping.type_header if self._mapping else ""
        if not header:
            return VerifiedWebhook(key=key, has_own_id=has_own_id)
        return VerifiedWebhook(
            key=f"{key}:{inbound.headers.get(header, '')}", has_own_id=has_own_id, headers_to_store=(header,)
        )

    def normalize(self, inbound: InboundWebhook) -> list[Event]:
        if self._mapping is None:
            return load_events(inbound, VENDOR)
        message = parse_json(inbound.body, VENDOR)
        return self._mapping.events(message, inbound.headers, inbound.received_at)

    def why_ignored(self, inbound: InboundWebhook) -> str:
        if self._mapping is None:
            return type_of(inbound, VENDOR)
        return self._mapping.why_ignored(parse_json(inbound.body, VENDOR), inbound.headers)

    def left_out(self, inbound: InboundWebhook) -> Mapping[str, Sequence[str]]:
        if self._mapping is None:
            return unused_keys(inbound, VENDOR)
        return self._mapping.left_out(parse_json(inbound.body, VENDOR))

    def fetch(self, ref: str) -> list[Product]:
        if not self._product_url:
            return [self._listed(ref)]
        url = self._product_url.replace("{sku}", quote(ref, safe=""))
        message = self._read(url, "fetch", MAX_PRODUCT_BYTES)
        if self._mapping is None:
            return [_same(ref, parse_product(message, VENDOR))]
        events = self._mapping.fetched(message, self._context.clock.now())
        if not events or events[0].kind is EventKind.DELETED:
            raise NotFound(VENDOR, "fetch", f"{ref} is not there, or deleted")
        return [_same(ref, _product(event)) for event in events]

    def _listed(self, ref: str) -> Product:
        """Return a product from the list, where there is no address for a single one."""
        if not self._list_url:
            raise Unsupported(VENDOR, "fetch", "the option product_url is not set")
        for event in self._pages(EARLIEST):
            if event.ref == ref and event.kind is not EventKind.DELETED:
                return _product(event)
        raise NotFound(VENDOR, "fetch", f"{ref} is not in the list")

    def changed_since(self, since: datetime) -> Iterable[Event]:
        if not self._list_url:
            raise Unsupported(
                VENDOR, "changed_since", "it does not list changes; the option list_url is not set"
            )
        changed = (event for event in self._pages(since) if event.at >= since)
        return sorted(changed, key=lambda event: event.at)

    def _pages(self, since: datetime) -> Iterator[Event]:
        """Yield the events of all pages, until one has no product."""
        assert self._mapping is not None  # `__init__` refuses a list without a mapping
        seen = 0
        pages: set[object] = set()
        for page in range(1, MAX_PAGES + 1):
            values = {"{page}": str(page), "{offset}": str(seen), "{since}": quote(since.isoformat())}
            url = self._list_url
            for placeholder, value in values.items():
                url = url.replace(placeholder, value)
            message = self._read(url, "changed_since", MAX_LIST_BYTES)
            events = self._mapping.listed(message, self._context.clock.now())
            if not events:
                return
            # a list that does not read its offset answers with the same page for ever
            content = hashlib.sha256(json.dumps(message, sort_keys=True).encode()).hexdigest()
            refs = tuple(event.ref for event in events)
            if {content, refs} & pages:
                raise BadOutput(
                    VENDOR,
                    "changed_since",
                    f"list_url: the page at {{offset}} {seen}, {{page}} {page} is one that came before "
                    f"(it begins with {refs[0] or 'a product without a SKU'}); the system does not read "
                    "these parts of the address, or returns no empty page after the last",
                )
            pages |= {content, refs} if any(refs) else {content}
            yield from events
            seen += len(events)
            if url == self._list_url.replace("{since}", values["{since}"]):
                return

    def _read(self, url: str, operation: str, max_bytes: int) -> Any:
        parts = urlsplit(url)
        client = _Reader(self._context.http, f"{parts.scheme}://{parts.netloc}", self._headers)
        return parse_json(client.request("GET", url, operation, max_bytes=max_bytes).body, VENDOR)


class _Reader(ApiClient):
    vendor = VENDOR


def _product(event: Event) -> Product:
    if event.product is None:
        raise BadOutput(VENDOR, "fetch", event.problem or "it has no product")
    return event.product


def _same(ref: str, product: Product) -> Product:
    """Return a product that was asked for.

    Raises:
        BadOutput: the reply is about another product.
    """
    if product.sku != ref:
        raise BadOutput(
            VENDOR, "fetch", f"/sku: {ref} was asked for at product_url, and the reply is about {product.sku}"
        )
    return product


def _token_key(inbound: InboundWebhook, *, needs_id: bool) -> str:
    """Return `source#id` of a CloudEvent, or a key of its own for a message without an id.

    Raises:
        DeliveryError: 400, it needs an id and has none.
    """
    headers = inbound.headers
    if headers.get("content-type", "").startswith("application/cloudevents+json"):
        try:
            data = parse_json(inbound.body, VENDOR)
        except BadOutput as error:
            raise DeliveryError(400, str(error)) from error
        source, event_id = (data.get("source"), data.get("id")) if isinstance(data, Mapping) else (None, None)
    else:
        source, event_id = headers.get("ce-source"), headers.get("ce-id")
    if isinstance(event_id, str) and event_id:
        return f"{source}#{event_id}"
    if needs_id:
        raise DeliveryError(400, "a webhook with a bearer token needs the id of a CloudEvent")
    # a message that comes again may be meant, e.g. a change that was taken back
    return f"{hashlib.sha256(inbound.body).hexdigest()}:{inbound.received_at.isoformat()}"


def connect(options: Mapping[str, Any], context: AdapterContext) -> StandardPim:
    """Open the adapter.

    Raises:
        ConfigError: no sender can prove itself and there is no list, or another option is wrong.
    """
    check_options(options, *OPTIONS)
    is_certified = "certificate_header" in options.get("signature", {})
    if not (options.get("secrets") or options.get("tokens") or options.get("list_url") or is_certified):
        raise ConfigError('secrets: must name at least one secret, e.g. ["env/NAME"]')
    return StandardPim(context, options)
