"""Placing: where a photo's camera stood, and the photo drawn as if taken from straight ahead."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from worker.modeling.camera import Camera
from worker.modeling.outlines import Outline, ProductSize
from worker.modeling.shape import Shape
from worker.modeling.shape_evidence import iou

F32 = NDArray[np.float32]

CLEAR = 1.0  # cells: what is farther from the surface needs no look between cells
STEPS = 40  # along each line of sight
COARSE_CELLS = 24_000  # of shapes that are only compared with photos
COMPARISON_PX = 48  # along the longer side of what they are compared on
BORDER = 3  # pixels around it
HERO_FOV_DEG = 26.0  # degrees, of three-quarter photos


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoCamera:
    """A camera whose picture lies on a photo: a picture position (u, v) is the pixel (across + scale u, down - scale v)."""

    camera: Camera
    scale: float
    origin_x: float
    origin_y: float

    def scaled(self, by: float) -> "PhotoCamera":
        """On the photo drawn that much larger."""
        return PhotoCamera(
            camera=self.camera,
            scale=self.scale * by,
            origin_x=self.origin_x * by,
            origin_y=self.origin_y * by,
        )

    def to_pixels(self, points: F32) -> F32:
        """Where points (n, 3) stand in the photo: (n, 2), right and down."""
        flat = self.camera.project(points)
        return np.stack([self.origin_x + self.scale * flat[:, 0], self.origin_y - self.scale * flat[:, 1]], 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PosedPhoto:
    """A photo cropped to its product, and the camera that took it; None: straight ahead, far away, filling the crop."""

    outline: Outline
    photo_camera: PhotoCamera | None = None


def orbit_camera(size: ProductSize, azimuth: float, elevation: float, fov: float) -> Camera:
    """A camera that looks at the middle of the product's box and just has it whole in its picture."""
    radius = float(np.linalg.norm(size.as_array())) / 2
    return Camera(
        azimuth=azimuth,
        elevation=elevation,
        target=(0.0, size.height / 2, 0.0),
        half_width=radius,
        fov=fov or None,
    )


def superellipse_prism(size: ProductSize, exponent: float) -> F32:
    """Points of an upright cylinder with a rounded-square base that fills the box, (64, 3): what photos are first held against."""
    turn = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    radius = (np.abs(np.cos(turn)) ** exponent + np.abs(np.sin(turn)) ** exponent) ** (-1 / exponent)
    ring = np.stack(
        [np.cos(turn) * radius * size.width / 2, np.zeros(32), np.sin(turn) * radius * size.depth / 2], 1
    )
    return np.vstack([ring, ring + np.array([0, size.height, 0])]).astype(np.float32)


def fit_camera(camera: Camera, points: F32, width: float, height: float, reach: float = 0.0) -> PhotoCamera:
    """The camera's picture of `points`, each `reach` metres wide to all sides, fitted to a photo's crop of `width` x `height` pixels."""
    flat = camera.project(points)
    low, high = flat.min(0) - reach / camera.half_width, flat.max(0) + reach / camera.half_width
    scale = float(np.sqrt(width * height / max(1e-9, float((high[0] - low[0]) * (high[1] - low[1])))))
    middle = (low + high) / 2
    return PhotoCamera(
        camera=camera,
        scale=scale,
        origin_x=width / 2 - scale * float(middle[0]),
        origin_y=height / 2 + scale * float(middle[1]),
    )


def rectify_onto_plane(
    outline: Outline, photo_camera: PhotoCamera, size: ProductSize, azimuth: float, pixels: int
) -> Outline:
    """The photo drawn onto the upright plane through the middle that faces `azimuth`."""
    wide = size.width if azimuth % 180 == 0 else size.depth
    per_m = pixels / max(wide, size.height)
    columns, rows = max(8, round(wide * per_m)), max(8, round(size.height * per_m))
    _, right, _ = Camera(azimuth=azimuth, elevation=0, target=(0, 0, 0), half_width=1).axes()
    x = ((np.arange(columns) + 0.5) / columns - 0.5) * wide
    y = (1 - (np.arange(rows) + 0.5) / rows) * size.height
    points = (x[None, :, None] * right + np.array([0, 1, 0], np.float32) * y[:, None, None]).reshape(-1, 3)
    at = (photo_camera.to_pixels(points.astype(np.float32)).reshape(rows, columns, 2) - 0.5).astype(
        np.float32
    )
    alpha = cv2.remap(
        outline.alpha, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0
    )
    rgb = cv2.remap(outline.rgb, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return Outline(alpha=alpha, rgb=rgb)


def inside_points(shape: Shape) -> F32:
    """The cells inside, as points (n, 3)."""
    at = np.nonzero(shape.field > 0)
    return np.stack([shape.grid.x[at[0]], shape.grid.y[at[1]], shape.grid.z[at[2]]], 1)


def coverage(shape: Shape, photo_camera: PhotoCamera, photo_mask: NDArray[np.bool_]) -> float:
    """How well the shape, seen by the camera, covers the wanted picture: intersection over union."""
    height, width = photo_mask.shape
    return iou(silhouette_mask(shape, photo_camera, width, height, BORDER), np.pad(photo_mask, BORDER))


def silhouette_mask(
    shape: Shape, photo_camera: PhotoCamera, width: int, height: int, border: int = 0
) -> NDArray[np.bool_]:
    """Where the shape is in the photo of `width` x `height` pixels and a border around it: (height + 2 border, width + 2 border)."""
    down, across = np.mgrid[-border : height + border, -border : width + border].reshape(2, -1) + 0.5
    u, v = (
        (across - photo_camera.origin_x) / photo_camera.scale,
        (photo_camera.origin_y - down) / photo_camera.scale,
    )
    origins, directions = photo_camera.camera.rays(u.astype(np.float32), v.astype(np.float32))
    middle = ((np.array(photo_camera.camera.target, np.float32) - origins) * directions).sum(1)
    reach, grid = photo_camera.camera.half_width, shape.grid
    start, way = (
        (origins + directions * middle[:, None] - grid.origin) / grid.step,
        directions / grid.step,
    )  # in cells
    way = np.where(np.abs(way) < 1e-9, 1e-9, way)
    ends = np.stack([-start / way, (np.array(grid.shape) - 1 - start) / way])
    enters, leaves = ends.min(0).max(1), ends.max(0).min(1)  # most of a line of sight is beside the product
    steps = np.linspace(-reach, reach, STEPS)[:, None]
    step, ray = np.nonzero((steps > enters) & (steps < leaves))
    at = start.T.take(ray, axis=1) + way.T.take(ray, axis=1) * steps.ravel().take(step)
    seen = np.zeros(len(u), bool)
    nearest = shape.field.ravel().take(np.ravel_multi_index(tuple(np.rint(at).astype(np.int32)), grid.shape))
    seen[ray[nearest > CLEAR]] = True
    unsure = (np.abs(nearest) <= CLEAR) & ~seen[ray]
    seen[ray[unsure][ndimage.map_coordinates(shape.field, at[:, unsure], order=1) > 0]] = True
    return seen.reshape(height + 2 * border, -1)
