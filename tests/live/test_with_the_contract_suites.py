"""The contract suites on a real Directus and a real Vendure: the tests of the fakes, without the faults.

Our own service sees the products that these tests create and generates assets for them. So this file comes
last,
and the tests of Directus come before those of Vendure.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import requests

from dam_connector.adapters import open_adapter
from dam_connector.adapters.common.context import AdapterContext
from dam_connector.adapters.http import HttpClient
from dam_connector.clock import SystemClock
from dam_connector.domain.rules import Connection
from dam_connector.ports import Channel, Dam, LibraryStore
from tests.contracts import test_channels, test_dams
from tests.contracts.channels.harness import MERCHANT_MEDIA, SKU
from tests.live.conftest import Live
from tests.live.servers import ADMIN, HOOK, PASSWORD, Directus, Vendure
from tests.support import picture

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]
blobs, settle = test_dams.blobs, test_channels.settle
SECRETS = {
    "env/TOKEN": "token-of-connector-in-the-live-test",
    "env/HOOK": HOOK,
    "env/WORD": PASSWORD,
    "env/ADMIN": ADMIN,
}


@pytest.fixture
def context(tmp_path: Path) -> AdapterContext:
    http = HttpClient(frozenset({"127.0.0.1"}), timeout_s=20)
    secret = SECRETS.__getitem__
    return AdapterContext(
        http=http,
        clock=SystemClock(),
        secret=secret,
        public_url="https://dam.example",
        library=cast(LibraryStore, None),
        rules_folder=tmp_path,
    )


class RealDirectus:
    """What the DAM suite asks of a vendor, done in a real one."""

    vendor, has_own_versions = "directus", False

    def __init__(self, server: Directus, reviewer: str) -> None:
        self._server, self._reviewer = server, reviewer
        self.faults: dict[str, list[str]] = {}

    def asset_count(self) -> int:
        return len(self._rows())

    def stored_bytes(self, name: str) -> bytes:
        url = f"{self._server.url}/assets/{self._file(name)}"
        return requests.get(url, headers={"Authorization": f"Bearer {ADMIN}"}, timeout=30).content

    def decide(self, ref: str, verdict: str, by: str, note: str) -> None:
        assert self._server.ask(
            "PATCH",
            f"/items/asset_versions/{ref}",
            self._reviewer,
            json={"status": verdict, "reject_reason": note},
        )

    def replace_file(self, name: str) -> None:
        self._server.ask(
            "PATCH", f"/files/{self._file(name)}", files={"file": (name, b"by hand", "model/gltf-binary")}
        )

    def clear(self) -> None:
        for row in self._rows():
            self._server.ask("DELETE", f"/items/asset_versions/{row['id']}")
        for file in self._server.ask("GET", "/files?limit=-1&filter[title][_starts_with]=CH123"):
            self._server.ask("DELETE", f"/files/{file['id']}")

    def _rows(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._server.ask(
            "GET", "/items/asset_versions?limit=-1&filter[sku][_eq]=CH123"
        )
        return found

    def _file(self, name: str) -> str:
        return str(self._server.ask("GET", f"/files?filter[title][_eq]={name}")[0]["id"])


class RealVendure:
    """What the channel suite asks of a vendor, done in a real one."""

    vendor, has_model_links = "vendure", False

    def __init__(self, server: Vendure, folder: Path) -> None:
        self._server = server
        paths = [folder / name for name in MERCHANT_MEDIA]
        for path in paths:
            path.write_bytes(picture())
        self.product = server.add_product("Chair", SKU, paths, {"width": 40, "height": 40, "depth": 30})

    def open(self, context: AdapterContext, **options: Any) -> Channel:
        usual = {"base_url": self._server.url, "user": "superadmin", "password": "env/WORD"}
        found: Channel = open_adapter(
            "channel", "store", Connection(adapter="vendure", options={**usual, **options}), context
        )
        return found

    def write_count(self) -> int:
        """When the product was changed last, as a number: a repeat must not change it."""
        found = self._server.ask("query($id: ID!) { product(id: $id) { updatedAt } }", id=self.product)
        return hash(found["product"]["updatedAt"])

    def media_names(self) -> list[str]:
        return [name.replace("__02", "") for name in self._server.assets(self.product)]

    def featured_media_name(self) -> str:
        found = self._server.ask(
            "query($id: ID!) { product(id: $id) { featuredAsset { name } } }", id=self.product
        )
        return str(found["product"]["featuredAsset"]["name"])

    def stored_bytes(self, name: str) -> bytes:
        assets = self._server.ask(
            "query($id: ID!) { product(id: $id) { assets { name source } } }", id=self.product
        )["product"]["assets"]
        return requests.get(next(a["source"] for a in assets if a["name"] == name), timeout=30).content

    def model_links(self) -> list[str]:
        return []

    def clear(self) -> None:
        self._server.ask("mutation($id: ID!) { deleteProduct(id: $id) { result } }", id=self.product)


class TestDirectus:
    """Those of tests/contracts/test_dams.py."""

    @pytest.fixture
    def server(self, live: Live) -> Iterator[RealDirectus]:
        server = RealDirectus(live.directus, live.reviewer)
        yield server
        server.clear()

    @pytest.fixture
    def dam(self, live: Live, context: AdapterContext) -> Dam:
        options = {"base_url": live.directus.url, "token": "env/TOKEN", "webhook_secret": "env/HOOK"}
        found: Dam = open_adapter(
            "dam",
            "directus",
            Connection(adapter="directus", options=options),
            replace(context, name="directus"),
        )
        return found

    test_lies_there = staticmethod(test_dams.test_a_pushed_version_is_in_review_byte_for_byte)
    test_changed_by_hand = staticmethod(test_dams.test_files_changed_by_hand_are_noticed_with_the_decision)
    test_removed = staticmethod(test_dams.test_what_is_removed_is_gone_for_good)
    test_written = staticmethod(test_dams.test_what_we_write_is_read_again_and_is_no_person_s_decision)

    @pytest.mark.parametrize("verdict", ["approved", "rejected"])
    def test_decided(self, server: RealDirectus, dam: Dam, blobs: Any, verdict: str) -> None:
        ref = test_dams.push(dam, blobs)
        _, cursor = dam.changed_since("")
        server.decide(ref, verdict, "rita", "legs too short")
        refs, cursor = dam.changed_since(cursor)
        said = dam.remote_state(ref, test_dams.version(blobs))
        assert refs == [ref] and dam.changed_since(cursor)[0] == []
        assert (
            said.state.value == verdict
            and said.decision
            and (said.decision.by, said.decision.note) == ("Rita", "legs too short")
        )


class TestVendure:
    """Those of tests/contracts/test_channels.py."""

    @pytest.fixture
    def server(self, live: Live, tmp_path: Path) -> Iterator[RealVendure]:
        server = RealVendure(live.vendure, tmp_path)
        yield server
        server.clear()

    @pytest.fixture
    def channel(self, server: RealVendure, context: AdapterContext) -> Channel:
        return server.open(context)

    test_in_order = staticmethod(test_channels.test_our_media_follow_the_shop_s_in_the_order_of_the_listing)
    test_same_again = staticmethod(test_channels.test_the_same_again_changes_nothing)
    test_next_version = staticmethod(test_channels.test_the_next_version_takes_the_place_of_the_one_before)
    test_taken_off = staticmethod(test_channels.test_what_is_no_longer_listed_is_taken_off_and_theirs_stay)
    test_first = staticmethod(test_channels.test_our_media_can_be_first)
    test_not_found = staticmethod(test_channels.test_a_product_that_the_shop_does_not_have_is_not_found)

    def test_own_pictures(self, server: RealVendure, channel: Any, blobs: Any) -> None:
        channel.sync(test_channels.listing(test_channels.packshot(blobs)), blobs)
        found = channel.own_pictures(SKU)
        assert [each.name.replace("__02", "") for each in found] == MERCHANT_MEDIA
        assert channel.picture_bytes(found[0].url) == picture()
