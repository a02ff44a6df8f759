"""Pinhole cameras of captured frames, and the rig of a spin: one camera, equal steps about one axis.

Coordinates of a spin: the axis is Y, upwards; the camera of the first frame is at (0, 0, 1) and sees the
front. So the unit is the camera's distance from the axis, and heights are counted from the camera.
"""

from dataclasses import dataclass
from math import cos, sin

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.modeling.textured_mesh import unit_vectors

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

NEAREST_SHARE = 0.1  # of the mean depth: a camera with nearer points is in them, or beside them


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameCamera:
    """A pinhole camera without lens distortion."""

    rotation: F64  # (3, 3) rows: the picture's right, the picture's down, forwards
    eye: F64  # (3,)
    focal_px: float
    centre: tuple[float, float]  # the principal point in pixels: right, down

    def to_camera(self, points: F32) -> F32:
        """Return points (n, 3) in the camera's axes: right, down and forwards, (n, 3)."""
        if not len(points):  # the library makes nothing of no points
            return np.zeros((0, 3), np.float32)
        pose = np.column_stack([self.rotation, -self.rotation @ self.eye])
        seen = cv2.transform(np.ascontiguousarray(points, np.float32)[None], pose)  # faster than a product of
        return np.asarray(seen[0], np.float32)  # matrices so narrow

    def to_pixels(self, points: F32) -> F32:
        """Return the pixels of points (n, 3), (n, 2): right and down, 0 at the picture's corner."""
        seen = self.to_camera(points)
        scale = np.float32(self.focal_px) / np.maximum(seen[:, 2:], np.float32(1e-6))
        return np.asarray(seen[:, :2] * scale + np.array(self.centre, np.float32), np.float32)

    def is_apart(self, points: F32, forward: F64) -> bool:
        """Return whether all points, (n, 3), lie well ahead in a direction, (3,).

        A camera that was wrongly placed in or beside them does not: its pictures of them would be endless.
        """
        depth = (points - self.eye.astype(np.float32)) @ forward.astype(np.float32)
        mean = float(depth.mean())
        return mean > 0 and float(depth.min()) >= NEAREST_SHARE * mean

    def directions_to_camera(self, points: F32) -> F32:
        """Return unit directions from points (n, 3) to the camera, (n, 3)."""
        return unit_vectors((self.eye - points).astype(np.float32))

    def ray_directions(self, pixels: F64) -> F64:
        """Return the directions of the rays through pixels (n, 2), of depth 1 each, (n, 3)."""
        across = (pixels - np.array(self.centre)) / self.focal_px
        return np.asarray(np.column_stack([across, np.ones(len(pixels))]) @ self.rotation)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpinRig:
    """The camera of a spin."""

    focal: float  # the focal length, of the picture's longer side
    elevation: float  # radians that the camera looks down
    yaw: float  # radians that it looks to the right of the axis
    roll: float  # radians that it is turned clockwise
    direction: int  # 1: the product's right side comes first; -1: its left side
    frame_count: int  # in a full turn
    size_px: tuple[int, int]  # width and height of the frames

    def azimuth(self, number: int) -> float:
        """Return the azimuth of the camera about the product in a frame, in radians."""
        return self.direction * 2 * np.pi * number / self.frame_count

    def camera(self, number: int) -> FrameCamera:
        """Return the camera of a frame."""
        azimuth = self.azimuth(number)
        rotation = _upright_rotation(self.yaw, self.elevation, self.roll) @ _about_y(-azimuth)
        width, height = self.size_px
        return FrameCamera(
            rotation=rotation,
            eye=np.array([sin(azimuth), 0.0, cos(azimuth)]),
            focal_px=self.focal * max(self.size_px),
            centre=(width / 2, height / 2),
        )

    def cameras(self) -> list[FrameCamera]:
        """Return the cameras of all frames."""
        return [self.camera(number) for number in range(self.frame_count)]


def _about_y(angle: float) -> F64:
    """Return the rotation about Y that takes +Z to +X at 90 degrees."""
    return np.array([[cos(angle), 0, sin(angle)], [0, 1, 0], [-sin(angle), 0, cos(angle)]])


def _upright_rotation(yaw: float, elevation: float, roll: float) -> F64:
    """Return the rotation from the world to a camera that looks along -Z before it is turned."""
    look_down = np.array(
        [[1, 0, 0], [0, cos(elevation), -sin(elevation)], [0, sin(elevation), cos(elevation)]]
    )
    turned = np.array([[cos(roll), sin(roll), 0], [-sin(roll), cos(roll), 0], [0, 0, 1]])
    return np.asarray(turned @ look_down @ np.diag([1.0, -1.0, -1.0]) @ _about_y(yaw))
