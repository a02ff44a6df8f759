"""Channels that are no shops: outgoing webhooks, object storage, the product feed."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import obstore
import pytest
from flask.testing import FlaskClient
from obstore.store import LocalStore, MemoryStore
from standardwebhooks import Webhook
from werkzeug.test import TestResponse

from dam_connector.adapters import open_adapter
from dam_connector.adapters.common.context import AdapterContext
from dam_connector.adapters.google_merchant import feed_entry
from dam_connector.adapters.storage import StorageChannel
from dam_connector.app import create_app
from dam_connector.domain.event import Decision, Verdict
from dam_connector.domain.rules import Connection
from dam_connector.errors import ConfigError, RateLimited, Refused, Unavailable
from dam_connector.ports import Blobs
from dam_connector.store.blobs import open_blobs
from dam_connector.usecases import review
from dam_connector.wiring import Services
from tests.contracts.pim_servers import FakePim
from tests.contracts.test_channels import listing, model, packshot, turntable
from tests.pipeline.helpers import Drain, chair, send, versions
from tests.support import SECRET, PhotoServer, http_to


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return open_blobs(f"{tmp_path}/blobs")


class Listener:
    """A receiver that records the webhooks it gets."""

    def __init__(self) -> None:
        self.got: list[tuple[dict, dict]] = []
        self.server = FakePim(self._take)

    def _take(self, method: str, path: str, query: dict, headers: dict, body: dict) -> tuple:
        self.got.append((headers, body))
        return 204, b"", {}


@pytest.fixture
def listener() -> Iterator[Listener]:
    found = Listener()
    yield found
    found.server.stop()


def test_a_webhook_out_is_signed_and_carries_the_whole_listing(
    listener: Listener, context: AdapterContext, blobs: Blobs
) -> None:
    history: list[tuple[str, str]] = []
    context = replace(
        context,
        http=http_to(listener.server.host, context),
        secret=lambda _: SECRET,
        log_history=lambda sku, message: history.append((sku, message)),
    )
    channel = open_adapter(
        "channel",
        "out",
        Connection(adapter="webhook", options={"url": f"{listener.server.url}/hooks", "secret": "env/X"}),
        context,
    )
    wanted = listing(packshot(blobs), model(blobs))
    channel.sync(wanted, blobs)
    headers, body = listener.got[0]
    at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    text = json.dumps(body, ensure_ascii=False)
    assert headers["webhook-signature"] == Webhook(SECRET).sign(headers["webhook-id"], at, text)
    assert body["type"] == "listing.changed" and body["data"]["sku"] == "CH123"
    (picture, glb) = body["data"]["assets"]
    assert (
        glb["files"][0]["url"].startswith("https://dam.example/files/")
        and picture["alt_text"] == "Chair, oak"
    )
    channel.sync(wanted, blobs)
    channel.sync(listing(), blobs)
    ids = [headers["webhook-id"] for headers, _ in listener.got]
    assert ids[0] == ids[1] != ids[2] and listener.got[2][1]["data"]["assets"] == []
    for answer, error in (
        ((429, {}, {"Retry-After": "9"}), RateLimited),
        ((500, {}, {}), Unavailable),
        ((410, {}, {}), Exception),
        ((400, {}, {}), Refused),
    ):
        listener.server.next_replies.append(answer)
        with pytest.raises(error):
            channel.sync(wanted, blobs)
    assert (
        len(history) == 7
        and "HTTP 204" in history[0][1]
        and "not accepted" in history[3][1]
        and ids[0] in history[0][1]
    )


def test_object_storage_holds_the_live_version_alone(tmp_path: Path, blobs: Blobs) -> None:
    (tmp_path / "bucket").mkdir()
    channel = StorageChannel(LocalStore(str(tmp_path / "bucket")), "https://cdn.example/shop")
    # obstore's LocalStore takes no attributes
    channel._write = lambda path, data, mime: (  # type: ignore[method-assign]
        (tmp_path / "bucket" / path).parent.mkdir(parents=True, exist_ok=True),
        (tmp_path / "bucket" / path).write_bytes(data),
    )
    assert channel.sync(listing(model(blobs)), blobs) == "https://cdn.example/shop/decor/CH123/"
    channel.sync(listing(model(blobs, 2)), blobs)
    assert [p.name for p in (tmp_path / "bucket").rglob("*.glb")] == [
        "CH123_X_V2_GLB.glb"
    ] and channel.live_files(listing()) == ("CH123_X_V2_GLB.glb",)
    channel.sync(listing(), blobs)
    assert not [p for p in (tmp_path / "bucket").rglob("*") if p.is_file()]
    with pytest.raises(Refused):
        channel.sync(replace(listing(), folder="../x"), blobs)


@pytest.mark.parametrize("url", ["", "ftp://x", "/tmp/x", "file:///etc"])
def test_only_object_storage_is_taken_for_it(url: str, context: AdapterContext) -> None:
    with pytest.raises(ConfigError):
        open_adapter("channel", "x", Connection(adapter="storage", options={"url": url}), context)


def test_the_feed_names_what_is_live_and_a_withdrawn_version_no_longer(
    services: Services, photos: PhotoServer, drain: Drain, write_rules: Callable[..., None]
) -> None:
    connections = json.loads(services.settings.plugin_json.read_text())["connections"]
    kind = {"kind": "rendition", "size_px": 320, "formats": ["jpeg"], "channels": ["google"]}
    write_rules(
        connections={
            **connections,
            "channel": {"google": {"adapter": "google_merchant", "lifestyle": ["room"]}},
        },
        deliverables=[{"name": "packshot", **kind}, {"name": "room", **kind, "style": "lifestyle"}],
        naming={"default": "{sku}_{name:pascal}_{deliverable}_V{version}_{format:upper}"},
    )
    send(services, chair(photos, name="Chair & stool"))
    drain()
    client: FlaskClient = create_app(services).test_client()
    assert len(_entries(client)) == 0
    made = versions(services)
    for version in made.values():
        review.decide(services, version, Decision(verdict=Verdict.APPROVED, by="ann"), source="page")
    drain()
    (entry,) = _entries(client)
    assert (
        entry["id"] == "CH123"
        and "packshot" in entry["image_link"]
        and "room" in entry["lifestyle_image_link"]
    )
    path = entry["image_link"].removeprefix(services.settings.base_url)
    assert client.get(path).data == services.blobs.get(
        next(f for f in made["packshot"].files if f.format == "jpeg").sha256
    )
    assert client.get("/feeds/nothing.xml").status_code == 404


def test_a_turntable_is_in_the_feed_as_a_video_alone(blobs: Blobs) -> None:
    """Google takes animated pictures in none of its fields."""
    entry = feed_entry(listing(packshot(blobs), turntable(blobs)), set())
    assert entry.count(".mp4</g:video_link>") == 1 and ".webp" not in entry
    assert entry.count("<g:image_link>") == 1 and "additional_image_link" not in entry


def test_slow_readers_of_a_feed_keep_nobody_else_out(
    services: Services, write_rules: Callable[..., None]
) -> None:
    connections = json.loads(services.settings.plugin_json.read_text())["connections"]
    channels = {**connections["channel"], "google": {"adapter": "google_merchant"}}
    write_rules(connections={**connections, "channel": channels})
    app = create_app(services)

    def begin(number: int) -> TestResponse:
        """Return a response whose lines nobody has read yet."""
        address = {"REMOTE_ADDR": f"192.0.2.{number}"}
        return app.test_client().get("/feeds/google.xml", environ_base=address, buffered=False)

    slow = [begin(n) for n in range(4)]
    assert [r.status_code for r in slow] == [200] * 4 and begin(9).status_code == 503  # few in all
    slow[1].close()
    assert begin(0).status_code == 503  # one of an address
    other = begin(9)
    assert other.status_code == 200 and b"</rss>" in other.data
    for response in (*slow, other):
        response.close()
    assert b"</rss>" in begin(0).data


def _entries(client: FlaskClient) -> list[dict[str, str]]:
    client.head("/feeds/google.xml").close()  # it gives the lock back, so that the next request is answered
    root = ElementTree.fromstring(client.get("/feeds/google.xml").data)
    return [{child.tag.rpartition("}")[2]: str(child.text) for child in item} for item in root.iter("item")]


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({}, "public, max-age=300, must-revalidate"),
        ({"cache_s": 31_536_000}, "public, max-age=31536000, immutable"),
    ],
)
def test_caches_ask_again_unless_the_admin_says_otherwise(
    options: dict[str, int], rule: str, blobs: Blobs
) -> None:
    written: dict[str, str] = {}
    store = MemoryStore()
    channel = StorageChannel(store, "https://cdn.example", **options)
    channel.sync(listing(model(blobs)), blobs)
    for found in obstore.list(store).collect():
        written[found["path"]] = obstore.get(store, found["path"]).attributes["Cache-Control"]
    index = {path: value for path, value in written.items() if path.endswith(".index.json")}
    files = {path: value for path, value in written.items() if path not in index}
    assert set(index.values()) == {"no-cache"} and files and set(files.values()) == {rule}


@pytest.mark.parametrize("seconds", [-1, 31_536_001, "300", True, 0.5])
def test_a_lifetime_in_caches_is_a_whole_number(seconds: object, context: AdapterContext) -> None:
    with pytest.raises(ConfigError, match="cache_s"):
        options = {"url": "s3://bucket", "cache_s": seconds}
        open_adapter("channel", "x", Connection(adapter="storage", options=options), context)
