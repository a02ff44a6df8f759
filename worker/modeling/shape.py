"""Shape: outlines become a field on a grid, by the family of shapes that the evidence fits best.

The method, its families and what was tried, with figures: docs/modeling.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dam_connector.domain.product import View
from worker.modeling.families import best_proposal
from worker.modeling.hull_cleanup import remove_phantoms
from worker.modeling.lofting import restore_outlines
from worker.modeling.outlines import Outline, ProductSize
from worker.modeling.shape_evidence import ShapeEvidence
from worker.modeling.voxel_grid import TOTAL_CELLS, VoxelGrid

F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """field: (nx, ny, nz) float32 in cells, inside positive, on `grid`; family and confidence as proposed."""

    field: F32
    grid: VoxelGrid
    family: str
    confidence: float


def build_shape(
    outlines: Mapping[View, Outline], size: ProductSize, words: str = "", cells: int = TOTAL_CELLS
) -> Shape:
    """The shape that the outlines tell; `outlines` holds at least one view. words: the product's category and material."""
    front, side, top = _front(outlines), _side(outlines), outlines.get(View.TOP)
    if front is None and side is not None:  # worked out as if the side were the front, then turned
        turned = build_shape(
            {View.FRONT: side.mirrored()} | ({View.TOP: top.transposed()} if top else {}),
            size.with_width_and_depth_swapped(),
            words,
            cells,
        )
        return replace(
            turned, field=np.ascontiguousarray(np.swapaxes(turned.field, 0, 2)), grid=VoxelGrid(size, cells)
        )
    evidence = _evidence(VoxelGrid(size, cells), front, side, top, words)
    proposal = best_proposal(evidence)
    field = np.minimum(proposal.field, evidence.hull)
    if not proposal.is_complete:
        seen = [
            axis
            for axis, outline in ((2, evidence.front), (0, evidence.side), (1, evidence.top))
            if outline is not None
        ]
        field = restore_outlines(field, evidence.hull, seen)
    return Shape(field=field, grid=evidence.grid, family=proposal.family, confidence=proposal.confidence)


def _evidence(
    grid: VoxelGrid, front: Outline | None, side: Outline | None, top: Outline | None, words: str
) -> ShapeEvidence:
    f = grid.front_distance(front) if front is not None else None
    s = grid.side_distance(side) if side is not None else None
    t = grid.top_distance(top) if top is not None else None
    hull = grid.box_distance()
    for outline in (
        f[:, :, None] if f is not None else None,
        s.T[None] if s is not None else None,
        t[:, None, :] if t is not None else None,
    ):
        if outline is not None:
            hull = np.minimum(hull, outline)
    if f is not None and s is not None:
        hull = remove_phantoms(hull, f, s, t)
    return ShapeEvidence(grid=grid, front=f, side=s, top=t, hull=hull, words=words.lower())


def _front(outlines: Mapping[View, Outline]) -> Outline | None:
    if View.FRONT in outlines:
        return outlines[View.FRONT]
    return outlines[View.BACK].mirrored() if View.BACK in outlines else outlines.get(View.HERO)


def _side(outlines: Mapping[View, Outline]) -> Outline | None:
    """The right view, image right being -Z; the left view mirrored is one."""
    if View.RIGHT in outlines:
        return outlines[View.RIGHT]
    return outlines[View.LEFT].mirrored() if View.LEFT in outlines else None
