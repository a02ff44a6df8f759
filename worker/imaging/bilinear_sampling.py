"""Bilinear sampling of a picture at many points."""

from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Level = TypeVar("Level", np.uint8, np.float32)

POINTS_PER_ROW = 4096  # OpenCV's remap takes pictures of less than 32768 pixels a side


def sample_bilinear(picture: NDArray[Level], points: F32) -> NDArray[Level]:
    """Return the values of a picture, (n, c), at points between its pixels.

    Args:
        picture: (h, w, c).
        points: (n, 2), x to the right and y down, in pixels. Points outside get the nearest border value.
    """
    return sample_places(picture, points[:, 0], points[:, 1])


def sample_places(picture: NDArray[Level], columns: F32, rows: F32) -> NDArray[Level]:
    """Return the values of a picture as `sample_bilinear`; the places are given as x (n,) and y (n,)."""
    count = len(columns)
    padded = np.zeros((2, -(-count // POINTS_PER_ROW), POINTS_PER_ROW), np.float32)
    for filled, given in zip(padded.reshape(2, -1), (columns, rows), strict=True):
        filled[:count] = given
    values = cv2.remap(picture, padded[0], padded[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(values, picture.dtype).reshape(padded[0].size, -1)[:count]
