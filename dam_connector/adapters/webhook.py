"""Outgoing webhooks, as a channel: a product's whole listing is sent when it changes (Standard Webhooks).

Options: `url`, the receiver's address; `secret`, a reference to the signing secret, by default
`env/DAM_CONNECTOR_OUT_SECRET`; `languages`, further locales whose texts the listing has. Facts:
docs/connections/webhook.md.

A repeat has the same webhook-id. If the receiver does not accept a message, the run sends it again with
back-off. Every attempt is written into the product's history.
"""

import hashlib
import json
import time
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dam_connector.adapters.common.api_client import ApiClient
from dam_connector.adapters.common.context import AdapterContext, check_options, url_option
from dam_connector.adapters.common.webhook_signatures import make_signer
from dam_connector.adapters.http import HttpResponse
from dam_connector.domain.listing import Listing
from dam_connector.errors import AdapterError
from dam_connector.ports import Blobs
from schemas.webhook_listing import dump_listing

EVENT_TYPE = "listing.changed"
TEST_TYPE = "connection.test"


class WebhookChannel(ApiClient):
    """A `Channel` that posts to one address."""

    vendor = "webhook"
    takes_pages = True

    def __init__(self, context: AdapterContext, url: str, secret: str) -> None:
        super().__init__(context.http, url, {})
        self._context, self._url, self._signer = context, url, make_signer(secret)

    def sync(self, listing: Listing, blobs: Blobs) -> str:
        data = dump_listing(listing)
        digest = hashlib.sha256(json.dumps([self._context.name, data], sort_keys=True).encode()).hexdigest()
        message_id, at, started = f"msg_{digest[:24]}", self._context.clock.now(), time.monotonic()
        message = {"type": EVENT_TYPE, "timestamp": at.isoformat(), "data": data}
        try:
            reply = self._post(message_id, at, message, "publish")
        except AdapterError as error:
            self._log(listing, f"{message_id}: not accepted: {error}")
            raise
        duration_ms = (time.monotonic() - started) * 1000
        self._log(listing, f"{message_id}: HTTP {reply.status} in {duration_ms:.0f} ms")
        return self._url

    def send_test(self) -> str:
        """Send a signed message without a listing; return a line for people."""
        at = self._context.clock.now()
        message_id = f"msg_test_{uuid.uuid4().hex[:16]}"
        reply = self._post(
            message_id, at, {"type": TEST_TYPE, "timestamp": at.isoformat(), "data": {}}, "test"
        )
        return f"it took a signed message of the type {TEST_TYPE}: HTTP {reply.status}"

    def _post(
        self, message_id: str, at: datetime, message: Mapping[str, Any], operation: str
    ) -> HttpResponse:
        """Sign and send a message."""
        body = json.dumps(message, ensure_ascii=False)
        headers = {
            "Content-Type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": self._signer.sign(message_id, at, body),
        }
        return self.request("POST", "", operation, content=body.encode(), headers=headers)

    def live_files(self, listing: Listing) -> tuple[str, ...]:
        """Return all files of the listing, because the receiver cannot be asked."""
        return self.expected_files(listing)

    def expected_files(self, listing: Listing) -> tuple[str, ...]:
        return listing.file_names

    def _log(self, listing: Listing, message: str) -> None:
        self._context.log_history(listing.product.sku, f"{self._context.name} {message}")


def connect(options: Mapping[str, Any], context: AdapterContext) -> WebhookChannel:
    """Open the adapter.

    Raises:
        ConfigError: an option is wrong.
    """
    check_options(options, "url", "secret", "languages")
    url = url_option(options, "url", "https://shop.example/hooks/assets")
    secret = context.secret(str(options.get("secret", "env/DAM_CONNECTOR_OUT_SECRET")))
    return WebhookChannel(context, url, secret)
