"""Soft shadows from one ray a pixel: neighbouring pixels trace other directions, and their results are
averaged."""

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.modeling.textured_mesh import unit_vectors

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
Mask = NDArray[np.bool_]

TILE_PX = 4  # side of a tile; each of its pixels traces another direction
DIRECTIONS = 4 * TILE_PX * TILE_PX  # four neighbouring tiles trace different ones
GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))
BLUR_SHARE = 0.022  # of the picture's side
FAINT_SHADE = 0.16  # share of the light that a shadow takes; fainter shadows are blurred
MIN_COSINE = 0.85  # between the normals of pixels on one surface
# Offsets (rows, columns) of neighbours: within the tile, then in the tiles around it. Each first along rows,
# then along columns, which takes half of the reads of both at once.
GATHER_ROUNDS = tuple(
    tuple((step, 0) if down else (0, step) for step in steps)
    for steps in ((-1, 1, 2), (-TILE_PX,), (TILE_PX,))
    for down in (False, True)
)
# The 4 x 4 Bayer matrix: neighbours get directions far apart.
_BAYER_ORDER = np.array([0, 8, 2, 10, 12, 4, 14, 6, 3, 11, 1, 9, 15, 7, 13, 5])


def interleaved_directions(pixels: I64, size: int) -> I64:
    """Return the index of the direction that each pixel traces, (n,).

    A tile has sixteen directions, and the next tiles have others.

    Args:
        pixels: (n,) indices into a square picture, row by row.
        size: The picture's side.
    """
    rows, columns = np.divmod(pixels, size)
    tile = rows // TILE_PX % 2 * 2 + columns // TILE_PX % 2
    return np.asarray(_BAYER_ORDER[rows % TILE_PX * TILE_PX + columns % TILE_PX] * 4 + tile, np.int64)


def disc_offsets(around: F32) -> F32:
    """Return offsets spread evenly over a disc of radius about 1 at right angles to a direction, (64, 3)."""
    k = np.arange(DIRECTIONS)
    radius, angle = np.sqrt((k + 0.5) / len(k)), k * GOLDEN_ANGLE
    a = np.cross(around, [0.0, 0.0, 1.0] if abs(around[2]) < 0.9 else [1.0, 0.0, 0.0])
    a = a / np.linalg.norm(a)
    b = np.cross(around, a)
    return np.asarray(
        (radius * np.cos(angle))[:, None] * a + (radius * np.sin(angle))[:, None] * b, np.float32
    )


def sphere_points() -> F32:
    """Return points spread evenly over the unit sphere, (64, 3).

    Added to a normal they give directions distributed by the cosine law.
    """
    k = np.arange(DIRECTIONS)
    y = 1 - 2 * (k + 0.5) / len(k)
    radius, angle = np.sqrt(1 - y * y), k * GOLDEN_ANGLE
    return unit_vectors(
        np.column_stack([radius * np.cos(angle), y, radius * np.sin(angle)]).astype(np.float32)
    )


def gather_neighbours(
    values: F32, pixels: I64, size: int, surface: tuple[F32, F32, float] | None = None
) -> F32:
    """Return values averaged over neighbouring pixels on the same surface.

    Args:
        values: (size * size, c) one sample a pixel.
        pixels: (n,) the pixels that have a sample.
        size: The picture's side.
        surface: Normals and points of these pixels, (n, 3) each, and the distance in metres up to which two
            points can be on one surface; None: all lie on one plane.

    Returns:
        (size * size, c); 0 where there is no sample.
    """
    rows, columns = np.divmod(pixels, size)
    top, left = int(rows.min()), int(columns.min())
    shape = (int(rows.max()) - top + 1, int(columns.max()) - left + 1)
    place = (rows - top, columns - left)
    planes = [_plane(values[pixels, c], place, shape) for c in range(values.shape[1])]
    is_known = np.zeros(shape, bool)
    is_known[place] = True
    normals, points, max_distance = surface or (np.zeros((0, 0)), np.zeros((0, 0)), 0.0)
    normal_planes, point_planes = ([_plane(c, place, shape) for c in k.T] for k in (normals, points))
    plane_offsets = _dot(point_planes, normal_planes) if normal_planes else None
    for offsets in GATHER_ROUNDS:
        planes = _average_round(
            planes, normal_planes, point_planes, plane_offsets, is_known, offsets, max_distance
        )
    out = np.zeros_like(values)
    out[pixels] = np.column_stack([p[place] for p in planes])
    return out


