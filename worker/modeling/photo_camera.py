"""The camera of a photo, shapes seen through it, and photos rectified onto an upright plane."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from worker.modeling.camera import Camera
from worker.modeling.outlines import Outline, ProductSize
from worker.modeling.shape import Shape
from worker.modeling.shape_evidence import iou
from worker.modeling.voxel_grid import signed_distance

F32 = NDArray[np.float32]

CLEAR_CELLS = 1.0  # a sample farther than this from the surface needs no interpolation
RAY_STEPS = 40  # samples along each line of sight
COARSE_CELLS = 24_000  # of the grids of shapes that are only compared with photos
COMPARISON_PX = 48  # the longer side of the pictures that are compared
BORDER_PX = 3  # around these pictures
CARVING_PX = 384  # longer side of the outline that shapes are carved by
HERO_FOV_DEG = 26.0  # assumed for three-quarter photos


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoCamera:
    """A camera whose picture is laid on a photo.

    The picture position (u, v) is the pixel (origin_x + scale * u, origin_y - scale * v).
    """

    camera: Camera
    scale: float  # pixels to a unit of u and v
    origin_x: float  # pixels from the photo's left to the picture's middle
    origin_y: float  # pixels from the photo's top to the picture's middle

    def scaled(self, factor: float) -> "PhotoCamera":
        """Return the camera for the same photo enlarged by a factor."""
        return PhotoCamera(
            camera=self.camera,
            scale=self.scale * factor,
            origin_x=self.origin_x * factor,
            origin_y=self.origin_y * factor,
        )

    def to_pixels(self, points: F32) -> F32:
        """Return the pixels of points (n, 3) in the photo, (n, 2): to the right and down."""
        u, v = self.camera.project(points).T
        return np.stack([self.origin_x + self.scale * u, self.origin_y - self.scale * v]).T

    def matrix(self) -> F32:
        """Return the matrix (3, 4) from points (x, y, z, 1) to pixels (depth * column, depth * row, depth).

        A point at the camera's target has the depth 1.

        Raises:
            ValueError: The camera has no angle of view.
        """
        camera = self.camera
        if camera.fov is None:
            raise ValueError("an orthographic camera has no such matrix")
        back, right, up = camera.axes()
        depth = -back * np.float32(np.tan(np.radians(camera.fov) / 2) / camera.half_width)
        to_pixels = np.float32(self.scale / camera.half_width)
        turned = np.stack(
            [
                to_pixels * right + np.float32(self.origin_x) * depth,
                -to_pixels * up + np.float32(self.origin_y) * depth,
                depth,
            ]
        )
        shift = np.array([self.origin_x, self.origin_y, 1], np.float32)
        return np.column_stack([turned, shift - turned @ np.array(camera.target, np.float32)])

    def directions_to_camera(self, points: F32) -> F32:
        """Return unit directions from points (n, 3) to the camera, (n, 3)."""
        return self.camera.directions_to_camera(points)


@dataclass(frozen=True, slots=True, kw_only=True)
class PosedPhoto:
    """A photo cropped to its product, with its camera."""

    outline: Outline
    photo_camera: PhotoCamera | None = None  # None: orthographic, straight ahead, the product fills the crop


def orbit_camera(size: ProductSize, azimuth: float, elevation: float, fov: float) -> Camera:
    """Return a camera that looks at the middle of the product's box and just contains the whole box.

    Args:
        size: The product's size.
        azimuth: Degrees; 0 sees the front.
        elevation: Degrees above the horizon.
        fov: Angle of view in degrees; 0: orthographic.
    """
    radius = float(np.linalg.norm(size.as_array())) / 2
    return Camera(
        azimuth=azimuth,
        elevation=elevation,
        target=(0.0, size.height / 2, 0.0),
        half_width=radius,
        fov=fov or None,
    )


def superellipse_prism(size: ProductSize, exponent: float) -> F32:
    """Return points of an upright prism that fills the product's box, with a superellipse as base, (64, 3).

    Cameras are first fitted to this form.
    """
    angle = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    radius = (np.abs(np.cos(angle)) ** exponent + np.abs(np.sin(angle)) ** exponent) ** (-1 / exponent)
    ring = np.stack(
        [np.cos(angle) * radius * size.width / 2, np.zeros(32), np.sin(angle) * radius * size.depth / 2], 1
    )
    return np.vstack([ring, ring + np.array([0, size.height, 0])]).astype(np.float32)


def fit_camera(camera: Camera, points: F32, width: float, height: float, reach: float = 0.0) -> PhotoCamera:
    """Return a camera placed on a photo so that the picture of some points fills it.

    Args:
        camera: The pose.
        points: (n, 3) metres.
        width: Of the cropped photo, in pixels.
        height: Of the cropped photo, in pixels.
        reach: The radius of each point in metres.
    """
    projected = camera.project(points)
    low, high = projected.min(0) - reach / camera.half_width, projected.max(0) + reach / camera.half_width
    scale = float(np.sqrt(width * height / max(1e-9, float((high[0] - low[0]) * (high[1] - low[1])))))
    middle = (low + high) / 2
    return PhotoCamera(
        camera=camera,
        scale=scale,
        origin_x=width / 2 - scale * float(middle[0]),
        origin_y=height / 2 + scale * float(middle[1]),
    )


def points_on_plane(photo_camera: PhotoCamera, pixels: F32) -> F32:
    """Return where lines of sight meet the upright plane through the product's middle, from its front.

    Args:
        photo_camera: The photo's camera.
        pixels: (n, 2) to the right and down.

    Returns:
        (n, 2) metres: along the width, from the middle, and above the floor.
    """
    u = (pixels[:, 0] - photo_camera.origin_x) / photo_camera.scale
    v = (photo_camera.origin_y - pixels[:, 1]) / photo_camera.scale
    origins, directions = photo_camera.camera.rays(u.astype(np.float32), v.astype(np.float32))
    along = np.where(np.abs(directions[:, 2]) < 1e-6, 1e-6, directions[:, 2])
    return np.asarray(origins[:, :2] - directions[:, :2] * (origins[:, 2] / along)[:, None], np.float32)


def rectify_onto_plane(
    outline: Outline,
    photo_camera: PhotoCamera,
    size: ProductSize,
    azimuth: float,
    pixels: int,
    margin: tuple[float, float] = (0.0, 0.0),
) -> Outline:
    """Return a photo rectified onto the upright plane through the product's middle that faces `azimuth`.

    Args:
        outline: The photo.
        photo_camera: Its camera.
        size: The product's size.
        azimuth: Degrees, a multiple of 90.
        pixels: The longer side of the result.
        margin: Metres beside the product, and above and below it, that the result shows too.
    """
    width_m = (size.width if azimuth % 180 == 0 else size.depth) + 2 * margin[0]
    height_m = size.height + 2 * margin[1]
    pixels_per_m = pixels / max(width_m, height_m)
    columns, rows = max(8, round(width_m * pixels_per_m)), max(8, round(height_m * pixels_per_m))
    _, right, _ = Camera(azimuth=azimuth, elevation=0, target=(0, 0, 0), half_width=1).axes()
    x = ((np.arange(columns) + 0.5) / columns - 0.5) * width_m
    y = (1 - (np.arange(rows) + 0.5) / rows) * height_m - margin[1]
    points = (x[None, :, None] * right + np.array([0, 1, 0], np.float32) * y[:, None, None]).reshape(-1, 3)
    pixel_map = (photo_camera.to_pixels(points.astype(np.float32)).reshape(rows, columns, 2) - 0.5).astype(
        np.float32
    )
    alpha = cv2.remap(
        outline.alpha, pixel_map, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0
    )
    rgb = cv2.remap(outline.rgb, pixel_map, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return Outline(alpha=alpha, rgb=rgb)


def inside_points(shape: Shape) -> F32:
    """Return the centres of the cells inside a shape, (n, 3) metres."""
    indices = np.nonzero(shape.field > 0)
    return np.stack([shape.grid.x[indices[0]], shape.grid.y[indices[1]], shape.grid.z[indices[2]]], 1)


def coverage(shape: Shape, photo_camera: PhotoCamera, photo_mask: NDArray[np.bool_]) -> float:
    """Return how well a shape seen through a camera covers the photo's mask: intersection over union."""
    height, width = photo_mask.shape
    return iou(silhouette_mask(shape, photo_camera, width, height, BORDER_PX), np.pad(photo_mask, BORDER_PX))


