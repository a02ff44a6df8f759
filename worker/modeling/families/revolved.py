"""Turned: a round body with an upright axis, off the middle if need be, and what sticks out of it: handle, spout, knob."""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from worker.modeling.lofting import inside_intervals
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
OPEN = ("drinkware", "mug", "cup", "bowl", "tumbler", "bucket", "planter", "flowerpot")
MOUTH = 0.85  # of the widest: narrower at the top is a neck or a cap
RECESS = 0.04  # of the height, so that a rim stands: how deep it really is, no outline tells
WALL = 0.1  # of the widest radius
UNEVEN = 0.1  # of the half depth: sides that differ by less are one round body, seen from a little aside
LEAST_HALF = 1.3  # cells, so that an antenna stays whole
PART = 0.15  # of the widest radius: what sticks out by less is no part
ROUNDNESS = 0.1  # how far the body's width may be off its depth
ELLIPTIC = (0.87, 1.15)  # depth to width of a body without parts that still is one
LARGEST_REST = 0.4  # of the outline; more is another family
PARTS_ROWS = 0.92  # share of rows that parts may be seen in
SOLID_ROWS = 0.85  # share of rows that pass through the axis
FITTING = 0.92  # overlap that the other views must have with the body


def propose(evidence: ShapeEvidence) -> ShapeProposal | None:
    front = evidence.front
    if front is None or (
        evidence.lone_front is not None and fill_ratio(front) > 0.96 and not evidence.mentions(*ROUND_WORDS)
    ):
        return None
    half_depth = (
        evidence.grid.counts[2] / 2 * evidence.grid.step[2] / evidence.grid.step[0]
    )  # in cells of the width
    axis, radii = _body(front, float(half_depth))
    if evidence.side is not None:
        radii = np.minimum(radii, _half_runs(evidence.side))
    radii = _steadied(radii)
    widest = float(radii.max())
    rows = (front > 0).any(0)
    rest = 1 - 2 * radii.sum() / max(1, (front > 0).sum())
    squash = half_depth / max(widest, 1e-6)
    if (
        rest > LARGEST_REST
        or (radii[rows] > 0.02 * widest).mean() < SOLID_ROWS
        or _all_along(front, axis, radii)
    ):
        return None
    if abs(squash - 1) > ROUNDNESS and (rest > 0.04 or not ELLIPTIC[0] <= squash <= ELLIPTIC[1]):
        return None
    if not _fits(evidence, axis, radii, squash):
        return None
    across, along = (
        np.arange(len(evidence.grid.x)) - axis,
        np.arange(len(evidence.grid.z)) - (len(evidence.grid.z) - 1) / 2,
    )
    along = along * evidence.grid.step[2] / evidence.grid.step[0] / squash
    body = radii[None, :, None] - np.hypot(across[:, None, None], along[None, None, :])
    field = body if rest < 0.02 else np.maximum(body, _parts(evidence, front, axis, radii))
    if evidence.mentions(*OPEN) and not evidence.mentions("bottle", "lid"):
        field = np.minimum(field, _hollow(evidence, across, along, radii))
    confidence = 0.85 if evidence.lone_front is not None else 0.92
    return ShapeProposal(
        field=field.astype(np.float32),
        family="turned" if rest < 0.02 else "turned with parts",
        score=0.94,
        confidence=confidence,
        is_complete=True,
    )


def _body(front: F32, limit: float) -> tuple[float, F32]:
    """The axis' place across, and for each row the largest half width that is there on both of its sides."""
    inside = front > 0
    left, right = _reach(inside), _reach(inside[::-1])[::-1]
    axis = int(np.argmax(np.minimum(np.minimum(left, right), limit).sum(1)))
    middles, radii, found = [], np.zeros(front.shape[1], np.float32), []
    for row in range(front.shape[1]):
        around = next(((a, b) for a, b in inside_intervals(front[:, row]) if a <= axis <= b), None)
        found.append(around)
        if around is not None and abs((around[0] + around[1]) / 2 - axis) < 0.06 * limit + 1:
            middles.append((around[0] + around[1]) / 2)
    exact = float(np.median(middles)) if middles else float(axis)
    for row, around in enumerate(found):
        if around is not None:
            sides = (exact - around[0], around[1] - exact)
            even = abs(sides[0] - sides[1]) < UNEVEN * limit
            radii[row] = max(0.0, sum(sides) / 2 if even else min(sides))
    return exact, radii


def _steadied(radii: F32) -> F32:
    """Radii without the jitter of single rows, which would ring the body with ridges; steps stay."""
    smooth = ndimage.gaussian_filter1d(ndimage.median_filter(radii, 5), 1.5)
    return np.where(np.abs(smooth - radii) < 1.0, smooth, radii)


