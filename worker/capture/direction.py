"""The direction of turning where outlines leave it open, as those of a bottle do: from the product's colours.

A place on the surface has the same colour in neighbouring frames only if the rig turns the right way.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from dam_connector.errors import InputError
from worker.capture.carving import grid_of_box, hull_distances, outline_box, spin_bounds
from worker.capture.coverage import frame_coverage
from worker.capture.frame_camera import SpinRig
from worker.capture.outline_stack import OutlineStack
from worker.capture.rig_fitting import product_reach
from worker.imaging.bilinear_sampling import sample_bilinear
from worker.modeling.textured_mesh import unit_vectors

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

CELLS = 60_000
SURFACE_CELLS = 0.7  # from the surface of the hull
MIN_FACING = 0.5  # cosine between the surface and a camera that is compared
MIN_COVERAGE = 0.5  # of the outlines by the hull: with less, the rig turns the wrong way
EVERY = 2  # frames between those that are compared with the next one


def colour_disagreement(rig: SpinRig, outlines: OutlineStack, pictures: Sequence[U8]) -> float:
    """Return the mean difference in levels of the product's colours in neighbouring frames.

    It is endless where the rig's hull covers too little of the outlines: a place without product has the
    background's colour in all frames.
    """
    cameras = rig.cameras()
    try:
        low, high = outline_box(outlines, cameras, spin_bounds(product_reach(rig, outlines)))
    except InputError:  # the outlines have nothing in common
        return np.inf
    grid = grid_of_box(low, high, CELLS, 2)
    field = hull_distances(grid, np.arange(int(np.prod(grid.shape))), cameras, outlines).reshape(grid.shape)
    if not (field > 0).any() or np.mean(frame_coverage(field, grid, cameras, outlines)) < MIN_COVERAGE:
        return np.inf
    surface = np.flatnonzero(np.abs(field.ravel()) < SURFACE_CELLS)
    normals = unit_vectors(-np.stack([slope.ravel()[surface] for slope in np.gradient(field)], 1))
    points = grid.centres(surface)
    differences = []
    for one, two in list(zip(outlines.numbers, outlines.numbers[1:], strict=False))[::EVERY]:
        pair = (cameras[one], cameras[two])
        facing = [(camera.directions_to_camera(points) * normals).sum(1) > MIN_FACING for camera in pair]
        seen = points[facing[0] & facing[1]]
        colours = [
            sample_bilinear(cv2.blur(pictures[n], (5, 5)), camera.to_pixels(seen) - np.float32(0.5))
            for n, camera in zip((one, two), pair, strict=True)
        ]
        differences.append(np.abs(colours[0].astype(np.float32) - colours[1]).mean(1))
    return float(np.concatenate(differences).mean()) if differences else 0.0
