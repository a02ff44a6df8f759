"""Slices: a solid from two outlines at right angles, by the form of its slices.

Each slice lies within a rectangle: a run of cells in one outline by a run in the other. Its form is an ellipse, a superellipse
or the third outline, scaled into that rectangle; so both outlines keep their place exactly, between cells too.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.modeling.voxel_grid import MARGIN

F32 = NDArray[np.float32]
Runs = list[tuple[float, float]]
SliceForm = Callable[
    [F32, F32, bool], F32
]  # places -1 to 1 across (a) and along (b), and whether the slice has several parts: (a, b), 1 to -1

LEG_EXPONENT = 2.5  # slices in several parts are legs: rounder than a square, squarer than a circle
LEAST_HALF = 0.35  # cells


@dataclass(frozen=True, slots=True)
class LoftSlice:
    """One slice, not yet of any form. n: which; u, v: places across and along, -1 to 1 within a run; half_a, half_b: the runs' half widths
    in cells; parted: whether it has several parts."""

    index: int
    u: F32
    v: F32
    half_a: F32
    half_b: F32
    is_split: bool


def loft_slices(across: F32, along: F32, stride: int = 1) -> list[LoftSlice]:
    """A slice at each n of `across` (a, n) and `along` (b, n) where both have something."""
    found = []
    for n in range(0, across.shape[1], stride):
        first, second = inside_runs(across[:, n]), inside_runs(along[:, n])
        if first and second:
            (u, half_a), (v, half_b) = _places(len(across), first), _places(len(along), second)
            found.append(LoftSlice(n, u, v, half_a, half_b, len(first) > 1 or len(second) > 1))
    return found


def loft(across: F32, along: F32, form: SliceForm) -> F32:
    """(a, n, b): slices of a form at each n of `across` (a, n) and `along` (b, n), in cells, inside positive."""
    out = np.full((across.shape[0], across.shape[1], along.shape[0]), -1, np.float32)
    for s in loft_slices(across, along):
        out[:, s.index] = form(s.u, s.v, s.is_split) * np.minimum(s.half_a[:, None], s.half_b[None])
    return out


def footprint(slices: list[LoftSlice], form: SliceForm, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Where, (a, b), any of the slices has something in this form."""
    found = np.zeros(shape, bool)
    for s in slices:
        found |= form(s.u, s.v, s.is_split) > 0
    return found


def superellipse_form(exponent: float) -> SliceForm:
    """Slices of |u|^e + |v|^e = 1."""

    def form(u: F32, v: F32, parted: bool) -> F32:
        if exponent == 2:
            return np.asarray(1 - np.sqrt(u[:, None] ** 2 + v[None] ** 2), np.float32)
        return np.asarray(
            1 - (np.abs(u)[:, None] ** exponent + np.abs(v)[None] ** exponent) ** (1 / exponent), np.float32
        )

    return form


def domed_form(exponent: float) -> SliceForm:
    """Slices that are flat below and superellipses above, `a` being upright."""

    def form(u: F32, v: F32, parted: bool) -> F32:
        above = np.maximum(u, 0)[:, None] ** exponent + np.abs(v)[None] ** exponent
        return np.asarray(np.minimum(1 - above ** (1 / exponent), 1 - np.abs(u)[:, None]), np.float32)

    return form


def loft_along_width(across: F32, along: F32, form: SliceForm) -> F32:
    """(n, a, b): slices at each n of `across` (n, a) and `along` (n, b)."""
    return np.moveaxis(loft(np.ascontiguousarray(across.T), np.ascontiguousarray(along.T), form), 1, 0)


def outline_form(outline: F32) -> SliceForm:
    """Slices in the form of `outline` (a, b), which fills its grid up to the margin."""
    centre = (np.array(outline.shape) - 1) / 2
    half = np.array(outline.shape) / 2 - MARGIN
    legs = superellipse_form(LEG_EXPONENT)

    def form(u: F32, v: F32, parted: bool) -> F32:
        if parted:
            return legs(u, v, parted)
        at_v = np.broadcast_to((centre[1] + v * half[1]).astype(np.float32)[None], (len(u), len(v)))
        at_u = np.broadcast_to((centre[0] + u * half[0]).astype(np.float32)[:, None], (len(u), len(v)))
        found = cv2.remap(
            outline,
            np.ascontiguousarray(at_v),
            np.ascontiguousarray(at_u),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(found / half.min(), np.float32)

    return form


def inside_runs(line: F32) -> Runs:
    """The stretches of positive values, from and to where the line crosses zero, in cells."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], line > 0, [0]])))
    found = []
    for a, b in zip(edges[::2], edges[1::2], strict=True):
        low = a - (line[a] / (line[a] - line[a - 1]) if a > 0 else 0.5)
        high = b - 1 + (line[b - 1] / (line[b - 1] - line[b]) if b < len(line) else 0.5)
        found.append((float(low), float(high)))
    return found


def _places(count: int, found: Runs) -> tuple[F32, F32]:
    """For each cell its place in the nearest run, -1 to 1 and beyond, and that run's half width in cells."""
    middles = np.array([(a + b) / 2 for a, b in found], np.float32)
    halves = np.array([max((b - a) / 2, LEAST_HALF) for a, b in found], np.float32)
    cells = np.arange(count, dtype=np.float32)
    nearest = np.argmin(np.abs(cells[:, None] - middles) - halves, axis=1)
    return (cells - middles[nearest]) / halves[nearest], halves[nearest]


def restore_outlines(field: F32, hull: F32, axes: Iterable[int]) -> F32:
    """The field where it still shows all of the hull's outlines along `axes`: a line of sight that meets the hull and no more
    of the field gets back the hull's cells around the field's best."""
    for axis in axes:
        best, wanted = field.max(axis), hull.max(axis)
        lost = (best <= 0.3) & (wanted > best)
        if lost.any():
            lines, possible = np.moveaxis(field, axis, -1)[lost], np.moveaxis(hull, axis, -1)[lost]
            top = np.where(possible > 0, lines, -np.inf).max(1, keepdims=True)
            near = np.where(np.isfinite(top), np.clip(wanted[lost][:, None], 0, 1) + lines - top, -np.inf)
            field = field.copy()
            np.moveaxis(field, axis, -1)[lost] = np.maximum(lines, np.minimum(possible, near))
    return field
