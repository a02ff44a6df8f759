"""Cabinets, shelves and other furniture from one view: the front extruded straight back, on legs at its
corners."""

import numpy as np

from worker.modeling.families.table import F32, corner_legs, row_fill
from worker.modeling.shape_evidence import ShapeEvidence, ShapeProposal

MAX_LEGS_TOP = 0.4  # share of the height


def propose(evidence: ShapeEvidence) -> ShapeProposal | None:
    """Propose a cabinet for furniture with a front view only."""
    front = evidence.lone_front
    if front is None or not evidence.mentions("furniture", "cabinet", "shelf", "storage", "sideboard"):
        return None
    field = np.minimum(
        evidence.hull, corner_legs(evidence.grid, front, MAX_LEGS_TOP) if _has_legs(front) else np.inf
    )
    return ShapeProposal(field=field.astype(np.float32), family="carcass", score=0.84, confidence=0.6)


def _has_legs(front: F32) -> bool:
    """Return whether narrow rows near the floor end where one body begins, unlike the posts of a shelf."""
    shares = row_fill(front)
    body = shares > 0.85
    rows = np.flatnonzero(shares > 0)
    return bool(len(rows) and body.any() and body[int(np.argmax(body)) : rows[-1] + 1].mean() > 0.8)
