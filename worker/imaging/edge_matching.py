"""Location of a product in a picture by its edges alone, for products with too few features to match.

An edge's direction does not change with light or colour. At small size every scale and position is tried,
with one correlation of orientation fields for each scale. The best candidates are refined by translation,
scaling, stretching and rotation. A match counts only if most of the product's edges are found.
"""

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]

COARSE_PX, FINE_PX = 220, 520  # the picture's longer side, for the search and for the refinement
SCALES = 26
MIN_PRODUCT_SHARE = 0.16  # of the picture: the larger share of a side that the product takes
CANDIDATES = 4
MAX_POINTS = 1200
MIN_POINTS = 40
MIN_GRADIENT = 8.0  # in Lab levels: a smaller one is no edge
MIN_EDGE_SHARE = 0.66  # of the product's edges that must be found
MAX_DISTORTION = 0.3  # radians of rotation, and share of stretching, that are tried
MARGIN_PX = 6  # around the product's crop


def match_by_edges(photo: U8, mask: U8, picture: U8) -> F32 | None:
    """Return the affine map from the photo's product to the picture, (2, 3); None if too few edges are found.

    Args:
        photo: The product's crop, (h, w, 3).
        mask: Where the product is, (h, w).
        picture: The picture to search, (h, w, 3).
    """
    best: tuple[float, F32] | None = None
    scale = min(1.0, FINE_PX / max(picture.shape[:2]))
    field = _orientation_field(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    points, directions = _edge_points(photo, mask)
    if len(points) < MIN_POINTS:
        return None
    for candidate in _candidates(photo, mask, picture):
        start = candidate * scale
        refined = _refine(points, directions, field, start)
        share = _found_share(points, directions, field, refined)
        if best is None or share > best[0]:
            best = share, refined
    return np.asarray(best[1] / scale, np.float32) if best and best[0] > MIN_EDGE_SHARE else None


def refine_by_edges(photo: U8, mask: U8, picture: U8, affine: F32) -> F32:
    """Return an affine map, (2, 3), refined where that matches more of the product's edges.

    Args:
        photo: The product's crop, (h, w, 3).
        mask: Where the product is, (h, w).
        picture: The picture, (h, w, 3).
        affine: A map that was found by other means.
    """
    scale = min(1.0, FINE_PX / max(picture.shape[:2]))
    field = _orientation_field(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    points, directions = _edge_points(photo, mask)
    if len(points) < MIN_POINTS:
        return affine
    start = affine * scale
    refined = _refine(points, directions, field, start)
    gain = _found_share(points, directions, field, refined) > (
        _found_share(points, directions, field, start) + 0.02
    )
    return np.asarray(refined / scale, np.float32) if gain else affine


def _orientation_field(rgb: U8, mask: U8 | None = None) -> F32:
    """Return edge directions as doubled angles, (h, w, 2); a vector's length is the strength, 0 to 1.

    Doubled angles make light on dark equal to dark on light.
    """
    lab = cv2.GaussianBlur(cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab), (0, 0), 0.8).astype(np.float32)
    dx, dy = (cv2.Scharr(lab, cv2.CV_32F, *order) / 32 for order in ((1, 0), (0, 1)))
    strongest = np.hypot(dx, dy).argmax(2)[..., None]
    x, y = (np.take_along_axis(d, strongest, 2)[..., 0] for d in (dx, dy))
    strength = np.hypot(x, y)
    weight = np.clip(strength / MIN_GRADIENT - 0.4, 0, 1) / np.maximum(strength, 1e-6) ** 2
    field = np.dstack([(x * x - y * y) * weight, 2 * x * y * weight])
    return np.asarray(field if mask is None else field * (mask[..., None] > 0), np.float32)


def _on_contrast(photo: U8, mask: U8) -> tuple[U8, U8]:
    """Return the product on a contrasting background, so its outline is an edge, and its dilated mask."""
    a = mask[..., None].astype(np.float32) / 255
    inside = photo[mask > 127]
    background = 255.0 if inside.size and inside.mean() < 128 else 0.0
    rgb = cv2.copyMakeBorder(
        np.asarray(photo * a + background * (1 - a), np.uint8),
        *(MARGIN_PX,) * 4,
        cv2.BORDER_CONSTANT,
        value=(background,) * 3,
    )
    padded = cv2.copyMakeBorder(mask, *(MARGIN_PX,) * 4, cv2.BORDER_CONSTANT, value=0)
    return rgb, cv2.dilate(padded, np.ones((5, 5), np.uint8))


def _candidates(photo: U8, mask: U8, picture: U8) -> Iterator[F32]:
    """Yield maps to where the product may be, in the picture's pixels: the best positions over all scales."""
    reduction = min(1.0, COARSE_PX / max(picture.shape[:2]))
    field = _orientation_field(
        cv2.resize(picture, None, fx=reduction, fy=reduction, interpolation=cv2.INTER_AREA)
    )
    rgb, counted = _on_contrast(photo, mask)
    height, width = mask.shape
    max_scale = min(field.shape[0] / height, field.shape[1] / width) * 1.02
    found = []
    for scale in np.geomspace(max_scale * MIN_PRODUCT_SHARE, max_scale, SCALES):
        size = (round(rgb.shape[1] * scale), round(rgb.shape[0] * scale))
        if min(size) < 12 or size[0] > field.shape[1] or size[1] > field.shape[0]:
            continue
        template = _orientation_field(
            cv2.resize(rgb, size, interpolation=cv2.INTER_AREA),
            cv2.resize(counted, size, interpolation=cv2.INTER_NEAREST),
        )
        correlation = sum(
            cv2.matchTemplate(
                np.ascontiguousarray(field[..., n]), np.ascontiguousarray(template[..., n]), cv2.TM_CCORR
            )
            for n in (0, 1)
        )
        correlation = correlation / max(1.0, float((template**2).sum()))
        y, x = np.unravel_index(int(correlation.argmax()), correlation.shape)
        affine = np.array([[scale, 0, x + MARGIN_PX * scale], [0, scale, y + MARGIN_PX * scale]], np.float32)
        found.append((float(correlation[y, x]), affine / reduction))
    yield from (affine for _, affine in sorted(found, key=lambda pair: -pair[0])[:CANDIDATES])


def _edge_points(photo: U8, mask: U8) -> tuple[F32, F32]:
    """Return points on the product's edges, (n, 2), and the directions there, (n, 2), as doubled angles."""
    rgb, counted = _on_contrast(photo, mask)
    field = _orientation_field(rgb, counted)
    strength = np.hypot(field[..., 0], field[..., 1])
    y, x = np.nonzero(strength > 0.6)
    if not len(x):
        return np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32)
    sample = np.random.default_rng(0).permutation(len(x))[:MAX_POINTS]
    directions = field[y[sample], x[sample]] / strength[y[sample], x[sample]][:, None]
    points = np.stack([x[sample] - MARGIN_PX, y[sample] - MARGIN_PX], 1)
    return points.astype(np.float32), directions.astype(np.float32)


