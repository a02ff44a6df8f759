"""The product's shape from its outlines, as a signed distance field, by the family of shapes that fits best.

Method and families: docs/modeling.md and docs/lab/modeling-method.md. Attempts: docs/lab/modeling.md.
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
from worker.modeling.protrusions import Outlines, lab_on_cells, split_protrusions
from worker.modeling.shape_evidence import ShapeEvidence
from worker.modeling.voxel_grid import TOTAL_CELLS, VoxelGrid

F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A solid as a signed distance field."""

    field: F32  # (nx, ny, nz), in cells, positive inside
    grid: VoxelGrid  # that the field lies on
    family: str  # the name of the family that proposed it
    confidence: float  # 0 to 1


def build_shape(
    outlines: Mapping[View, Outline], size: ProductSize, words: str = "", cells: int = TOTAL_CELLS
) -> Shape:
    """Return the shape that the outlines show.

    Args:
        outlines: At least one view, orthographic.
        size: The product's size.
        words: The product's name, category and material.
        cells: How many cells the grid has.
    """
    front, side, top = _front_outline(outlines), _side_outline(outlines), outlines.get(View.TOP)
    if front is None and side is not None:  # compute it as if the side were the front, then exchange the axes
        exchanged = build_shape(
            {View.FRONT: side.mirrored()} | ({View.TOP: top.transposed()} if top else {}),
            size.with_width_and_depth_swapped(),
            words,
            cells,
        )
        return replace(
            exchanged,
            field=np.ascontiguousarray(np.swapaxes(exchanged.field, 0, 2)),
            grid=VoxelGrid(size, cells),
        )
    evidence, protrusions = _evidence(VoxelGrid(size, cells), front, side, top, words)
    proposal = best_proposal(evidence)
    field = np.minimum(proposal.field, evidence.hull)
    if not proposal.is_complete:
        axes = [
            axis
            for axis, field_2d in ((2, evidence.front), (0, evidence.side), (1, evidence.top))
            if field_2d is not None
        ]
        field = restore_outlines(field, evidence.hull, axes)
    if protrusions is not None:
        field = np.maximum(field, protrusions)
    return Shape(field=field, grid=evidence.grid, family=proposal.family, confidence=proposal.confidence)


def _evidence(
    grid: VoxelGrid, front: Outline | None, side: Outline | None, top: Outline | None, words: str
) -> tuple[ShapeEvidence, F32 | None]:
    """Return the evidence about the body, and the field of small parts that stick out of it, if there are."""
    front_field = grid.front_distance(front) if front is not None else None
    side_field = grid.side_distance(side) if side is not None else None
    top_field = grid.top_distance(top) if top is not None else None
    protrusions = None
    if front is not None and front_field is not None and side_field is not None:
        given = Outlines(front=front_field, side=side_field, top=top_field)
        body, protrusions = split_protrusions(given, lab_on_cells(front.rgb, front_field.shape))
        front_field, side_field, top_field = body.front, body.side, body.top
    hull = grid.box_distance()
    for outline in (
        front_field[:, :, None] if front_field is not None else None,
        side_field.T[None] if side_field is not None else None,
        top_field[:, None, :] if top_field is not None else None,
    ):
        if outline is not None:
            hull = np.minimum(hull, outline)
    if front_field is not None and side_field is not None:
        hull = remove_phantoms(hull, front_field, side_field, top_field)
    evidence = ShapeEvidence(
        grid=grid, front=front_field, side=side_field, top=top_field, hull=hull, words=words.lower()
    )
    return evidence, protrusions


def _front_outline(outlines: Mapping[View, Outline]) -> Outline | None:
    if View.FRONT in outlines:
        return outlines[View.FRONT]
    return outlines[View.BACK].mirrored() if View.BACK in outlines else outlines.get(View.HERO)


def _side_outline(outlines: Mapping[View, Outline]) -> Outline | None:
    """Return the right view, or the left view mirrored."""
    if View.RIGHT in outlines:
        return outlines[View.RIGHT]
    return outlines[View.LEFT].mirrored() if View.LEFT in outlines else None
