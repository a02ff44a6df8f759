"""The lower outline of a product: where it meets the ground, and how steeply its base rises."""

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

WORKING_PX = 320  # longer side of the outline that is looked at
EMPTY_RIM = 2  # pixels around it
OUTLINE_EPSILON = 0.008  # of the product's size or width: how far a straight edge may be from the outline
MIN_EPSILON_PX = 0.75  # of the working size: the steps of pixels
MIN_EDGE = 0.22  # of the product's width: a shorter edge of the lower outline is a rounding
MIN_EDGE_SLOPE, MAX_EDGE_SLOPE = 0.05, 2.2  # rows a column: flatter is level, steeper is the product's side
MAX_LEG_SLOPE = 0.42  # the same between feet; a steeper edge goes to a part that hangs over
NEAR_LOWEST = 0.03  # of the product's size: how near to the lowest point a side of the base begins
GROUND_GAP = 0.035  # of the product's size: what is nearer to the ground line touches it
MAX_CORD = 0.09  # of the product's size: ropes are .03 to .08 thick; what stands, .10 and more
MAX_CORD_ASPECT = 2.2  # height to width: a taller thin thing is a lamp or a stand
# The product of the slopes of both sides is the squared sine of the camera's elevation: no photo of a level
# product has a steeper one.
MAX_CORNER = 0.6


class LowerOutline:
    """The lower outline of a mask, and the straight edges of its hull."""

    def __init__(self, mask: U8) -> None:
        self.mask = mask
        self.columns = np.flatnonzero(mask.any(0))
        self.bottom = mask.shape[0] - 1 - mask[::-1, self.columns].argmax(0)
        rows = np.flatnonzero(mask.any(1))
        self.width, self.height = len(self.columns), int(rows[-1] - rows[0]) + 1
        self.size = float(self.width * self.height) ** 0.5
        points = np.stack([self.columns, self.bottom], 1).astype(np.float32)
        hull = cv2.convexHull(points)
        epsilon = max(MIN_EPSILON_PX, OUTLINE_EPSILON * min(self.size, self.width))
        corners = cv2.approxPolyDP(hull, epsilon, closed=True)[:, 0]
        self.edges = self._lower_edges(corners)

    def _lower_edges(self, corners: F32) -> list[tuple[float, float, float, float]]:
        """Return the edges of the lower hull from left to right: x, row, x, row."""
        left, right = corners[corners[:, 0].argmin()], corners[corners[:, 0].argmax()]
        chord = left[1] + (corners[:, 0] - left[0]) / max(1.0, right[0] - left[0]) * (right[1] - left[1])
        lower = corners[corners[:, 1] >= chord - 1e-3]
        lower = lower[lower[:, 0].argsort(kind="stable")]
        return [(float(a[0]), float(a[1]), float(b[0]), float(b[1])) for a, b in pairwise(lower)]

    def sides(self) -> tuple[float, float]:
        """Return how steeply the base rises to the left and right of its nearest corner, 0 if it does not.

        A side is a long straight edge that begins near the lowest point. The product follows it, as a box
        does, or touches it at its end, as the back legs of a chair do.
        """
        found = {-1: 0.0, 1: 0.0}
        lowest = max(y for edge in self.edges for y in (edge[1], edge[3])) if self.edges else 0.0
        for x0, y0, x1, y1 in self.edges:
            slope, length = (y1 - y0) / max(1.0, x1 - x0), x1 - x0
            begins = max(y0, y1) >= lowest - NEAR_LOWEST * self.size
            if length < MIN_EDGE * self.width or not begins or abs(slope) < MIN_EDGE_SLOPE:
                continue
            limit = MAX_EDGE_SLOPE if self.is_followed(x0, y0, x1, y1) else MAX_LEG_SLOPE
            if abs(slope) <= limit:
                side = 1 if slope < 0 else -1
                found[side] = max(found[side], abs(slope))
        return found[-1], found[1]

    def is_followed(self, x0: float, y0: float, x1: float, y1: float) -> bool:
        """Return whether the product's lower outline lies along an edge of its hull."""
        inside = (self.columns >= x0) & (self.columns <= x1)
        rows = y0 + (self.columns[inside] - x0) * (y1 - y0) / max(1.0, x1 - x0)
        return float(np.mean(rows - self.bottom[inside])) <= GROUND_GAP * self.size

    def is_cord(self) -> bool:
        """Return whether the product is thin all over, as a rope or a cable is, and not as tall as a lamp."""
        contours, _ = cv2.findContours(self.mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        outline = sum(cv2.arcLength(contour, closed=True) for contour in contours)
        thickness = 2 * float(self.mask.sum()) / max(1.0, outline)
        return thickness < MAX_CORD * self.size and self.height < MAX_CORD_ASPECT * self.width

    def base_slope(self) -> float:
        """Return how steeply, in rows a column, a base rises of which both sides are seen; 0 if they are not.

        A level base that is seen so steeply shows both of its sides, and the product follows both.
        """
        left, right = self.sides()
        return max(left, right) if 0 < left * right <= MAX_CORNER else 0.0


def reduced_mask(alpha: U8) -> U8:
    """Return a mask, 0 or 1, at the size at which outlines are looked at, with an empty rim."""
    scale = min(1.0, WORKING_PX / max(alpha.shape))
    size = (max(1, round(alpha.shape[1] * scale)), max(1, round(alpha.shape[0] * scale)))
    mask = (cv2.resize(alpha, size, interpolation=cv2.INTER_AREA) > 127).astype(np.uint8)
    rim = (EMPTY_RIM,) * 4
    return np.asarray(cv2.copyMakeBorder(mask, *rim, cv2.BORDER_CONSTANT, value=0), np.uint8)
