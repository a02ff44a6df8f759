"""How a cut-out product stands: its ground line, the shadow where it touches, the shadow it casts, its mirror image.

Seen from the side, all of it stands on one row. Seen from above (oblique), the ground under each column is the lower hull
of the outline: feet and rounded bases lie on it, what hangs above does not.
"""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from worker.imaging.plane_arithmetic import gaussian_blur, multiply_by_plane

F32 = NDArray[np.float32]

STEEPEST = 0.48  # rows a column: where a hull rises faster, it is the product's side, no longer its base
TOUCHES = 0.022  # of the product's size: what is that near to the ground darkens it
CORE, SOFT, WIDE = (
    (0.75, 0.008),
    (0.45, 0.03),
    (0.22, 0.09),
)  # strength, and spread as a share of the product's size
SOFTEST = 0.05  # of the product's height: how far a shadow that falls far is blurred
UNSEEN = 0.002  # of the light: what takes less is not looked at


def ground_line(alpha: F32, *, oblique: bool) -> F32:
    """The row of the ground under each column, (w,) float32. alpha: (h, w), 0 to 1, of a picture with something in it."""
    columns, bottom = _bottom(alpha)
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
    rise = STEEPEST * np.abs(x - lowest)
    for side in (
        slice(lowest, None),
        slice(lowest, None, -1),
    ):  # outwards, never rising faster than a base does
        row[side] = np.maximum.accumulate(row[side] + rise[side]) - rise[side]
    return (row + 1).astype(np.float32)


def contact_shadow(alpha: F32, ground: F32, *, oblique: bool) -> F32:
    """How much light the product takes from the ground around it, (h, w) 0 to 1: dark where it touches, fading from there."""
    columns, bottom = _bottom(alpha)
    size = _size(alpha)
    gap = np.full(alpha.shape[1], np.inf)
    gap[columns] = np.maximum(ground[columns] - 1 - bottom, 0)
    touching = np.exp(-0.5 * (gap / max(1.0, TOUCHES * size)) ** 2)
    above = np.where(np.isfinite(gap), np.exp(-gap / (0.3 * size)), 0)
    behind = (
        2.2 if oblique else 1.5
    )  # seen from above, the ground under the product is deeper than it is in front
    light = np.ones_like(alpha)
    for (strength, spread), along in ((CORE, touching), (SOFT, touching), (WIDE, above)):
        reach = max(0.8, spread * size)
        profile = gaussian_filter1d(along.astype(np.float32), 0.7 * reach, mode="constant")
        above_it, below_it, far = (
            np.float32(behind * reach),
            np.float32(0.6 * reach),
            float(np.sqrt(2 * np.log(strength / UNSEEN))),
        )
        first, last = (
            max(0, int(ground.min() - far * above_it)),
            min(len(alpha), int(ground.max() + far * below_it) + 1),
        )
        below = np.arange(first, last, dtype=np.float32)[:, None] - ground + 1
        fall = np.exp(np.float32(-0.5) * (below / np.where(below < 0, above_it, below_it)) ** 2)
        light[first:last] *= 1 - np.float32(strength) * profile * fall
    return np.asarray(cv2.threshold(1 - light, 0.012, 0, cv2.THRESH_TOZERO)[1], np.float32)


def cast_shadow(alpha: F32, ground: F32, *, aside: float, back: float) -> F32:
    """The outline laid on the ground, (h, w) 0 to 1, softer the farther it falls.

    aside, back: where the shadow of a point falls, as a share of the point's height: to the right, and away from the viewer.
    """
    height, width = alpha.shape
    foot, tall = float(ground.max()), int(np.count_nonzero((alpha > 0.5).any(1)))
    upright = _shifted(alpha, ground - foot)
    reach = 4 * SOFTEST * tall
    first, last = (
        max(0, int(foot - back * tall - reach)),
        min(height, int(foot + reach) + 1),
    )  # it falls nowhere else
    warp = np.array([[1, -aside, aside * foot], [0, back, foot * (1 - back) - first]], np.float32)
    laid = cv2.warpAffine(upright, warp, (width, last - first), flags=cv2.INTER_AREA)
    laid[max(0, round(foot) + 2 - first) :] = 0
    soft = [gaussian_blur(laid, s * tall) for s in (0.006, 0.02, SOFTEST)]
    rows = np.clip((foot - np.arange(first, last, dtype=np.float32)[:, None]) / max(1.0, back * tall), 0, 1)
    near, far = (np.asarray(np.clip(r, 0, 1), np.float32) for r in (1 - rows * 2.5, rows * 1.6 - 0.5))
    shadow = np.zeros_like(alpha)
    shadow[first:last] = (soft[0] * near + soft[1] * (1 - near) * (1 - far) + soft[2] * far) * (
        1 - 0.45 * rows
    )
    return _shifted(shadow, foot - ground)


def reflection(light: F32, alpha: F32, ground: F32, *, gloss: float, reach: float) -> tuple[F32, F32]:
    """What a polished ground shows of the product, linear colour, and how much of it, fading within `reach` pixels. light: colour times alpha."""
    blur = max(0.8, 0.02 * reach)
    first, last = (
        max(0, int(ground.min() - 4 * blur)),
        min(len(alpha), int(ground.max() + reach + 4 * blur) + 1),
    )  # it lies nowhere else
    rows = np.arange(first, last, dtype=np.float32)[:, None]
    source = np.asarray(2 * ground - 1 - rows, np.float32)
    columns = np.broadcast_to(np.arange(alpha.shape[1], dtype=np.float32), source.shape)
    depth = rows - ground + 1
    share = cv2.remap(alpha, columns, source, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    fading = np.where(depth > 0, np.clip(1 - depth / np.float32(reach), 0, 1), 0) * np.float32(gloss)
    colour = cv2.remap(light, columns, source, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    shown, soft = (
        cv2.GaussianBlur(p, (0, 0), blur)
        for p in (multiply_by_plane(np.asarray(colour, np.float32), fading), share * fading)
    )
    mirror, shares = np.zeros_like(light), np.zeros_like(alpha)
    mirror[first:last], shares[first:last] = multiply_by_plane(shown, 1 / np.maximum(soft, np.float32(1e-4))), soft
    return mirror, shares


def _bottom(alpha: F32) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The columns that hold something, and the lowest row of each."""
    solid = alpha > 0.5
    if not solid.any():
        solid = alpha >= alpha.max()
    columns = np.flatnonzero(solid.any(0))
    return columns, solid.shape[0] - 1 - solid[::-1, columns].argmax(0)


def _size(alpha: F32) -> float:
    """The side of a square as large as the product's box, in pixels."""
    solid = alpha > 0.5
    rows, columns = np.count_nonzero(solid.any(1)), np.count_nonzero(solid.any(0))
    return float(max(1, int(rows)) * max(1, int(columns))) ** 0.5


def _shifted(picture: F32, rows: F32) -> F32:
    """The picture with each column moved up by so many rows."""
    if not rows.any():
        return picture
    height, width = picture.shape
    columns = np.broadcast_to(np.arange(width, dtype=np.float32), picture.shape)
    source = np.arange(height, dtype=np.float32)[:, None] + rows
    return np.asarray(
        cv2.remap(
            picture, columns, source.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
        ),
        np.float32,
    )
