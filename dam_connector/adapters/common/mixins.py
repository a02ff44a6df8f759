"""Mixins for adapters of systems that do less than their port allows."""

from collections.abc import Mapping
from typing import Any

from dam_connector.errors import DeliveryError, Unsupported
from dam_connector.ports import InboundWebhook, VerifiedWebhook


class NoWebhooks:
    """Mixin for a system that sends no webhooks: the connector polls it, or nothing changes there."""

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        """Refuse every webhook.

        Raises:
            DeliveryError: 404, always.
        """
        raise DeliveryError(404, "this connection takes no webhooks; remove the webhook at the sender")

    def parse_webhook(
        self, inbound: InboundWebhook
    ) -> Any:  # a DAM's returns a list, a provider's one reference
        """Return no references: nothing was announced."""
        return []


class ReadOnlyPim:
    """Mixin for a PIM whose images have public URLs and into which the connector writes nothing."""

    vendor = ""

    def fetch_picture(self, name: str) -> bytes:
        """Refuse, because the images are fetched by URL.

        Raises:
            Unsupported: always.
        """
        raise Unsupported(self.vendor, "picture", "its images have URLs of their own; fetch them there")

    def write_back(self, ref: str, values: Mapping[str, str]) -> None:
        """Refuse, because this PIM's records are not changed.

        Raises:
            Unsupported: always.
        """
        raise Unsupported(self.vendor, "write_back", "this adapter does not change the records of its PIM")
