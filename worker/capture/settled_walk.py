"""Photos of a walk with their cameras above the ground, and how well such cameras explain the outlines."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dam_connector.domain.product import Dimensions
from worker.capture.carving import Box
from worker.capture.facing import box_sides, find_yaw
from worker.capture.frame_camera import FrameCamera
from worker.capture.frames import CapturedFrame
from worker.capture.ground import find_ground, product_middle, settle_cameras
from worker.capture.outline_agreement import HELD_OUT_STEP, agreeing_outlines, held_out_agreement
from worker.capture.placed_photos import PlacedPhotos, straightened
from worker.capture.walk_mattes import is_cut_off, matte_stack

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

REACH_FACTOR = 1.3  # of the product's usual reach in the photos


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledWalk:
    """The placed photos of a walk, in the coordinates of `ground.py`."""

    cut: dict[int, CapturedFrame]  # as cut out, by number; of a lens without distortion
    cameras: dict[int, FrameCamera]
    bounds: Box  # of the product

    @property
    def mattes(self) -> dict[int, U8]:
        """Return the mattes by the number of the photo."""
        return {number: photo.alpha for number, photo in self.cut.items()}


def settle_walk(photos: Sequence[CapturedFrame], placed: PlacedPhotos) -> SettledWalk:
    """Return the placed photos above the ground.

    Raises:
        InputError: cutout.empty, capture.no_ground.
    """
    cut = {n: straightened(photos[n], camera, placed.distortions[n]) for n, camera in placed.cameras.items()}
    mattes = {n: photo.alpha for n, photo in cut.items()}
    found_in = {n: camera for n, camera in placed.cameras.items() if (mattes[n] > 127).any()}
    middle = product_middle(found_in, mattes)
    cameras = settle_cameras(placed.cameras, middle, find_ground(placed, mattes, middle))
    return SettledWalk(
        cut=cut, cameras=cameras, bounds=product_bounds({n: cameras[n] for n in found_in}, mattes)
    )


def explained_photos(walk: SettledWalk, mattes: dict[int, U8], dimensions: Dimensions) -> float:
    """Return how many outlines the cameras explain as one product of the record's proportions.

    Each outline that agrees with the hull of nearly all counts as far as it agrees. Cameras that are wrong,
    and mattes with other things in them, leave a hull that few outlines agree with, or of another form.
    """
    whole = [n for n, matte in mattes.items() if not is_cut_off(matte)]
    if not whole:
        return 0.0
    agreeing, found, points = agreeing_outlines(
        walk.bounds, list(walk.cameras.values()), matte_stack(mattes, whole)
    )
    if not agreeing.numbers:
        return 0.0
    return sum(found[n] for n in agreeing.numbers) / (1 + _stretch(points, dimensions))


def foretold_outlines(walk: SettledWalk, mattes: dict[int, U8]) -> float:
    """Return how far the outlines that agree and a hull that was carved without them agree, 0 to 1."""
    whole = [n for n, matte in mattes.items() if not is_cut_off(matte)]
    if not whole:
        return 0.0
    cameras = list(walk.cameras.values())
    agreeing, _, _ = agreeing_outlines(walk.bounds, cameras, matte_stack(mattes, whole))
    if len(agreeing.numbers) <= HELD_OUT_STEP:
        return 0.0
    return held_out_agreement(walk.bounds, cameras, agreeing)


def _stretch(points: F32, dimensions: Dimensions) -> float:
    """Return by how much the proportions of points (n, 3) differ from the known ones, as a share."""
    width, depth = box_sides(points, find_yaw(points, dimensions))
    known = (dimensions.width_m, dimensions.height_m, dimensions.depth_m)
    sides = (width, float(np.ptp(points[:, 1])), depth)
    scales = [k / max(side, 1e-6) for k, side in zip(known, sides, strict=True) if k is not None]
    return max(scales) / min(scales) - 1 if scales else 0.0


def product_bounds(cameras: dict[int, FrameCamera], mattes: dict[int, U8]) -> Box:
    """Return a box around the product, whose middle is above the origin."""
    reaches, heights = [], []
    for number, camera in cameras.items():
        rows, columns = np.nonzero(mattes[number] > 127)
        eye = camera.eye
        corners = np.array([[columns.min(), rows.min()], [columns.max() + 1, rows.min()]], float)
        across = np.abs(corners[:, 0] - float(camera.to_pixels(np.zeros((1, 3), np.float32))[0, 0])).max()
        reaches.append(across / camera.focal_px * float(np.linalg.norm(eye)))
        rays = camera.ray_directions(corners)
        level = np.linalg.norm(rays[:, [0, 2]], axis=1)
        heights.append(float((eye[1] + rays[:, 1] / level * np.hypot(eye[0], eye[2])).max()))
    reach = min(0.9, REACH_FACTOR * float(np.median(reaches)))
    height = min(1.5, max(0.02, REACH_FACTOR * float(np.median(heights))))
    return np.array([-reach, 0.0, -reach]), np.array([reach, height, reach])
