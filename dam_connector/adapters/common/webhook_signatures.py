"""Proofs of webhooks that more than one vendor uses: Standard Webhooks, and keys that a sender publishes (JWKS)."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from standardwebhooks import Webhook

from dam_connector.adapters.common.context import AdapterContext
from dam_connector.adapters.common.envelopes import parse_json
from dam_connector.errors import AdapterError, DeliveryError
from dam_connector.ports import InboundWebhook

TOLERANCE = timedelta(minutes=5)  # Standard Webhooks' own
KEYS_MAX_AGE = timedelta(hours=24)
MAX_KEYS_BYTES = 65_536


def make_signer(secret: str) -> Webhook:
    """A signer by this secret: `whsec_` and base64, or, as some senders have it, plain text."""
    bare = secret.removeprefix("whsec_")
    try:
        base64.b64decode(bare, validate=True)
    except binascii.Error:
        return Webhook(base64.b64encode(secret.encode()).decode())
    return Webhook(bare)


def verify_standard_webhook(inbound: InboundWebhook, signers: Sequence[Webhook]) -> str:
    """The id of a proved Standard Webhook. Raises: DeliveryError."""
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
    given = [s.encode() for s in inbound.headers.get("webhook-signature", "").split()]
    expected = [w.sign(message_id, sent_at, text).encode() for w in signers]
    if not any(
        [hmac.compare_digest(g, e) for g in given for e in expected]
    ):  # a list: every pair is compared
        raise DeliveryError(401, "the signature does not match any of this connection's secrets")
    return message_id


class PublishedKeys:
    """The public keys that a sender publishes, asked for once a day, and once more where none of them fits: keys are rotated."""

    def __init__(
        self, context: AdapterContext, vendor: str, url: str, read: Callable[[dict[str, Any]], Any]
    ) -> None:
        self._http, self._clock, self._vendor, self._url, self._read = (
            context.http,
            context.clock,
            vendor,
            url,
            read,
        )
        self._keys: list[Any] = []
        self._until = self._asked = datetime.min.replace(tzinfo=UTC)

    def verify(self, test: Callable[[Any], bool]) -> bool:
        """Whether one of the keys passes the test. Raises: DeliveryError 503 when they cannot be had."""
        now = self._clock.now()
        if now > self._until:
            self._fetch(now)
        if any([test(key) for key in self._keys]):
            return True
        if now - self._asked < TOLERANCE:
            return False
        self._fetch(now)
        return any([test(key) for key in self._keys])

    def _fetch(self, now: datetime) -> None:
        try:
            found = parse_json(
                self._http.get(self._url, max_bytes=MAX_KEYS_BYTES, vendor=self._vendor), self._vendor
            )
            self._keys = [self._read(key) for key in found["keys"]]
        except (AdapterError, KeyError, TypeError, ValueError, binascii.Error) as error:
            raise DeliveryError(503, f"{self._vendor}'s keys cannot be had now") from error
        self._until, self._asked = now + KEYS_MAX_AGE, now


def decode_base64url(text: object) -> bytes:
    """Base64 for addresses, its padding left out, decoded. Raises: ValueError."""
    return base64.urlsafe_b64decode(str(text) + "=" * (-len(str(text)) % 4))


def hmac_sha256(secret: str, message: bytes) -> bytes:
    return hmac.new(secret.encode(), message, hashlib.sha256).digest()


def signature_matches(given: str, *expected: bytes, hexadecimal: bool = False) -> bool:
    """Whether a signature is one of these, compared in constant time. hexadecimal: written so, instead of in base64."""
    texts = [each.hex().encode() if hexadecimal else base64.b64encode(each) for each in expected]
    return any([hmac.compare_digest(given.strip().encode(), text) for text in texts])
