"""Pictures of nothing but black and white, e.g. the masks that renderers write beside frames."""

import numpy as np
from numpy.typing import NDArray

EXTREME = 6  # of 255: so near to black or to white; black products have highlights
MIN_SHARE = 0.85  # of the pixels; a mask has grey ones along its outline, a thin product many
MIN_OF_EACH = 0.01  # of black and of white


def is_black_and_white(rgb: NDArray[np.uint8]) -> bool:
    """Return whether nearly all pixels of a picture, (h, w, 3), are black or white, with some of each."""
    black = float((rgb <= EXTREME).all(axis=2).mean())
    white = float((rgb >= 255 - EXTREME).all(axis=2).mean())
    return black + white >= MIN_SHARE and min(black, white) >= MIN_OF_EACH
