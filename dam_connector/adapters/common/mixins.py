"""What a DAM's adapter does about webhooks where there are none."""

from dam_connector.errors import DeliveryError
from dam_connector.ports import InboundWebhook, VerifiedWebhook


class Deaf:
    """A DAM that tells nothing unasked: it is polled."""

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        raise DeliveryError(404, "this connection takes no webhooks; it is asked every few seconds")

    def parse_webhook(self, inbound: InboundWebhook) -> list[str]:
        return []
