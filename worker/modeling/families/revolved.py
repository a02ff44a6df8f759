"""Solids of revolution about an upright axis, with parts that protrude: handle, spout, knob.

The axis need not be in the middle of the outline.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from worker.modeling.lofting import column_intervals
from worker.modeling.shape_evidence import ShapeEvidence, ShapeProposal, fill_ratio, iou

F32 = NDArray[np.float32]

ROUND_WORDS = (
    "drinkware",
    "bottle",
    "mug",
    "cup",
    "vase",
    "jar",
    "candle",
    "can ",
    "pot",
    "bowl",
    "lamp",
    "lighting",
    "glass",
)
OPEN_WORDS = ("drinkware", "mug", "cup", "bowl", "tumbler", "bucket", "planter", "flowerpot")
MIN_MOUTH = 0.85  # share of the widest radius; a narrower top is a neck or a cap
RECESS_DEPTH = 0.04  # share of the height: a rim; outlines do not show the real depth
WALL_THICKNESS = 0.1  # share of the widest radius
# Share of the half depth; sides that differ by less are one body, seen a little from aside.
MAX_ASYMMETRY = 0.1
MIN_HALF_CELLS = 1.3  # so that an antenna stays whole
MIN_PROTRUSION = 0.15  # share of the widest radius; less is not a part
MAX_SQUASH = 0.1  # relative difference of the body's width and depth
MAX_UNNAMED_SQUASH = 0.02  # the same where no word says that the product is round
ELLIPTIC_RANGE = (0.87, 1.15)  # depth to width of a body without parts
MAX_PARTS_SHARE = 0.4  # share of the outline beyond the body; with more it is another family
MAX_PARTS_ROWS = 0.92  # share of rows in which parts are seen
MIN_BODY_ROWS = 0.85  # share of rows that contain the axis
EXACT_SQUASH = 0.02  # relative difference of the body's width and the product's depth: a clear sign
MIN_BOWL_ROWS = 0.5  # the same where that sign is clear, as for a pan whose handle rises above it
MIN_MIRROR_IOU = 0.9  # of an outline with its mirror image: the same on both sides
MIN_FEET_SHARE = 0.04  # share of the outline beyond the body
MIN_IOU = 0.92  # of the body with the other views


def propose(evidence: ShapeEvidence) -> ShapeProposal | None:
    """Propose a solid of revolution if one explains the front and the other views."""
    front = evidence.front
    if front is None or (
        evidence.lone_front is not None and fill_ratio(front) > 0.96 and not evidence.mentions(*ROUND_WORDS)
    ):
        return None
    half_depth = (
        evidence.grid.counts[2] / 2 * evidence.grid.step[2] / evidence.grid.step[0]
    )  # in cells of the width
    axis, radii = _axis_and_radii(front, float(half_depth))
    if evidence.side is not None:
        radii = np.minimum(radii, _half_widths(evidence.side))
    radii = _smooth_radii(radii)
    widest = float(radii.max())
    rows = (front > 0).any(0)
    parts_share = 1 - 2 * radii.sum() / max(1, (front > 0).sum())
    squash = half_depth / max(widest, 1e-6)
    if (
        parts_share > MAX_PARTS_SHARE
        or (radii[rows] > 0.02 * widest).mean()
        < (MIN_BODY_ROWS if abs(squash - 1) > EXACT_SQUASH else MIN_BOWL_ROWS)
        or _protrudes_everywhere(front, axis, radii)
    ):
        return None
    if abs(squash - 1) > MAX_SQUASH and (
        parts_share > 0.04 or not ELLIPTIC_RANGE[0] <= squash <= ELLIPTIC_RANGE[1]
    ):
        return None
    if _is_unlikely_from_one_view(evidence, front, squash, float(parts_share)):
        return None
    if not _matches_other_views(evidence, axis, radii, squash):
        return None
    across, along = (
        np.arange(len(evidence.grid.x)) - axis,
        np.arange(len(evidence.grid.z)) - (len(evidence.grid.z) - 1) / 2,
    )
    along = along * evidence.grid.step[2] / evidence.grid.step[0] / squash
    body = radii[None, :, None] - np.hypot(across[:, None, None], along[None, None, :])
    field = body if parts_share < 0.02 else np.maximum(body, _parts(evidence, front, axis, radii))
    if evidence.mentions(*OPEN_WORDS) and not evidence.mentions("bottle", "lid"):
        field = np.minimum(field, _cavity(evidence, across, along, radii))
    confidence = 0.85 if evidence.lone_front is not None else 0.92
    return ShapeProposal(
        field=field.astype(np.float32),
        family="turned" if parts_share < 0.02 else "turned with parts",
        score=0.94,
        confidence=confidence,
        is_complete=True,
    )


def turned_field(evidence: ShapeEvidence, parts: F32 | None, axis: float, radii: F32, squash: float) -> F32:
    """Return the field of a body whose radii are known, with its parts and, of an open vessel, its recess.

    Args:
        evidence: The grid and the product's words.
        parts: (nx, ny) signed distance to the outline of the parts, in cells; None: without parts.
        axis: The position of the axis along the width, in cells.
        radii: (ny,) cells of the width; 0: nothing there.
        squash: Depth to width of the body.
    """
    grid = evidence.grid
    across = np.arange(len(grid.x)) - axis
    along = grid.z / grid.step[0] / squash
    smooth = np.where(radii > 0, np.maximum(_smooth_radii(radii), MIN_HALF_CELLS), -1).astype(np.float32)
    field = smooth[None, :, None] - np.hypot(across[:, None, None], along[None, None, :])
    if parts is not None:
        front = np.maximum(parts, smooth[None] - np.abs(across)[:, None]).astype(np.float32)
        field = np.maximum(field, _parts(evidence, front, axis, smooth))
    if evidence.mentions(*OPEN_WORDS) and not evidence.mentions("bottle", "lid"):
        field = np.minimum(field, _cavity(evidence, across, along, smooth))
    return np.asarray(field, np.float32)


def _is_unlikely_from_one_view(
    evidence: ShapeEvidence, front: F32, squash: float, parts_share: float
) -> bool:
    """Return whether the front alone, or the dimensions, speak against a turned body."""
    if evidence.lone_front is None or evidence.top is not None:
        return False
    if abs(squash - 1) > MAX_UNNAMED_SQUASH and not evidence.mentions(*ROUND_WORDS):
        return True
    return parts_share > MIN_FEET_SHARE and _is_mirrored(front)  # feet around the body, no handle beside it


def _is_mirrored(front: F32) -> bool:
    """Return whether the outline is the same on both sides."""
    return iou(front > 0, front[::-1] > 0) > MIN_MIRROR_IOU


def _axis_and_radii(front: F32, limit: float) -> tuple[float, F32]:
    """Return the axis' position, and for each row the largest radius that is inside on both sides of it."""
    inside = front > 0
    left, right = _inside_counts(inside), _inside_counts(inside[::-1])[::-1]
    axis = int(np.argmax(np.minimum(np.minimum(left, right), limit).sum(1)))
    middles, radii, intervals = [], np.zeros(front.shape[1], np.float32), []
    for found in column_intervals(front):
        interval = next(((a, b) for a, b in found if a <= axis <= b), None)
        intervals.append(interval)
        if interval is not None and abs((interval[0] + interval[1]) / 2 - axis) < 0.06 * limit + 1:
            middles.append((interval[0] + interval[1]) / 2)
    exact_axis = float(np.median(middles)) if middles else float(axis)
    for row, interval in enumerate(intervals):
        if interval is not None:
            sides = (exact_axis - interval[0], interval[1] - exact_axis)
            is_symmetric = abs(sides[0] - sides[1]) < MAX_ASYMMETRY * limit
            radii[row] = max(0.0, sum(sides) / 2 if is_symmetric else min(sides))
    return exact_axis, radii


