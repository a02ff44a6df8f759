"""Joinery: furniture from one three-quarter photo. A seat, table or cabinet is put together from boards and blocks whose heights
and thicknesses are fitted until it covers the photo's outline best.

An outline from an oblique camera leaves the form open (two of them mirrored too: docs/modeling.md), but furniture is built up
of few parts at right angles, and what they do to the outline is known for each.
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
LEG = 0.07  # of the shorter of width and depth
SOFTNESS = 0.03  # of the longest side: edges are rounded by so much
ARM = 0.12  # of the width
CABINET_LEGS, TABLE_LEGS = 0.25, 0.7  # of the height: at most, at least
CABINET_DEPTH_M = 0.7  # what is deeper is sat on
SEAT_M, SEAT_SLACK_M = 0.44, 0.06  # above the floor
SOFA_M, SOFA_THICK_M, SOFA_LEGS_M = (
    1.1,
    0.18,
    0.22,
)  # wider than this is a sofa; its seat's thickness at least, its legs at most


@dataclass(frozen=True, slots=True, kw_only=True)
class FurniturePiece:
    """Shares of the height, unless said otherwise. legs: where they end; top: the body's upper side (1: a table or a cabinet);
    gap: between body and back, bridged by posts; back: its thickness, a share of the depth; lean: how much thinner it is at the top;
    arms: their upper side, 0 without; wide: the back's width, a share of the whole."""

    legs_top: float = 0.3
    body_top: float = 0.55
    back_gap: float = 0.0
    back_thickness: float = 0.25
    back_taper: float = 0.3
    arms_top: float = 0.0
    back_width: float = 1.0


CHOICES: Sequence[tuple[str, Sequence[float]]] = (
    ("body_top", (0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 1.0)),
    ("legs_top", (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 0.88, 0.93)),
    ("back_gap", (0.0, 0.08, 0.16)),
    ("back_thickness", (0.1, 0.18, 0.27, 0.38)),
    ("arms_top", (0.0, 0.6, 0.7, 0.8, 1.0)),
    ("back_width", (0.7, 0.85, 1.0)),
)
STARTS = (
    FurniturePiece(),
    FurniturePiece(legs_top=0.2, body_top=0.55),
    FurniturePiece(legs_top=0.12, body_top=0.5, back_thickness=0.3, arms_top=0.7),
    FurniturePiece(legs_top=0.88, body_top=1.0),
    FurniturePiece(legs_top=0.1, body_top=1.0),
)
VIEWS = tuple(
    (side * azimuth, elevation)
    for azimuth in (25.0, 35.0, 45.0)
    for elevation in (12.0, 20.0)
    for side in (1, -1)
)
UNUSUAL = 0.002  # of the outline: what each part must gain


@dataclass(frozen=True, slots=True, kw_only=True)
class FurnitureFit:
    """A piece, the camera it was seen by and how well it covers the photo, 0 to 1."""

    piece: FurniturePiece
    photo_camera: PhotoCamera
    angles: tuple[float, float]
    coverage: float


def fit_furniture(photo: Outline, size: ProductSize) -> FurnitureFit:
    """The piece that covers the photo best. photo: small, some 50 pixels a side."""
    grid = VoxelGrid(size, COARSE_CELLS)

    def worth(fit: FurnitureFit) -> float:
        return _worth(fit, size.height)

    start = max(
        (
            _seen(photo, grid, piece, view)
            for piece in STARTS
            if _built_so(piece, size)
            for view in VIEWS[4:8]
        ),
        key=worth,
    )
    best = max((_seen(photo, grid, start.piece, view) for view in VIEWS), key=worth)
    for _ in range(2):
        for name, values in CHOICES:
            best = max(
                [
                    best,
                    *(
                        _seen(photo, grid, piece, best.angles)
                        for piece in _changed(best.piece, name, values, size)
                    ),
                ],
                key=worth,
            )
        best = max([best, *(_seen(photo, grid, best.piece, view) for view in VIEWS)], key=worth)
    return best


def build_furniture(piece: FurniturePiece, size: ProductSize, cells: int) -> Shape:
    """The piece as a shape on a grid of that many cells."""
    grid = VoxelGrid(size, cells)
    return Shape(
        field=_field(grid, piece, rounded=True),
        grid=grid,
        family=f"joinery, {_name(piece, size)}",
        confidence=0.55,
    )


def _name(piece: FurniturePiece, size: ProductSize) -> str:
    if piece.body_top == 1.0:
        return "a table" if piece.legs_top > 0.5 else "a cabinet"
    return "a sofa" if size.width > SOFA_M else "a chair"


def _changed(
    piece: FurniturePiece, name: str, values: Sequence[float], size: ProductSize
) -> Iterator[FurniturePiece]:
    for value in values:
        changed = replace(piece, **{name: value})
        if _built_so(changed, size):
            yield changed


