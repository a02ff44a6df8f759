"""Print that a cut-out lost: lines of letters whose paper, or which themselves, are not in the mask.

White packaging on a white background has no outline of its own: a cut-out keeps the picture on it and drops
the paper with its text, or keeps the letters and drops the paper between them. A line of print has at least
MIN_LETTERS strokes of nearly one height on one line, whose widths vary and of which some are not convex.
Slats, holes and teeth are all alike or convex; a shadow has no strokes.
"""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.imaging.cutout import Cutout
from worker.imaging.decode import Photo

U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]
Mask = NDArray[np.bool_]

WORKING_PX = 1024  # longer side
MAX_BUSY_SHARE = 0.1  # of the border: only beside a plain background print must be the product's
STROKE_PX = 31  # wider strokes are no print
MIN_CONTRAST = 40  # of 255, between a stroke and what is around it
MIN_LETTER_PX, MAX_LETTER_SHARE = 6, 0.15  # height; of the longer side
MAX_LETTER_ASPECT = 8.0  # a word in small print is one shape
MIN_LETTERS = 4
MAX_SHAPES = 3000  # more is a texture
MAX_HEIGHT_RATIO = 2.2  # of neighbours
MAX_LINE_RATIO = 2.5  # of the largest and the smallest letter
MAX_GAP, MAX_STEP = 1.3, 0.4  # of the height, between neighbours: across and down
MIN_WIDTH_SPREAD = 0.08  # standard deviation of the widths over their mean
MAX_SOLIDITY = 0.85  # mean area over that of the convex hull
PAPER_CLEARANCE_PX = 2  # around letters: their own soft edge is no paper
MIN_INSIDE_SHARE = 0.5  # of a line's paper, and of its letters, that the mask holds


def lost_letters(photo: Photo, cutout: Cutout) -> int:
    """Return the number of letters that the cut-out lost; 0 where there is no plain background."""
    if photo.alpha is not None or cutout.busy_share > MAX_BUSY_SHARE:
        return 0
    height, width = photo.rgb.shape[:2]
    scale = min(1.0, WORKING_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(photo.rgb, size, interpolation=cv2.INTER_AREA)
    product = cv2.resize(cutout.alpha, size, interpolation=cv2.INTER_AREA) > 127
    lost = 0
    for strokes in _strokes(small):
        for line in lines_of_print(strokes):
            lost += len(line) * _is_lost(strokes, line, product)
    return lost


def _strokes(small: U8) -> Iterator[U8]:
    """Yield strokes, 0 or 1, that are darker than what is around them, and those that are lighter."""
    kernel = np.ones((STROKE_PX, STROKE_PX), np.uint8)
    planes = cv2.split(small)
    for plane, way in (
        (cv2.min(cv2.min(planes[0], planes[1]), planes[2]), cv2.MORPH_BLACKHAT),
        (cv2.max(cv2.max(planes[0], planes[1]), planes[2]), cv2.MORPH_TOPHAT),
    ):
        yield np.asarray(cv2.morphologyEx(plane, way, kernel) > MIN_CONTRAST, np.uint8)


def _is_lost(strokes: U8, line: I32, product: Mask) -> bool:
    """Return whether most of a line's paper or of its letters is not in the mask.

    Args:
        strokes: (h, w), 0 or 1.
        line: Left, top, width and height of each letter, (n, 4).
        product: The mask, (h, w).
    """
    (left, top), (right, bottom) = line[:, :2].min(0), (line[:, :2] + line[:, 2:]).max(0)
    margin = int(np.median(line[:, 3])) // 3
    box = slice(max(0, top - margin), bottom + margin), slice(max(0, left - margin), right + margin)
    letters = strokes[box]
    side = 2 * PAPER_CLEARANCE_PX + 1
    paper = cv2.dilate(letters, np.ones((side, side), np.uint8)) == 0
    parts = (product[box][part] for part in (paper, letters > 0) if part.any())
    return any(part.mean() < MIN_INSIDE_SHARE for part in parts)


def lines_of_print(strokes: U8) -> Iterator[I32]:
    """Yield the lines of print in a picture of strokes, 0 or 1: the boxes of their letters, (n, 4)."""
    count, labels, stats, centres = cv2.connectedComponentsWithStats(strokes, connectivity=8)
    if count > MAX_SHAPES:
        return
    across, down = stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]
    is_letter = (down >= MIN_LETTER_PX) & (down <= MAX_LETTER_SHARE * max(strokes.shape))
    is_letter &= across <= MAX_LETTER_ASPECT * down
    is_letter[0] = False
    at = np.flatnonzero(is_letter)
    at = at[np.argsort(stats[at, cv2.CC_STAT_LEFT])]
    for line in _lines(stats[at], centres[at, 1]):
        if _is_print(labels, stats, at[line]):
            yield np.asarray(stats[at[line], : cv2.CC_STAT_AREA], np.int32)


def _lines(stats: I32, middles: NDArray[np.float64]) -> Iterator[NDArray[np.intp]]:
    """Yield the shapes, sorted by their left sides, that are neighbours on one line."""
    line_of, numbers = np.arange(len(stats)), np.arange(len(stats))
    left, across, down = (stats[:, k] for k in (cv2.CC_STAT_LEFT, cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT))
    for one in numbers:
        larger, smaller = np.maximum(down[one], down), np.minimum(down[one], down)
        gap = left - (left[one] + across[one])
        near = (gap >= -0.3 * larger) & (gap <= MAX_GAP * larger) & (numbers > one)
        near &= (np.abs(middles - middles[one]) <= MAX_STEP * larger) & (larger <= MAX_HEIGHT_RATIO * smaller)
        for other in np.flatnonzero(near)[:2]:
            line_of[line_of == line_of[other]] = line_of[one]
    for line in np.unique(line_of):
        yield np.flatnonzero(line_of == line)


def _is_print(labels: I32, stats: I32, line: NDArray[np.intp]) -> bool:
    """Return whether the shapes of a line vary as letters do."""
    across, down = stats[line, cv2.CC_STAT_WIDTH], stats[line, cv2.CC_STAT_HEIGHT]
    if len(line) < MIN_LETTERS or down.max() > MAX_LINE_RATIO * down.min():
        return False
    if across.std() < MIN_WIDTH_SPREAD * across.mean():
        return False
    solidities = []
    for label in line:
        left, top, width, height, area = stats[label]
        part = (labels[top : top + height, left : left + width] == label).astype(np.uint8)
        hull = np.zeros_like(part)
        cv2.fillConvexPoly(hull, cv2.convexHull(cv2.findNonZero(part)), 1)
        solidities.append(area / max(1, int(hull.sum())))
    return float(np.mean(solidities)) <= MAX_SOLIDITY
