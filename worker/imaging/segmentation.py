"""Segmentation of a product photo: which pixels are the product, and how confident the result is.

Method, at 512 px in Lab. A polynomial surface is fitted to the picture's border, then twice more, of fourth
order, to all that the background reaches from there. The deviation of each pixel from the surface (brighter,
darker, or of another chroma) is measured in units of the background's own variation. A pixel that is brighter
or of another chroma is product. A pixel that is alike and reached from the frame is background. A pixel that
is darker but of the same chroma is a shadow or a grey product. Sharpness separates these: the lens draws
every edge of the product about equally sharp, while a shadow's edge is blurred by the size of the light. The
background grows from the frame through shadows, but not across sharp edges, and with a radius, so that it
does not pass through narrow gaps.

Known weaknesses: grey products on grey whose shading looks like a shadow, and holes between many thin legs.
docs/lab/cutouts.md lists the attempts with their figures, the rejected ones too.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.imaging.background import Background, Mask, border_mask, fit_background
from worker.imaging.plane_arithmetic import gaussian_blur

F32 = NDArray[np.float32]
Planes = tuple[F32, F32, F32]  # lightness, a and b
U8 = NDArray[np.uint8]

# Deviation from the surface, in Lab units of lightness and of chroma, up to which a pixel may be background:
FIRST_TOLERANCE = (3.2, 3.0)  # while the surface is fitted to the border alone
FINAL_TOLERANCE = (0.7, 1.2)  # once the surface is known
SMEARED_CHROMA_TOLERANCE = 3.0  # where the photo was not reduced enough to remove chroma subsampling
MIN_EDGE_SLOPE = 0.65  # Lab units a pixel: studio gradients are less steep, outlines steeper
SMOOTH_SIGMA_PX = 3.5  # what remains after a blur of this width has no sharp edge
GAP_RADIUS_PX = 2  # the background does not pass gaps of less than twice this
SMOOTHING_PX = 7  # the outline is smoothed over this length where it is not clear
GROWTH_PX = 7  # how far the background grows at the end, where it needs no radius
STRONG_DEVIATION = 2.5  # a larger one spreads to its neighbourhood, by the codec's blocks
MAX_SHADOW_DEPTH = 0.4  # of (L + 16): what is darker is no shadow
SHADOW_SHARPNESS = 0.9  # factor on the slope in shaded pixels
SHADOW_TOP = (
    0.3  # of the product's height, from its top: shadows are below, unless the outline is clearer without
)
MIN_CONFIDENCE_GAIN = 0.08  # by which the outline must be clearer without that limit
LOW_SHARE = 0.7  # of the product's height: shadows are below
MAX_HIGH_SHADE, DOUBT_FACTOR = (
    0.1,
    3.0,
)  # of the product's area: more shade above LOW_SHARE lowers the confidence
MIN_HOLE_SHARE = 0.0006  # of the picture's area; a fifth of it for a hole just like the background
HOLE_DEVIATION, SAME_DEVIATION = 0.7, 0.25  # mean deviation of a hole, and of one just like the background
MIN_PART_SHARE = 0.004  # of the largest part's area: smaller parts are dirt
MIN_STRAY_SHARE = (
    0.10  # the same for faint parts and parts at the frame: a dark corner, or an object beside the product
)
_SQUARE, _CROSS = (cv2.getStructuringElement(form, (3, 3)) for form in (cv2.MORPH_RECT, cv2.MORPH_CROSS))


def segment(lab: F32, reduction: float) -> tuple[U8, float, Background]:
    """Separate the product from the background.

    Args:
        lab: The picture, (h, w, 3), Lab.
        reduction: How many pixels of the photo's side make one of these; codecs smear colour over two.

    Returns:
        The mask, (h, w), 0 or 1; the confidence in it, 0 to 1; and the background.
    """
    border = border_mask(lab.shape)
    smooth = cv2.GaussianBlur(lab, (0, 0), 0.8)
    edges = _relative_slope(colour_slope(cv2.GaussianBlur(lab, (0, 0), 1.2)), border)
    background = fit_background(smooth, border, 2)
    known, difference = border, _lab_difference(smooth, background)
    bright, dark, chroma = _deviations(difference, background, *FIRST_TOLERANCE)
    for _ in range(2):
        reached = _reach_from_frame((np.maximum(bright, chroma) < 1) & (dark < 1), edges)
        inner = (cv2.erode(reached.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0) | (border & reached)
        if inner.mean() < 0.1:
            break
        known = inner
        background = fit_background(smooth, known, 4)
        difference = _lab_difference(smooth, background)
        bright, dark, chroma = _deviations(difference, background, *FINAL_TOLERANCE)
        chroma = _add_faint_chroma(
            difference,
            np.maximum(np.maximum(bright, dark), chroma),
            chroma * max(FINAL_TOLERANCE[1], 4 * background.noise[1]),
            known,
            SMEARED_CHROMA_TOLERANCE if reduction < 2 else FINAL_TOLERANCE[1],
        )
        if background.is_plain:
            break
    colour = np.maximum(bright, chroma)
    shadow_depth = 1 - (smooth[..., 0] + 16) / (background.surface[..., 0] + 16)
    sharp_edges = _relative_slope(_sharp_slope(lab), border)
    holes = _find_holes(bright, dark, chroma, edges)
    deviation = np.maximum(colour, dark)
    mask, confidence = np.zeros_like(known, np.uint8), -1.0
    for shadow_top in (SHADOW_TOP, 0.0):
        if confidence <= 1 - MIN_CONFIDENCE_GAIN:
            candidate = _remove_specks(
                _product_mask(colour, dark, shadow_depth, sharp_edges, holes, shadow_top), deviation
            )
            candidate_confidence = _outline_confidence(candidate, deviation, sharp_edges)
            if candidate_confidence > confidence + MIN_CONFIDENCE_GAIN:
                mask, confidence = candidate, candidate_confidence
    smoothed = _smooth_unclear_outline(mask, deviation, sharp_edges)
    return smoothed, max(0.0, confidence - _doubt(mask, deviation)), background


def _lab_difference(smooth: F32, background: Background) -> Planes:
    """Return the difference of each pixel from the background, as planes of lightness, a and b.

    A shadow scales a and b as it scales L + 16; that is no difference in a and b.
    """
    (light, *tints), (background_light, *background_tints) = cv2.split(smooth), cv2.split(background.surface)
    ratio = (light + 16) / (background_light + 16)
    a, b = (
        cv2.GaussianBlur(tint - background_tint * ratio, (0, 0), 1.0)
        for tint, background_tint in zip(tints, background_tints, strict=True)
    )
    return light - background_light, a, b


def _deviations(
    difference: Planes, background: Background, light_tolerance: float, chroma_tolerance: float
) -> tuple[F32, F32, F32]:
    """Return how much each pixel is brighter, darker and of another chroma, in units of the tolerance."""
    light_tolerance = max(light_tolerance, 4 * background.noise[0])
    chroma_tolerance = max(chroma_tolerance, 4 * background.noise[1])
    brighter = difference[0] / np.float32(light_tolerance)
    chroma = cv2.magnitude(*difference[1:]) / np.float32(chroma_tolerance)
    return np.maximum(brighter, 0), np.maximum(-brighter, 0), chroma


def _add_faint_chroma(
    difference: Planes, deviation: F32, chroma: F32, known: Mask, min_tolerance: float
) -> F32:
    """Return the deviation in chroma, with faint differences that extend over several pixels.

    A codec's single blocks do not extend so far.

    Args:
        difference: Planes of lightness, a and b.
        deviation: The largest deviation of each pixel.
        chroma: The difference in chroma, in Lab units.
        known: Which pixels are background.
        min_tolerance: In Lab units.
    """
    extended = cv2.magnitude(*(_median_9px(plane) for plane in difference[1:]))
    away = cv2.dilate((deviation > STRONG_DEVIATION).astype(np.uint8), disc_kernel(5)) == 0
    plain = extended[known & away]
    faint_tolerance = max(0.3, 1.6 * float(np.percentile(plain, 97)) if len(plain) else 0.0)
    tolerance = max(min_tolerance, float(np.percentile(chroma[known], 99)))
    return np.maximum(chroma / tolerance, np.where(away, extended / faint_tolerance, 0)).astype(np.float32)


def _median_9px(plane: F32) -> F32:
    """Return roughly the median over 9 x 9 pixels: 5 x 5 at half the size, at a twentieth of the cost."""
    half = cv2.resize(plane, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return cv2.resize(cv2.medianBlur(half, 5), plane.shape[::-1], interpolation=cv2.INTER_LINEAR)


def _product_mask(
    colour: F32, dark: F32, shadow_depth: F32, sharp_edges: F32, holes: Mask, shadow_top: float
) -> U8:
    """Return 1 where a pixel is product. Shadows lie below `shadow_top`, a share of the product's height."""
    certain = np.flatnonzero(((colour > 1.5) | (shadow_depth > 0.5)).sum(1) > 1)
    top, foot = (certain[0], certain[-1]) if len(certain) else (0, len(colour))
    relative_row = (np.arange(len(colour))[:, None] - top) / max(1, foot - top)
    low = relative_row > shadow_top if shadow_top else np.True_
    shade = (colour <= 1) & (dark > 1)
    passable = (colour <= 1) & (shadow_depth < MAX_SHADOW_DEPTH) & (~shade | low)
    edges = np.where(shade, sharp_edges * SHADOW_SHARPNESS, sharp_edges).astype(np.float32)
    return (~(_reach_from_frame(passable, edges) | holes)).astype(np.uint8)


