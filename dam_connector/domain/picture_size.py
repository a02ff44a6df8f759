"""The size of a picture in pixels, by its header alone: JPEG, PNG and WebP."""

import struct

from dam_connector.domain.picture_damage import jpeg_segments
from dam_connector.domain.product import SIGNATURE_BYTES, picture_mime

MIN_SIDE_PX = 200  # of the shorter side of a photo: nothing that a shop can use is made from less
# Start of frame: all ways of coding but DHT, JPG and DAC, which share their range (ITU-T T.81, table B.1)
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def picture_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height; None for other formats and for headers that do not show them."""
    read = {"image/jpeg": _jpeg_size, "image/png": _png_size, "image/webp": _webp_size}
    reader = read.get(picture_mime(data[:SIGNATURE_BYTES]))
    try:
        size = reader(data) if reader else None
    except struct.error:  # it ends within its header
        return None
    return size if size and min(size) > 0 else None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    for marker, start, _ in jpeg_segments(data):
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, start + 3)
            return width, height
    return None


def _png_size(data: bytes) -> tuple[int, int] | None:
    kind, width, height = struct.unpack_from(">4sII", data, 12)
    return (width, height) if kind == b"IHDR" else None


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """Return the size of a WebP: each of its three kinds of first chunk has it in another way (RFC 9649)."""
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    else:
        return None
    return width, height
