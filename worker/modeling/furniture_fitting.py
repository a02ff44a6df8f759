"""Furniture from one three-quarter photo: a seat, table or cabinet of blocks, fitted to the photo's
outline.

One outline from an oblique camera does not determine a form, nor do two mirrored ones (docs/lab/modeling.md).
But furniture consists of few parts at right angles, so the heights and thicknesses of these parts can be
fitted until the piece covers the outline best.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from worker.modeling.outlines import Outline, ProductSize
from worker.modeling.photo_camera import (
    COARSE_CELLS,
    HERO_FOV_DEG,
    PhotoCamera,
    coverage,
    fit_camera,
    inside_points,
    orbit_camera,
)
from worker.modeling.shape import Shape
from worker.modeling.voxel_grid import VoxelGrid

F32 = NDArray[np.float32]

FURNITURE_WORDS = (
    "furniture",
    "chair",
    "sofa",
    "seat",
    "bench",
    "couch",
    "table",
    "desk",
    "stool",
    "cabinet",
    "shelf",
    "sideboard",
)
LEG_THICKNESS = 0.07  # share of the shorter of width and depth
EDGE_RADIUS = 0.03  # share of the longest side, of rounded edges
ARM_WIDTH = 0.12  # share of the width
MAX_CABINET_LEGS, MIN_TABLE_LEGS = 0.25, 0.7  # shares of the height
MAX_CABINET_DEPTH_M = 0.7  # deeper furniture is for sitting
SEAT_HEIGHT_M, SEAT_SLACK_M = 0.44, 0.06  # usual height above the floor, and deviation without a penalty
SOFA_WIDTH_M = 1.1  # a wider seat is a sofa
MIN_SOFA_SEAT_M = 0.18  # thickness of a sofa's seat
MAX_SOFA_LEGS_M = 0.22  # height of a sofa's legs


@dataclass(frozen=True, slots=True, kw_only=True)
class FurniturePiece:
    """The parameters of a piece of furniture, as shares of its height unless said otherwise."""

    legs_top: float = 0.3  # where the legs end and the body begins
    body_top: float = 0.55  # upper side of the body, i.e. of the seat; 1: a table or a cabinet
    back_gap: float = 0.0  # between body and back, bridged by posts
    back_thickness: float = 0.25  # share of the depth
    back_taper: float = 0.3  # how much thinner the back is at the top, share of its thickness
    arms_top: float = 0.0  # upper side of the arms; 0: no arms
    back_width: float = 1.0  # share of the width


# Values that the fit tries, by the field of FurniturePiece.
PARAMETER_VALUES: Sequence[tuple[str, Sequence[float]]] = (
    ("body_top", (0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 1.0)),
    ("legs_top", (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 0.88, 0.93)),
    ("back_gap", (0.0, 0.08, 0.16)),
    ("back_thickness", (0.1, 0.18, 0.27, 0.38)),
    ("arms_top", (0.0, 0.6, 0.7, 0.8, 1.0)),
    ("back_width", (0.7, 0.85, 1.0)),
)
START_PIECES = (
    FurniturePiece(),
    FurniturePiece(legs_top=0.2, body_top=0.55),
    FurniturePiece(legs_top=0.12, body_top=0.5, back_thickness=0.3, arms_top=0.7),
    FurniturePiece(legs_top=0.88, body_top=1.0),
    FurniturePiece(legs_top=0.1, body_top=1.0),
)
# Azimuth and elevation in degrees.
CAMERA_ANGLES = tuple(
    (side * azimuth, elevation)
    for azimuth in (25.0, 35.0, 45.0)
    for elevation in (12.0, 20.0)
    for side in (1, -1)
)
PART_PENALTY = 0.002  # of coverage, for each optional part


@dataclass(frozen=True, slots=True, kw_only=True)
class FurnitureFit:
    """A piece seen through a camera."""

    piece: FurniturePiece
    photo_camera: PhotoCamera
    angles: tuple[float, float]  # azimuth and elevation of the camera in degrees
    coverage: float  # 0 to 1: how well the piece covers the photo


def fit_furniture(photo: Outline, size: ProductSize) -> FurnitureFit:
    """Return the piece that covers a three-quarter photo best.

    Args:
        photo: The photo, reduced to about 50 pixels a side.
        size: The product's size.
    """
    grid = VoxelGrid(size, COARSE_CELLS)

    def score(fit: FurnitureFit) -> float:
        return _score(fit, size.height)

    start = max(
        (
            _evaluate(photo, grid, piece, angles)
            for piece in START_PIECES
            if _is_plausible(piece, size)
            for angles in CAMERA_ANGLES[4:8]
        ),
        key=score,
    )
    best = max((_evaluate(photo, grid, start.piece, angles) for angles in CAMERA_ANGLES), key=score)
    for _ in range(2):
        for name, values in PARAMETER_VALUES:
            best = max(
                [
                    best,
                    *(
                        _evaluate(photo, grid, piece, best.angles)
                        for piece in _variations(best.piece, name, values, size)
                    ),
                ],
                key=score,
            )
        best = max(
            [best, *(_evaluate(photo, grid, best.piece, angles) for angles in CAMERA_ANGLES)], key=score
        )
    return best


def build_furniture(piece: FurniturePiece, size: ProductSize, cells: int) -> Shape:
    """Return a piece as a shape on a grid of so many cells."""
    grid = VoxelGrid(size, cells)
    return Shape(
        field=_piece_field(grid, piece, rounded=True),
        grid=grid,
        family=f"joinery, {_kind_of(piece, size)}",
        confidence=0.55,
    )


def _kind_of(piece: FurniturePiece, size: ProductSize) -> str:
    if piece.body_top == 1.0:
        return "a table" if piece.legs_top > 0.5 else "a cabinet"
    return "a sofa" if size.width > SOFA_WIDTH_M else "a chair"


def _variations(
    piece: FurniturePiece, name: str, values: Sequence[float], size: ProductSize
) -> Iterator[FurniturePiece]:
    for value in values:
        changed = replace(piece, **{name: value})
        if _is_plausible(changed, size):
            yield changed


def _is_plausible(piece: FurniturePiece, size: ProductSize) -> bool:
    """Return whether furniture is built like this.

    A cabinet has short legs, a table a thin top on long legs, a chair a seat under a back, a sofa a thick
    seat.
    """
    if piece.body_top == 1.0:
        return piece.legs_top > MIN_TABLE_LEGS or (
            piece.legs_top < MAX_CABINET_LEGS and size.depth < MAX_CABINET_DEPTH_M
        )
    if piece.body_top + piece.back_gap >= 0.95:
        return False
    if size.width > SOFA_WIDTH_M:
        return (
            piece.legs_top * size.height < MAX_SOFA_LEGS_M
            and piece.legs_top < piece.body_top - MIN_SOFA_SEAT_M / size.height
        )
    return piece.legs_top < piece.body_top - 0.03


def _score(fit: FurnitureFit, height: float) -> float:
    piece = fit.piece
    parts = (piece.back_gap > 0) + (piece.arms_top > 0) + (piece.back_width < 1) + (piece.legs_top > 0)
    seat_penalty = (
        0.0
        if piece.body_top == 1
        else 0.02 * min(4.0, max(0.0, abs(piece.body_top * height - SEAT_HEIGHT_M) / SEAT_SLACK_M - 1))
    )
    return fit.coverage - seat_penalty - PART_PENALTY * parts - 0.01 * ((abs(fit.angles[0]) - 35) / 12) ** 2


def _evaluate(
    photo: Outline, grid: VoxelGrid, piece: FurniturePiece, angles: tuple[float, float]
) -> FurnitureFit:
    size = grid.size
    shape = Shape(field=_piece_field(grid, piece, rounded=False), grid=grid, family="", confidence=0)
    height, width = photo.alpha.shape
    photo_camera = fit_camera(
        orbit_camera(size, angles[0], angles[1], HERO_FOV_DEG),
        inside_points(shape),
        width,
        height,
        grid.cell / 2,
    )
    share_covered = coverage(shape, photo_camera, photo.alpha > 0.5)
    return FurnitureFit(piece=piece, photo_camera=photo_camera, angles=angles, coverage=share_covered)


def _piece_field(grid: VoxelGrid, piece: FurniturePiece, *, rounded: bool) -> F32:
    """Return the signed distance in cells to a piece's surface."""
    size = grid.size
    width, height, depth = size.width, size.height, size.depth
    leg = LEG_THICKNESS * min(width, depth)
    body_bottom, seat_top = piece.legs_top * height, piece.body_top * height
    radius = EDGE_RADIUS * max(width, height, depth) if rounded else 0.0
    body = _block(
        grid,
        (-width / 2, width / 2),
        (body_bottom, seat_top),
        (-depth / 2, depth / 2),
        min(radius, (seat_top - body_bottom) / 3),
    )
    parts = [body]
    if piece.legs_top > 0:
        for x in (-1, 1):
            for z in (-1, 1):
                middle = (x * (width / 2 - leg), z * (depth / 2 - leg))
                parts.append(
                    _block(
                        grid,
                        (middle[0] - leg / 2, middle[0] + leg / 2),
                        (0, body_bottom + leg),
                        (middle[1] - leg / 2, middle[1] + leg / 2),
                        0.0,
                    )
                )
    if piece.body_top < 1:
        parts += _back_and_arms(grid, piece, leg, radius)
    field = parts[0]
    for part in parts[1:]:
        field = np.maximum(field, part)
    return np.asarray(np.minimum(field, grid.box_distance()), np.float32)


