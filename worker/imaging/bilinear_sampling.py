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
    rows = -(-len(points) // POINTS_PER_ROW)
    padded = np.zeros((rows * POINTS_PER_ROW, 2), np.float32)
    padded[: len(points)] = points
    values = cv2.remap(
        picture,
        padded.reshape(rows, POINTS_PER_ROW, 2),
        None,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(values, picture.dtype).reshape(rows * POINTS_PER_ROW, -1)[: len(points)]
