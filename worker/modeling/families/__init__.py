"""Families of shapes: each a file that says from the evidence what the whole product looks like, and how sure that is.

A new family is a file with a `propose` function and a line in `FAMILIES`. The proposal that claims most is built.
"""

from collections.abc import Callable

from worker.modeling.families import (
    box,
    cabinet,
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
    shoe.propose,
    rounded_hull.propose,
    inflation.propose,
)


def best_proposal(evidence: ShapeEvidence) -> ShapeProposal:
    """The proposal that claims most; there is always one."""
    proposals = (propose(evidence) for propose in FAMILIES)
    return max((p for p in proposals if p is not None), key=lambda p: p.score)
