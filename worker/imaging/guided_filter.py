"""Guided filter (He, Sun and Tang 2010) with a colour guide: it moves a soft mask to a photo's edges."""

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

REGULARISATION = 1e-4  # variance of the guide, 0 to 1, below which it has no edge
GAIN = 1.8  # the filter softens: its result is spread around one half by this


def guide_mask(rgb: U8, mask: F32, radius: int) -> F32:
    """Return a mask, 0 to 1, whose edges follow those of the photo.

    Args:
        rgb: The photo, (h, w, 3).
        mask: The mask, (h, w), 0 to 1.
        radius: How far an edge may be from the mask's own, in pixels.
    """
    size = (2 * radius + 1, 2 * radius + 1)

    def mean(plane: F32) -> F32:
        return np.asarray(cv2.blur(plane, size), np.float32)

    guide = [plane.astype(np.float32) / np.float32(255) for plane in cv2.split(rgb)]
    means = [mean(plane) for plane in guide]
    mask_mean = mean(mask)
    covariance = [mean(g * mask) - m * mask_mean for g, m in zip(guide, means, strict=True)]
    slopes = _solve(_guide_covariance(guide, means, size), covariance)
    offset = mask_mean - sum(slope * m for slope, m in zip(slopes, means, strict=True))
    led = mean(np.asarray(offset, np.float32)) + sum(
        mean(slope) * g for slope, g in zip(slopes, guide, strict=True)
    )
    return np.asarray(np.clip((led - 0.5) * GAIN + 0.5, 0, 1), np.float32)


def _guide_covariance(
    guide: list[F32], means: list[F32], size: tuple[int, int]
) -> dict[tuple[int, int], F32]:
    """Return the covariance of the guide's planes around each pixel, the regularisation added."""
    return {
        (i, j): cv2.blur(guide[i] * guide[j], size) - means[i] * means[j] + REGULARISATION * (i == j)
        for i in range(3)
        for j in range(i, 3)
    }


def _solve(matrix: dict[tuple[int, int], F32], right: list[F32]) -> list[F32]:
    """Return the solution of a symmetric 3 x 3 system at each pixel, by its adjugate."""
    rr, rg, rb, gg, gb, bb = (matrix[k] for k in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)))
    rows = (
        (gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb),
        (gb * rb - rg * bb, rr * bb - rb * rb, rb * rg - rr * gb),
        (rg * gb - gg * rb, rb * rg - rr * gb, rr * gg - rg * rg),
    )
    determinant = np.maximum(rows[0][0] * rr + rows[0][1] * rg + rows[0][2] * rb, 1e-12)
    return [
        np.asarray(sum(a * r for a, r in zip(row, right, strict=True)) / determinant, np.float32)
        for row in rows
    ]