def silhouette_mask(
    shape: Shape, photo_camera: PhotoCamera, width: int, height: int, border: int = 0
) -> NDArray[np.bool_]:
    """Return the silhouette of a shape in a photo of `width` x `height` pixels with a border around it.

    Returns:
        (height + 2 * border, width + 2 * border) bool.
    """
    down, across = np.mgrid[-border : height + border, -border : width + border].reshape(2, -1) + 0.5
    u, v = (
        (across - photo_camera.origin_x) / photo_camera.scale,
        (photo_camera.origin_y - down) / photo_camera.scale,
    )
    origins, directions = photo_camera.camera.rays(u.astype(np.float32), v.astype(np.float32))
    middle = ((np.array(photo_camera.camera.target, np.float32) - origins) * directions).sum(1)
    reach, grid = photo_camera.camera.half_width, shape.grid
    start, direction = (
        (origins + directions * middle[:, None] - grid.origin) / grid.step,
        directions / grid.step,
    )  # in cells
    direction = np.where(np.abs(direction) < 1e-9, 1e-9, direction)
    ends = np.stack([-start / direction, (np.array(grid.shape) - 1 - start) / direction])
    enters, leaves = ends.min(0).max(1), ends.max(0).min(1)  # most of a line of sight does not meet the grid
    steps = np.linspace(-reach, reach, RAY_STEPS)[:, None]
    step, ray = np.nonzero((steps > enters) & (steps < leaves))
    cells = start.T.take(ray, axis=1) + direction.T.take(ray, axis=1) * steps.ravel().take(step)
    is_inside = np.zeros(len(u), bool)
    nearest = shape.field.ravel().take(
        np.ravel_multi_index(tuple(np.rint(cells).astype(np.int32)), grid.shape)
    )
    is_inside[ray[nearest > CLEAR_CELLS]] = True
    is_unsure = (np.abs(nearest) <= CLEAR_CELLS) & ~is_inside[ray]
    is_inside[ray[is_unsure][ndimage.map_coordinates(shape.field, cells[:, is_unsure], order=1) > 0]] = True
    return is_inside.reshape(height + 2 * border, -1)


