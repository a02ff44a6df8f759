"""What the DAM suite needs of a vendor: its adapter on a server that plays it, and what people do there."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dam_connector.adapters import open_adapter
from dam_connector.adapters.common.context import AdapterContext
from dam_connector.domain.rules import Connection
from dam_connector.fakes.server import FakeReply, FakeRequest, FakeServer
from dam_connector.ports import Dam, InboundWebhook
from tests.support import http_to

SECRETS = {"env/TOKEN": "key_fake", "env/HOOK": "hook-secret", "env/OTHER": "other"}


class FakeDam(FakeServer):
    """A DAM on loopback. A vendor's file says what its requests mean, and does what people do there."""

    vendor = ""
    options: Mapping[str, Any] = {}
    errors: Mapping[str, FakeReply] = {
        "401": FakeReply(401, {"message": "who are you"}),
        "403": FakeReply(403, {"message": "you may not"}),
        "429": FakeReply(429, {"message": "slow down"}, {"Retry-After": "7"}),
        "500": FakeReply(500, {"message": "broken"}),
    }
    signs_bodies = True
    has_own_versions = False  # of one asset: the next version of ours is the next of its own

    def __init__(self) -> None:
        super().__init__(make=lambda _: b"")
        self.start()

    def open(self, context: AdapterContext, **options: Any) -> Dam:
        """The adapter on this server."""
        context = replace(context, http=http_to(self.host, context), secret=SECRETS.__getitem__)
        found: Dam = open_adapter(
            "dam",
            self.vendor,
            Connection(adapter=self.vendor, options={**self.connection_options(), **self.options, **options}),
            context,
        )
        return found

    def connection_options(self) -> dict[str, Any]:
        return {"base_url": self.base_url}

    def operation(self, request: FakeRequest) -> str:
        return (
            "storage"
            if request.path.startswith("/storage")
            else "read"
            if request.method == "GET"
            else "push"
        )

    def asset_count(self) -> int:
        """How many assets there are, as a person counts them."""
        raise NotImplementedError

    def stored_bytes(self, name: str) -> bytes:
        """The bytes of a stored file."""
        raise NotImplementedError

    def decide(self, ref: str, verdict: str, by: str, note: str) -> None:
        """What a reviewer does there."""
        raise NotImplementedError

    def replace_file(self, name: str) -> None:
        """Somebody replaces a file's bytes by hand."""
        raise NotImplementedError

    def webhook(self, ref: str, context: AdapterContext) -> InboundWebhook:
        """What the DAM sends when a version changed, as it is signed there."""
        raise NotImplementedError
