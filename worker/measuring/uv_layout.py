"""UV layouts: range, inversion, overlap, gutter and texel density of texture coordinates, by material.

Overlap is exact. A grid finds pairs of triangles that are near each other; they overlap unless one of their
six edges separates them. Overlaps less deep than TOLERANCE are neighbours that were rounded differently. In a
file made to have millions of pairs only a part is tested, and the count is a lower bound. The gutter is
measured on a raster.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from worker.gltf.document import Primitive

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
TOLERANCE = 2e-6  # share of the texture's side
MERGE_SCALE = 1e5  # UVs that agree in five digits are one place, as in the Khronos asset auditor
MAX_PAIRS = 3_000_000
PAIRS_PER_CHUNK = 200_000
GUTTER_RASTER_PX = 1024
MAX_GUTTER_PX = 64  # wider gutters are measured as this
MAX_PER_CELL = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class UvLayout:
    """The measurements of one material's triangles."""

    material: int | None  # index in the document's materials
    face_count: int
    min_uv: tuple[float, float]
    max_uv: tuple[float, float]
    inverted_count: int  # triangles that show the texture mirrored
    empty_count: int  # triangles that have a line or a point of the texture
    overlapping_count: int  # triangles that share their place in the texture
    island_count: int
    gutter_px: int | None  # between islands, on a texture of GUTTER_RASTER_PX; None with one island
    density: F64  # (k,), of triangles with area: share of the texture's side per metre


def measure_uv_layouts(primitives: Sequence[Primitive]) -> list[UvLayout]:
    """Measure the UV layout of each material that has UVs.

    A primitive that several nodes show counts once.
    """
    groups: dict[int | None, dict[str, Primitive]] = {}
    for p in primitives:
        if p.uvs is not None and len(p.faces):
            groups.setdefault(p.material, {}).setdefault(p.where, p)
    return [_measure(material, list(group.values())) for material, group in groups.items()]


def _measure(material: int | None, group: list[Primitive]) -> UvLayout:
    corners = np.concatenate([p.uvs[p.faces] for p in group if p.uvs is not None])
    solid = np.concatenate(
        [np.linalg.norm(np.cross(*_two_sides(p.positions[p.faces])), axis=1) / 2 for p in group]
    )
    doubled = _doubled_areas(corners)
    filled = np.abs(doubled) > 1e-12
    density = np.sqrt(np.abs(doubled[solid > 0]) / 2 / solid[solid > 0])
    label = _islands(corners)
    shape = corners[filled]
    return UvLayout(
        material=material,
        face_count=len(corners),
        min_uv=(float(corners[..., 0].min()), float(corners[..., 1].min())),
        max_uv=(float(corners[..., 0].max()), float(corners[..., 1].max())),
        # v runs downwards: triangles that are counter-clockwise in space are clockwise in the texture
        inverted_count=int((doubled[filled] > 0).sum()),
        empty_count=int((~filled).sum()),
        overlapping_count=count_overlapping(shape),
        island_count=int(label.max()) + 1,
        gutter_px=_gutter_px(shape, label[filled]),
        density=density,
    )


def _two_sides(corners: F64) -> tuple[F64, F64]:
    return corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]


def _doubled_areas(corners: F64) -> F64:
    """Return twice the signed area of triangles in the plane, (m,)."""
    one, two = _two_sides(corners)
    return np.asarray(one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0], np.float64)


def _islands(corners: F64) -> I64:
    """Return the island of each triangle, (m,). Triangles that share a UV are one island."""
    places = np.round(corners.reshape(-1, 2) * MERGE_SCALE).clip(-1e15, 1e15).astype(np.int64)
    _, ids = np.unique(places[:, 0] * 4_000_037 + places[:, 1], return_inverse=True)
    ids = ids.reshape(-1, 3)
    joined = sparse.coo_array(
        (
            np.ones(2 * len(ids), bool),
            (np.concatenate([ids[:, 0], ids[:, 1]]), np.concatenate([ids[:, 1], ids[:, 2]])),
        ),
        (ids.max() + 1,) * 2,
    )
    return np.asarray(csgraph.connected_components(joined, directed=False)[1][ids[:, 0]], np.int64)


def count_overlapping(corners: F64) -> int:
    """Return the number of triangles that overlap another.

    Args:
        corners: (m, 3, 2).
    """
    if len(corners) < 2:
        return 0
    one, two = _neighbour_pairs(corners)
    found = np.zeros(len(corners), bool)
    for start in range(0, len(one), PAIRS_PER_CHUNK):
        a, b = one[start : start + PAIRS_PER_CHUNK], two[start : start + PAIRS_PER_CHUNK]
        crossed = _overlap(corners[a], corners[b])
        found[a[crossed]] = found[b[crossed]] = True
    return int(found.sum())


