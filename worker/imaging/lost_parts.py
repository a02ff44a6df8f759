"""Parts of a product that a net lost on a plain background: joined to the product, clear, with a sharp edge.

A net of 320 px loses cables that lie away from their product, and parts that the frame cuts. What differs
from the background's surface beside the mask is such a part, a shadow, or a hand that holds the product. The
edge of a shadow is blurred by the size of the light, that of a part only by the lens; a hand has the colours
of skin. On 30 real photos (half A) lost parts have a sharpness of .24 to .35, shadows and mirror images up to
.12.
"""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.imaging.cutout import (
    Cutout,
    checked_cutout,
    extend_colours,
    local_background,
    remove_background_colour,
)
from worker.imaging.guided_filter import guide_mask
from worker.imaging.person import skin_mask
from worker.imaging.plane_arithmetic import largest_difference
from worker.imaging.see_through import fitted_surface

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]

WORKING_PX = 512  # longer side
CLEARANCE_PX = 12  # at working size, around the product: the background beyond it is fitted
MIN_BACKGROUND_SHARE = 0.05  # of the picture
PLAIN_LEVELS, MIN_PLAIN_SHARE = 10, 0.6  # of 255; of the background that deviates less from the surface
CLEAR_LEVELS = 60  # of 255, from the surface
JOINED_PX = 4  # at working size: what is so near to the product is joined to it
MIN_PART_SHARE = 0.005  # of the product's area
# Of a smaller part that is long and sharp, e.g. a leg: its area, the diagonal of its box to the product's
# longer side, and its sharpness.
MIN_LONG_PART_SHARE, MIN_LONG_PART, MIN_LONG_SHARPNESS = 0.001, 0.06, 0.3
MIN_SHARPNESS = 0.18  # slope along the edge, a pixel, over the part's mean deviation
SHARPNESS_PERCENTILE = 30  # seven tenths of the edge are sharper
MIN_EDGE_PX = 8
MAX_SKIN_SHARE = 0.3  # of the part, unless it is thin: wooden legs have the colours of skin too
THIN_SHARE = 0.025  # of the product's longer side: half the width of a thin part
EDGE_RADIUS = 1.5 / 320  # of the longer side: how far the guided filter moves the part's edge
_SQUARE = np.ones((3, 3), np.uint8)


def restore_lost_parts(rgb: U8, found: Cutout) -> Cutout:
    """Return the cut-out with the parts that it lost, or the one found where there are none."""
    height, width = rgb.shape[:2]
    scale = min(1.0, WORKING_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    product = cv2.resize(found.alpha, size, interpolation=cv2.INTER_AREA) > 127
    parts = _lost_parts(small, product)
    if parts is None:
        return found
    alpha = np.maximum(found.alpha, _full_size(rgb, parts))
    whole = (cv2.resize(alpha, size, interpolation=cv2.INTER_AREA) > 25).astype(np.uint8)
    behind = extend_colours(small, whole == 0).astype(np.float32) / np.float32(255)
    background = cv2.resize(local_background(small, whole, behind), (width, height))
    colours = remove_background_colour(rgb, alpha, np.asarray(background, np.uint8))
    restored = checked_cutout(colours, alpha, found.confidence, found.busy_share, "")
    return replace(restored, net=found.net, doubts=found.doubts)


def _lost_parts(small: U8, product: Mask) -> Mask | None:
    """Return the lost parts at working size; None if there are none."""
    away = ~_grown(product, CLEARANCE_PX)
    if away.mean() < MIN_BACKGROUND_SHARE:
        return None
    smooth = cv2.GaussianBlur(small, (0, 0), 1).astype(np.float32)
    deviation = largest_difference(smooth, fitted_surface(smooth, away))
    if (deviation[away] < PLAIN_LEVELS).mean() < MIN_PLAIN_SHARE:
        return None
    clear = cv2.morphologyEx(
        ((deviation > CLEAR_LEVELS) & ~product).astype(np.uint8), cv2.MORPH_OPEN, _SQUARE
    )
    _, labels, stats, _ = cv2.connectedComponentsWithStats(clear, connectivity=8)
    stats[0, cv2.CC_STAT_AREA] = 0
    across, down = cv2.boundingRect(product.astype(np.uint8))[2:]
    large = stats[:, cv2.CC_STAT_AREA] >= MIN_PART_SHARE * product.sum()
    long = np.hypot(*stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].T) >= MIN_LONG_PART * max(across, down)
    long &= stats[:, cv2.CC_STAT_AREA] >= max(1, MIN_LONG_PART_SHARE * product.sum())
    near, skin, lost = _grown(product, JOINED_PX), skin_mask(small), np.zeros_like(product)
    thin_px = THIN_SHARE * max(across, down)
    for label in np.flatnonzero(large | long):
        part = labels == label
        least = MIN_SHARPNESS if large[label] else MIN_LONG_SHARPNESS
        is_hand = skin[part].mean() >= MAX_SKIN_SHARE and _half_width(part) > thin_px
        if (part & near).any() and not is_hand and _sharpness(deviation, part, near) >= least:
            lost |= part
    return lost if lost.any() else None


def _half_width(part: Mask) -> float:
    """Return half of the usual width of a part, in pixels: its area over the length of its outline."""
    outlines, _ = cv2.findContours(part.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return float(part.sum() / max(1.0, sum(cv2.arcLength(line, closed=True) for line in outlines)))


def _sharpness(deviation: F32, part: Mask, near: Mask) -> float:
    """Return the slope along a part's edge to the background, over the part's mean deviation from it."""
    inner = cv2.erode(part.astype(np.uint8), _SQUARE, borderType=cv2.BORDER_CONSTANT, borderValue=1)
    edge = part & (inner == 0) & ~near
    if edge.sum() < MIN_EDGE_PX:
        return 0.0
    across, down = (cv2.Sobel(deviation, cv2.CV_32F, *order) / 8 for order in ((1, 0), (0, 1)))
    slope = cv2.dilate(cv2.magnitude(across, down), _SQUARE)
    return float(np.percentile(slope[edge], SHARPNESS_PERCENTILE) / max(1.0, float(deviation[part].mean())))


def _full_size(rgb: U8, parts: Mask) -> U8:
    """Return the opacity of the parts at the photo's size, their edges moved to those of the photo."""
    height, width = rgb.shape[:2]
    coarse = cv2.resize(_grown(parts, 1).astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    radius = max(2, round(EDGE_RADIUS * max(width, height)))
    left, top, across, down = cv2.boundingRect((coarse > 0).astype(np.uint8))
    rows = slice(max(0, top - 2 * radius), top + down + 2 * radius)
    columns = slice(max(0, left - 2 * radius), left + across + 2 * radius)
    alpha = np.zeros((height, width), np.uint8)
    led = guide_mask(
        np.ascontiguousarray(rgb[rows, columns]), np.ascontiguousarray(coarse[rows, columns]), radius
    )
    alpha[rows, columns] = led * 255 + 0.5
    return alpha


def _grown(mask: Mask, radius: int) -> Mask:
    side = 2 * radius + 1
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8)) > 0)
