"""Rounded hull: what two or three views allow, its slices rounded as the third view says."""

import numpy as np
from numpy.typing import NDArray

from worker.modeling.families.seating import hollow
from worker.modeling.families.shoe import WORDS as SHOES
from worker.modeling.lofting import Form, domed, footprint, lengthwise, like, sliced, superellipse, swept
from worker.modeling.shape_evidence import Evidence, Proposal, fill, overlap

F32 = NDArray[np.float32]

EXPONENTS = (2.0, 2.5, 3.0, 4.0, 6.0)
UPPER = 2.5  # exponent: how a shoe's upper is rounded along its length
STRIDE = 3  # rows looked at when choosing a form
SAME = 0.03  # width and depth of furniture: as often round as square
ALIKE = 0.12  # width and depth: then slices are round
SQUARE = 0.93  # both outlines fill their frames: a box, not rounded


def propose(evidence: Evidence) -> Proposal | None:
    front, side, top = evidence.front, evidence.side, evidence.top
    if front is not None and side is not None:
        name, form = _form(evidence, front, side)
        confidence = 0.9 if top is not None else 0.75
        if form is None:
            return Proposal(field=evidence.hull, family="hull", claim=0.8, confidence=confidence)
        field, free = swept(front, side, form), hollow(evidence)
        if free is not None:
            sides = evidence.hull if top is not None else field  # the top tells the corners
            return Proposal(
                field=np.minimum(sides, free),
                family=f"hull, {name}, with a seat",
                claim=0.8,
                confidence=confidence,
            )
        if top is not None and _shoe(evidence):
            field = np.minimum(field, lengthwise(front, top, domed(UPPER)))
        return Proposal(field=field, family=f"hull, {name}", claim=0.8, confidence=confidence)
    if (
        front is not None and top is not None
    ):  # along the width: slices between the front's columns and the top's
        if fill(front) > SQUARE:
            return Proposal(field=evidence.hull, family="hull", claim=0.8, confidence=0.75)
        return Proposal(
            field=lengthwise(front, top, superellipse(3.0)),
            family="hull, along the width",
            claim=0.8,
            confidence=0.7,
        )
    return None


def _shoe(evidence: Evidence) -> bool:
    """Whether it is a shoe, not its box."""
    return evidence.top is not None and evidence.says(*SHOES) and fill(evidence.top) < SQUARE


def _form(evidence: Evidence, front: F32, side: F32) -> tuple[str, Form | None]:
    """The slices' form: with a top view the one that explains it best; else by how square and alike front and side are."""
    top = evidence.top
    if _shoe(evidence):
        return "superellipse 3", superellipse(3.0)
    if top is not None:
        forms = {f"superellipse {e:g}": superellipse(e) for e in EXPONENTS} | {"like the top": like(top)}
        slices = sliced(front, side, STRIDE)
        scores = {name: overlap(footprint(slices, form, top.shape), top > 0) for name, form in forms.items()}
        best = max(scores, key=scores.__getitem__)
        return best, forms[best]
    if fill(front) > SQUARE and fill(side) > SQUARE:
        return "", None
    off = abs(evidence.grid.size.width / evidence.grid.size.depth - 1)
    square, rounder = (3.0 if off < SAME else 4.0), (2.0 if off < ALIKE else 3.0)
    exponent = square if evidence.says("furniture") else rounder
    return f"superellipse {exponent:g}", superellipse(exponent)