def _all_along(front: F32, axis: float, radii: F32) -> bool:
    """Whether the outline goes beyond the body from top to bottom: then it is not a part that sticks out."""
    inside = front > 0
    reach = np.maximum(axis - inside.argmax(0), len(inside) - 1 - inside[::-1].argmax(0) - axis)
    rows = inside.any(0)
    return bool((reach[rows] > 1.1 * radii[rows] + 2).mean() > PARTS_ROWS)


def _reach(inside: NDArray[np.bool_]) -> F32:
    """For each cell how many inside cells lie without a gap from it towards the first column's end."""
    out = np.zeros(inside.shape, np.float32)
    count = np.zeros(inside.shape[1], np.float32)
    for column in range(len(inside)):
        count = np.where(inside[column], count + 1, 0)
        out[column] = count
    return out


def _half_runs(side: F32) -> F32:
    """Half the width of each row's run around the middle."""
    middle = (len(side) - 1) / 2
    around = (
        next(((a, b) for a, b in inside_intervals(side[:, row]) if a - 1 <= middle <= b + 1), (0.0, 0.0))
        for row in range(side.shape[1])
    )
    return np.array([(b - a) / 2 for a, b in around], np.float32)


def _hollow(
    evidence: ShapeEvidence, across: NDArray[np.floating], along: NDArray[np.floating], radii: F32
) -> F32:
    """Cells to the inside of an open vessel, negative within it."""
    filled = np.flatnonzero(radii > 0)
    top, widest = int(filled[-1]), float(radii.max())
    mouth = float(np.median(radii[top - 3 : top - 1]))
    if mouth < MOUTH * widest:
        return np.full((1, 1, 1), np.inf, np.float32)
    wall = max(2.5, WALL * widest)
    depth = np.arange(len(radii)) - (top + 0.5 - max(3.0, RECESS * evidence.grid.counts[1]))
    inside = np.minimum(
        mouth - wall - np.hypot(across[:, None, None], along[None, None, :]), depth[None, :, None]
    )
    return np.asarray(-inside, np.float32)


def _fits(evidence: ShapeEvidence, axis: float, radii: F32, squash: float) -> bool:
    """Whether the other views show the body."""
    along = (
        np.abs(np.arange(len(evidence.grid.z)) - (len(evidence.grid.z) - 1) / 2)
        * evidence.grid.step[2]
        / evidence.grid.step[0]
        / squash
    )
    if evidence.side is not None and iou(along[:, None] < radii[None], evidence.side > 0) < FITTING:
        return False
    if evidence.top is not None:
        across = np.arange(len(evidence.grid.x)) - axis
        disc = np.hypot(across[:, None], along[None]) < radii.max()
        near = np.abs(across) < 0.9 * radii.max()
        return iou(disc[near], (evidence.top > 0)[near]) > FITTING
    return True


def _jutting(front: F32, axis: float, radii: F32) -> F32:
    """The outline without what ends at the body's rim: runs beside the body, and the body's own where they reach far beyond it."""
    reach, middle = PART * float(radii.max()), round(axis)
    out = np.minimum(front, 0)
    for row in range(front.shape[1]):
        for a, b in inside_intervals(front[:, row]):
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
    """What the outline has beyond the body: as thick as the top view shows, else as it is wide."""
    across = np.arange(len(evidence.grid.x), dtype=np.float32) - axis
    front = _jutting(front, axis, radii)
    beyond = np.where((np.abs(across)[:, None] > radii[None] - 1) & (front > 0), front, 0).astype(np.float32)
    reach = 2 * max(1, round(float(beyond.max()))) + 1
    half = cv2.dilate(
        beyond, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    )  # how wide the part is around here
    along = np.abs(np.arange(len(evidence.grid.z)) - (len(evidence.grid.z) - 1) / 2)
    if evidence.top is not None:
        outer = np.abs(across) > radii.max() + 1
        thick = np.array(
            [
                max((b - a) / 2 for a, b in inside_intervals(line)) if (line > 0).any() else 0
                for line in evidence.top
            ]
        )
        half = np.minimum(
            np.where(outer[:, None], thick[:, None], thick[outer].max() if outer.any() else half.max()),
            np.maximum(half, thick[:, None]),
        )
        return np.asarray(np.minimum(front[:, :, None], half[:, :, None] - along[None, None]), np.float32)
    round_half = np.maximum(
        np.sqrt(np.maximum(half**2 - (half - np.clip(front, 0, half)) ** 2, 0)), LEAST_HALF
    )
    return np.asarray(np.minimum(front[:, :, None], round_half[:, :, None] - along[None, None]), np.float32)
