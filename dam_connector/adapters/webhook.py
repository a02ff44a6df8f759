"""Signed webhooks out (Standard Webhooks): whoever listens is sent a product's whole listing whenever it changes. Options: `url`, `secret`.

A repeat has the same webhook-id. What is not taken is sent again by the run, with back-off; every try stands in the product's history.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any

from dam_connector.adapters.common.api_client import ApiClient
from dam_connector.adapters.common.context import AdapterContext, check_options, url_option
from dam_connector.adapters.common.webhook_signatures import make_signer
from dam_connector.domain.listing import Listing
from dam_connector.errors import AdapterError
from dam_connector.ports import Blobs
from schemas.listing import dump_listing

EVENT_TYPE = "listing.changed"


class WebhookChannel(ApiClient):
    """An address that listens."""

    vendor = "webhook"

    def __init__(self, context: AdapterContext, url: str, secret: str) -> None:
        super().__init__(context.http, url, {})
        self._context, self._url, self._signer = context, url, make_signer(secret)

    def sync(self, listing: Listing, blobs: Blobs) -> str:
        data = dump_listing(listing)
        mark = hashlib.sha256(json.dumps([self._context.name, data], sort_keys=True).encode()).hexdigest()[:24]
        message, at, began = f"msg_{mark}", self._context.clock.now(), time.monotonic()
        body = json.dumps({"type": EVENT_TYPE, "timestamp": at.isoformat(), "data": data}, ensure_ascii=False)
        headers = {
            "Content-Type": "application/json",
            "webhook-id": message,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": self._signer.sign(message, at, body),
        }
        try:
            reply = self.request("POST", "", "publish", content=body.encode(), headers=headers)
        except AdapterError as error:
            self._tell(listing, f"{message}: not taken: {error}")
            raise
        self._tell(listing, f"{message}: HTTP {reply.status} in {(time.monotonic() - began) * 1000:.0f} ms")
        return self._url

    def live_files(self, listing: Listing) -> tuple[str, ...]:
        return self.expected_files(listing)  # who listens cannot be asked

    def expected_files(self, listing: Listing) -> tuple[str, ...]:
        return listing.file_names

    def _tell(self, listing: Listing, words: str) -> None:
        self._context.log_history(listing.product.sku, f"{self._kit.name} {words}")


def connect(options: Mapping[str, Any], context: AdapterContext) -> WebhookChannel:
    check_options(options, "url", "secret")
    url = url_option(options, "url", "https://shop.example/hooks/assets")
    return WebhookChannel(context, url, context.secret(str(options.get("secret", "env/DAM_CONNECTOR_OUT_SECRET"))))
