"""Inflation: what is left when one view tells nothing more: round at the rim, flat where it is wide."""

import numpy as np

from worker.modeling.shape_evidence import ShapeEvidence, ShapeProposal


def propose(evidence: ShapeEvidence) -> ShapeProposal | None:
    front, grid = evidence.front, evidence.grid
    if front is None:
        return ShapeProposal(field=evidence.hull, family="slab", score=0.1, confidence=0.4)
    half = grid.counts[2] / 2
    rim = min(half, max(float(front.max()), 1.0))
    thickness = half * np.sqrt(np.maximum(1 - (1 - np.clip(front / rim, 0, 1)) ** 2, 0))
    along = np.abs(np.arange(len(grid.z)) - (len(grid.z) - 1) / 2)
    field = np.minimum(front[:, :, None], thickness[:, :, None] - along[None, None])
    return ShapeProposal(field=field.astype(np.float32), family="inflation", score=0.2, confidence=0.45)
