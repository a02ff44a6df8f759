"""The calls of our adapters on a real WooCommerce and a real ResourceSpace, held against the recordings.

`LIVE_KIT` names a folder of a started kit (with `rig.json`) or the kit itself (with `start` and `stop`).
`RECORD_TRAFFIC=1` writes the recordings anew instead.
"""

import base64
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import pytest

from dam_connector.adapters.common.context import AdapterContext
from dam_connector.clock import SystemClock
from dam_connector.ports import Blobs, LibraryStore
from dam_connector.store.blobs import open_blobs
from dam_connector.usecases.connections import check_connection
from dam_connector.usecases.photo_sync import poll_photos
from dam_connector.wiring import Services
from tests.contracts import scenarios
from tests.contracts.traffic import Recorder
from tests.live.kit import Shop, call_resourcespace, settle
from tests.support import ENVIRON, ROOT, TestClock, picture, product

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]
UNKNOWN = 987654


@pytest.fixture
def context(tmp_path: Path) -> AdapterContext:
    return AdapterContext(
        http=Recorder(),
        clock=SystemClock(),
        secret=lambda reference: "",
        public_url="https://dam.example",
        library=cast(LibraryStore, None),
        rules_folder=tmp_path,
    )


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return open_blobs(f"{tmp_path}/blobs")


@pytest.fixture
def shop(rig: dict[str, Any]) -> Iterator[Shop]:
    found = Shop(rig)
    yield found
    found.clean()


