"""Seat and back: chairs and sofas from one view. The front tells where legs end and the seat lies; the depth is the usual one."""

import numpy as np
from numpy.typing import NDArray

from worker.modeling.families.table import corner_legs, row_fill
from worker.modeling.hull_cleanup import remove_phantoms
from worker.modeling.lofting import loft, superellipse_form
from worker.modeling.shape_evidence import ShapeEvidence, ShapeProposal
from worker.modeling.voxel_grid import MARGIN, VoxelGrid

F32 = NDArray[np.float32]

SEAT_WORDS = ("chair", "sofa", "seat", "bench", "couch", "settee")
SEAT_M = 0.45  # above the floor
SOFA_M = 1.1  # wider than this is a sofa
BACK = {False: (0.2, 0.12), True: (0.4, 0.3)}  # of the depth, at the seat and at the top; True: a sofa
POSTED = (0.22, 0.2)  # the same of a back on posts: it is upholstered, and leans
LEAN = 0.1  # of the depth, from the seat to the top
BEHIND = 0.1  # of the depth: a back on posts stands so far behind the seat
POSTS_SHARE = 0.5  # of the back's width
ARM_SHARE = 0.14  # of the width, on either side
LEAST_ARMS = 0.08  # of the width together; less is a rounded corner
SEATS_M = (0.28, 0.56)  # above the floor: where a seat's front edge may be
STEP_M = 0.05  # a seat's edge is as rounded as that
STEP_SHARE = 0.08  # of the depth, that the seat reaches out before the arms
ARMED = 0.5  # of the depth, above the seat: more than a back
SOFA_ARM = 0.11  # of the width, on either side
ARM_HEIGHT = 0.85  # of the height that the side is deep at
SOFA_BACK = (0.75, 0.58)  # of the depth, at the seat and at the top, where a side shows arms
EXPONENT = 6.0  # of the seat seen from above
EMPTY_SHARE = 0.6  # rows that fill less than this of the seat's width are legs below it and posts above it


def propose(evidence: ShapeEvidence) -> ShapeProposal | None:
    front, size = evidence.lone_front, evidence.grid.size
    if front is None:
        return None
    named = evidence.mentions(*SEAT_WORDS)
    sized = 0.6 <= size.height <= 1.25 and 0.4 <= size.depth <= 1.15 and size.width >= 0.4
    deep = size.depth >= 0.65 if size.width > SOFA_M else size.depth >= 0.42
    if not named and not (evidence.mentions("furniture") and sized and deep and _backed(front)):
        return None
    seat = _seat_top(front, size.height)
    field = loft(front, _profile(evidence, front, seat), superellipse_form(EXPONENT))
    arms = _arms(front, seat)
    field[arms] = np.maximum(field[arms], np.minimum(front[arms][:, :, None], evidence.hull[arms]))
    legs = corner_legs(evidence.grid, front, seat)
    field = remove_phantoms(
        np.minimum(field, legs), front, np.minimum(legs[0].T, float(evidence.grid.counts[2])), None
    )
    return ShapeProposal(field=field, family="seat and back", score=0.9 if named else 0.87, confidence=0.6)


def seat_clearance(evidence: ShapeEvidence) -> F32 | None:
    """Cells to where a sofa's seat is free, above it and between back and arms: (nx, ny, nz), negative there. None without a seat.

    The side tells how high the seat is, by the step in its front, and that there are arms, since it is deep above that too.
    """
    front, side, top, grid = evidence.front, evidence.side, evidence.top, evidence.grid
    if front is None or side is None or not evidence.mentions("furniture", *SEAT_WORDS):
        return None
    seat = _step(side, grid)
    if seat is None:
        return None
    arms = _beside(front, side, grid)
    above = np.arange(len(grid.y)) - seat - 0.5
    deep = np.arange(len(grid.z), dtype=np.float32)
    rear = np.full(len(grid.x), float(MARGIN))
    depth = np.full(len(grid.x), float(grid.counts[2]))
    if top is not None:
        filled = top > 0
        some = filled.any(1)
        rear = np.where(some, filled.argmax(1), rear)
        depth = np.where(some, filled.sum(1), depth)
    rise = np.clip(above / max(1, grid.counts[1] + MARGIN - seat), 0, 1)
    share = SOFA_BACK[0] + (SOFA_BACK[1] - SOFA_BACK[0]) * rise
    back = rear[:, None] + depth[:, None] * share[None]
    free = np.minimum(deep[None, None] - back[:, :, None], np.minimum(arms[:, None], above[None])[:, :, None])
    return np.asarray(-free, np.float32)


