"""Products as deep as they are wide, from one view: the side is assumed to look like the front."""

from worker.modeling.families.table import as_side_view
from worker.modeling.hull_cleanup import remove_phantoms
from worker.modeling.lofting import loft, superellipse_form
from worker.modeling.shape_evidence import ShapeEvidence, ShapeProposal

SAME_SIDES = 0.03  # relative difference of width and depth
EXPONENT = 2.5  # of the superellipse that its sections are


def propose(evidence: ShapeEvidence) -> ShapeProposal | None:
    """Propose the front lofted with itself as the side."""
    front, size = evidence.lone_front, evidence.grid.size
    if front is None or evidence.top is not None or abs(size.width / size.depth - 1) > SAME_SIDES:
        return None
    side = as_side_view(front, len(evidence.grid.z))
    field = remove_phantoms(loft(front, side, superellipse_form(EXPONENT)), front, side, None)
    return ShapeProposal(field=field, family="side like the front", score=0.3, confidence=0.5)
