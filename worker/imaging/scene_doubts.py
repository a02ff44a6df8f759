"""Evidence in a photo against a lifestyle picture: a product in the air, and an old ground that stays.

On its own ground a cut-out hides its remains of that ground; in a scene they show. Limits lie between
the values of good and bad cut-outs of real photos and of photo-like renders of 3D models; the products in the
air that they were chosen on are two shoes (docs/imaging.md).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.imaging.cutout import Cutout
from worker.imaging.decode import Photo
from worker.imaging.plane_arithmetic import largest_difference
from worker.imaging.see_through import fitted_surface
from worker.imaging.segmentation import disc_kernel

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]

# A smear: opacity that is neither nothing nor whole over a wider area than a soft edge.
FAINT, NEARLY_SOLID = 25, 230  # of 255
SMEAR_RADIUS = 1 / 80  # of the product's size: half the width of the widest soft edge
MAX_SMEAR_SHARE = 0.002  # of the product's area; usable cut-outs have up to .001, unusable ones from .003
# The old ground within the product, as behind glass or between the wires of a grille.
GROUND_PX = 1024  # longer side at which it is sought: wires are thin
FIT_PX = 512  # longer side at which the ground's surface is fitted
CLEARANCE_PX, INNER_PX = 12, 3  # at `GROUND_PX`: around the product, and inside its outline
MIN_GROUND_SHARE = 0.03  # of the photo
MAX_GROUND_NOISE = 3.0  # Lab units: 90 % of a plain ground deviate less from its surface
LEAST_DEVIATION, NOISE_FACTOR = 1.5, 1.5  # Lab units, and of that noise: less is like the ground
MAX_GREY = 240  # of 255: labels and screens have the colour of a white ground, seldom of another
MAX_GROUND_INSIDE = 0.015  # of the product's area; opaque products have up to .009, glass and grilles .02
# The ground below a product that stands or lies is darker somewhere, unless the ground was retouched.
BAND, BAND_GAP_PX = 0.06, 3  # below the product: of its size, and at `FIT_PX`, beyond its soft edge
AWAY_PX = 20  # at `FIT_PX`, around the product: the ground beyond it is fitted
MAX_PLAIN_LEVELS = 4.0  # of 255: 90 % of a plain ground deviate less from its surface
MAX_RETOUCHED_GREY = 252  # of 255: a paler ground may have lost its shadows
MIN_SPREAD = 3.0  # of 255, between a light and a dark part of the ground: a fill has one colour
DARKEST_PERCENTILE, LEAST_SHADE = 97, 2.0  # of the band; of 255: what is less is no shadow
MAX_BUSY_SHARE = 0.1  # of the photo's border: the ground is plain
MIN_BAND_PX = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneDoubts:
    """Doubts that a photo raises about a lifestyle picture of its product."""

    hangs: bool = False  # in the air
    of_cutout: str = ""  # in words for the report; empty: nothing


NO_DOUBTS = SceneDoubts()


def find_scene_doubts(photo: Photo, cutout: Cutout) -> SceneDoubts:
    """Return the doubts of a photo; none for a photo with its own transparency."""
    if photo.alpha is not None:
        return NO_DOUBTS
    hangs = cutout.busy_share < MAX_BUSY_SHARE and hangs_in_the_air(photo.rgb, cutout.alpha)
    if cutout.lifted is not None:  # a person has seen the mask
        return SceneDoubts(hangs=hangs)
    words = ""
    if smear_share(cutout) > MAX_SMEAR_SHARE:
        words = "parts of the cut-out are half see-through over a wide area; correct the mask there"
    elif ground_inside_share(photo.rgb, cutout.alpha) > MAX_GROUND_INSIDE:
        words = "the photo's ground shows within the product, e.g. behind glass or a grille; correct the mask"
    return SceneDoubts(hangs=hangs, of_cutout=words)


def smear_share(cutout: Cutout) -> float:
    """Return the area of wide places with a partial opacity, over the product's."""
    left, top, right, bottom = cutout.box
    alpha = cutout.alpha[top:bottom, left:right]
    radius = max(1, round(SMEAR_RADIUS * float(alpha.size) ** 0.5))
    partial = cv2.inRange(alpha, FAINT + 1, NEARLY_SOLID - 1)
    wide = cv2.morphologyEx(partial, cv2.MORPH_OPEN, disc_kernel(radius))
    return int(np.count_nonzero(wide)) / max(1, int(np.count_nonzero(alpha > 127)))


