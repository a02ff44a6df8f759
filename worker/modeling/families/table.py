"""Legs and a top: tables and stools from one view. The side is taken to look like the front."""

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.modeling.lofting import runs, superellipse, swept
from worker.modeling.shape_evidence import Evidence, Proposal
from worker.modeling.voxel_grid import MARGIN, Grid

F32 = NDArray[np.float32]

LOW = 0.6  # of the height, from the floor: here a table has legs only
LEGS_SHARE = 0.45  # of the width that legs take at most
TOP_SHARE = 0.85  # of the width that a top takes at least
LEG_SHARE = 0.5  # rows that fill less of the width are legs
INSET = 0.06  # of the depth: how far legs stand from the edge


def propose(evidence: Evidence) -> Proposal | None:
    front = evidence.single
    if (
        front is None
        or not _has_legs(front)
        or row_shares(front)[-MARGIN - round(0.12 * evidence.grid.counts[1]) :].max() < TOP_SHARE
    ):
        return None
    field = swept(front, as_side(front, len(evidence.grid.z)), superellipse(4.0))
    return Proposal(field=field, family="legs and a top", claim=0.85, confidence=0.6)


def row_shares(front: F32) -> F32:
    """Each row's share of the whole width, from the floor up, margin included."""
    inside = front > 0
    return np.asarray(inside.sum(0) / max(1, inside.any(1).sum()), np.float32)


def _has_legs(front: F32) -> bool:
    """Whether what is near the floor is much narrower than the whole, with nothing as wide as a shelf."""
    shares = row_shares(front)[MARGIN:-MARGIN]
    low = shares[: round(LOW * len(shares))]
    return float(np.median(low)) < LEGS_SHARE and float(low.max()) < TOP_SHARE


def as_side(front: F32, count: int) -> F32:
    """The front outline drawn on the side's frame."""
    return np.asarray(cv2.resize(front, (front.shape[1], count), interpolation=cv2.INTER_LINEAR), np.float32)


def on_legs(grid: Grid, front: F32, below: float) -> F32:
    """(1, ny, nz): legs at front and back, as deep as they are wide, in rows under the share `below` of the height that are
    mostly empty in the front view; no limit elsewhere."""
    count, depth = grid.counts[1], grid.counts[2]
    height, from_back = (np.arange(len(grid.y)) - MARGIN + 0.5) / count, np.arange(len(grid.z)) - MARGIN + 0.5
    out = np.full((1, len(grid.y), len(grid.z)), np.inf, np.float32)
    for row in np.flatnonzero((height < below) & (row_shares(front) < LEG_SHARE)):
        found = runs(front[:, row])
        if found:
            half = max(1.5, min(float(np.median([b - a for a, b in found])) / 2, depth / 5))
            middle = half + INSET * depth
            out[0, row] = half - np.minimum(np.abs(from_back - middle), np.abs(depth - from_back - middle))
    return out
