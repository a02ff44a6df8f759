"""Placing of a captured surface in the product's box, in metres, with the cameras that saw it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dam_connector.domain.product import Dimensions
from worker.capture.frame_camera import FrameCamera
from worker.modeling.outlines import ProductSize
from worker.modeling.textured_mesh import unit_vectors

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

UNKNOWN_HEIGHT_M = 0.5  # of a product whose record gives no dimension


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """How the coordinates of the capture and those of the product, in metres, belong together."""

    size: ProductSize
    low: F64  # (3,) the lower corner of the surface in the capture
    scale: F64  # (3,) metres to a unit of the capture, along each axis
    stretch: float  # the largest difference between the axes, as a share

    def to_product(self, points: F64) -> F32:
        """Return points (n, 3) of the capture in metres: base at y = 0, centred in X and Z."""
        half = self.size.as_array() * np.array([0.5, 0, 0.5], np.float32)
        return np.asarray((points - self.low) * self.scale - half, np.float32)

    def to_capture(self, points: F32) -> F32:
        """Return points (n, 3) in metres in the capture's coordinates."""
        half = self.size.as_array() * np.array([0.5, 0, 0.5], np.float32)
        return np.asarray((points + half) / self.scale + self.low, np.float32)


def place(points: F64, known: Dimensions) -> Placement:
    """Return the placement of a surface, (n, 3), so that it gets the known dimensions exactly."""
    low, extent = points.min(0), np.maximum(np.ptp(points, axis=0), 1e-9)
    given = (known.width_m, known.height_m, known.depth_m)
    scales = [value / side for value, side in zip(given, extent, strict=True) if value is not None]
    common = float(np.median(scales)) if scales else UNKNOWN_HEIGHT_M / float(extent[1])
    sides = [
        float(side * common) if value is None else value for value, side in zip(given, extent, strict=True)
    ]
    names = ("width", "height", "depth")
    return Placement(
        size=ProductSize(
            width=sides[0],
            height=sides[1],
            depth=sides[2],
            guessed=tuple(n for n, v in zip(names, given, strict=True) if v is None) if not scales else (),
        ),
        low=low,
        scale=np.array(sides) / extent,
        stretch=float(max(scales) / min(scales) - 1) if scales else 0.0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedCamera:
    """A captured frame's camera, in the product's coordinates."""

    camera: FrameCamera
    placement: Placement

    def to_pixels(self, points: F32) -> F32:
        """Return the pixels of points (n, 3), (n, 2): right and down from the picture's corner."""
        return self.camera.to_pixels(self.placement.to_capture(points))

    def directions_to_camera(self, points: F32) -> F32:
        """Return unit directions from points (n, 3) to the camera, (n, 3)."""
        eye = self.placement.to_product(self.camera.eye[None])
        return unit_vectors(eye - points)
