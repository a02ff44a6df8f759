"""Camera: where a model is seen from."""

from dataclasses import dataclass
from math import cos, radians, sin

import numpy as np
from numpy.typing import NDArray

from worker.modeling.textured_mesh import unit_vectors

F32 = NDArray[np.float32]

FOV = 26.0  # degrees: about a 75 mm lens, as product photographers use
NAMED_VIEWS = {  # azimuth and elevation in degrees; None: orthographic
    "hero": (35.0, 18.0, FOV),
    "front": (0.0, 0.0, None),
    "right": (90.0, 0.0, None),
    "back": (180.0, 0.0, None),
    "left": (270.0, 0.0, None),
    "top": (0.0, 90.0, None),
    "bottom": (0.0, -90.0, None),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """Looks at `target` from `azimuth` (0 is the front, 90 the product's right as +X) and `elevation`, in degrees.

    half: half the picture's width in metres at the target. fov: the full angle in degrees, or None for orthographic.
    """

    azimuth: float
    elevation: float
    target: tuple[float, float, float]
    half_width: float
    fov: float | None = None

    def axes(self) -> tuple[F32, F32, F32]:
        """Unit vectors towards the viewer, to the picture's right and to its top."""
        a, e = radians(self.azimuth), radians(self.elevation)
        back, right = (sin(a) * cos(e), sin(e), cos(a) * cos(e)), (cos(a), 0.0, -sin(a))
        up = (-sin(a) * sin(e), cos(e), -cos(a) * sin(e))  # back x right
        return np.array(back, np.float32), np.array(right, np.float32), np.array(up, np.float32)

    def rays(self, u: F32, v: F32) -> tuple[F32, F32]:
        """Origins and directions of the rays through picture positions u (right) and v (up), each -1 to 1."""
        _, right, up = self.axes()
        return self._through((self.half_width * u)[:, None] * right, (self.half_width * v)[:, None] * up)

    def window_rays(self, columns: F32, rows: F32) -> tuple[F32, F32]:
        """`rays` through a window of the picture, row by row: columns are the positions u, rows the positions v."""
        _, right, up = self.axes()
        return self._through(
            (self.half_width * columns)[:, None] * right, ((self.half_width * rows)[:, None] * up)[:, None]
        )

    def _through(self, across: F32, upwards: F32) -> tuple[F32, F32]:
        back, target = self.axes()[0], np.array(self.target, np.float32)
        if self.fov is None:
            origins = np.asarray(
                across + (upwards + (target + back * np.float32(self.half_width * 8))), np.float32
            ).reshape(-1, 3)
            return origins, np.broadcast_to(-back, origins.shape)
        away = back * np.float32(self.half_width / np.tan(np.radians(self.fov) / 2))
        directions = np.asarray(across + (upwards - away), np.float32).reshape(-1, 3)
        return np.broadcast_to(target + away, directions.shape), unit_vectors(directions)

    def directions_to_camera(self, points: F32) -> F32:
        """Unit directions from points (n, 3) to the camera, (n, 3)."""
        back, _, _ = self.axes()
        if self.fov is None:
            return np.broadcast_to(back, points.shape).astype(np.float32)
        eye = np.array(self.target, np.float32) + back * np.float32(
            self.half_width / np.tan(np.radians(self.fov) / 2)
        )
        return unit_vectors((eye - points).astype(np.float32))

    def project(self, points: F32) -> F32:
        """Where points (n, 3) stand in the picture: (n, 2), u to the right and v up, -1 to 1 within it."""
        back, right, up = self.axes()
        off = points - np.array(self.target, np.float32)
        flat = np.stack([off @ right, off @ up], 1) / self.half_width
        if self.fov is not None:
            distance = self.half_width / np.tan(np.radians(self.fov) / 2)
            flat *= (distance / np.maximum(distance - off @ back, 1e-6))[:, None]
        return np.asarray(flat, np.float32)


def named_camera(low: F32, high: F32, view: str, margin: float = 1.12) -> Camera:
    """The camera of a named view, or of `azimuth,elevation` in degrees, that shows the whole bounding box.

    Raises: KeyError when there is no such view.
    """
    if view in NAMED_VIEWS:
        azimuth, elevation, fov = NAMED_VIEWS[view]
    else:
        try:
            azimuth, elevation = (float(part) for part in view.split(","))
        except ValueError as error:
            raise KeyError(view) from error
        fov = FOV
    camera = Camera(azimuth=azimuth, elevation=elevation, target=(0, 0, 0), half_width=1.0, fov=fov)
    back, right, up = camera.axes()
    centre = (low + high) / 2
    corners = (
        np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])
        - centre
    )
    reach = np.maximum(np.abs(corners @ right), np.abs(corners @ up))
    half = (
        float((reach + (np.maximum(corners @ back, 0) * np.tan(np.radians(fov) / 2) if fov else 0)).max())
        * margin
    )
    return Camera(
        azimuth=azimuth,
        elevation=elevation,
        target=(float(centre[0]), float(centre[1]), float(centre[2])),
        half_width=max(half, 1e-6),
        fov=fov,
    )
