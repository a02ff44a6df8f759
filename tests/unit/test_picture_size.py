"""Sizes of pictures by their headers: those that the decoder finds, and no crash on any bytes."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dam_connector.domain.picture_size import picture_size

WAYS: dict[str, tuple[str, str, dict[str, object]]] = {
    "JPEG": ("JPEG", "RGB", {}),
    "progressive JPEG with a thumbnail in front": (
        "JPEG",
        "RGB",
        {"progressive": True, "exif": b"Exif\0\0" + b"\xff\xc0" * 40},
    ),
    "grey JPEG": ("JPEG", "L", {}),
    "PNG": ("PNG", "RGB", {}),
    "WebP with loss": ("WEBP", "RGB", {"quality": 50}),
    "WebP without loss": ("WEBP", "RGB", {"lossless": True}),
    "WebP with alpha and loss": ("WEBP", "RGBA", {"quality": 50}),
}


def encoded(way: str, width: int, height: int) -> bytes:
    kind, mode, options = WAYS[way]
    pixels = np.random.default_rng(1).integers(0, 255, (height, width, 4), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("width", "height"), [(300, 20), (1, 700), (199, 201)])
def test_the_size_is_that_of_the_picture(way: str, width: int, height: int) -> None:
    assert picture_size(encoded(way, width, height)) == (width, height)


@pytest.mark.parametrize("kind", ["TIFF", "AVIF", "GIF"])
def test_other_formats_are_left_to_the_decoder(kind: str) -> None:
    out = io.BytesIO()
    Image.new("RGB", (64, 64)).save(out, kind)
    assert picture_size(out.getvalue()) is None


@given(
    head=st.sampled_from(
        [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBPVP8X", b"RIFF\0\0\0\0WEBPVP8 "]
    ),
    rest=st.binary(max_size=80),
)
def test_no_header_is_too_odd(head: bytes, rest: bytes) -> None:
    size = picture_size(head + rest)
    assert size is None or min(size) > 0
