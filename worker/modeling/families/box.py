"""Boxes from one view that fills its frame: flat faces all around."""

import numpy as np

from worker.modeling.families.revolved import ROUND_WORDS
from worker.modeling.shape_evidence import ShapeEvidence, ShapeProposal, fill_ratio

SOFT_WORDS = ("cushion", "pillow", "textile", "bedding", "bag")
MIN_FILL_RATIO = 0.96  # of the frame; rounded corners take less away


def propose(evidence: ShapeEvidence) -> ShapeProposal | None:
    """Propose a box if the only outlines fill their frames."""
    front = evidence.lone_front
    if (
        front is None
        or fill_ratio(front) < MIN_FILL_RATIO
        or evidence.mentions(*ROUND_WORDS, *SOFT_WORDS)
        or (evidence.top is not None and fill_ratio(evidence.top) < MIN_FILL_RATIO)
    ):
        return None
    return ShapeProposal(
        field=np.broadcast_to(front[:, :, None], evidence.grid.shape),
        family="box",
        score=0.95,
        confidence=0.8,
    )
