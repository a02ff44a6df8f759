"""Grid: the cells that a shape is worked out on, and outlines laid onto them as distances.

A field is positive inside and counts in cells. The product's box is filled to its faces; `MARGIN` empty cells lie around it.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.modeling.outlines import Outline, ProductSize

F32 = NDArray[np.float32]

TOTAL_CELLS = 2_000_000  # in the product's box: about 126 a side for a cube
LONGEST = 288  # along one side, so that long thin products stay affordable
FEWEST = 20  # along one side, so that flat products keep a shape
MARGIN = 3
FINE = (
    4  # outlines are measured on this many times as many cells, so that they keep their place between cells
)
THIN = 7  # fine cells: parts narrower than this are widened by one cell, or smoothing would tear them


class VoxelGrid:
    """Cells over the product's box and a margin around it.

    counts: cells along width, height and depth within the box. step: their sizes in metres; cell: the largest of them.
    x, y, z: the cells' centres in metres, margin included, y from the floor.
    """

    def __init__(self, size: ProductSize, cells: int = TOTAL_CELLS) -> None:
        lengths = size.as_array().astype(float)
        wanted = max((lengths.prod() / cells) ** (1 / 3), lengths.max() / LONGEST)
        self.size = size
        self.counts = np.clip(np.round(lengths / wanted), FEWEST, LONGEST).astype(int)
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
        """The first cell's centre."""
        return np.array([self.x[0], self.y[0], self.z[0]], np.float32)

    def box_distance(self) -> F32:
        """Cells to the nearest face of the product's box."""
        x, y, z = (
            np.minimum(i + 0.5, n - i - 0.5).astype(np.float32)
            for n, i in ((n, np.arange(-MARGIN, n + MARGIN)) for n in self.counts)
        )
        return np.minimum(np.minimum(x[:, None, None], y[None, :, None]), z[None, None, :])

    def front_distance(self, seen: Outline) -> F32:
        """(nx, ny)."""
        return np.ascontiguousarray(_laid(seen, self.counts[0], self.counts[1])[::-1].T)

    def side_distance(self, seen: Outline) -> F32:
        """(nz, ny): from the right, image right is -Z."""
        return np.ascontiguousarray(_laid(seen, self.counts[2], self.counts[1])[::-1, ::-1].T)

    def top_distance(self, seen: Outline) -> F32:
        """(nx, nz): from above, image up is -Z, so rows run along +Z."""
        return np.ascontiguousarray(_laid(seen, self.counts[0], self.counts[2]).T)


def _laid(seen: Outline, columns: int, rows: int) -> F32:
    """Cells to the outline, (rows, columns) and the margin; row 0 is the top."""
    shrinking = seen.alpha.shape[1] > columns * FINE
    resized = cv2.resize(
        seen.alpha,
        (int(columns) * FINE, int(rows) * FINE),
        interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR,
    )
    inside = _thin_kept(np.pad((resized > 0.5).astype(np.uint8), MARGIN * FINE))
    signed = signed_distance(inside > 0)
    coarse = cv2.resize(
        signed, (int(columns) + 2 * MARGIN, int(rows) + 2 * MARGIN), interpolation=cv2.INTER_AREA
    )
    return np.asarray(coarse / FINE, np.float32)


def signed_distance(inside: NDArray[np.bool_]) -> F32:
    """Pixels to the outline, inside positive."""
    mask = inside.astype(np.uint8)
    away = cv2.distanceTransform(mask, cv2.DIST_L2, 5) - cv2.distanceTransform(1 - mask, cv2.DIST_L2, 5)
    return np.asarray(away - np.where(inside, 0.5, -0.5), np.float32)


def _thin_kept(inside: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Long parts narrower than THIN widened; mere corners, which opening takes too, are left."""
    opened = cv2.morphologyEx(
        inside, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (THIN, THIN))
    )
    _, labels, stats, _ = cv2.connectedComponentsWithStats(inside & (1 - opened), connectivity=8)
    long = (stats[:, cv2.CC_STAT_AREA] > 4 * THIN) & (
        np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]) > 1.5 * THIN
    )
    long[0] = False
    if not long.any():
        return inside
    return np.asarray(
        inside
        | cv2.dilate(long[labels].astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))),
        np.uint8,
    )
