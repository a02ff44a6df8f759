"""The sample photos can be made again, and the products have the sizes in their records."""

import json

import numpy as np
import pytest

from dam_connector.domain.rules import ImagingRules
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
    for row in json.loads((SAMPLES / "catalog.json").read_text()):
        known = load_product({**row["product"], "images": {}}).dimensions
        shape = next(
            extent
            for name, extent in shapes.items()
            if any(p.startswith(name) for p in row["product"]["images"].values())
        )
        for size, measured in zip((known.width_m, known.height_m, known.depth_m), shape, strict=True):
            assert size is None or np.isclose(size, measured, rtol=0.03), row["product"]["sku"]


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
