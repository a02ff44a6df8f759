"""Damage of a picture file that its structure shows: its kind, its parts and its end, without decoding it.

A file that is cut off is found in most formats, a wrong byte within the picture is not: decoding finds that.
"""

import struct
from collections.abc import Iterator

from dam_connector.domain.picture_names import unread_text
from dam_connector.domain.product import SIGNATURE_BYTES, picture_mime, unread_kind

MAX_PARTS = 10_000  # segments, chunks or boxes that are looked at; pictures have fewer than a hundred
_JPEG_END, _JPEG_SCAN = b"\xff\xd9", b"\xda"
_JPEG_BARE = (0x01, *range(0xD0, 0xD8))  # markers without a segment
_CUT_OFF = "is cut off before its end"


def picture_damage(data: bytes) -> str:
    """Return the damage of a picture file as a predicate, e.g. `is empty`; empty if none is seen."""
    if not data:
        return "is empty"
    if kind := unread_kind(data[:SIGNATURE_BYTES]):
        return unread_text(kind)
    mime = picture_mime(data[:SIGNATURE_BYTES])
    if not mime or (mime == "image/webp" and data[8:12] != b"WEBP"):
        return "is no JPEG, PNG, WebP, TIFF or AVIF picture, whatever its name says"
    is_whole = {
        "image/jpeg": _is_whole_jpeg,
        "image/png": _is_whole_png,
        "image/webp": _is_whole_webp,
        "image/tiff": _is_whole_tiff,
        "image/avif": _is_whole_avif,
    }[mime]
    return "" if is_whole(data) else _CUT_OFF


def _is_whole_jpeg(data: bytes) -> bool:
    """Return whether the end marker follows the picture; that of a thumbnail in a segment does not count."""
    place = 2
    for _, _, end in jpeg_segments(data):
        place = end
    return data.find(_JPEG_END, place) >= 0


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the marker, the start of the content and the end of each segment of a JPEG before its pixels."""
    place = 2
    for _ in range(MAX_PARTS):
        marker = data[place + 1 : place + 2]
        if data[place : place + 1] != b"\xff" or marker in (b"", _JPEG_SCAN):
            return  # also at bytes between segments, which decoders skip
        if marker == b"\xff":  # filled up
            place += 1
            continue
        start = place + 2
        is_bare = marker[0] in _JPEG_BARE
        place = start if is_bare else start + int.from_bytes(data[start : start + 2], "big")
        yield marker[0], start, place


def _is_whole_png(data: bytes) -> bool:
    """Return whether the pixels are there to the end; a picture without its last chunk can be used."""
    ends = [end for kind, end in _png_chunks(data) if kind == b"IDAT"]
    return bool(ends) and ends[-1] <= len(data)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield the kind of each chunk and the place of its end, which may lie behind the file."""
    place = 8
    for _ in range(len(data) // 12):
        if len(data) < place + 8:
            return
        length, kind = struct.unpack_from(">I4s", data, place)
        place += 12 + length
        yield kind, place


def _is_whole_webp(data: bytes) -> bool:
    return len(data) >= 8 + int.from_bytes(data[4:8], "little")


def _is_whole_tiff(data: bytes) -> bool:
    """Return whether its directory lies in the file; its pixels may be anywhere."""
    return 8 <= int.from_bytes(data[4:8], "little" if data[:2] == b"II" else "big") < len(data)


def _is_whole_avif(data: bytes) -> bool:
    """Return whether its description and its pixels are there to the end; what follows does not matter."""
    place, has_pixels = 0, False
    for _ in range(MAX_PARTS):
        if place >= len(data):
            break
        size, kind = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        if size == 1:
            size = int.from_bytes(data[place + 8 : place + 16], "big")
        place += max(size, 8) if size else len(data) - place  # 0: up to the end of the file
        if kind in (b"meta", b"mdat") and place > len(data):
            return False
        has_pixels = has_pixels or kind == b"mdat" or (kind == b"meta" and b"idat" in data[:place])
    return has_pixels
