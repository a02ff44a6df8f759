"""Encoding: the same picture gives the same bytes."""

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from dam_connector.domain.file_names import GLB_FORMATS
from worker.imaging.content_credentials import MANIFEST_RESERVE_BYTES
from worker.imaging.metadata import XMP_PACKET_BYTES, blank_packet

MIME = {
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "avif": "image/avif",
    "png": "image/png",
    "usdz": "model/vnd.usdz+zip",
    **dict.fromkeys(GLB_FORMATS, "model/gltf-binary"),
}
EXTENSION = {"jpeg": "jpg"} | dict.fromkeys(GLB_FORMATS, "glb")
JPEG_QUALITY = 92
WEBP_QUALITY, WEBP_METHOD = (
    88,
    2,
)  # method 4 saves 2 to 7 bytes of a hundred and takes two and a half times as long
AVIF_QUALITY = 80
METADATA_RESERVE_BYTES = (
    XMP_PACKET_BYTES + MANIFEST_RESERVE_BYTES
)  # bytes that labels and a signature may add to a file
CLIP_QUALITY = 80
SPIN_S = 4.0  # seconds of a full turn
LEAST_QUALITY = 40  # below it, artefacts show on plain ground

ImageFile.MAXBLOCK = (
    1 << 26
)  # Pillow's own gives a JPEG with tables of its own a byte a pixel, which a noisy photo exceeds

QUALITY = {"jpeg": JPEG_QUALITY, "webp": WEBP_QUALITY, "avif": AVIF_QUALITY}


def extension(format: str) -> str:
    """The file name extension of a format."""
    return EXTENSION.get(format, format)


def encode_within(
    rgb: NDArray[np.uint8], alpha: NDArray[np.uint8] | None, format: str, max_bytes: int
) -> bytes:
    """The picture at the best quality whose file, with room for its labels, has at most so many bytes; else at the least quality."""
    data = encode(rgb, alpha, format)
    low, high = LEAST_QUALITY, QUALITY.get(format, LEAST_QUALITY)
    if len(data) + METADATA_RESERVE_BYTES <= max_bytes or low == high:
        return data
    data = encode(rgb, alpha, format, quality=low)
    while high - low > 1:
        quality = (low + high) // 2
        tried = encode(rgb, alpha, format, quality=quality)
        if len(tried) + METADATA_RESERVE_BYTES <= max_bytes:
            low, data = quality, tried
        else:
            high = quality
    return data


def encode(
    rgb: NDArray[np.uint8], alpha: NDArray[np.uint8] | None, format: str, *, quality: int = 0
) -> bytes:
    """The picture as jpeg, webp, avif or png; jpeg drops the alpha. quality: 1 to 100, the format's own when 0."""
    quality = quality or QUALITY.get(format, 0)
    image = Image.fromarray(rgb if alpha is None or format == "jpeg" else np.dstack([rgb, alpha]))
    out = io.BytesIO()
    if format == "jpeg":
        image.save(
            out, "JPEG", quality=quality, optimize=True, subsampling=0
        )  # progressive ones: as large, twice the time, and half as long again to read
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
    """The frames as an endless animated WebP, at the best of a few qualities that has at most so many bytes."""
    images = [
        Image.fromarray(rgb if a is None else np.dstack([rgb, a]))
        for rgb, a in zip(frames, alphas, strict=True)
    ]
    for quality in (CLIP_QUALITY, (CLIP_QUALITY + LEAST_QUALITY) // 2, LEAST_QUALITY):
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
