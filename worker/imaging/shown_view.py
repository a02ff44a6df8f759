"""Recognition of the view that a photo shows, from the photo and the product's dimensions, if known.

A product that is seen straight from a side is more often its own mirror image, its lower outline is level and
so are most of its lines; seen from a corner, its lower outline rises to both sides. A logistic regression
weighs this. The proportions of the outline say the rest where the dimensions are known: without them a side
or the top cannot be distinguished from the front. Where no view is likely enough, none is named.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dam_connector.domain.product import Dimensions, View
from worker.imaging.cutout import Cutout
from worker.imaging.decode import Photo

F64 = NDArray[np.float64]
U8 = NDArray[np.uint8]

MIN_CONFIDENCE = 0.9  # less is no answer; on other real photos 19 of 25 answers were right
WORKING_PX = 320  # longer side of the product
LEVEL_DEG, SLANTED_DEG, MAX_SLANTED_DEG = 3.0, 5.0, 50.0  # of edges of the outline, to the horizontal
LINE_DEG, MAX_LINE_DEG = (3.0, 4.0), 60.0  # of lines: level up to the first, slanted from the second
MIN_LINE_SHARE = 0.08  # of the working size; shorter lines do not count
FEW_LINES = 0.3  # of the working size: a product with fewer lines has no direction
SYMMETRY_SHIFT = 1 / 12  # of the width: the mirror axis may lie so far from the middle
MIN_PARTS, MIN_PART_SHARE = 4, 0.03  # of a flat lay; of the product's area
MIN_RISE = 0.35  # of the product's height: parts of a flat lay lie one above the other
FLAT_LAY_CONFIDENCE, CLOSE_UP_CONFIDENCE = 0.9, 0.9
# Fitted to 33 real photos and to shop-like renders of twelve models, both kinds of views with equal weight.
INTERCEPT = -2.5257
WEIGHTS: Mapping[str, float] = {
    "symmetry": 1.5166,
    "mirrored_look": -1.5385,
    "level_foot": -2.1296,
    "slanted_foot": 3.4592,
    "level_lines": -3.3492,
}
ASPECT_SPREAD = 0.07  # of the logarithm of the proportions: perspective, soft outlines
LEAST_LIKELIHOOD = 0.005  # of proportions that fit no view: dimensions may be wrong
HERO_AZIMUTHS, HERO_ELEVATIONS = (20, 30, 40, 50, 60), (5, 12, 20, 30)
LEVEL_ELEVATIONS = (0, 4, 8, 12, 16)  # degrees from which a side is usually taken
PRIORS = {View.FRONT: 0.6, View.RIGHT: 0.3, View.TOP: 0.1}  # of a photo that is not from a corner
MIN_SIDE_DIFFERENCE = 0.12  # logarithm of width over depth: of a nearly square product all sides are fronts


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewEvidence:
    """What the picture says about the direction that it was taken from."""

    symmetry: float  # overlap of the outline with its mirror image, 0 to 1
    mirrored_look: float  # correlation of the product with its mirror image
    level_foot: float  # share of the lower outline's width that is level
    slanted_foot: float  # share that rises to the side to which more of it rises
    level_lines: float  # -1 to 1: level lines against slanted ones


def recognise_view(photo: Photo, cutout: Cutout, size: Dimensions | None = None) -> tuple[View | None, float]:
    """Return the view that a photo shows, and how probable it is; no view where none is clear.

    `View.RIGHT` stands for either side. A back cannot be distinguished from a front, and is called the front.

    Args:
        photo: The photo.
        cutout: The product, cut out of it.
        size: The product's dimensions, as far as they are known.
    """
    if len(cutout.touched_sides) == 4:
        return View.DETAIL, CLOSE_UP_CONFIDENCE
    rgb, product = _reduced(photo.rgb, cutout)
    if is_flat_lay(product):
        return View.TOP, FLAT_LAY_CONFIDENCE
    evidence = gather_view_evidence(rgb, product)
    left, top, right, bottom = cutout.box
    aspect = None if cutout.touched_sides else (right - left) / (bottom - top)
    likely = view_probabilities(evidence, aspect, size)
    view = max(likely, key=lambda each: likely[each])
    return (view if likely[view] >= MIN_CONFIDENCE else None), likely[view]


def view_probabilities(
    evidence: ViewEvidence, aspect: float | None, size: Dimensions | None
) -> dict[View, float]:
    """Return the probability of each view.

    Args:
        evidence: What the picture says.
        aspect: Width of the product's box over its height; None where the frame cuts it.
        size: The product's dimensions.
    """
    logit = INTERCEPT + sum(weight * getattr(evidence, name) for name, weight in WEIGHTS.items())
    oblique = float(1 / (1 + np.exp(-logit)))
    if size is None or aspect is None or not (size.width_m and size.height_m and size.depth_m):
        return {View.HERO: oblique, View.FRONT: 1 - oblique}
    shares = {View.HERO: oblique} | {view: (1 - oblique) * prior for view, prior in PRIORS.items()}
    if abs(np.log(size.width_m / size.depth_m)) < MIN_SIDE_DIFFERENCE:
        shares[View.FRONT] += shares.pop(View.RIGHT)
    aspects = _aspects(size.width_m, size.height_m, size.depth_m)
    for view in shares:
        misfit = np.log(aspect / aspects[view]) / ASPECT_SPREAD
        shares[view] *= float(np.exp(-(misfit**2) / 2).max()) + LEAST_LIKELIHOOD
    total = sum(shares.values())
    return {view: share / total for view, share in shares.items()}


def _aspects(width: float, height: float, depth: float) -> dict[View, F64]:
    """Return the proportions of the outline from each view, for several cameras."""
    azimuth, elevation = (
        np.radians(angles).ravel() for angles in np.meshgrid(HERO_AZIMUTHS, HERO_ELEVATIONS)
    )
    low = np.radians(LEVEL_ELEVATIONS)
    facing, receding = (
        (width * np.cos(azimuth), depth * np.sin(azimuth)),
        (
            width * np.sin(azimuth),
            depth * np.cos(azimuth),
        ),
    )
    # of a box, and of an elliptic cylinder
    across = np.concatenate([facing[0] + facing[1], np.hypot(*facing)])
    away = np.concatenate([receding[0] + receding[1], np.hypot(*receding)])
    elevation = np.tile(elevation, 2)
    return {
        View.FRONT: width / (height * np.cos(low) + depth * np.sin(low)),
        View.RIGHT: depth / (height * np.cos(low) + width * np.sin(low)),
        View.TOP: np.array([width / depth]),
        View.HERO: across / (height * np.cos(elevation) + away * np.sin(elevation)),
    }


def gather_view_evidence(rgb: U8, product: U8) -> ViewEvidence:
    """Return the evidence of a picture that the product fills, (h, w, 3), and its mask, (h, w), 0 or 1."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    symmetry, look = _symmetry(grey, product)
    level, slanted = _foot(product)
    return ViewEvidence(
        symmetry=symmetry,
        mirrored_look=look,
        level_foot=level,
        slanted_foot=slanted,
        level_lines=_line_balance(grey, product),
    )


