"""Pictures and planes: arithmetic plane by plane, since numpy takes twice as long along a last axis of three."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]


def times(picture: F32, plane: F32) -> F32:
    """A picture, (h, w, 3), each pixel times its value in the plane, (h, w)."""
    return np.asarray(cv2.multiply(picture, cv2.merge([plane] * 3)), np.float32) if plane.size else picture


def coloured(plane: F32, colour: Sequence[float | F32]) -> F32:
    """A plane, (h, w), in a colour, (h, w, 3)."""
    return np.asarray(cv2.merge([np.asarray(plane * np.asarray(c, np.float32), np.float32) for c in colour]), np.float32)