def _smooth_radii(radii: F32) -> F32:
    """Return radii without the jitter of single rows, which would show as ridges; steps stay."""
    smooth = ndimage.gaussian_filter1d(ndimage.median_filter(radii, 5), 1.5)
    return np.where(np.abs(smooth - radii) < 1.0, smooth, radii)


def _protrudes_everywhere(front: F32, axis: float, radii: F32) -> bool:
    """Return whether the outline exceeds the body from top to bottom: then this is not a protruding part."""
    inside = front > 0
    reach = np.maximum(axis - inside.argmax(0), len(inside) - 1 - inside[::-1].argmax(0) - axis)
    rows = inside.any(0)
    return bool((reach[rows] > 1.1 * radii[rows] + 2).mean() > MAX_PARTS_ROWS)


def _inside_counts(inside: NDArray[np.bool_]) -> F32:
    """Return for each cell how many inside cells there are without a gap from it towards the first column."""
    out = np.zeros(inside.shape, np.float32)
    count = np.zeros(inside.shape[1], np.float32)
    for column in range(len(inside)):
        count = np.where(inside[column], count + 1, 0)
        out[column] = count
    return out


def _half_widths(side: F32) -> F32:
    """Return half the width of the interval around the middle in each row, (ny,)."""
    centre = (len(side) - 1) / 2
    intervals = (
        next(((a, b) for a, b in found if a - 1 <= centre <= b + 1), (0.0, 0.0))
        for found in column_intervals(side)
    )
    return np.array([(b - a) / 2 for a, b in intervals], np.float32)


