"""Pictures of sample products from all around: a spin of a teapot, a walk around a toy bus.

Usage: `python -m samples.make_captures`. It writes dam_connector/samples/teapot-spin/ and bus-walk/; the same
code gives the same pictures.
"""

import io
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from samples.captured_meshes import bus, floor, teapot
from samples.make_photos import OUTPUT_FOLDER, painted_model
from worker.imaging.linear_light import to_linear, to_srgb
from worker.modeling.camera import Camera
from worker.modeling.render import Renderer, RenderOptions

FRAMES, FRAME_PX = 24, 640
SPIN_ELEVATION_DEG, SPIN_FOV_DEG = 11.0, 22.0
WALK_PX, WALK_FOV_DEG = 640, 44.0
ROUNDS = ((14.0, 12), (36.0, 12))  # elevation in degrees and photos of each round of a walk
SPIN_QUALITY, WALK_QUALITY = 74, 50  # of WebP; a floor of chips is large
U8 = NDArray[np.uint8]


def spin_frame(number: int, size: int = FRAME_PX) -> bytes:
    """Return a frame of the teapot on a turntable as WebP, `size` pixels square."""
    model, paint = painted_model(teapot())
    centre = (model.min_corner + model.max_corner) / 2
    camera = Camera(
        azimuth=360 / FRAMES * number,
        elevation=SPIN_ELEVATION_DEG,
        target=(0.004, float(centre[1]), 0.0),
        half_width=float(np.linalg.norm(model.extent)) * 0.52,
        fov=SPIN_FOV_DEG,
    )
    options = RenderOptions(background=(0.74, 0.86), samples_per_axis=3)
    rgb, _ = Renderer(model, paint, tone=False).render(camera, size, options)
    return _developed(rgb, SPIN_QUALITY, seed=number)


def walk_photo(number: int, size: int = WALK_PX) -> bytes:
    """Return a photo of the bus on the floor as WebP, taken by hand, `size` pixels square."""
    model, paint = painted_model([*bus(), floor()])
    random = np.random.default_rng(11)
    taken = []
    for elevation, count in ROUNDS:
        for place in range(count):
            taken.append(
                Camera(
                    azimuth=360 / count * (place + random.uniform(-0.2, 0.2)),
                    elevation=elevation + random.uniform(-3, 3),
                    target=(*random.uniform(-0.01, 0.01, 1), 0.06 + random.uniform(-0.01, 0.01), 0.0),
                    half_width=0.25 * random.uniform(0.95, 1.1),
                    fov=WALK_FOV_DEG,
                )
            )
    options = RenderOptions(
        background=(0.5, 0.75), floor_shadow=False, samples_per_axis=2, light_azimuth=20.0
    )
    rgb, _ = Renderer(model, paint, tone=False).render(taken[number], size, options)
    exposure = float(np.random.default_rng(number).uniform(0.94, 1.06))
    return _developed(rgb, WALK_QUALITY, seed=number, exposure=exposure)


def _developed(rgb: U8, quality: int, seed: int, exposure: float = 1.0) -> bytes:
    """Return a picture as WebP, with a camera's softness and grain."""
    grain = np.random.default_rng(seed).standard_normal(rgb.shape[:2]).astype(np.float32)
    linear = cv2.GaussianBlur(to_linear(rgb), (0, 0), 0.5) * exposure
    out = to_srgb(linear * (1 + 0.012 * cv2.GaussianBlur(grain, (0, 0), 0.7)[..., None]))
    file = io.BytesIO()
    Image.fromarray(out).save(file, "WEBP", quality=quality, method=6)
    return file.getvalue()


def main(folder: Path = OUTPUT_FOLDER) -> None:
    """Write the frames and the photos."""
    for name, make, count in (
        ("teapot-spin", spin_frame, FRAMES),
        ("bus-walk", walk_photo, sum(n for _, n in ROUNDS)),
    ):
        (folder / name).mkdir(exist_ok=True)
        total = 0
        for number in range(count):
            data = make(number)
            (folder / name / f"{number + 1:02d}.webp").write_bytes(data)
            total += len(data)
        print(f"{name}: {count} pictures, {total / 1000:.0f} kB")


if __name__ == "__main__":
    main()
