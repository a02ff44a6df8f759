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

from tests.live.dams import DirectusPeople, ResourceSpacePeople
from tests.live.kit import KIT, Shop
from tests.live.pairs import Pair, rules_of_kit
from tests.live.servers import ADMIN, HOOK, PASSWORD, Connector, Directus, Vendure, free_port
from tests.live.shops import VendureMerchant, WooCommerceMerchant

SHOP_USER = "dam-connector@example.com"
RULES = {
    "name": "live",
    "version": "1.0.0",
    "connections": {
        "pim": {
            "shop": {
                "adapter": "vendure",
                "user": SHOP_USER,
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
            "store": {"adapter": "vendure", "user": SHOP_USER, "password": "env/SHOP_PASSWORD"},
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
        "SHOP_ADMIN": f"superadmin:{PASSWORD}",
        "SHOP_PASSWORD": "word-of-our-user-in-the-live-test",
        "HOOK": HOOK,
        "DIRECTUS_ADMIN": ADMIN,
        "DIRECTUS_TOKEN": "token-of-connector-in-the-live-test",
    }
    connector = Connector(folder / "connector", port, RULES, secrets)
    for port_and_adapter, url, more in (
        ("pim vendure", vendure.url, ("--name", "shop", "--token", "env/SHOP_ADMIN")),
        ("dam directus", directus.url, ("--token", "env/DIRECTUS_ADMIN")),
    ):
        for _ in range(2):  # safe to run twice
            said = connector.run("connect", *port_and_adapter.split(), "--url", url, *more, "--yes")
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


@pytest.fixture(scope="session")
def kit_connector(
    rig: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Connector, str]]:
    """Our service between the kit's WooCommerce and its ResourceSpace, wired as an admin would; its API."""
    folder, port = tmp_path_factory.mktemp("kit-pair"), free_port()
    secrets = {
        **secrets_of_kit(rig),
        "RESOURCESPACE_ADMIN_KEY": rig["resourcespace"]["users"]["admin"]["api_key"],
    }
    connector = Connector(folder / "connector", port, rules_of_kit(rig), secrets)
    connector.run("user", "add", "ann", "--role", "admin", "--no-password")
    api, shop = connector.run("token", "add", "ann").split()[-1], Shop(rig)
    try:
        connector.start()
        for adapter, more in (
            ("pim woocommerce", ("--name", "shop", "--url", rig["wordpress"]["url"])),
            (
                "dam resourcespace",
                (
                    "--name",
                    "rs",
                    "--url",
                    rig["resourcespace"]["url"],
                    "--token",
                    "env/RESOURCESPACE_ADMIN_KEY",
                ),
            ),
        ):
            for _ in range(2):  # safe to run twice
                said = connector.run("connect", *adapter.split(), *more, "--yes")
            assert "Everything exists already." in said
        yield connector, api
    finally:
        for each in shop.call("GET", "/wc/v3/webhooks?per_page=100"):
            if each["delivery_url"].startswith(connector.url):
                shop.call("DELETE", f"/wc/v3/webhooks/{each['id']}?force=true")
        connector.end()


def secrets_of_kit(rig: dict[str, Any]) -> dict[str, str]:
    return {name: value for name, value in rig["env"].items() if name != "DAM_CONNECTOR_ALLOW_HOSTS"}


MAIN_PAIRS = ("vendure and directus", "woocommerce and resourcespace")
CROSS_PAIRS = ("vendure and resourcespace", "woocommerce and directus")


@pytest.fixture(scope="session", params=[*MAIN_PAIRS, *CROSS_PAIRS])
def pair(request: pytest.FixtureRequest) -> Pair:
    """Each pair of real systems. The shop's service is restarted for another DAM."""
    shop, dam = request.param.split(" and ")
    live: Live = request.getfixturevalue("live") if shop == "vendure" or dam == "directus" else None
    rig = request.getfixturevalue("rig") if shop == "woocommerce" or dam == "resourcespace" else None
    merchant: Any = VendureMerchant(live.vendure) if shop == "vendure" else WooCommerceMerchant(rig)
    if shop == "vendure":
        connector, api = live.connector, live.api
    else:
        connector, api = request.getfixturevalue("kit_connector")
    if dam == "directus":
        found = Pair(merchant, DirectusPeople(live.directus, live.reviewer), connector, api)
        secrets = {name: live.connector.environ_of_commands[name] for name in ("DIRECTUS_TOKEN", "HOOK")}
        found.use({"directus": RULES["connections"]["dam"]["directus"]}, secrets)  # type: ignore[index]
    else:
        found = Pair(merchant, ResourceSpacePeople(rig), connector, api)
        found.use({"rs": rig["connections"]["dam"]["rs"]}, secrets_of_kit(rig))
    return found
