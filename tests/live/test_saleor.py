"""A real Saleor: its setup, the calls of our adapters held against the recordings, its deliveries, and the
whole way from a product to its picture in the shop.

`SALEOR_TREE` names a tree of Saleor's public repository. `RECORD_TRAFFIC=1` writes the recordings anew.
"""

import json
import os
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import pytest
import requests
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from dam_connector.adapters import load_setup, open_adapter
from dam_connector.adapters.common.context import AdapterContext
from dam_connector.adapters.http import HttpClient
from dam_connector.adapters.saleor.pim import _public_key
from dam_connector.clock import SystemClock
from dam_connector.domain.rules import Connection
from dam_connector.ports import Blobs, InboundWebhook, LibraryStore
from dam_connector.store.blobs import open_blobs
from tests.contracts import scenarios
from tests.contracts.traffic import DATA, Recorder
from tests.live.kit import settle
from tests.live.pairs import PACKSHOT
from tests.live.saleor_server import EMAIL, PASSWORD, TREE, Postgres, Saleor
from tests.live.servers import ROOT, Connector, free_port, until

pytestmark = [pytest.mark.live, pytest.mark.timeout(4000)]
SAMPLES = ROOT / "dam_connector" / "samples"
FRONT, RIGHT, LAMP = SAMPLES / "mug-front.jpg", SAMPLES / "mug-right.jpg", SAMPLES / "lamp-front.jpg"
SIZES = {axis: axis for axis in ("width", "height", "depth")}
MUG_CM = {"width": 11.75, "height": 9.5, "depth": 8.3}
APP, STAFF = "dam-connector", f"{EMAIL}:{PASSWORD}"
PATIENCE_S = 300.0


@pytest.fixture(scope="module")
def saleor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Saleor]:
    if not TREE:
        pytest.skip("SALEOR_TREE is not set: Saleor was not asked")
    folder = tmp_path_factory.mktemp("saleor")
    database = Postgres()
    try:
        database.start()
        server = Saleor(folder / "saleor", database)
        try:
            server.start()
            yield server
        finally:
            server.end()
    finally:
        database.end()


@pytest.fixture
def context(tmp_path: Path) -> AdapterContext:
    return AdapterContext(
        http=HttpClient(frozenset({"127.0.0.1"}), timeout_s=60),
        clock=SystemClock(),
        secret=lambda reference: "",
        public_url="https://dam.example",
        library=cast(LibraryStore, None),
        rules_folder=tmp_path,
        name="shop",
    )


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return open_blobs(f"{tmp_path}/blobs")


def options_of(saleor: Saleor, **more: Any) -> dict[str, Any]:
    """The options of the adapters, with values instead of references. The first call needs the app."""
    app = saleor.app(APP)
    assert app, "the test of the setup makes it"
    return {
        "api_url": saleor.api_url,
        "token": "token",
        "secret_values": {"token": saleor.add_token(app)},
        "wrong_values": {"no_token": {"token": "of an app that was removed"}},
        **more,
    }


def test_the_setup(saleor: Saleor, context: AdapterContext) -> None:
    """It comes first: the others use the app that it makes."""
    recorder = Recorder(urlsplit(saleor.url).netloc)
    options = {"base_url": saleor.url, "token": "staff", "secret_values": {"staff": STAFF}}
    found = scenarios.set_up(recorder, context, options, "pim", "saleor")
    assert [each.exists for each in found] == [False, False]
    app = saleor.app(APP)
    assert app
    saleor.remove_webhooks(app)
    settle("saleor_setup", recorder)


def test_a_channel(saleor: Saleor, context: AdapterContext, blobs: Blobs) -> None:
    recorder = Recorder(urlsplit(saleor.url).netloc)
    product = saleor.add_product("Chair", ["CH123", "CH124"], [FRONT, RIGHT])
    theirs = saleor.media(product)
    scenarios.saleor_channel(recorder, context, options_of(saleor), blobs)
    saleor.remove_variant("CH124")
    options = options_of(saleor)
    channel = scenarios.opened("channel", "saleor", options, context, recorder)
    gone = scenarios.listing(sku="CH124")
    assert recorder.run("read what a deleted variant shows", lambda: channel.live_files(gone)) != ()
    recorder.run("remove what a deleted variant shows", lambda: channel.sync(gone, blobs))
    assert saleor.media(product) == theirs
    saleor.remove(product)
    settle("saleor_channel", recorder)


