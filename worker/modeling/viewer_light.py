"""The light of the 3D viewer as an environment map: the studio of our own renders.

Both then show one colour.

`python -m worker.modeling.viewer_light FILE` writes the map, a Radiance HDR file. The viewer turns it with
the camera, as our renderer turns its lights, and has the same tone curve (`camera_tone`). Measured against
the renderer: docs/benchmarks.md.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from worker.modeling.studio_lighting import (
    EXPOSURE,
    FILL_DIRECTION,
    FILL_LIGHT,
    GROUND_LIGHT,
    KEY_DIRECTION,
    KEY_HALF_ANGLE_TAN,
    KEY_LIGHT,
    SKY_LIGHT,
)

F32 = NDArray[np.float32]
WIDTH_PX, HEIGHT_PX = 64, 32
FILL_HALF_ANGLE = 0.4  # radians; the renderer's fill light has no size
MIN_RADIANCE = 0.02  # of the darkest direction, the ground


def studio_radiance(directions: F32) -> F32:
    """Return the light from directions (..., 3), which lights a surface like the renderer's lamps."""
    # A radiance a + b y lights a surface with normal n by a + 2/3 b n_y.
    middle, slope = (SKY_LIGHT + GROUND_LIGHT) / 2, (SKY_LIGHT - GROUND_LIGHT) / 2
    sky = np.maximum(middle + 1.5 * slope * directions[..., 1], MIN_RADIANCE)
    key = _soft_lamp(directions, KEY_DIRECTION, KEY_LIGHT, KEY_HALF_ANGLE_TAN)
    fill = _soft_lamp(directions, FILL_DIRECTION, FILL_LIGHT, FILL_HALF_ANGLE)
    return np.asarray(EXPOSURE * (sky + key + fill), np.float32)


def _soft_lamp(directions: F32, to_lamp: F32, light: float, half_angle: float) -> F32:
    """Return the light of a round lamp with soft edges, whose sum over all directions is pi x `light`."""
    length = np.linalg.norm(to_lamp)
    sharpness = 1 / (1 - np.cos(half_angle))
    peak = light * length * sharpness / 2
    return np.asarray(peak * np.exp((directions @ (to_lamp / length) - 1) * sharpness), np.float32)


def studio_hdr() -> bytes:
    """Return the environment map as an uncompressed Radiance HDR file."""
    rows, columns = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX].astype(np.float32)
    latitude = np.pi * (0.5 - (rows + 0.5) / HEIGHT_PX)
    longitude = 2 * np.pi * ((columns + 0.5) / WIDTH_PX - 0.5)
    directions = np.stack(
        [np.cos(latitude) * np.cos(longitude), np.sin(latitude), np.cos(latitude) * np.sin(longitude)], -1
    )
    radiance = studio_radiance(np.asarray(directions, np.float32))
    exponent = np.ceil(np.log2(radiance))
    mantissa = np.clip(radiance * 256 / 2**exponent, 0, 255).astype(np.uint8)
    pixels = np.stack([mantissa] * 3 + [(exponent + 128).astype(np.uint8)], -1)
    header = f"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y {HEIGHT_PX} +X {WIDTH_PX}\n"
    return header.encode() + pixels.tobytes()


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(studio_hdr())
