"""The studio that renders are lit in: key light, fill light and sky, and the shading of a surface under them.

The lights turn with the camera, as if the product were turned on its table.
"""

import numpy as np
from numpy.typing import NDArray

from worker.modeling.material_shading import SurfaceSamples
from worker.modeling.textured_mesh import row_dot, unit_vectors

F32 = NDArray[np.float32]

# Directions from the product, for a camera at azimuth 0.
KEY_DIRECTION = np.array([-0.45, 0.75, 0.6], np.float32) / np.float32(np.linalg.norm([-0.45, 0.75, 0.6]))
FILL_DIRECTION = np.array([0.7, 0.2, 0.68], np.float32)
KEY_LIGHT, FILL_LIGHT, SKY_LIGHT, GROUND_LIGHT = 1.55, 0.25, 0.62, 0.30  # linear intensities
EXPOSURE = 0.62  # a white wall that faces the viewer comes out white
MAX_HIGHLIGHT = 10.0  # of a highlight; more is white as well
DIELECTRIC_REFLECTANCE = 0.04  # of surfaces that are not metal, at a refractive index of 1.5
KEY_HALF_ANGLE_TAN = 0.28  # of the key light; the larger, the softer its shadows
TONE_EXPOSURE = 1.3  # with it, the tone curve is nearest to the one that `delighting` takes off photos
TONE_BLACK = 0.004  # linear light that comes out black


def light_directions(azimuth: float) -> tuple[F32, F32]:
    """Return the directions to the key and the fill light, (3,) each. azimuth: of the camera, in degrees."""
    rotation = _rotation_about_y(azimuth)
    return rotation @ KEY_DIRECTION, rotation @ FILL_DIRECTION


def sky_light(up: F32) -> F32:
    """Return the light from directions with such a vertical component: brighter from above, (n,)."""
    return np.asarray(GROUND_LIGHT + (SKY_LIGHT - GROUND_LIGHT) * (up * 0.5 + 0.5), np.float32)


def shade(
    surface: SurfaceSamples, directions: F32, visibility: tuple[F32, F32], lights: tuple[F32, F32]
) -> F32:
    """Return the linear colour of n points of a surface, (n, 3).

    Args:
        surface: The material at the points.
        directions: (n, 3) of the rays from the camera.
        visibility: The shares of the key light and of the sky that reach each point, (n,) each.
        lights: The directions to the key light and to the fill light, (3,) each.
    """
    (key_visibility, sky_visibility), (key, fill), albedo = visibility, lights, surface.albedo
    n, sky_visibility = surface.normals, sky_visibility * surface.sky_visibility
    key_diffuse = np.clip(n @ key, 0, 1) * key_visibility
    diffuse = (
        KEY_LIGHT * key_diffuse + FILL_LIGHT * np.clip(n @ fill, 0, 1) + sky_light(n[:, 1]) * sky_visibility
    ) * np.float32(EXPOSURE)
    halfway = unit_vectors((key - directions).astype(np.float32))
    exponent = 2 / np.maximum(0.03, surface.roughness) ** 2
    gloss = (
        np.clip(row_dot(n, halfway), 0, 1) ** exponent
        * (exponent + 2)
        / 8
        * (key_diffuse > 0)
        * key_visibility
    )
    facing = row_dot(n, directions)
    rim = 0.05 * (1 - np.abs(facing)) ** 5 * (1 - surface.roughness)
    # The studio reflected: sharp where the surface is smooth, as soft as diffuse shading where it is rough.
    mirrored_y, blur = (directions - 2 * facing[:, None] * n)[:, 1], surface.roughness**2
    reflected = (
        sky_light(mirrored_y) * (1 - blur) + sky_light(n[:, 1]) * blur
    ) * sky_visibility + FILL_LIGHT * np.clip(n @ fill, 0, 1)
    tint = albedo * surface.metallic[:, None] + (DIELECTRIC_REFLECTANCE * (1 - surface.metallic))[:, None]
    colour = albedo * (diffuse * (1 - surface.metallic))[:, None] + rim[:, None]
    colour += tint * (reflected * EXPOSURE + np.minimum(gloss, MAX_HIGHLIGHT))[:, None]
    return np.asarray(colour if surface.emission is None else colour + surface.emission, np.float32)


def camera_tone(linear: F32) -> F32:
    """Return linear light as a camera shows it, 0 to 1: bright tones run out softly, middle ones are raised.

    Photos of products have such a curve, so models look like their photos with it. It is the curve of Hejl
    and Burgess-Dawson (2010), since the 3D viewer has it as well, as its tone mapping "cineon".

    Args:
        linear: Linear light, of any shape.
    """
    x = np.maximum(linear * np.float32(TONE_EXPOSURE) - np.float32(TONE_BLACK), 0)
    return np.asarray(((x * (6.2 * x + 0.5)) / (x * (6.2 * x + 1.7) + 0.06)) ** 2.2, np.float32)


def _rotation_about_y(azimuth: float) -> F32:
    """Return the rotation about Y by an angle in degrees, (3, 3)."""
    c, s = np.cos(np.radians(azimuth)), np.sin(np.radians(azimuth))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]], np.float32)
