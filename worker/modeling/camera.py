"""A camera that orbits a target, and the named cameras of previews."""

from dataclasses import dataclass
from math import cos, radians, sin

import numpy as np
from numpy.typing import NDArray

from worker.modeling.textured_mesh import unit_vectors

F32 = NDArray[np.float32]

PREVIEW_FOV_DEG = 26.0  # about a 75 mm lens, as product photographers use
NAMED_VIEWS = {  # azimuth, elevation and angle of view in degrees; None: orthographic
    "hero": (35.0, 18.0, PREVIEW_FOV_DEG),
    "front": (0.0, 0.0, None),
    "right": (90.0, 0.0, None),
    "back": (180.0, 0.0, None),
    "left": (270.0, 0.0, None),
    "top": (0.0, 90.0, None),
    "bottom": (0.0, -90.0, None),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """A camera with a square picture that looks at a target."""

    azimuth: float  # degrees: 0 sees the front, 90 the product's right (+X)
    elevation: float  # degrees above the horizon
    target: tuple[float, float, float]  # metres; the middle of the picture
    half_width: float  # half the picture's width, in metres at the target
    fov: float | None = None  # the full angle of view in degrees; None: orthographic

    def axes(self) -> tuple[F32, F32, F32]:
        """Return unit vectors towards the viewer, to the picture's right and to its top, (3,) each."""
        azimuth, elevation = radians(self.azimuth), radians(self.elevation)
        back, right = (
            (sin(azimuth) * cos(elevation), sin(elevation), cos(azimuth) * cos(elevation)),
            (cos(azimuth), 0.0, -sin(azimuth)),
        )
        up = (-sin(azimuth) * sin(elevation), cos(elevation), -cos(azimuth) * sin(elevation))  # back x right
        return np.array(back, np.float32), np.array(right, np.float32), np.array(up, np.float32)

    @property
    def distance(self) -> float:
        """Return the metres between the eye and the target; endless without perspective."""
        return np.inf if self.fov is None else self.half_width / float(np.tan(np.radians(self.fov) / 2))

    def rays(self, u: F32, v: F32) -> tuple[F32, F32]:
        """Return origins and directions, (n, 3) each, of the rays through picture positions.

        Args:
            u: (n,) to the right, -1 to 1 within the picture.
            v: (n,) upwards, -1 to 1 within the picture.
        """
        _, right, up = self.axes()
        return self._rays_through((self.half_width * u)[:, None] * right, (self.half_width * v)[:, None] * up)

    def window_rays(self, columns: F32, rows: F32) -> tuple[F32, F32]:
        """Return the rays through a window of the picture, row by row.

        Args:
            columns: (w,) the positions u of the window's columns.
            rows: (h,) the positions v of its rows.

        Returns:
            Origins and directions, (h * w, 3) each.
        """
        _, right, up = self.axes()
        return self._rays_through(
            (self.half_width * columns)[:, None] * right, ((self.half_width * rows)[:, None] * up)[:, None]
        )

    def _rays_through(self, rightwards: F32, upwards: F32) -> tuple[F32, F32]:
        back, target = self.axes()[0], np.array(self.target, np.float32)
        if self.fov is None:
            origins = np.asarray(
                rightwards + (upwards + (target + back * np.float32(self.half_width * 8))), np.float32
            ).reshape(-1, 3)
            return origins, np.broadcast_to(-back, origins.shape)
        to_eye = back * np.float32(self.distance)
        directions = np.asarray(rightwards + (upwards - to_eye), np.float32).reshape(-1, 3)
        return np.broadcast_to(target + to_eye, directions.shape), unit_vectors(directions)

    def directions_to_camera(self, points: F32) -> F32:
        """Return unit directions from points (n, 3) to the camera, (n, 3)."""
        back, _, _ = self.axes()
        if self.fov is None:
            return np.broadcast_to(back, points.shape).astype(np.float32)
        eye = np.array(self.target, np.float32) + back * np.float32(self.distance)
        return unit_vectors((eye - points).astype(np.float32))

    def slope_at(self, heights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how much lines of sight fall with distance, at some heights above the axis of the target."""
        fall = np.full(len(heights), np.tan(np.radians(self.elevation)))
        if self.fov is None:
            return fall
        return np.asarray(fall - (heights - self.target[1]) / (self.distance * cos(radians(self.elevation))))

    def project(self, points: F32) -> F32:
        """Return the picture positions of points (n, 3), (n, 2): u to the right, v up, each -1 to 1."""
        back, right, up = self.axes()
        axes = np.stack([right, up, back])
        # in three long rows: numpy is slow along a last axis of two or three
        u, v, nearness = (
            axes @ points.astype(np.float32, copy=False).T
            - (axes @ np.array(self.target, np.float32))[:, None]
        )
        scale = np.float32(1 / self.half_width)
        if self.fov is not None:
            distance = np.float32(self.distance)
            scale = scale * distance / np.maximum(distance - nearness, np.float32(1e-6))
        return np.asarray(np.stack([u * scale, v * scale]).T, np.float32)


def named_camera(low: F32, high: F32, view: str, margin: float = 1.12) -> Camera:
    """Return the camera of a named view that shows a whole bounding box.

    Args:
        low: (3,) the box's lower corner in metres.
        high: (3,) its upper corner.
        view: A key of NAMED_VIEWS, or azimuth and elevation in degrees, e.g. `-25,22`.
        margin: How much larger than needed the picture is, as a factor.

    Raises:
        KeyError: There is no such view.
    """
    if view in NAMED_VIEWS:
        azimuth, elevation, fov = NAMED_VIEWS[view]
    else:
        try:
            azimuth, elevation = (float(part) for part in view.split(","))
        except ValueError as error:
            raise KeyError(view) from error
        fov = PREVIEW_FOV_DEG
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
