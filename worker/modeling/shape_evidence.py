"""Evidence: what all views together say about the shape, on one grid; and a family's proposal of what they mean."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.modeling.voxel_grid import MARGIN, VoxelGrid

F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeEvidence:
    """Outlines as fields in cells, inside positive: front (nx, ny), side (nz, ny), top (nx, nz); None where no view tells.

    hull: (nx, ny, nz), what all views together allow. words: the product's category and material in lower case.
    """

    grid: VoxelGrid
    front: F32 | None
    side: F32 | None
    top: F32 | None
    hull: F32
    words: str

    @property
    def lone_front(self) -> F32 | None:
        """The front, when no side tells what is behind it; the top may show its outline."""
        return self.front if self.side is None else None

    def mentions(self, *words: str) -> bool:
        """Whether the product's category or material has one of the words."""
        return any(word in self.words for word in words)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeProposal:
    """A family's idea of the product.

    field: (nx, ny, nz) float32 in cells, inside positive; what lies beyond the hull is cut off afterwards.
    whole: whether all it leaves away of the outlines is meant, so that nothing is to be given back. claim: 0 to 1, how well the evidence
    fits the family. confidence: 0 to 1, how far a reviewer may trust the shape.
    """

    field: F32
    family: str
    score: float
    confidence: float
    is_complete: bool = False


def fill_ratio(outline: F32) -> float:
    """The outline's share of its box."""
    return float((outline[MARGIN:-MARGIN, MARGIN:-MARGIN] > 0).mean())


def iou(a: Any, b: Any) -> float:
    """Intersection over union of two masks."""
    return float((a & b).sum() / max(1, (a | b).sum()))
