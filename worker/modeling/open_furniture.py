"""Open furniture from one three-quarter photo: thin seats, tables and shelves on legs, fitted to its outline.

Blocks of a seat or cabinet (furniture_fitting.py) explain the photo of a bench, a stool or an open shelf
badly, since most of what they fill is air. Here each part is a slice of a cone: two like sections at two
heights. Its picture is the convex polygon around its projected corners, so however thin it is, it does not
fall between the cells of a grid, and many pieces can be tried in a moment.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.modeling.outlines import Outline, ProductSize
from worker.modeling.photo_camera import HERO_FOV_DEG, PhotoCamera, fit_camera, orbit_camera
from worker.modeling.shape import Shape
from worker.modeling.voxel_grid import VoxelGrid

F32 = NDArray[np.float32]

PICTURE_PX = 128  # longer side of the pictures that are compared
BLUR_PX = 1.0  # sigma of both pictures: thin parts that lie half beside each other still count
ROUND_CORNERS = 16  # of a round section
MIN_HALF_CELLS = 1.1  # of a part, so that its surface closes
FINER = 4  # polygons are drawn so much larger, since they cover each pixel that they touch
SUBPIXEL_BITS = 3  # of the corners of polygons
FULL_ROUNDS = 2  # of trying all parameters and cameras
CHANGES = 900  # of two parameters and the camera at once that are tried after that
NEAR_SHARE, NEAR_CHANGE = 0.6, 0.15  # of the changes, and by how much of a value: small ones
CAMERA_CHANGE_DEG = 2.0  # of the camera, usual, with such a change
FITTED_STARTS = 3  # that are fitted in full, the best of them
PART_PENALTY = 0.004  # of overlap, for each optional part
SEAT_HEIGHTS_M = (0.36, 0.82)  # of benches to bar stools
SEAT_PENALTY = 0.5  # of overlap a metre beyond these
AZIMUTHS = (20.0, 27.0, 34.0, 41.0, 48.0)  # degrees to either side
ELEVATIONS = (8.0, 13.0, 18.0, 23.0, 28.0)  # degrees
CAMERA_STEPS = (3.0, 1.0)  # degrees, from a usual camera to the photo's own
MAX_TURNS = 6  # of the camera, by one step
USUAL_AZIMUTH, AZIMUTH_RANGE = 34.0, 14.0  # degrees; farther cameras cost AZIMUTH_PENALTY
AZIMUTH_PENALTY = 0.005
COLUMN_EDGE = 0.02  # share of the height, of a pedestal's foot


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPiece:
    """The parameters of a piece of open furniture, as shares of its height unless said otherwise."""

    body_top: float = 1.0  # upper side of the seat; 1: of a table or of a shelf's topmost board
    slab: float = 0.04  # thickness of the seat, the top and the boards
    leg: float = 0.07  # thickness of legs, share of the shorter of width and depth
    overhang: float = 0.0  # of the body beyond the feet; negative: of the feet; share of half a side
    is_crossed: bool = False  # each leg leads to the other end of the depth, as of a folding chair
    splay: float = 0.0  # by how much the legs' tops are nearer to the middle, share of half a side
    is_round: bool = False  # the body from above
    column: float = 0.0  # radius of the one leg in the middle, share of half a side; 0: four legs
    back_gap: float = 0.0  # between seat and back, bridged by posts
    back_thickness: float = 0.1  # share of the depth
    back_lean: float = 0.0  # share of the depth
    back_width: float = 1.0  # share of the width
    arms_top: float = 0.0  # 0: no arms
    boards: int = 0  # below the topmost
    lowest: float = 0.08  # where the lowest board is
    rail: float = 0.0  # height of the bars between the legs; 0: none


VALUES: Sequence[tuple[str, Sequence[float]]] = (
    ("body_top", (0.38, 0.42, 0.46, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75)),
    ("slab", (0.02, 0.035, 0.05, 0.07, 0.1, 0.14, 0.2)),
    ("leg", (0.04, 0.06, 0.08, 0.11)),
    ("overhang", (-0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.35)),
    ("splay", (0.0, 0.15, 0.3, 0.45)),
    ("is_crossed", (False, True)),
    ("is_round", (False, True)),
    ("column", (0.06, 0.1, 0.16, 0.24)),
    ("back_gap", (0.0, 0.06, 0.12, 0.2)),
    ("back_thickness", (0.04, 0.08, 0.14, 0.2, 0.28)),
    ("back_lean", (0.0, 0.1, 0.2)),
    ("back_width", (0.7, 0.85, 1.0)),
    ("arms_top", (0.0, 0.65, 0.75)),
    ("boards", (0, 1, 2, 3, 4, 5)),
    ("lowest", (0.01, 0.04, 0.08, 0.15)),
    ("rail", (0.0, 0.12, 0.25, 0.35)),
)
START_PIECES = (
    OpenPiece(body_top=0.5, back_gap=0.12),
    OpenPiece(body_top=0.65, back_gap=0.12, overhang=-0.2, is_round=True),
    OpenPiece(),
    OpenPiece(is_round=True, splay=0.15),
    OpenPiece(is_round=True, column=0.1, overhang=0.35),
    OpenPiece(boards=2, slab=0.02),
    OpenPiece(boards=4, slab=0.02),
)


@dataclass(frozen=True, slots=True)
class Section:
    """A level section of a part, in metres."""

    x: float
    y: float
    z: float
    half_x: float
    half_z: float


@dataclass(frozen=True, slots=True)
class Part:
    """A part between two like sections, the lower one first."""

    low: Section
    high: Section
    is_round: bool = False

    def corners(self) -> F32:
        """Return the corners of both sections, (n, 3) metres."""
        if self.is_round:
            angles = np.linspace(0, 2 * np.pi, ROUND_CORNERS, endpoint=False)
            u, v = np.cos(angles), np.sin(angles)
        else:
            u, v = np.array([-1.0, 1, 1, -1]), np.array([-1.0, -1, 1, 1])
        rings = [
            np.stack([s.x + u * s.half_x, np.full(len(u), s.y), s.z + v * s.half_z], 1)
            for s in (self.low, self.high)
        ]
        return np.vstack(rings).astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFit:
    """A piece seen through a camera."""

    piece: OpenPiece
    photo_camera: PhotoCamera  # for the reduced photo
    picture_width: int  # of the reduced photo, in pixels
    overlap: float  # 0 to 1: of its picture with the photo, both blurred
    score: float  # the overlap less penalties
    angles: tuple[float, float]  # azimuth and elevation of the camera in degrees


def fit_open_furniture(photo: Outline, size: ProductSize) -> OpenFit:
    """Return the piece of open furniture that a three-quarter photo shows best.

    Args:
        photo: The photo, cropped to the product.
        size: The product's size.
    """
    picture = _Picture(photo)
    cameras = [(side * a, e) for a in AZIMUTHS for e in ELEVATIONS for side in (1, -1)]

    def look(piece: OpenPiece, angles: Sequence[tuple[float, float]]) -> OpenFit:
        return max((picture.fit(piece, size, angle) for angle in angles), key=lambda f: f.score)

    def aim(best: OpenFit) -> OpenFit:
        """Return the fit with the camera turned until no step betters it."""
        for step in CAMERA_STEPS:
            turns = [(step, 0.0), (-step, 0.0), (0.0, step), (0.0, -step)]
            for _ in range(MAX_TURNS):
                azimuth, elevation = best.angles
                turned = look(best.piece, [(azimuth + a, elevation + e) for a, e in turns])
                if turned.score <= best.score:
                    break
                best = turned
        return best

    starts = sorted((look(p, cameras[::2] + cameras[1::2]) for p in START_PIECES), key=lambda f: -f.score)
    found = []
    for start in starts[:FITTED_STARTS]:
        best = aim(start)
        for _ in range(FULL_ROUNDS):
            for name, values in VALUES:
                tried = [picture.fit(p, size, best.angles) for p in _variations(best.piece, name, values)]
                best = max([best, *tried], key=lambda f: f.score)
            best = aim(max(best, look(best.piece, cameras), key=lambda f: f.score))
        found.append(best)
    best = max(found, key=lambda f: f.score)
    chance = random.Random(0)  # the same for each photo
    for _ in range(CHANGES):
        changed = best.piece
        for name, values in chance.sample(VALUES, 2):
            options = list(_variations(changed, name, values)) or [changed]
            value = getattr(changed, name)
            if isinstance(value, float) and value not in (0.0, 1.0) and chance.random() < NEAR_SHARE:
                options = [_changed(changed, name, value * (1 + chance.gauss(0, NEAR_CHANGE)))]
            changed = chance.choice(options)
        azimuth, elevation = best.angles
        angles = (
            azimuth + chance.gauss(0, CAMERA_CHANGE_DEG),
            elevation + chance.gauss(0, CAMERA_CHANGE_DEG),
        )
        best = max(best, picture.fit(changed, size, angles), key=lambda f: f.score)
    return aim(best)


def build_open_furniture(piece: OpenPiece, size: ProductSize, cells: int) -> Shape:
    """Return a piece as a shape on a grid of so many cells."""
    grid = VoxelGrid(size, cells)
    field = np.full(grid.shape, -1.0, np.float32)
    for part in parts_of(piece, size):
        _add_part(field, grid, part)
    kind = "a shelf" if piece.boards else "a table" if piece.body_top == 1 else "a seat"
    return Shape(
        field=np.minimum(field, grid.box_distance()),
        grid=grid,
        family=f"joinery, {kind} on legs",
        confidence=0.4,
    )


class _Picture:
    """A photo's outline, reduced, with the pictures of pieces compared to it."""

    def __init__(self, photo: Outline) -> None:
        factor = PICTURE_PX / max(photo.alpha.shape)
        self.width, self.height = (max(4, round(n * factor)) for n in photo.alpha.shape[::-1])
        alpha = cv2.resize(photo.alpha, (self.width, self.height), interpolation=cv2.INTER_AREA)
        self.pad = 4
        self.blurred = cv2.GaussianBlur(np.pad(alpha, self.pad), (0, 0), BLUR_PX)

    def fit(self, piece: OpenPiece, size: ProductSize, angles: tuple[float, float]) -> OpenFit:
        """Return the piece seen from an angle, its picture laid on the photo."""
        corners = [part.corners() for part in parts_of(piece, size)]
        camera = orbit_camera(size, angles[0], angles[1], HERO_FOV_DEG)
        photo_camera = fit_camera(camera, np.vstack(corners), self.width, self.height)
        pixels = (photo_camera.to_pixels(np.vstack(corners)) + self.pad) * FINER - 0.5
        fine = np.zeros([n * FINER for n in self.blurred.shape], np.uint8)
        fixed = np.rint(pixels * (1 << SUBPIXEL_BITS)).astype(np.int32)
        for polygon in np.split(fixed, np.cumsum([len(c) for c in corners])[:-1]):
            cv2.fillConvexPoly(fine, cv2.convexHull(polygon), 255, shift=SUBPIXEL_BITS)
        picture = cv2.resize(fine, self.blurred.shape[::-1], interpolation=cv2.INTER_AREA)
        blurred = cv2.GaussianBlur(picture.astype(np.float32) / 255, (0, 0), BLUR_PX)
        shared = float(np.minimum(blurred, self.blurred).sum())
        overlap = shared / max(1e-6, float(np.maximum(blurred, self.blurred).sum()))
        score = overlap - _penalty(piece, size, angles[0])
        return OpenFit(
            piece=piece,
            photo_camera=photo_camera,
            picture_width=self.width,
            overlap=overlap,
            score=score,
            angles=angles,
        )


