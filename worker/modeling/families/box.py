"""Box: one view that fills its frame; flat faces all around."""

import numpy as np

from worker.modeling.families.revolved import ROUND
from worker.modeling.shape_evidence import Evidence, Proposal, fill

SOFT = ("cushion", "pillow", "textile", "bedding", "bag")
FULL = 0.96  # of the frame; a rounded edge takes less


def propose(evidence: Evidence) -> Proposal | None:
    seen = evidence.single
    if (
        seen is None
        or fill(seen) < FULL
        or evidence.says(*ROUND, *SOFT)
        or (evidence.top is not None and fill(evidence.top) < FULL)
    ):
        return None
    return Proposal(
        field=np.broadcast_to(seen[:, :, None], evidence.grid.shape), family="box", claim=0.95, confidence=0.8
    )
