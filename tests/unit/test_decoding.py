"""Photos as cameras and programs write them: mistyped EXIF, and greys of 16 bits."""

import io
import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from worker.imaging.decode import DecodeNote, Photo, decode

LEFT_DARK = np.repeat(np.repeat(np.array([[20, 230]], np.uint8), 240, 0), 160, 1)  # 320 x 240
ASCII, SHORT, RATIONAL, SRATIONAL, DOUBLE = 2, 3, 5, 10, 12
_BYTES = {ASCII: 1, SHORT: 2, RATIONAL: 8, SRATIONAL: 8, DOUBLE: 8}


def exif(orientation: int, tag: int, kind: int, value: bytes) -> bytes:
    """EXIF with an orientation and one more tag of any type."""
    count = len(value) // _BYTES[kind]
    entries = sorted([(0x0112, SHORT, 1, struct.pack("<HH", orientation, 0)), (tag, kind, count, value)])
    data_at = 8 + 2 + 12 * len(entries) + 4
    table, data = struct.pack("<H", len(entries)), b""
    for number, form, length, raw in entries:
        if len(raw) > 4:
            table += struct.pack("<HHII", number, form, length, data_at + len(data))
            data += raw
        else:
            table += struct.pack("<HHI", number, form, length) + raw.ljust(4, b"\0")
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + table + bytes(4) + data


def photo(exif_block: bytes) -> Photo:
    out = io.BytesIO()
    Image.fromarray(LEFT_DARK).convert("RGB").save(out, "JPEG", exif=exif_block, quality=95)
    return decode(out.getvalue(), max_pixels=10**6)


WRONG_TYPES = {
    "XResolution -1/0": (0x011A, SRATIONAL, struct.pack("<ii", -1, 0)),
    "Software as a fraction": (0x0131, RATIONAL, struct.pack("<II", 3, 2)),
    "ImageWidth as a fraction": (0x0100, RATIONAL, struct.pack("<II", 640, 1)),
    "WhitePoint as doubles": (0x013E, DOUBLE, struct.pack("<dd", 0.31, 0.33)),
    "Artist as numbers": (0x013B, SHORT, struct.pack("<HHH", 1, 2, 3)),
}


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("wrong", WRONG_TYPES)
def test_a_photo_with_mistyped_exif_is_used_and_turned(orientation: int, wrong: str) -> None:
    found = photo(exif(orientation, *WRONG_TYPES[wrong]))
    turned = np.rot90(LEFT_DARK, {1: 0, 3: 2, 6: -1, 8: 1}[orientation])
    assert found.rgb.shape[:2] == turned.shape
    assert np.abs(found.rgb[..., 0].astype(int) - turned).mean() < 3
    assert (DecodeNote.ROTATED in found.notes) == (orientation != 1)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 8),
    st.integers(0x0100, 0x9FFF).filter(lambda tag: tag not in (0x0112, 0x8769, 0x8825, 0xA005)),
    st.sampled_from(sorted(_BYTES)),
    st.binary(min_size=8, max_size=8),
)
def test_whatever_a_tag_holds_the_photo_is_used(orientation: int, tag: int, kind: int, value: bytes) -> None:
    sideways = orientation > 4
    assert photo(exif(orientation, tag, kind, value)).rgb.shape[:2] == (
        (320, 240) if sideways else (240, 320)
    )


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize(("low", "high"), [(13_107, 32_767), (60, 200), (0, 65_535)])
def test_grey_of_16_bits_is_shown_as_bright_as_it_is(form: str, low: int, high: int) -> None:
    grey = np.where(LEFT_DARK > 100, high, low).astype(np.uint16)
    out = io.BytesIO()
    Image.fromarray(grey).save(out, form)
    found = decode(out.getvalue(), max_pixels=10**6).rgb
    for value, place in ((low, (0, 0)), (high, (0, -1))):
        assert found[place].tolist() == [int(Fraction(value * 255, 65_535) + Fraction(1, 2))] * 3


def test_grey_of_fractions_goes_from_black_to_white() -> None:
    out = io.BytesIO()
    Image.fromarray((LEFT_DARK / 510).astype(np.float32)).save(out, "TIFF")
    assert decode(out.getvalue(), max_pixels=10**6).rgb[0, -1].tolist() == [115] * 3
