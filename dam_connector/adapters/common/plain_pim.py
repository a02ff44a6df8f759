"""What a source's adapter does where its vendor has less to offer."""

from collections.abc import Mapping

from dam_connector.errors import DeliveryError, Unsupported
from dam_connector.ports import InboundWebhook, VerifiedWebhook


class PlainSource:
    """A source whose pictures have addresses of their own, and in which nothing is written."""

    vendor = ""

    def picture(self, name: str) -> bytes:
        raise Unsupported(self.vendor, "picture", "its pictures have addresses of their own")

    def write_back(self, ref: str, said: Mapping[str, str]) -> None:
        raise Unsupported(self.vendor, "write_back", "nothing is written there")


class MuteSource(PlainSource):
    """A source that sends nothing: it is polled."""

    def verify(self, inbound: InboundWebhook) -> VerifiedWebhook:
        raise DeliveryError(404, "this connection takes no webhooks; it is looked at every few minutes")
