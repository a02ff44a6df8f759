"""Box: one view that fills its frame; flat faces all around."""

import numpy as np

from worker.modeling.families.revolved import ROUND_WORDS
from worker.modeling.shape_evidence import ShapeEvidence, ShapeProposal, fill_ratio

SOFT = ("cushion", "pillow", "textile", "bedding", "bag")
FULL = 0.96  # of the frame; a rounded edge takes less


def propose(evidence: ShapeEvidence) -> ShapeProposal | None:
    seen = evidence.lone_front
    if (
        seen is None
        or fill_ratio(seen) < FULL
        or evidence.mentions(*ROUND_WORDS, *SOFT)
        or (evidence.top is not None and fill_ratio(evidence.top) < FULL)
    ):
        return None
    return ShapeProposal(
        field=np.broadcast_to(seen[:, :, None], evidence.grid.shape), family="box", score=0.95, confidence=0.8
    )
