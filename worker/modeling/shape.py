"""Shape: outlines become a field in metres, positive inside, on a grid of square cells.

Families, chosen by the evidence: hull of the views with rows rounded to superellipses; revolution for one round view;
box for one view that fills its box; inflation for the rest. Tried by others and here, with figures: docs/modeling.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
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
    """Cells over the product's box and a margin around it. x, y, z: the cells' centres in metres, y from the floor."""

    cell: float
    size: Size
    x: F32
    y: F32
    z: F32

    @property
    def shape(self) -> tuple[int, int, int]:
        return len(self.x), len(self.y), len(self.z)

    def turned(self) -> "_Grid":
        """The grid as seen from the product's right: width and depth change places."""
        size = Size(width=self.size.depth, height=self.size.height, depth=self.size.width)
        return _Grid(cell=self.cell, size=size, x=self.z, y=self.y, z=self.x)


def _grid(size: Size) -> _Grid:
    cell = float(size.as_array().max()) / CELLS

    def centres(length: float) -> F32:
        count = max(4, round(length / cell)) + 2 * MARGIN
        return np.asarray((np.arange(count) - (count - 1) / 2) * (length / (count - 2 * MARGIN)), np.float32)

    return _Grid(cell=cell, size=size, x=centres(size.width), y=centres(size.height) + size.height / 2, z=centres(size.depth))


def build_shape(outlines: Mapping[View, Outline], size: Size) -> Shape:
    """The shape that the outlines tell; `outlines` holds at least one view."""
    grid = _grid(size)
    front, side, top = _front(outlines), _side(outlines), outlines.get(View.TOP)
    if front is not None and (side is not None or top is not None):
        field, family, confidence = _hull(grid, front, side, top)
    elif front is None and side is not None:
        turned, family, confidence = _single(grid.turned(), side.mirrored())
        field = np.swapaxes(turned, 0, 2)
    elif front is not None:
        field, family, confidence = _single(grid, front)
    else:
        field, family, confidence = np.broadcast_to(_top_map(grid, outlines[View.TOP])[:, None, :], grid.shape), "slab", 0.4
    field = np.minimum(field, _box(grid))
    origin = np.array([grid.x[0], grid.y[0], grid.z[0]], np.float32)
    return Shape(field=np.ascontiguousarray(field, np.float32), origin=origin, cell=grid.cell, family=family, confidence=confidence)


def _box(grid: _Grid) -> F32:
    """Distance to the faces of the product's box, inside positive."""
    x = grid.size.width / 2 - np.abs(grid.x)
    y = grid.size.height / 2 - np.abs(grid.y - grid.size.height / 2)
    z = grid.size.depth / 2 - np.abs(grid.z)
    return np.asarray(np.minimum(np.minimum(x[:, None, None], y[None, :, None]), z[None, None, :]), np.float32)


def _front(outlines: Mapping[View, Outline]) -> Outline | None:
    if View.FRONT in outlines:
        return outlines[View.FRONT]
    return outlines[View.BACK].mirrored() if View.BACK in outlines else outlines.get(View.HERO)


def _side(outlines: Mapping[View, Outline]) -> Outline | None:
    """The right view, image right being -Z; the left view mirrored is one."""
    if View.RIGHT in outlines:
        return outlines[View.RIGHT]
    return outlines[View.LEFT].mirrored() if View.LEFT in outlines else None


def _map(seen: Outline, across: F32, up: F32, cell: float) -> F32:
    """Distance to an outline in its own plane, (rows, columns), row 0 at the top."""
    return signed_distance(seen, len(across) - 2 * MARGIN, len(up) - 2 * MARGIN, cell, MARGIN)


def _front_map(grid: _Grid, seen: Outline) -> F32:
    """(nx, ny), y upwards."""
    return np.ascontiguousarray(_map(seen, grid.x, grid.y, grid.cell)[::-1].T)