def _built_so(piece: FurniturePiece, size: ProductSize) -> bool:
    """Whether furniture is built like that: a cabinet on short legs, a table's thin top on long ones, a seat under a back, a sofa upholstered."""
    if piece.body_top == 1.0:
        return piece.legs_top > TABLE_LEGS or (piece.legs_top < CABINET_LEGS and size.depth < CABINET_DEPTH_M)
    if piece.body_top + piece.back_gap >= 0.95:
        return False
    if size.width > SOFA_M:
        return (
            piece.legs_top * size.height < SOFA_LEGS_M
            and piece.legs_top < piece.body_top - SOFA_THICK_M / size.height
        )
    return piece.legs_top < piece.body_top - 0.03


def _worth(fit: FurnitureFit, height: float) -> float:
    piece = fit.piece
    parts = (piece.back_gap > 0) + (piece.arms_top > 0) + (piece.back_width < 1) + (piece.legs_top > 0)
    seat = (
        0.0
        if piece.body_top == 1
        else 0.02 * min(4.0, max(0.0, abs(piece.body_top * height - SEAT_M) / SEAT_SLACK_M - 1))
    )
    return fit.coverage - seat - UNUSUAL * parts - 0.01 * ((abs(fit.angles[0]) - 35) / 12) ** 2


def _seen(photo: Outline, grid: VoxelGrid, piece: FurniturePiece, view: tuple[float, float]) -> FurnitureFit:
    size = grid.size
    shape = Shape(field=_field(grid, piece, rounded=False), grid=grid, family="", confidence=0)
    height, width = photo.alpha.shape
    where = fit_camera(
        orbit_camera(size, view[0], view[1], HERO_FOV_DEG), inside_points(shape), width, height, grid.cell / 2
    )
    explained = coverage(shape, where, photo.alpha > 0.5)
    return FurnitureFit(piece=piece, photo_camera=where, angles=view, coverage=explained)


def _field(grid: VoxelGrid, piece: FurniturePiece, *, rounded: bool) -> F32:
    """Cells to the piece's surface, inside positive."""
    size = grid.size
    width, height, depth = size.width, size.height, size.depth
    leg = LEG * min(width, depth)
    low, top = piece.legs_top * height, piece.body_top * height
    soft = SOFTNESS * max(width, height, depth) if rounded else 0.0
    body = _block(
        grid, (-width / 2, width / 2), (low, top), (-depth / 2, depth / 2), min(soft, (top - low) / 3)
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
                        (0, low + leg),
                        (middle[1] - leg / 2, middle[1] + leg / 2),
                        0.0,
                    )
                )
    if piece.body_top < 1:
        thick, half = piece.back_thickness * depth, piece.back_width * width / 2
        start = top + piece.back_gap * height
        rise = np.clip((grid.y - start) / max(height - start, 1e-6), 0, 1)
        front = -depth / 2 + thick * (1 - piece.back_taper * rise)
        back = _block(
            grid,
            (-half, half),
            (start if piece.back_gap else low, height),
            (-depth / 2, -depth / 2 + thick),
            min(soft, thick / 3),
        )
        parts.append(np.minimum(back, ((front[:, None] - grid.z[None]) / grid.cell)[None]))
        if piece.back_gap:
            parts += [
                _block(
                    grid, (x - leg / 2, x + leg / 2), (low, start + leg), (-depth / 2, -depth / 2 + leg), 0.0
                )
                for x in (-0.5 * half, 0.5 * half)
            ]
        if piece.arms_top > piece.body_top:
            arm = ARM * width
            for side in (-width / 2, width / 2 - arm):
                parts.append(
                    _block(
                        grid,
                        (side, side + arm),
                        (low, piece.arms_top * height),
                        (-depth / 2, depth / 2),
                        min(soft, arm / 3),
                    )
                )
    field = parts[0]
    for part in parts[1:]:
        field = np.maximum(field, part)
    return np.asarray(np.minimum(field, grid.box_distance()), np.float32)


def _block(
    grid: VoxelGrid, x: tuple[float, float], y: tuple[float, float], z: tuple[float, float], soft: float
) -> F32:
    """Cells to the surface of a block between those places in metres, its edges rounded by `soft` metres."""
    off = [
        np.abs(places - (a + b) / 2) - (b - a) / 2 + soft
        for places, (a, b) in ((grid.x, x), (grid.y, y), (grid.z, z))
    ]
    if not soft:
        out = np.maximum(np.maximum(off[0][:, None, None], off[1][None, :, None]), off[2][None, None, :])
        return np.asarray(-out / grid.cell, np.float32)
    beyond = [np.maximum(o, 0) for o in off]
    outside = np.sqrt(
        beyond[0][:, None, None] ** 2 + beyond[1][None, :, None] ** 2 + beyond[2][None, None, :] ** 2
    )
    inner = np.minimum(
        np.maximum(np.maximum(off[0][:, None, None], off[1][None, :, None]), off[2][None, None, :]), 0
    )
    return np.asarray((soft - outside - inner) / grid.cell, np.float32)
