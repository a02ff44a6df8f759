"""Textures as pictures that every viewer shows: PNG or JPEG of 8 bits a channel."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dam_connector.errors import InputError
from worker.gltf.document import Document
from worker.gltf.embedded_textures import KTX2_MAGIC
from worker.imaging.decode import to_eight_bits
from worker.imaging.linear_light import to_linear, to_srgb

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
        raise InputError("file.unreadable", "The texture is damaged.", pointer=f"/images/{image}") from error


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


def scaled_normals(data: bytes, scale: float) -> bytes:
    """Return a normal map with its slopes scaled, as PNG."""
    with Image.open(io.BytesIO(data)) as picture:
        pixels = np.asarray(picture.convert("RGB"), np.float32)
    normals = pixels / np.float32(127.5) - 1
    normals[..., :2] *= np.float32(scale)
    normals /= np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-6)
    return _png((normals + 1) * 127.5)


def scaled_occlusion(data: bytes, strength: float) -> bytes:
    """Return an occlusion map of a strength, as PNG."""
    with Image.open(io.BytesIO(data)) as picture:
        pixels = np.asarray(picture.convert("RGB"), np.float32)
    return _png(255 + strength * (pixels - 255))


def tinted(data: bytes, factor: Sequence[float]) -> bytes:
    """Return a colour picture times a linear factor, at most white, as PNG."""
    with Image.open(io.BytesIO(data)) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    linear = to_linear(pixels) * np.array(factor, np.float32)
    return _png(to_srgb(np.clip(linear, 0, 1)))


def plain_colour(factor: Sequence[float]) -> bytes:
    """Return a small picture of one linear colour, as PNG."""
    return _png(to_srgb(np.clip(np.full((4, 4, 3), factor, np.float32), 0, 1)))


def masked(data: bytes, cutoff: float) -> bytes:
    """Return a picture whose alpha is cut: nothing below `cutoff`, all from it on. As PNG."""
    with Image.open(io.BytesIO(data)) as picture:
        pixels = np.array(picture.convert("RGBA"))
    pixels[..., 3] = np.where(pixels[..., 3] >= cutoff * 255, 255, 0)
    return _png(pixels)


def _png(pixels: NDArray[Any]) -> bytes:
    out = io.BytesIO()
    values = pixels if pixels.dtype == np.uint8 else (pixels + 0.5).clip(0, 255).astype(np.uint8)
    Image.fromarray(values).save(out, "PNG")
    return out.getvalue()
