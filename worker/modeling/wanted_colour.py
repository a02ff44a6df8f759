"""The colour that a variant is to have: by a code, a swatch, or a photo of the product in it."""

import numpy as np
from numpy.typing import NDArray

from worker.imaging.main_colours import main_colours, to_lab
from worker.modeling.colour_variants import WantedColour

U8 = NDArray[np.uint8]
OPAQUE_ALPHA = 250  # of 255: softer pixels are mixed with the background
SWATCH_MARGIN = 0.1  # of a swatch's side, at each edge
MIN_SWATCH_PX = 8


def of_code(name: str, code: str) -> WantedColour:
    """Return the colour of a code as `#rrggbb`."""
    rgb = np.array([int(code[i : i + 2], 16) for i in (1, 3, 5)], np.uint8)
    return WantedColour(name, plain=to_lab(rgb))


def of_swatch(name: str, rgb: U8) -> WantedColour:
    """Return the median colour of a picture of the cloth or paint alone, (h, w, 3), without its edges."""
    height, width = rgb.shape[:2]
    top, left = int(height * SWATCH_MARGIN), int(width * SWATCH_MARGIN)
    inside = rgb[top : height - top, left : width - left]
    return WantedColour(name, plain=np.median(to_lab(inside.reshape(-1, 3)), axis=0))


def of_cutout(name: str, rgb: U8, alpha: U8) -> WantedColour:
    """Return the colours of a product in a photo, (h, w, 3), with its mask, (h, w)."""
    return WantedColour(name, colours=main_colours(to_lab(rgb[alpha > OPAQUE_ALPHA])))
