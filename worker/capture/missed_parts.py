"""Parts that a hull lacks, though most outlines show them: a few outlines lost them.

A hull that tolerates many wrong outlines bulges where few frames see a side edge-on. So its cells count only
where many outlines show product that nothing else in the hull explains.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from worker.capture.carving import Cameras, CellGrid
from worker.capture.outline_stack import OutlineStack

F32 = NDArray[np.float32]

MISSED_SHARE = 0.25  # of the frames that must miss a cell
PIXEL_CELLS = 1.2  # the side of a compared pixel, in cells
COVER_PX = 3  # side of the area of such pixels that a cell explains
RIM_CELLS = 2  # around the parts, so that the surface has no steps


def with_missed_parts(
    field: F32, possible: F32, grid: CellGrid, cameras: Cameras, outlines: OutlineStack
) -> F32:
    """Return a field, (nx, ny, nz), with what outlines show and it does not explain.

    Args:
        field: The signed distance to the hull in cells, positive inside.
        possible: The one of a hull that tolerates more wrong outlines.
        grid: The cells of both.
        cameras: The cameras.
        outlines: The outlines.
    """
    lacking, hull = np.flatnonzero((possible > 0) & (field <= 0)), np.flatnonzero(field > 0)
    if not len(lacking) or not len(hull):
        return field
    points, parts = grid.centres(hull), grid.centres(lacking)
    count = np.zeros(len(parts), np.int32)
    for number in outlines.numbers:
        camera = cameras[number]
        if not camera.is_apart(np.concatenate([points, parts]), camera.rotation[2]):
            continue  # it was wrongly placed
        depth = float(np.linalg.norm(points.mean(0) - camera.eye))
        side = np.float32(PIXEL_CELLS * grid.step / depth * camera.focal_px)
        pixels = camera.to_pixels(parts)
        own, wanted = np.rint(camera.to_pixels(points) / side), np.rint(pixels / side)
        low = np.minimum(own.min(0), wanted.min(0)) - 1
        own, wanted = (own - low).astype(np.int32), (wanted - low).astype(np.int32)
        width, height = np.maximum(own.max(0), wanted.max(0)) + 2
        covered = np.zeros((int(height), int(width)), np.uint8)
        covered[own[:, 1], own[:, 0]] = 1
        covered = cv2.dilate(covered, np.ones((COVER_PX, COVER_PX), np.uint8))
        count += (covered[wanted[:, 1], wanted[:, 0]] == 0) & (outlines.sample(number, pixels) > 0)
    back = np.zeros(grid.shape, bool)
    back.ravel()[lacking[count >= MISSED_SHARE * len(outlines.numbers)]] = True
    back = ndimage.binary_dilation(back, iterations=RIM_CELLS)
    return np.where(back, np.maximum(possible, field), field)
