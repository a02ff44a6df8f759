"""Chairs and sofas from one view: legs, seat and back.

The front shows where the legs end and where the seat is. Depths are those of usual furniture.
"""

import numpy as np
from numpy.typing import NDArray

from worker.modeling.families.table import corner_legs, row_fill
from worker.modeling.hull_cleanup import remove_phantoms
from worker.modeling.lofting import loft, superellipse_form
from worker.modeling.shape_evidence import ShapeEvidence, ShapeProposal
from worker.modeling.voxel_grid import MARGIN, VoxelGrid

F32 = NDArray[np.float32]

SEAT_WORDS = ("chair", "sofa", "seat", "bench", "couch", "settee")
SEAT_HEIGHT_M = 0.45  # usual, above the floor
SOFA_WIDTH_M = 1.1  # a wider seat is a sofa
# Shares of the depth, at the seat and at the top, by whether it is a sofa.
BACK_THICKNESS = {False: (0.2, 0.12), True: (0.4, 0.3)}
POSTED_BACK_THICKNESS = (0.22, 0.2)  # the same of a back on posts, which is upholstered and leans
BACK_LEAN = 0.1  # share of the depth, from the seat to the top
POSTED_BACK_OFFSET = 0.1  # share of the depth, from a back on posts to the seat's rear
MAX_POSTS_FILL = 0.5  # share of the back's width
ARM_WIDTH = 0.14  # share of the width, on either side
MIN_ARMS_WIDTH = 0.08  # share of the width, both arms; less is a rounded corner
SEAT_HEIGHTS_M = (0.28, 0.56)  # where a seat's front edge can be, above the floor
EDGE_ROUNDING_M = 0.05  # radius of a seat's front edge
MIN_STEP = 0.08  # share of the depth by which the seat projects before the arms
MIN_ARM_DEPTH = 0.5  # share of the depth above the seat; a back alone has less
SOFA_ARM_WIDTH = 0.11  # share of the width, on either side
MIN_ARM_HEIGHT = 0.85  # share of the height up to which the side view is deep
SOFA_BACK_THICKNESS = (0.75, 0.58)  # the same of a sofa whose side view shows arms
EXPONENT = 6.0  # of the superellipse that the seat is from above
MAX_SLAB = 0.04  # share of the height; thicker bands are as likely seats
SEAT_SHARES = (0.3, 0.8)  # of the height: where a seat can end
MIN_BACK_FILL = 0.4  # of the width, of rows as wide as a back or a seat
MIN_BACK_ROWS = 0.3  # of the upper half: such rows of a back and a seat
MIN_CASE_FILL = 0.92  # share of the width, of rows of the upper half
MIN_WIDE_FILL = 0.6  # share of the seat's width; rows that fill less are legs below it and posts above it


def propose(evidence: ShapeEvidence) -> ShapeProposal | None:
    """Propose a seat with a back for furniture of such words or such a size."""
    front, size = evidence.lone_front, evidence.grid.size
    if front is None:
        return None
    is_named = evidence.mentions(*SEAT_WORDS)
    is_seat_sized = 0.6 <= size.height <= 1.25 and 0.4 <= size.depth <= 1.15 and size.width >= 0.4
    is_deep = size.depth >= 0.65 if size.width > SOFA_WIDTH_M else size.depth >= 0.42
    if not is_named and not (
        evidence.mentions("furniture")
        and is_seat_sized
        and is_deep
        and _has_back(front)
        and not _is_case(front)
    ):
        return None
    seat = _seat_top(front, size.height)
    field = loft(front, _side_profile(evidence, front, seat), superellipse_form(EXPONENT))
    arms = _arm_columns(front, seat)
    field[arms] = np.maximum(field[arms], np.minimum(front[arms][:, :, None], evidence.hull[arms]))
    legs = corner_legs(evidence.grid, front, _slab_bottom(front, seat), max_fill=2.0)
    field = remove_phantoms(
        np.minimum(field, legs), front, np.minimum(legs[0].T, float(evidence.grid.counts[2])), None
    )
    return ShapeProposal(field=field, family="seat and back", score=0.9 if is_named else 0.87, confidence=0.6)


