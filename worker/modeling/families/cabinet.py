"""Carcass: cabinets, shelves and other furniture from one view: the front led straight back, on legs at its corners."""

import numpy as np

from worker.modeling.families.table import F32, corner_legs, row_fill
from worker.modeling.shape_evidence import ShapeEvidence, ShapeProposal

LEGS_BELOW = 0.4  # of the height


def propose(evidence: ShapeEvidence) -> ShapeProposal | None:
    front = evidence.lone_front
    if front is None or not evidence.mentions("furniture", "cabinet", "shelf", "storage", "sideboard"):
        return None
    field = np.minimum(
        evidence.hull, corner_legs(evidence.grid, front, LEGS_BELOW) if _stands_on_legs(front) else np.inf
    )
    return ShapeProposal(field=field.astype(np.float32), family="carcass", score=0.84, confidence=0.6)


def _stands_on_legs(front: F32) -> bool:
    """Whether what is near the floor is narrow up to where one body begins, unlike a shelf whose posts go on."""
    shares = row_fill(front)
    body = shares > 0.85
    rows = np.flatnonzero(shares > 0)
    return bool(len(rows) and body.any() and body[int(np.argmax(body)) : rows[-1] + 1].mean() > 0.8)