def carve(shape: Shape, photo: PosedPhoto, tolerance_share: float) -> Shape:
    """Return the shape without what lies outside the photo's outline by more than a tolerance.

    Args:
        shape: The shape.
        photo: The photo with its camera.
        tolerance_share: Of the longer side of the photo, since the camera is not exact.
    """
    if photo.photo_camera is None:
        return shape
    factor = CARVING_PX / max(photo.outline.alpha.shape)
    small = cv2.resize(photo.outline.alpha, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    pad = CARVING_PX // 4
    distance = signed_distance(np.pad(small > 0.5, pad))
    indices = np.nonzero(shape.field > -1)
    points = np.stack(
        [axis[i] for axis, i in zip((shape.grid.x, shape.grid.y, shape.grid.z), indices, strict=True)], 1
    )
    camera = photo.photo_camera.scaled(small.shape[1] / photo.outline.alpha.shape[1])
    at = camera.to_pixels(points.astype(np.float32)) - 0.5 + pad
    rows = np.clip(np.rint(at[:, 1]), 0, distance.shape[0] - 1).astype(int)
    columns = np.clip(np.rint(at[:, 0]), 0, distance.shape[1] - 1).astype(int)
    cells_per_px = float(shape.grid.size.as_array().max() / shape.grid.cell) / CARVING_PX
    limit = (distance[rows, columns] + tolerance_share * CARVING_PX) * cells_per_px
    field = shape.field.copy()
    field[indices] = np.minimum(field[indices], limit)
    return replace(shape, field=field)
