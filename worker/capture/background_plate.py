"""The background of a spin: the camera stands still, so what one frame hides another one shows.

Each pixel's background is the median of the frames in which the cut-out finds no product near it. Pixels that
differ from it, and not as a shadow does, are product. So legs that a cut-out lost come back.

Tried and lost: removing from a matte what does not differ. A white cup on white got holes, and other
frames carve away the surplus of a matte. Thin dark lines in shadows, for legs in the shadow of a sofa: a
sixth of them came back, and seams below a shoe with them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]

PLATE_PX = 512  # longer side at which pictures are compared
CLEAR_SHARE = 0.012  # of the longer side: background is seen only farther from the product than this
MIN_SIGHTINGS = 5  # frames that show the background of a pixel
PRODUCT_COLOUR = 11.0  # of Lab in bytes: a larger difference in hue is product
LIT_LEVELS = 40.0  # a brightening up to this may be the edge of a shadow in other frames
SHADE_LEVELS = 46.0  # a darkening up to this may be a shadow
MIN_PART_SHARE = 0.001  # of the product's area: smaller parts are noise
MIN_COLOURED = 0.5  # of a part: from there on its hue is no shadow's
DARK_LEVELS = 100.0  # no shadow is darker by so much
SHARP_LEVELS = 20.0  # a pixel, at the rim of a part of a product
JOINED_PX = 3  # half of the gap between parts that belong to each other


@dataclass(frozen=True, slots=True, kw_only=True)
class BackgroundPlate:
    """The frames of a spin, reduced in size, and the background behind the product."""

    labs: list[U8]  # (h, w, 3) Lab of each frame
    colours: F32  # (h, w, 3) Lab of the background
    known: Mask  # (h, w) where enough frames show the background

    def difference(self, number: int) -> F32:
        """Return how much a frame differs from the background, (h, w), in Lab levels; endless if unknown."""
        found = np.linalg.norm(self.labs[number] - self.colours, axis=2)
        return np.where(self.known, found, np.inf).astype(np.float32)


def background_plate(pictures: Sequence[U8], alphas: Sequence[U8]) -> BackgroundPlate:
    """Return the background of a spin.

    Args:
        pictures: (h, w, 3) each, sRGB.
        alphas: (h, w) each, as cut out.
    """
    height, width = alphas[0].shape
    scale = min(1.0, PLATE_PX / max(height, width))
    size = (round(width * scale), round(height * scale))
    labs = [
        cv2.cvtColor(cv2.resize(p, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2Lab) for p in pictures
    ]
    mattes = [cv2.resize(a, size, interpolation=cv2.INTER_AREA) for a in alphas]
    radius = max(2, round(CLEAR_SHARE * max(mattes[0].shape)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    hidden = np.stack([cv2.dilate((m > 12).astype(np.uint8), kernel) > 0 for m in mattes])
    stack = np.stack(labs).astype(np.float32)
    stack[hidden] = np.nan
    seen = (~hidden).sum(0)
    filled = np.where((seen == 0)[None, ..., None], 0, stack)
    return BackgroundPlate(
        labs=labs,
        colours=np.asarray(np.nanmedian(filled, axis=0), np.float32),
        known=seen >= MIN_SIGHTINGS,
    )


def with_lost_parts(alphas: Sequence[U8], plate: BackgroundPlate) -> list[U8]:
    """Return the mattes (h, w) of a spin's frames, with the parts that differ from the background."""
    return [_with_lost_parts(alpha, lab, plate) for alpha, lab in zip(alphas, plate.labs, strict=True)]


def _is_coloured(lab: U8, plate: F32) -> Mask:
    """Return where a frame shows another hue than the background.

    A shadow darkens the background and keeps its hue: the colour fades with the light.
    """
    seen = lab.astype(np.float32)
    share = np.clip(seen[..., :1] / np.maximum(plate[..., :1], 1), 0, 1.2)
    colour = np.linalg.norm(seen[..., 1:] - 128 - (plate[..., 1:] - 128) * share, axis=2)
    return np.asarray(colour > PRODUCT_COLOUR)


def _with_lost_parts(alpha: U8, lab: U8, plate: BackgroundPlate) -> U8:
    """Return a matte with the parts of the product that it lacks.

    A shadow has the background's hue, is little darker and ends softly. Measured on four spins: shadows end
    with up to 18 levels a pixel and are up to 75 levels darker, lost parts end with 21 or more.
    """
    small = cv2.resize(alpha, plate.known.shape[::-1], interpolation=cv2.INTER_AREA)
    inside = (small > 127).astype(np.uint8)
    light = np.asarray(lab[..., 0], np.float32)
    brighter, is_coloured, slope = (
        light - plate.colours[..., 0],
        _is_coloured(lab, plate.colours),
        _slope(light),
    )
    is_product = is_coloured | (brighter > LIT_LEVELS) | (brighter < -SHADE_LEVELS)
    seen = (is_product & plate.known).astype(np.uint8)
    beside = cv2.morphologyEx(seen & (1 - _grown(inside, 2)), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    lost = np.zeros_like(seen)
    for part in _parts(beside, MIN_PART_SHARE * float(inside.sum())):
        rim = (_grown(part.astype(np.uint8), 1) > 0) & (seen == 0) & (inside == 0)
        is_soft = rim.any() and slope[rim].mean() < SHARP_LEVELS
        is_dim = is_coloured[part].mean() < MIN_COLOURED and np.median(np.abs(brighter[part])) < DARK_LEVELS
        if not (is_soft and is_dim):  # else it is a shadow
            lost |= part
    whole = _grown(lost, 3) & seen
    whole &= _joined(whole, inside)
    add = cv2.resize(whole * 255, alpha.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.max(alpha, add), np.uint8)


def _parts(mask: U8, least: float) -> Iterator[Mask]:
    """Yield the connected parts of a mask that have at least an area."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    for number in range(1, count):
        if stats[number, cv2.CC_STAT_AREA] >= least:
            yield labels == number


def _slope(light: F32) -> F32:
    """Return the change of lightness in levels a pixel, the largest around each pixel, (h, w)."""
    across, down = cv2.Sobel(light, cv2.CV_32F, 1, 0), cv2.Sobel(light, cv2.CV_32F, 0, 1)
    return np.asarray(cv2.dilate(np.hypot(across, down) / 8, np.ones((3, 3))), np.float32)


def _joined(parts: U8, inside: U8) -> U8:
    """Return the area of all parts that reach the product, at once or by others; a disc's rim does not."""
    _, labels = cv2.connectedComponents(_grown(parts | inside, JOINED_PX), connectivity=8)
    joined = np.unique(labels[inside > 0])
    return np.isin(labels, joined[joined > 0]).astype(np.uint8)


def _grown(mask: U8, radius: int) -> U8:
    return np.asarray(cv2.dilate(mask, np.ones((2 * radius + 1,) * 2, np.uint8)), np.uint8)
