"""Lofting: a solid from two outlines at right angles, built of slices of one form.

Each slice lies in a rectangle: an interval of cells inside one outline by an interval inside the other. Its
form is an ellipse, a superellipse or the third outline, scaled into that rectangle. So both outlines keep
their place exactly, between cells too.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.modeling.voxel_grid import MARGIN

F32 = NDArray[np.float32]
Intervals = list[tuple[float, float]]
# From the coordinates across (a,) and along (b,), each -1 to 1, and whether the slice has several parts, to
# the signed distance (a, b): 1 in the middle, 0 at the rim.
SliceForm = Callable[[F32, F32, bool], F32]

LEG_EXPONENT = 2.5  # slices in several parts are legs: between a circle (2) and a square
MIN_HALF_WIDTH_CELLS = 0.35  # cells
WIDEST_SHARE = 0.8  # of an outline's reach: slices that reach so far are like it
FAR_OUTSIDE = 10.0  # half widths: farther cells count as this far, so that no power overflows


@dataclass(frozen=True, slots=True)
class LoftSlice:
    """The rectangles of one slice, before a form is chosen."""

    index: int  # of the slice along the axis
    u: F32  # (a,) coordinates across, -1 to 1 within an interval
    v: F32  # (b,) coordinates along, -1 to 1 within an interval
    half_a: F32  # (a,) half widths of the intervals across, in cells
    half_b: F32  # (b,) half widths of the intervals along, in cells
    is_split: bool  # whether the slice has several parts


def loft_slices(across: F32, along: F32, stride: int = 1) -> list[LoftSlice]:
    """Return the slices at each n where `across` (a, n) and `along` (b, n) both have cells inside."""
    found = []
    by_column = column_intervals(across), column_intervals(along)
    for n in range(0, across.shape[1], stride):
        first, second = (intervals[n] for intervals in by_column)
        if first and second:
            (u, half_a), (v, half_b) = (
                _run_coordinates(len(across), first),
                _run_coordinates(len(along), second),
            )
            found.append(LoftSlice(n, u, v, half_a, half_b, len(first) > 1 or len(second) > 1))
    return found


def loft(across: F32, along: F32, form: SliceForm) -> F32:
    """Return the solid of slices of one form between two outlines.

    Args:
        across: (a, n) signed distance in cells.
        along: (b, n) signed distance in cells.
        form: The form of the slices.

    Returns:
        (a, n, b) signed distance in cells, positive inside.
    """
    solid = np.full((across.shape[0], across.shape[1], along.shape[0]), -1, np.float32)
    for s in loft_slices(across, along):
        solid[:, s.index] = form(s.u, s.v, s.is_split) * np.minimum(s.half_a[:, None], s.half_b[None])
    return solid


def footprint(slices: list[LoftSlice], form: SliceForm, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return where any of the slices is inside, seen along the axis: a mask of `shape`, (a, b)."""
    found = np.zeros(shape, bool)
    for s in slices:
        found |= form(s.u, s.v, s.is_split) > 0
    return found


def superellipse_form(exponent: float) -> SliceForm:
    """Return the form |u|^e + |v|^e = 1."""

    def form(u: F32, v: F32, parted: bool) -> F32:
        if exponent == 2:
            return np.asarray(1 - np.sqrt(u[:, None] ** 2 + v[None] ** 2), np.float32)
        a, b = (
            np.minimum(np.abs(side), FAR_OUTSIDE)[at] for side, at in ((u, np.s_[:, None]), (v, np.s_[None]))
        )
        return np.asarray(1 - (a**exponent + b**exponent) ** (1 / exponent), np.float32)

    return form


def domed_form(exponent: float) -> SliceForm:
    """Return a form that is flat in the lower half and a superellipse in the upper, with u upright."""

    def form(u: F32, v: F32, parted: bool) -> F32:
        above = np.maximum(u, 0)[:, None] ** exponent + np.abs(v)[None] ** exponent
        return np.asarray(np.minimum(1 - above ** (1 / exponent), 1 - np.abs(u)[:, None]), np.float32)

    return form


def loft_along_width(across: F32, along: F32, form: SliceForm) -> F32:
    """Return `loft` with the axis first: from `across` (n, a) and `along` (n, b) the solid (n, a, b)."""
    return np.moveaxis(loft(np.ascontiguousarray(across.T), np.ascontiguousarray(along.T), form), 1, 0)


