"""A PIM in memory, for tests of the code that uses the port, and to try the connector without a PIM.

Option: `secret`, a reference to the secret in the header `x-memory-secret` of its webhooks; `x-memory-id`
is their id, and the body is our own product event.
"""

import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from dam_connector.adapters.common.context import AdapterContext, check_options
from dam_connector.adapters.common.envelopes import load_events
from dam_connector.adapters.common.mixins import ReadOnlyPim
from dam_connector.adapters.memory import FailsOnce
from dam_connector.domain.event import Event, EventKind
from dam_connector.domain.product import Product
from dam_connector.errors import DeliveryError, NotFound
from dam_connector.ports import InboundWebhook, PimCapabilities, VerifiedWebhook


class MemoryPim(FailsOnce, ReadOnlyPim):
    """A `Pim` whose products tests set with `put`; references are SKUs."""

    vendor = "memory"
    capabilities = PimCapabilities(can_fetch=True, can_list_changes=True)

    def __init__(self, secret: str) -> None:
        super().__init__()
        self._secret = secret
        self.products: dict[str, tuple[Product, datetime]] = {}  # SKU -> product and time of its last change

    def put(self, product: Product, at: datetime) -> None:
        """Store a product that was changed at this time."""
        self.products[product.sku] = (product, at)

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        secret = inbound.headers.get("x-memory-secret", "")
        if not hmac.compare_digest(secret.encode(), self._secret.encode()):
            raise DeliveryError(401, "x-memory-secret does not match")
        if not inbound.headers.get("x-memory-id"):
            raise DeliveryError(400, "x-memory-id is missing")
        is_event = inbound.headers.get("x-memory-ping") is None
        return VerifiedWebhook(key=inbound.headers["x-memory-id"], is_event=is_event)

    def normalize(self, inbound: InboundWebhook) -> list[Event]:
        return load_events(inbound, "memory")

    def fetch(self, ref: str) -> list[Product]:
        self._raise_failure()
        if ref not in self.products:
            raise NotFound("memory", "fetch", ref)
        return [self.products[ref][0]]

    def changed_since(self, since: datetime) -> Iterable[Event]:
        self._raise_failure()
        return [
            Event(kind=EventKind.UPDATED, ref=sku, at=at, product=product)
            for sku, (product, at) in self.products.items()
            if at >= since
        ]


def connect(options: Mapping[str, Any], context: AdapterContext) -> MemoryPim:
    """Open the adapter.

    Raises:
        ConfigError: an option is wrong.
    """
    check_options(options, "secret")
    return MemoryPim(context.secret(str(options.get("secret", ""))))