def _neighbour_pairs(corners: F64) -> tuple[I64, I64]:
    """Return each pair of triangles whose bounding boxes overlap, found in the cells of a grid."""
    low, high = (np.stack([end(corners[..., 0]), end(corners[..., 1])], 1) for end in (_row_min, _row_max))
    origin, span = low.min(0), np.maximum(high.max(0) - low.min(0), 1e-9)
    cells = int(np.clip(np.sqrt(len(corners)), 4, 512))
    while True:
        first = np.minimum((low - origin) / span * cells, cells - 1).astype(np.int64)
        last = np.minimum((high - origin) / span * cells, cells - 1).astype(np.int64)
        count = (last - first + 1).prod(1)
        if count.sum() <= MAX_PAIRS or cells <= 4:
            break
        cells //= 2
    who = np.repeat(np.arange(len(corners)), count)
    offset = np.arange(len(who)) - np.repeat(np.cumsum(count) - count, count)
    wide = (last - first + 1)[who, 0]
    cell = (first[who, 1] + offset // wide) * cells + first[who, 0] + offset % wide
    order = np.argsort(cell, kind="stable")
    return _cell_pairs(who[order], cell[order], low, high)


def _cell_pairs(who: I64, cell: I64, low: F64, high: F64) -> tuple[I64, I64]:
    """Return the pairs within each cell: those 1, 2, 3 ... places apart in its list, until none is left."""
    pairs, total = [], 0
    left, right, top, bottom = (
        np.ascontiguousarray(c)
        for c in (low[:, 0], high[:, 0] - TOLERANCE, low[:, 1], high[:, 1] - TOLERANCE)
    )
    for step in range(1, MAX_PER_CELL * 20):
        same = cell[step:] == cell[:-step]
        if not same.any():
            break
        a, b = who[:-step][same], who[step:][same]
        near = (left[a] < right[b]) & (left[b] < right[a])
        a, b = a[near], b[near]
        near = (top[a] < bottom[b]) & (top[b] < bottom[a])
        pairs.append(np.minimum(a, b)[near] * len(low) + np.maximum(a, b)[near])
        total += int(near.sum())
        if total > MAX_PAIRS or (step > MAX_PER_CELL and step * len(who) > 40 * MAX_PAIRS):
            break
    keys = np.unique(np.concatenate(pairs)) if pairs else np.zeros(0, np.int64)
    return keys // len(low), keys % len(low)


def _overlap(a: F64, b: F64) -> NDArray[np.bool_]:
    """Return whether each pair of triangles overlaps by more than TOLERANCE: no edge separates them.

    A pair that one edge separates is not tested further: most pairs are neighbours.
    """
    left = np.arange(len(a))
    ax, ay, bx, by = (np.ascontiguousarray(t[..., k]) for t in (a, b) for k in range(2))
    for mine in (True, False):
        for k in range(3):
            x, y = (ax, ay) if mine else (bx, by)
            nx, ny = y[:, k] - y[:, (k + 1) % 3], x[:, (k + 1) % 3] - x[:, k]
            length = np.maximum(np.hypot(nx, ny), 1e-300)
            nx, ny = (nx / length)[:, None], (ny / length)[:, None]
            one, two = ax * nx + ay * ny, bx * nx + by * ny
            over = (_row_max(one) - TOLERANCE > _row_min(two)) & (_row_max(two) - TOLERANCE > _row_min(one))
            left, ax, ay, bx, by = left[over], ax[over], ay[over], bx[over], by[over]
    found = np.zeros(len(a), bool)
    found[left] = True
    return found


def _row_max(corners: F64) -> F64:
    """Return the greatest of each row's three columns, five times as fast as a reduction over the axis."""
    return np.asarray(np.maximum(np.maximum(corners[:, 0], corners[:, 1]), corners[:, 2]), np.float64)


def _row_min(corners: F64) -> F64:
    return np.asarray(np.minimum(np.minimum(corners[:, 0], corners[:, 1]), corners[:, 2]), np.float64)


def _gutter_px(corners: F64, label: I64) -> int | None:
    """Return the least distance between two islands, in pixels of GUTTER_RASTER_PX, at most MAX_GUTTER_PX."""
    found = np.unique(label)
    if len(found) < 2:
        return None
    raster = np.zeros((GUTTER_RASTER_PX, GUTTER_RASTER_PX), np.float32)
    order = np.argsort(label, kind="stable")
    scaled = (
        np.round(
            (corners[order] - np.floor(corners[order].min(1, keepdims=True).clip(-1e6, 1e6)))
            * GUTTER_RASTER_PX
            * 16
        )
        .clip(-(2**20), 2**20)
        .astype(np.int32)
    )
    starts = np.searchsorted(label[order], found)
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(order)], strict=True)):
        for triangle in scaled[start:end]:
            cv2.fillConvexPoly(raster, triangle, number + 1, shift=4)
    empty = raster == 0
    least = np.where(empty, np.float32(len(found) + 1), raster)
    narrow, wide = 0, MAX_GUTTER_PX
    while narrow < wide:
        middle = (narrow + wide) // 2
        around = np.ones((middle + 2, middle + 2), np.uint8)
        most, fewest = cv2.dilate(raster, around), cv2.erode(least, around, borderType=cv2.BORDER_REPLICATE)
        if ((most != fewest) & (most > 0)).any():
            wide = middle
        else:
            narrow = middle + 1
    return narrow
