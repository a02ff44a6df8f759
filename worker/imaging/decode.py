"""Decoding of untrusted pictures: size is checked before pixels are decoded, truncated files are refused."""

import io
import struct
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, UnidentifiedImageError

from dam_connector.domain.picture_names import unread_text
from dam_connector.domain.picture_size import MIN_SIDE_PX, size_issue, too_many_pixels
from dam_connector.domain.product import SIGNATURE_BYTES, unread_kind
from dam_connector.errors import InputError
from worker.imaging.metadata import INHERITED, image_metadata

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF")
MODEL_PHOTO_MAX_PX = (
    2048  # longer side of a photo that a model is made from; more would not show in a texture
)
MAX_SIDE_PX = 4096  # larger photos are reduced to this: four times what a packshot needs
_EXIF_ORIENTATION = 0x0112
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIXTEEN_BITS = 65_535
# Raised by Pillow for EXIF whose values have other types than their tags, which many cameras write.
_METADATA_ERRORS = (
    TypeError,
    ValueError,
    ArithmeticError,
    LookupError,
    AttributeError,
    OSError,
    SyntaxError,
    struct.error,
)


class DecodeNote(StrEnum):
    """A correction that was made to a file, which its owner may want to know about."""

    ROTATED = "rotated"
    CMYK = "cmyk"
    NO_PROFILE = "no_profile"
    ANIMATED = "animated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """A decoded picture, upright, in sRGB."""

    rgb: NDArray[np.uint8]  # (h, w, 3)
    alpha: NDArray[np.uint8] | None  # (h, w), or None where the file has no transparency
    format: str  # Pillow's name, e.g. `JPEG`
    notes: tuple[DecodeNote, ...] = ()
    metadata: Mapping[str, str] = field(
        default_factory=dict
    )  # the file's own, as named in metadata.INHERITED

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.rgb.shape[1], self.rgb.shape[0]


def decode(
    data: bytes,
    *,
    max_pixels: int,
    pointer: str = "",
    max_side_px: int = MAX_SIDE_PX,
    min_side_px: int = MIN_SIDE_PX,
) -> Photo:
    """Decode a picture file.

    Args:
        data: The file.
        max_pixels: Width times height that is accepted.
        pointer: JSON pointer of the photo in the product, for the error.
        max_side_px: A longer picture is reduced to this on its longer side.
        min_side_px: The shorter side that is accepted, e.g. less for a swatch.

    Raises:
        InputError: `source.not_an_image`, `source.too_large`, `source.damaged` or `source.too_small`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=FORMATS)
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError, SyntaxError) as error:
        if isinstance(error, Image.DecompressionBombError):
            raise InputError.of_issue(too_many_pixels("far too many", pointer, max_pixels)) from error
        kind = unread_kind(data[:SIGNATURE_BYTES])
        reason = unread_text(kind) if kind else "is not a JPEG, PNG, WebP, TIFF or AVIF picture"
        raise InputError("source.not_an_image", f"The file {reason}.", pointer=pointer) from error
    if found := size_issue(image.size, pointer, max_pixels=max_pixels, min_side_px=min_side_px):
        raise InputError.of_issue(found)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # Pillow's about tags; the picture is used
            photo = _load(image, max_side_px)
            metadata = _metadata(image)
        return replace(photo, metadata={name: metadata[name] for name in INHERITED if name in metadata})
    except (OSError, ValueError, SyntaxError, MemoryError, EOFError, KeyError, IndexError) as error:
        raise InputError(
            "source.damaged",
            "The picture is damaged: it cannot be decoded to its end.",
            pointer=pointer,
        ) from error


def _load(image: Image.Image, max_side_px: int) -> Photo:
    format = image.format or ""
    if format == "JPEG":
        image.draft("RGB", (max_side_px, max_side_px))
    notes = _notes(image)
    image.load()
    transposition = _TRANSPOSITIONS.get(_orientation(image))
    upright = _to_srgb(image if transposition is None else image.transpose(transposition))
    if max(upright.size) > max_side_px:
        upright.thumbnail((max_side_px, max_side_px), Image.Resampling.LANCZOS)
    alpha = None
    if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
        upright = upright.convert("RGBA")
        alpha = np.asarray(upright.getchannel("A"))
        alpha = alpha if alpha.min() < 250 else None
    return Photo(rgb=np.asarray(upright.convert("RGB")), alpha=alpha, format=format, notes=notes)


def _orientation(image: Image.Image) -> int:
    """Return the orientation in the file's EXIF, from 1 to 8; 1 if it is none, or the EXIF is damaged.

    Pillow's `exif_transpose` writes the whole EXIF anew, and fails on a single tag with a wrong type.
    """
    try:
        return int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except _METADATA_ERRORS:
        return 1


def _metadata(image: Image.Image) -> Mapping[str, str]:
    """Return the file's own metadata; none if it is damaged."""
    try:
        return image_metadata(image)
    except _METADATA_ERRORS:
        return {}


def _notes(image: Image.Image) -> tuple[DecodeNote, ...]:
    conditions = {
        DecodeNote.ROTATED: _orientation(image) in _TRANSPOSITIONS,
        DecodeNote.CMYK: image.mode == "CMYK",
        DecodeNote.NO_PROFILE: not image.info.get("icc_profile") and image.mode == "CMYK",
        DecodeNote.ANIMATED: getattr(image, "n_frames", 1) > 1 and image.format in ("WEBP", "PNG", "AVIF"),
    }
    return tuple(note for note, applies in conditions.items() if applies)


def _to_srgb(image: Image.Image) -> Image.Image:
    """Return the picture converted to sRGB from its own profile; a broken profile is ignored."""
    profile = image.info.get("icc_profile")
    if image.mode.startswith(("I", "F")):
        return to_eight_bits(image)
    if not profile or image.mode not in ("RGB", "RGBA", "CMYK", "L"):
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        return (
            ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode=mode) or image
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image


def to_eight_bits(image: Image.Image) -> Image.Image:
    """Return a grey picture of 16 or more bits, or of fractions, with 8 bits; a dim one stays dim."""
    values = np.asarray(image, float)
    high = float(values.max())
    white = _SIXTEEN_BITS if high <= _SIXTEEN_BITS else float(2**32 - 1)
    if image.mode.startswith("F") and high <= 255:
        white = 1.0 if high <= 1 else 255.0
    return Image.fromarray((values * (255 / white) + 0.5).clip(0, 255).astype(np.uint8))
