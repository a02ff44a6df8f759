"""Sizes of pictures by their headers: those that the decoder finds, and no crash on any bytes."""

import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dam_connector.domain.picture_size import picture_size, size_issue

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
    "TIFF": ("TIFF", "RGB", {}),
    "AVIF": ("AVIF", "RGB", {}),
    "AVIF with alpha": ("AVIF", "RGBA", {}),
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


def test_other_formats_are_left_to_the_decoder() -> None:
    out = io.BytesIO()
    Image.new("RGB", (64, 64)).save(out, "GIF")
    assert picture_size(out.getvalue()) is None


def test_a_directory_of_a_tiff_behind_the_first_bytes_is_left_to_the_decoder() -> None:
    out = io.BytesIO()
    Image.new("RGB", (300, 300)).save(out, "TIFF", compression="tiff_lzw")
    place = struct.unpack_from("<I", out.getvalue(), 4)[0]
    assert place > 100 and picture_size(out.getvalue()[:place]) is None


@pytest.mark.parametrize(
    ("size", "code", "limit"),
    [
        ((9000, 9000), "source.too_large", "at most 64,000,000 pixels, e.g. 4000 x 4000"),
        ((64_000_001, 1), "source.too_large", "at most 64,000,000 pixels, e.g. 4000 x 4000"),
        ((199, 4000), "source.too_small", "at least 200 px on the shorter side"),
        ((8000, 8000), None, None),
        ((200, 200), None, None),
    ],
)
def test_the_limits_of_pixels_are_named(size: tuple[int, int], code: str | None, limit: str | None) -> None:
    found = size_issue(size, "/images/front", max_pixels=64_000_000)
    assert (found and found.code, found and found.limit) == (code, limit)


@given(
    head=st.sampled_from(
        [
            b"\xff\xd8\xff",
            b"\x89PNG\r\n\x1a\n",
            b"RIFF\0\0\0\0WEBPVP8X",
            b"RIFF\0\0\0\0WEBPVP8 ",
            b"II*\0\x08\0\0\0\x02\0\0\x01",
            b"MM\0*\0\0\0\x08",
            b"\0\0\0\x20ftypavif\0\0ispe",
        ]
    ),
    rest=st.binary(max_size=80),
)
def test_no_header_is_too_odd(head: bytes, rest: bytes) -> None:
    size = picture_size(head + rest)
    assert size is None or min(size) > 0
