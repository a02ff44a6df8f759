"""Touch-up of a cut-out by the strokes of a person.

The page of a version repeats `apply_stroke` in dam_connector/web/static/touch-up.js, so that the mask follows
at once. Here the changed zones get the photo's own edges at full size.
"""

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from dam_connector.domain.touch_up import MIN_CHANGED_SHARE, Stroke
from worker.imaging.cutout import Cutout, checked_cutout, remove_background_colour
from worker.imaging.decode import Photo
from worker.imaging.guided_filter import guide_mask
from worker.imaging.net_cutout import SECOND_RADIUS, background_behind
from worker.imaging.segmentation import disc_kernel

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]

STROKE_PX = 640  # longer side of the picture on which strokes are painted
CORE_SHARE = 0.2  # of the brush's radius: pixels so near to the stroke's line always change
BIN_SHIFT = 3  # colours are alike whose channels, divided by 8, differ by at most 1
CHANGED_LEVELS = 25  # of 255: a smaller difference of the mask is no change
ZONE_PX = 4  # at STROKE_PX: how far around a change edges are found anew
_BINS = (256 >> BIN_SHIFT) + 2  # with a margin for neighbours


def reduced(picture: U8) -> U8:
    """Return a picture or a mask at the size on which strokes are painted."""
    height, width = picture.shape[:2]
    scale = min(1.0, STROKE_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def apply_stroke(mask: U8, rgb: U8, stroke: Stroke) -> U8:
    """Return a mask that a stroke has changed.

    Args:
        mask: 255 is product, (h, w).
        rgb: The photo at the same size, (h, w, 3).
        stroke: The stroke.
    """
    changed = _changed_pixels(rgb, stroke)
    return np.where(changed, np.uint8(255 if stroke.keep else 0), mask)


def _changed_pixels(rgb: U8, stroke: Stroke) -> Mask:
    """Return the pixels under the brush; with `stops_at_edges` only those of the colours in its middle."""
    height, width = rgb.shape[:2]
    radius = max(1.0, stroke.radius * max(width, height))
    line = np.ones((height, width), np.uint8)
    points = [(int(x * width), int(y * height)) for x, y in stroke.points]
    inside = [(min(x, width - 1), min(y, height - 1)) for x, y in points]
    for start, end in pairwise((inside[0], *inside)):
        cv2.line(line, start, end, color=(0,))
    distance = cv2.distanceTransform(line, cv2.DIST_L2, 5)
    brush = distance <= radius
    if not stroke.stops_at_edges:
        return np.asarray(brush, bool)
    core = distance <= radius * CORE_SHARE
    candidates = core | (brush & _like(rgb, core))
    _, parts = cv2.connectedComponents(candidates.astype(np.uint8), connectivity=4)
    return np.asarray(candidates & np.isin(parts, np.unique(parts[core])), bool)


def _like(rgb: U8, core: Mask) -> Mask:
    """Return the pixels whose colour is like one of the core's."""
    bins = (rgb >> BIN_SHIFT).astype(np.int32) + 1
    keys = (bins[..., 0] * _BINS + bins[..., 1]) * _BINS + bins[..., 2]
    known = np.zeros(_BINS**3, bool)
    seen = np.unique(keys[core])
    steps = (-1, 0, 1)
    for offset in ((r * _BINS + g) * _BINS + b for r in steps for g in steps for b in steps):
        known[seen + offset] = True
    return np.asarray(known[keys], bool)


def touch_up(found: Cutout | None, photo: Photo, strokes: Iterable[Stroke], pointer: str = "") -> Cutout:
    """Return a cut-out that strokes have corrected.

    A person has seen its mask, so it is not doubted. Strokes that change hardly anything prove no such look:
    the doubt stays, unless the person said that they looked at the whole mask.

    Args:
        found: The cut-out; None: nothing was found.
        photo: The photo.
        strokes: The strokes, the oldest first.
        pointer: JSON pointer of the photo in the product, for the error.

    Raises:
        InputError: `cutout.empty`, when hardly anything is left, or everything is kept.
    """
    alpha = found.alpha if found else np.zeros(photo.rgb.shape[:2], np.uint8)
    small, before = reduced(photo.rgb), reduced(alpha)
    mask, painted = before, tuple(strokes)
    for stroke in painted:
        mask = apply_stroke(mask, small, stroke)
    changed = cv2.absdiff(mask, before) > CHANGED_LEVELS
    touched = _touched_alpha(photo.rgb, alpha, mask, changed)
    background = background_behind(small, mask.astype(np.float32) / np.float32(255), photo.size)
    rgb = remove_background_colour(photo.rgb, touched, background)
    if found:
        rgb = np.where((touched == found.alpha)[..., None] & (touched > 0)[..., None], found.rgb, rgb)
    busy_share = found.busy_share if found else 0.0
    checked = checked_cutout(rgb, touched, 1.0, busy_share, pointer)
    if found is None:
        return replace(checked, lifted=0.0)
    share = np.count_nonzero(changed) / max(1, int(np.count_nonzero(before > 127)))
    if share >= MIN_CHANGED_SHARE or any(stroke.mask_seen for stroke in painted):
        return replace(checked, net=found.net, lifted=found.confidence)
    doubts, letters = found.doubts, found.lost_letters
    return replace(checked, net=found.net, confidence=found.confidence, doubts=doubts, lost_letters=letters)


def _touched_alpha(rgb: U8, alpha: U8, mask: U8, changed: Mask) -> U8:
    """Return the alpha matte at full size: new near the changed pixels, as it was elsewhere."""
    if not changed.any():
        return alpha
    height, width = alpha.shape
    zone = cv2.resize(cv2.dilate(changed.astype(np.uint8), disc_kernel(ZONE_PX)), (width, height))
    radius = max(2, round(SECOND_RADIUS * max(width, height)))
    left, top, across, down = cv2.boundingRect(zone)
    margin = 2 * radius
    region = (
        slice(max(0, top - margin), top + down + margin),
        slice(max(0, left - margin), left + across + margin),
    )
    coarse = cv2.resize(mask, (width, height), interpolation=cv2.INTER_CUBIC)[region]
    coarse = coarse.astype(np.float32) / np.float32(255)
    led = guide_mask(np.ascontiguousarray(rgb[region]), coarse, radius)
    out = alpha.copy()
    out[region] = np.where(zone[region] > 0, led * 255 + 0.5, alpha[region])
    return out