def ground_inside_share(rgb: U8, alpha: U8) -> float:
    """Return the area within the product that has the colour of a plain ground, over the product's.

    It is 0 on a white ground, and on one that is not plain.
    """
    small, product = _reduced(rgb, alpha, GROUND_PX, 127)
    around = cv2.dilate(product.astype(np.uint8), disc_kernel(CLEARANCE_PX)) == 0
    if around.mean() < MIN_GROUND_SHARE or np.median(small[around], 0).min() >= MAX_GREY:
        return 0.0
    lab = cv2.cvtColor(small.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2Lab)
    deviation = largest_difference(lab, _fitted(lab, around))
    noise = float(np.percentile(deviation[around], 90))
    if noise > MAX_GROUND_NOISE:
        return 0.0
    inner = cv2.erode(product.astype(np.uint8), disc_kernel(INNER_PX)) > 0
    alike = inner & (deviation < max(LEAST_DEVIATION, NOISE_FACTOR * noise))
    return int(np.count_nonzero(alike)) / max(1, int(np.count_nonzero(product)))


def hangs_in_the_air(rgb: U8, alpha: U8) -> bool:
    """Return whether a plain ground that nobody retouched shows no shadow below the product."""
    small, product = _reduced(rgb, alpha, FIT_PX, FAINT)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    side = 2 * AWAY_PX + 1
    away = cv2.dilate(product.astype(np.uint8), np.ones((side, side), np.uint8)) == 0
    if away.mean() < MIN_GROUND_SHARE or not product.any():
        return False
    light, dark = np.percentile(grey[away], (95, 5))
    if np.median(grey[away]) > MAX_RETOUCHED_GREY or light - dark < MIN_SPREAD:
        return False
    shade = fitted_surface(cv2.merge([grey] * 3), away)[..., 0] - grey
    noise = float(np.percentile(np.abs(shade[away]), 90))
    band = shade[_band_below(product)]
    if noise > MAX_PLAIN_LEVELS or len(band) < MIN_BAND_PX:
        return False
    return bool(np.percentile(band, DARKEST_PERCENTILE) < max(LEAST_SHADE, noise))


def _band_below(product: Mask) -> Mask:
    """Return the ground just below the lowest product pixel of each column, (h, w)."""
    columns = product.any(0)
    bottom = len(product) - 1 - product[::-1].argmax(0)
    size = float(np.count_nonzero(columns) * np.count_nonzero(product.any(1))) ** 0.5
    below = np.arange(len(product))[:, None] - bottom
    return np.asarray(
        columns & (below >= BAND_GAP_PX) & (below < BAND_GAP_PX + max(BAND_GAP_PX, BAND * size))
    )


def _fitted(lab: F32, around: Mask) -> F32:
    """Return the ground's surface, fitted to a reduced picture."""
    height, width = around.shape
    scale = min(1.0, FIT_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    free = cv2.resize(around.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    surface = fitted_surface(cv2.resize(lab, size, interpolation=cv2.INTER_AREA), free)
    return np.asarray(cv2.resize(surface, (width, height)), np.float32)


def _reduced(rgb: U8, alpha: U8, longest: int, level: int) -> tuple[U8, Mask]:
    """Return a photo and a mask, reduced to a longer side."""
    scale = min(1.0, longest / max(alpha.shape))
    size = (max(1, round(alpha.shape[1] * scale)), max(1, round(alpha.shape[0] * scale)))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), cv2.resize(alpha, size, interpolation=cv2.INTER_AREA) > level