def _back_and_arms(grid: VoxelGrid, piece: FurniturePiece, leg: float, radius: float) -> list[F32]:
    """Return the signed distances to the parts above a seat. leg: the thickness of posts, in metres."""
    size = grid.size
    width, height, depth = size.width, size.height, size.depth
    body_bottom, seat_top = piece.legs_top * height, piece.body_top * height
    back_thickness, half_back = piece.back_thickness * depth, piece.back_width * width / 2
    back_bottom = seat_top + piece.back_gap * height
    rise = np.clip((grid.y - back_bottom) / max(height - back_bottom, 1e-6), 0, 1)
    front = -depth / 2 + back_thickness * (1 - piece.back_taper * rise)
    back = _block(
        grid,
        (-half_back, half_back),
        (back_bottom if piece.back_gap else body_bottom, height),
        (-depth / 2, -depth / 2 + back_thickness),
        min(radius, back_thickness / 3),
    )
    parts = [np.minimum(back, ((front[:, None] - grid.z[None]) / grid.cell)[None])]
    if piece.back_gap:
        parts += [
            _block(
                grid,
                (x - leg / 2, x + leg / 2),
                (body_bottom, back_bottom + leg),
                (-depth / 2, -depth / 2 + leg),
                0.0,
            )
            for x in (-0.5 * half_back, 0.5 * half_back)
        ]
    if piece.arms_top > piece.body_top:
        arm = ARM_WIDTH * width
        for side in (-width / 2, width / 2 - arm):
            parts.append(
                _block(
                    grid,
                    (side, side + arm),
                    (body_bottom, piece.arms_top * height),
                    (-depth / 2, depth / 2),
                    min(radius, arm / 3),
                )
            )
    return parts


def _block(
    grid: VoxelGrid, x: tuple[float, float], y: tuple[float, float], z: tuple[float, float], radius: float
) -> F32:
    """Return the signed distance in cells to a block. x, y, z: from and to, radius: of its edges; metres."""
    excess = [
        np.abs(coordinates - (a + b) / 2) - (b - a) / 2 + radius
        for coordinates, (a, b) in ((grid.x, x), (grid.y, y), (grid.z, z))
    ]
    if not radius:
        out = np.maximum(
            np.maximum(excess[0][:, None, None], excess[1][None, :, None]), excess[2][None, None, :]
        )
        return np.asarray(-out / grid.cell, np.float32)
    outer = [np.maximum(o, 0) for o in excess]
    outside = np.sqrt(
        outer[0][:, None, None] ** 2 + outer[1][None, :, None] ** 2 + outer[2][None, None, :] ** 2
    )
    inner = np.minimum(
        np.maximum(np.maximum(excess[0][:, None, None], excess[1][None, :, None]), excess[2][None, None, :]),
        0,
    )
    return np.asarray((radius - outside - inner) / grid.cell, np.float32)
