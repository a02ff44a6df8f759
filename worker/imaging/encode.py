"""Encoding: the same picture gives the same bytes, labelled with where it came from."""

import io
import zlib
from collections.abc import Mapping
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

MIME = {
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "avif": "image/avif",
    "png": "image/png",
    "glb": "model/gltf-binary",
    "usdz": "model/vnd.usdz+zip",
}
EXTENSION = {"jpeg": "jpg"}
JPEG_QUALITY = 92
WEBP_QUALITY = 88
AVIF_QUALITY = 80
LEAST_QUALITY = 40  # below it, artefacts show on plain ground
XMP_ROOM = 8192  # bytes kept free in an AVIF: its boxes name offsets, so that a packet is written in place (ISO 16684-1, 7.3)

ImageFile.MAXBLOCK = 1 << 26  # Pillow's own gives a progressive JPEG a byte a pixel, which a noisy photo exceeds

QUALITY = {"jpeg": JPEG_QUALITY, "webp": WEBP_QUALITY, "avif": AVIF_QUALITY}
_PACKET_BEGIN, _PACKET_END = b"<?xpacket begin", b'<?xpacket end="w"?>'

# IPTC NewsCodes, digitalsourcetype: made from photographs by plain code, no trained model
ALGORITHMIC = "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicallyEnhanced"
RENDERED = "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia"


def extension(format: str) -> str:
    """The file name extension of a format."""
    return EXTENSION.get(format, format)


def encode_within(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8] | None, format: str, max_bytes: int) -> bytes:
    """The picture at the best quality whose file, with room for its labels, has at most so many bytes; else at the least quality."""
    data = encode(rgb, alpha, format)
    low, high = LEAST_QUALITY, QUALITY.get(format, LEAST_QUALITY)
    if len(data) + XMP_ROOM <= max_bytes or low == high:
        return data
    data = encode(rgb, alpha, format, quality=low)
    while high - low > 1:
        quality = (low + high) // 2
        tried = encode(rgb, alpha, format, quality=quality)
        if len(tried) + XMP_ROOM <= max_bytes:
            low, data = quality, tried
        else:
            high = quality
    return data


def encode(rgb: NDArray[np.uint8], alpha: NDArray[np.uint8] | None, format: str, *, quality: int = 0) -> bytes:
    """The picture as jpeg, webp, avif or png; jpeg drops the alpha. quality: 1 to 100, the format's own when 0."""
    quality = quality or QUALITY.get(format, 0)
    image = Image.fromarray(rgb if alpha is None or format == "jpeg" else np.dstack([rgb, alpha]))
    out = io.BytesIO()
    if format == "jpeg":
        image.save(out, "JPEG", quality=quality, progressive=True, optimize=True, subsampling=0)
    elif format == "webp":
        image.save(out, "WEBP", quality=quality, method=4)
    elif format == "avif":
        image.save(out, "AVIF", quality=quality, subsampling="4:4:4", speed=7, max_threads=1, xmp=_padded(xmp_packet({}, ALGORITHMIC), XMP_ROOM))
    else:
        image.save(out, "PNG", compress_level=6)
    return out.getvalue()


def xmp_packet(labels: Mapping[str, str], source_type: str) -> bytes:
    """An XMP packet (ISO 16684-1) with the IPTC digital source type and our labels."""
    lines = "".join(f"<dam:{name}>{escape(value)}</dam:{name}>" for name, value in sorted(labels.items()) if name != "description")
    title = f"<dc:description><rdf:Alt><rdf:li xml:lang='x-default'>{escape(labels.get('description', ''))}</rdf:li></rdf:Alt></dc:description>"
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:dam="urn:dam-connector:labels:1.0" '
        f'xmp:CreatorTool="dam-connector" Iptc4xmpExt:DigitalSourceType={quoteattr(source_type)}>{title}{lines}'
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def read_xmp(data: bytes) -> str:
    """The XMP packet of an encoded picture, or an empty text."""
    with Image.open(io.BytesIO(data)) as image:
        found = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    return found.decode("utf-8", "replace") if isinstance(found, bytes) else str(found)


def relabel(data: bytes, xmp: bytes) -> bytes:
    """The same file with an XMP packet; no pixel is encoded again."""
    if data[:2] == b"\xff\xd8":
        payload = b"http://ns.adobe.com/xap/1.0/\x00" + xmp
        return data[:2] + b"\xff\xe1" + (len(payload) + 2).to_bytes(2, "big") + payload + data[2:]
    if data[4:12] == b"ftypavif":
        return _relabel_avif(data, xmp)
    if data[:4] == b"RIFF":
        return _relabel_webp(data, xmp)
    return _relabel_png(data, xmp)


def _relabel_avif(data: bytes, xmp: bytes) -> bytes:
    start = data.rindex(_PACKET_BEGIN)
    if len(xmp) > XMP_ROOM:
        return data  # unlabelled: the check of labels says so
    return data[:start] + _padded(xmp, XMP_ROOM) + data[start + XMP_ROOM :]


def _padded(xmp: bytes, length: int) -> bytes:
    """The packet with blanks before its end mark."""
    return xmp[: -len(_PACKET_END)] + b" " * (length - len(xmp)) + _PACKET_END


def _relabel_png(data: bytes, xmp: bytes) -> bytes:
    body = b"iTXt" + b"XML:com.adobe.xmp\x00\x00\x00\x00\x00" + xmp
    chunk = (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    return data[:33] + chunk + data[33:]


def _relabel_webp(data: bytes, xmp: bytes) -> bytes:
    chunks, at = [], 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        chunks.append((data[at : at + 4], data[at + 8 : at + 8 + size]))
        at += 8 + size + size % 2
    with Image.open(io.BytesIO(data)) as image:
        width, height, has_alpha = image.width, image.height, image.mode == "RGBA"
    flags = 0x04 | (0x10 if has_alpha else 0)
    header = bytes([flags, 0, 0, 0]) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    kept = [(b"VP8X", header)] + [c for c in chunks if c[0] not in (b"VP8X", b"XMP ")] + [(b"XMP ", xmp)]
    body = b"WEBP" + b"".join(name + len(c).to_bytes(4, "little") + c + b"\x00" * (len(c) % 2) for name, c in kept)
    return b"RIFF" + len(body).to_bytes(4, "little") + body
