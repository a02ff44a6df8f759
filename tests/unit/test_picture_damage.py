"""Damage of pictures that is seen without decoding them: never where the decoder reads the picture."""

import io

import numpy as np
import pytest
from PIL import Image

from dam_connector.domain.picture_damage import picture_damage
from dam_connector.errors import InputError
from worker.imaging.decode import decode

FORMATS = ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"]


def encoded(kind: str, **options: object) -> bytes:
    pixels = np.random.default_rng(1).integers(0, 255, (260, 280, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **options)
    return out.getvalue()


def is_read(data: bytes) -> bool:
    try:
        decode(data, max_pixels=10_000_000)
    except InputError:
        return False
    return True


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("removed", [1, 12, 100, 20_000])
def test_a_picture_that_is_cut_off_is_damaged_if_the_decoder_refuses_it(kind: str, removed: int) -> None:
    whole = encoded(kind)
    assert picture_damage(whole) == "" and is_read(whole)
    cut = whole[:-removed]
    if kind == "TIFF":  # its pixels may be anywhere, its directory is found here
        assert picture_damage(whole[:8]) == "is cut off before its end"
    else:
        assert (picture_damage(cut) == "") == is_read(cut)


def test_a_thumbnail_with_an_end_does_not_hide_that_the_picture_is_cut_off() -> None:
    small = io.BytesIO()
    Image.new("RGB", (32, 32)).save(small, "JPEG")
    whole = encoded("JPEG", progressive=True, exif=b"Exif\x00\x00" + small.getvalue())
    assert picture_damage(whole) == "" and b"\xff\xd9" in whole[: len(whole) // 2]
    assert picture_damage(whole[: len(whole) // 2]) == "is cut off before its end"


@pytest.mark.parametrize("kind", FORMATS)
def test_bytes_behind_a_picture_are_no_damage(kind: str) -> None:
    data = encoded(kind) + b"trailer of a camera"
    assert picture_damage(data) == "" and is_read(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"<html>not found</html>", "is no JPEG, PNG"),
        (b"RIFF\x04\x00\x00\x00WAVE", "is no JPEG, PNG"),
        (b"\xff\xd8\xff", "is cut off"),
        (b"\x89PNG\r\n\x1a\n", "is cut off"),
        (b"\x00\x00\x00\x14ftypavif", "is cut off"),
        (b"\xff\xd8\xff" * 60_000, "is cut off"),
    ],
)
def test_files_that_are_no_whole_picture_say_why(data: bytes, words: str) -> None:
    assert picture_damage(data).startswith(words)
