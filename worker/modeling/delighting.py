"""Delighting: removal of the studio's light from the colours of a photo, so that a viewer's light is not
added to it.

Three things lie between a product's own colour and a pixel. Each is a prior of how products are photographed,
since one photo does not tell them apart:

- Tone: cameras and raw converters let highlights run out softly, so that middle tones come out brighter than
  they are. An exponential curve undoes it.
- Reflection: every coated, varnished or plastic surface reflects its bright surroundings, which makes black
  grey.
- Light: a soft key light above the camera, and light from all around, less of it from below. Both lights go
  where the camera goes, as on a turntable.
"""

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

# A matte white surface that faces the camera gets this much light: 1 - exp(-1.8) = .83 of paper white.
EXPOSURE = 1.8
MAX_LEVEL = 0.985  # linear; brighter pixels are overexposed, and their light is not known
STUDIO_REFLECTION = 0.02  # of the surroundings in the surface, as a share of what white gives off
STUDIO_BRIGHTNESS = 0.5  # mean, linear, as metal reflects it
MIN_LEFT_SHARE = 0.2  # of a colour that stays when the reflection is subtracted: dark places were lit less
# At a glance a surface reflects more, by Schlick's approximation of Fresnel's law: this much straight on, and
# this share of the growth, since most surfaces are rough.
STRAIGHT_REFLECTANCE, GLANCING_SHARE = 0.04, 0.6
MIN_LIT_SHARE = 0.4  # of the light that stays: cloth and other rough surfaces reflect less at a glance
LEAST_FACING = 0.05  # cosine: flatter, the normals of a made shape say little
# Light on an upright surface that faces the camera is 1. A quarter softer than in the studio that it was
# measured in, since the normals of a made shape are not exact.
AMBIENT_LIGHT, SKY_LIGHT = 0.6, 0.15  # on upright surfaces; more on what looks up, less on what looks down
KEY_LIGHT = np.array([0.1, 0.45, 0.4], np.float32)  # towards it: to the camera's right, up, to the camera

# In a room most light comes from above, from lamps and the ceiling, and does not turn with the camera.
ROOM_SIDE_LIGHT, ROOM_SKY_LIGHT = 0.55, 0.45
LEAST_ROOM_LIGHT = 0.2  # on what looks straight down


def dielectric_colours(colours: F32, photo: F32) -> F32:
    """Return linear colours (n, 3) of a dielectric surface without tone and reflection. photo: not used."""
    light = _without_tone(colours)
    return np.maximum(light - np.float32(STUDIO_REFLECTION), light * np.float32(MIN_LEFT_SHARE))


def glancing_reflection(facing: F32) -> F32:
    """Return what a dielectric reflects more than straight on, as `STUDIO_REFLECTION` counts it.

    Args:
        facing: Cosines between the surface's normal and the direction to the camera, of any shape.
    """
    growth = (1 - STRAIGHT_REFLECTANCE) * (1 - np.clip(facing, LEAST_FACING, 1)) ** 5
    return np.asarray(STUDIO_REFLECTION * GLANCING_SHARE * growth / STRAIGHT_REFLECTANCE, np.float32)


def with_less_light(colours: F32, light: F32) -> F32:
    """Return linear colours of a photo as a camera shows them with less light on them."""
    seen = _without_tone(colours)
    left = np.maximum(seen - light, seen * np.float32(MIN_LIT_SHARE))
    return np.asarray(1 - np.exp(-left * np.float32(EXPOSURE)), np.float32)


def metal_colours(colours: F32, photo: F32) -> F32:
    """Return the base colours of bare metal, which shows only reflections, tinted by its own colour.

    The colours are moved halfway to the photo's median. Otherwise the lights in the photo would stay on the
    product, white where they were overexposed.

    Args:
        colours: (n, 3) linear, from the photo.
        photo: (m, 3) linear pixels of the whole photo.
    """
    light, median = _without_tone(colours), _without_tone(np.median(photo, axis=0).astype(np.float32))
    return np.minimum(np.sqrt(light * median) / np.float32(STUDIO_BRIGHTNESS), np.float32(1))


def _without_tone(colours: F32) -> F32:
    """Return the light that a camera showed in such linear colours, of any shape."""
    return np.asarray(
        -np.log1p(-np.minimum(colours, np.float32(MAX_LEVEL))) / np.float32(EXPOSURE), np.float32
    )


def incident_light(normals: F32, camera_axes: F32) -> F32:
    """Return the light that falls on surfaces, (n,): 1 on an upright one that faces the camera.

    Args:
        normals: (n, 3) of the surfaces.
        camera_axes: (3, 3) unit vectors: the camera's right, its up, and the direction to it.
    """
    key = np.maximum(normals @ (KEY_LIGHT @ camera_axes), 0)
    return np.asarray(AMBIENT_LIGHT + SKY_LIGHT * normals[:, 1] + key, np.float32)


def room_light(normals: F32) -> F32:
    """Return the light of a room on surfaces with normals (n, 3), (n,): 1 on one that looks up."""
    light = ROOM_SIDE_LIGHT + ROOM_SKY_LIGHT * normals[:, 1]
    return np.asarray(np.maximum(light, LEAST_ROOM_LIGHT), np.float32)
