"""Openings in coils of rope and cable: small places between the turns, which both ways of cutting out fill.

Elsewhere a small place of the ground's colour may be a label or a screen. A product that is thin all over has
none, so there it is the ground. It is for pictures: no models are made of ropes.
"""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.imaging.cutout import Cutout, remove_background_colour
from worker.imaging.decode import Photo
from worker.imaging.lower_outline import LowerOutline, reduced_mask
from worker.imaging.plane_arithmetic import largest_difference
from worker.imaging.see_through import fitted_surface
from worker.imaging.segmentation import disc_kernel

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]

FIT_PX = 512  # longer side at which the ground's surface is fitted
CLEARANCE_PX = 6  # at that size, around the product
MIN_GROUND_SHARE = 0.03  # of the photo
MAX_BUSY_SHARE = 0.1  # of the photo's border: the ground is plain
MAX_GROUND_NOISE = 3.0  # Lab units: 90 % of a plain ground deviate less from its surface
# Lab units, and of that noise: less is the ground, around which a codec rings
LEAST_DEVIATION, NOISE_FACTOR = 8.0, 2.5
MIN_CONTRAST = 40.0  # Lab units from the ground, median: the rope differs clearly
MIN_OPENING_SHARE = 0.0001  # of the product's area; smaller places are glints
EDGE = 1 / 400  # of the photo's longer side: how wide the soft edge of an opening is
NARROW_END = 5  # of that width: how far its narrow ends may go on


def open_coils(photo: Photo, found: Cutout) -> Cutout:
    """Return the cut-out of a rope, open between its turns; another one as it was found."""
    if photo.alpha is not None or found.busy_share >= MAX_BUSY_SHARE or not _is_cord(found):
        return found
    surface, noise = _ground(photo.rgb, found.alpha)
    if surface is None or noise > MAX_GROUND_NOISE:
        return found
    deviation = largest_difference(_lab(photo.rgb), surface)
    product = found.alpha > 127
    alike = product & (deviation < max(LEAST_DEVIATION, NOISE_FACTOR * noise))
    contrast = float(np.median(deviation[product & ~alike])) if (product & ~alike).any() else 0.0
    if contrast < MIN_CONTRAST:
        return found
    core = _large_places(alike, MIN_OPENING_SHARE * np.count_nonzero(product))
    edge = max(1, round(EDGE * max(photo.size)))
    near = cv2.dilate(core, disc_kernel(edge)) > 0
    # the narrow end of an opening is no pure ground: the edges of both turns meet there
    near |= (cv2.dilate(core, disc_kernel(NARROW_END * edge)) > 0) & (deviation < contrast / 3)
    alpha = found.alpha.copy()
    alpha[near] = np.minimum(alpha[near], np.clip(deviation[near] / contrast, 0, 1) * 255)
    alpha[core > 0] = 0
    if (alpha == found.alpha).all():
        return found
    ground = np.rint(np.clip(cv2.cvtColor(surface, cv2.COLOR_Lab2RGB), 0, 1) * 255).astype(np.uint8)
    colours = remove_background_colour(photo.rgb, alpha, ground)
    changed = (alpha != found.alpha)[..., None]
    return replace(found, alpha=alpha, rgb=np.where(changed, colours, found.rgb))


def _is_cord(found: Cutout) -> bool:
    left, top, right, bottom = found.box
    return LowerOutline(reduced_mask(found.alpha[top:bottom, left:right])).is_cord()


def _large_places(alike: Mask, least: float) -> U8:
    """Return the connected places of at least this number of pixels, (h, w), 0 or 1."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(alike.astype(np.uint8), connectivity=4)
    is_large = stats[:, cv2.CC_STAT_AREA] >= least
    is_large[0] = False
    return np.asarray(is_large[labels], np.uint8)


def _ground(rgb: U8, alpha: U8) -> tuple[F32 | None, float]:
    """Return the ground's surface in Lab, (h, w, 3), and its noise; None where too little of it is seen."""
    height, width = alpha.shape
    scale = min(1.0, FIT_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    lab = _lab(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))
    product = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA) > 25
    around = cv2.dilate(product.astype(np.uint8), disc_kernel(CLEARANCE_PX)) == 0
    if around.mean() < MIN_GROUND_SHARE:
        return None, 0.0
    surface = fitted_surface(lab, around)
    noise = float(np.percentile(largest_difference(lab, surface)[around], 90))
    return np.asarray(cv2.resize(surface, (width, height)), np.float32), noise


def _lab(rgb: U8) -> F32:
    return np.asarray(cv2.cvtColor(rgb.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2Lab), np.float32)
