"""Panels from one view: frames, mirrors, rugs and signs, thin for their size, extruded straight back."""

from worker.modeling.outlines import ProductSize
from worker.modeling.shape_evidence import ShapeEvidence, ShapeProposal

MAX_DEPTH_SHARE = 0.15  # of the shorter of width and height


def is_flat(size: ProductSize) -> bool:
    """Return whether a product is thin for its size."""
    return size.depth <= MAX_DEPTH_SHARE * min(size.width, size.height)


def propose(evidence: ShapeEvidence) -> ShapeProposal | None:
    """Propose a panel if the product is thin."""
    if evidence.lone_front is None or not is_flat(evidence.grid.size):
        return None
    return ShapeProposal(field=evidence.hull, family="panel", score=0.93, confidence=0.75)
