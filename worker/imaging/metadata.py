"""Labels inside picture files: XMP (ISO 16684-1) with IPTC's digital source type, alt text, SKU, version and rights; IPTC-IIM in JPEG.

They are written without coding the picture again, and read back the same way from what others made: a photographer's name
and rights, and the mark of an AI, stay with every picture that is made from theirs.
"""

import io
import re
import zlib
from collections.abc import Iterator, Mapping
from xml.sax.saxutils import escape

from defusedxml import DefusedXmlException, ElementTree
from PIL import Image, ImageFile, IptcImagePlugin

# IPTC NewsCodes, https://cv.iptc.org/newscodes/digitalsourcetype/
_IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
ALGORITHMICALLY_ENHANCED = _IPTC + "algorithmicallyEnhanced"  # a photo set on a plain ground by plain code
COMPOSITE_SYNTHETIC = _IPTC + "compositeSynthetic"  # a photo's product in a room made by code
ALGORITHMIC_MEDIA = _IPTC + "algorithmicMedia"  # made by code, no trained model
TRAINED_ALGORITHMIC_MEDIA = _IPTC + "trainedAlgorithmicMedia"
COMPOSITE_WITH_TRAINED_MEDIA = _IPTC + "compositeWithTrainedAlgorithmicMedia"

NAMESPACES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
    "xmpRights": "http://ns.adobe.com/xap/1.0/rights/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "dam": "urn:dam-connector:labels:1.0",
}
PROPERTIES = {  # our name of a label: its XMP property, and the array that the property is
    "alt_text": ("Iptc4xmpCore:AltTextAccessibility", "Alt"),
    "creator": ("dc:creator", "Seq"),
    "credit": ("photoshop:Credit", ""),
    "description": ("dc:description", "Alt"),
    "generator": ("dam:generator", ""),
    "rights": ("dc:rights", "Alt"),
    "run": ("dam:run", ""),
    "sku": ("dc:identifier", ""),
    "source_type": ("Iptc4xmpExt:DigitalSourceType", ""),
    "title": ("dc:title", "Alt"),
    "tool": ("xmp:CreatorTool", ""),
    "usage_terms": ("xmpRights:UsageTerms", "Alt"),
    "version": ("xmpMM:VersionID", ""),
    "web_statement": ("xmpRights:WebStatement", ""),
}
INHERITED = (
    "creator",
    "credit",
    "rights",
    "source_type",
    "usage_terms",
    "web_statement",
)  # of a photo, by what is made from it
IIM = {"title": (2, 5), "creator": (2, 80), "credit": (2, 110), "rights": (2, 116), "description": (2, 120)}
EXIF = {"creator": 0x013B, "rights": 0x8298}

MAX_VALUE_BYTES = 380  # bytes of a label as XML: all of them together fit XMP_ROOM
MAX_XMP_BYTES = 1 << 20
XMP_PACKET_BYTES = 8192  # bytes kept free in an AVIF: its boxes name offsets, so that a packet is written in place (ISO 16684-1, 7.3)
_PACKET_BEGIN, _PACKET_END = b"<?xpacket begin", b'<?xpacket end="w"?>'
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")


def digital_source_type(
    *, rendered: bool, style: str, generator: str, photo_type: str, cut_only: bool = False
) -> str:
    """IPTC's digital source type of a picture by how it was made; what a trained model had a part in stays marked so.

    cut_only: the generator did no more than take the photo's ground away.
    """
    trained = photo_type in (TRAINED_ALGORITHMIC_MEDIA, COMPOSITE_WITH_TRAINED_MEDIA)
    if generator != "local" and not cut_only:
        return TRAINED_ALGORITHMIC_MEDIA
    if rendered:
        return COMPOSITE_WITH_TRAINED_MEDIA if trained else ALGORITHMIC_MEDIA
    if trained or generator != "local":
        return COMPOSITE_WITH_TRAINED_MEDIA
    return COMPOSITE_SYNTHETIC if style == "lifestyle" else ALGORITHMICALLY_ENHANCED