def _plane(values: F32, place: tuple[I64, I64], shape: tuple[int, int]) -> F32:
    out = np.zeros(shape, np.float32)
    out[place] = values
    return out


def _average_round(
    planes: list[F32],
    normal_planes: list[F32],
    point_planes: list[F32],
    plane_offsets: F32 | None,
    is_known: Mask,
    offsets: tuple[tuple[int, int], ...],
    max_distance: float,
) -> list[F32]:
    """Return the planes averaged over one pattern of neighbours.

    Args:
        planes: The values, (h, w) each.
        normal_planes: x, y and z of the normals, (h, w) each; empty: one plane.
        point_planes: x, y and z of the points, (h, w) each.
        plane_offsets: (h, w) the dot products of points and normals.
        is_known: (h, w) where there is a value.
        offsets: Rows and columns to the neighbours.
        max_distance: Up to which two points can be on one surface, in metres.
    """
    totals, weights = [p.copy() for p in planes], is_known.astype(np.float32)
    for dy, dx in offsets:
        here, other = _shifted_views(is_known.shape, dy, dx)
        same = is_known[here] & is_known[other]
        if plane_offsets is not None:
            own = [w[here] for w in normal_planes]
            same &= _dot(own, [w[other] for w in normal_planes]) > MIN_COSINE
            same &= np.abs(_dot(own, [w[other] for w in point_planes]) - plane_offsets[here]) < max_distance
        counts = same.astype(np.float32)
        for total, plane in zip(totals, planes, strict=True):
            total[here] += plane[other] * counts
        weights[here] += counts
    inverse = np.float32(1) / np.maximum(weights, 1)
    return [np.asarray(t * inverse, np.float32) for t in totals]


def _dot(a: list[F32], b: list[F32]) -> F32:
    """Return dot products of vectors given as planes: four times as fast as a sum over a last axis."""
    return np.asarray(a[0] * b[0] + a[1] * b[1] + a[2] * b[2], np.float32)


def _shifted_views(
    shape: tuple[int, ...], dy: int, dx: int
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return the slices of pixels that have a neighbour dy below and dx to the right, and of these."""
    height, width = shape
    rows, columns = slice(max(0, -dy), min(height, height - dy)), slice(max(0, -dx), min(width, width - dx))
    return (rows, columns), (
        slice(rows.start + dy, rows.stop + dy),
        slice(columns.start + dx, columns.stop + dx),
    )


def soften_shadow(shade: F32, pixels: I64, size: int) -> F32:
    """Return a shadow that is blurred where it is faint, so that no single rays show, and sharp elsewhere."""
    is_known = np.zeros(size * size, np.float32)
    is_known[pixels] = 1
    blur = max(1.0, BLUR_SHARE * size)
    weight = cv2.GaussianBlur(is_known.reshape(size, size), (0, 0), blur).ravel()
    blurred = cv2.GaussianBlur((shade * is_known).reshape(size, size), (0, 0), blur).ravel() / np.maximum(
        weight, 1e-6
    )
    sharp = np.clip((np.minimum(shade, blurred) - FAINT_SHADE) / FAINT_SHADE, 0, 1)
    return np.asarray(blurred + (shade - blurred) * sharp, np.float32)


def spread_to_neighbours(values: F32, pixels: I64, size: int) -> F32:
    """Return values known at some pixels, and their means at the pixels beside these, (size * size,)."""
    is_known = np.zeros(size * size, np.float32)
    is_known[pixels] = 1
    weight = cv2.blur(is_known.reshape(size, size), (5, 5))
    total = cv2.blur((values * is_known).reshape(size, size), (5, 5))
    return np.where(is_known > 0, values, (total / np.maximum(weight, 1e-6)).ravel()).astype(np.float32)
