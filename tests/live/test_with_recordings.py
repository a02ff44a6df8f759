"""The calls of our adapters on a real Directus and a real Vendure, held against the recordings.

`RECORD_TRAFFIC=1` writes the recordings anew instead.
"""

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import pytest

from dam_connector.adapters.common.context import AdapterContext
from dam_connector.clock import SystemClock
from dam_connector.ports import Blobs, LibraryStore
from dam_connector.store.blobs import open_blobs
from tests.contracts import scenarios
from tests.contracts.traffic import Recorder
from tests.live.conftest import SHOP_USER, Live
from tests.live.kit import settle
from tests.live.servers import HOOK, PASSWORD
from tests.live.test_with_the_contract_suites import RealVendure

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]


@pytest.fixture
def context(tmp_path: Path) -> AdapterContext:
    return AdapterContext(
        http=Recorder(),
        clock=SystemClock(),
        secret=lambda reference: "",
        public_url="https://dam.example",
        library=cast(LibraryStore, None),
        rules_folder=tmp_path,
        name="directus",
    )


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return open_blobs(f"{tmp_path}/blobs")


@pytest.fixture
def shop(live: Live, tmp_path: Path) -> Iterator[RealVendure]:
    found = RealVendure(live.vendure, tmp_path)
    yield found
    found.clear()


def test_directus(live: Live, context: AdapterContext, blobs: Blobs) -> None:
    recorder = Recorder(urlsplit(live.directus.url).netloc)
    options = {
        "base_url": live.directus.url,
        "token": "token",
        "webhook_secret": "hook",
        "secret_values": {"token": "token-of-connector-in-the-live-test", "hook": HOOK},
        "wrong_values": {"no_key": {"token": "wrong"}},
    }

    def decide(ref: str) -> None:
        said = {"status": "rejected", "reject_reason": "legs"}
        assert live.directus.ask("PATCH", f"/items/asset_versions/{ref}", live.reviewer, json=said)

    external_id = f"CH123:{base64.b32encode(os.urandom(10)).decode()}"
    options["folder"] = f"Recorded {external_id[6:]}"  # a new one, whatever other tests have pushed
    unknown = "00000000-0000-4000-8000-00000000dead"
    scenarios.resourcespace(
        recorder, context, options, blobs, decide, external_id, adapter="directus", unknown=unknown
    )
    settle("directus", recorder)


def test_vendure(live: Live, shop: RealVendure, context: AdapterContext, blobs: Blobs) -> None:
    recorder = Recorder(urlsplit(live.vendure.url).netloc)
    options = {
        "base_url": live.vendure.url,
        "user": "superadmin",
        "password": "password",
        "secret_values": {"password": PASSWORD},
        "wrong_values": {"no_password": {"password": "wrong"}},
    }
    scenarios.vendure_channel(recorder, context, options, blobs)
    settle("vendure_channel", recorder)


def test_vendure_as_a_pim(live: Live, shop: RealVendure, context: AdapterContext) -> None:
    recorder = Recorder(urlsplit(live.vendure.url).netloc)
    options = {
        "base_url": live.vendure.url,
        "user": "superadmin",
        "password": "password",
        "secrets": ["hook"],
        "secret_values": {"password": PASSWORD, "hook": HOOK},
        "wrong_values": {"no_password": {"password": "wrong"}},
    }
    refs = {"product": shop.product, "unknown": "987654"}
    scenarios.vendure_pim(recorder, context, options, refs)
    settle("vendure_pim", recorder)


def test_the_setup_of_vendure(live: Live, context: AdapterContext) -> None:
    """Its role and user are removed first: the wiring of the service has made them."""
    found = live.vendure.ask("{ administrators { items { id emailAddress } } roles { items { id code } } }")
    for each in found["administrators"]["items"]:
        if each["emailAddress"] == SHOP_USER:
            live.vendure.ask("mutation($i: ID!) { deleteAdministrator(id: $i) { result } }", i=each["id"])
    for each in found["roles"]["items"]:
        if each["code"] == "dam-connector":
            live.vendure.ask("mutation($i: ID!) { deleteRole(id: $i) { result } }", i=each["id"])
    recorder = Recorder(urlsplit(live.vendure.url).netloc)
    own = live.connector.environ_of_commands["SHOP_PASSWORD"]
    secrets = {"admin": f"superadmin:{PASSWORD}", "env/VENDURE_PASSWORD": own}
    options = {"base_url": live.vendure.url, "token": "admin", "secret_values": secrets}
    made = scenarios.set_up(recorder, context, options, "pim", "vendure")
    assert not any(each.exists for each in made)
    settle("vendure_setup", recorder)