def clean_metadata(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels as files can hold them: no control characters, no longer than a line or two, none that says nothing."""
    texts = {name: _shortened(" ".join(_CONTROLS.sub(" ", value).split())) for name, value in labels.items()}
    return {name: text for name, text in texts.items() if text}


def _shortened(text: str) -> str:
    while len(escape(text).encode()) > MAX_VALUE_BYTES:
        text = text[: len(text) * 9 // 10].rstrip()
    return text


def build_xmp_packet(labels: Mapping[str, str]) -> bytes:
    """An XMP packet with those labels that PROPERTIES names."""
    body = "".join(
        _property(*PROPERTIES[name], escape(value))
        for name, value in sorted(clean_metadata(labels).items())
        if name in PROPERTIES
    )
    spaces = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        f'<rdf:RDF {spaces}><rdf:Description rdf:about="">{body}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def _property(name: str, array: str, text: str) -> str:
    if not array:
        return f"<{name}>{text}</{name}>"
    language = ' xml:lang="x-default"' if array == "Alt" else ""
    return f"<{name}><rdf:{array}><rdf:li{language}>{text}</rdf:li></rdf:{array}></{name}>"


def read_metadata(data: bytes) -> dict[str, str]:
    """The labels of a picture file; none where it cannot be read."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image_metadata(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return {}


def image_metadata(image: Image.Image) -> dict[str, str]:
    """The labels of a picture by our names: its XMP first, then IPTC-IIM, then EXIF; none where they cannot be read.

    A PNG is decoded for them, unless it is already.
    """
    try:
        packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
        packet = packet.encode() if isinstance(packet, str) else packet
        exif = {name: str(image.getexif().get(tag, "")) for name, tag in EXIF.items()}
        return clean_metadata({**exif, **_iim(image), **parse_xmp_packet(packet)})
    except (OSError, ValueError, SyntaxError, KeyError):
        return {}


def picture_mime(data: bytes) -> str:
    """The MIME type of a picture by its own header, or an empty text."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return Image.MIME.get(image.format or "", "")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return ""


def parse_xmp_packet(packet: bytes) -> dict[str, str]:
    """The labels of an XMP packet; none where it is no XML, or declares entities, which no camera does."""
    start, end = packet.find(b"<x:xmpmeta"), packet.rfind(b"</x:xmpmeta>")
    if start < 0 or end < 0 or len(packet) > MAX_XMP_BYTES:
        return {}
    try:
        root = ElementTree.fromstring(packet[start : end + len(b"</x:xmpmeta>")])
    except (ElementTree.ParseError, DefusedXmlException):
        return {}
    found: dict[str, str] = {}
    for about in root.iter(f"{{{NAMESPACES['rdf']}}}Description"):
        for name, (qualified, _) in PROPERTIES.items():
            prefix, _, local = qualified.partition(":")
            key = f"{{{NAMESPACES[prefix]}}}{local}"
            here = about.find(key)
            text = about.get(key) or (
                "" if here is None else ", ".join(t.strip() for t in here.itertext() if t.strip())
            )
            if text:
                found.setdefault(name, text)
    return found


def _iim(image: Image.Image) -> dict[str, str]:
    """IPTC-IIM records, as older programs write them."""
    records = (IptcImagePlugin.getiptcinfo(image) if isinstance(image, ImageFile.ImageFile) else None) or {}
    found = {}
    for name, key in IIM.items():
        value = records.get(key)
        value = value[0] if isinstance(value, list) else value
        if value:
            found[name] = value.decode("utf-8", "replace")
    return found


def write_metadata(data: bytes, labels: Mapping[str, str]) -> bytes:
    """The same picture with these labels; no pixel is coded again."""
    xmp = build_xmp_packet(labels)
    if data[:2] == b"\xff\xd8":
        return _relabel_jpeg(data, xmp, clean_metadata(labels))
    if data[4:12] == b"ftypavif":
        return _relabel_avif(data, xmp)
    return _relabel_webp(data, xmp) if data[:4] == b"RIFF" else _relabel_png(data, xmp)


def _relabel_jpeg(data: bytes, xmp: bytes, labels: Mapping[str, str]) -> bytes:
    """XMP in an APP1 and IPTC-IIM in an APP13 segment, after the JFIF header."""
    at = 4 + int.from_bytes(data[4:6], "big") if data[2:4] == b"\xff\xe0" else 2
    texts = [
        (record, labels[name].encode())
        for name, record in sorted(IIM.items(), key=lambda item: item[1])
        if name in labels
    ]
    records = b"\x1c\x01\x5a\x00\x03\x1b%G" + b"".join(
        bytes([0x1C, *key]) + len(text).to_bytes(2, "big") + text for key, text in texts
    )
    block = b"8BIM\x04\x04\x00\x00" + len(records).to_bytes(4, "big") + records + b"\x00" * (len(records) % 2)
    segments = ((0xE1, b"http://ns.adobe.com/xap/1.0/\x00" + xmp), (0xED, b"Photoshop 3.0\x00" + block))
    added = b"".join(
        bytes([0xFF, mark]) + (len(payload) + 2).to_bytes(2, "big") + payload for mark, payload in segments
    )
    return data[:at] + added + data[at:]


def blank_packet() -> bytes:
    """A packet that says nothing, with room for one that does: what an AVIF is encoded with."""
    return _padded(build_xmp_packet({}), XMP_PACKET_BYTES)


def _relabel_avif(data: bytes, xmp: bytes) -> bytes:
    start = data.rindex(_PACKET_BEGIN)
    if len(xmp) > XMP_PACKET_BYTES:
        return data  # unlabelled: the check of labels says so
    return data[:start] + _padded(xmp, XMP_PACKET_BYTES) + data[start + XMP_PACKET_BYTES :]


def _padded(xmp: bytes, length: int) -> bytes:
    """The packet with blanks before its end mark."""
    return xmp[: -len(_PACKET_END)] + b" " * (length - len(xmp)) + _PACKET_END


def _relabel_png(data: bytes, xmp: bytes) -> bytes:
    body = b"iTXt" + b"XML:com.adobe.xmp\x00\x00\x00\x00\x00" + xmp
    chunk = (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    return data[:33] + chunk + data[33:]


def _relabel_webp(data: bytes, xmp: bytes) -> bytes:
    chunks = list(_riff_chunks(data))
    extended = dict(chunks).get(b"VP8X")
    with Image.open(io.BytesIO(data)) as image:
        width, height, has_alpha = image.width, image.height, image.mode == "RGBA"
    flags = (extended[0] if extended else 0x10 if has_alpha else 0) | 0x04
    header = bytes([flags, 0, 0, 0]) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    kept = [(b"VP8X", header)] + [c for c in chunks if c[0] not in (b"VP8X", b"XMP ")] + [(b"XMP ", xmp)]
    body = b"WEBP" + b"".join(
        name + len(c).to_bytes(4, "little") + c + b"\x00" * (len(c) % 2) for name, c in kept
    )
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def _riff_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