def _find_holes(bright: F32, dark: F32, chroma: F32, edges: F32) -> Mask:
    """Return the regions that are, on average, just like the background."""
    like = np.maximum(np.maximum(bright, dark), chroma) <= 1
    candidates = like & (edges < 1)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(candidates.astype(np.uint8), connectivity=4)
    area = np.maximum(1, stats[:, cv2.CC_STAT_AREA])
    light = np.abs(np.bincount(labels.ravel(), (bright - dark).ravel(), count)) / area
    deviation = np.maximum(light, np.bincount(labels.ravel(), chroma.ravel(), count) / area)
    min_area = MIN_HOLE_SHARE * candidates.size
    is_hole = (deviation < HOLE_DEVIATION) & (
        area >= np.where(deviation < SAME_DEVIATION, 0.2 * min_area, min_area)
    )
    is_hole[0] = False
    return _grow(is_hole[labels], like)


def colour_slope(lab: F32) -> F32:
    """Return the gradient's magnitude over all channels, in Lab units a pixel."""
    squares = np.zeros(lab.shape[:2], np.float32)
    for plane in cv2.split(lab):
        for dx, dy in ((1, 0), (0, 1)):
            cv2.accumulateSquare(cv2.Sobel(plane, cv2.CV_32F, dx, dy, ksize=3, scale=1 / 8), squares)
    return np.sqrt(squares)


