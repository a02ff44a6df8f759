"""Colour difference between a rendition and the photo that its product was cut from.

Measured on 12 photos in studio and room: JPEG 0.04 to 0.14, WebP 0.15 to 0.65, AVIF 0.08 to 1.22. AVIF
exceeds 1 on pale greys, whatever the quality (82, 90 and 95 gave 1.2): libavif's conversion is one level off
in red and green there.
"""

import io
from collections.abc import Iterator, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

from dam_connector.domain.issue import Issue, issue
from worker.imaging.composition import Picture
from worker.imaging.cutout import Cutout
from worker.imaging.decode import Photo

MAX_MEDIAN_DE = 1.0  # CIEDE2000: about the smallest difference that an eye sees
MAX_SAMPLES = 5_000
PATCH_PX = 5  # colours are compared as means over patches, since an eye averages grain too
MIN_OPAQUE_ALPHA = 250  # of 255: softer edge pixels are mixed with the background


def median_differences(
    photo: Photo, cutout: Cutout, picture: Picture, files: Mapping[str, bytes]
) -> dict[str, float]:
    """Return the median CIEDE2000 over the product's pixels for each encoded file.

    Each file is decoded and compared with the photo at the same size.

    Args:
        photo: The photo that the product was cut from.
        cutout: The product.
        picture: The composed picture.
        files: The picture encoded, by format.
    """
    left, top, right, bottom = picture.box
    x0, y0, x1, y1 = cutout.box
    size = (right - left, bottom - top)
    interpolation = cv2.INTER_AREA if right - left < x1 - x0 else cv2.INTER_CUBIC
    reference = cv2.resize(photo.rgb[y0:y1, x0:x1], size, interpolation=interpolation)
    alpha = cv2.resize(cutout.alpha[y0:y1, x0:x1], size, interpolation=interpolation)
    core = cv2.erode(
        alpha, np.ones((PATCH_PX, PATCH_PX), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0.0
    )
    inside = np.flatnonzero(core > MIN_OPAQUE_ALPHA)
    if not len(inside):
        return dict.fromkeys(files, 0.0)
    places = np.divmod(inside[:: max(1, len(inside) // MAX_SAMPLES)], size[0])
    expected, differences = _patch_lab(reference, places), {}
    for name, data in files.items():
        with Image.open(io.BytesIO(data)) as image:
            decoded = np.asarray(image.convert("RGB"))
        found = _patch_lab(decoded, (places[0] + top, places[1] + left))
        differences[name] = float(np.median(deltaE_ciede2000(expected, found)))
    return differences


def colour_issues(difference: float, format: str, pointer: str) -> Iterator[Issue]:
    """Yield `rendition.likeness` if the colours of a file differ too much from the photo's."""
    if difference > MAX_MEDIAN_DE:
        yield issue(
            "rendition.likeness",
            f"{format}: the product's colours differ from the photo's.",
            pointer=pointer,
            measured=f"CIEDE2000 {difference:.2f}",
            limit=f"{MAX_MEDIAN_DE:g}",
        )


def _patch_lab(
    rgb: NDArray[np.uint8], places: tuple[NDArray[np.int64], NDArray[np.int64]]
) -> NDArray[np.float64]:
    """Return the mean CIELAB of patches around rows and columns, (n, 3); all must be inside the picture."""
    rows, columns = places
    pixels, width = rgb.reshape(-1, 3), rgb.shape[1]
    first = (rows - PATCH_PX // 2) * width + columns - PATCH_PX // 2
    total = np.zeros((len(first), 3), np.uint32)
    for down in range(PATCH_PX):
        for across in range(PATCH_PX):
            total += pixels.take(first + (down * width + across), axis=0)
    return np.asarray(rgb2lab(total[None] / (255 * PATCH_PX**2))[0], np.float64)
