"""Comparison of two models by renders of both: the structural similarity (SSIM) from several sides."""

from collections.abc import Mapping
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.modeling.camera import named_camera
from worker.modeling.render import Renderer, RenderOptions
from worker.modeling.textured_mesh import TexturedMesh

F64 = NDArray[np.float64]
VIEWS = ("hero", "front", "right", "back", "top")
SIZE_PX = 192
# Of the worst view. A model whose triangles were reduced to a quarter keeps 0.9; a lost texture, colour or
# part does not.
LEAST_SSIM = 0.9
# Constants of Wang et al. 2004 for pictures of 0 to 255.
_C1, _C2, _SIGMA_PX = (0.01 * 255) ** 2, (0.03 * 255) ** 2, 1.5


def compare_looks(before: TexturedMesh, after: TexturedMesh) -> Mapping[str, float]:
    """Return the SSIM of renders of two models by view; the first is fitted into the second's box."""
    scale = after.extent / np.maximum(before.extent, 1e-9)
    fitted = replace(
        before,
        positions=((before.positions - before.min_corner) * scale + after.min_corner).astype(np.float32),
    )
    options = RenderOptions(floor_shadow=False)
    renderers = Renderer(fitted), Renderer(after)
    cameras = {view: named_camera(after.min_corner, after.max_corner, view) for view in VIEWS}
    return {
        view: ssim(*(r.render(camera, SIZE_PX, options)[0] for r in renderers))
        for view, camera in cameras.items()
    }


def ssim(one: NDArray[np.uint8], two: NDArray[np.uint8]) -> float:
    """Return the structural similarity of two pictures, 1 where they are equal.

    Only the places that differ from a plain ground in either picture count, with a margin: a small product on
    a large ground would be like any other.
    """
    x, y = one.astype(np.float64), two.astype(np.float64)
    mean_x, mean_y = _blur(x), _blur(y)
    variance_x, variance_y = _blur(x * x) - mean_x**2, _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    values = ((2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)) / (
        (mean_x**2 + mean_y**2 + _C1) * (variance_x + variance_y + _C2)
    )
    counted = _is_drawn(one) | _is_drawn(two)
    return float(values.mean(2)[counted].mean()) if counted.any() else float(values.mean())


def _blur(picture: F64) -> F64:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), _SIGMA_PX), np.float64)


def _is_drawn(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return where a picture differs from its row's left border: the ground changes from row to row only."""
    off = np.abs(picture.astype(np.int16) - picture[:, :1].astype(np.int16)).max(2) > 2
    return np.asarray(cv2.dilate(off.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0)
