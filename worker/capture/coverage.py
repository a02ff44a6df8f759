"""How much of each frame's outline a hull covers."""

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.capture.carving import Cameras, CellGrid
from worker.capture.outline_stack import OutlineStack

F32 = NDArray[np.float32]

PIXEL_CELLS = 1.2  # the side of a compared pixel, in cells


def frame_coverage(
    field: F32, grid: CellGrid, cameras: Cameras, outlines: OutlineStack
) -> NDArray[np.float64]:
    """Return for each frame the share of its outline that the hull covers, (n,)."""
    near = np.flatnonzero(field.ravel() > -0.5)
    points = grid.centres(near)
    found = []
    for number in outlines.numbers:
        camera = cameras[number]
        distance = outlines.frame(number)
        depth = float(np.linalg.norm(points.mean(0) - camera.eye))
        side = PIXEL_CELLS * grid.step / depth * camera.focal_px  # pixels of the frame
        height, width = (int(n / outlines.scale / side) + 2 for n in distance.shape)
        at = np.rint(camera.to_pixels(points) / np.float32(side) - np.float32(0.5)).astype(np.int64)
        at = at[((at >= 0) & (at < (width, height))).all(1)]
        covered = np.zeros((height, width), np.uint8)
        covered[at[:, 1], at[:, 0]] = 1
        covered = cv2.morphologyEx(covered, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
        rows, columns = np.mgrid[0:height, 0:width]
        pixels = ((np.column_stack([columns.ravel(), rows.ravel()]) + 0.5) * side).astype(np.float32)
        inside = outlines.sample(number, pixels).reshape(height, width) > 0
        found.append(float(((covered > 0) & inside).sum() / max(1, inside.sum())))
    return np.array(found)
