"""Shadows of products that lie, hang or lean: the outline, moved away from the light and softened."""

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.imaging.plane_arithmetic import gaussian_blur

F32 = NDArray[np.float32]

# Layers of a drop shadow: its distance and its blur, both as shares of the product's depth, and its strength.
DROP_LAYERS = ((0.25, 0.10, 0.45), (0.75, 0.38, 0.42), (1.3, 1.0, 0.26))
MIN_DEPTH, MAX_DEPTH = 0.012, 0.075  # of the product's size: how thick it is taken to be
DEPTH_OF_RADIUS = 0.42  # of the largest circle in the outline

UNDER_REACH = 0.20  # of the product's size: how low a part is that darkens the ground
UNDER_BEHIND = 0.05  # of the product's size: the ground behind a part's lower edge that is dark as well
UNDER_STRENGTH = 0.93
UNDER_FADE = 0.055  # of the product's size: how far up the shade is seen; the ground goes away from there
UNDER_BLUR_ACROSS, UNDER_BLUR_DOWN = 0.05, 0.014  # of the product's size


def depth_of(alpha: F32) -> float:
    """Return about how thick a product seen from above is, in pixels: thin ropes less than wide bodies."""
    step = max(1, min(alpha.shape) // 300)
    small = np.ascontiguousarray(alpha[::step, ::step] > 0.5).astype(np.uint8)
    radius = float(cv2.distanceTransform(small, cv2.DIST_L2, 3).max()) * step
    rows, columns = np.count_nonzero((alpha > 0.5).any(1)), np.count_nonzero((alpha > 0.5).any(0))
    size = float(max(1, int(rows)) * max(1, int(columns))) ** 0.5
    return float(np.clip(DEPTH_OF_RADIUS * radius, MIN_DEPTH * size, MAX_DEPTH * size))


def drop_shadow(alpha: F32, depth: float, light: int, *, lift: float = 1.0) -> F32:
    """Return the share of light that a product takes from the surface behind it, (h, w), 0 to 1.

    Args:
        alpha: (h, w), 0 to 1.
        depth: Of the product in pixels.
        light: -1 from the upper left, 1 from the upper right.
        lift: How far it is from the surface, beyond resting on it.
    """
    remaining = np.ones_like(alpha)
    for distance, blur, strength in DROP_LAYERS:
        moved = distance * depth * lift
        shift = np.array([[1, 0, -light * 0.8 * moved], [0, 1, moved]], np.float32)
        layer = cv2.warpAffine(alpha, shift, (alpha.shape[1], alpha.shape[0]), flags=cv2.INTER_LINEAR)
        soft = gaussian_blur(np.asarray(layer, np.float32), max(1.0, blur * depth * lift))
        remaining *= 1 - np.float32(strength) * soft
    return np.asarray(1 - remaining, np.float32)


def under_shadow(alpha: F32, ground: F32) -> F32:
    """Return the shade on the ground below parts that do not touch it, (h, w): darker below low ones.

    Args:
        alpha: (h, w), 0 to 1.
        ground: The row of the ground under each column, (w,).
    """
    solid = alpha > 0.5
    columns = np.flatnonzero(solid.any(0))
    size = float(max(1, len(columns)) * max(1, int(np.count_nonzero(solid.any(1))))) ** 0.5
    bottom = np.full(alpha.shape[1], -1.0, np.float32)
    bottom[columns] = len(alpha) - 1 - solid[::-1, columns].argmax(0)
    gap = np.where(bottom >= 0, ground - bottom, 0).astype(np.float32)
    dark = np.exp(-gap / np.float32(UNDER_REACH * size)) * (gap > 1)
    rows = np.arange(len(alpha), dtype=np.float32)[:, None]
    below = ((rows > bottom - UNDER_BEHIND * size) & (rows <= ground)).astype(np.float32) * dark
    # near its own gap a low part shades the ground up to its edge, a high part, e.g. a ball's side, does not
    height = np.maximum(0, ground - rows - UNDER_BEHIND * size)
    below *= np.exp(-height / np.float32(UNDER_FADE * size))
    blurs = max(0.6, UNDER_BLUR_ACROSS * size), max(0.6, UNDER_BLUR_DOWN * size)
    soft = cv2.GaussianBlur(np.asarray(below, np.float32), (0, 0), sigmaX=blurs[0], sigmaY=blurs[1])
    return np.asarray(UNDER_STRENGTH * soft, np.float32)


def leaning_shadow(alpha: F32, foot: float, light: int) -> F32:
    """Return the shadow on the wall of a product whose top leans against it; it widens towards the ground."""
    rows = np.flatnonzero((alpha > 0.5).any(1))
    top, height = float(rows[0]), float(max(1, rows[-1] - rows[0]))
    share = -light * 0.13
    shear = np.array([[1, share, -share * top], [0, 1, 0]], np.float32)
    moved = cv2.warpAffine(alpha, shear, (alpha.shape[1], alpha.shape[0]), flags=cv2.INTER_LINEAR)
    near = gaussian_blur(np.asarray(moved, np.float32), max(1.0, 0.008 * height))
    far = gaussian_blur(np.asarray(moved, np.float32), max(1.5, 0.035 * height))
    down = np.clip((np.arange(len(alpha), dtype=np.float32) - top) / height, 0, 1)[:, None]
    shade = 0.55 * (near * (1 - down) + far * down)
    shade[round(foot) :] = 0
    return np.asarray(shade, np.float32)


def backdrop_shadow(alpha: F32, light: int) -> F32:
    """Return the soft shadow of a person or a cut-off product on a backdrop well behind it."""
    width = alpha.shape[1]
    shift = np.array([[1, 0, -light * 0.045 * width], [0, 1, 0.02 * width]], np.float32)
    moved = cv2.warpAffine(
        alpha, shift, (width, alpha.shape[0]), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return 0.26 * gaussian_blur(np.asarray(moved, np.float32), 0.045 * width)
