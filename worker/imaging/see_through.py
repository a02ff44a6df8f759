"""Openings of a product that a net fills: through a handle or a shelf the plain background shows.

A smooth surface is fitted to the background around the product. Where the photo within the outline is that
surface, in colour and in smoothness, it is an opening.
"""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.imaging.cutout import Cutout

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]

WORKING_PX = 512  # longer side of the picture that openings are sought in
CLEARANCE_PX = 6  # at working size, around the product: the background beyond it is fitted
MAX_BACKGROUND_STEP = 3.5  # of 255: a background that the surface fits worse is not plain
FACTOR = 2.5  # of the background's own deviation, up to which a colour is the background's
CLEAR_FACTOR = 5.0  # of that deviation, by which the product around an opening differs
MIN_CLEAR_SHARE = 0.7  # of the ring around an opening
LEAST_DEVIATION = 1.2  # of 255
MIN_OPENING_SHARE = 0.004  # of the product's area; smaller places can be highlights
MAX_OPENED_SHARE = 0.7  # of the product's area; more means a product of the background's colour
FIT_STRIDE = 3  # every so many pixels are fitted


def open_see_through(rgb: U8, found: Cutout) -> Cutout:
    """Return the cut-out without the places through which the plain background shows."""
    height, width = rgb.shape[:2]
    scale = min(1.0, WORKING_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    product = cv2.resize(found.alpha, size, interpolation=cv2.INTER_AREA) > 127
    openings = _openings(small, product)
    if openings is None:
        return found
    soft = cv2.resize(
        cv2.GaussianBlur(openings, (0, 0), 0.8), (width, height), interpolation=cv2.INTER_LINEAR
    )
    alpha = np.minimum(found.alpha, np.rint((1 - soft) * 255)).astype(np.uint8)
    return replace(found, alpha=alpha)


def _openings(small: F32, product: Mask) -> F32 | None:
    """Return where the background shows through the product, (h, w), 0 or 1; None if nowhere."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * CLEARANCE_PX + 1, 2 * CLEARANCE_PX + 1))
    around = cv2.dilate(product.astype(np.uint8), kernel) == 0
    if around.mean() < 0.1:
        return None
    smooth = cv2.GaussianBlur(small, (0, 0), 1.0)
    difference = np.abs(smooth - fitted_surface(smooth, around))
    deviation = np.maximum(np.median(difference[around], 0) * 1.5, LEAST_DEVIATION)
    if deviation.max() > MAX_BACKGROUND_STEP:
        return None
    alike = ((difference < FACTOR * deviation).all(2) & product).astype(np.uint8)
    alike = cv2.morphologyEx(alike, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(alike, connectivity=4)
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    large = areas > MIN_OPENING_SHARE * product.sum()
    for label in np.flatnonzero(large):
        large[label] = _has_clear_rim(labels == label, difference / deviation, product)
    if not large.any() or areas[large].sum() > MAX_OPENED_SHARE * product.sum():
        return None
    return cv2.dilate(large[labels].astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)


def _has_clear_rim(opening: Mask, deviations: F32, product: Mask) -> bool:
    """Return whether the product around an opening differs clearly; the shade of a body does not."""
    ring = (cv2.dilate(opening.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0) & product
    ring &= cv2.dilate(opening.astype(np.uint8), np.ones((5, 5), np.uint8)) == 0
    return bool(ring.any() and (deviations[ring].max(1) > CLEAR_FACTOR).mean() > MIN_CLEAR_SHARE)


def fitted_surface(picture: F32, around: Mask) -> F32:
    """Return a surface of third degree fitted to the picture's pixels around the product."""
    height, width = around.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    terms = np.stack([x**i * y**j for i in range(4) for j in range(4 - i)], -1)
    known = around.copy()
    known[np.arange(height) % FIT_STRIDE > 0] = False
    known[:, np.arange(width) % FIT_STRIDE > 0] = False
    for _ in range(2):
        fitted = np.linalg.lstsq(terms[known], picture[known], rcond=None)[0]
        surface = terms @ fitted
        error = np.abs(picture - surface).max(2)
        known &= error < 3 * np.median(error[known]) + 0.5  # a shadow on the floor is left out
    return np.asarray(surface, np.float32)
