"""Inflation, for one view that fits no other family: round at the rim, flat where the outline is wide.

A part is as deep as it is wide beside the widest part, so rods stay rods.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.modeling.shape_evidence import ShapeEvidence, ShapeProposal

F32 = NDArray[np.float32]

RADII = 10  # sizes of parts that are told apart
THIN_EXPONENT = 0.7  # how the depth of a part follows its width; 0: all parts are as deep as the widest
MIN_HALF_CELLS = 1.3  # so that thin parts stay whole


def propose(evidence: ShapeEvidence) -> ShapeProposal | None:
    """Propose the front outline inflated; a slab if there is no front."""
    front, grid = evidence.front, evidence.grid
    if front is None:
        return ShapeProposal(field=evidence.hull, family="slab", score=0.1, confidence=0.4)
    half = grid.counts[2] / 2
    radii = part_radii(front)
    part_half = np.maximum(half * (radii / radii.max()) ** THIN_EXPONENT, MIN_HALF_CELLS)
    rim_depth = np.minimum(part_half, np.maximum(radii, 1.0))
    thickness = part_half * np.sqrt(np.maximum(1 - (1 - np.clip(front / rim_depth, 0, 1)) ** 2, 0))
    from_middle = np.abs(np.arange(len(grid.z)) - (len(grid.z) - 1) / 2)
    field = np.minimum(front[:, :, None], thickness[:, :, None] - from_middle[None, None])
    return ShapeProposal(field=field.astype(np.float32), family="inflation", score=0.2, confidence=0.45)


def part_radii(front: F32) -> F32:
    """Return for each cell the radius of the largest disc within the outline that covers it, in cells."""
    widest = max(float(front.max()), 1.0)
    radii = np.minimum(np.full(front.shape, 1.0, np.float32), widest)
    for radius in np.geomspace(1.0, widest * 0.98, RADII):
        centres = (front < radius).astype(np.uint8)
        near = cv2.distanceTransform(centres, cv2.DIST_L2, 5) < radius
        radii[near] = radius
    return cv2.GaussianBlur(radii, (0, 0), 1.0)