def _reduced(rgb: U8, cutout: Cutout) -> tuple[U8, U8]:
    """Return the product's box at working size, and its mask, 0 or 1."""
    left, top, right, bottom = cutout.box
    scale = WORKING_PX / max(right - left, bottom - top)
    size = (max(8, round((right - left) * scale)), max(8, round((bottom - top) * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    picture = cv2.resize(np.ascontiguousarray(rgb[top:bottom, left:right]), size, interpolation=way)
    alpha = cv2.resize(cutout.alpha[top:bottom, left:right], size, interpolation=cv2.INTER_AREA)
    return np.asarray(picture, np.uint8), np.asarray(alpha > 127, np.uint8)


def _symmetry(grey: U8, product: U8) -> tuple[float, float]:
    """Return how well outline and look agree with their mirror images, at the best vertical axis."""
    height, width = product.shape
    reach, best, look = max(2, round(width * SYMMETRY_SHIFT)), 0.0, 1.0
    soft = cv2.GaussianBlur(grey, (0, 0), 3)
    for shift in range(-reach, reach + 1, 2):
        mirror = np.array([[-1, 0, width - 1 + shift], [0, 1, 0]], np.float32)
        mirrored = cv2.warpAffine(product, mirror, (width, height))
        overlap = float((product & mirrored).sum() / max(1, (product | mirrored).sum()))
        if overlap > best:
            best, both = overlap, (product & mirrored) > 0
            one, other = (
                p[both].astype(float) for p in (soft, cv2.warpAffine(soft, mirror, (width, height)))
            )
            varies = len(one) > 50 and one.std() > 1 and other.std() > 1
            look = float(np.corrcoef(one, other)[0, 1]) if varies else 1.0
    return best, max(-0.5, look)


def _foot(product: U8) -> tuple[float, float]:
    """Return the level share of the lower outline's width, and the share that rises to one side."""
    points = cv2.findNonZero(product)
    if points is None:
        return 0.0, 0.0
    hull = cv2.convexHull(points)[:, 0].astype(float)
    level = rising = falling = 0.0
    for start, end in zip(hull, np.roll(hull, -1, 0), strict=True):
        (x, y), (x_end, y_end) = sorted((tuple(start), tuple(end)))
        if x_end == x:
            continue
        slope = (y_end - y) / (x_end - x)
        if (hull[:, 1] > y + slope * (hull[:, 0] - x) + 1e-6).any():
            continue  # an upper edge
        angle = float(np.degrees(np.arctan(slope)))
        level += (x_end - x) * (abs(angle) <= LEVEL_DEG)
        rising += (x_end - x) * (-MAX_SLANTED_DEG < angle < -SLANTED_DEG)
        falling += (x_end - x) * (SLANTED_DEG < angle < MAX_SLANTED_DEG)
    width = max(1.0, float(np.ptp(hull[:, 0])))
    return level / width, max(rising, falling) / width


def _line_balance(grey: U8, product: U8) -> float:
    """Return the length of level lines less that of slanted ones, over both; near 0 if there are few."""
    lines = cv2.createLineSegmentDetector().detect(grey)[0]
    if lines is None:
        return 0.0
    near = cv2.dilate(product, np.ones((5, 5), np.uint8))
    ends = lines.reshape(-1, 4)
    along = ends[:, 2:] - ends[:, :2]
    length = np.hypot(along[:, 0], along[:, 1])
    middle = np.clip((ends[:, 2:] + ends[:, :2]) / 2, 0, np.array(product.shape[::-1]) - 1).astype(int)
    counted = (length >= MIN_LINE_SHARE * WORKING_PX) & (near[middle[:, 1], middle[:, 0]] > 0)
    angle = np.abs((np.degrees(np.arctan2(along[:, 1], along[:, 0])) + 90) % 180 - 90)
    level = float(length[counted & (angle <= LINE_DEG[0])].sum())
    slanted = float(length[counted & (angle > LINE_DEG[1]) & (angle < MAX_LINE_DEG)].sum())
    return (level - slanted) / (level + slanted + FEW_LINES * WORKING_PX)


def is_flat_lay(product: U8) -> bool:
    """Return whether several parts lie one above the other, which on a floor would float."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(product, connectivity=8)
    parts = stats[1:][stats[1:, cv2.CC_STAT_AREA] >= MIN_PART_SHARE * max(1, product.sum())]
    if len(parts) < MIN_PARTS:
        return False
    feet = parts[:, cv2.CC_STAT_TOP] + parts[:, cv2.CC_STAT_HEIGHT]
    return bool(np.ptp(feet) >= MIN_RISE * len(product))
