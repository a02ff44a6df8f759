"""Which way a product faces that was walked around: its box is the tightest, and fits the record."""

import numpy as np
from numpy.typing import NDArray

from dam_connector.domain.product import Dimensions

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

STEP_DEG = 1
BORDER_PERCENT = 0.2  # of the cells that may be outside of the box on each side: noise
SQUARE = 0.05  # logarithm of width by depth up to which a product may face four ways
AREA_WEIGHT = 0.5  # of the box's area against its proportions, both as logarithms


def find_yaw(points: F32, dimensions: Dimensions) -> float:
    """Return the angle in radians from +Z towards +X at which the product's front is.

    Of the sides that fit, the one nearest to +Z, from where the first photo was taken, is the front.

    Args:
        points: (n, 3) inside the product.
        dimensions: The product's, as far as they are known.
    """
    angles = np.radians(np.arange(0, 180, STEP_DEG))
    sides = np.array([box_sides(points, angle) for angle in angles])
    penalty = AREA_WEIGHT * np.log(sides.prod(1) / sides.prod(1).min())
    is_square = True
    if dimensions.width_m and dimensions.depth_m:
        wanted = float(np.log(dimensions.width_m / dimensions.depth_m))
        penalty = penalty + np.abs(np.log(sides[:, 0] / sides[:, 1]) - wanted)
        is_square = abs(wanted) < SQUARE
    best = float(angles[penalty.argmin()])
    ways = np.array([best + np.pi / 2 * k for k in range(0, 4, 1 if is_square else 2)])
    around = (ways + np.pi) % (2 * np.pi) - np.pi
    return float(around[np.abs(around).argmin()])


def box_sides(points: F32, yaw: float) -> tuple[float, float]:
    """Return width and depth of the points' box, seen from an angle."""
    across = points[:, 0] * np.cos(yaw) - points[:, 2] * np.sin(yaw)
    along = points[:, 0] * np.sin(yaw) + points[:, 2] * np.cos(yaw)
    percents = (BORDER_PERCENT, 100 - BORDER_PERCENT)
    return float(np.ptp(np.percentile(across, percents))), float(np.ptp(np.percentile(along, percents)))
