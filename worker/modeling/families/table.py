"""Legs and a top: tables and stools from one view. The side is taken to look like the front."""

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.modeling.lofting import inside_intervals, loft, superellipse_form
from worker.modeling.shape_evidence import ShapeEvidence, ShapeProposal
from worker.modeling.voxel_grid import MARGIN, VoxelGrid

F32 = NDArray[np.float32]

LOW = 0.6  # of the height, from the floor: here a table has legs only
LEGS_SHARE = 0.45  # of the width that legs take at most
TOP_SHARE = 0.85  # of the width that a top takes at least
LEG_SHARE = 0.5  # rows that fill less of the width are legs
INSET = 0.06  # of the depth: how far legs stand from the edge


def propose(evidence: ShapeEvidence) -> ShapeProposal | None:
    front = evidence.lone_front
    if (
        front is None
        or not _has_legs(front)
        or row_fill(front)[-MARGIN - round(0.12 * evidence.grid.counts[1]) :].max() < TOP_SHARE
    ):
        return None
    field = loft(front, as_side_view(front, len(evidence.grid.z)), superellipse_form(4.0))
    return ShapeProposal(field=field, family="legs and a top", score=0.85, confidence=0.6)


def row_fill(front: F32) -> F32:
    """Each row's share of the whole width, from the floor up, margin included."""
    inside = front > 0
    return np.asarray(inside.sum(0) / max(1, inside.any(1).sum()), np.float32)


def _has_legs(front: F32) -> bool:
    """Whether what is near the floor is much narrower than the whole, with nothing as wide as a shelf."""
    shares = row_fill(front)[MARGIN:-MARGIN]
    low = shares[: round(LOW * len(shares))]
    return float(np.median(low)) < LEGS_SHARE and float(low.max()) < TOP_SHARE


def as_side_view(front: F32, count: int) -> F32:
    """The front outline drawn on the side's frame."""
    return np.asarray(cv2.resize(front, (front.shape[1], count), interpolation=cv2.INTER_LINEAR), np.float32)


def corner_legs(grid: VoxelGrid, front: F32, below: float) -> F32:
    """(1, ny, nz): legs at front and back, as deep as they are wide, in rows under the share `below` of the height that are
    mostly empty in the front view; no limit elsewhere."""
    count, depth = grid.counts[1], grid.counts[2]
    height, from_back = (np.arange(len(grid.y)) - MARGIN + 0.5) / count, np.arange(len(grid.z)) - MARGIN + 0.5
    out = np.full((1, len(grid.y), len(grid.z)), np.inf, np.float32)
    for row in np.flatnonzero((height < below) & (row_fill(front) < LEG_SHARE)):
        found = inside_intervals(front[:, row])
        if found:
            half = max(1.5, min(float(np.median([b - a for a, b in found])) / 2, depth / 5))
            middle = half + INSET * depth
            out[0, row] = half - np.minimum(np.abs(from_back - middle), np.abs(depth - from_back - middle))
    return out
