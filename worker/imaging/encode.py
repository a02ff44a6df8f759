"""Encoding of pictures: the same picture always gives the same bytes."""

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from dam_connector.domain.file_names import EXTENSIONS, GLB_FORMATS
from worker.imaging.content_credentials import MANIFEST_RESERVE_BYTES
from worker.imaging.metadata import XMP_PACKET_BYTES, blank_packet

MIME = {
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "avif": "image/avif",
    "png": "image/png",
    "mp4": "video/mp4",
    "usdz": "model/vnd.usdz+zip",
    **dict.fromkeys(GLB_FORMATS, "model/gltf-binary"),
}
JPEG_QUALITY = 92
WEBP_QUALITY = 88
WEBP_METHOD = 2  # method 4 saves 2 to 7 % of the bytes and takes two and a half times as long
AVIF_QUALITY = 80
METADATA_RESERVE_BYTES = (
    XMP_PACKET_BYTES + MANIFEST_RESERVE_BYTES
)  # that metadata and a signature may add to a file
CLIP_QUALITY = 80  # of an animation
SPIN_S = 4.0  # duration of an animation
MIN_QUALITY = 40  # below it, artefacts show on a plain background

# Pillow's own limit gives a JPEG with optimised tables one byte a pixel, which a noisy photo exceeds.
ImageFile.MAXBLOCK = 1 << 26

QUALITY = {"jpeg": JPEG_QUALITY, "webp": WEBP_QUALITY, "avif": AVIF_QUALITY}


def extension(format: str) -> str:
    """Return the file name extension of a format, e.g. `jpg` for `jpeg`."""
    return EXTENSIONS.get(format, format)


def encode_within(
    rgb: NDArray[np.uint8], alpha: NDArray[np.uint8] | None, format: str, max_bytes: int
) -> bytes:
    """Encode a picture at the best quality with which the file stays within a limit.

    The limit includes METADATA_RESERVE_BYTES. Where even the lowest quality exceeds it, that one is used.

    Args:
        rgb: (h, w, 3).
        alpha: (h, w), or None.
        format: `jpeg`, `webp`, `avif` or `png`.
        max_bytes: Size limit of the finished file.
    """
    data = encode(rgb, alpha, format)
    low, high = MIN_QUALITY, QUALITY.get(format, MIN_QUALITY)
    if len(data) + METADATA_RESERVE_BYTES <= max_bytes or low == high:
        return data
    data = encode(rgb, alpha, format, quality=low)
    while high - low > 1:
        quality = (low + high) // 2
        candidate = encode(rgb, alpha, format, quality=quality)
        if len(candidate) + METADATA_RESERVE_BYTES <= max_bytes:
            low, data = quality, candidate
        else:
            high = quality
    return data


def encode(
    rgb: NDArray[np.uint8], alpha: NDArray[np.uint8] | None, format: str, *, quality: int = 0
) -> bytes:
    """Encode a picture.

    Args:
        rgb: (h, w, 3); (h, w) for a grey picture.
        alpha: (h, w), or None; JPEG drops it.
        format: `jpeg`, `webp`, `avif` or `png`.
        quality: 1 to 100, or 0 for the format's default.
    """
    quality = quality or QUALITY.get(format, 0)
    image = Image.fromarray(rgb if alpha is None or format == "jpeg" else np.dstack([rgb, alpha]))
    out = io.BytesIO()
    if format == "jpeg":
        # progressive files are as large, take twice the time, and half as long again to read
        image.save(out, "JPEG", quality=quality, optimize=True, subsampling=0)
    elif format == "webp":
        image.save(out, "WEBP", quality=quality, method=WEBP_METHOD)
    elif format == "avif":
        image.save(
            out, "AVIF", quality=quality, subsampling="4:4:4", speed=7, max_threads=1, xmp=blank_packet()
        )
    else:
        image.save(out, "PNG", compress_level=6)
    return out.getvalue()


def encode_clip(
    frames: Sequence[NDArray[np.uint8]], alphas: Sequence[NDArray[np.uint8] | None], max_bytes: int
) -> bytes:
    """Encode frames as an endless animated WebP, at the best of three qualities that stays within a limit.

    Args:
        frames: Pictures of equal size, (h, w, 3).
        alphas: One for each frame, (h, w) or None.
        max_bytes: Size limit of the finished file; it includes METADATA_RESERVE_BYTES.
    """
    images = [
        Image.fromarray(rgb if a is None else np.dstack([rgb, a]))
        for rgb, a in zip(frames, alphas, strict=True)
    ]
    for quality in (CLIP_QUALITY, (CLIP_QUALITY + MIN_QUALITY) // 2, MIN_QUALITY):
        out = io.BytesIO()
        images[0].save(
            out,
            "WEBP",
            save_all=True,
            append_images=images[1:],
            duration=round(SPIN_S * 1000 / len(images)),
            loop=0,
            quality=quality,
            method=WEBP_METHOD,
        )
        if out.tell() + METADATA_RESERVE_BYTES <= max_bytes:
            break
    return out.getvalue()
