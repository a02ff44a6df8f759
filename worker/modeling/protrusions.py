"""Small parts that stick out of a side, found where two pictures show them: knobs, locks, leaves.

An outline from the right shows at which heights something sticks out of the front; in which columns, an
outline from above shows, or the front's colours. The visual hull makes bars of it that cross the whole front,
and slices like the outline from above are stretched at the heights between. So such parts are taken off the
outlines before a shape is found, and put back where row and column meet.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from worker.modeling.lofting import column_intervals
from worker.modeling.voxel_grid import MARGIN

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]

MAX_BAND_SHARE = 0.12  # of the height: a taller part that sticks out is a form of the body
MAX_GROUP_SHARE = 0.2  # of the width: the same across
MAX_COLUMNS_SHARE = 0.35  # of the width, for all parts at a height: more is a ledge, e.g. a table's top
MIN_REACH_CELLS = 1.5  # that a part sticks out
SLACK_CELLS = 1.5  # by which two outlines may differ in how far it does
ROUND_RANGE = (0.7, 1.4)  # width to height of a part that is taken for round, as a knob
INSET_CELLS = 3  # that a part reaches into the body
MIN_LAB_STEP = 10.0  # from what is above and below: a part's own colour
MIN_COLOUR_SHARE = 0.4  # of the largest such step in a row of parts
COLOUR_RANGE = (0.4, 3.0)  # width to height of a part that colours alone show


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlines:
    """Signed distances to outlines in cells, positive inside."""

    front: F32  # (nx, ny)
    side: F32  # (nz, ny), from the right
    top: F32 | None  # (nx, nz)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Protrusion:
    """A part that sticks out, in cells; ranges are first and after the last."""

    rows: tuple[int, int]  # along the height
    columns: tuple[int, int]  # across
    begin: int  # the first cell outwards that belongs to it


def split_protrusions(outlines: Outlines, colours: F32) -> tuple[Outlines, F32 | None]:
    """Return the outlines without small parts that stick out of the sides, and the field of these parts.

    Args:
        outlines: Without one from above, the colours alone show the columns of parts of the front.
        colours: (nx, ny, 3) Lab of the front.

    Returns:
        The body's outlines, and (nx, ny, nz) signed distances in cells to the parts; None: none found.
    """
    front, side, top = outlines.front, outlines.side, outlines.top
    if top is None:
        side, _, parts = _split(side, None, front, colours)
    else:
        side, plan, parts = _split(side, top, front, colours)
        front, turned_plan, more = _split(front, plan.T, side, None)
        parts += [np.swapaxes(part, 0, 2) for part in more]
        top = np.ascontiguousarray(turned_plan.T)
    if not parts:
        return outlines, None
    return Outlines(front=front, side=side, top=top), np.ascontiguousarray(np.maximum.reduce(parts))


def _split(profile: F32, plan: F32 | None, face: F32, colours: F32 | None) -> tuple[F32, F32, list[F32]]:
    """Return two outlines without what sticks out along the axis that they share, both ways, and the parts.

    Args:
        profile: (outwards, height) the outline that shows at which heights.
        plan: (across, outwards) the outline that shows in which columns.
        face: (across, height) the outline of the side that they stick out of.
        colours: (across, height, 3) Lab of that side.

    Returns:
        Profile, plan, and fields (across, height, outwards).
    """
    profile, parts = profile.copy(), []
    plan = plan.copy() if plan is not None else np.empty((len(face), 0), np.float32)
    for step in (1, -1):
        seen = colours if step == 1 else None
        rows, columns = profile[::step], plan[:, ::step].T  # views: what is cut off is cut off the copies
        reach, body_reach = _reach(rows, MAX_BAND_SHARE)
        plan_reach, plan_body = _reach(columns, MAX_GROUP_SHARE) if plan.size else (None, None)
        for band in _bands(reach, body_reach):
            if _sticks_out_at_sides(band, face):
                continue
            if plan_reach is not None and plan_body is not None:
                groups = _groups_of_plan(int(reach[slice(*band)].max()), plan_reach, plan_body)
            else:
                groups = _groups_of_colours(band, face, seen)
            begin = int(body_reach[slice(*band)].min()) + 1
            if not groups or begin <= 0:
                continue
            whole = rows.copy()
            _cut_off(rows, band, body_reach)
            for group in groups:
                if plan_body is not None:  # other heights may reach as far there, e.g. a leg with its foot
                    _cut_off(columns, group, np.maximum(plan_body, body_reach.max()))
                place = _place_by_colour(band, group, face, seen)
                part = _Protrusion(rows=band, columns=place, begin=begin)
                parts.append(_field(part, whole, face)[:, :, ::step])
    return profile, plan, parts


def _reach(outline: F32, narrow_share: float) -> tuple[I64, I64]:
    """Return how far each column of an outline (outwards, n) reaches, with narrow parts and without.

    -1: the column is empty.
    """
    inside = outline > 0
    reach = np.where(inside.any(0), len(outline) - 1 - inside[::-1].argmax(0), -1)
    body, filled = reach.copy(), np.flatnonzero(reach >= 0)
    if len(filled):
        span = slice(filled[0], filled[-1] + 1)
        width = max(3, round(narrow_share * len(reach[span])))
        body[span] = ndimage.grey_opening(reach[span], width, mode="nearest")
    return reach, body


def _bands(reach: I64, body: I64) -> list[tuple[int, int]]:
    """Return the heights at which something narrow sticks out, with body below and above.

    At the lowest and the highest place nothing says how far the body reaches: legs may slope outwards.
    """
    filled = np.flatnonzero(reach >= 0)
    bands = _runs(reach - body > MIN_REACH_CELLS)
    return [(a, b) for a, b in bands if a > filled[0] + 1 and b < filled[-1]]


def _groups_of_plan(furthest: int, reach: I64, body: I64) -> list[tuple[int, int]]:
    """Return the columns in which parts stick out so far; none where this is a ledge."""
    columns = reach >= furthest - SLACK_CELLS
    beyond = reach - body
    groups = [group for group in _runs(beyond > 0) if columns[slice(*group)].any()]
    in_groups = sum(int(columns[slice(*group)].sum()) for group in groups)
    is_small = columns.sum() <= MAX_COLUMNS_SHARE * int((reach >= 0).sum())
    is_sharp = all(beyond[slice(*group)].max() > MIN_REACH_CELLS for group in groups)  # no disc's middle
    return groups if is_small and is_sharp and columns.sum() == in_groups else []


def _groups_of_colours(band: tuple[int, int], face: F32, colours: F32 | None) -> list[tuple[int, int]]:
    """Return the columns in which parts have a colour of their own; none where all of the row has it."""
    if colours is None:
        return []
    groups = _coloured_runs(_colour_step(band, face, colours))
    if not groups:
        return []
    widths, height = np.array([b - a for a, b in groups]), band[1] - band[0]
    across = int((face > 0).any(1).sum())
    is_likely = (widths >= COLOUR_RANGE[0] * height) & (widths <= COLOUR_RANGE[1] * height)
    if widths.sum() > MAX_COLUMNS_SHARE * across or widths.max() > MAX_GROUP_SHARE * across:
        return []
    return groups if is_likely.all() else []


def _sticks_out_at_sides(band: tuple[int, int], face: F32) -> bool:
    """Return whether the face is wider at these heights, as at a ring or a plate."""
    for outline in (face, face[::-1]):
        reach, body = _reach(outline, MAX_BAND_SHARE)
        if ((reach - body)[slice(*band)] > MIN_REACH_CELLS).mean() > 0.5:
            return True
    return False


def _place_by_colour(
    band: tuple[int, int], group: tuple[int, int], face: F32, colours: F32 | None
) -> tuple[int, int]:
    """Return the columns in which a part has a colour of its own, of those that parts of all heights have."""
    if colours is None:
        return group
    runs = _coloured_runs(_colour_step(band, face, colours)[slice(*group)])
    if not runs:
        return group
    begin, end = max(runs, key=lambda run: run[1] - run[0])
    return group[0] + begin, group[0] + end


def _coloured_runs(step: F32) -> list[tuple[int, int]]:
    """Return the runs of columns that clearly have a colour of their own; see `_colour_step`."""
    return _runs(step > max(MIN_LAB_STEP, MIN_COLOUR_SHARE * float(step.max(initial=0))))


def _colour_step(band: tuple[int, int], face: F32, colours: F32) -> F32:
    """Return how far each column's colour in a row of parts is from that above and below it, in Lab units."""
    height = band[1] - band[0]
    inside = (face > 0)[..., None]
    far = [
        _mean_colour(colours, inside, slice(*rows))
        for rows in ((max(0, band[0] - height - 1), max(0, band[0] - 1)), (band[1] + 1, band[1] + 1 + height))
    ]
    middle = slice(band[0] + height // 4, band[1] - height // 4)
    own = _mean_colour(colours, inside, middle)
    steps = np.stack([np.linalg.norm(own - each, axis=1) for each in far])
    known = np.isfinite(steps)
    return np.where(known.any(0), np.where(known, steps, np.inf).min(0), 0).astype(np.float32)


def _mean_colour(colours: F32, inside: NDArray[np.bool_], rows: slice) -> F32:
    """Return the mean colour (across, 3) of the product in some rows; NaN where it is not there."""
    count = inside[:, rows].sum(1)
    total = (colours[:, rows] * inside[:, rows]).sum(1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def lab_on_cells(rgb: NDArray[np.uint8], shape: tuple[int, ...]) -> F32:
    """Return the Lab colours of a front photo that is cropped to the product, (nx, ny, 3)."""
    columns, rows = shape[0] - 2 * MARGIN, shape[1] - 2 * MARGIN
    small = cv2.resize(rgb, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2Lab)[::-1].transpose(1, 0, 2)
    return np.pad(lab, ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)))


