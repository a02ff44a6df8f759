"""Any system that can sign: Standard Webhooks 1.0, and CloudEvents 1.0 in structured and binary mode.

Source: the specifications of Standard Webhooks (`webhook-id`, `webhook-timestamp`, `webhook-signature` over
`id.timestamp.body`, five minutes of tolerance) and CloudEvents (`application/cloudevents+json`, `ce-*` headers).
Options: `secrets` (any that matches proves the sender: rotation), `tokens` (bearer tokens, for CloudEvents senders that
cannot sign), `product_url` (where a product can be fetched again, with `{sku}`).
"""

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from marshmallow import ValidationError
from standardwebhooks import Webhook

from dam_connector.adapters.envelopes import load_event, read_json
from dam_connector.adapters.kit import Kit, only
from dam_connector.catalog.event import Event
from dam_connector.catalog.product import Product
from dam_connector.errors import BadOutput, ConfigError, DeliveryError, Unsupported
from dam_connector.ports import Inbound, PimCapabilities, Verified
from schemas.common import problems
from schemas.product import load_product

TOLERANCE = timedelta(minutes=5)  # the specification's own
MAX_PRODUCT_BYTES = 1_048_576
VENDOR = "standard"


class Standard:
    """A source that signs by Standard Webhooks."""

    def __init__(self, secrets: list[str], tokens: list[str], product_url: str, kit: Kit) -> None:
        self._signers = [_signer(s) for s in secrets]
        self._tokens, self._product_url, self._kit = tokens, product_url, kit
        self.capabilities = PimCapabilities(fetch=bool(product_url))

    def verify(self, inbound: Inbound) -> Verified:
        if "webhook-signature" in inbound.headers:
            return self._verify_signature(inbound)
        bearer = inbound.headers.get("authorization", "").removeprefix("Bearer ")
        if self._tokens and bearer and any([hmac.compare_digest(bearer.encode(), t.encode()) for t in self._tokens]):
            return Verified(key=_event_identity(inbound))
        raise DeliveryError(401, "the request carries no valid signature; send webhook-id, webhook-timestamp and webhook-signature")

    def _verify_signature(self, inbound: Inbound) -> Verified:
        message_id, stamp = inbound.headers.get("webhook-id", ""), inbound.headers.get("webhook-timestamp", "")
        if not message_id or not stamp.isascii() or not stamp.isdigit() or len(stamp) > 12:
            raise DeliveryError(400, "webhook-id or webhook-timestamp is missing or malformed")
        sent_at = datetime.fromtimestamp(int(stamp), UTC)
        if abs(inbound.received_at - sent_at) > TOLERANCE:
            raise DeliveryError(401, "webhook-timestamp is more than five minutes off; check the sender's clock")
        try:
            text = inbound.body.decode()
        except UnicodeDecodeError as error:
            raise DeliveryError(400, "the body is not UTF-8") from error
        given = [s.encode() for s in inbound.headers["webhook-signature"].split()]
        expected = [w.sign(message_id, sent_at, text).encode() for w in self._signers]
        if not any([hmac.compare_digest(g, e) for g in given for e in expected]):  # a list: every pair is compared
            raise DeliveryError(401, "the signature does not match any of this connection's secrets")
        return Verified(key=message_id)

    def normalize(self, inbound: Inbound) -> list[Event]:
        return [load_event(inbound, VENDOR)]

    def fetch(self, ref: str) -> Product:
        if not self._product_url:
            raise Unsupported(VENDOR, "fetch", "no product_url is configured")
        answer = self._kit.http.get(self._product_url.replace("{sku}", quote(ref, safe="")), max_bytes=MAX_PRODUCT_BYTES, vendor=VENDOR)
        try:
            return load_product(read_json(answer.body, VENDOR))
        except ValidationError as error:
            raise BadOutput(VENDOR, "fetch", "; ".join(problems(error.messages, None))) from error

    def changed_since(self, moment: datetime) -> Iterable[Event]:
        raise Unsupported(VENDOR, "changed_since", "the standard source has no list of changes")


def _event_identity(inbound: Inbound) -> str:
    """source#id of a CloudEvent. Raises: DeliveryError 400 when it has none."""
    headers = inbound.headers
    if headers.get("content-type", "").startswith("application/cloudevents+json"):
        try:
            data = read_json(inbound.body, VENDOR)
        except BadOutput as error:
            raise DeliveryError(400, str(error)) from error
        source, identity = (data.get("source"), data.get("id")) if isinstance(data, Mapping) else (None, None)
    else:
        source, identity = headers.get("ce-source"), headers.get("ce-id")
    if not isinstance(identity, str) or not identity:
        raise DeliveryError(400, "a delivery that is proved by token needs a CloudEvents id")
    return f"{source}#{identity}"


def _signer(secret: str) -> Webhook:
    """Takes `whsec_<base64>` and, as some senders use, a plain string."""
    bare = secret.removeprefix("whsec_")
    try:
        base64.b64decode(bare, validate=True)
    except binascii.Error:
        return Webhook(base64.b64encode(secret.encode()).decode())
    return Webhook(bare)


def connect(options: Mapping[str, Any], kit: Kit) -> Standard:
    """Raises: ConfigError when no way to prove a sender is configured."""
    only(options, "secrets", "tokens", "product_url")
    if not options.get("secrets") and not options.get("tokens"):
        raise ConfigError('name at least one secret: "secrets": ["env/NAME"]')
    secrets = [kit.secret(str(s)) for s in options.get("secrets", ())]
    tokens = [kit.secret(str(s)) for s in options.get("tokens", ())]
    return Standard(secrets, tokens, str(options.get("product_url", "")), kit)
