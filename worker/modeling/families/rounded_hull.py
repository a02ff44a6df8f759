"""Rounded hulls: the visual hull of two or three views, its slices rounded to the form that explains the
top view."""

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.modeling.families.seating import seat_clearance
from worker.modeling.families.shoe import SHOE_WORDS
from worker.modeling.families.table import corner_exponent, has_corners
from worker.modeling.lofting import (
    SliceForm,
    domed_form,
    footprint,
    loft,
    loft_along_width,
    loft_slices,
    outline_form,
    superellipse_form,
    widest_like_form,
)
from worker.modeling.shape_evidence import ShapeEvidence, ShapeProposal, fill_ratio, iou

F32 = NDArray[np.float32]

EXPONENTS = (2.0, 2.5, 3.0, 4.0, 6.0, 12.0, 24.0)
SMALLER_EXPONENTS = (2.0, 6.0, 24.0)  # of slices that are smaller than the top view
LIKE_THE_TOP = "like the top"
# A top view that is a superellipse but for narrow parts, e.g. a box with handles: only slices that reach
# nearly as far can have those parts; in the others they would be squashed into the body.
CORE_SHARE = 0.2  # of the shorter side: narrower parts are left out
MIN_CORE_IOU = 0.97
MIN_CORE_REACH = 0.8  # of the outline's: more than feet and handles is another form
NEARLY_ALL = 0.97  # of the top view's reach
UPPER_EXPONENT = 2.5  # of a shoe's upper, rounded along its length
ROW_STRIDE = 3  # every so many rows are looked at to choose a form
SIMILAR_SIDES = 0.12  # relative difference of width and depth: such slices are round
BOX_FILL = 0.93  # outlines that fill more of their frames are a box's: not rounded


def propose(evidence: ShapeEvidence) -> ShapeProposal | None:
    """Propose the hull of a front with a side or a top view."""
    front, side, top = evidence.front, evidence.side, evidence.top
    if front is not None and side is not None:
        name, form = _choose_form(evidence, front, side)
        confidence = 0.9 if top is not None else 0.75
        if form is None:
            return ShapeProposal(field=evidence.hull, family="hull", score=0.8, confidence=confidence)
        field, clearance = loft(front, side, form), seat_clearance(evidence)
        if clearance is not None:
            sides = evidence.hull if top is not None else field  # the top view shows the corners
            return ShapeProposal(
                field=np.minimum(sides, clearance),
                family=f"hull, {name}, with a seat",
                score=0.8,
                confidence=confidence,
            )
        if top is not None and _is_shoe(evidence):
            field = np.minimum(field, loft_along_width(front, top, domed_form(UPPER_EXPONENT)))
        return ShapeProposal(field=field, family=f"hull, {name}", score=0.8, confidence=confidence)
    if front is not None and top is not None:  # slices between the columns of the front and of the top view
        if fill_ratio(front) > BOX_FILL:
            return ShapeProposal(field=evidence.hull, family="hull", score=0.8, confidence=0.75)
        return ShapeProposal(
            field=loft_along_width(front, top, superellipse_form(3.0)),
            family="hull, along the width",
            score=0.8,
            confidence=0.7,
        )
    return None


def _is_shoe(evidence: ShapeEvidence) -> bool:
    """Return whether the product is a shoe, and not its box."""
    return evidence.top is not None and evidence.mentions(*SHOE_WORDS) and fill_ratio(evidence.top) < BOX_FILL


def _choose_form(evidence: ShapeEvidence, front: F32, side: F32) -> tuple[str, SliceForm | None]:
    """Return the name and the form of the slices; no form for a box.

    With a top view it is the form that explains it best; else it depends on how similar width and depth are.
    """
    top = evidence.top
    if _is_shoe(evidence):
        return "superellipse 3", superellipse_form(3.0)
    if top is not None:
        forms = {f"superellipse {e:g}": superellipse_form(e) for e in EXPONENTS} | {
            LIKE_THE_TOP: outline_form(top)
        }
        forms |= {
            f"{LIKE_THE_TOP}, else superellipse {e:g}": widest_like_form(top, superellipse_form(e))
            for e in SMALLER_EXPONENTS
        }
        slices = loft_slices(front, side, ROW_STRIDE)
        scores = {name: iou(footprint(slices, form, top.shape), top > 0) for name, form in forms.items()}
        best = max(scores, key=scores.__getitem__)
        own = _own_exponent(top) if best == LIKE_THE_TOP else None
        if own is not None:
            other = superellipse_form(own)
            return f"{best}, else superellipse {own:g}", widest_like_form(top, other, NEARLY_ALL)
        return best, forms[best]
    if _is_box_like(front) and _is_box_like(side):
        return "", None
    difference = abs(evidence.grid.size.width / evidence.grid.size.depth - 1)
    furniture, general = (
        (corner_exponent(front, evidence.grid, 8.0) if has_corners(front, evidence.grid) else 2.5),
        (2.0 if difference < SIMILAR_SIDES else 3.0),
    )
    exponent = furniture if evidence.mentions("furniture") else general
    return f"superellipse {exponent:.2g}", superellipse_form(exponent)


def _own_exponent(top: F32) -> float | None:
    """Return the exponent of the superellipse that a top view is but for narrow parts; None if it is none."""
    core = _core(top)
    if not core.any():
        return None
    u, v = (_coordinates(np.flatnonzero(core.any(axis)), core.shape[1 - axis]) for axis in (1, 0))
    scores = {e: iou(superellipse_form(e)(u, v, False) > 0, core) for e in EXPONENTS}
    best = max(scores, key=scores.__getitem__)
    return best if scores[best] >= MIN_CORE_IOU else None


def _is_box_like(outline: F32) -> bool:
    """Return whether an outline is a rectangle but for feet, knobs and handles."""
    inside, core = outline > 0, _core(outline)
    sides = [np.flatnonzero(core.any(axis)) for axis in (1, 0)]
    reach = [np.count_nonzero(core.any(axis)) / np.count_nonzero(inside.any(axis)) for axis in (1, 0)]
    return bool(min(reach) >= MIN_CORE_REACH and core[np.ix_(*sides)].mean() > BOX_FILL)


def _core(outline: F32) -> NDArray[np.bool_]:
    """Return the inside of an outline without narrow parts."""
    inside = (outline > 0).astype(np.uint8)
    sides = (int(np.count_nonzero(inside.any(axis))) for axis in (1, 0))
    width = max(3, round(CORE_SHARE * min(sides)))
    return np.asarray(cv2.morphologyEx(inside, cv2.MORPH_OPEN, np.ones((width, width), np.uint8)) > 0)


def _coordinates(found: NDArray[np.intp], count: int) -> F32:
    """Return the coordinates of a line of cells, (count,): -1 to 1 between the first and the last found."""
    half = (found[-1] - found[0] + 1) / 2
    return np.asarray((np.arange(count) - (found[0] + found[-1]) / 2) / half, np.float32)