def _runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the first and after the last index of each run of true values."""
    change = np.diff(np.concatenate([[0], mask.astype(np.int8), [0]]))
    begins, ends = np.flatnonzero(change > 0).tolist(), np.flatnonzero(change < 0).tolist()
    return list(zip(begins, ends, strict=True))


def _field(part: _Protrusion, profile: F32, face: F32) -> F32:
    """Return the signed distance to a part, (across, height, outwards).

    A part about as wide as it is tall is turned about its own axis; its profile shows its neck and its head.
    """
    across, height = (np.arange(n, dtype=np.float32) for n in face.shape)
    outwards = np.arange(len(profile))
    rows = np.full(profile.shape, -1.0, np.float32)
    rows[:, slice(*part.rows)] = profile[:, slice(*part.rows)]
    half_width = (part.columns[1] - part.columns[0]) / 2
    x = across - (sum(part.columns) - 1) / 2
    halves, middles = _halves(rows)
    tallest = float(halves[part.begin :].max(initial=0.0))
    if tallest <= 0:
        return np.full((*face.shape, len(profile)), -np.inf, np.float32)
    if ROUND_RANGE[0] <= half_width / tallest <= ROUND_RANGE[1]:
        y = (height[:, None] - middles) * (half_width / tallest)
        radius = halves * (half_width / tallest)
        field = radius - np.hypot(x[:, None, None], y[None])
    else:
        field = np.minimum((half_width - np.abs(x))[:, None, None], rows.T[None])
    begins = (outwards - (part.begin - INSET_CELLS)).astype(np.float32)
    ends = profile.max(1)  # fades where the outline ends
    return np.asarray(np.minimum(np.minimum(field, np.minimum(begins, ends)), face[:, :, None]), np.float32)


def _halves(rows: F32) -> tuple[F32, F32]:
    """Return half the height of the interval of each cell outwards, and its middle; -1 and 0: none."""
    halves, middles = np.full(len(rows), -1.0, np.float32), np.zeros(len(rows), np.float32)
    for n, found in enumerate(column_intervals(rows.T)):
        if found:
            low, high = max(found, key=lambda each: each[1] - each[0])
            halves[n], middles[n] = (high - low) / 2, (high + low) / 2
    return halves, middles


def _cut_off(outline: F32, lines: tuple[int, int], reach: I64) -> None:
    """Cut the lines of an outline (outwards, n) off beyond a reach."""
    span = slice(*lines)
    limit = reach[span] + 0.5 - np.arange(len(outline))[:, None]
    outline[:, span] = np.minimum(outline[:, span], limit)