def _penalty(piece: OpenPiece, size: ProductSize, azimuth: float) -> float:
    optional = (piece.splay > 0) + (piece.rail > 0) + (piece.overhang != 0) + piece.boards / 2
    off = 0.0
    if piece.body_top < 1:
        optional += piece.is_crossed + (piece.back_lean > 0) + (piece.arms_top > 0) + (piece.back_width < 1)
        seat = piece.body_top * size.height
        off = max(0.0, SEAT_HEIGHTS_M[0] - seat, seat - SEAT_HEIGHTS_M[1])
    far = ((abs(azimuth) - USUAL_AZIMUTH) / AZIMUTH_RANGE) ** 2
    return PART_PENALTY * optional + SEAT_PENALTY * off + AZIMUTH_PENALTY * far


def _variations(piece: OpenPiece, name: str, values: Sequence[float]) -> Iterator[OpenPiece]:
    """Yield the piece with other values of a parameter, where its kind has that parameter."""
    has_back = piece.body_top < 1
    if (
        (name.startswith(("back", "arms", "body")) and not has_back)
        or (name in ("boards", "lowest") and not piece.boards)
        or (name in ("splay", "rail", "leg", "is_crossed") and piece.column)
        or (name == "column" and not piece.column)
        or (name in ("splay", "is_round", "is_crossed", "overhang", "rail") and piece.boards)
    ):
        return
    for value in values:
        if name == "boards" and not value:
            continue
        yield _changed(piece, name, value)


