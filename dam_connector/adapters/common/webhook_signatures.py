"""Verification of webhooks as vendors sign them: Standard Webhooks, HMAC-SHA256, published keys (JWKS)."""

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
from dam_connector.domain.outside_values import MAX_CLOCK_DIFFERENCE, parse_unix_time
from dam_connector.errors import AdapterError, DeliveryError
from dam_connector.ports import InboundWebhook

TOLERANCE = MAX_CLOCK_DIFFERENCE  # of a timestamp; the specification of Standard Webhooks has the same
KEYS_MAX_AGE = timedelta(hours=24)
KEYS_MIN_AGE = timedelta(minutes=5)  # published keys are not fetched again sooner than this
MAX_KEYS_BYTES = 65_536


def make_signer(secret: str) -> Webhook:
    """Return a signer for a secret: `whsec_` and base64, or plain text, as some senders have it."""
    bare = secret.removeprefix("whsec_")
    try:
        base64.b64decode(bare, validate=True)
    except binascii.Error:
        return Webhook(base64.b64encode(secret.encode()).decode())
    return Webhook(bare)


def verify_standard_webhook(inbound: InboundWebhook, signers: Sequence[Webhook]) -> str:
    """Verify a Standard Webhook and return its id.

    Raises:
        DeliveryError: 400 if a header is missing or malformed, 401 if timestamp or signature are wrong.
    """
    message_id, timestamp = (
        inbound.headers.get("webhook-id", ""),
        inbound.headers.get("webhook-timestamp", ""),
    )
    if not message_id:
        raise DeliveryError(400, "webhook-id is missing")
    sent_at = check_sent_at(timestamp, inbound.received_at, "webhook-timestamp")
    try:
        text = inbound.body.decode()
    except UnicodeDecodeError as error:
        raise DeliveryError(400, "the body is not UTF-8; send UTF-8 JSON without Content-Encoding") from error
    received = [part.encode() for part in inbound.headers.get("webhook-signature", "").split()]
    expected = [signer.sign(message_id, sent_at, text).encode() for signer in signers]
    # a list, so that every pair is compared: the time taken reveals nothing
    if not any([hmac.compare_digest(r, e) for r in received for e in expected]):
        raise DeliveryError(401, "the signature does not match any of this connection's secrets")
    return message_id


def check_sent_at(
    text: str, received_at: datetime, header: str, tolerance: timedelta = TOLERANCE
) -> datetime:
    """Return the time at which a webhook was signed.

    Args:
        text: seconds since 1970, from a header.
        received_at: when the webhook arrived.
        header: the header's name, for errors.
        tolerance: the largest difference between the two.

    Raises:
        DeliveryError: 400 if the text is no time, 401 if the time is too far from `received_at`.
    """
    sent_at = parse_unix_time(text)
    if sent_at is None:
        raise DeliveryError(400, f"{header} is missing or malformed")
    if abs(received_at - sent_at) > tolerance:
        minutes = int(tolerance.total_seconds() / 60)
        raise DeliveryError(401, f"{header} is more than {minutes} minutes off; check the sender's clock")
    return sent_at


class PublishedKeys:
    """The public keys that a sender publishes at a URL.

    They are fetched once a day, and again when no key verifies a signature, because senders rotate keys.
    """

    def __init__(
        self, context: AdapterContext, vendor: str, url: str, parse_key: Callable[[dict[str, Any]], Any]
    ) -> None:
        """Create an empty set of keys.

        Args:
            context: the adapter's context.
            vendor: the name in errors.
            url: the address of the JSON Web Key Set.
            parse_key: turns one JSON Web Key into the key that `verify` hands over.
        """
        self._http, self._clock = context.http, context.clock
        self._http.allow_port(url)
        self._vendor, self._url, self._parse_key = vendor, url, parse_key
        self._keys: list[Any] = []
        self._expires_at = self._fetched_at = datetime.min.replace(tzinfo=UTC)

    def verify(self, is_signed_by: Callable[[Any], bool]) -> bool:
        """Return whether one of the keys verifies a signature.

        Args:
            is_signed_by: returns whether a key verifies it.

        Raises:
            DeliveryError: 503, the keys cannot be fetched now.
        """
        now = self._clock.now()
        if now > self._expires_at:
            self._fetch(now)
        if any([is_signed_by(key) for key in self._keys]):
            return True
        if now - self._fetched_at < KEYS_MIN_AGE:
            return False
        self._fetch(now)
        return any([is_signed_by(key) for key in self._keys])

    def _fetch(self, now: datetime) -> None:
        try:
            body = self._http.get(self._url, max_bytes=MAX_KEYS_BYTES, vendor=self._vendor)
            self._keys = [self._parse_key(key) for key in parse_json(body, self._vendor)["keys"]]
        except (AdapterError, KeyError, TypeError, ValueError, binascii.Error) as error:
            raise DeliveryError(503, f"{self._vendor}'s published keys cannot be fetched now") from error
        self._expires_at, self._fetched_at = now + KEYS_MAX_AGE, now


def decode_base64url(text: object) -> bytes:
    """Decode base64url without padding, as JSON Web Keys and Signatures have it.

    Raises:
        ValueError: it is not base64url.
    """
    return base64.urlsafe_b64decode(str(text) + "=" * (-len(str(text)) % 4))


def decode_base64(text: str) -> bytes:
    """Decode base64 in its standard alphabet.

    Raises:
        ValueError: it is not base64.
    """
    return base64.b64decode(text, validate=True)


def key_of_body(inbound: InboundWebhook) -> str:
    """Return the key of a delivery whose id is in no signature, by its body alone.

    So a captured delivery cannot be stored again and again under new ids. `VerifiedWebhook.has_own_id` is
    false for it.
    """
    return hashlib.sha256(inbound.body).hexdigest()


def hmac_sha256(secret: str, message: bytes) -> bytes:
    """Return the HMAC-SHA256 of a message."""
    return hmac.new(secret.encode(), message, hashlib.sha256).digest()


def signature_matches(signature: str, *expected: bytes, hexadecimal: bool = False) -> bool:
    """Return whether a signature is one of the expected ones, in constant time.

    Args:
        signature: the text from a header.
        expected: the digests that are valid, one for each secret.
        hexadecimal: whether the text is hexadecimal, instead of base64.
    """
    texts = [each.hex().encode() if hexadecimal else base64.b64encode(each) for each in expected]
    return any([hmac.compare_digest(signature.strip().encode(), text) for text in texts])
