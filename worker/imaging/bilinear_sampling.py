"""Sampling: what a picture shows at many places."""

from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Level = TypeVar("Level", np.uint8, np.float32)

AT_ONCE = 4096  # places in a row: OpenCV takes pictures of less than 32768 pixels a side


def sample_bilinear(picture: NDArray[Level], points: F32) -> NDArray[Level]:
    """The values (n, c) of a picture (h, w, c) at places (n, 2), right and down in pixels, between pixels too; beyond its rim those at the rim."""
    rows = -(-len(points) // AT_ONCE)
    padded = np.zeros((rows * AT_ONCE, 2), np.float32)
    padded[: len(points)] = points
    found = cv2.remap(
        picture, padded.reshape(rows, AT_ONCE, 2), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(found, picture.dtype).reshape(rows * AT_ONCE, -1)[: len(points)]