def _cavity(
    evidence: ShapeEvidence, across: NDArray[np.floating], along: NDArray[np.floating], radii: F32
) -> F32:
    """Return the distance in cells to the cavity of an open vessel, negative inside it."""
    rows = np.flatnonzero(radii > 0)
    top, widest = int(rows[-1]), float(radii.max())
    mouth = float(np.median(radii[top - 3 : top - 1]))
    if mouth < MIN_MOUTH * widest:
        return np.full((1, 1, 1), np.inf, np.float32)
    wall_cells = max(2.5, WALL_THICKNESS * widest)
    depth = np.arange(len(radii)) - (top + 0.5 - max(3.0, RECESS_DEPTH * evidence.grid.counts[1]))
    inside = np.minimum(
        mouth - wall_cells - np.hypot(across[:, None, None], along[None, None, :]), depth[None, :, None]
    )
    return np.asarray(-inside, np.float32)


def _matches_other_views(evidence: ShapeEvidence, axis: float, radii: F32, squash: float) -> bool:
    """Return whether the side and top views agree with the body."""
    along = (
        np.abs(np.arange(len(evidence.grid.z)) - (len(evidence.grid.z) - 1) / 2)
        * evidence.grid.step[2]
        / evidence.grid.step[0]
        / squash
    )
    if evidence.side is not None and iou(along[:, None] < radii[None], evidence.side > 0) < MIN_IOU:
        return False
    if evidence.top is not None:
        across = np.arange(len(evidence.grid.x)) - axis
        disc = np.hypot(across[:, None], along[None]) < radii.max()
        near = np.abs(across) < 0.9 * radii.max()
        return iou(disc[near], (evidence.top > 0)[near]) > MIN_IOU
    return True


def _protruding_outline(front: F32, axis: float, radii: F32) -> F32:
    """Return the outline of protruding parts: intervals beside the body, or far beyond its radius."""
    reach, middle = MIN_PROTRUSION * float(radii.max()), round(axis)
    out = np.minimum(front, 0)
    for row, found in enumerate(column_intervals(front)):
        for a, b in found:
            first, last = int(np.ceil(a)), int(b) + 1
            if not a <= axis <= b:
                out[first:last, row] = front[first:last, row]
                continue
            if b - axis > radii[row] + reach:
                out[middle:last, row] = front[middle:last, row]
            if axis - a > radii[row] + reach:
                out[first:middle, row] = front[first:middle, row]
    return out


def _parts(evidence: ShapeEvidence, front: F32, axis: float, radii: F32) -> F32:
    """Return the parts beyond the body as a field: as thick as the top view shows, else as thick as wide."""
    across = np.arange(len(evidence.grid.x), dtype=np.float32) - axis
    front = _protruding_outline(front, axis, radii)
    beyond = np.where((np.abs(across)[:, None] > radii[None] - 1) & (front > 0), front, 0).astype(np.float32)
    reach = 2 * max(1, round(float(beyond.max()))) + 1
    half = cv2.dilate(
        beyond, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    )  # how wide the part is around here
    along = np.abs(np.arange(len(evidence.grid.z)) - (len(evidence.grid.z) - 1) / 2)
    if evidence.top is not None:
        outer = np.abs(across) > radii.max() + 1
        thick = np.array(
            [max(((b - a) / 2 for a, b in found), default=0) for found in column_intervals(evidence.top.T)]
        )
        half = np.minimum(
            np.where(outer[:, None], thick[:, None], thick[outer].max() if outer.any() else half.max()),
            np.maximum(half, thick[:, None]),
        )
        return np.asarray(np.minimum(front[:, :, None], half[:, :, None] - along[None, None]), np.float32)
    round_half = np.maximum(
        np.sqrt(np.maximum(half**2 - (half - np.clip(front, 0, half)) ** 2, 0)), MIN_HALF_CELLS
    )
    return np.asarray(np.minimum(front[:, :, None], round_half[:, :, None] - along[None, None]), np.float32)
