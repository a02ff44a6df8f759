"""Photos of a true model from its sides, by one camera with perspective: made where a bench has none.

The camera's height and angle of view are drawn for each product: 1 to 7 degrees above level, 10 to 24 degrees
wide, as in studios. The picture from above has the same lens.
"""

import random
from functools import cache
from pathlib import Path

import numpy as np

from dam_connector.domain.product import View
from worker.imaging.decode import Photo
from worker.modeling.camera import Camera
from worker.modeling.glb_import import read_glb
from worker.modeling.render import Renderer

SIZE = 1024
AZIMUTHS = {View.FRONT: 0.0, View.RIGHT: 90.0, View.BACK: 180.0, View.TOP: 0.0}
FILLED = 0.8  # part of the picture that the longest side takes
ABOVE = 90.0


@cache
def renderer(model: Path) -> Renderer:
    return Renderer(read_glb(model.read_bytes()))


def photograph(model: Path, view: View) -> Photo:
    """Return the picture of a side of the product in a GLB, in the studio of our own renderer."""
    chance = random.Random(model.parent.name)
    elevation, fov = chance.uniform(1, 7), chance.uniform(10, 24)
    mesh = renderer(model).mesh
    middle = (mesh.min_corner + mesh.max_corner) / 2
    camera = Camera(
        azimuth=AZIMUTHS[view],
        elevation=ABOVE if view is View.TOP else elevation,
        target=(float(middle[0]), float(middle[1]), float(middle[2])),
        half_width=float(max(mesh.extent)) / 2 / FILLED * (1 + np.tan(np.radians(fov / 2))),
        fov=fov,
    )
    picture, _ = renderer(model).render(camera, SIZE)
    return Photo(rgb=picture, alpha=None, format="PNG")