def outline_form(outline: F32) -> SliceForm:
    """Return the form of an outline (a, b) that fills its grid up to the margin."""
    centre = (np.array(outline.shape) - 1) / 2
    half = np.array(outline.shape) / 2 - MARGIN
    legs = superellipse_form(LEG_EXPONENT)

    def form(u: F32, v: F32, parted: bool) -> F32:
        if parted:
            return legs(u, v, parted)
        at_v = np.broadcast_to((centre[1] + v * half[1]).astype(np.float32)[None], (len(u), len(v)))
        at_u = np.broadcast_to((centre[0] + u * half[0]).astype(np.float32)[:, None], (len(u), len(v)))
        values = cv2.remap(
            outline,
            np.ascontiguousarray(at_v),
            np.ascontiguousarray(at_u),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(values / half.min(), np.float32)

    return form


def widest_like_form(outline: F32, others: SliceForm, share: float = WIDEST_SHARE) -> SliceForm:
    """Return the form of an outline for slices that reach about as far as it does, another for smaller ones.

    Args:
        outline: (a, b) signed distance in cells, which fills its grid up to the margin.
        others: The form of slices that are smaller on either side, e.g. a stool's seat below its back.
        share: Of the outline's reach, from which slices are like it.
    """
    widest, half = outline_form(outline), np.array(outline.shape) / 2 - MARGIN

    def form(u: F32, v: F32, parted: bool) -> F32:
        reach = 1 / (u[1] - u[0]), 1 / (v[1] - v[0])  # of the only interval, in cells
        is_wide = reach[0] >= share * half[0] and reach[1] >= share * half[1]
        return (widest if parted or is_wide else others)(u, v, parted)

    return form


def column_intervals(field: F32) -> list[Intervals]:
    """Return the intervals of positive values in each column of a field, between zero crossings, in cells.

    All columns at once: one after the other took a tenth of a second a product.

    Args:
        field: (cells, n); neighbours differ where one is positive and the other is not.
    """
    cells, count = field.shape
    inside = np.zeros((count, cells + 2), np.int8)
    inside[:, 1:-1] = field.T > 0
    change = np.diff(inside, axis=1)  # row by row, so that begins and ends come in the same order
    column, begin = np.nonzero(change > 0)
    end = np.nonzero(change < 0)[1]
    first, last = field[begin, column], field[end - 1, column]
    before = field[np.maximum(begin - 1, 0), column]
    after = field[np.minimum(end, cells - 1), column]
    with np.errstate(invalid="ignore", divide="ignore"):  # where the interval begins or ends the line
        low = begin - np.where(begin > 0, first / (first - before), np.float32(0.5))
        high = end - 1 + np.where(end < cells, last / (last - after), np.float32(0.5))
    found: list[Intervals] = [[] for _ in range(count)]
    for n, pair in zip(column.tolist(), zip(low.tolist(), high.tolist(), strict=True), strict=True):
        found[n].append(pair)
    return found


def _run_coordinates(count: int, found: Intervals) -> tuple[F32, F32]:
    """Return each cell's coordinate in the nearest interval, -1 to 1 inside, and that one's half width."""
    middles = np.array([(a + b) / 2 for a, b in found], np.float32)
    halves = np.array([max((b - a) / 2, MIN_HALF_WIDTH_CELLS) for a, b in found], np.float32)
    cells = np.arange(count, dtype=np.float32)
    nearest = np.argmin(np.abs(cells[:, None] - middles) - halves, axis=1)
    return (cells - middles[nearest]) / halves[nearest], halves[nearest]


def restore_outlines(field: F32, hull: F32, axes: Iterable[int]) -> F32:
    """Return a field that again fills the outlines of the hull along some axes.

    A line of sight that meets the hull but no longer the field gets back the hull's cells around the cell
    where the field is largest.
    """
    for axis in axes:
        field_depth, hull_depth = field.max(axis), hull.max(axis)
        is_lost = (field_depth <= 0.3) & (hull_depth > field_depth)
        if is_lost.any():
            field_lines, hull_lines = (
                np.moveaxis(field, axis, -1)[is_lost],
                np.moveaxis(hull, axis, -1)[is_lost],
            )
            top = np.where(hull_lines > 0, field_lines, -np.inf).max(1, keepdims=True)
            restored = np.where(
                np.isfinite(top), np.clip(hull_depth[is_lost][:, None], 0, 1) + field_lines - top, -np.inf
            )
            field = field.copy()
            np.moveaxis(field, axis, -1)[is_lost] = np.maximum(field_lines, np.minimum(hull_lines, restored))
    return field
