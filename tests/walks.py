"""Photos of walks around shapes whose size is known, with the cameras that a library would find."""

import io
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.unit.shapes import as_model
from tests.unit.true_shapes import Truth
from worker.capture.frame_camera import FrameCamera
from worker.capture.frames import CapturedFrame
from worker.capture.placed_photos import PlacedPhotos
from worker.modeling.camera import Camera
from worker.modeling.render import Renderer

PX = 240
FOV = 40.0
ELEVATIONS = (12.0, 34.0)  # of a low round and a high one
RED = (180, 40, 30)
START_DEG = 20.0  # from where the first photo is taken: not quite the front
PATTERN_PX, PATTERN_SPOTS = 1200, 6000  # of the ground
GROUND_REACH = 2.5  # in heights of the product


def walk_cameras(
    truth: Truth, count: int, px: int = PX, arc_deg: float = 360
) -> list[tuple[Camera, FrameCamera]]:
    """Return irregular cameras of a low and a high round, as the renderer and as a capture has them."""
    random = np.random.default_rng(5)
    model = as_model(truth.whole)
    half = float(np.linalg.norm(model.extent)) * 0.75
    found = []
    for number in range(count):
        per_round = count / len(ELEVATIONS)
        camera = Camera(
            azimuth=START_DEG
            + arc_deg / per_round * (number % per_round + random.uniform(0, 0.3) * bool(number)),
            elevation=ELEVATIONS[int(number / per_round)] + random.uniform(-2, 2),
            target=(*random.uniform(-0.01, 0.01, 1), float(model.extent[1]) / 2, 0.01),
            half_width=half * random.uniform(0.95, 1.1),
            fov=FOV,
        )
        found.append((camera, as_frame_camera(camera, px)))
    return found


def as_frame_camera(camera: Camera, px: int) -> FrameCamera:
    """Return the camera of a square picture as one of a capture."""
    back, right, up = (axis.astype(float) for axis in camera.axes())
    tangent = np.tan(np.radians(FOV) / 2)
    return FrameCamera(
        rotation=np.array([right, -up, -back]),
        eye=np.array(camera.target) + back * camera.half_width / tangent,
        focal_px=px / 2 / tangent,
        centre=(px / 2, px / 2),
    )


def walk_photos(truth: Truth, cameras: list[tuple[Camera, FrameCamera]], px: int = PX) -> list[CapturedFrame]:
    """Return photos of a red product on a patterned ground, perfectly cut out."""
    renderer, photos = Renderer(as_model(truth.whole)), []
    reach = GROUND_REACH * float(as_model(truth.whole).extent[1])
    pattern = _pattern()
    for number, (camera, frame_camera) in enumerate(cameras):
        alpha = renderer.silhouette(camera, px).astype(np.uint8) * 255
        rgb = np.broadcast_to(np.array(RED, np.uint8), (px, px, 3)).copy()
        behind = _ground(frame_camera, pattern, reach, px)
        picture = np.where(alpha[..., None] > 0, rgb, behind).astype(np.uint8)
        photos.append(CapturedFrame(name=f"{number:02d}.jpg", picture=picture, rgb=rgb, alpha=alpha))
    return photos


def walk_pictures(photos: list[CapturedFrame]) -> list[bytes]:
    """Return photos as PNG files whose transparency is their cut-out."""
    found = []
    for photo in photos:
        out = io.BytesIO()
        Image.fromarray(np.dstack([photo.rgb, photo.alpha])).save(out, "png")
        found.append(out.getvalue())
    return found


def _pattern() -> NDArray[np.uint8]:
    """Return a ground of overlapping spots in many colours."""
    random = np.random.default_rng(1)
    picture = np.full((PATTERN_PX, PATTERN_PX, 3), 150, np.uint8)
    for _ in range(PATTERN_SPOTS):
        place = tuple(int(v) for v in random.integers(0, PATTERN_PX, 2))
        colour = tuple(int(v) for v in random.integers(40, 255, 3))
        cv2.circle(picture, place, int(random.integers(3, 18)), colour, -1)
    return picture


def _ground(camera: FrameCamera, pattern: NDArray[np.uint8], reach: float, px: int) -> NDArray[np.uint8]:
    """Return how a camera sees the pattern on y = 0; a plain wall beyond it."""
    rows, columns = np.mgrid[0:px, 0:px] + 0.5
    rays = camera.ray_directions(np.column_stack([columns.ravel(), rows.ravel()]))
    along = np.where(rays[:, 1] < -1e-6, -camera.eye[1] / np.minimum(rays[:, 1], -1e-6), np.inf)
    at = np.where(np.isfinite(along)[:, None], (camera.eye + rays * along[:, None])[:, [0, 2]], np.nan)
    place = ((at / reach + 1) / 2 * PATTERN_PX).reshape(px, px, 2).astype(np.float32)
    seen = cv2.remap(
        pattern, place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(205, 210, 215)
    )
    return np.asarray(seen, np.uint8)


def placed_photos(
    truth: Truth, photos: list[CapturedFrame], cameras: list[tuple[Camera, FrameCamera]]
) -> PlacedPhotos:
    """Return the findings of a library: cameras and points in coordinates of its own, some points wrong."""
    random = np.random.default_rng(2)
    height = float(truth.whole.extents[1])
    ground = random.uniform(-1.5 * height, 1.5 * height, (500, 3)) * np.array([1, 0, 1])
    surface = np.asarray(truth.whole.sample(300, seed=3))
    wrong = random.uniform(-height, 2 * height, (60, 3))
    points = np.vstack([ground, surface, wrong])
    sightings = []
    for number, (_, camera) in enumerate(cameras):
        pixels = camera.to_pixels(points.astype(np.float32))
        visible = ((pixels > 1) & (pixels < photos[number].size_px[0] - 1)).all(1)
        rows = np.flatnonzero(visible)
        at = pixels[rows].astype(int)
        is_product = photos[number].alpha[at[:, 1], at[:, 0]] > 0
        is_hidden = is_product & (rows < len(ground))
        sightings.extend((int(row), number) for row in rows[~is_hidden])
    turned, scale, shift = other_coordinates()
    return PlacedPhotos(
        cameras={
            number: replace(
                camera, rotation=camera.rotation @ turned.T, eye=scale * turned @ camera.eye + shift
            )
            for number, (_, camera) in enumerate(cameras)
        },
        distortions=dict.fromkeys(range(len(cameras)), 0.0),
        points=scale * points @ turned.T + shift,
        sightings=np.array(sightings, np.int64),
        error_px=0.5,
    )


def other_coordinates() -> tuple[NDArray[np.float64], float, NDArray[np.float64]]:
    """Return a rotation, a scale and a shift, as those between a library's coordinates and ours."""
    turned, _ = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))
    turned = turned * np.sign(np.linalg.det(turned))
    return turned, 3.7, np.array([1.0, -2.0, 0.5])
