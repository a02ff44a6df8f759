"""The evidence of all views about a shape, on one grid, and what a family of shapes proposes from it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.modeling.voxel_grid import MARGIN, VoxelGrid

F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeEvidence:
    """The outlines as signed distances in cells, positive inside; None where there is no such view."""

    grid: VoxelGrid
    front: F32 | None  # (nx, ny)
    side: F32 | None  # (nz, ny), from the right
    top: F32 | None  # (nx, nz)
    hull: F32  # (nx, ny, nz), the visual hull: what all views together allow
    words: str  # the product's name, category and material in lower case

    @property
    def lone_front(self) -> F32 | None:
        """Return the front outline where no side view shows the depth behind it; there may be a top view."""
        return self.front if self.side is None else None

    def mentions(self, *words: str) -> bool:
        """Return whether the product's description contains one of the words."""
        return any(word in self.words for word in words)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeProposal:
    """The shape that a family proposes."""

    field: (
        F32  # (nx, ny, nz) signed distance in cells, positive inside; the hull is intersected with it later
    )
    family: str  # the family's name for people, e.g. "turned with parts"
    score: float  # 0 to 1, how well the evidence fits the family
    confidence: float  # 0 to 1, how far a reviewer can trust the shape
    is_complete: bool = False  # whether parts of the outlines that the field lacks are left out on purpose


def fill_ratio(outline: F32) -> float:
    """Return the share of its bounding box that an outline fills."""
    return float((outline[MARGIN:-MARGIN, MARGIN:-MARGIN] > 0).mean())


def iou(a: Any, b: Any) -> float:
    """Return the intersection over union of two masks, 0 to 1."""
    return float((a & b).sum() / max(1, (a | b).sum()))
