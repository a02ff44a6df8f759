"""How many things a photo shows, and at which sides the frame cuts the product."""

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.imaging.cutout import TOUCH_SHARE, Cutout
from worker.imaging.decode import Photo

U8 = NDArray[np.uint8]
I16 = NDArray[np.int16]

COMPONENTS_PX = 256  # about the shorter side at which things are counted
MIN_OBJECT_SHARE = 0.15  # of the largest thing: a second product, not dirt
MIN_SMALL_SHARE, MIN_SMALL_PARTS = 0.05, 4  # so many parts of this share are a set
BORDER_PX = 2  # at that size: the background's colour is measured there
PLAIN_LEVELS, MIN_PLAIN_SHARE = 20, 0.9  # of 255; of the border that deviates less
CLEAR_LEVELS = 50  # of 255, from the background: things beside the product; shadows are lighter
CLEARANCE_PX = 3  # around the product, at that size: what comes nearer is joined to it
BACKGROUND_LEVELS = 6  # of 255: a rim of the mask that is so near to the background is background


def count_objects(photo: Photo, cutout: Cutout) -> int:
    """Return the number of things: large parts of the cut-out, and things beside it on a plain background."""
    # an integer, with which OpenCV's reduction takes a fifth of the time
    step = max(1, min(cutout.alpha.shape) // COMPONENTS_PX)
    height, width = (n // step for n in cutout.alpha.shape)
    size = (width, height)
    small = cv2.resize(cutout.alpha[: height * step, : width * step], size, interpolation=cv2.INTER_AREA)
    product = (small > 100).astype(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(product, connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    if not len(areas):
        return 0
    large = int((areas >= MIN_OBJECT_SHARE * areas.max()).sum())
    parts = int((areas >= MIN_SMALL_SHARE * areas.max()).sum())
    found = max(large, parts if parts >= MIN_SMALL_PARTS else 0)
    if photo.alpha is not None:
        return found
    rgb = cv2.resize(photo.rgb[: height * step, : width * step], size, interpolation=cv2.INTER_AREA)
    return found + _beside(rgb, product)


def _beside(rgb: U8, product: U8) -> int:
    """Return the number of large, clear things on a plain background that are not joined to the product."""
    border = _border(rgb, BORDER_PX).astype(np.int16)
    colour = np.median(border, 0)
    if (np.abs(border - colour).max(1) < PLAIN_LEVELS).mean() < MIN_PLAIN_SHARE:
        return 0
    low, high = np.ceil(colour - CLEAR_LEVELS), np.floor(colour + CLEAR_LEVELS)
    clear = (cv2.inRange(rgb, np.maximum(low, 0), np.minimum(high, 255)) == 0).astype(np.uint8)
    near = cv2.dilate(product, np.ones((2 * CLEARANCE_PX + 1, 2 * CLEARANCE_PX + 1), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(clear, connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    areas[np.unique(labels[(near > 0) & (clear > 0)])] = 0
    return int((areas >= MIN_OBJECT_SHARE * product.sum()).sum())


def cropped_sides(photo: Photo, cutout: Cutout) -> tuple[str, ...]:
    """Return the sides of the frame that cut the product.

    A strip of the background between product and frame, which a cut-out may hold, is no product.
    """
    if photo.alpha is not None or not cutout.touched_sides:
        return cutout.touched_sides
    outside = _border(cutout.alpha[..., None], 1)[:, 0] < 128
    if not outside.any():
        return cutout.touched_sides
    colour = np.median(_border(photo.rgb, 1)[outside].astype(np.int16), 0)
    cropped = []
    for side in cutout.touched_sides:
        rim = _rim(cutout.alpha, side) > 127
        differs = np.abs(_rim(photo.rgb, side).astype(np.int16) - colour).max(1) > BACKGROUND_LEVELS
        if (rim & differs).mean() > TOUCH_SHARE:
            cropped.append(side)
    return tuple(cropped)


def _rim(picture: U8, side: str) -> U8:
    """Return the pixels along one side of the frame."""
    if side in ("left", "right"):
        return picture[:, 0 if side == "left" else -1]
    return picture[0 if side == "top" else -1]


def _border(picture: U8, depth: int) -> U8:
    """Return the pixels along the frame, (n, channels)."""
    lines = (picture[:depth], picture[-depth:], picture[:, :depth], picture[:, -depth:])
    return np.concatenate([line.reshape(-1, picture.shape[2]) for line in lines])
