"""Inflation, for one view that fits no other family: round at the rim, flat where the outline is wide."""

import numpy as np

from worker.modeling.shape_evidence import ShapeEvidence, ShapeProposal


def propose(evidence: ShapeEvidence) -> ShapeProposal | None:
    """Propose the front outline inflated; a slab if there is no front."""
    front, grid = evidence.front, evidence.grid
    if front is None:
        return ShapeProposal(field=evidence.hull, family="slab", score=0.1, confidence=0.4)
    half = grid.counts[2] / 2
    rim_depth = min(half, max(float(front.max()), 1.0))
    thickness = half * np.sqrt(np.maximum(1 - (1 - np.clip(front / rim_depth, 0, 1)) ** 2, 0))
    from_middle = np.abs(np.arange(len(grid.z)) - (len(grid.z) - 1) / 2)
    field = np.minimum(front[:, :, None], thickness[:, :, None] - from_middle[None, None])
    return ShapeProposal(field=field.astype(np.float32), family="inflation", score=0.2, confidence=0.45)
