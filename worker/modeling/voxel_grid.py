"""The voxel grid that shapes are computed on, and the signed distances of outlines on it.

A field is a signed distance in cells, positive inside. The product's box fills the grid except for `MARGIN`
empty cells on each side.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.modeling.outlines import Outline, ProductSize

F32 = NDArray[np.float32]

TOTAL_CELLS = 2_000_000  # in the product's box: about 126 a side for a cube
MAX_CELLS_PER_SIDE = 288  # so that long thin products stay affordable
MIN_CELLS_PER_SIDE = 20  # so that flat products keep a shape
MARGIN = 3  # empty cells on each side of the product's box
OVERSAMPLING = 4  # fine cells to a cell; outlines are measured on these, so that they keep their place
THIN_FINE_CELLS = 7  # parts narrower than this are widened by one cell, or smoothing would tear them
GAP_FINE_CELLS = 5  # gaps narrower than this are closed: a fringe, a mesh


class VoxelGrid:
    """Cells over the product's box and a margin around it.

    Attributes:
        size: The product's size.
        counts: (3,) cells along width, height and depth within the box.
        step: (3,) the size of a cell in metres.
        cell: The largest of `step`.
        x, y, z: The centres of the cells in metres, margin included; y is 0 at the floor.
        shape: The lengths of x, y and z.
    """

    def __init__(self, size: ProductSize, cells: int = TOTAL_CELLS) -> None:
        """Lay about `cells` cells over a box of `size`."""
        lengths = size.as_array().astype(float)
        cell_size = max((lengths.prod() / cells) ** (1 / 3), lengths.max() / MAX_CELLS_PER_SIDE)
        self.size = size
        self.counts = np.clip(np.round(lengths / cell_size), MIN_CELLS_PER_SIDE, MAX_CELLS_PER_SIDE).astype(
            int
        )
        self.step = lengths / self.counts
        self.cell = float(self.step.max())
        self.x, self.y, self.z = (
            np.asarray((np.arange(n + 2 * MARGIN) - (n + 2 * MARGIN - 1) / 2) * step, np.float32)
            for n, step in zip(self.counts, self.step, strict=True)
        )
        self.y += np.float32(size.height / 2)
        self.shape = (len(self.x), len(self.y), len(self.z))

    @property
    def origin(self) -> F32:
        """Return the centre of the first cell, (3,) metres."""
        return np.array([self.x[0], self.y[0], self.z[0]], np.float32)

    def box_distance(self) -> F32:
        """Return the signed distance to the product's box, (nx, ny, nz)."""
        x, y, z = (
            np.minimum(i + 0.5, n - i - 0.5).astype(np.float32)
            for n, i in ((n, np.arange(-MARGIN, n + MARGIN)) for n in self.counts)
        )
        return np.minimum(np.minimum(x[:, None, None], y[None, :, None]), z[None, None, :])

    def front_distance(self, outline: Outline) -> F32:
        """Return the signed distance to a front outline, (nx, ny)."""
        return np.ascontiguousarray(_outline_distance(outline, self.counts[0], self.counts[1])[::-1].T)

    def side_distance(self, outline: Outline) -> F32:
        """Return the signed distance to an outline from the right, (nz, ny); picture right is -Z."""
        return np.ascontiguousarray(_outline_distance(outline, self.counts[2], self.counts[1])[::-1, ::-1].T)

    def top_distance(self, outline: Outline) -> F32:
        """Return the signed distance to an outline from above, (nx, nz); picture up is -Z."""
        return np.ascontiguousarray(_outline_distance(outline, self.counts[0], self.counts[2]).T)


def _outline_distance(outline: Outline, columns: int, rows: int) -> F32:
    """Return the signed distance in cells to an outline: (rows, columns) and the margin, top row first."""
    shrinking = outline.alpha.shape[1] > columns * OVERSAMPLING
    resized = cv2.resize(
        outline.alpha,
        (int(columns) * OVERSAMPLING, int(rows) * OVERSAMPLING),
        interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR,
    )
    mask = np.pad((resized > 0.5).astype(np.uint8), MARGIN * OVERSAMPLING)
    gap = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (GAP_FINE_CELLS, GAP_FINE_CELLS))
    inside = _widen_thin_parts(np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, gap), np.uint8))
    signed = signed_distance(inside > 0)
    coarse = cv2.resize(
        signed, (int(columns) + 2 * MARGIN, int(rows) + 2 * MARGIN), interpolation=cv2.INTER_AREA
    )
    return np.asarray(coarse / OVERSAMPLING, np.float32)


def signed_distance(inside: NDArray[np.bool_]) -> F32:
    """Return the signed distance in pixels to the border of a mask, positive inside."""
    mask = inside.astype(np.uint8)
    distance = cv2.distanceTransform(mask, cv2.DIST_L2, 5) - cv2.distanceTransform(1 - mask, cv2.DIST_L2, 5)
    return np.asarray(distance - np.where(inside, 0.5, -0.5), np.float32)


def _widen_thin_parts(inside: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a mask with long narrow parts widened; corners, which opening removes too, stay as they are."""
    without_thin = cv2.morphologyEx(
        inside,
        cv2.MORPH_OPEN,
        cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (THIN_FINE_CELLS, THIN_FINE_CELLS)),
    )
    _, labels, stats, _ = cv2.connectedComponentsWithStats(inside & (1 - without_thin), connectivity=8)
    is_long = (stats[:, cv2.CC_STAT_AREA] > 4 * THIN_FINE_CELLS) & (
        np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]) > 1.5 * THIN_FINE_CELLS
    )
    is_long[0] = False
    if not is_long.any():
        return inside
    return np.asarray(
        inside
        | cv2.dilate(is_long[labels].astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))),
        np.uint8,
    )
