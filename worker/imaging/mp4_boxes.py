"""The boxes of an MP4 (ISO/IEC 14496-12), as far as our videos have them: facts for checks, and XMP."""

from collections.abc import Iterator
from dataclasses import dataclass

# ISO 16684-1 (XMP), part 3: the box of a file's XMP has this user type
XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
MAX_BOXES = 10_000
_CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl")


class NotAnMp4(ValueError):
    """A file that is no whole MP4 with one picture track."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mp4Facts:
    """The facts that a player reads of a video before it plays."""

    codec: str  # e.g. `avc1` for H.264
    width: int
    height: int
    pictures: int
    seconds: float
    starts_fast: bool  # its index is in front of its pictures


def is_mp4(data: bytes) -> bool:
    """Return whether a file begins like an MP4, and not like an AVIF or HEIC."""
    return data[4:8] == b"ftyp" and data[8:12] in (b"isom", b"iso2", b"mp41", b"mp42", b"avc1")


def read_facts(data: bytes) -> Mp4Facts:
    """Return the facts of an MP4.

    Raises:
        NotAnMp4: it is none, is cut off, or has no pictures.
    """
    top = [(name, start) for name, start, _ in _boxes(data, 0, len(data))]
    boxes: dict[bytes, bytes] = {}
    for name, body in _nested(data, 0, len(data)):
        boxes.setdefault(name, body)
    try:
        places = dict(reversed(top))
        entry = boxes[b"stsd"][8:]
        header = boxes[b"mvhd"]
        scale, length = (
            (_number(header, 20, 4), _number(header, 24, 8))
            if header[0] == 1
            else (_number(header, 12, 4), _number(header, 16, 4))
        )
        facts = Mp4Facts(
            codec=entry[4:8].decode("ascii"),
            width=_number(entry, 32, 2),
            height=_number(entry, 34, 2),
            pictures=_number(boxes[b"stsz"], 8, 4),
            seconds=length / scale,
            starts_fast=places[b"moov"] < places[b"mdat"],
        )
    except (KeyError, IndexError, ZeroDivisionError, UnicodeDecodeError) as error:
        raise NotAnMp4("it has no index, or no pictures") from error
    if not facts.pictures or not facts.seconds:
        raise NotAnMp4("it has no pictures")
    return facts


def read_xmp(data: bytes) -> bytes:
    """Return the XMP packet of an MP4; nothing where it has none."""
    try:
        for name, start, end in _boxes(data, 0, len(data)):
            if name == b"uuid" and data[start : start + 16] == XMP_UUID:
                return data[start + 16 : end]
    except NotAnMp4:
        pass
    return b""


def write_xmp(data: bytes, xmp: bytes) -> bytes:
    """Return the MP4 with this XMP packet at its end; all other boxes stay where they are."""
    others = b"".join(
        data[start - 8 : end]
        for name, start, end in _boxes(data, 0, len(data))
        if not (name == b"uuid" and data[start : start + 16] == XMP_UUID)
    )
    return others + (24 + len(xmp)).to_bytes(4, "big") + b"uuid" + XMP_UUID + xmp


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, and start and end of the content, of the boxes in a part of a file.

    Raises:
        NotAnMp4: a box goes beyond that part, or has a size in 64 bits, which our videos never need.
    """
    for _ in range(MAX_BOXES):
        if start == end:
            return
        size = _number(data, start, 4)
        if size < 8 or start + size > end:
            raise NotAnMp4("it is cut off")
        yield data[start + 4 : start + 8], start + 8, start + size
        start += size
    raise NotAnMp4("it has too many parts")


def _nested(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and content of the boxes that describe the video, from outside in."""
    for name, inside, outside in _boxes(data, start, end):
        if name in _CONTAINERS:
            yield from _nested(data, inside, outside)
        elif name != b"mdat":
            yield name, data[inside:outside]


def _number(data: bytes, start: int, length: int) -> int:
    if start + length > len(data):
        raise NotAnMp4("it is cut off")
    return int.from_bytes(data[start : start + length], "big")
