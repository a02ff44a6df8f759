"""Textures as pictures that every viewer shows: PNG or JPEG of 8 bits a channel."""

import io

from PIL import Image

from dam_connector.errors import InputError
from worker.gltf.document import Document
from worker.gltf.embedded_textures import KTX2_MAGIC
from worker.imaging.decode import to_eight_bits

UNCHANGED_FORMATS = ("JPEG", "PNG")
EIGHT_BIT_MODES = ("RGB", "L", "RGBA", "LA")
JPEG_QUALITY = 95


def texture_picture(document: Document, image: int) -> bytes:
    """Return an image of the document as JPEG or PNG of 8 bits; empty if it cannot be decoded here (KTX2).

    A JPEG or PNG of 8 bits is returned as it is. Another one becomes a PNG where it has alpha, else a JPEG;
    a PNG stays a PNG.

    Raises:
        InputError: file.unreadable, the picture is damaged.
    """
    data = document.image(image, "/textures")
    if not data or data[:12] == KTX2_MAGIC:
        return b""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            if picture.format in UNCHANGED_FORMATS and picture.mode in EIGHT_BIT_MODES and not _is_deep(data):
                # A JPEG is read to its end, to find damage, but decoded at a small size.
                picture.draft(picture.mode, (1, 1))
                picture.load()
                return data
            picture.load()
            return _encode(picture)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(
            "file.unreadable", "The texture is damaged.", pointer=f"/images/{image}"
        ) from error


def _is_deep(data: bytes) -> bool:
    """Return whether a PNG has 16 bits a channel: Pillow reads most of them as 8 without a word."""
    return data[:4] == b"\x89PNG" and data[24:25] == b"\x10"


def _encode(picture: Image.Image) -> bytes:
    has_alpha = picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info
    eight = to_eight_bits(picture) if picture.mode.startswith(("I", "F")) else picture
    flat = eight.convert("RGBA" if has_alpha else "RGB")
    out = io.BytesIO()
    if has_alpha or picture.format == "PNG":
        flat.save(out, "PNG")
    else:
        flat.save(out, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return out.getvalue()
