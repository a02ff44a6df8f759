"""Any system that can sign: Standard Webhooks 1.0, and CloudEvents 1.0 in structured and binary mode.

Source: the specifications of Standard Webhooks (`webhook-id`, `webhook-timestamp`, `webhook-signature` over
`id.timestamp.body`, five minutes of tolerance) and CloudEvents (`application/cloudevents+json`, `ce-*` headers).
Options: `secrets` (any that matches proves the sender: rotation), `tokens` (bearer tokens, for CloudEvents senders that
cannot sign), `product_url` (where a product can be fetched again, with `{sku}`).
"""

import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from dam_connector.adapters.common.context import AdapterContext, check_options
from dam_connector.adapters.common.envelopes import load_event, parse_json
from dam_connector.adapters.common.mixins import ReadOnlyPim
from dam_connector.adapters.common.product_mapping import parse_product
from dam_connector.adapters.common.webhook_signatures import make_signer, verify_standard_webhook
from dam_connector.domain.event import Event
from dam_connector.domain.product import Product
from dam_connector.errors import BadOutput, ConfigError, DeliveryError, Unsupported
from dam_connector.ports import InboundWebhook, PimCapabilities, VerifiedWebhook

MAX_PRODUCT_BYTES = 1_048_576
VENDOR = "standard"


class StandardPim(ReadOnlyPim):
    """A source that signs by Standard Webhooks."""

    def __init__(self, secrets: list[str], tokens: list[str], product_url: str, context: AdapterContext) -> None:
        self._signers = [make_signer(s) for s in secrets]
        self._tokens, self._product_url, self._context = tokens, product_url, context
        self.capabilities = PimCapabilities(can_fetch=bool(product_url))

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        if "webhook-signature" in inbound.headers:
            return VerifiedWebhook(key=verify_standard_webhook(inbound, self._signers))
        bearer = inbound.headers.get("authorization", "").removeprefix("Bearer ")
        if (
            self._tokens
            and bearer
            and any([hmac.compare_digest(bearer.encode(), t.encode()) for t in self._tokens])
        ):
            return VerifiedWebhook(key=_event_identity(inbound))
        raise DeliveryError(
            401,
            "the request carries no valid signature; send webhook-id, webhook-timestamp and webhook-signature",
        )

    def normalize(self, inbound: InboundWebhook) -> list[Event]:
        return [load_event(inbound, VENDOR)]

    def fetch(self, ref: str) -> list[Product]:
        if not self._product_url:
            raise Unsupported(VENDOR, "fetch", "no product_url is configured")
        body = self._context.http.get(
            self._product_url.replace("{sku}", quote(ref, safe="")),
            max_bytes=MAX_PRODUCT_BYTES,
            vendor=VENDOR,
        )
        return [parse_product(parse_json(body, VENDOR), VENDOR)]

    def changed_since(self, since: datetime) -> Iterable[Event]:
        raise Unsupported(VENDOR, "changed_since", "the standard source has no list of changes")


def _event_identity(inbound: InboundWebhook) -> str:
    """source#id of a CloudEvent. Raises: DeliveryError 400 when it has none."""
    headers = inbound.headers
    if headers.get("content-type", "").startswith("application/cloudevents+json"):
        try:
            data = parse_json(inbound.body, VENDOR)
        except BadOutput as error:
            raise DeliveryError(400, str(error)) from error
        source, identity = (data.get("source"), data.get("id")) if isinstance(data, Mapping) else (None, None)
    else:
        source, identity = headers.get("ce-source"), headers.get("ce-id")
    if not isinstance(identity, str) or not identity:
        raise DeliveryError(400, "a delivery that is proved by token needs a CloudEvents id")
    return f"{source}#{identity}"


def connect(options: Mapping[str, Any], context: AdapterContext) -> StandardPim:
    """Raises: ConfigError when no way to prove a sender is configured."""
    check_options(options, "secrets", "tokens", "product_url")
    if not options.get("secrets") and not options.get("tokens"):
        raise ConfigError('name at least one secret: "secrets": ["env/NAME"]')
    secrets = [context.secret(str(s)) for s in options.get("secrets", ())]
    tokens = [context.secret(str(s)) for s in options.get("tokens", ())]
    return StandardPim(secrets, tokens, str(options.get("product_url", "")), context)
