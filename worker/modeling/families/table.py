"""Tables and stools from one view: legs and a top. The side is assumed to look like the front."""

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.modeling.lofting import column_intervals, loft, superellipse_form
from worker.modeling.shape_evidence import ShapeEvidence, ShapeProposal
from worker.modeling.voxel_grid import MARGIN, VoxelGrid

F32 = NDArray[np.float32]

LOWER_PART = 0.6  # share of the height, from the floor, in which a table has legs only
MAX_LEGS_FILL = 0.45  # median share of the width that legs take
MIN_TOP_FILL = 0.85  # share of the width that a top takes
MAX_LEG_ROW_FILL = 0.5  # rows that fill less of the width are legs
SAME_SIDES = 0.03  # relative difference of width and depth: such tops are as often round as square
CORNER_SHARE = 0.06  # of the width: legs so near to the sides need the corners of a square top
SQUARE_EXPONENT, ROUND_EXPONENT = 12.0, 2.0  # of the superellipse that the top is from above
MAX_EXPONENT = 24.0  # of a top whose corners legs reach
MIN_CORNER_REACH = 0.5  # of half the width: legs farther inside stand under any top
INSET = 0.06  # share of the depth, from the edge to the legs


def propose(evidence: ShapeEvidence) -> ShapeProposal | None:
    """Propose a table if the front has legs below and a wide top."""
    front = evidence.lone_front
    if (
        front is None
        or not _has_legs(front)
        or row_fill(front)[-MARGIN - round(0.12 * evidence.grid.counts[1]) :].max() < MIN_TOP_FILL
    ):
        return None
    exponent = ROUND_EXPONENT
    if has_corners(front, evidence.grid):
        exponent = corner_exponent(front, evidence.grid, SQUARE_EXPONENT)
    field = loft(front, as_side_view(front, len(evidence.grid.z)), superellipse_form(exponent))
    return ShapeProposal(field=field, family="legs and a top", score=0.85, confidence=0.6)


def has_corners(front: F32, grid: VoxelGrid) -> bool:
    """Return whether a table's top is a rectangle: sides of different length, or legs under its corners."""
    if abs(grid.size.width / grid.size.depth - 1) > SAME_SIDES:
        return True
    return _leg_inset(front, grid) < CORNER_SHARE


def corner_exponent(front: F32, grid: VoxelGrid, least: float) -> float:
    """Return the exponent of the smallest superellipse that covers legs at its corners, or `least`."""
    reach = min(1 - 2 * _leg_inset(front, grid), 1 - 1e-3)
    if reach < MIN_CORNER_REACH:
        return least
    return float(np.clip(np.log(2) / -np.log(reach), least, MAX_EXPONENT))


def _leg_inset(front: F32, grid: VoxelGrid) -> float:
    """Return how far the outer legs are from the sides, as a share of the width; 1 without legs."""
    columns = np.flatnonzero((front > 0).any(1))
    low = front[:, MARGIN : MARGIN + round(LOWER_PART * grid.counts[1])] > 0
    legs = np.flatnonzero(low.mean(1) > 0.5)
    if not len(legs):
        return 1.0
    return float(min(legs[0] - columns[0], columns[-1] - legs[-1]) / len(columns))


def row_fill(front: F32) -> F32:
    """Return the share of the whole width that each row fills, from the floor up, margin included, (ny,)."""
    inside = front > 0
    return np.asarray(inside.sum(0) / max(1, inside.any(1).sum()), np.float32)


def _has_legs(front: F32) -> bool:
    """Return whether the lower part is much narrower than the whole, without anything as wide as a shelf."""
    shares = row_fill(front)[MARGIN:-MARGIN]
    low = shares[: round(LOWER_PART * len(shares))]
    return float(np.median(low)) < MAX_LEGS_FILL and float(low.max()) < MIN_TOP_FILL


def as_side_view(front: F32, count: int) -> F32:
    """Return the front outline resized to the `count` cells of the side view, (count, ny)."""
    return np.asarray(cv2.resize(front, (front.shape[1], count), interpolation=cv2.INTER_LINEAR), np.float32)


def corner_legs(grid: VoxelGrid, front: F32, below: float, max_fill: float = MAX_LEG_ROW_FILL) -> F32:
    """Return the signed distance along the depth to legs at front and back, as deep as they are wide.

    Args:
        grid: The grid.
        front: (nx, ny) the front outline.
        below: Share of the height up to which rows that are mostly empty in the front view contain legs.
        max_fill: Share of the width that such rows fill at most.

    Returns:
        (1, ny, nz); infinite in the other rows.
    """
    count, depth = grid.counts[1], grid.counts[2]
    height, from_back = (np.arange(len(grid.y)) - MARGIN + 0.5) / count, np.arange(len(grid.z)) - MARGIN + 0.5
    distance = np.full((1, len(grid.y), len(grid.z)), np.inf, np.float32)
    fill = row_fill(front)
    rows = np.flatnonzero((height < below) & (fill < max_fill) & (fill > 0))
    widths = [np.median([b - a for a, b in found]) for found in column_intervals(front[:, rows])]
    is_bar = fill[rows] >= MAX_LEG_ROW_FILL  # between legs, and as thick as they are
    usual = float(np.median(np.array(widths)[~is_bar])) if (~is_bar).any() else 2.0
    for row, width, bar in zip(rows, widths, is_bar, strict=True):
        half = max(1.5, min((usual if bar else float(width)) / 2, depth / 5))
        middle = half + INSET * depth
        distance[0, row] = half - np.minimum(np.abs(from_back - middle), np.abs(depth - from_back - middle))
    return distance
