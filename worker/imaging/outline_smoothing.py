"""Smooth outlines where the photo shows no edge: white on white, where a net's outline frays.

Where product and background have nearly one colour, the guided filter has nothing to follow, and the outline
follows the grain. There it becomes a smooth line; where the photo has an edge, it stays. It is for pictures:
models are made from the outline as it was found, since a tip that is rounded by two pixels moves their size.
"""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.imaging.cutout import Cutout
from worker.imaging.decode import Photo

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

SIDE_PX = 1024  # longer side at which lengths are meant, and beyond which slopes are not measured
SIGMA_PX = 5.0  # of the smoothing
MIN_SLOPE = 3.0  # Lab units a pixel: an edge that the outline can follow
NO_EDGE_SHARE, EDGE_SHARE = 0.4, 0.75  # of the outline nearby that has an edge: smoothed in full, not at all
SOFTNESS = 12.0  # how much steeper than the blurred mask the new outline is


def with_smooth_outline(photo: Photo, found: Cutout) -> Cutout:
    """Return a cut-out with a smooth outline where a net's frayed.

    Colours need no change: outlines are smoothed only where product and background are alike.
    """
    if not found.may_fray:
        return found
    return replace(found, alpha=smooth_unclear_outline(photo.rgb, found.alpha))


def smooth_unclear_outline(rgb: U8, alpha: U8) -> U8:
    """Return a mask whose outline is smooth where the photo shows no edge.

    Args:
        rgb: The photo, (h, w, 3).
        alpha: The mask, (h, w), 0 to 255.
    """
    left, top, across, down = cv2.boundingRect((alpha > 0).astype(np.uint8))
    if not across:
        return alpha
    scale = max(alpha.shape) / SIDE_PX
    margin = int(4 * SIGMA_PX * max(scale, 1))
    rows = slice(max(0, top - margin), top + down + margin)
    columns = slice(max(0, left - margin), left + across + margin)
    part = alpha[rows, columns].astype(np.float32) / np.float32(255)
    weight = _smoothed_share(np.ascontiguousarray(rgb[rows, columns]), part, scale)
    blurred = cv2.GaussianBlur(part, (0, 0), SIGMA_PX * scale)
    smooth = np.clip((blurred - 0.5) * np.float32(SOFTNESS) + 0.5, 0, 1)
    out = alpha.copy()
    out[rows, columns] = np.rint((part + (smooth - part) * weight) * 255)
    return out


def _smoothed_share(rgb: U8, mask: F32, scale: float) -> F32:
    """Return how much the outline is smoothed at each place, 0 to 1, (h, w).

    Args:
        rgb: The photo, (h, w, 3).
        mask: The mask, 0 to 1.
        scale: Pixels to one at `SIDE_PX`.
    """
    size = (mask.shape[1], mask.shape[0])
    if scale > 1:
        reduced = (max(1, round(size[0] / scale)), max(1, round(size[1] / scale)))
        rgb = cv2.resize(rgb, reduced, interpolation=cv2.INTER_AREA)
        mask = cv2.resize(mask, reduced, interpolation=cv2.INTER_AREA)
    sigma = SIGMA_PX * min(scale, 1) * 1.5
    inside = (mask > 0.5).astype(np.uint8)
    outline = inside - cv2.erode(inside, np.ones((3, 3), np.uint8))
    has_edge = cv2.dilate(_slope(rgb), np.ones((3, 3), np.uint8)) > MIN_SLOPE
    near = cv2.GaussianBlur(outline.astype(np.float32), (0, 0), sigma)
    near_edges = cv2.GaussianBlur((outline * has_edge).astype(np.float32), (0, 0), sigma)
    share = np.where(near > 1e-6, near_edges / np.maximum(near, 1e-6), 1)
    weight = np.clip((EDGE_SHARE - share) / (EDGE_SHARE - NO_EDGE_SHARE), 0, 1).astype(np.float32)
    return np.asarray(cv2.resize(weight, size) if scale > 1 else weight, np.float32)


def _slope(rgb: U8) -> F32:
    """Return the slope of the colours, Lab units a pixel, (h, w)."""
    lab = cv2.cvtColor(rgb.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2LAB)
    lab = cv2.GaussianBlur(lab, (0, 0), 1.0)
    across, down = (cv2.Sobel(lab, cv2.CV_32F, *axes, scale=1 / 8) for axes in ((1, 0), (0, 1)))
    return np.asarray(np.sqrt((across**2 + down**2).sum(2)), np.float32)
