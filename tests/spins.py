"""Frames of spins, rendered from shapes whose size is known."""

import io

import numpy as np
from PIL import Image

from tests.unit.shapes import as_model
from tests.unit.true_shapes import Truth
from worker.capture.frames import CapturedFrame
from worker.modeling.camera import Camera
from worker.modeling.render import Renderer

FRAMES = 8
PX = 220
ELEVATION, FOV = 14.0, 30.0
RED = (180, 40, 30)


def spin_frames(truth: Truth, count: int = FRAMES, direction: int = 1) -> list[CapturedFrame]:
    """Return frames of a spin, with one plain colour, and an axis beside the product's middle."""
    model = as_model(truth.whole)
    half = float(np.linalg.norm(model.extent)) * 0.62
    frames = []
    for number in range(count):
        camera = Camera(
            azimuth=direction * 360 / count * number,
            elevation=ELEVATION,
            target=(0.01, float(model.extent[1]) / 2, -0.005),
            half_width=half,
            fov=FOV,
        )
        alpha = Renderer(model).silhouette(camera, PX).astype(np.uint8) * 255
        rgb = np.broadcast_to(np.array(RED, np.uint8), (PX, PX, 3)).copy()
        picture = np.where(alpha[..., None] > 0, rgb, 230).astype(np.uint8)
        frames.append(CapturedFrame(name=f"{number:03d}.png", picture=picture, rgb=rgb, alpha=alpha))
    return frames


def spin_pictures(truth: Truth) -> list[bytes]:
    """Return the frames of a spin as PNG files, the product red on light grey."""
    return [as_png(frame.picture) for frame in spin_frames(truth)]


def as_png(pixels: np.ndarray) -> bytes:
    """Return an RGB picture as a PNG file."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "png")
    return out.getvalue()
