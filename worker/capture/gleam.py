"""Gleam: the surroundings that a surface reflects where a camera sees it at a glance.

A turntable's camera sees a level top from a few degrees above. There a dielectric reflects many times what it
reflects straight on (Fresnel; Schlick's approximation), and a brown table looks pale. The made shape tells
the angle at each pixel, so the reflection is taken off each frame before it colours the model. Only at level
tops: other places have frames that face them better, and cloth, e.g. a shoe's toe, got dark stains.
"""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.capture.frame_camera import FrameCamera
from worker.capture.frames import CapturedFrame
from worker.imaging.linear_light import to_linear, to_srgb
from worker.modeling.delighting import glancing_reflection, with_less_light
from worker.modeling.textured_mesh import unit_vectors, vertex_normals

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Faces = NDArray[np.uint32]

SAMPLES = 60_000  # points on the surface whose angles are looked at
GRID_PX = 160  # longer side of the picture of angles
LEVEL_COSINE = 0.97  # of a normal to the vertical, from which a place is level
MIN_LEVEL_SHARE = 0.06  # of the surface, as of a cabinet's or a table's top
LEAST_FACING = 0.02  # cosine; what a camera sees flatter is not there for it


class Gleam:
    """The angles at which cameras see a surface."""

    def __init__(self, points: F64, faces: Faces) -> None:
        """Take points on a surface: vertices (n, 3) in the capture's coordinates, and faces (m, 3)."""
        rng = np.random.default_rng(1)
        corners = points[faces]
        area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
        chosen = rng.choice(len(faces), SAMPLES, p=area / area.sum())
        shares = rng.dirichlet((1, 1, 1), SAMPLES)[..., None]
        normals = vertex_normals(points.astype(np.float32), faces)[faces]
        self._points = (corners[chosen] * shares).sum(1)
        self._normals = unit_vectors((normals[chosen] * shares).sum(1).astype(np.float32))

    @property
    def has_level_top(self) -> bool:
        """Return whether much of the surface is level and looks up."""
        return bool((self._normals[:, 1] > LEVEL_COSINE).mean() >= MIN_LEVEL_SHARE)

    def without(self, frame: CapturedFrame, camera: FrameCamera) -> CapturedFrame:
        """Return a frame without what its product reflects at a glance."""
        height, width = frame.alpha.shape
        facing = cv2.resize(self._facing(camera, (height, width)), (width, height))
        linear = with_less_light(to_linear(frame.rgb), glancing_reflection(facing)[..., None])
        return replace(frame, rgb=to_srgb(linear))

    def _facing(self, camera: FrameCamera, shape: tuple[int, int]) -> F32:
        """Return the cosines at which a camera sees level places, on a grid; 1 elsewhere."""
        scale = GRID_PX / max(shape)
        rows, columns = (int(np.ceil(side * scale)) for side in shape)
        to_eye = camera.eye - self._points
        distance = np.linalg.norm(to_eye, axis=1)
        cosine = (self._normals * to_eye).sum(1) / distance
        x, y = np.floor(camera.to_pixels(self._points) * scale).astype(np.int64).T
        is_there = (cosine > LEAST_FACING) & (x >= 0) & (y >= 0) & (x < columns) & (y < rows)
        seen = np.flatnonzero(is_there)
        seen = seen[np.argsort(-distance[seen])]  # the nearest last, which stays
        facing = np.ones((rows, columns), np.float32)
        facing[y[seen], x[seen]] = np.where(self._normals[seen, 1] > LEVEL_COSINE, cosine[seen], 1)
        return np.asarray(cv2.medianBlur(facing, 3), np.float32)
