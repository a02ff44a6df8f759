"""The size of a picture in pixels, by its header alone, and whether it is within the limits."""

import math
import struct

from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.picture_damage import jpeg_segments
from dam_connector.domain.product import SIGNATURE_BYTES, picture_mime

MIN_SIDE_PX = 200  # of the shorter side of a photo: nothing that a shop can use is made from less
# Start of frame: all ways of coding but DHT, JPG and DAC, which share their range (ITU-T T.81, table B.1)
_TIFF_WIDTH, _TIFF_HEIGHT = 256, 257  # tags of a TIFF's directory (TIFF 6.0, section 8)
_TIFF_SHORT, _TIFF_LONG = 3, 4
_AVIF_HEAD = 65_536  # bytes in which an AVIF describes itself; its pixels follow
_ADVISED_SIDE_PX = 4000  # of the longer side: enough for all that is made
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def picture_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height by the first bytes of a picture; None where these do not show them."""
    read = {
        "image/jpeg": _jpeg_size,
        "image/png": _png_size,
        "image/webp": _webp_size,
        "image/tiff": _tiff_size,
        "image/avif": _avif_size,
    }
    reader = read.get(picture_mime(data[:SIGNATURE_BYTES]))
    try:
        size = reader(data) if reader else None
    except struct.error:  # it ends within its header
        return None
    return size if size and min(size) > 0 else None


def size_issue(
    size: tuple[int, int], pointer: str, *, max_pixels: int, min_side_px: int = MIN_SIDE_PX
) -> Issue | None:
    """Return the issue of a picture with too many or too few pixels, or None.

    Args:
        size: Width and height.
        pointer: The JSON pointer of the field with the picture.
        max_pixels: Width times height that is accepted.
        min_side_px: The shorter side that is accepted, e.g. less for a swatch.
    """
    width, height = size
    if width * height > max_pixels:
        return too_many_pixels(f"{width} x {height}", pointer, max_pixels)
    if min(size) >= min_side_px:
        return None
    return issue(
        "source.too_small",
        f"The picture has {width} x {height} pixels.",
        pointer=pointer,
        measured=f"{min(size)} px",
        limit=f"at least {min_side_px} px on the shorter side",
    )


def too_many_pixels(size: str, pointer: str, max_pixels: int) -> Issue:
    """Return the issue of a picture with too many pixels; `size` for people, e.g. `9000 x 9000`."""
    side = min(_ADVISED_SIDE_PX, math.isqrt(max_pixels))
    return issue(
        "source.too_large",
        f"The picture has {size} pixels.",
        pointer=pointer,
        measured=size,
        limit=f"at most {max_pixels:,} pixels, e.g. {side} x {side}",
    )


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


def _tiff_size(data: bytes) -> tuple[int, int] | None:
    """Return the size in the first directory of a TIFF, which may lie behind the first bytes."""
    order = "<" if data[:2] == b"II" else ">"
    (place,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, place)
    found = {}
    for start in range(place + 2, place + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(f"{order}HH", data, start)
        if tag in (_TIFF_WIDTH, _TIFF_HEIGHT) and kind in (_TIFF_SHORT, _TIFF_LONG):
            form = f"{order}{'H' if kind == _TIFF_SHORT else 'I'}"
            (found[tag],) = struct.unpack_from(form, data, start + 8)
    return (found[_TIFF_WIDTH], found[_TIFF_HEIGHT]) if len(found) == 2 else None


def _avif_size(data: bytes) -> tuple[int, int] | None:
    """Return the largest size that an AVIF describes: tiles and previews have sizes of their own."""
    sizes, place = [], data.find(b"ispe", 0, _AVIF_HEAD)
    while place >= 0:
        sizes.append(struct.unpack_from(">II", data, place + 8))
        place = data.find(b"ispe", place + 4, _AVIF_HEAD)
    return max(sizes, key=math.prod) if sizes else None
