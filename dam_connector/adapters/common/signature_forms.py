"""Signatures of senders that follow no standard, as an admin describes them: an HMAC, or a certificate's."""

import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from dam_connector.adapters.common.context import AdapterContext, check_options, choice_option
from dam_connector.adapters.common.webhook_signatures import check_sent_at, decode_base64, key_of_body
from dam_connector.domain.outside_values import parse_timestamp
from dam_connector.errors import AdapterError, ConfigError, DeliveryError
from dam_connector.ports import InboundWebhook

OPTIONS = ("header", "prefix", "algorithm", "encoding", "content", "timestamp_header", "timestamp_prefix")
MORE_OPTIONS = ("id_header", "certificate_header", "certificate_base")
_PLACEHOLDER = re.compile(r"\{(body|timestamp|id|url|header:[A-Za-z0-9-]+)\}")
MAX_CERTIFICATE_BYTES = 32_768
MAX_CERTIFICATES = 4  # a sender has one at a time, and a new one now and then


class SignatureForm:
    """How one sender signs: which header, over which bytes, by which method."""

    def __init__(self, context: AdapterContext, secrets: Sequence[str], options: Mapping[str, Any]) -> None:
        """Read the option `signature`.

        Args:
            context: the adapter's context.
            secrets: the secrets of the connection, any of which may sign.
            options: the option's keys.

        Raises:
            ConfigError: a key is unknown, or what is signed proves too little.
        """
        check_options(options, *OPTIONS, *MORE_OPTIONS)
        self._context, self._secrets = context, [secret.encode() for secret in secrets]
        self._header = str(options.get("header", "")).lower()
        self._prefix, self._time_prefix = (
            str(options.get(name, "")) for name in ("prefix", "timestamp_prefix")
        )
        self._algorithm = choice_option(options, "algorithm", "sha256", ("sha256", "sha512", "sha1"))
        self._is_hex = choice_option(options, "encoding", "hex", ("hex", "base64")) == "hex"
        self._content = str(options.get("content", "{body}"))
        self._time_header, self._id_header, self._certificate_header = (
            str(options.get(name, "")).lower()
            for name in ("timestamp_header", "id_header", "certificate_header")
        )
        self._certificate_base = str(options.get("certificate_base", ""))
        self._certificates: dict[str, x509.Certificate] = {}
        self._check()

    def _check(self) -> None:
        rest = _PLACEHOLDER.sub("", self._content)
        if not self._header:
            raise ConfigError("signature/header: name the header with the signature")
        if "{body}" not in self._content or re.search(r"[{}]", rest):
            raise ConfigError(
                "signature/content: write what is signed with {body}, and with {timestamp}, {id}, {url} or "
                "{header:NAME} where they are signed too"
            )
        for header, name in ((self._time_header, "timestamp"), (self._id_header, "id")):
            if bool(header) != (f"{{{name}}}" in self._content):
                raise ConfigError(
                    f"signature/{name}_header: give it together with {{{name}}} in content; "
                    "what no signature covers proves nothing"
                )
        if bool(self._certificate_header) != bool(self._certificate_base):
            raise ConfigError("signature: certificate_header and certificate_base belong together")
        if self._certificate_header:
            if urlsplit(self._certificate_base).scheme not in ("https", "http") or not urlsplit(
                self._certificate_base
            ).path.startswith("/"):
                raise ConfigError(
                    "signature/certificate_base: write the beginning of the certificates' addresses with its "
                    'path, e.g. "https://certificates.example/"'
                )
            self._context.http.allow_port(self._certificate_base)

    @property
    def has_own_id(self) -> bool:
        """Return whether the signature tells a delivery from a later one with the same body."""
        return bool(self._id_header or self._time_header)

    def verify(self, inbound: InboundWebhook) -> str:
        """Verify a delivery and return its key.

        Raises:
            DeliveryError: 401, the signature or its time is wrong; 400, a header is missing; 503, the
                sender's certificate cannot be fetched now.
        """
        parts = re.split(r"[,\s]+", inbound.headers.get(self._header, ""))
        signatures = [part.removeprefix(self._prefix) for part in parts if part.startswith(self._prefix)]
        timestamp = self._timestamp(inbound, parts)
        if not any(signatures):
            raise DeliveryError(
                401, f"the request carries no signature; send it in the header {self._header}"
            )
        content = self._signed_bytes(inbound, timestamp)
        is_signed = self._is_certified if self._certificate_header else self._is_hmac
        # a list, so that every one is compared: the time taken reveals nothing
        if not any([is_signed(signature, content, inbound) for signature in signatures]):
            raise DeliveryError(401, "the signature does not match any of this connection's secrets")
        if self._id_header:
            return inbound.headers.get(self._id_header, "")
        # with the signed time: a body that comes again with a later one was sent again on purpose
        return f"{key_of_body(inbound)}:{timestamp}" if timestamp else key_of_body(inbound)

    def _timestamp(self, inbound: InboundWebhook, parts: Sequence[str]) -> str:
        """Return the text of the time that is signed, after comparing it with our clock."""
        if not self._time_header:
            return ""
        texts = parts if self._time_header == self._header else [inbound.headers.get(self._time_header, "")]
        text = next((t for t in texts if t.startswith(self._time_prefix)), "").removeprefix(self._time_prefix)
        moment = parse_timestamp(text)
        seconds = text[:10] if len(text) == 13 else text  # milliseconds
        check_sent_at(
            str(int(moment.timestamp())) if moment and not text.isdigit() else seconds,
            inbound.received_at,
            self._time_header,
        )
        return text

    def _signed_bytes(self, inbound: InboundWebhook, timestamp: str) -> bytes:
        values = {
            "body": inbound.body,
            "timestamp": timestamp.encode(),
            "id": inbound.headers.get(self._id_header, "").encode(),
            "url": f"{self._context.public_url}/webhooks/{self._context.name}".encode(),
        }
        parts = _PLACEHOLDER.split(self._content)  # text and names in turn
        return b"".join(
            (values.get(part) or inbound.headers.get(part.removeprefix("header:").lower(), "").encode())
            if index % 2
            else part.encode()
            for index, part in enumerate(parts)
        )

    def _is_hmac(self, signature: str, content: bytes, _: InboundWebhook) -> bool:
        digests = [hmac.new(secret, content, self._algorithm).digest() for secret in self._secrets]
        sent = _decode(signature, is_hex=self._is_hex)
        return any([hmac.compare_digest(sent, digest) for digest in digests])

    def _is_certified(self, signature: str, content: bytes, inbound: InboundWebhook) -> bool:
        key = self._certificate(inbound.headers.get(self._certificate_header, ""), inbound.received_at)
        try:
            key.verify(_decode(signature, is_hex=self._is_hex), content, padding.PKCS1v15(), SHA256())
        except InvalidSignature:
            return False
        return True

    def _certificate(self, url: str, now: datetime) -> rsa.RSAPublicKey:
        """Return the public key of a certificate, which is fetched once.

        Raises:
            DeliveryError: 401, it is another host's, no RSA certificate, or out of date; 503, it is away.
        """
        if not url.startswith(self._certificate_base) or ".." in url:
            raise DeliveryError(401, f"the certificate is not below {self._certificate_base}")
        if url not in self._certificates:
            try:
                pem = self._context.http.get(url, max_bytes=MAX_CERTIFICATE_BYTES, vendor="standard")
            except AdapterError as error:
                raise DeliveryError(503, "the sender's certificate cannot be fetched now") from error
            try:
                certificate = x509.load_pem_x509_certificate(pem)
            except ValueError as error:
                raise DeliveryError(401, "the sender's certificate is not PEM") from error
            if len(self._certificates) >= MAX_CERTIFICATES:
                self._certificates.clear()
            self._certificates[url] = certificate
        certificate = self._certificates[url]
        key = certificate.public_key()
        is_valid = certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
        if not is_valid or not isinstance(key, rsa.RSAPublicKey):
            raise DeliveryError(401, "the sender's certificate is out of date, or has no RSA key")
        return key


def _decode(signature: str, *, is_hex: bool) -> bytes:
    """Return the bytes of a signature; none of a text that is no such encoding."""
    try:
        return bytes.fromhex(signature) if is_hex else decode_base64(signature)
    except ValueError:
        return b""