def _changed(piece: OpenPiece, name: str, value: Any) -> OpenPiece:
    return replace(piece, **{name: value})


def parts_of(piece: OpenPiece, size: ProductSize) -> list[Part]:
    """Return the parts of a piece."""
    width, height, depth = size.width, size.height, size.depth
    top, slab = piece.body_top * height, piece.slab * height
    half_x, half_z = width / 2, depth / 2
    body = 1 + min(piece.overhang, 0.0)
    parts = [
        _level(0.0, 0.0, top - slab, top, body * half_x, body * half_z, is_round=piece.is_round),
        *_legs(piece, size, top - slab),
    ]
    for n in range(piece.boards):
        first = piece.lowest * height
        low = first + n / piece.boards * (top - slab - first)
        parts.append(_level(0.0, 0.0, low, low + slab, half_x, half_z))
    if piece.body_top < 1:
        parts += _back(piece, size, top)
    return parts


def _legs(piece: OpenPiece, size: ProductSize, top: float) -> list[Part]:
    """Return four legs and the bars between them, or one column with its foot."""
    half_x, half_z = size.width / 2, size.depth / 2
    feet, body = 1 - max(piece.overhang, 0.0), 1 + min(piece.overhang, 0.0)
    if piece.column:
        radius, edge = piece.column * min(half_x, half_z), COLUMN_EDGE * size.height
        foot = _level(0.0, 0.0, 0.0, edge, feet * half_x, feet * half_z, is_round=True)
        return [foot, _level(0.0, 0.0, edge, top, radius, radius, is_round=True)]
    half = piece.leg * min(half_x, half_z)
    reach = min(feet, body) * (1 - piece.splay)
    foot_x, foot_z = feet * half_x - half, feet * half_z - half
    top_x, top_z = reach * half_x - half, reach * half_z - half
    end = -1 if piece.is_crossed else 1
    parts = [
        Part(
            Section(i * foot_x, 0.0, k * foot_z, half, half),
            Section(i * top_x, top, end * k * top_z, half, half),
        )
        for i in (-1, 1)
        for k in (-1, 1)
    ]
    if piece.rail:
        share = min(1.0, piece.rail * size.height / max(top, 1e-6))
        x, z = foot_x + (top_x - foot_x) * share, foot_z + (top_z - foot_z) * share
        low, high = piece.rail * size.height - half, piece.rail * size.height + half
        if not piece.is_crossed:
            parts += [_level(i * x, 0.0, low, high, half, z) for i in (-1, 1)]
        parts += [_level(0.0, k * z, low, high, x, half) for k in (-1, 1)]
    return parts


