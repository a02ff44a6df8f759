"""Families of shapes: each file proposes a whole shape from the evidence, and how well the evidence fits.

The proposal with the highest score is built. A new family is a file with a `propose` function and a line in
`FAMILIES`.
"""

from collections.abc import Callable

from worker.modeling.families import (
    box,
    cabinet,
    equal_sides,
    inflation,
    panel,
    revolved,
    rounded_hull,
    seating,
    shoe,
    table,
)
from worker.modeling.shape_evidence import ShapeEvidence, ShapeProposal

FAMILIES: tuple[Callable[[ShapeEvidence], ShapeProposal | None], ...] = (
    box.propose,
    panel.propose,
    revolved.propose,
    seating.propose,
    table.propose,
    cabinet.propose,
    equal_sides.propose,
    shoe.propose,
    rounded_hull.propose,
    inflation.propose,
)


def best_proposal(evidence: ShapeEvidence) -> ShapeProposal:
    """Return the proposal with the highest score; there is always one."""
    proposals = (propose(evidence) for propose in FAMILIES)
    return max((p for p in proposals if p is not None), key=lambda p: p.score)
