"""The port of product information systems (PIMs)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from dam_connector.domain.event import Event
from dam_connector.domain.product import Product
from dam_connector.ports.webhook import InboundWebhook, VerifiedWebhook


@dataclass(frozen=True, slots=True, kw_only=True)
class PimCapabilities:
    """Which optional methods a PIM supports."""

    # `fetch` returns a product as it is now. Otherwise events must carry the product.
    can_fetch: bool = False
    # `changed_since` works, so that the PIM can be polled, backfilled and reconciled.
    can_list_changes: bool = False
    # The PIM stores in its own records which assets are live.
    can_write_back: bool = False
    # An empty field of a picture says nothing about it: the picture that the product has stays.
    keeps_pictures: bool = False


class Pim(Protocol):
    """A source of product records."""

    capabilities: PimCapabilities

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        """Prove the sender of a webhook from its raw bytes, before anything is parsed.

        Raises:
            DeliveryError: with status 401 when the proof fails, 400 when a required header is missing.
        """
        ...

    def normalize(self, inbound: InboundWebhook) -> list[Event]:
        """Return the events that a webhook reports.

        A source may be asked which product an event is about, where the webhook does not say it.

        Raises:
            BadOutput: the body does not have this source's format.
            Unavailable, RateLimited: retry later.
        """
        ...

    def fetch(self, ref: str) -> list[Product]:
        """Return a product as it is now.

        Args:
            ref: the PIM's reference, as events carry it.

        Returns:
            One product for each SKU; several when the reference names a product with variants.

        Raises:
            NotFound: the PIM has no such product.
            Refused, Unsupported, BadOutput: do not retry.
            Unavailable, RateLimited: retry later.
        """
        ...

    def changed_since(self, since: datetime) -> Iterable[Event]:
        """Yield an event for each product that changed since a moment, the earliest change first.

        Raises:
            Refused, Unsupported, BadOutput: do not retry.
            Unavailable, RateLimited: retry later.
        """
        ...

    def fetch_picture(self, name: str) -> bytes:
        """Return the bytes of a picture that cannot be fetched without this connection's credentials.

        Args:
            name: the part after `pim:CONNECTION/` in an image's URL.

        Raises:
            NotFound, Refused, Unsupported, BadOutput: do not retry.
            Unavailable, RateLimited: retry later.
        """
        ...

    def write_back(self, ref: str, values: Mapping[str, str]) -> None:
        """Write into a product's record which of its assets are live.

        Args:
            ref: the PIM's reference of the product.
            values: by name: `ar_url` (the address of the AR page) and `status`.

        Raises:
            NotFound, Refused, Unsupported, BadOutput: do not retry.
            Unavailable, RateLimited: retry later.
        """
        ...


@runtime_checkable
class ExplainsMessages(Protocol):
    """A PIM that can say why a message of its system results in no event, or in less than it holds."""

    def why_ignored(self, inbound: InboundWebhook) -> str:
        """Return the type that was found and those that are known; empty if the type is not the reason."""
        ...

    def left_out(self, inbound: InboundWebhook) -> Mapping[str, Sequence[str]]:
        """Return for people, by the reference of each product, the parts of its record that are not used."""
        ...
