"""The live tests' fixtures: one Directus, one Vendure and our own service, wired to each other as an admin
would.
"""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.live.kit import KIT, Shop
from tests.live.pairs import VendureAndDirectus, WooCommerceAndResourceSpace, rules_of_kit
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


@pytest.fixture(scope="session")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    if not KIT:
        pytest.skip("LIVE_KIT is not set: WooCommerce and ResourceSpace were not asked")
    folder = Path(KIT)
    if (folder / "rig.json").exists():
        yield json.loads((folder / "rig.json").read_text())
        return
    data = tmp_path_factory.mktemp("kit")
    try:
        subprocess.run([folder / "start", data], check=True, capture_output=True)
        yield json.loads((data / "rig.json").read_text())
    finally:
        subprocess.run([folder / "stop", data], check=False, capture_output=True)


ADMIN_OF_RS = ("--token", "env/RESOURCESPACE_ADMIN_KEY")


@pytest.fixture(scope="session")
def kit_pair(
    rig: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WooCommerceAndResourceSpace]:
    """Our service between the kit's WooCommerce and its ResourceSpace, wired as an admin would."""
    folder, port = tmp_path_factory.mktemp("kit-pair"), free_port()
    secrets = {name: value for name, value in rig["env"].items() if name != "DAM_CONNECTOR_ALLOW_HOSTS"}
    secrets["RESOURCESPACE_ADMIN_KEY"] = rig["resourcespace"]["users"]["admin"]["api_key"]
    connector = Connector(folder / "connector", port, rules_of_kit(rig), secrets)
    connector.run("user", "add", "ann", "--role", "admin", "--no-password")
    api, shop = connector.run("token", "add", "ann").split()[-1], Shop(rig)
    try:
        connector.start()
        for _ in range(2):  # safe to run twice
            for adapter, more in (
                ("pim woocommerce", ("--name", "shop", "--url", rig["wordpress"]["url"])),
                ("dam resourcespace", ("--name", "rs", "--url", rig["resourcespace"]["url"], *ADMIN_OF_RS)),
            ):
                said = connector.run("connect", *adapter.split(), *more, "--yes")
        assert "Everything exists already." in said
        yield WooCommerceAndResourceSpace(rig, connector, api)
    finally:
        for each in shop.call("GET", "/wc/v3/webhooks?per_page=100"):
            if each["delivery_url"].startswith(connector.url):
                shop.call("DELETE", f"/wc/v3/webhooks/{each['id']}?force=true")
        connector.end()


@pytest.fixture(scope="session", params=["live", "kit_pair"])
def pair(request: pytest.FixtureRequest) -> Any:
    """Each pair of real systems."""
    found = request.getfixturevalue(request.param)
    if request.param == "kit_pair":
        return found
    rules = {**RULES, "deliverables": [{**RULES["deliverables"][0], "size_px": 320}]}  # type: ignore[index]
    (found.connector.folder / "plugin.json").write_text(json.dumps(rules))
    return VendureAndDirectus(found.directus, found.vendure, found.connector, found.reviewer, found.api)