def options_of(rig: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the options of both WooCommerce adapters, with values instead of references."""
    keys = rig["woocommerce"]["keys"]
    return {
        "base_url": rig["wordpress"]["url"],
        "consumer_key": "key",
        "consumer_secret": "secret",
        "secret_values": {
            "key": keys["read_write"]["key"],
            "secret": keys["read_write"]["secret"],
            "password": rig["wordpress"]["author"]["application_password"],
            "hook": "hook",
        },
        "wrong_values": {
            "read_key": {"key": keys["read"]["key"], "secret": keys["read"]["secret"]},
            "no_password": {"password": "wrong"},
            "no_key": {"key": "wrong"},
        },
        **more,
    }


def host(url: str) -> str:
    return urlsplit(url).netloc


def test_woocommerce_as_a_channel(
    rig: dict[str, Any], shop: Shop, context: AdapterContext, blobs: Blobs
) -> None:
    recorder = Recorder(host(shop.url))
    shop.product(name="Chair", sku="CH123", images=[shop.picture("a.jpg"), shop.picture("b.jpg")])
    options = options_of(rig, user=shop.author["user"], password="password")
    scenarios.woocommerce_channel(recorder, context, options, blobs)
    settle("woocommerce_channel", recorder)


def test_the_shop_s_own_pictures_can_be_adopted(
    rig: dict[str, Any], shop: Shop, context: AdapterContext, blobs: Blobs
) -> None:
    shop.product(name="Chair", sku="CH123", images=[shop.picture("a.jpg"), shop.picture("b.jpg")])
    options = options_of(rig, user=shop.author["user"], password="password")
    channel = scenarios.opened("channel", "woocommerce", options, context, Recorder(host(shop.url)))
    placed = scenarios.listing(scenarios.packshot(blobs, 1))
    channel.sync(placed, blobs)
    found = channel.own_pictures("CH123")
    assert len(found) == 2 and all(each.name.endswith(".jpg") for each in found)
    assert channel.picture_bytes(found[0].url).startswith(b"\xff\xd8\xff")
    channel.sync(scenarios.listing(), blobs)


def test_woocommerce_as_a_pim(rig: dict[str, Any], shop: Shop, context: AdapterContext) -> None:
    recorder = Recorder(host(shop.url))
    images = [shop.picture("a.jpg"), shop.picture("chair_back.jpg")]
    facts = {"images": images, "dimensions": {"width": "46", "height": "81.5", "length": "50"}}
    facts["meta_data"] = [{"key": "designer", "value": "Ada"}]
    facts["attributes"] = [{"name": "Color", "options": ["Red", "Green"], "variation": True}]
    variable = shop.product(name="Bottles & Jars", sku="K2", type="variable", **facts)
    for number, image in enumerate(({}, {"image": shop.picture("red.jpg")})):
        body = {"sku": f"K2-{number}", "attributes": [{"name": "Color", "option": "Red"}], **image}
        variation = shop.call("POST", f"/wc/v3/products/{variable}/variations", body)["id"]
    trashed = shop.product(name="Gone", sku="K3")
    shop.call("DELETE", f"/wc/v3/products/{trashed}")
    numbers = {
        "simple": shop.product(name="Chair", sku="K1", **facts),
        "variable": variable,
        "variation": variation,
        "trashed": trashed,
        "draft": shop.product(name="Draft", sku="K4", status="draft"),
        "unknown": UNKNOWN,
    }
    scenarios.woocommerce_pim(recorder, context, options_of(rig, secrets=["hook"]), numbers)
    settle("woocommerce_pim", recorder)


def test_resourcespace(rig: dict[str, Any], context: AdapterContext, blobs: Blobs, tmp_path: Path) -> None:
    about = rig["resourcespace"]
    recorder = Recorder(host(about["url"]))
    fields = {name: about["fields"][name] for name in ("external_id", "sku", "decision")}
    options = {
        "base_url": about["url"],
        "user": "connector",
        "private_key": "key",
        "fields": fields,
        "secret_values": {"key": about["users"]["connector"]["api_key"]},
        "wrong_values": {"no_key": {"key": "wrong"}},
    }

    def decide(ref: str) -> None:
        found = call_resourcespace(rig, "reviewer", "put_resource_data", resource=ref, data='{"archive":4}')
        assert found.json() is True

    external_id = f"CH123:{base64.b32encode(os.urandom(10)).decode()}"
    scenarios.resourcespace(recorder, context, options, blobs, decide, external_id)
    settle("resourcespace", recorder)


class Photographer:
    """An admin of the real ResourceSpace who uploads photos of products."""

    def __init__(self, rig: dict[str, Any]) -> None:
        self.rig = rig

    def put_photo(self, name: str, data: bytes, *, sku: str = "", ref: str = "") -> str:
        if not ref:
            values = json.dumps({"8": name, str(self.rig["resourcespace"]["fields"]["sku"]): sku})
            more = {"resource_type": 1, "archive": 0, "metadata": values}
            ref = str(call_resourcespace(self.rig, "admin", "create_resource", **more).json())
        more = {"ref": ref, "no_exif": 1, "revert": 0}
        file = (name, data, "image/jpeg")
        assert call_resourcespace(self.rig, "admin", "upload_multipart", file=file, **more).status_code == 204
        return ref

    def remove_photo(self, ref: str) -> None:
        call_resourcespace(self.rig, "admin", "delete_resource", resource=ref)


def test_photos_in_resourcespace(rig: dict[str, Any], context: AdapterContext) -> None:
    about = rig["resourcespace"]
    recorder = Recorder(host(about["url"]))
    options = {
        "base_url": about["url"],
        "user": "connector",
        "private_key": "key",
        "fields": {"external_id": about["fields"]["external_id"]},
        "sources": {"sku_field": str(about["fields"]["sku"])},
        "secret_values": {"key": about["users"]["connector"]["api_key"]},
    }
    scenarios.resourcespace_photos(recorder, context, options, Photographer(rig))
    settle("resourcespace_photos", recorder)


def test_finished_files_in_resourcespace(rig: dict[str, Any], context: AdapterContext) -> None:
    about, person, sku = (
        rig["resourcespace"],
        Photographer(rig),
        f"F{base64.b32encode(os.urandom(5)).decode()}",
    )
    options = {
        "base_url": about["url"],
        "user": "connector",
        "private_key": "key",
        "fields": {"external_id": about["fields"]["external_id"]},
        "secret_values": {"key": about["users"]["connector"]["api_key"]},
    }
    dam = scenarios.opened("dam", "resourcespace", options, context, Recorder(host(about["url"])))
    ref = person.put_photo(f"{sku}_packshot.jpg", picture(), sku=sku)
    files, cursor = dam.finished_files("", (str(about["fields"]["sku"]),))
    while cursor:
        more, cursor = dam.finished_files(cursor, (str(about["fields"]["sku"]),))
        files += more
    (found,) = [each for each in files if each.file.ref == ref]
    assert (found.file.facts.name, found.approved_by) == (f"{sku}_packshot.jpg", "admin")
    assert list(found.file.facts.fields.values()) == [sku] and dam.photo_bytes(ref) == picture()
    person.remove_photo(ref)


@pytest.fixture
def allow_hosts(rig: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> str:
    """The services of this module may ask the kit, and have the key of our user there."""
    key = rig["resourcespace"]["users"]["connector"]["api_key"]
    monkeypatch.setitem(ENVIRON, "RESOURCESPACE_KEY", key)
    return host(rig["resourcespace"]["url"])


def test_a_photo_in_resourcespace_starts_a_product_s_packshot_and_its_next_version(
    rig: dict[str, Any],
    services: Services,
    drain: Callable[[], int],
    write_rules: Callable[..., None],
    clock: TestClock,
) -> None:
    about, sku = rig["resourcespace"], f"P{base64.b32encode(os.urandom(5)).decode()}"
    fields = about["fields"]
    shelf = {
        "adapter": "resourcespace",
        "base_url": about["url"],
        "user": "connector",
        "fields": {"external_id": fields["external_id"], "sku": fields["sku"]},
        "sources": {"sku_field": str(fields["sku"])},
    }
    rules = json.loads(services.settings.plugin_json.read_text())
    write_rules(
        connections={**rules["connections"], "dam": {"rs": shelf}},
        review={"dam": "rs"},
        deliverables=rules["deliverables"][:1],
    )
    person = Photographer(rig)
    ref = person.put_photo(f"{sku}_front.jpg", picture(), sku=sku)
    services.products.upsert(product(sku), connection="", ref=sku, source_time=clock.now())
    assert any(f"is of {sku}" in line or "have an SKU" in line for line in check_connection(services, "rs"))

    def states() -> list[str]:
        for _ in range(4):
            poll_photos(services)
            drain()
        return [f"V{v.number} {v.state.value}" for v in services.assets.of_product(sku)]

    assert states() == ["V1 in_review"]  # and our push there starts nothing
    person.put_photo(f"{sku}_front.jpg", picture(size=(440, 400)), sku=sku, ref=ref)
    assert states() == ["V2 in_review", "V1 superseded"]
    person.remove_photo(ref)
    assert len(states()) == 2 and not services.products.get(sku).sources  # type: ignore[union-attr]
    for version in services.assets.of_product(sku):
        services.dam("rs").remove(version.dam_ref)


def test_the_documented_lines_of_resourcespaces_configuration_make_a_state(rig: dict[str, Any]) -> None:
    page = (ROOT / "docs" / "connections" / "resourcespace.md").read_text()
    (states, words) = re.findall(r"`(\$(?:additional_archive_states|lang)[^`]*)`", page)
    told = 'echo $lang["status" . $additional_archive_states[0]];'
    done = subprocess.run(
        ["php", "-d", "display_errors=stderr", "-r", f"$lang = []; {states} {words} {told}"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("Rejected", "")


def test_the_setup_of_resourcespace(rig: dict[str, Any], context: AdapterContext) -> None:
    """It comes last: a kit that was set up before has all fields already, and records nothing."""
    about = rig["resourcespace"]
    recorder = Recorder(host(about["url"]))
    options = {"base_url": about["url"], "token": "key"}
    options["secret_values"] = {"key": about["users"]["admin"]["api_key"]}
    found = scenarios.set_up(recorder, context, options, "dam", "resourcespace")
    if not all(each.exists for each in found):
        settle("resourcespace_setup", recorder)


def test_the_setup_of_woocommerce(rig: dict[str, Any], shop: Shop, context: AdapterContext) -> None:
    recorder = Recorder(host(shop.url))
    try:
        options = options_of(rig, secrets=["hook"])
        scenarios.set_up(recorder, context, options, "pim", "woocommerce")
        settle("woocommerce_setup", recorder)
    finally:
        for each in shop.call("GET", "/wc/v3/webhooks?per_page=100"):
            if each["delivery_url"].endswith("/webhooks/setup"):
                shop.call("DELETE", f"/wc/v3/webhooks/{each['id']}?force=true")
