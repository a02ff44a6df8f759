"""Shoes from their side: the sole of a last, and an upper that narrows towards the opening."""

import numpy as np
from numpy.typing import NDArray

from worker.modeling.shape_evidence import ShapeEvidence, ShapeProposal

F32 = NDArray[np.float32]

SHOE_WORDS = ("footwear", "shoe", "sneaker", "boot", "sandal")
# A last's half width along its length, heel to toe, as shares of the widest.
_LAST_HALF_WIDTHS = np.array(
    [
        (0, 0.35),
        (0.06, 0.62),
        (0.2, 0.72),
        (0.4, 0.7),
        (0.55, 0.82),
        (0.7, 1.0),
        (0.82, 0.97),
        (0.92, 0.75),
        (1, 0.3),
    ]
)
TAPER = 0.45  # how much narrower the upper is at the opening than the sole


def propose(evidence: ShapeEvidence) -> ShapeProposal | None:
    """Propose a shoe for footwear seen from the side, without a top view."""
    front, grid = evidence.front, evidence.grid
    if (
        front is None
        or evidence.top is not None
        or not evidence.mentions(*SHOE_WORDS)
        or grid.size.width < 1.3 * grid.size.depth
    ):
        return None
    inside = front > 0
    heights = inside.sum(1).astype(float)
    columns = np.flatnonzero(heights)
    position = (np.arange(len(heights)) - columns[0]) / max(1, columns[-1] - columns[0])
    toe_right = (heights * position).sum() < 0.5 * heights.sum()  # the ankle is the higher end
    along = position if toe_right else 1 - position
    half_width = np.interp(along, _LAST_HALF_WIDTHS[:, 0], _LAST_HALF_WIDTHS[:, 1]) * grid.counts[2] / 2
    rise = np.clip((grid.y / grid.size.height)[None], 0, 1)  # (1, ny)
    half_width = half_width[:, None] * (1 - TAPER * rise**1.3)
    rim_distance = np.minimum(1, np.maximum(front, 0) / (0.12 * grid.counts[1]))  # rounds the upper's edge
    rim_factor = np.sqrt(np.maximum(1 - (1 - rim_distance) ** 2, 0)) * 0.5 + 0.5
    from_middle = np.abs(np.arange(len(grid.z)) - (len(grid.z) - 1) / 2)
    field = np.minimum(front[:, :, None], (half_width * rim_factor)[:, :, None] - from_middle[None, None])
    return ShapeProposal(field=field.astype(np.float32), family="shoe", score=0.88, confidence=0.6)
