"""How much a rendition's product differs in colour from the photo it was cut from.

Measured on 12 photos in studio and room: JPEG 0.04 to 0.14, WebP 0.15 to 0.65, AVIF 0.08 to 1.22. AVIF's excess over 1 is on
pale greys, whatever the quality (82, 90 and 95 gave 1.2): libavif's conversion is a level off in red and green there.
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

MAX_MEDIAN_DE = 1.0  # CIEDE2000: about what an eye just tells apart
SAMPLES = 5_000
PATCH = 5  # pixels: colours are compared as means over so many, as an eye does with grain
INSIDE = 250  # of 255: the soft edge is mixed with the ground, and no colour of the product's


def median_differences(
    photo: Photo, cutout: Cutout, picture: Picture, files: Mapping[str, bytes]
) -> dict[str, float]:
    """For each encoded file the median CIEDE2000 over the product's pixels between it, decoded, and the photo at the same size."""
    left, top, right, bottom = picture.box
    x0, y0, x1, y1 = cutout.box
    size = (right - left, bottom - top)
    way = cv2.INTER_AREA if right - left < x1 - x0 else cv2.INTER_CUBIC
    meant = cv2.resize(photo.rgb[y0:y1, x0:x1], size, interpolation=way)
    alpha = cv2.resize(cutout.alpha[y0:y1, x0:x1], size, interpolation=way)
    core = cv2.erode(
        alpha, np.ones((PATCH, PATCH), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0.0
    )
    inside = np.flatnonzero(core > INSIDE)
    if not len(inside):
        return dict.fromkeys(files, 0.0)
    places = np.divmod(inside[:: max(1, len(inside) // SAMPLES)], size[0])
    wanted, off = _lab(meant, places), {}
    for name, data in files.items():
        with Image.open(io.BytesIO(data)) as image:
            made = np.asarray(image.convert("RGB"))[top:bottom, left:right]
        off[name] = float(np.median(deltaE_ciede2000(wanted, _lab(made, places))))
    return off


def colour_issues(difference: float, format: str, pointer: str) -> Iterator[Issue]:
    """Issues rendition.likeness."""
    if difference > MAX_MEDIAN_DE:
        words = f"{format}: the product's colours moved away from the photo's."
        yield issue(
            "rendition.likeness",
            words,
            pointer=pointer,
            measured=f"CIEDE2000 {difference:.2f}",
            limit=f"{MAX_MEDIAN_DE:g}",
        )


def _lab(rgb: NDArray[np.uint8], places: tuple[NDArray[np.int64], NDArray[np.int64]]) -> NDArray[np.float64]:
    """CIELAB of the patches around rows and columns, none of which reaches beyond the picture."""
    total = np.zeros((len(places[0]), 3), np.uint32)
    for down in range(PATCH):
        for across in range(PATCH):
            total += rgb[places[0] + (down - PATCH // 2), places[1] + (across - PATCH // 2)]
    return np.asarray(rgb2lab(total[None] / (255 * PATCH**2))[0], np.float64)
