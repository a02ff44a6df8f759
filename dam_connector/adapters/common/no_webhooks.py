"""What a DAM's adapter does about webhooks where there are none."""

from dam_connector.errors import DeliveryError
from dam_connector.ports import Inbound, Verified


class Deaf:
    """A DAM that tells nothing unasked: it is polled."""

    def verify(self, inbound: Inbound) -> Verified:
        raise DeliveryError(404, "this connection takes no webhooks; it is asked every few seconds")

    def parse_webhook(self, inbound: Inbound) -> list[str]:
        return []
