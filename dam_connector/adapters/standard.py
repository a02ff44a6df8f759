"""Any system that can send signed webhooks, as a PIM.

It takes Standard Webhooks 1.0 (headers `webhook-id`, `webhook-timestamp` and `webhook-signature`, which signs
`id.timestamp.body`; five minutes of tolerance) and CloudEvents 1.0 in structured mode
(`application/cloudevents+json`) and binary mode (`ce-*` headers).

Options: `secrets`, any of which may sign, so that they can be rotated; `tokens`, bearer tokens for senders of
CloudEvents that cannot sign; `product_url`, where a product can be fetched again, with `{sku}`. Facts:
docs/connections/standard.md.
"""

import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from dam_connector.adapters.common.context import AdapterContext, check_options
from dam_connector.adapters.common.envelopes import load_events, parse_json
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
    """A `Pim` that sends our own product event; references are SKUs."""

    vendor = VENDOR

    def __init__(
        self, context: AdapterContext, secrets: list[str], tokens: list[str], product_url: str
    ) -> None:
        self._signers = [make_signer(secret) for secret in secrets]
        self._http, self._tokens, self._product_url = context.http, tokens, product_url
        self._http.allow_port(product_url)
        self.capabilities = PimCapabilities(can_fetch=bool(product_url))

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        if "webhook-signature" in inbound.headers:
            return VerifiedWebhook(key=verify_standard_webhook(inbound, self._signers))
        bearer = inbound.headers.get("authorization", "").removeprefix("Bearer ").encode()
        # a list, so that every token is compared: the time taken reveals nothing
        if bearer and any([hmac.compare_digest(bearer, token.encode()) for token in self._tokens]):
            return VerifiedWebhook(key=_event_key(inbound))
        raise DeliveryError(
            401,
            "the request carries no valid signature; send webhook-id, webhook-timestamp and "
            "webhook-signature",
        )

    def normalize(self, inbound: InboundWebhook) -> list[Event]:
        return load_events(inbound, VENDOR)

    def fetch(self, ref: str) -> list[Product]:
        if not self._product_url:
            raise Unsupported(VENDOR, "fetch", "the option product_url is not set")
        url = self._product_url.replace("{sku}", quote(ref, safe=""))
        body = self._http.get(url, max_bytes=MAX_PRODUCT_BYTES, vendor=VENDOR)
        return [parse_product(parse_json(body, VENDOR), VENDOR)]

    def changed_since(self, since: datetime) -> Iterable[Event]:
        raise Unsupported(VENDOR, "changed_since", "it does not list changes")


def _event_key(inbound: InboundWebhook) -> str:
    """Return `source#id` of a CloudEvent.

    Raises:
        DeliveryError: 400, it has no id.
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
    if not isinstance(event_id, str) or not event_id:
        raise DeliveryError(400, "a webhook with a bearer token needs the id of a CloudEvent")
    return f"{source}#{event_id}"


def connect(options: Mapping[str, Any], context: AdapterContext) -> StandardPim:
    """Open the adapter.

    Raises:
        ConfigError: there are neither secrets nor tokens, or another option is wrong.
    """
    check_options(options, "secrets", "tokens", "product_url")
    if not options.get("secrets") and not options.get("tokens"):
        raise ConfigError('secrets: must name at least one secret, e.g. ["env/NAME"]')
    secrets = [context.secret(str(each)) for each in options.get("secrets", ())]
    tokens = [context.secret(str(each)) for each in options.get("tokens", ())]
    return StandardPim(context, secrets, tokens, str(options.get("product_url", "")))
