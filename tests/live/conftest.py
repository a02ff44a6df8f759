"""The live tests' fixtures: one Directus, one Vendure and our own service, wired to each other as an admin
would.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.live.servers import ADMIN, HOOK, PASSWORD, Connector, Directus, Vendure, free_port

RULES = {
    "name": "live",
    "version": "1.0.0",
    "connections": {
        "pim": {
            "shop": {
                "adapter": "vendure",
                "user": "superadmin",
                "password": "env/SHOP_PASSWORD",
                "secrets": ["env/HOOK"],
                "attributes": {"width": "custom:width", "height": "custom:height", "depth": "custom:depth"},
            }
        },
        "dam": {
            "directus": {"adapter": "directus", "token": "env/DIRECTUS_TOKEN", "webhook_secret": "env/HOOK"}
        },
        "channel": {
            "viewer": {"adapter": "viewer"},
            "store": {"adapter": "vendure", "user": "superadmin", "password": "env/SHOP_PASSWORD"},
        },
    },
    "products": {"required": ["sku", "name", "images.any"]},
    "deliverables": [
        {
            "name": "packshot",
            "kind": "rendition",
            "size_px": 400,
            "formats": ["jpeg"],
            "channels": ["viewer", "store"],
        },
        {
            "name": "model",
            "kind": "model",
            "formats": ["glb", "usdz"],
            "max_triangles": 4000,
            "texture_px": 512,
            "channels": ["viewer", "store"],
        },
    ],
    "review": {"dam": "directus"},
}


@dataclass
class Live:
    """The three, and the tokens of those who work with them."""

    directus: Directus
    vendure: Vendure
    connector: Connector
    reviewer: str
    api: str


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    folder = tmp_path_factory.mktemp("live")
    port, started = free_port(), []
    try:
        directus = Directus(folder / "directus")
        started.append(directus)
        directus.start()
        vendure = Vendure(folder / "vendure", f"http://127.0.0.1:{port}/webhooks/shop")
        started.append(vendure)
        vendure.start()
        yield _wired(folder, port, directus, vendure, started)
    finally:
        for server in reversed(started):
            server.end()


def _wired(folder: Path, port: int, directus: Directus, vendure: Vendure, started: list[object]) -> Live:
    RULES["connections"]["pim"]["shop"]["base_url"] = RULES["connections"]["channel"]["store"]["base_url"] = (
        vendure.url
    )
    RULES["connections"]["dam"]["directus"]["base_url"] = directus.url
    secrets = {
        "SHOP_PASSWORD": PASSWORD,
        "HOOK": HOOK,
        "DIRECTUS_ADMIN": ADMIN,
        "DIRECTUS_TOKEN": "token-of-connector-in-the-live-test",
    }
    connector = Connector(folder / "connector", port, RULES, secrets)
    for _ in range(2):  # safe to run twice
        said = connector.run(
            "connect", "dam", "directus", "--url", directus.url, "--token", "env/DIRECTUS_ADMIN", "--yes"
        )
    assert "Everything exists already." in said
    assert directus.person("connector", "DAM connector") == secrets["DIRECTUS_TOKEN"]
    reviewer = directus.person("rita", "DAM reviewer")
    connector.run("user", "add", "ann", "--role", "admin", "--no-password")
    api = connector.run("token", "add", "ann").split()[-1]
    started.append(connector)
    connector.start()
    return Live(directus, vendure, connector, reviewer, api)
