"""The coordinates of a walk: the ground that the product is on, its middle, and which way is up.

They are those of a spin but for the height: Y is upwards, the product's middle is above the origin, the unit
is the usual distance of the cameras from that middle, and the first photo is taken from the side of +Z. The
ground is at y = 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dam_connector.errors import InputError
from worker.capture.frame_camera import FrameCamera
from worker.capture.placed_photos import PlacedPhotos
from worker.imaging.bilinear_sampling import sample_bilinear

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]

MAX_PRODUCT_SHARE = 0.2  # of the photos that see a point of the ground may take it for product
NEAR, FAR = 0.4, 1.6  # from the product's middle, in the usual distance of the cameras: points that count
PLANES = 600  # tried
PLANE_ERROR = 0.008  # in the usual distance of the cameras
MIN_GROUND_POINTS = 15
MIN_ABOVE = 0.9  # of the cameras
MIN_UP_COSINE = 0.5  # between the ground's normal and the pictures' upwards in the mean: phones are held so
MIDDLE_ROUNDS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A plane below the product."""

    normal: F64  # (3,) upwards
    height: float  # along the normal


def product_middle(cameras: Mapping[int, FrameCamera], mattes: Mapping[int, U8]) -> F64:
    """Return the point that the lines of sight through the middles of the mattes pass nearest to, (3,)."""
    eyes, directions = [], []
    for number, camera in cameras.items():
        matte = mattes[number] > 127
        if not matte.any():
            continue
        rows, columns = np.flatnonzero(matte.any(1)), np.flatnonzero(matte.any(0))
        pixel = np.array([[(columns[0] + columns[-1] + 1) / 2, (rows[0] + rows[-1] + 1) / 2]])
        ray = camera.ray_directions(pixel)[0]
        eyes.append(camera.eye)
        directions.append(ray / np.linalg.norm(ray))
    if len(eyes) < 2:
        raise InputError("cutout.empty", "No product was found in the photos.")
    start, ray = np.array(eyes), np.array(directions)
    across = np.eye(3) - ray[:, :, None] * ray[:, None, :]  # leaves what is not along the line of sight
    weights = np.ones(len(ray))
    middle = np.zeros(3)
    for _ in range(MIDDLE_ROUNDS):
        matrix = (weights[:, None, None] * across).sum(0)
        middle = np.linalg.solve(matrix, (weights[:, None] * (across @ start[..., None])[..., 0]).sum(0))
        missed = np.linalg.norm((across @ (middle - start)[..., None])[..., 0], axis=1)
        weights = 1 / (1 + (missed / max(float(np.median(missed)), 1e-12)) ** 2)
    return middle


def find_ground(placed: PlacedPhotos, mattes: Mapping[int, U8], middle: F64) -> Ground:
    """Return the plane on which most points around the product are.

    Raises:
        InputError: capture.no_ground, too few points are on one plane below the cameras.
    """
    eyes = np.array([camera.eye for camera in placed.cameras.values()])
    unit = float(np.median(np.linalg.norm(eyes - middle, axis=1)))
    points = placed.points[~_seen_as_product(placed, mattes)]
    distance = np.linalg.norm(points - middle, axis=1) / unit
    points, distance = points[distance < FAR], distance[distance < FAR]
    up = -np.mean([camera.rotation[1] for camera in placed.cameras.values()], axis=0)
    weights = 1 / (1 + (distance / NEAR) ** 2)
    best: tuple[float, Ground] | None = None
    random = np.random.default_rng(0)
    for _ in range(PLANES if len(points) >= MIN_GROUND_POINTS else 0):
        plane = _plane_through(points[random.choice(len(points), 3, replace=False)], up)
        if plane is None or not _is_below(plane, eyes, middle, up):
            continue
        score = float(weights[np.abs(points @ plane.normal - plane.height) < PLANE_ERROR * unit].sum())
        if best is None or score > best[0]:
            best = score, plane
    on_plane = 0
    if best is not None:
        for _ in range(2):
            near = np.abs(points @ best[1].normal - best[1].height) < PLANE_ERROR * unit
            on_plane = int(near.sum())
            best = best[0], _fitted_plane(points[near], weights[near], best[1])
    if best is None or on_plane < MIN_GROUND_POINTS:
        raise InputError(
            "capture.no_ground",
            "The photos show too little of one level ground around the product.",
            measured=f"{on_plane} points",
            limit=f"{MIN_GROUND_POINTS} points",
        )
    return best[1]


