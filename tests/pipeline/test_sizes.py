"""Smaller files of a picture, where plugin.json asks for them: in listings and at addresses that stay."""

import io
import json

import obstore
import pytest
from obstore.store import MemoryStore
from PIL import Image

from dam_connector.adapters.storage import StorageChannel
from dam_connector.app import create_app
from dam_connector.domain.listing import media_files
from dam_connector.domain.version import Role
from dam_connector.errors import ConfigError
from dam_connector.usecases.publish import build_listing
from dam_connector.wiring import Services
from schemas.rules_loader import load_rules
from schemas.webhook_listing import dump_listing
from tests.pipeline.helpers import PACKSHOT, Drain, Rules, approve, chair, newest, send
from tests.support import PhotoServer, rules_json

SIZED = {
    **PACKSHOT,
    "size_px": 320,
    "sizes": [160, 64, 400],
    "formats": ["jpeg", "webp"],
    "channels": ["viewer"],
}


def test_an_approved_picture_is_there_in_several_sizes(
    services: Services, photos: PhotoServer, drain: Drain, write_rules: Rules
) -> None:
    cutout = {**SIZED, "name": "cutout", "background": "transparent", "formats": ["png"]}
    write_rules(
        deliverables=[SIZED, cutout],
        naming={"default": "{sku}_{name:pascal}_{deliverable}_V{version}_{format}"},
    )
    send(services, chair(photos))
    drain()
    approve(services, newest(services))
    approve(services, newest(services, "cutout"))
    drain()
    version = newest(services)
    sizes = {(f.format, f.view): f for f in version.files if f.role is Role.SIZE}
    assert set(sizes) == {
        (form, size) for form in ("jpeg", "webp") for size in ("64", "160")
    }  # none is enlarged
    small = sizes["webp", "64"]
    assert small.name == "CH123_ModernDiningChair_packshot_V1_webp_64.webp"
    assert max(Image.open(io.BytesIO(services.blobs.get(small.sha256))).size) == 64
    clear = next(f for f in newest(services, "cutout").files if f.role is Role.SIZE)
    assert Image.open(io.BytesIO(services.blobs.get(clear.sha256))).mode == "RGBA"
    record = services.products.get("CH123")
    assert record
    listing = build_listing(services, "viewer", record.product)
    (listed,) = (f for f in dump_listing(listing)["assets"][0]["files"] if f["name"] == small.name)
    assert (listed["role"], listed["view"]) == ("size", "64")
    store = MemoryStore()
    StorageChannel(store, "https://cdn.example").sync(listing, services.blobs)
    found = {entry["path"].rpartition("/")[2]: entry["path"] for entry in obstore.list(store).collect()}
    index = json.loads(bytes(obstore.get(store, found["CH123.index.json"]).bytes()))
    assert index["assets"]["packshot/1"]["sizes"] == {f.name: int(f.view) for f in sizes.values()}
    assert set(index["assets"]["packshot/1"]["sizes"]) < set(found)
    assert len(list(media_files(listing))) == 2  # shops get each picture once, in full size
    client = create_app(services).test_client()
    for query, wanted in (("", version.file("jpeg", Role.PRIMARY)), ("?w=160", sizes["jpeg", "160"])):
        answer = client.get(f"/ar/CH123/latest/packshot.jpg{query}")
        assert wanted and answer.status_code == 302 and wanted.sha256 in answer.headers["Location"]
        assert client.get(answer.headers["Location"]).status_code == 200
    assert client.get("/ar/CH123/latest/packshot.jpg?w=99").status_code == 404


@pytest.mark.parametrize("sizes", [[8], ["400"], [100] * 9, 400])
def test_wrong_sizes_are_refused(sizes: object) -> None:
    with pytest.raises(ConfigError, match="/deliverables/0/sizes"):
        load_rules(json.dumps(rules_json(deliverables=[{**SIZED, "sizes": sizes}])))
