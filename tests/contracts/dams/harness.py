"""The harness of the DAM contract suite: an adapter on a fake server, and the actions of people there."""

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
    """A fake DAM on loopback. A vendor's file answers requests and acts as the people there."""

    vendor = ""
    options: Mapping[str, Any] = {}
    errors: Mapping[str, FakeReply] = {
        "401": FakeReply(401, {"message": "who are you"}),
        "403": FakeReply(403, {"message": "you may not"}),
        "429": FakeReply(429, {"message": "slow down"}, {"Retry-After": "7"}),
        "500": FakeReply(500, {"message": "broken"}),
    }
    signs_bodies = True  # a webhook's signature covers its body
    in_one_second = False  # all that people do happens in one second
    has_own_versions = False  # all our versions of an asset are one asset there

    def __init__(self) -> None:
        super().__init__(make=lambda _: b"")
        self.start()

    def open(self, context: AdapterContext, **options: Any) -> Dam:
        """Open the adapter on this server."""
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
        if request.path.startswith("/storage"):
            return "storage"
        return "read" if request.method == "GET" else "push"

    def asset_count(self) -> int:
        """Return the number of assets that a person sees."""
        raise NotImplementedError

    def stored_bytes(self, name: str) -> bytes:
        """Return the bytes of a stored file."""
        raise NotImplementedError

    def decide(self, ref: str, verdict: str, by: str, note: str) -> None:
        """Decide about a version as a reviewer does there."""
        raise NotImplementedError

    def replace_file(self, name: str) -> None:
        """Replace the bytes of a file as a person does there."""
        raise NotImplementedError

    def metadata_of(self, ref: str) -> Mapping[str, Any]:
        """Return what a person sees in the DAM's own fields of a version."""
        raise NotImplementedError

    def put_photo(
        self, name: str, data: bytes, *, folder: str = "Photos", sku: str = "", ref: str = ""
    ) -> str:
        """Upload a picture, or replace the one of `ref`, as a person does there; return its reference."""
        raise NotImplementedError

    def approve_file(self, ref: str) -> None:
        """Approve a file that a person uploaded, where the DAM has such a state."""

    def remove_photo(self, ref: str) -> None:
        """Delete a picture as a person does there."""
        raise NotImplementedError

    def file_refs(self) -> list[str]:
        """Return the references that all files have as photos, also those that the connector put there."""
        raise NotImplementedError

    def photo_webhook(self, ref: str, context: AdapterContext) -> InboundWebhook:
        """Return the signed webhook that the DAM sends when a picture is uploaded."""
        raise NotImplementedError

    def webhook(self, ref: str, context: AdapterContext) -> InboundWebhook:
        """Return the signed webhook that the DAM sends when a version changed."""
        raise NotImplementedError
