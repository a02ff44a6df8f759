"""Panel: frames, mirrors, rugs, signs from one view: thin for their size, led straight back."""

from worker.modeling.shape_evidence import ShapeEvidence, ShapeProposal

THIN = 0.15  # depth to the shorter of width and height


def propose(evidence: ShapeEvidence) -> ShapeProposal | None:
    size = evidence.grid.size
    if evidence.lone_front is None or size.depth > THIN * min(size.width, size.height):
        return None
    return ShapeProposal(field=evidence.hull, family="panel", score=0.93, confidence=0.75)