def _agreement(points: F32, directions: F32, field: F32, affine: F32) -> F32:
    """Return how well the picture's edges agree with each point's direction, -1 to 1; 0 outside."""
    at = points @ affine[:, :2].T + affine[:, 2]
    angle = np.arctan2(affine[1, 0], affine[0, 0]) * 2
    rotated = directions @ np.array(
        [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]], np.float32
    )
    sampled = cv2.remap(
        field, at[None, :, 0].astype(np.float32), at[None, :, 1].astype(np.float32), cv2.INTER_LINEAR
    )[0]
    return np.asarray((sampled * rotated).sum(1), np.float32)


def _found_share(points: F32, directions: F32, field: F32, affine: F32) -> float:
    """Return the share of the product's edge points that the picture has, within 1.5 pixels."""
    best = np.full(len(points), -1.0, np.float32)
    for x in (-1.5, 0, 1.5):
        for y in (-1.5, 0, 1.5):
            moved = affine.copy()
            moved[:, 2] += (x, y)
            best = np.maximum(best, _agreement(points, directions, field, moved))
    return float((best > 0.5).mean())


def _refine(points: F32, directions: F32, field: F32, start: F32) -> F32:
    """Return the map translated, scaled, stretched and rotated until most edges agree.

    It begins with blurred edges, which are found from further away.
    """
    centre = points.mean(0)
    spread = float(np.abs(points - centre).max())

    def adjust(change: NDArray[np.float64], affine: F32) -> F32:
        angle, x, y = np.clip(change[:3] / spread, -MAX_DISTORTION, MAX_DISTORTION) + np.array([0, 1, 1])
        distortion = np.array(
            [[x * np.cos(angle), -y * np.sin(angle)], [x * np.sin(angle), y * np.cos(angle)]]
        )
        linear = affine[:, :2] @ distortion
        shift = affine[:, :2] @ centre + affine[:, 2] + change[3:] - linear @ centre
        return np.concatenate([linear, shift[:, None]], 1).astype(np.float32)

    affine = start
    for sigma in (4.0, 1.5):
        blurred = cv2.GaussianBlur(field, (0, 0), sigma)
        result = minimize(
            lambda change, f=blurred, at=affine: (
                -float(_agreement(points, directions, f, adjust(change, at)).mean())
            ),
            np.zeros(5),
            method="Powell",
            options={"maxiter": 12, "xtol": 0.05, "ftol": 1e-4},
        )
        affine = adjust(result.x, affine)
    return affine
