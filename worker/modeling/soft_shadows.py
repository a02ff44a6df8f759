"""Soft shadows from one ray a pixel: neighbours look in other directions, and what they saw is gathered."""

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.modeling.textured_mesh import unit_vectors

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
Mask = NDArray[np.bool_]

SIDE = 4  # pixels: a tile of SIDE x SIDE looks in SIDE * SIDE directions, four tiles in four times as many
DIRECTIONS = 4 * SIDE * SIDE
GOLDEN = np.pi * (3 - np.sqrt(5))
SOFT, FAINT = 0.022, 0.16  # of the picture's side; of the light taken
SAME_WAY = 0.85  # the least cosine between the normals of one surface
ROUNDS = tuple(  # the tile's pixels, then the tiles around it: along rows, then along columns, in half of the looks that both at once take
    tuple((step, 0) if down else (0, step) for step in steps)
    for steps in ((-1, 1, 2), (-SIDE,), (SIDE,))
    for down in (False, True)
)
_ORDER = np.array(
    [0, 8, 2, 10, 12, 4, 14, 6, 3, 11, 1, 9, 15, 7, 13, 5]
)  # Bayer 4 x 4: neighbours look far apart


def interleaved_directions(at: I64, size: int) -> I64:
    """Which of the directions each pixel looks in, (n,): one of sixteen within its tile, other ones in each of 2 x 2 tiles."""
    rows, columns = np.divmod(at, size)
    tile = rows // SIDE % 2 * 2 + columns // SIDE % 2
    return np.asarray(_ORDER[rows % SIDE * SIDE + columns % SIDE] * 4 + tile, np.int64)


def disc_offsets(around: F32) -> F32:
    """Offsets evenly over a disc of radius about 1 at right angles to a direction, (64, 3)."""
    k = np.arange(DIRECTIONS)
    radius, angle = np.sqrt((k + 0.5) / len(k)), k * GOLDEN
    one = np.cross(around, [0.0, 0.0, 1.0] if abs(around[2]) < 0.9 else [1.0, 0.0, 0.0])
    one = one / np.linalg.norm(one)
    two = np.cross(around, one)
    return np.asarray(
        (radius * np.cos(angle))[:, None] * one + (radius * np.sin(angle))[:, None] * two, np.float32
    )


def sphere_points() -> F32:
    """Points evenly over the unit sphere, (64, 3): added to a normal they give directions by the cosine law."""
    k = np.arange(DIRECTIONS)
    y = 1 - 2 * (k + 0.5) / len(k)
    radius, angle = np.sqrt(1 - y * y), k * GOLDEN
    return unit_vectors(
        np.column_stack([radius * np.cos(angle), y, radius * np.sin(angle)]).astype(np.float32)
    )


def gather_neighbours(seen: F32, at: I64, size: int, surface: tuple[F32, F32, float] | None = None) -> F32:
    """What neighbours on the same surface saw, on the average; (size * size, c) as `seen`, 0 where nothing is.

    at: which pixels hold something. surface: their normals and points, (n, 3) each, and the metres within which two points
    can be of one surface; None where all lie on one plane.
    """
    rows, columns = np.divmod(at, size)
    top, left = int(rows.min()), int(columns.min())
    shape = (int(rows.max()) - top + 1, int(columns.max()) - left + 1)
    place = (rows - top, columns - left)
    planes = [_plane(seen[at, c], place, shape) for c in range(seen.shape[1])]
    there = np.zeros(shape, bool)
    there[place] = True
    normals, points, near = surface or (np.zeros((0, 0)), np.zeros((0, 0)), 0.0)
    way, where = ([_plane(c, place, shape) for c in k.T] for k in (normals, points))
    level = _dot(where, way) if way else None
    for offsets in ROUNDS:
        planes = _averaged(planes, way, where, level, there, offsets, near)
    out = np.zeros_like(seen)
    out[at] = np.column_stack([p[place] for p in planes])
    return out


def _plane(values: F32, place: tuple[I64, I64], shape: tuple[int, int]) -> F32:
    out = np.zeros(shape, np.float32)
    out[place] = values
    return out


def _averaged(
    planes: list[F32],
    way: list[F32],
    where: list[F32],
    level: F32 | None,
    there: Mask,
    offsets: tuple[tuple[int, int], ...],
    near: float,
) -> list[F32]:
    """One round over a pattern of neighbours. way, where: normals and points; level: how far each point lies along its own normal."""
    totals, weight = [p.copy() for p in planes], there.astype(np.float32)
    for dy, dx in offsets:
        here, other = _overlap(there.shape, dy, dx)
        same = there[here] & there[other]
        if level is not None:
            own = [w[here] for w in way]
            same &= _dot(own, [w[other] for w in way]) > SAME_WAY
            same &= np.abs(_dot(own, [w[other] for w in where]) - level[here]) < near
        counts = same.astype(np.float32)
        for total, plane in zip(totals, planes, strict=True):
            total[here] += plane[other] * counts
        weight[here] += counts
    known = np.float32(1) / np.maximum(weight, 1)
    return [np.asarray(t * known, np.float32) for t in totals]


def _dot(one: list[F32], two: list[F32]) -> F32:
    """Plane by plane: a sum over a last axis of three is four times as slow."""
    return np.asarray(one[0] * two[0] + one[1] * two[1] + one[2] * two[2], np.float32)


def _overlap(shape: tuple[int, ...], dy: int, dx: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The part of a picture that has a neighbour dy down and dx to the right, and those neighbours."""
    height, width = shape
    rows, columns = slice(max(0, -dy), min(height, height - dy)), slice(max(0, -dx), min(width, width - dx))
    return (rows, columns), (
        slice(rows.start + dy, rows.stop + dy),
        slice(columns.start + dx, columns.stop + dx),
    )


def soften_shadow(shade: F32, at: I64, size: int) -> F32:
    """A shadow that stays sharp where it is dark and loses the steps of single rays where it is faint, (size * size,)."""
    known = np.zeros(size * size, np.float32)
    known[at] = 1
    blur = max(1.0, SOFT * size)
    weight = cv2.GaussianBlur(known.reshape(size, size), (0, 0), blur).ravel()
    soft = cv2.GaussianBlur((shade * known).reshape(size, size), (0, 0), blur).ravel() / np.maximum(
        weight, 1e-6
    )
    sharp = np.clip((np.minimum(shade, soft) - FAINT) / FAINT, 0, 1)
    return np.asarray(soft + (shade - soft) * sharp, np.float32)


def spread_to_neighbours(values: F32, at: I64, size: int) -> F32:
    """Values known at some pixels, carried to the pixels beside them, (size * size,)."""
    known = np.zeros(size * size, np.float32)
    known[at] = 1
    weight = cv2.blur(known.reshape(size, size), (5, 5))
    total = cv2.blur((values * known).reshape(size, size), (5, 5))
    return np.where(known > 0, values, (total / np.maximum(weight, 1e-6)).ravel()).astype(np.float32)