def test_a_pim(saleor: Saleor, context: AdapterContext) -> None:
    recorder = Recorder(urlsplit(saleor.url).netloc)
    product = saleor.add_product("Vase", ["VASE-1", "VASE-2"], [FRONT], {"VASE-2": LAMP}, MUG_CM)
    refs = {"product": product, "unknown": "UHJvZHVjdDo5ODc2NTQ="}
    options = options_of(saleor, attributes=SIZES)
    scenarios.saleor_pim(recorder, context, options, refs)
    pim = scenarios.opened("pim", "saleor", options, context, Recorder(urlsplit(saleor.url).netloc))
    first, second = pim.fetch(product)
    assert first.dimensions.height_m == pytest.approx(0.095)
    for each, photo in ((first, FRONT), (second, LAMP)):
        (image,) = [i for i in each.images if i.view and i.view.value == "front"]
        assert requests.get(image.url, timeout=30).content == photo.read_bytes()  # the file, no thumbnail
    saleor.remove(product)
    settle("saleor_pim", recorder)


class Receiver:
    """A receiver of Saleor's webhooks, with all deliveries so far."""

    def __init__(self) -> None:
        self.deliveries: list[dict[str, Any]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/webhooks/shop"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def events(self) -> list[str]:
        return [each["headers"]["Saleor-Event"] for each in self.deliveries]


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, receiver: Receiver, *args: Any) -> None:
        self._receiver = receiver
        super().__init__(*args)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        self._receiver.deliveries.append({"path": self.path, "headers": dict(self.headers), "body": body})
        self.send_response(202)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_its_deliveries_verify_and_name_the_product(saleor: Saleor, context: AdapterContext) -> None:
    receiver, app = Receiver(), saleor.app(APP)
    assert app
    try:
        options = options_of(saleor)
        secrets = options["secret_values"]
        own = AdapterContext(
            **{
                **{name: getattr(context, name) for name in ("http", "clock", "public_url", "library")},
                "secret": lambda reference: str(secrets[reference]),
                "name": "shop",
            }
        )
        setup = {"base_url": saleor.url, "token": "token"}
        for each in load_setup("pim", "saleor").prepare(setup, own, receiver.url):
            if not each.exists:
                each.create()
        product = saleor.add_product("Table", ["TABLE-1", "TABLE-2"], [FRONT])
        saleor.rename(product, "Table top oak")
        saleor.remove_variant("TABLE-2")
        saleor.remove(product)
        wanted = {
            "product_created",
            "product_updated",
            "product_media_created",
            "product_variant_created",
            "product_variant_deleted",
            "product_deleted",
        }
        until(lambda: wanted <= set(receiver.events()), 60, f"not all events came: {receiver.events()}")
        connection = Connection(adapter="saleor", options={"api_url": saleor.api_url, "token": "token"})
        pim = open_adapter("pim", "shop", connection, own)
        for each in receiver.deliveries:
            headers = {name.lower(): value for name, value in each["headers"].items()}
            inbound = InboundWebhook(headers=headers, body=each["body"].encode(), received_at=own.clock.now())
            assert pim.verify(inbound).key
            assert [event.ref for event in pim.normalize(inbound)] == [product], each
    finally:
        receiver.stop()
        saleor.remove_webhooks(app)
    _record(saleor, receiver)


def _record(saleor: Saleor, receiver: Receiver) -> None:
    """Write one delivery of each event, and the key that they verify with."""
    if not os.environ.get("RECORD_TRAFFIC"):
        return
    port = urlsplit(saleor.url).netloc
    rows = {each["headers"]["Saleor-Event"]: each for each in receiver.deliveries}
    lines = [json.dumps(each).replace(port, "127.0.0.1:8100") for each in rows.values()]
    (DATA / "saleor_deliveries.jsonl").write_text("\n".join(lines) + "\n")
    (key,) = requests.get(f"{saleor.url}/.well-known/jwks.json", timeout=30).json()["keys"]
    pem = _public_key(key).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (DATA / "saleor_deliveries_key.pem").write_bytes(pem)


