"""Tests of photos within the limits of a provider."""

import io

import pytest
from PIL import Image

from dam_connector.errors import InputError
from tests.support import picture
from worker.imaging.provider_limits import within_pixels


def test_a_photo_within_the_limit_is_sent_as_it_is() -> None:
    data = picture()
    assert within_pixels(data, 10**8, max_pixels=10**8) is data


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_larger_photo_is_reduced_in_its_proportions(mode: str) -> None:
    out = io.BytesIO()
    Image.new(mode, (900, 600), (200, 30, 30, 128)[: len(mode)]).save(out, "PNG")
    reduced = Image.open(io.BytesIO(within_pixels(out.getvalue(), 250_000, max_pixels=10**8)))
    width, height = reduced.size
    assert 240_000 < width * height <= 250_000 and abs(width / height - 1.5) < 0.01
    assert reduced.mode == mode


def test_a_file_that_is_no_photo_is_refused() -> None:
    with pytest.raises(InputError):
        within_pixels(b"no photo", 250_000, max_pixels=10**8)
