"""Pairs of real systems: each shop with each DAM, and our service between them.

The tests of the whole way ask all pairs for the same.
"""

import json
from dataclasses import dataclass
from typing import Any

from tests.live.dams import DamPeople
from tests.live.servers import Connector
from tests.live.shops import Merchant

CHANNELS = ["viewer", "store"]
PACKSHOT = {
    "name": "packshot",
    "kind": "rendition",
    "size_px": 320,
    "formats": ["jpeg"],
    "channels": CHANNELS,
}


@dataclass
class Pair:
    """A shop and a DAM with our service between them."""

    shop: Merchant
    dam: DamPeople
    connector: Connector
    api: str  # a token of our API

    @property
    def name(self) -> str:
        return f"{self.shop.name} and {self.dam.connection}"

    def use(self, connections: dict[str, Any], secrets: dict[str, str]) -> None:
        """Let our service review in this DAM: its plugin.json and its environment get what that needs."""
        path = self.connector.folder / "plugin.json"
        rules = json.loads(path.read_text())
        rules["connections"]["dam"] |= connections
        rules["deliverables"], rules["review"] = [PACKSHOT], {"dam": self.dam.connection}
        path.write_text(json.dumps(rules))
        self.connector.end()
        self.connector.add_secrets(secrets)
        self.connector.start()


def rules_of_kit(rig: dict[str, Any]) -> dict[str, Any]:
    """Our plugin.json for WooCommerce and ResourceSpace."""
    connections = json.loads(json.dumps(rig["connections"]))
    connections["channel"]["viewer"] = {"adapter": "viewer"}
    return {
        "name": "live",
        "version": "1.0.0",
        "connections": connections,
        "products": {"required": ["sku", "name", "images.any"]},
        "deliverables": [PACKSHOT],
        "review": {"dam": "rs"},
    }
