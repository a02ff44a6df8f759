"""Where a cut-out product touches the ground: ground line, contact shadow, cast shadow and reflection.

Seen from the side, the ground line is one row. Seen from above (oblique), the ground under each column is the
lower convex hull of the outline: feet and rounded bases touch it, parts that hang above it do not.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from worker.imaging.feet import find_feet
from worker.imaging.lower_outline import EMPTY_RIM, LowerOutline, reduced_mask
from worker.imaging.plane_arithmetic import gaussian_blur, multiply_by_plane

F32 = NDArray[np.float32]

MAX_BASE_SLOPE = 0.48  # rows a column: where the hull rises faster, it is the product's side, not its base
CONTACT_GAP = 0.022  # of the product's size: what is that near to the ground darkens it
# The layers of the contact shadow: strength, and spread as a share of the product's size.
CORE_LAYER, SOFT_LAYER, WIDE_LAYER = (0.75, 0.008), (0.45, 0.03), (0.22, 0.09)
FOOT_HEIGHT = 0.2  # of the product's size: the part of a leg that shades the ground around its foot
BELOW_BLUR = 0.08  # of the product's size: of the shade between its feet
CAST_BLURS = (0.006, 0.02, 0.05)  # of the product's height: near the product, between, and at the far end
MIN_VISIBLE_SHADE = 0.002  # of the light: a layer is not computed where it takes less


def ground_line(alpha: F32, *, oblique: bool) -> F32:
    """Return the row of the ground under each column, (w,).

    Args:
        alpha: (h, w), 0 to 1; not empty.
        oblique: The product is seen from above.
    """
    columns, bottom = _bottom_rows(alpha)
    foot = float(bottom.max()) + 1
    if not oblique or len(columns) < 3:
        return np.full(alpha.shape[1], foot, np.float32)
    hull = cv2.convexHull(np.stack([columns, bottom], 1).astype(np.float32))[:, 0]
    left, right = hull[hull[:, 0].argmin()], hull[hull[:, 0].argmax()]
    chord = left[1] + (hull[:, 0] - left[0]) / max(1.0, right[0] - left[0]) * (right[1] - left[1])
    lower = hull[hull[:, 1] >= chord - 1e-3]
    lower = lower[lower[:, 0].argsort(kind="stable")]
    x = np.arange(alpha.shape[1])
    row = np.interp(x, lower[:, 0], lower[:, 1])
    lowest = int(row.argmax())
    rise = max(MAX_BASE_SLOPE, _base_slope(alpha)) * np.abs(x - lowest)
    # outwards from the lowest point, the line never rises faster than a base does
    for side in (slice(lowest, None), slice(lowest, None, -1)):
        row[side] = np.maximum.accumulate(row[side] + rise[side]) - rise[side]
    return (row + 1).astype(np.float32)


def _base_slope(alpha: F32) -> float:
    """Return how steeply the base rises where the outline shows both of its sides, e.g. of a box; else 0."""
    part = _product_part(alpha)
    if part is None:
        return 0.0
    return LowerOutline(reduced_mask(np.asarray(alpha[part] * 255, np.uint8))).base_slope()


def shadows_of_feet(alpha: F32) -> tuple[F32, F32] | None:
    """Return contact shadows and the shade below a product, each (h, w), 0 to 1, by four feet that are seen.

    The ground line of a column is that of what is nearest to the viewer, so a foot behind has none; and
    between feet the line says little. None where the outline does not show four feet.
    """
    part = _product_part(alpha)
    if part is None:
        return None
    mask = reduced_mask(np.asarray(alpha[part] * 255, np.uint8))
    feet = find_feet(mask)
    if feet is None:
        return None
    top, left, size = part[0].start, part[1].start, _size(alpha)
    factor = (part[1].stop - left) / (mask.shape[1] - 2 * EMPTY_RIM)
    places = (np.array(feet) - EMPTY_RIM + 0.5) * factor + (left, top)
    remaining = np.ones_like(alpha)
    for x, y in places:
        foot = _foot_alone(alpha, round(x), round(y), max(2, round(FOOT_HEIGHT * size)))
        if foot.any():
            remaining *= 1 - contact_shadow(foot, ground_line(foot, oblique=True), oblique=True, size=size)
    base = np.zeros(alpha.shape, np.uint8)
    cv2.fillConvexPoly(base, cv2.convexHull(np.round(places).astype(np.int32)), 255, cv2.LINE_AA)
    below = gaussian_blur(base.astype(np.float32) / np.float32(255), BELOW_BLUR * size)
    return np.asarray(1 - remaining, np.float32), below


def _foot_alone(alpha: F32, column: int, row: int, height: int) -> F32:
    """Return the part of a product that is joined to a foot and at most `height` above it, else 0."""
    rows = slice(max(0, row - height), min(len(alpha), row + height // 4 + 1))
    solid = (alpha[rows] > 0.5).astype(np.uint8)
    _, labels = cv2.connectedComponents(solid)
    near = labels[
        max(0, len(labels) - height // 2) :, max(0, column - height // 4) : column + height // 4 + 1
    ]
    alone, found = np.zeros_like(alpha), np.unique(near[near > 0])
    if len(found):
        alone[rows] = np.where(np.isin(labels, found), alpha[rows], 0)
    return alone


def _product_part(alpha: F32) -> tuple[slice, slice] | None:
    """Return the rows and columns of the product; None where there is none."""
    rows, columns = (np.flatnonzero((alpha > 0.5).any(axis)) for axis in (1, 0))
    if not len(rows):
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def contact_shadow(alpha: F32, ground: F32, *, oblique: bool, size: float | None = None) -> F32:
    """Return the share of light that the product takes from the ground around it, (h, w), 0 to 1.

    It is dark where the product touches the ground, and fades from there.

    Args:
        alpha: (h, w), 0 to 1.
        ground: The row of the ground under each column, (w,).
        oblique: The product is seen from above.
        size: Of the product in pixels, where `alpha` is a part of it.
    """
    columns, bottom = _bottom_rows(alpha)
    size = size or _size(alpha)
    gap = np.full(alpha.shape[1], np.inf)
    gap[columns] = np.maximum(ground[columns] - 1 - bottom, 0)
    touching = np.exp(-0.5 * (gap / max(1.0, CONTACT_GAP * size)) ** 2)
    above = np.where(np.isfinite(gap), np.exp(-gap / (0.3 * size)), 0)
    # seen from above, the ground under the product is deeper than the ground in front of it
    behind = 2.2 if oblique else 1.5
    light = np.ones_like(alpha)
    for (strength, spread), along in ((CORE_LAYER, touching), (SOFT_LAYER, touching), (WIDE_LAYER, above)):
        reach = max(0.8, spread * size)
        profile = gaussian_filter1d(along.astype(np.float32), 0.7 * reach, mode="constant")
        sigma_above, sigma_below = np.float32(behind * reach), np.float32(0.6 * reach)
        visible_sigmas = float(np.sqrt(2 * np.log(strength / MIN_VISIBLE_SHADE)))
        first = max(0, int(ground.min() - visible_sigmas * sigma_above))
        last = min(len(alpha), int(ground.max() + visible_sigmas * sigma_below) + 1)
        below = np.arange(first, last, dtype=np.float32)[:, None] - ground + 1
        fall = np.exp(np.float32(-0.5) * (below / np.where(below < 0, sigma_above, sigma_below)) ** 2)
        light[first:last] *= 1 - np.float32(strength) * profile * fall
    return np.asarray(cv2.threshold(1 - light, 0.012, 0, cv2.THRESH_TOZERO)[1], np.float32)


def cast_shadow(alpha: F32, ground: F32, *, aside: float, back: float) -> F32:
    """Return the shadow of the outline on the ground, (h, w), 0 to 1, softer the farther it falls.

    Args:
        alpha: (h, w), 0 to 1.
        ground: The row of the ground under each column, (w,).
        aside: How far to the right the shadow of a point falls, as a share of the point's height.
        back: How far away from the viewer it falls, as a share of the point's height.
    """
    height, width = alpha.shape
    foot, product_height = float(ground.max()), int(np.count_nonzero((alpha > 0.5).any(1)))
    upright = _shift_columns(alpha, ground - foot)
    reach = 4 * CAST_BLURS[-1] * product_height
    # the rows that the shadow can fall on
    first, last = max(0, int(foot - back * product_height - reach)), min(height, int(foot + reach) + 1)
    warp = np.array([[1, -aside, aside * foot], [0, back, foot * (1 - back) - first]], np.float32)
    projected = cv2.warpAffine(upright, warp, (width, last - first), flags=cv2.INTER_AREA)
    projected[max(0, round(foot) + 2 - first) :] = 0
    blurs = [gaussian_blur(projected, sigma * product_height) for sigma in CAST_BLURS]
    distance = np.clip(
        (foot - np.arange(first, last, dtype=np.float32)[:, None]) / max(1.0, back * product_height), 0, 1
    )
    near, far = (np.asarray(np.clip(r, 0, 1), np.float32) for r in (1 - distance * 2.5, distance * 1.6 - 0.5))
    shadow = np.zeros_like(alpha)
    shadow[first:last] = (blurs[0] * near + blurs[1] * (1 - near) * (1 - far) + blurs[2] * far) * (
        1 - 0.45 * distance
    )
    return _shift_columns(shadow, foot - ground)


def reflection(light: F32, alpha: F32, ground: F32, *, gloss: float, reach: float) -> tuple[F32, F32]:
    """Return the product's reflection in a polished ground.

    Args:
        light: Linear colour times alpha, (h, w, 3).
        alpha: (h, w), 0 to 1.
        ground: The row of the ground under each column, (w,).
        gloss: The strength of the reflection where it begins, 0 to 1.
        reach: Pixels within which it fades to nothing.

    Returns:
        Linear colour, (h, w, 3), and its share of the ground's light, (h, w).
    """
    blur = max(0.8, 0.02 * reach)
    # the rows that the reflection can fall on
    first = max(0, int(ground.min() - 4 * blur))
    last = min(len(alpha), int(ground.max() + reach + 4 * blur) + 1)
    rows = np.arange(first, last, dtype=np.float32)[:, None]
    source = np.asarray(2 * ground - 1 - rows, np.float32)
    columns = np.broadcast_to(np.arange(alpha.shape[1], dtype=np.float32), source.shape)
    depth = rows - ground + 1
    share = cv2.remap(alpha, columns, source, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    fading = np.where(depth > 0, np.clip(1 - depth / np.float32(reach), 0, 1), 0) * np.float32(gloss)
    colour = cv2.remap(light, columns, source, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    weighted, weight = (
        cv2.GaussianBlur(p, (0, 0), blur)
        for p in (multiply_by_plane(np.asarray(colour, np.float32), fading), share * fading)
    )
    mirror, shares = np.zeros_like(light), np.zeros_like(alpha)
    mirror[first:last] = multiply_by_plane(weighted, 1 / np.maximum(weight, np.float32(1e-4)))
    shares[first:last] = weight
    return mirror, shares


def _bottom_rows(alpha: F32) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the columns that are not empty, and the lowest row of each."""
    solid = alpha > 0.5
    if not solid.any():
        solid = alpha >= alpha.max()
    columns = np.flatnonzero(solid.any(0))
    return columns, solid.shape[0] - 1 - solid[::-1, columns].argmax(0)


def _size(alpha: F32) -> float:
    """Return the side of a square with the area of the product's box, in pixels."""
    solid = alpha > 0.5
    rows, columns = np.count_nonzero(solid.any(1)), np.count_nonzero(solid.any(0))
    return float(max(1, int(rows)) * max(1, int(columns))) ** 0.5


def _shift_columns(plane: F32, rows: F32) -> F32:
    """Return a plane with each column moved up by its own number of rows."""
    if not rows.any():
        return plane
    height, width = plane.shape
    columns = np.broadcast_to(np.arange(width, dtype=np.float32), plane.shape)
    source = (np.arange(height, dtype=np.float32)[:, None] + rows).astype(np.float32)
    return np.asarray(
        cv2.remap(plane, columns, source, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT), np.float32
    )