def _sharp_slope(lab: F32) -> F32:
    """Return the gradient of the fine detail alone: nothing of a soft shadow, nearly all of an outline."""
    fine = cv2.GaussianBlur(lab, (0, 0), 0.8)
    slope, detail = colour_slope(fine), colour_slope(fine - gaussian_blur(lab, SMOOTH_SIGMA_PX, 2))
    return np.asarray(detail * np.clip((detail / np.maximum(slope, 0.05) - 0.3) / 0.3, 0, 1), np.float32)


def _relative_slope(slope: F32, border: Mask) -> F32:
    """Return the slope in units of the border's grain and gradient; above 1 is an edge."""
    return np.asarray(slope / max(MIN_EDGE_SLOPE, 3 * float(np.percentile(slope[border], 75))), np.float32)


def _reach_from_frame(passable: Mask, edges: F32) -> Mask:
    """Return the pixels that the background reaches from the frame.

    It grows with a radius and never across an edge; at the end it grows a little more without these limits.
    """
    free = (passable & (edges < 1)).astype(np.uint8)
    eroded = cv2.erode(free, disc_kernel(GAP_RADIUS_PX), borderType=cv2.BORDER_CONSTANT, borderValue=1)
    reached = _connected_to_frame(eroded)
    return _grow(reached, passable) | reached


def _grow(start: Mask, passable: Mask) -> Mask:
    """Return `start` grown by GROWTH_PX through passable pixels."""
    for _ in range(GROWTH_PX):
        start = (cv2.dilate(start.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0) & passable
    return start


def disc_kernel(radius: int) -> U8:
    """Return a disc as structuring element, 2 radius + 1 pixels wide."""
    return np.asarray(
        cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)), np.uint8
    )


