"""Repair of a net's mask where the classical mask knows better: holes of the product and openings through it.

A net of 320 px loses enclosed parts, e.g. glass or a white label, and fills what a cord or a chair's arms
enclose. On 63 real photos both rules took nothing from a usable cut-out (docs/lab/cutouts.md).
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.imaging.plane_arithmetic import largest_difference
from worker.imaging.see_through import fitted_surface
from worker.imaging.segmentation import disc_kernel

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
Mask = NDArray[np.bool_]

CLEARANCE_PX = 4  # at working size, around both masks: the background beyond it is measured
MIN_HOLE_SHARE = 0.002  # of the product's area; smaller holes do not matter
MIN_FILLED_SHARE = 0.95  # of a hole that the classical mask fills
MIN_SEEN = 0.4  # mean of the net's looks at a hole, from which it may be product: glass, a highlight
MAX_PLAIN_NOISE = 2.0  # Lab units: 90 % of a plain background deviate less from its median
MIN_CLEAR_DEVIATION = 8.0  # Lab units: nine tenths of a hole deviate more, so it is no background
MIN_CONFIDENCE = 0.97  # of the classical mask that may open the net's
MAX_BUSY_SHARE = 0.1  # of the border, for openings
MIN_OPENING_SHARE = 0.004  # of the product's area
MAX_OPENING_DEVIATION = 1.5  # Lab units, median: the opening has the background's colour
MIN_RIM_DEVIATION = (
    40.0  # Lab units: nine tenths of an opening's rim deviate more; white parts have pale rims
)
MIN_SEEN_RIM_DEVIATION = 12.0  # Lab units: enough where the net's closest look sees the opening,
MAX_SEEN = 0.1  # its mean being less than this,
MAX_GREY = 240  # of 255: or where the background is not white, since a label is seldom of its colour
FAINT, HALF, NEARLY_SOLID = 12, 127, 242  # of 255: bounds of an opacity that is neither nothing nor whole
MAX_UNDECIDED_SHARE = 0.15  # of the product's area: if a net is undecided about more, nothing is rounded
MIN_AGREED_SHARE = 0.95  # of an opening in a doubted mask: the classical mask leaves it open too
MIN_AGREED_OPENING = 0.002  # of the product's area
MAX_GROUND_NOISE = 3.0  # Lab units: 90 % of the ground deviate less from the fitted surface
MIN_CONFIRMED_SHARE = 0.5  # of the openings' area that the net's closest look does not see as product


def repair_mask(
    small: U8, mask: F32, *, own: F32, first: F32, second: F32, confidence: float, busy_share: float
) -> F32:
    """Return a net's mask with its product filled and its openings open.

    Args:
        small: The photo at working size, (h, w, 3).
        mask: The net's mask, (h, w), 0 to 1.
        own: The classical mask, 0 to 1.
        first: The net's first look.
        second: Its closest look.
        confidence: Of the classical mask.
        busy_share: Of the photo's border that is unlike a plain background.
    """
    around = ~_grown((mask > 0.5) | (own > 0.5), CLEARANCE_PX)
    if not around.any():
        return mask
    lab = cv2.cvtColor(small.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2Lab)
    lab = cv2.GaussianBlur(lab, (0, 0), 0.8)
    deviation = np.asarray(np.abs(lab - np.median(lab[around], 0)).max(2), np.float32)
    is_plain = bool(np.percentile(deviation[around], 90) < MAX_PLAIN_NOISE)
    seen = np.asarray((first + second) / 2, np.float32)
    mask = _fill_holes(mask, own, seen, deviation, is_plain=is_plain)
    if confidence < MIN_CONFIDENCE or busy_share >= MAX_BUSY_SHARE:
        return mask
    deviation = largest_difference(lab, fitted_surface(lab, around))
    is_grey = bool(np.median(small[around], 0).min() < MAX_GREY)
    return _open(mask, own, second, deviation, is_grey=is_grey)


def _fill_holes(mask: F32, own: F32, seen: F32, deviation: F32, *, is_plain: bool) -> F32:
    """Fill holes that the classical mask has not, if the net is undecided or the colour is clear."""
    product = mask > 0.5
    free = cv2.copyMakeBorder((~product).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(free, connectivity=4)
    outside, labels = labels[0, 0], labels[1:-1, 1:-1]
    filled = mask.copy()
    for label in np.flatnonzero(stats[:, cv2.CC_STAT_AREA] >= MIN_HOLE_SHARE * product.sum()):
        hole = (labels == label) & ~product
        if label == outside or not hole.any() or own[hole].mean() < MIN_FILLED_SHARE:
            continue
        is_clear = is_plain and np.percentile(deviation[hole], 10) >= MIN_CLEAR_DEVIATION
        if is_clear or seen[hole].mean() >= MIN_SEEN:
            filled[_grown(hole, 2)] = 1
    return filled


def _open(mask: F32, own: F32, second: F32, deviation: F32, *, is_grey: bool) -> F32:
    """Open what the classical mask leaves open, where its rim is clear and the net confirms most of it."""
    product, mine = mask > 0.5, own > 0.5
    extra = cv2.morphologyEx((product & ~mine).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(extra, connectivity=4)
    stats[0, cv2.CC_STAT_AREA] = 0
    openings, likely, confirmed = np.zeros_like(product), np.zeros_like(product), 0
    for label in np.flatnonzero(stats[:, cv2.CC_STAT_AREA] >= MIN_OPENING_SHARE * product.sum()):
        opening = labels == label
        rim = _grown(opening, 3) & ~opening & product & mine
        if not rim.any() or np.median(deviation[opening]) > MAX_OPENING_DEVIATION:
            continue
        contrast, seen = np.percentile(deviation[rim], 10), second[opening].mean()
        if contrast >= MIN_SEEN_RIM_DEVIATION and (is_grey or seen < MAX_SEEN):
            openings |= opening
        if contrast >= MIN_RIM_DEVIATION:
            likely |= opening
            confirmed += int(opening.sum()) * bool(seen < 0.5)
    if confirmed >= MIN_CONFIRMED_SHARE * likely.sum():
        openings |= likely
    if not openings.any():
        return mask
    return np.where(_grown(openings, 3), np.minimum(mask, own), mask).astype(np.float32)


def open_agreed(small: U8, mask: F32, own: F32) -> F32:
    """Return a doubted mask, open where the fitted background shows and the classical mask is open too.

    Only for masks that are doubted: white labels and screens in good ones look like openings. On 63 real
    photos all of 4 (half A, on which the probability was chosen) and 6 (half B) were openings.

    Args:
        small: The photo at working size, (h, w, 3).
        mask: The mask, (h, w), 0 to 1.
        own: The classical mask, 0 to 1.
    """
    product, mine = mask > 0.5, own > 0.5
    around = ~_grown(product | mine, CLEARANCE_PX)
    if not around.any():
        return mask
    lab = cv2.cvtColor(small.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2Lab)
    lab = cv2.GaussianBlur(lab, (0, 0), 0.8)
    deviation = np.abs(lab - fitted_surface(lab, around)).max(2)
    noise = float(np.percentile(deviation[around], 90))
    if noise > MAX_GROUND_NOISE:
        return mask
    alike = ((deviation < max(MAX_OPENING_DEVIATION, 2 * noise)) & product).astype(np.uint8)
    alike = cv2.morphologyEx(alike, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(alike, connectivity=4)
    area = np.maximum(1, stats[:, cv2.CC_STAT_AREA])
    agreed = np.bincount(labels.ravel(), (~mine).ravel(), count) / area
    opens = (agreed >= MIN_AGREED_SHARE) & (area >= MIN_AGREED_OPENING * product.sum())
    opens[0] = False
    if not opens.any():
        return mask
    return np.where(_grown(opens[labels], 3), np.minimum(mask, own), mask).astype(np.float32)


def settle_opacity(alpha: U8, radius: int) -> U8:
    """Return an opacity without ghosts and stains: where it is in between over a wide area, it is rounded.

    A net that is undecided leaves half of a shadow in the picture, or lets the ground show through a product.

    Args:
        alpha: (h, w).
        radius: Half of the width of a soft edge, in pixels; what is wider is none.
    """
    settled, wide = alpha.copy(), np.zeros(alpha.shape, bool)
    core, reach = disc_kernel(radius), disc_kernel(radius + radius // 2 + 1)
    for low, high, value in ((FAINT, HALF, 0), (HALF, NEARLY_SOLID, 255)):
        between = cv2.inRange(alpha, low + 1, high)
        area = (cv2.dilate(cv2.erode(between, core), reach) > 0) & (between > 0)
        settled[area] = value
        wide |= area
    if wide.sum() > MAX_UNDECIDED_SHARE * np.count_nonzero(alpha > HALF):
        return alpha
    if wide.any():
        settled[wide] = cv2.GaussianBlur(settled, (0, 0), 1.0)[wide]
    return settled


def _grown(mask: Mask, radius: int) -> Mask:
    side = 2 * radius + 1
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8)) > 0)
