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
DEGREE = 3  # of the fitted surface
TERMS = [(i, j) for i in range(DEGREE + 1) for j in range(DEGREE + 1 - i)]  # powers of column and row


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
    """Return a surface of third degree fitted to the picture's pixels around the product.

    Args:
        picture: (h, w, 3).
        around: (h, w), the pixels to fit. What differs much from the first fit, as a shadow on the floor
            does, has no part in the second.
    """
    by_row, by_column = (_powers(length) for length in around.shape)
    stride = FIT_STRIDE if around[::FIT_STRIDE, ::FIT_STRIDE].any() else 1
    rows, columns = (at * stride for at in np.nonzero(around[::stride, ::stride]))
    terms = np.stack([by_column[columns, i] * by_row[rows, j] for i, j in TERMS], 1)
    colours = picture[rows, columns]
    first = _least_squares(terms, colours)
    error = np.abs(colours - terms @ first).max(1)
    is_close = error < 3 * np.median(error) + 0.5
    fitted = _least_squares(terms[is_close], colours[is_close])
    factors = np.zeros((DEGREE + 1, DEGREE + 1, colours.shape[1]), np.float32)  # of row, column, colour
    for (i, j), factor in zip(TERMS, fitted, strict=True):
        factors[j, i] = factor
    # row by column: the terms at each pixel took ten times as long
    planes = [by_row @ factors[..., c] @ by_column.T for c in range(colours.shape[1])]
    return np.asarray(cv2.merge(planes), np.float32)


def _powers(length: int) -> F32:
    """Return the powers of the positions -1 to 1 along a side of the picture, (length, DEGREE + 1)."""
    return np.asarray(np.vander(np.linspace(-1, 1, length, dtype=np.float32), DEGREE + 1, True), np.float32)


def _least_squares(terms: F32, values: F32) -> F32:
    """Return the factors of the terms by the normal equations: the terms are few, the pixels many.

    Numpy's own least squares of all pixels takes ten times as long.
    """
    exact = terms.astype(np.float64)
    return np.asarray(np.linalg.lstsq(exact.T @ exact, exact.T @ values, rcond=None)[0], np.float32)
