"""Shape: outlines become a field in metres, positive inside, on a grid of square cells.

Families, chosen by the evidence: hull of the views with rows rounded to superellipses; revolution for one round view;
box for one view that fills its box; inflation for the rest. Tried by others and here, with figures: docs/modeling.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dam_connector.catalog.product import View
from worker.modeling.silhouettes import Outline, Size, signed_distance

F32 = NDArray[np.float32]

CELLS = 144  # along the longest side; 96 to 256 hardly changes the scores, thin parts want this
MARGIN = 3  # empty cells around, so that the surface closes
EXPONENTS = (2.0, 2.5, 3.5, 6.0)
ROUND_ASPECT = (0.87, 1.15)
_OPPOSITE = {View.BACK: View.FRONT, View.LEFT: View.RIGHT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """field: (nx, ny, nz) float32, metres to the surface, inside positive, the first cell's centre at `origin`; cell: metres."""

    field: F32
    origin: F32
    cell: float
    family: str
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grid:
    """Cells over the product's box, without the margin."""

    nx: int
    ny: int
    nz: int
    cell: float
    size: Size


def build_shape(outlines: Mapping[View, Outline], size: Size) -> Shape:
    """The shape that the outlines tell; `outlines` holds at least one view."""
    cell = float(size.as_array().max()) / CELLS
    counts = [max(4, round(float(s) / cell)) for s in size.as_array()]
    grid = _Grid(nx=counts[0], ny=counts[1], nz=counts[2], cell=cell, size=size)
    front, side, top = _front(outlines), _side(outlines), outlines.get(View.TOP)
    if front is not None and (side is not None or top is not None):
        field, family, confidence = _hull(grid, front, side, top)
    else:
        field, family, confidence = _single(grid, front or side or outlines[View.TOP], top_only=front is None and side is None)
        if front is None and side is not None:
            field = np.ascontiguousarray(np.swapaxes(_single(_turned(grid), side, top_only=False)[0], 0, 2))
    padded = np.pad(field, MARGIN, constant_values=-2 * cell)
    low = np.array([-size.width / 2, 0.0, -size.depth / 2]) + cell / 2
    return Shape(field=padded.astype(np.float32), origin=(low - MARGIN * cell).astype(np.float32), cell=cell, family=family, confidence=confidence)


def _turned(grid: _Grid) -> _Grid:
    turned = Size(width=grid.size.depth, height=grid.size.height, depth=grid.size.width)
    return _Grid(nx=grid.nz, ny=grid.ny, nz=grid.nx, cell=grid.cell, size=turned)


def _front(outlines: Mapping[View, Outline]) -> Outline | None:
    if View.FRONT in outlines:
        return outlines[View.FRONT]
    return outlines[View.BACK].mirrored() if View.BACK in outlines else outlines.get(View.HERO)


def _side(outlines: Mapping[View, Outline]) -> Outline | None:
    """The right view, image right being -Z; the left view mirrored is one."""
    if View.RIGHT in outlines:
        return outlines[View.RIGHT]
    return outlines[View.LEFT].mirrored() if View.LEFT in outlines else None


def _front_map(grid: _Grid, seen: Outline) -> F32:
    """(nx, ny): distance in the picture plane, y upwards."""
    return np.ascontiguousarray(signed_distance(seen, grid.nx, grid.ny, grid.cell)[::-1].T)


def _side_map(grid: _Grid, seen: Outline) -> F32:
    """(nz, ny): from the right, image right is -Z."""
    return np.ascontiguousarray(signed_distance(seen, grid.nz, grid.ny, grid.cell)[::-1, ::-1].T)


def _top_map(grid: _Grid, seen: Outline) -> F32:
    """(nx, nz): from above, image up is -Z, so rows run along +Z."""
    return np.ascontiguousarray(signed_distance(seen, grid.nx, grid.nz, grid.cell).T)


def _hull(grid: _Grid, front: Outline, side: Outline | None, top: Outline | None) -> tuple[F32, str, float]:
    """The visual hull of two or three views, its rows rounded as far as the views allow."""
    f = _front_map(grid, front)
    s = _side_map(grid, side) if side is not None else None
    t = _top_map(grid, top) if top is not None else None
    field = np.broadcast_to(f[:, :, None], (grid.nx, grid.ny, grid.nz))
    if s is not None:
        field = np.minimum(field, s.T[None, :, :])
    if t is not None:
        field = np.minimum(field, t[:, None, :])
    if s is None:
        return np.asarray(field, np.float32), "hull", 0.7
    exponent = _exponent(grid, f, s, t)
    if exponent is not None:
        field = np.minimum(field, _rounded_rows(grid, f, s, exponent))
    return np.asarray(field, np.float32), "hull" if exponent is None else f"rounded hull {exponent:g}", 0.9 if t is not None else 0.75


