"""Delight: a photo's light taken off the product's colours, so that a viewer's light does not fall on it a second time.

Product photos are exposed so that white paper beside the product is white: a matte surface that faces the camera comes out about as
bright as its own colour. On top of that lies what every coated, varnished or plastic surface mirrors of its bright surroundings, four
parts in a hundred (Fresnel's reflectance at an index of 1.5): it greys what is black. Light comes from above and from the white floor;
what looks down gets less.
"""

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

STUDIO_REFLECTION = (
    0.06  # linear, of a white studio in a surface that faces the camera, a little more where it does not
)
STUDIO = 0.5  # how bright a studio is on the average, that metal mirrors
LEAST = 0.2  # of a colour that is left when that is taken off: what is darker was lit less
_UP = np.array([-1, -0.5, 0, 0.5, 1], np.float32)  # the upright part of the surface's direction
_LIGHT = np.array([0.52, 0.73, 1.03, 1.13, 1.13], np.float32)  # what falls on it


def dielectric_colours(colours: F32, photo: F32) -> F32:
    """Linear colours (n, 3) without what a surface mirrors, whatever else the photo shows."""
    return np.maximum(colours - np.float32(STUDIO_REFLECTION), colours * np.float32(LEAST))


def metal_colours(colours: F32, photo: F32) -> F32:
    """Linear colours (n, 3) of bare metal in a photo of it, (m, 3): it shows nothing but what it mirrors, in its own colour.

    Halfway to the picture's median, or lights that the photo shows would stay on the product, white where they were too bright for it.
    """
    usual = np.median(photo, axis=0).astype(np.float32)
    return np.minimum(np.sqrt(colours * usual) / np.float32(STUDIO), np.float32(1))


def incident_light(normals: F32) -> F32:
    """How much light falls on surfaces that look towards `normals` (n, 3): (n,), 1 on an upright one."""
    return np.interp(normals[:, 1], _UP, _LIGHT).astype(np.float32)
