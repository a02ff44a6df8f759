"""The sample photos can be made again, and the products have the sizes in their records."""

import json

import numpy as np
import pytest

from dam_connector.domain.product import Capture
from dam_connector.domain.rules import ImagingRules
from dam_connector.ops import demo
from dam_connector.ops.demo import makeable, with_addresses
from samples.captured_meshes import bus, teapot
from samples.make_captures import FRAMES, ROUNDS, spin_frame, walk_photo
from samples.make_photos import PRODUCTS, VIEWS, painted_model, photograph
from samples.photo_settings import SETTINGS, photograph_in_setting
from schemas.product import load_product
from tests.support import SAMPLES
from worker.imaging.cutout import cut_out
from worker.imaging.cutout_evidence import overlap
from worker.imaging.decode import decode
from worker.imaging.net_cutout import cut_out_product
from worker.imaging.salient_net import SalientNet, find_net


@pytest.mark.parametrize("name", sorted(VIEWS))
def test_every_sample_product_can_be_photographed(name: str) -> None:
    data = photograph(name, VIEWS[name][0], size=256)
    assert data == photograph(name, VIEWS[name][0], size=256)
    left, top, right, bottom = cut_out(decode(data, max_pixels=10**6)).box
    assert right - left > 64 and bottom - top > 64


def test_records_have_the_size_of_what_is_photographed() -> None:
    shapes = {name: painted_model(PRODUCTS[name]())[0].extent for name in VIEWS}
    shapes |= {"teapot": painted_model(teapot())[0].extent, "bus": painted_model(bus())[0].extent}
    for row in json.loads((SAMPLES / "catalog.json").read_text()):
        record = row["product"]
        known = load_product({**record, "images": {}}).dimensions
        photos = [
            *record["images"].values(),
            *(record[k.field_name] for k in Capture if k.field_name in record),
        ]
        shape = next(extent for name, extent in shapes.items() if any(p.startswith(name) for p in photos))
        for size, measured in zip((known.width_m, known.height_m, known.depth_m), shape, strict=True):
            assert size is None or np.isclose(size, measured, rtol=0.03), row["product"]["sku"]


def test_spin_and_walk_of_the_samples_can_be_made_again() -> None:
    for make in (spin_frame, walk_photo):
        data = make(5, size=224)
        assert data == make(5, size=224) != make(6, size=224)
        assert decode(data, max_pixels=10**6).rgb.shape == (224, 224, 3)


def test_the_demo_sends_all_pictures_of_a_spin_and_of_a_walk_in_order() -> None:
    catalog = [row["product"] for row in json.loads((SAMPLES / "catalog.json").read_text())]
    counts = {Capture.SPIN: FRAMES, Capture.WALK: sum(count for _, count in ROUNDS)}
    for kind, count in counts.items():
        (record,) = [product for product in catalog if kind.field_name in product]
        sent = load_product(with_addresses(record, "http://photos.example")).captured(kind)
        assert len(sent) == count and sorted(sent) == list(sent)
        names = [url.removeprefix("http://photos.example/") for url in sent]
        assert all((SAMPLES / name).is_file() for name in names)
        assert sum((SAMPLES / name).stat().st_size for name in names) < 600_000


def test_without_the_library_for_walks_the_demo_has_no_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = json.loads((SAMPLES / "catalog.json").read_text())
    monkeypatch.setattr(demo, "WALK_LIBRARY", "a_library_that_nobody_has")
    left = makeable(catalog)
    assert [e["product"]["sku"] for e in catalog if e not in left] == ["BU140"]
    monkeypatch.setattr(demo, "WALK_LIBRARY", "json")
    assert makeable(catalog) == catalog and "dam-connector[walk]" in demo.NO_WALK


@pytest.fixture(scope="module")
def net() -> SalientNet:
    found = find_net(ImagingRules().net)
    assert found is not None, "run make frontend"
    return found


@pytest.mark.parametrize("photo", sorted(SETTINGS))
def test_products_in_settings_of_real_shops_are_cut_out(photo: str, net: SalientNet) -> None:
    made = photograph_in_setting(photo, size=448)
    found = cut_out_product(decode(made.jpeg, max_pixels=10**6), net)
    assert overlap(found.alpha > 127, made.mask > 127) > 0.96
    assert found.touched_sides == ()


def test_in_a_room_only_the_net_finds_the_product() -> None:
    made = photograph_in_setting("mug-snapshot", size=448)
    classical = cut_out(decode(made.jpeg, max_pixels=10**6))
    assert overlap(classical.alpha > 127, made.mask > 127) < 0.9