def _back(piece: OpenPiece, size: ProductSize, top: float) -> list[Part]:
    """Return the back, the posts that carry it, and the arms with theirs. top: of the seat, in metres."""
    height, half_z = size.height, size.depth / 2
    thick, lean = piece.back_thickness * size.depth / 2, piece.back_lean * size.depth
    bottom = min(top + piece.back_gap * height, 0.95 * height)
    half = piece.leg * min(size.width, size.depth) / 2
    width = piece.back_width * size.width / 2
    rise = (bottom - top) / max(height - top, 1e-6)

    def behind(share: float, reach: float) -> float:
        return -half_z + reach + lean * (1 - share)

    back = Part(
        Section(0.0, bottom, behind(rise, thick), width, thick),
        Section(0.0, height, behind(1.0, thick), width, thick),
    )
    posts = [
        Part(
            Section(i * (width - half), top, behind(0.0, half), half, half),
            Section(i * (width - half), bottom, behind(rise, half), half, half),
        )
        for i in (-1, 1)
        if piece.back_gap
    ]
    parts = [back, *posts]
    arm = piece.arms_top * height
    if arm > top:
        for i in (-1, 1):
            x = i * (size.width / 2 - half)
            parts.append(_level(x, 0.0, arm - 2 * half, arm, half, half_z))
            parts.append(_level(x, half_z - half, top, arm, half, half))
    return parts


def _level(
    x: float, z: float, low: float, high: float, half_x: float, half_z: float, *, is_round: bool = False
) -> Part:
    """Return an upright part with one section from `low` to `high`."""
    return Part(Section(x, low, z, half_x, half_z), Section(x, high, z, half_x, half_z), is_round)


def _add_part(field: F32, grid: VoxelGrid, part: Part) -> None:
    """Unite a field, in place, with a part's signed distance in cells, next to it."""
    corners, reach = part.corners(), 3 * grid.cell
    low, high = corners.min(0) - reach, corners.max(0) + reach
    ranges = [
        slice(*np.searchsorted(axis, (a, b)))
        for axis, a, b in zip((grid.x, grid.y, grid.z), low, high, strict=True)
    ]
    x, y, z = (axis[r] for axis, r in zip((grid.x, grid.y, grid.z), ranges, strict=True))
    first, last = part.low, part.high
    share = np.clip((y - first.y) / max(last.y - first.y, 1e-9), 0, 1)

    def between(name: str) -> F32:
        a, b = getattr(first, name), getattr(last, name)
        return np.asarray(a + (b - a) * share, np.float32)

    least = MIN_HALF_CELLS * grid.cell
    half_x, half_z = np.maximum(between("half_x"), least), np.maximum(between("half_z"), least)
    middle, half_y = (first.y + last.y) / 2, max((last.y - first.y) / 2, least)
    across = np.abs(x[:, None, None] - between("x")[None, :, None])
    along = np.abs(z[None, None] - between("z")[None, :, None])
    if part.is_round:
        radius = np.hypot(across / half_x[None, :, None], along / half_z[None, :, None])
        inside = (1 - radius) * np.minimum(half_x, half_z)[None, :, None]
    else:
        inside = np.minimum(half_x[None, :, None] - across, half_z[None, :, None] - along)
    inside = np.minimum(inside, (half_y - np.abs(y - middle))[None, :, None]) / np.float32(grid.cell)
    target = field[tuple(ranges)]
    np.maximum(target, inside, out=target)