def _exponent(grid: _Grid, f: F32, s: F32, t: F32 | None) -> float | None:
    """The superellipse exponent that explains the top view best; without one: round when front and side agree, square when both are boxes."""
    if t is not None:
        seen = t > 0
        hull_top = np.any((f > 0)[:, :, None] & (s > 0).T[None], axis=1)
        scores: dict[float | None, float] = {None: _iou(hull_top, seen)}
        for exponent in EXPONENTS:
            scores[exponent] = _iou(np.any(_rounded_rows(grid, f, s, exponent) > 0, axis=1), seen)
        return max(scores, key=lambda e: (scores[e], e is None))
    if float((f > 0).mean()) > 0.93 and float((s > 0).mean()) > 0.93:
        return None
    if grid.nx == grid.nz or abs(grid.nx / grid.nz - 1) < 0.12:
        count = min(grid.nx, grid.nz)
        return 2.0 if _iou(f[:count] > 0, s[:count] > 0) > 0.9 else 4.0
    return 4.0


def _rounded_rows(grid: _Grid, f: F32, s: F32, exponent: float) -> F32:
    """A field whose horizontal slices are superellipses over each pair of a front run and a side run."""
    out = np.full((grid.nx, grid.ny, grid.nz), -grid.cell, np.float32)
    for y in range(grid.ny):
        across, along = _runs(f[:, y] > 0), _runs(s[:, y] > 0)
        if not across or not along:
            continue
        u, half_x = _local(grid.nx, across)
        w, half_z = _local(grid.nz, along)
        radius = (np.abs(u)[:, None] ** exponent + np.abs(w)[None] ** exponent) ** (1 / exponent)
        out[:, y] = (1 - radius) * np.minimum(half_x[:, None], half_z[None]) * grid.cell
    return out


def _runs(row: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The stretches of true cells, as (first, one past last)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], row, [False]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _local(count: int, runs: list[tuple[int, int]]) -> tuple[F32, F32]:
    """For each cell its place in the nearest run, -1 to 1 and beyond, and that run's half width in cells."""
    centre = np.arange(count) + 0.5
    middles = np.array([(a + b) / 2 for a, b in runs])
    halves = np.array([(b - a) / 2 for a, b in runs])
    nearest = np.argmin(np.abs(centre[:, None] - middles) - halves, axis=1)
    return ((centre - middles[nearest]) / halves[nearest]).astype(np.float32), halves[nearest].astype(np.float32)


def _single(grid: _Grid, seen: Outline, *, top_only: bool) -> tuple[F32, str, float]:
    """A shape from one view."""
    if top_only:
        t = _top_map(grid, seen)
        return np.broadcast_to(t[:, None, :], (grid.nx, grid.ny, grid.nz)).copy(), "slab", 0.4
    f = _front_map(grid, seen)
    inside = f > 0
    if float(inside.mean()) > 0.96:
        return np.broadcast_to(f[:, :, None], (grid.nx, grid.ny, grid.nz)).copy(), "box", 0.8
    runs = [_runs(inside[:, y]) for y in range(grid.ny)]
    single = np.mean([len(r) == 1 for r in runs if r])
    symmetric = _iou(inside, inside[::-1]) > 0.93
    if symmetric and single > 0.8 and ROUND_ASPECT[0] <= grid.size.width / grid.size.depth <= ROUND_ASPECT[1]:
        return _revolution(grid, runs), "revolution", 0.85
    return _inflation(grid, f), "inflation", 0.45


def _revolution(grid: _Grid, runs: list[list[tuple[int, int]]]) -> F32:
    """Each row is an ellipse as wide as the outline there and as deep in proportion."""
    x = (np.arange(grid.nx) + 0.5 - grid.nx / 2)[:, None] / (grid.nx / 2)
    z = (np.arange(grid.nz) + 0.5 - grid.nz / 2)[None] / (grid.nz / 2)
    radius = np.sqrt(x * x + z * z)
    widths = np.array([(r[-1][1] - r[0][0]) / grid.nx if r else 0.0 for r in runs])
    out = (widths[None, :, None] - radius[:, None, :]) * (min(grid.nx, grid.nz) / 2 * grid.cell)
    rows = np.flatnonzero(widths > 0)
    if len(rows):
        out[:, : rows[0]] = -grid.cell
        out[:, rows[-1] + 1 :] = -grid.cell
    return np.asarray(out, np.float32)


def _inflation(grid: _Grid, f: F32) -> F32:
    """As thick as the outline is wide, up to the product's depth: round at the rim, flat where it is wide."""
    half = grid.size.depth / 2
    inner = max(float(f.max()), grid.cell)
    rim = min(half, inner)
    reach = np.clip(f / rim, 0, 1)
    thickness = half * np.sqrt(np.maximum(1 - (1 - reach) ** 2, 0))
    z = np.abs(np.arange(grid.nz) + 0.5 - grid.nz / 2) * grid.cell
    return np.asarray(np.minimum(f[:, :, None], thickness[:, :, None] - z[None, None]), np.float32)


def _iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))