def seat_clearance(evidence: ShapeEvidence) -> F32 | None:
    """Return the distance in cells to the free space above a sofa's seat, between back and arms.

    The side view shows the height of the seat, by the step in its front, and that there are arms, since it
    is deep above the seat too.

    Returns:
        (nx, ny, nz), negative in the free space; None if no seat was found.
    """
    front, side, top, grid = evidence.front, evidence.side, evidence.top, evidence.grid
    if front is None or side is None or not evidence.mentions("furniture", *SEAT_WORDS):
        return None
    if _is_case(front) and not evidence.mentions(*SEAT_WORDS):
        return None
    seat = _seat_row(side, grid)
    if seat is None:
        return None
    arms = _distance_to_arms(front, side, grid)
    above = np.arange(len(grid.y)) - seat - 0.5
    from_back = np.arange(len(grid.z), dtype=np.float32)
    rear = np.full(len(grid.x), float(MARGIN))
    depth = np.full(len(grid.x), float(grid.counts[2]))
    if top is not None:
        filled = top > 0
        has_cells = filled.any(1)
        rear = np.where(has_cells, filled.argmax(1), rear)
        depth = np.where(has_cells, filled.sum(1), depth)
    rise = np.clip(above / max(1, grid.counts[1] + MARGIN - seat), 0, 1)
    share = SOFA_BACK_THICKNESS[0] + (SOFA_BACK_THICKNESS[1] - SOFA_BACK_THICKNESS[0]) * rise
    back = rear[:, None] + depth[:, None] * share[None]
    clearance = np.minimum(
        from_back[None, None] - back[:, :, None], np.minimum(arms[:, None], above[None])[:, :, None]
    )
    return np.asarray(-clearance, np.float32)


def _distance_to_arms(front: F32, side: F32, grid: VoxelGrid) -> F32:
    """Return the distance in cells to the arms along the width, negative in them.

    Arms are the ends of the front outline that are as high as the side view is deep.
    """
    armed = (side > 0).sum(0) > MIN_ARM_DEPTH * grid.counts[2]
    high = (len(armed) - 1 - armed[::-1].argmax()) * MIN_ARM_HEIGHT
    inside = front > 0
    tops = np.where(inside.any(1), inside.shape[1] - 1 - inside[:, ::-1].argmax(1), 0)
    across, reach = np.arange(len(grid.x)) - MARGIN + 0.5, max(2, round(SOFA_ARM_WIDTH * grid.counts[0]))
    left, right = (
        float(np.median(ends)) >= high
        for ends in (tops[MARGIN : MARGIN + reach], tops[-MARGIN - reach : -MARGIN])
    )
    far = np.full(len(across), float(len(across)))
    return np.minimum(
        across - reach if left else far, grid.counts[0] - across - reach if right else far
    ).astype(np.float32)


def _seat_row(side: F32, grid: VoxelGrid) -> int | None:
    """Return the row of a seat's top: up to it the side view reaches farther to the front than above it.

    Returns:
        The row; None if there is no seat or no arms.
    """
    inside = side > 0
    front_reach = np.where(inside.any(0), len(side) - 1 - inside[::-1].argmax(0), 0)
    rounding = max(1, round(EDGE_ROUNDING_M / float(grid.step[1])))
    rows = np.flatnonzero(
        (grid.y > SEAT_HEIGHTS_M[0])
        & (grid.y < SEAT_HEIGHTS_M[1])
        & (np.arange(len(grid.y)) < len(grid.y) - MARGIN - 2 * rounding)
    )
    if not len(rows):
        return None
    steps = front_reach[rows - rounding] - front_reach[rows + rounding]
    row = int(rows[int(np.argmax(steps))])
    if (
        steps.max() < MIN_STEP * grid.counts[2]
        or inside[:, row + rounding].sum() < MIN_ARM_DEPTH * grid.counts[2]
    ):
        return None
    return row


