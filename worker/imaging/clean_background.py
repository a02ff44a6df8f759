"""Cut-out on a background of one exact colour, as after retouching: everything else is the product.

There a comparison of colours finds rods, wires and slats that a net loses. Shadows, compression noise and
products of the background's colour show as an outline without a clear step; then this file has no answer.
"""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.imaging.cutout import Cutout, checked_cutout, remove_background_colour

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]

BORDER_PX = 3  # along the frame, that shows the background
MAX_BORDER_STEP = 2  # of 255: the border has one colour
MIN_BORDER_SHARE = 0.995  # of the border
THRESHOLDS = (2, 6, 12)  # of 255: more differs from the background; the higher ones are for compressed photos
CLEAR_STEP = 6  # of 255, above the threshold, two pixels inside the outline
MAX_SOFT_SHARE = 0.08  # of the outline without a clear step
MIN_PART_SHARE = 0.0005  # of the largest part; smaller ones are specks
MIN_OVERLAP = 0.7  # with the cut-out found otherwise; less means that something stands beside the product
MAX_REMOVED = 0.02  # of the cut-out found otherwise; more is white that stood on white
_SQUARE = np.ones((3, 3), np.uint8)


def refine_on_clean_background(rgb: U8, found: Cutout) -> Cutout:
    """Return the cut-out by exact colours where the background has one colour, else the one found.

    It may add what the other one lost, and hardly remove anything. The confidence stays: it is of the net,
    and nothing measured says that this outline is surer.
    """
    alpha = clean_alpha(rgb)
    if alpha is None or found.frame is not None:
        return found
    mine, other = alpha > 127, found.alpha > 127
    shared = (mine & other).sum()
    if shared < MIN_OVERLAP * mine.sum() or shared < (1 - MAX_REMOVED) * other.sum():
        return found
    background = np.full_like(rgb, np.median(_border(rgb), 0).astype(np.uint8))
    colours = remove_background_colour(rgb, alpha, background)
    refined = checked_cutout(colours, alpha, found.confidence, found.busy_share, "")
    return replace(refined, net=found.net, doubts=found.doubts)


def clean_alpha(rgb: U8) -> U8 | None:
    """Return the opacity (h, w) of what differs from a background of one colour; None where it is unclear."""
    border = _border(rgb).astype(np.int16)
    colour = np.median(border, 0)
    if (np.abs(border - colour).max(1) <= MAX_BORDER_STEP).mean() < MIN_BORDER_SHARE:
        return None
    difference = np.abs(rgb - colour.astype(np.int16)).max(2).astype(np.uint8)
    for threshold in THRESHOLDS:
        mask = _without_specks((difference > threshold).astype(np.uint8))
        if mask.any() and _soft_share(difference, mask, threshold) <= MAX_SOFT_SHARE:
            return _opacity(difference, mask)
    return None


def _border(rgb: U8) -> U8:
    lines = (rgb[:BORDER_PX], rgb[-BORDER_PX:], rgb[:, :BORDER_PX], rgb[:, -BORDER_PX:])
    return np.concatenate([line.reshape(-1, 3) for line in lines])


def _without_specks(mask: U8) -> U8:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count < 2:
        return mask
    areas = stats[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    return np.asarray((areas > MIN_PART_SHARE * areas.max())[labels], np.uint8)


def _soft_share(difference: U8, mask: U8, threshold: int) -> float:
    """Return the share of the outline, two pixels inside, that hardly differs from the background."""
    inner = cv2.erode(mask, _SQUARE, iterations=2)
    rim = (inner > 0) & (cv2.erode(inner, _SQUARE) == 0)
    return float((difference[rim] < threshold + CLEAR_STEP).mean()) if rim.any() else 0.0


def _opacity(difference: U8, mask: U8) -> U8:
    """Return 255 inside; on the outermost pixel the share of the colour step behind it."""
    step = np.maximum(cv2.dilate(difference, np.ones((5, 5), np.uint8)), 1).astype(np.float32)
    rim = (mask > 0) & (cv2.erode(mask, _SQUARE) == 0)
    share = np.where(rim, np.minimum(1, difference / step), mask)
    return np.asarray(np.rint(share * 255), np.uint8)
