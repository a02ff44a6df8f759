"""Arithmetic on pictures plane by plane: numpy takes twice as long along a last axis of three."""

from collections.abc import Sequence
from functools import reduce

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]


def multiply_by_plane(picture: F32, plane: F32) -> F32:
    """Return a picture, (h, w, 3), with each pixel multiplied by its value in a plane, (h, w)."""
    return np.asarray(cv2.multiply(picture, cv2.merge([plane] * 3)), np.float32) if plane.size else picture


def largest_difference(picture: F32, other: F32) -> F32:
    """Return how much two pictures differ, (h, w): the largest difference of a pixel's channels."""
    return np.asarray(reduce(cv2.max, cv2.split(cv2.absdiff(picture, other))), np.float32)


def gaussian_blur(picture: F32, sigma: float, reduction: int = 0) -> F32:
    """Blur a plane or a picture, computed at a reduced size: a wide blur looks the same and costs a tenth.

    Args:
        picture: (h, w) or (h, w, 3).
        sigma: In pixels of the picture.
        reduction: How many times smaller to compute it; 0 for as much as sigma allows.
    """
    factor = reduction or max(1, int(sigma / 4))
    if factor == 1:
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), max(0.5, sigma)), np.float32)
    height, width = picture.shape[:2]
    small = cv2.resize(
        picture, (max(1, width // factor), max(1, height // factor)), interpolation=cv2.INTER_AREA
    )
    soft = cv2.GaussianBlur(small, (0, 0), max(0.5, sigma / factor))
    return np.asarray(cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def tint_plane(plane: F32, colour: Sequence[float | F32]) -> F32:
    """Return a plane, (h, w), multiplied by a colour, as (h, w, 3)."""
    return np.asarray(
        cv2.merge([np.asarray(plane * np.asarray(c, np.float32), np.float32) for c in colour]), np.float32
    )
