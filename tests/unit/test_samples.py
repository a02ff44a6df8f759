"""The sample photos can be made again."""

import pytest

from samples.make_photos import VIEWS, photograph
from worker.imaging.cutout import cut_out
from worker.imaging.decode import decode


@pytest.mark.parametrize("name", sorted(VIEWS))
def test_every_sample_product_can_be_photographed(name: str) -> None:
    data = photograph(name, VIEWS[name][0], size=256)
    assert data == photograph(name, VIEWS[name][0], size=256)
    left, top, right, bottom = cut_out(decode(data, max_pixels=10**6)).box
    assert right - left > 64 and bottom - top > 64
