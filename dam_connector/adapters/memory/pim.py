"""A PIM in memory: for tests of everything that stands behind the port, and to try the connector without a PIM.

A delivery is proved by the header `x-memory-secret` and named by `x-memory-id`; its body is the standard event.
"""

import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from dam_connector.adapters.common.context import AdapterContext, check_options
from dam_connector.adapters.common.envelopes import load_event
from dam_connector.adapters.common.mixins import ReadOnlyPim
from dam_connector.domain.event import Event, EventKind
from dam_connector.domain.product import Product
from dam_connector.errors import ConnectorError, DeliveryError, NotFound
from dam_connector.ports import InboundWebhook, PimCapabilities, VerifiedWebhook


class MemoryPim(ReadOnlyPim):
    """Products that `put` placed there; `fail_with` is raised once, by the next call."""

    capabilities = PimCapabilities(can_fetch=True, can_list_changes=True)

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self.products: dict[str, tuple[Product, datetime]] = {}
        self.fail_with: ConnectorError | None = None

    def put(self, product: Product, at: datetime) -> None:
        self.products[product.sku] = (product, at)

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        if not hmac.compare_digest(
            inbound.headers.get("x-memory-secret", "").encode(), self._secret.encode()
        ):
            raise DeliveryError(401, "x-memory-secret does not match")
        if not inbound.headers.get("x-memory-id"):
            raise DeliveryError(400, "x-memory-id is missing")
        return VerifiedWebhook(
            key=inbound.headers["x-memory-id"], is_event=inbound.headers.get("x-memory-ping") is None
        )

    def normalize(self, inbound: InboundWebhook) -> list[Event]:
        return [load_event(inbound, "memory")]

    def fetch(self, ref: str) -> list[Product]:
        self._fail()
        if ref not in self.products:
            raise NotFound("memory", "fetch", ref)
        return [self.products[ref][0]]

    def changed_since(self, since: datetime) -> Iterable[Event]:
        self._fail()
        return [
            Event(kind=EventKind.UPDATED, ref=sku, at=at, product=product)
            for sku, (product, at) in self.products.items()
            if at >= since
        ]

    def _fail(self) -> None:
        failure, self.fail_with = self.fail_with, None
        if failure:
            raise failure


def connect(options: Mapping[str, Any], context: AdapterContext) -> MemoryPim:
    check_options(options, "secret")
    return MemoryPim(context.secret(str(options.get("secret", ""))))
