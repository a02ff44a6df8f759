"""Rounded hull: what two or three views allow, its slices rounded as the third view says."""

import numpy as np
from numpy.typing import NDArray

from worker.modeling.families.seating import seat_clearance
from worker.modeling.families.shoe import SHOE_WORDS as SHOES
from worker.modeling.lofting import (
    SliceForm,
    domed_form,
    footprint,
    loft,
    loft_along_width,
    loft_slices,
    outline_form,
    superellipse_form,
)
from worker.modeling.shape_evidence import ShapeEvidence, ShapeProposal, fill_ratio, iou

F32 = NDArray[np.float32]

EXPONENTS = (2.0, 2.5, 3.0, 4.0, 6.0)
UPPER = 2.5  # exponent: how a shoe's upper is rounded along its length
STRIDE = 3  # rows looked at when choosing a form
SAME = 0.03  # width and depth of furniture: as often round as square
ALIKE = 0.12  # width and depth: then slices are round
SQUARE = 0.93  # both outlines fill their frames: a box, not rounded


def propose(evidence: ShapeEvidence) -> ShapeProposal | None:
    front, side, top = evidence.front, evidence.side, evidence.top
    if front is not None and side is not None:
        name, form = _form(evidence, front, side)
        confidence = 0.9 if top is not None else 0.75
        if form is None:
            return ShapeProposal(field=evidence.hull, family="hull", score=0.8, confidence=confidence)
        field, free = loft(front, side, form), seat_clearance(evidence)
        if free is not None:
            sides = evidence.hull if top is not None else field  # the top tells the corners
            return ShapeProposal(
                field=np.minimum(sides, free),
                family=f"hull, {name}, with a seat",
                score=0.8,
                confidence=confidence,
            )
        if top is not None and _shoe(evidence):
            field = np.minimum(field, loft_along_width(front, top, domed_form(UPPER)))
        return ShapeProposal(field=field, family=f"hull, {name}", score=0.8, confidence=confidence)
    if (
        front is not None and top is not None
    ):  # along the width: slices between the front's columns and the top's
        if fill_ratio(front) > SQUARE:
            return ShapeProposal(field=evidence.hull, family="hull", score=0.8, confidence=0.75)
        return ShapeProposal(
            field=loft_along_width(front, top, superellipse_form(3.0)),
            family="hull, along the width",
            score=0.8,
            confidence=0.7,
        )
    return None


def _shoe(evidence: ShapeEvidence) -> bool:
    """Whether it is a shoe, not its box."""
    return evidence.top is not None and evidence.mentions(*SHOES) and fill_ratio(evidence.top) < SQUARE


def _form(evidence: ShapeEvidence, front: F32, side: F32) -> tuple[str, SliceForm | None]:
    """The slices' form: with a top view the one that explains it best; else by how square and alike front and side are."""
    top = evidence.top
    if _shoe(evidence):
        return "superellipse 3", superellipse_form(3.0)
    if top is not None:
        forms = {f"superellipse {e:g}": superellipse_form(e) for e in EXPONENTS} | {
            "like the top": outline_form(top)
        }
        slices = loft_slices(front, side, STRIDE)
        scores = {name: iou(footprint(slices, form, top.shape), top > 0) for name, form in forms.items()}
        best = max(scores, key=scores.__getitem__)
        return best, forms[best]
    if fill_ratio(front) > SQUARE and fill_ratio(side) > SQUARE:
        return "", None
    off = abs(evidence.grid.size.width / evidence.grid.size.depth - 1)
    square, rounder = (3.0 if off < SAME else 4.0), (2.0 if off < ALIKE else 3.0)
    exponent = square if evidence.mentions("furniture") else rounder
    return f"superellipse {exponent:g}", superellipse_form(exponent)