def within_distance(mask: Mask, radius: int) -> Mask:
    """Return the mask dilated by a radius in pixels.

    The shape is an octagon, which takes a third of the time of a distance transform.
    """
    dilated = mask.astype(np.uint8)
    for step in range(radius):
        dilated = cv2.dilate(dilated, _SQUARE if step % 5 in (1, 3) else _CROSS)
    return np.asarray(dilated > 0)


def _connected_to_frame(free: U8) -> Mask:
    """Return the part of `free` that is connected to the picture's frame."""
    padded = cv2.copyMakeBorder(free, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    _, labels = cv2.connectedComponents(padded, connectivity=4)
    return np.asarray((labels[1:-1, 1:-1] == labels[0, 0]) & (free > 0))


def _smooth_unclear_outline(mask: U8, deviation: F32, sharp_edges: F32) -> U8:
    """Return the mask with its outline smoothed where neither colour nor an edge locates it, but noise."""
    ring = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    clear_ring = ring & ((sharp_edges > 1) | (deviation > STRONG_DEVIATION))
    clear = cv2.dilate(clear_ring.astype(np.uint8), disc_kernel(SMOOTHING_PX)) > 0
    smooth = (gaussian_blur(mask.astype(np.float32), SMOOTHING_PX, 2) > 0.5).astype(np.uint8)
    return np.where(clear, mask, smooth).astype(np.uint8)


def _remove_specks(mask: U8, deviation: F32) -> U8:
    """Return the mask without small parts; faint parts and parts at the frame must be larger to stay."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if len(stats) <= 1:
        return mask
    area = stats[:, cv2.CC_STAT_AREA]
    left, top = stats[:, cv2.CC_STAT_LEFT], stats[:, cv2.CC_STAT_TOP]
    right, bottom = left + stats[:, cv2.CC_STAT_WIDTH], top + stats[:, cv2.CC_STAT_HEIGHT]
    at_frame = (left == 0) | (top == 0) | (right == mask.shape[1]) | (bottom == mask.shape[0])
    mean_deviation = np.bincount(labels.ravel(), deviation.ravel(), len(stats)) / np.maximum(1, area)
    is_faint = ~(mean_deviation > STRONG_DEVIATION)
    min_share = np.where(at_frame | is_faint, MIN_STRAY_SHARE, MIN_PART_SHARE)
    stays = area >= min_share * max(area[1:].max(), 12 / MIN_PART_SHARE)
    stays[0] = False
    return np.asarray(stays[labels], np.uint8)


def _doubt(mask: U8, deviation: F32) -> float:
    """Return the loss of confidence for shade within the outline that is too high for a shadow."""
    rows = np.flatnonzero(mask.any(1))
    if not len(rows):
        return 0.0
    inside = np.zeros_like(mask)
    ends = mask[rows].argmax(1), mask.shape[1] - 1 - mask[rows, ::-1].argmax(1)
    hull = cv2.convexHull(np.vstack([np.stack([columns, rows], 1) for columns in ends]).astype(np.int32))
    cv2.fillConvexPoly(inside, hull, 1)
    removed = cv2.morphologyEx(
        ((deviation > 1) & (mask == 0) & (inside > 0)).astype(np.uint8),
        cv2.MORPH_OPEN,
        np.ones((5, 5), np.uint8),
    )
    high = int(removed[: round(rows[0] + LOW_SHARE * (rows[-1] - rows[0]))].sum())
    return float(DOUBT_FACTOR * max(0.0, high / int(mask.sum()) - MAX_HIGH_SHADE))


def _outline_confidence(mask: U8, deviation: F32, edges: F32) -> float:
    """Return how much of the outline is clear: a deviation just inside of it, and a sharp edge on it."""
    ring = (mask == 1) & (cv2.erode(mask, np.ones((3, 3), np.uint8)) == 0)
    if not ring.any():
        return 0.0
    clarity = cv2.dilate(np.minimum((deviation - 1) / 2, edges - 0.5), np.ones((5, 5), np.uint8))
    return float(np.clip(clarity[ring], 0, 1).mean())
