"""What the channel suite needs of a shop: its adapter on a server that plays it, with a product that has two pictures of its own."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dam_connector.adapters import open_adapter
from dam_connector.adapters.common.context import AdapterContext
from dam_connector.domain.rules import Connection
from dam_connector.fakes.server import FakeServer, Request, Said
from dam_connector.ports import Channel
from tests.support import http_to

SECRETS = {"env/TOKEN": "key_fake", "env/OTHER": "other"}
SKU = "CH123"
OTHER = "CH124"  # a second variant of the same product
THEIRS = ["a.jpg", "b.jpg"]


class PlayedShop(FakeServer):
    """A shop on loopback. A vendor's file says what its requests mean."""

    vendor = ""
    options: Mapping[str, Any] = {}
    links_models = False  # a model is linked, not stored
    errors: Mapping[str, Said] = {
        "401": Said(401, {"message": "who are you"}),
        "403": Said(403, {"message": "you may not"}),
        "429": Said(429, {"message": "slow down"}, {"Retry-After": "7"}),
        "500": Said(500, {"message": "broken"}),
    }

    def __init__(self) -> None:
        super().__init__(make=lambda _: b"")
        self.start()

    def opened(self, kit: AdapterContext, **options: Any) -> Channel:
        kit = replace(kit, http=http_to(self.host, kit), secret=SECRETS.__getitem__)
        connection = Connection(
            adapter=self.vendor, options={**self.own_options(), **self.options, **options}
        )
        found: Channel = open_adapter("channel", self.vendor, connection, kit)
        return found

    def own_options(self) -> dict[str, Any]:
        return {"base_url": self.base_url}

    def writes(self) -> int:
        """How many requests changed something."""
        return sum(operation == "write" for operation, _ in self.asked)

    def shown(self) -> list[str]:
        """The names of the product's media, in order."""
        raise NotImplementedError

    def split(self) -> None:
        """From now on the product has a second variant."""
        raise NotImplementedError

    def shown_at(self, sku: str) -> list[str]:
        """The names of the media that a variant is shown with."""
        return self.shown()

    def first(self) -> str:
        """The name of the picture that the shop shows first."""
        return self.shown()[0]

    def bytes_of(self, name: str) -> bytes:
        raise NotImplementedError

    def links(self) -> list[str]:
        """The addresses of models that the product refers to."""
        return []


class GraphShop(PlayedShop):
    """One that is asked by GraphQL: by the names of its operations, which a vendor's file has methods for."""

    path = "/graphql"

    def operation(self, request: Request) -> str:
        if request.path.startswith("/storage"):
            return "storage"
        return (
            "write"
            if "mutation" in self._asked(request)[0] and "login" not in self._asked(request)[0]
            else "read"
        )

    def answer(self, request: Request, operation: str) -> Said:
        query, variables = self._asked(request)
        name = query.split("(")[0].split()[1]
        files = [(request.file_names["0"], request.form["0"])] if request.raw.startswith(b"--") else []
        return Said(200, {"data": getattr(self, f"do_{name.lower()}")(variables, *files)}, self.headers())

    def headers(self) -> dict[str, str]:
        return {}

    def _asked(self, request: Request) -> tuple[str, dict[str, Any]]:
        if request.path != self.path:
            return "", {}
        if request.raw.startswith(b"--"):
            assert json.loads(request.form["map"]) in (
                {"0": ["variables.file"]},
                {"0": ["variables.input.0.file"]},
            )
            said = json.loads(request.form["operations"])
        else:
            said = request.json
        return said["query"].strip(), said["variables"]
