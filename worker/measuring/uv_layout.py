"""Unwrap: how the texture lies on a model: range, inversion, overlap, gutter, texel density, for each material.

Overlap is exact: pairs of triangles near each other (a grid finds them) are separated by one of their six edges, or they
overlap; depths under TOUCH are neighbours that round differently. A file made to have millions of pairs is looked at in part, and the
count is then a lower bound. The gutter is measured on a raster of GUTTER_PX.
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
TOUCH = 2e-6  # of the texture's side
MERGE = 1e5  # uvs equal to five digits are one, as in the Khronos asset auditor
MAX_PAIRS = 3_000_000
CHUNK = 200_000
GUTTER_PX = 1024
WIDEST_GUTTER = 64  # wider ones are not told apart
MAX_A_CELL = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Unwrap:
    """What was measured on one material's triangles.

    density: (m,) float64, share of the texture's side per metre, of those with area. low, high: the range of u and v.
    gutter: pixels between islands on a texture of GUTTER_PX a side, or None with one island.
    """

    material: int | None
    faces: int
    low: tuple[float, float]
    high: tuple[float, float]
    inverted: int
    empty: int
    overlapping: int
    islands: int
    gutter: int | None
    density: F64


def unwraps(primitives: Sequence[Primitive]) -> list[Unwrap]:
    """The unwrap of each material; what has no uvs has none. A primitive that several nodes show counts once."""
    groups: dict[int | None, dict[str, Primitive]] = {}
    for p in primitives:
        if p.uvs is not None and len(p.faces):
            groups.setdefault(p.material, {}).setdefault(p.where, p)
    return [_unwrap(material, list(group.values())) for material, group in groups.items()]


def _unwrap(material: int | None, group: list[Primitive]) -> Unwrap:
    corners = np.concatenate([p.uvs[p.faces] for p in group if p.uvs is not None])
    solid = np.concatenate(
        [np.linalg.norm(np.cross(*_sides(p.positions[p.faces])), axis=1) / 2 for p in group]
    )
    doubled = _doubled(corners)
    filled = np.abs(doubled) > 1e-12
    density = np.sqrt(np.abs(doubled[solid > 0]) / 2 / solid[solid > 0])
    label = _islands(corners)
    shape = corners[filled]
    return Unwrap(
        material=material,
        faces=len(corners),
        low=(float(corners[..., 0].min()), float(corners[..., 1].min())),
        high=(float(corners[..., 0].max()), float(corners[..., 1].max())),
        inverted=int(
            (doubled[filled] > 0).sum()
        ),  # v runs downwards: what is counter-clockwise in space is clockwise there
        empty=int((~filled).sum()),
        overlapping=overlapping(shape),
        islands=int(label.max()) + 1,
        gutter=_gutter(shape, label[filled]),
        density=density,
    )


def _sides(corners: F64) -> tuple[F64, F64]:
    return corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]


def _doubled(corners: F64) -> F64:
    """Twice the signed area of triangles in the plane, (m,)."""
    one, two = _sides(corners)
    return np.asarray(one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0], np.float64)


def _islands(corners: F64) -> I64:
    """The island of each triangle, (m,): triangles that share a place in the texture are of one."""
    places = np.round(corners.reshape(-1, 2) * MERGE).clip(-1e15, 1e15).astype(np.int64)
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


def overlapping(corners: F64) -> int:
    """How many triangles of (m, 3, 2) lie over another."""
    if len(corners) < 2:
        return 0
    one, two = _neighbours(corners)
    found = np.zeros(len(corners), bool)
    for start in range(0, len(one), CHUNK):
        a, b = one[start : start + CHUNK], two[start : start + CHUNK]
        crossed = _crossed(corners[a], corners[b])
        found[a[crossed]] = found[b[crossed]] = True
    return int(found.sum())


def _neighbours(corners: F64) -> tuple[I64, I64]:
    """Pairs of triangles whose boxes overlap, found in the cells of a grid; each pair once."""
    low, high = (np.stack([end(corners[..., 0]), end(corners[..., 1])], 1) for end in (_least, _most))
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
    turn = np.arange(len(who)) - np.repeat(np.cumsum(count) - count, count)
    wide = (last - first + 1)[who, 0]
    cell = (first[who, 1] + turn // wide) * cells + first[who, 0] + turn % wide
    order = np.argsort(cell, kind="stable")
    return _paired(who[order], cell[order], low, high)


def _paired(who: I64, cell: I64, low: F64, high: F64) -> tuple[I64, I64]:
    """Pairs of one cell, at a distance of 1, 2, 3 ... in its list, until there is none left."""
    pairs, total = [], 0
    left, right, top, bottom = (
        np.ascontiguousarray(c) for c in (low[:, 0], high[:, 0] - TOUCH, low[:, 1], high[:, 1] - TOUCH)
    )
    for step in range(1, MAX_A_CELL * 20):
        same = cell[step:] == cell[:-step]
        if not same.any():
            break
        a, b = who[:-step][same], who[step:][same]
        near = (left[a] < right[b]) & (left[b] < right[a])
        a, b = a[near], b[near]
        near = (top[a] < bottom[b]) & (top[b] < bottom[a])
        pairs.append(np.minimum(a, b)[near] * len(low) + np.maximum(a, b)[near])
        total += int(near.sum())
        if total > MAX_PAIRS or (step > MAX_A_CELL and step * len(who) > 40 * MAX_PAIRS):
            break
    keys = np.unique(np.concatenate(pairs)) if pairs else np.zeros(0, np.int64)
    return keys // len(low), keys % len(low)


def _crossed(a: F64, b: F64) -> NDArray[np.bool_]:
    """Whether triangles overlap by more than TOUCH, pair by pair: no edge of either separates them. Pairs that one edge has separated are left out
    of the others: most are neighbours."""
    left = np.arange(len(a))
    ax, ay, bx, by = (np.ascontiguousarray(t[..., k]) for t in (a, b) for k in range(2))
    for mine in (True, False):
        for k in range(3):
            x, y = (ax, ay) if mine else (bx, by)
            nx, ny = y[:, k] - y[:, (k + 1) % 3], x[:, (k + 1) % 3] - x[:, k]
            length = np.maximum(np.hypot(nx, ny), 1e-300)
            nx, ny = (nx / length)[:, None], (ny / length)[:, None]
            one, two = ax * nx + ay * ny, bx * nx + by * ny
            over = (_most(one) - TOUCH > _least(two)) & (_most(two) - TOUCH > _least(one))
            left, ax, ay, bx, by = left[over], ax[over], ay[over], bx[over], by[over]
    found = np.zeros(len(a), bool)
    found[left] = True
    return found


def _most(corners: F64) -> F64:
    """The greatest of three, by columns: a reduction over an axis of three is five times as slow."""
    return np.asarray(np.maximum(np.maximum(corners[:, 0], corners[:, 1]), corners[:, 2]), np.float64)


def _least(corners: F64) -> F64:
    return np.asarray(np.minimum(np.minimum(corners[:, 0], corners[:, 1]), corners[:, 2]), np.float64)


def _gutter(corners: F64, label: I64) -> int | None:
    """The least distance between two islands, in pixels of GUTTER_PX, at most WIDEST_GUTTER."""
    found = np.unique(label)
    if len(found) < 2:
        return None
    raster = np.zeros((GUTTER_PX, GUTTER_PX), np.float32)
    order = np.argsort(label, kind="stable")
    scaled = (
        np.round(
            (corners[order] - np.floor(corners[order].min(1, keepdims=True).clip(-1e6, 1e6))) * GUTTER_PX * 16
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
    narrow, wide = 0, WIDEST_GUTTER
    while narrow < wide:
        middle = (narrow + wide) // 2
        around = np.ones((middle + 2, middle + 2), np.uint8)
        most, fewest = cv2.dilate(raster, around), cv2.erode(least, around, borderType=cv2.BORDER_REPLICATE)
        if ((most != fewest) & (most > 0)).any():
            wide = middle
        else:
            narrow = middle + 1
    return narrow
