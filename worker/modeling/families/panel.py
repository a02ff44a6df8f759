"""Panel: frames, mirrors, rugs, signs from one view: thin for their size, led straight back."""

from worker.modeling.shape_evidence import Evidence, Proposal

THIN = 0.15  # depth to the shorter of width and height


def propose(evidence: Evidence) -> Proposal | None:
    size = evidence.grid.size
    if evidence.single is None or size.depth > THIN * min(size.width, size.height):
        return None
    return Proposal(field=evidence.hull, family="panel", claim=0.93, confidence=0.75)
