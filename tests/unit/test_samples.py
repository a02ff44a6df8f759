"""The sample photos can be made again, and the products have the sizes in their records."""

import json

import numpy as np
import pytest

from samples.make_photos import PRODUCTS, VIEWS, painted_model, photograph
from schemas.product import load_product
from tests.support import SAMPLES
from worker.imaging.cutout import cut_out
from worker.imaging.decode import decode


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