@pytest.fixture(scope="module")
def connector(saleor: Saleor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Connector, str]]:
    """Our service with Saleor as its PIM and its channel, and the built-in DAM; its API."""
    app = saleor.app(APP)
    assert app
    shop = {"adapter": "saleor", "api_url": saleor.api_url, "token": "env/SALEOR_TOKEN"}
    model = {"name": "model", "kind": "model", "formats": ["glb", "usdz"], "max_triangles": 4000}
    rules = {
        "name": "live",
        "version": "1.0.0",
        "connections": {
            "pim": {"shop": {**shop, "app_id": app, "attributes": SIZES, "image_order": ["front", "right"]}},
            "dam": {"library": {"adapter": "library"}},
            "channel": {"viewer": {"adapter": "viewer"}, "store": shop},
        },
        "products": {"required": ["sku", "name", "images.any"]},
        "deliverables": [PACKSHOT, {**model, "texture_px": 512, "channels": ["viewer", "store"]}],
        "review": {"dam": "library"},
    }
    secrets = {"SALEOR_TOKEN": saleor.add_token(app), "SALEOR_ADMIN": STAFF}
    folder = tmp_path_factory.mktemp("saleor-connector")
    found = Connector(folder / "connector", free_port(), rules, secrets)
    found.run("user", "add", "ann", "--role", "admin", "--no-password")
    api = found.run("token", "add", "ann").split()[-1]
    try:
        found.start()
        for _ in range(2):  # safe to run twice
            said = found.run(
                "connect", "pim", "saleor", "--name", "shop", "--url", saleor.url,
                "--token", "env/SALEOR_ADMIN", "--yes",
            )  # fmt: skip
        assert "Everything exists already." in said and app in said
        yield found, api
    finally:
        saleor.remove_webhooks(app)
        found.end()


def test_the_whole_way(saleor: Saleor, connector: tuple[Connector, str]) -> None:
    ours, api = connector
    for name in ("shop", "store"):
        assert "good" in ours.run("connection", "test", name)
    code, said = ours.try_run(
        "connection", "test", "store", environ={**ours.environ_of_commands, "SALEOR_TOKEN": "wrong"}
    )
    assert code != 0 and "not that of an active app" in said

    def versions(sku: str, deliverable: str) -> dict[int, dict[str, Any]]:
        assets = ours.ask("GET", f"/assets?sku={sku}", api)
        return {v["number"]: v for a in assets if a["deliverable"] == deliverable for v in a["versions"]}

    def state(sku: str, deliverable: str, number: int, wanted: str) -> dict[str, Any]:
        words = f"{deliverable} V{number} of {sku} is not {wanted}"
        is_so = lambda: versions(sku, deliverable).get(number, {}).get("state") == wanted  # noqa: E731
        until(is_so, PATIENCE_S, words)
        return versions(sku, deliverable)[number]

    def approve(sku: str, deliverable: str, number: int) -> None:
        found = state(sku, deliverable, number, "in_review")
        ours.ask("POST", f"/versions/{found['id']}/decision", api, json={"verdict": "approved"})
        state(sku, deliverable, number, "published")

    def shown() -> list[str]:
        return [str(each["url"]).rpartition("/")[2] for each in saleor.media(product)]

    def links() -> dict[str, str]:
        query = "query($id: ID!) { product(id: $id) { metadata { key value } } }"
        rows = saleor.ask(query, id=product)["product"]["metadata"]
        return {row["key"]: row["value"] for row in rows}

    product = saleor.add_product("Speckled mug", ["MUG-1", "MUG-2"], [FRONT, RIGHT], {"MUG-2": LAMP}, MUG_CM)
    for sku in ("MUG-1", "MUG-2"):
        approve(sku, "packshot", 1)
    approve("MUG-1", "model", 1)
    until(lambda: len(shown()) == 5, PATIENCE_S, f"not shown: {shown()}")
    assert sorted(name[:5] for name in shown()[3:]) == ["MUG-1", "MUG-2"]
    assert requests.get(links()["dam_connector.glb.MUG-1"], timeout=30).content.startswith(b"glTF")
    time.sleep(10)  # our own changes come back as webhooks, which make nothing
    assert [len(versions(sku, "packshot")) for sku in ("MUG-1", "MUG-2")] == [1, 1]

    saleor.rename(product, "Speckled mug, large")
    approve("MUG-1", "packshot", 2)
    until(lambda: any("_V2_" in name for name in shown()), PATIENCE_S, "V2 is not shown")
    assert len([name for name in shown() if name.startswith("MUG-1")]) == 1
    first = versions("MUG-1", "packshot")[1]
    ours.ask("POST", f"/versions/{first['id']}/rollback", api)
    state("MUG-1", "packshot", 1, "published")

    saleor.remove_variant("MUG-2")
    state("MUG-2", "packshot", 1, "withdrawn")
    gone = "MUG-2 is still shown"
    until(lambda: not [name for name in shown() if name.startswith("MUG-2")], PATIENCE_S, gone)
    model = versions("MUG-1", "model")[1]
    ours.ask("POST", f"/versions/{model['id']}/withdraw", api)
    until(lambda: "dam_connector.glb.MUG-1" not in links(), PATIENCE_S, "the model is still linked")

    saleor.remove(product)
    state("MUG-1", "packshot", 1, "withdrawn")
