"""The harness of the channel contract suite: an adapter on a fake shop, whose product has two pictures."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dam_connector.adapters import open_adapter
from dam_connector.adapters.common.context import AdapterContext
from dam_connector.domain.rules import Connection
from dam_connector.fakes.server import FakeReply, FakeRequest, FakeServer
from dam_connector.ports import Channel
from tests.support import http_to

SECRETS = {"env/TOKEN": "key_fake", "env/OTHER": "other"}
SKU = "CH123"
OTHER_SKU = "CH124"  # a second variant of the same product
MERCHANT_MEDIA = ["a.jpg", "b.jpg"]  # the pictures that the product has before we publish anything


class FakeChannel(FakeServer):
    """A fake shop on loopback. A vendor's file answers its requests."""

    vendor = ""
    options: Mapping[str, Any] = {}
    has_model_links = False  # the product links to models; the shop does not store them
    has_alt_texts = True
    errors: Mapping[str, FakeReply] = {
        "401": FakeReply(401, {"message": "who are you"}),
        "403": FakeReply(403, {"message": "you may not"}),
        "429": FakeReply(429, {"message": "slow down"}, {"Retry-After": "7"}),
        "500": FakeReply(500, {"message": "broken"}),
    }

    def __init__(self) -> None:
        super().__init__(make=lambda _: b"")
        self.start()

    def open(self, context: AdapterContext, **options: Any) -> Channel:
        """Open the adapter on this server."""
        context = replace(context, http=http_to(self.host, context), secret=SECRETS.__getitem__)
        connection = Connection(
            adapter=self.vendor, options={**self.connection_options(), **self.options, **options}
        )
        found: Channel = open_adapter("channel", self.vendor, connection, context)
        return found

    def connection_options(self) -> dict[str, Any]:
        return {"base_url": self.base_url}

    def write_count(self) -> int:
        """Return the number of requests that changed something."""
        return sum(operation == "write" for operation, _ in self.requests)

    def media_names(self) -> list[str]:
        """Return the names of the product's media, in order."""
        raise NotImplementedError

    def add_second_variant(self) -> None:
        """Give the product a second variant."""
        raise NotImplementedError

    def remove_variant(self, sku: str) -> None:
        """Delete one of two variants as a merchant does."""
        raise NotImplementedError

    def alt_texts(self) -> list[str]:
        """Return the alt texts of the product's media, in order."""
        raise NotImplementedError

    def show_own_picture(self, sku: str) -> None:
        """Let the merchant give a variant the product's second picture as its own."""
        raise NotImplementedError

    def variant_media_names(self, sku: str) -> list[str]:
        """Return the names of a variant's media."""
        return self.media_names()

    def featured_media_name(self) -> str:
        """Return the name of the picture that the shop shows first."""
        return self.media_names()[0]

    def stored_bytes(self, name: str) -> bytes:
        raise NotImplementedError

    def model_links(self) -> list[str]:
        """Return the addresses of the models that the product links to."""
        return []


class FakeGraphQlChannel(FakeChannel):
    """A fake shop with a GraphQL API. A vendor's file has a method for each operation, e.g. `do_place`."""

    path = "/graphql"
    query_text = ""  # of the request that is being answered

    def operation(self, request: FakeRequest) -> str:
        if request.path.startswith("/storage"):
            return "storage"
        query, _ = self._parse(request)
        return "write" if "mutation" in query and "login" not in query else "read"

    def answer(self, request: FakeRequest, operation: str) -> FakeReply:
        query, variables = self._parse(request)
        self.query_text = query
        name = query.split("(")[0].split()[1]
        files = [(request.file_names["0"], request.form["0"])] if request.body.startswith(b"--") else []
        return FakeReply(
            200, {"data": getattr(self, f"do_{name.lower()}")(variables, *files)}, self.headers()
        )

    def headers(self) -> dict[str, str]:
        return {}

    def _parse(self, request: FakeRequest) -> tuple[str, dict[str, Any]]:
        """Return the query and the variables of a request."""
        if request.path != self.path:
            return "", {}
        if request.body.startswith(b"--"):
            assert json.loads(request.form["map"]) in (
                {"0": ["variables.file"]},
                {"0": ["variables.input.0.file"]},
            )
            body = json.loads(request.form["operations"])
        else:
            body = request.json
        return body["query"].strip(), body["variables"]
