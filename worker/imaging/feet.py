"""Feet of a product that a camera sees from above: four low points of its outline that are a parallelogram.

The two rear feet of a chair or a stand are higher in the picture than the front ones. A handle ends high up
too; but only where a fourth foot is, the base is complete.
"""

from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

DROP = 0.03  # of the product's size: ground below a foot, and half the width in which it is the lowest
MAX_ERROR = 0.05  # of the size: how far the fourth foot may be from its place; perspective moves it
MIN_AREA = 0.05  # of the square of the size: a smaller parallelogram is no base
MAX_SLOPE = 1.2  # rows a column: a steeper side is the product's height
MAX_TIPS = 8  # more low points are leaves, coils or letters
Feet = tuple[
    tuple[float, float], ...
]  # column and row of the front foot, a side, the far one, the other side


def find_feet(mask: U8) -> Feet | None:
    """Return the four feet of a product seen from above; None where it does not show them.

    Args:
        mask: (h, w), 0 or 1, reduced and with an empty rim.
    """
    size = float(np.count_nonzero(mask.any(0)) * np.count_nonzero(mask.any(1))) ** 0.5
    tips = _low_points(mask, max(2, round(DROP * size)))
    if not 4 <= len(tips) <= MAX_TIPS:
        return None
    front = tips[int(tips[:, 1].argmax())]
    others = [tip for tip in tips if tip is not front and (tip != front).any()]
    best: Feet | None = None
    least = MAX_ERROR * size
    for one, other in combinations(others, 2):
        sides = one - front, other - front
        area = abs(float(sides[0][0] * sides[1][1] - sides[0][1] * sides[1][0]))
        if area < MIN_AREA * size**2 or any(abs(side[1]) > MAX_SLOPE * abs(side[0]) for side in sides):
            continue
        for far in others:
            error = float(np.hypot(*(far - (one + other - front))))
            if far is not one and far is not other and error < least:
                least = error
                best = tuple((float(x), float(y)) for x, y in (front, one, far, other))
    return best


def _low_points(mask: U8, reach: int) -> F32:
    """Return the points of the outline below which there is ground, one for each foot, (n, 2): x, y.

    Args:
        mask: (h, w), 0 or 1.
        reach: Rows of ground below, and columns to each side of it.
    """
    filled = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    padded = np.pad(filled, ((0, reach), (reach, reach)))
    # the product in the rows below each pixel: a maximum over a box that begins one row lower
    box = np.ones((reach, 2 * reach + 1), np.uint8)
    below = cv2.dilate(padded, box, anchor=(reach, 0))
    below = np.vstack([below[1:], np.zeros((1, below.shape[1]), np.uint8)])[: len(mask), reach:-reach]
    low = ((filled > 0) & (below == 0)).astype(np.uint8)
    # a slanting edge is a stair of pixels, each step a low point: near ones are one
    near = np.ones((2 * reach + 1, 4 * reach + 1), np.uint8)
    count, labels = cv2.connectedComponents(cv2.dilate(low, near))
    points = []
    for label in range(1, count):
        rows, columns = np.nonzero((labels == label) & (low > 0))
        lowest = columns[rows >= rows.max() - 1]
        points.append(((lowest.min() + lowest.max()) / 2, rows.max()))
    return np.array(points, np.float32).reshape(-1, 2)
