"""Drawing of cells into the picture of a camera, each as a square."""

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.capture.frame_camera import FrameCamera

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]


def cell_px(points: F32, step: float, camera: FrameCamera) -> float:
    """Return the side in pixels of the camera's picture of cells (n, 3), whose sides are `step`."""
    depth = float(np.median(camera.to_camera(points)[:, 2]))
    return step / max(depth, 1e-6) * camera.focal_px


def draw_cells(
    points: F32, camera: FrameCamera, radius: int, shape: tuple[int, ...], scale: float = 1.0
) -> Mask:
    """Return where cells are in a picture.

    Args:
        points: (n, 3) their centres.
        camera: The camera.
        radius: Pixels of the reduced picture around each centre.
        shape: Height and width of the reduced picture.
        scale: Reduced pixels to a pixel of the camera's picture.

    Returns:
        (h, w), reduced.
    """
    at = np.rint(camera.to_pixels(points) * np.float32(scale) - np.float32(0.5)).astype(int)
    at = at[((at >= 0) & (at < shape[::-1])).all(1)]
    covered = np.zeros(shape, np.uint8)
    covered[at[:, 1], at[:, 0]] = 1
    radius = min(radius, max(shape))  # of a camera that was wrongly placed, cells are endless
    return np.asarray(cv2.dilate(covered, np.ones((2 * radius + 1,) * 2, np.uint8)) > 0)
