"""Meshes that both ways of cutting out fill: between strings or wires the ground shows in many small places.

Where they are known by their ground's colour, they are opened at the photo's own size: strings of a pixel or
two are lost at the working size.
"""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.imaging.cutout import Cutout, checked_cutout
from worker.imaging.cutout_evidence import (
    CLEARANCE_PX,
    LEAST_DEVIATION,
    MAX_GROUND_NOISE,
    MESH_CLEARANCE_PX,
    MIN_MESH_SHARE,
    MIN_OPENING_SHARE,
    NOISE_FACTOR,
)
from worker.imaging.plane_arithmetic import largest_difference
from worker.imaging.see_through import fitted_surface
from worker.imaging.segmentation import disc_kernel

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]

WORKING_PX = 512  # longer side of the picture in which the mesh is found
JOINED_PX, REACH_PX = 6, 8  # at working size: strings between places, and from the places to the frame
GROUND_NOISE, STRING_NOISE = 3.0, 5.0  # of the ground's noise at full size: less is ground, more is string


def open_mesh(rgb: U8, found: Cutout) -> Cutout:
    """Return the cut-out with its mesh open, or the one found where there is none.

    Args:
        rgb: The photo, (h, w, 3).
        found: The cut-out of it.
    """
    height, width = rgb.shape[:2]
    scale = min(1.0, WORKING_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = _lab(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))
    product = cv2.resize(found.alpha, size, interpolation=cv2.INTER_AREA) > 127
    around = cv2.dilate(product.astype(np.uint8), disc_kernel(CLEARANCE_PX)) == 0
    if not around.any():
        return found
    surface = fitted_surface(small, around)
    mesh = _find_mesh(largest_difference(cv2.GaussianBlur(small, (0, 0), 0.8), surface), product, around)
    if mesh is None:
        return found
    deviation = largest_difference(_lab(rgb), cv2.resize(surface, (width, height)))
    ground = cv2.resize(around.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    noise = max(0.5, float(np.percentile(deviation[ground], 90)))
    solid = np.clip((deviation / noise - GROUND_NOISE) / (STRING_NOISE - GROUND_NOISE), 0, 1)
    inside = cv2.resize(mesh, (width, height), interpolation=cv2.INTER_LINEAR) > 0
    alpha = np.where(inside, found.alpha * solid, found.alpha).astype(np.uint8)
    opened = checked_cutout(found.rgb, alpha, found.confidence, found.busy_share, "")
    return replace(opened, net=found.net, doubts=found.doubts)


def _lab(rgb: U8) -> F32:
    return np.asarray(cv2.cvtColor(rgb.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2Lab), np.float32)


def _find_mesh(deviation: F32, product: Mask, around: Mask) -> U8 | None:
    """Return where the mesh is, (h, w), 0 or 1; None if there is none.

    Args:
        deviation: From the ground's surface, in Lab units, (h, w).
        product: The mask, (h, w).
        around: The ground, (h, w).
    """
    noise = float(np.percentile(deviation[around], 90))
    inner = cv2.erode(product.astype(np.uint8), disc_kernel(MESH_CLEARANCE_PX))
    alike = ((deviation < max(LEAST_DEVIATION, NOISE_FACTOR * noise)) & (inner > 0)).astype(np.uint8)
    stats = cv2.connectedComponentsWithStats(alike, connectivity=4)[2]
    areas = stats[:, cv2.CC_STAT_AREA]
    is_small = areas < MIN_OPENING_SHARE * product.sum()
    is_small[0] = False
    if noise > MAX_GROUND_NOISE or areas[is_small].sum() < MIN_MESH_SHARE * product.sum():
        return None
    joined = cv2.morphologyEx(alike, cv2.MORPH_CLOSE, disc_kernel(JOINED_PX))
    return np.asarray(cv2.dilate(joined, disc_kernel(REACH_PX)) & product.astype(np.uint8), np.uint8)