def _seen_as_product(placed: PlacedPhotos, mattes: Mapping[int, U8]) -> Mask:
    """Return which points are inside the mattes of some of the photos that see them, (n,)."""
    inside, seen = np.zeros(len(placed.points)), np.zeros(len(placed.points))
    for number, camera in placed.cameras.items():
        own = placed.sightings[placed.sightings[:, 1] == number, 0]
        if not len(own):  # a camera that sees none of the points
            continue
        pixels = camera.to_pixels(placed.points[own].astype(np.float32)) - np.float32(0.5)
        inside[own] += sample_bilinear(mattes[number], pixels)[:, 0] > 127
        seen[own] += 1
    return np.asarray(inside > MAX_PRODUCT_SHARE * np.maximum(seen, 1))


def _plane_through(points: F64, up: F64) -> Ground | None:
    normal = np.cross(points[1] - points[0], points[2] - points[0])
    length = float(np.linalg.norm(normal))
    if length < 1e-12:
        return None
    normal = normal / length * (1 if normal @ up > 0 else -1)
    return Ground(normal=normal, height=float(points[0] @ normal))


def _is_below(plane: Ground, eyes: F64, middle: F64, up: F64) -> bool:
    above = float((eyes @ plane.normal > plane.height).mean())
    cosine = float(plane.normal @ up / max(float(np.linalg.norm(up)), 1e-12))
    return above >= MIN_ABOVE and cosine >= MIN_UP_COSINE and float(middle @ plane.normal) > plane.height


def _fitted_plane(points: F64, weights: F64, start: Ground) -> Ground:
    """Return the plane with the least squared distances to points."""
    centre = (points * weights[:, None]).sum(0) / weights.sum()
    _, _, axes = np.linalg.svd((points - centre) * np.sqrt(weights)[:, None], full_matrices=False)
    normal = axes[2] * (1 if axes[2] @ start.normal > 0 else -1)
    return Ground(normal=normal, height=float(centre @ normal))


def settle_cameras(cameras: Mapping[int, FrameCamera], middle: F64, ground: Ground) -> dict[int, FrameCamera]:
    """Return the cameras in the coordinates of this module."""
    origin = middle - ground.normal * (middle @ ground.normal - ground.height)
    eyes = np.array([camera.eye for camera in cameras.values()])
    unit = float(np.median(np.linalg.norm(eyes - middle, axis=1)))
    towards = eyes[0] - origin
    front = towards - ground.normal * (towards @ ground.normal)
    front = front / max(float(np.linalg.norm(front)), 1e-12)
    axes = np.array([np.cross(ground.normal, front), ground.normal, front])
    return {
        number: replace(camera, rotation=camera.rotation @ axes.T, eye=axes @ (camera.eye - origin) / unit)
        for number, camera in cameras.items()
    }


def faced(cameras: Mapping[int, FrameCamera], yaw: float) -> dict[int, FrameCamera]:
    """Return the cameras in coordinates whose +Z is what was at an angle of `yaw` from +Z towards +X."""
    cosine, sine = float(np.cos(yaw)), float(np.sin(yaw))
    axes = np.array([[cosine, 0, -sine], [0, 1, 0], [sine, 0, cosine]])
    return {
        number: replace(camera, rotation=camera.rotation @ axes.T, eye=axes @ camera.eye)
        for number, camera in cameras.items()
    }