def _side_map(grid: _Grid, seen: Outline) -> F32:
    """(nz, ny): from the right, image right is -Z."""
    return np.ascontiguousarray(_map(seen, grid.z, grid.y, grid.cell)[::-1, ::-1].T)


def _top_map(grid: _Grid, seen: Outline) -> F32:
    """(nx, nz): from above, image up is -Z, so rows run along +Z."""
    return np.ascontiguousarray(_map(seen, grid.x, grid.z, grid.cell).T)


def _hull(grid: _Grid, front: Outline, side: Outline | None, top: Outline | None) -> tuple[F32, str, float]:
    """The visual hull of two or three views, its rows rounded as far as the views allow."""
    f = _front_map(grid, front)
    s = _side_map(grid, side) if side is not None else None
    t = _top_map(grid, top) if top is not None else None
    field = np.broadcast_to(f[:, :, None], grid.shape)
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
    if _fill(f) > 0.93 and _fill(s) > 0.93:
        return None
    if abs(grid.size.width / grid.size.depth - 1) < 0.12:
        wide = cv2.resize((f > 0).astype(np.uint8), (f.shape[1], s.shape[0]), interpolation=cv2.INTER_NEAREST) > 0
        return 2.0 if _iou(wide, s > 0) > 0.9 else 4.0
    return 4.0


def _fill(map_: F32) -> float:
    """The outline's share of its box."""
    return float((map_[MARGIN:-MARGIN, MARGIN:-MARGIN] > 0).mean())


def _rounded_rows(grid: _Grid, f: F32, s: F32, exponent: float) -> F32:
    """A field whose horizontal slices are superellipses over each pair of a front run and a side run."""
    out = np.full(grid.shape, -grid.cell, np.float32)
    for y in range(len(grid.y)):
        across, along = _runs(f[:, y] > 0), _runs(s[:, y] > 0)
        if not across or not along:
            continue
        u, half_x = _local(len(grid.x), across)
        w, half_z = _local(len(grid.z), along)
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


def _single(grid: _Grid, seen: Outline) -> tuple[F32, str, float]:
    """A shape from one view, which is its front."""
    f = _front_map(grid, seen)
    inside = f > 0
    if _fill(f) > 0.96:
        return np.broadcast_to(f[:, :, None], grid.shape), "box", 0.8
    runs = [_runs(inside[:, y]) for y in range(len(grid.y))]
    single = np.mean([len(r) == 1 for r in runs if r])
    symmetric = _iou(inside, inside[::-1]) > 0.93
    if symmetric and single > 0.8 and ROUND_ASPECT[0] <= grid.size.width / grid.size.depth <= ROUND_ASPECT[1]:
        return _revolution(grid, runs), "revolution", 0.85
    return _inflation(grid, f), "inflation", 0.45


def _revolution(grid: _Grid, runs: list[list[tuple[int, int]]]) -> F32:
    """Each row is an ellipse as wide as the outline there and as deep in proportion."""
    half_width, half_depth = grid.size.width / 2, grid.size.depth / 2
    radius = np.hypot((grid.x / half_width)[:, None], (grid.z / half_depth)[None])
    widths = np.array([(r[-1][1] - r[0][0]) / (len(grid.x) - 2 * MARGIN) if r else -0.1 for r in runs])
    return np.asarray((widths[None, :, None] - radius[:, None, :]) * min(half_width, half_depth), np.float32)


def _inflation(grid: _Grid, f: F32) -> F32:
    """As thick as the outline is wide, up to the product's depth: round at the rim, flat where it is wide."""
    half = grid.size.depth / 2
    rim = min(half, max(float(f.max()), grid.cell))
    thickness = half * np.sqrt(np.maximum(1 - (1 - np.clip(f / rim, 0, 1)) ** 2, 0))
    return np.asarray(np.minimum(f[:, :, None], thickness[:, :, None] - np.abs(grid.z)[None, None]), np.float32)


def _iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))