def _beside(front: F32, side: F32, grid: VoxelGrid) -> F32:
    """Cells to the arms along the width, negative in them: the ends that are as high as the side is deep."""
    armed = (side > 0).sum(0) > ARMED * grid.counts[2]
    high = (len(armed) - 1 - armed[::-1].argmax()) * ARM_HEIGHT
    inside = front > 0
    tops = np.where(inside.any(1), inside.shape[1] - 1 - inside[:, ::-1].argmax(1), 0)
    across, reach = np.arange(len(grid.x)) - MARGIN + 0.5, max(2, round(SOFA_ARM * grid.counts[0]))
    left, right = (
        float(np.median(ends)) >= high
        for ends in (tops[MARGIN : MARGIN + reach], tops[-MARGIN - reach : -MARGIN])
    )
    far = np.full(len(across), float(len(across)))
    return np.minimum(
        across - reach if left else far, grid.counts[0] - across - reach if right else far
    ).astype(np.float32)


def _step(side: F32, grid: VoxelGrid) -> int | None:
    """The row up to which the side reaches farther to the front than above it, at the height of a seat; None without, and without arms."""
    inside = side > 0
    reach = np.where(inside.any(0), len(side) - 1 - inside[::-1].argmax(0), 0)
    some = max(1, round(STEP_M / float(grid.step[1])))
    rows = np.flatnonzero(
        (grid.y > SEATS_M[0])
        & (grid.y < SEATS_M[1])
        & (np.arange(len(grid.y)) < len(grid.y) - MARGIN - 2 * some)
    )
    if not len(rows):
        return None
    steps = reach[rows - some] - reach[rows + some]
    row = int(rows[int(np.argmax(steps))])
    if steps.max() < STEP_SHARE * grid.counts[2] or inside[:, row + some].sum() < ARMED * grid.counts[2]:
        return None
    return row


def _backed(front: F32) -> bool:
    """Whether the upper half stands as wide as a back does, over more than a table top's thickness."""
    shares = row_fill(front)[MARGIN:-MARGIN]
    return float(np.median(shares[len(shares) // 2 :])) > 0.4


def _seat_top(front: F32, height: float) -> float:
    """The seat's upper side as a share of the height: where the first wide band from the floor ends, or the usual height."""
    shares = row_fill(front)[MARGIN:-MARGIN]
    wide = shares > EMPTY_SHARE * shares.max()
    start = int(np.argmax(wide))
    end = start + int(np.argmin(np.append(wide[start:], False)))
    usual = float(np.clip(SEAT_M / height, 0.38, 0.62))
    found = end / len(shares)
    return found if start > 0 and 0.3 < found < 0.75 else max(usual, (start + 2) / len(shares))


def _profile(evidence: ShapeEvidence, front: F32, seat: float) -> F32:
    """(nz, ny): the assumed side, in cells: a seat of the whole depth, above it a back, that leans where it stands on posts."""
    grid = evidence.grid
    count, depth = grid.counts[1], grid.counts[2]
    height = (np.arange(len(grid.y)) - MARGIN + 0.5) / count
    from_back = np.arange(len(grid.z)) - MARGIN + 0.5
    rise = np.clip((height - seat) / (1 - seat), 0, 1)
    posts = _on_posts(front, seat)
    low, high = POSTED if posts else BACK[bool(grid.size.width > SOFA_M)]
    rear = LEAN * depth * (1 - rise) if posts else 0.0 * rise
    back = np.minimum(
        from_back[:, None] - rear, rear + depth * (low + (high - low) * rise) - from_back[:, None]
    )
    begins = BEHIND * depth if posts else 0.0
    sitting = np.minimum(
        np.minimum(from_back - begins, depth - from_back)[:, None], (seat - height)[None] * count
    )
    return np.asarray(np.maximum(sitting, np.where(height > seat, back, -1)), np.float32)


def _on_posts(front: F32, seat: float) -> bool:
    """Whether light shows between the seat and the back: then the back stands on posts behind the seat."""
    shares = row_fill(front)[MARGIN:-MARGIN]
    above = shares[round(seat * len(shares)) :]
    below = above[: int(np.argmax(above)) + 1] if len(above) else above
    return bool(len(below)) and float(below.min()) < POSTS_SHARE * float(below[-1])


def _arms(front: F32, seat: float) -> NDArray[np.intp]:
    """Columns at the sides that end between seat and back: arms, as deep as the seat."""
    inside = front[:, MARGIN:-MARGIN] > 0
    tops = np.where(inside.any(1), inside.shape[1] - np.argmax(inside[:, ::-1], axis=1), 0) / inside.shape[1]
    outer = np.minimum(np.arange(len(tops)), np.arange(len(tops))[::-1]) < MARGIN + ARM_SHARE * len(tops)
    arms = outer & (tops < 0.93) & (tops > seat + 0.03)
    return np.flatnonzero(arms) if arms.mean() > LEAST_ARMS else np.zeros(0, np.intp)
