"""Delighting: removal of the studio's light from the colours of a photo, so that a viewer's light is not
added to it.

Product photos are exposed so that white paper beside the product is white. A matte surface that faces the
camera comes out about as bright as its own colour. Added to that is what every coated, varnished or plastic
surface reflects of its bright surroundings, four parts in a hundred (Fresnel reflectance at a refractive
index of 1.5); it makes black grey. Light comes from above and from the white floor, so surfaces that face
down get less.
"""

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

# Linear: a white studio reflected in a surface that faces the camera, and a little for surfaces that do not.
STUDIO_REFLECTION = 0.06
STUDIO_BRIGHTNESS = 0.5  # mean, linear, as metal reflects it
MIN_LEFT_SHARE = 0.2  # of a colour that stays when the reflection is subtracted: dark places were lit less
_NORMAL_Y = np.array([-1, -0.5, 0, 0.5, 1], np.float32)  # of the surface's normal
_IRRADIANCE = np.array(
    [0.52, 0.73, 1.03, 1.13, 1.13], np.float32
)  # at these normals, 1 on an upright surface


def dielectric_colours(colours: F32, photo: F32) -> F32:
    """Return linear colours (n, 3) of a dielectric surface without its reflection. photo: not used."""
    return np.maximum(colours - np.float32(STUDIO_REFLECTION), colours * np.float32(MIN_LEFT_SHARE))


def metal_colours(colours: F32, photo: F32) -> F32:
    """Return the base colours of bare metal, which shows only reflections, tinted by its own colour.

    The colours are moved halfway to the photo's median. Otherwise the lights in the photo would stay on the
    product, white where they were overexposed.

    Args:
        colours: (n, 3) linear, from the photo.
        photo: (m, 3) linear pixels of the whole photo.
    """
    median = np.median(photo, axis=0).astype(np.float32)
    return np.minimum(np.sqrt(colours * median) / np.float32(STUDIO_BRIGHTNESS), np.float32(1))


def incident_light(normals: F32) -> F32:
    """Return the light that falls on surfaces with such normals (n, 3), (n,): 1 on an upright surface."""
    return np.interp(normals[:, 1], _NORMAL_Y, _IRRADIANCE).astype(np.float32)