def _has_back(front: F32) -> bool:
    """Return whether the upper half is as wide as a back, over more than the thickness of a table top.

    Two bands, of a seat and of a back on posts, need fewer rows than one.
    """
    shares = row_fill(front)[MARGIN:-MARGIN]
    wide = shares[len(shares) // 2 :] > MIN_BACK_FILL
    bands = int((np.diff(wide.astype(int), prepend=0) > 0).sum())
    return float(wide.mean()) > (0.5 if bands < 2 else MIN_BACK_ROWS)


def _slab_bottom(front: F32, seat: float) -> float:
    """Return where the band of wide rows that ends at the seat begins, as a share of the height."""
    shares = row_fill(front)[MARGIN:-MARGIN]
    wide = shares > MIN_WIDE_FILL * shares.max()
    row = max(0, min(len(shares), round(seat * len(shares))) - 1)
    while row > 0 and wide[row - 1]:
        row -= 1
    return row / len(shares)


def _is_case(front: F32) -> bool:
    """Return whether straight sides reach the top: a case, since backs are narrower or rounded."""
    shares = row_fill(front)[MARGIN:-MARGIN]
    return float(np.quantile(shares[len(shares) // 2 :], 0.1)) > MIN_CASE_FILL


def _seat_top(front: F32, height: float) -> float:
    """Return the seat's upper side as a share of the height.

    It is where a wide band ends near the usual height, or else the usual height.
    """
    shares = row_fill(front)[MARGIN:-MARGIN]
    edges = np.flatnonzero(np.diff(np.concatenate([[0], shares > MIN_WIDE_FILL * shares.max(), [0]])))
    starts, ends = edges[::2], edges[1::2]
    usual_share = float(np.clip(SEAT_HEIGHT_M / height, 0.38, 0.62))
    seats = [
        (min(float(end - start) / len(shares), MAX_SLAB), float(end / len(shares)))
        for start, end in zip(starts, ends, strict=True)
        if start > 0 and SEAT_SHARES[0] < end / len(shares) < SEAT_SHARES[1]
    ]
    if not seats:
        return max(usual_share, (int(starts[0]) + 2) / len(shares))
    thickest = max(seats)[0]  # thinner bands are bars between legs
    return min((top for slab, top in seats if slab > thickest / 2), key=lambda top: abs(top - usual_share))


def _side_profile(evidence: ShapeEvidence, front: F32, seat: float) -> F32:
    """Return the assumed side view, (nz, ny) in cells: a seat of the whole depth, above it a back.

    A back on posts leans.
    """
    grid = evidence.grid
    count, depth = grid.counts[1], grid.counts[2]
    height = (np.arange(len(grid.y)) - MARGIN + 0.5) / count
    from_back = np.arange(len(grid.z)) - MARGIN + 0.5
    rise = np.clip((height - seat) / (1 - seat), 0, 1)
    has_posts = _has_posts(front, seat)
    low, high = POSTED_BACK_THICKNESS if has_posts else BACK_THICKNESS[bool(grid.size.width > SOFA_WIDTH_M)]
    rear = BACK_LEAN * depth * (1 - rise) if has_posts else 0.0 * rise
    back = np.minimum(
        from_back[:, None] - rear, rear + depth * (low + (high - low) * rise) - from_back[:, None]
    )
    seat_start = POSTED_BACK_OFFSET * depth if has_posts else 0.0
    seat_part = np.minimum(
        np.minimum(from_back - seat_start, depth - from_back)[:, None], (seat - height)[None] * count
    )
    return np.asarray(np.maximum(seat_part, np.where(height > seat, back, -1)), np.float32)


def _has_posts(front: F32, seat: float) -> bool:
    """Return whether there is a gap between seat and back: then the back is on posts behind the seat."""
    shares = row_fill(front)[MARGIN:-MARGIN]
    above = shares[round(seat * len(shares)) :]
    below = above[: int(np.argmax(above)) + 1] if len(above) else above
    return bool(len(below)) and float(below.min()) < MAX_POSTS_FILL * float(below[-1])


def _arm_columns(front: F32, seat: float) -> NDArray[np.intp]:
    """Return the columns of the arms: those at the sides that end between seat and back."""
    inside = front[:, MARGIN:-MARGIN] > 0
    tops = np.where(inside.any(1), inside.shape[1] - np.argmax(inside[:, ::-1], axis=1), 0) / inside.shape[1]
    outer = np.minimum(np.arange(len(tops)), np.arange(len(tops))[::-1]) < MARGIN + ARM_WIDTH * len(tops)
    arms = outer & (tops < 0.93) & (tops > seat + 0.03)
    return np.flatnonzero(arms) if arms.mean() > MIN_ARMS_WIDTH else np.zeros(0, np.intp)
