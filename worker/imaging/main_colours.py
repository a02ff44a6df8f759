"""The main colours of a product: clusters in CIELAB, and which of them another colour of it changes."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

CLUSTERS = 6
MAX_SAMPLES = 20_000
# Light changes L* of one surface more than its a* and b*: distances count it less.
METRIC = np.array([0.4, 1.0, 1.0])
SAME_PART = 8.0  # in the metric: closer clusters of two products are one colour
SHADE = 20.0  # clusters closer to the main one are its shades and lights
MIN_SHARE = 0.02  # of a product; smaller clusters are edges and highlights
SOFTNESS = 6.0  # in the metric, of the border between clusters
_RNG_SEED = 1


@dataclass(frozen=True, slots=True)
class MainColours:
    """The clusters of a product's colours, the largest first."""

    centres: F64  # (k, 3) CIELAB
    shares: F64  # (k,) of the product
    samples: F64  # (n, 3) CIELAB, which they were found in
    labels: NDArray[np.int64]  # (n,) the cluster of each sample


def to_lab(rgb: NDArray[np.uint8]) -> F64:
    """Return sRGB bytes (..., 3) in CIELAB."""
    flat = rgb.reshape(-1, 1, 3).astype(np.float32) / 255
    return np.asarray(cv2.cvtColor(flat, cv2.COLOR_RGB2LAB), np.float64).reshape(rgb.shape)


def to_rgb(lab: F64) -> NDArray[np.uint8]:
    """Return CIELAB colours (..., 3) as sRGB bytes; what sRGB does not have is clipped."""
    flat = cv2.cvtColor(lab.reshape(-1, 1, 3).astype(np.float32), cv2.COLOR_LAB2RGB)
    return np.asarray(np.clip(flat, 0, 1) * 255 + 0.5, np.uint8).reshape(lab.shape)


def to_hex(lab: F64) -> str:
    """Return a CIELAB colour as `#rrggbb`."""
    red, green, blue = to_rgb(lab)
    return f"#{red:02x}{green:02x}{blue:02x}"


def main_colours(lab: F64) -> MainColours:
    """Return the clusters of colours (n, 3) in CIELAB; the same colours always give the same clusters."""
    samples = lab[:: max(1, len(lab) // MAX_SAMPLES)]
    count = min(CLUSTERS, len(np.unique(samples.round(1), axis=0)))
    cv2.setRNGSeed(_RNG_SEED)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 40, 0.2)
    _, found, centres = cv2.kmeans(
        (samples * METRIC).astype(np.float32),
        count,
        np.zeros((len(samples), 1), np.int32),
        criteria,
        3,
        cv2.KMEANS_PP_CENTERS,
    )
    shares = np.bincount(found.ravel(), minlength=count) / len(samples)
    order = np.argsort(-shares)
    rank = np.argsort(order)
    return MainColours(
        np.asarray(centres[order] / METRIC, np.float64), shares[order], samples, rank[found.ravel()]
    )


def ordered_by(colours: MainColours, seen: F64) -> MainColours:
    """Return clusters ordered by their shares of other colours (n, 3), e.g. of what a render shows."""
    found = _distances(seen, colours.centres).argmin(1)
    shares = np.bincount(found, minlength=len(colours.centres)) / max(1, len(seen))
    order = np.argsort(-shares, kind="stable")
    rank = np.argsort(order)
    return MainColours(colours.centres[order], shares[order], colours.samples, rank[colours.labels])


def changed_clusters(before: MainColours, after: MainColours) -> tuple[NDArray[np.bool_], F64]:
    """Return which clusters of a product another colour of it does not have, and what it has instead.

    Shades of the main colour change with it. A part that both have, e.g. black legs, stays.

    Returns:
        A flag for each cluster of `before`, and the median CIELAB colour in `after`.
    """
    away = _distances(before.centres, before.centres[:1])[:, 0]
    is_other_part = (away > SHADE) | (np.arange(len(away)) == 0)
    gaps = _distances(before.centres, after.centres)
    gaps[:, after.shares < MIN_SHARE] = np.inf
    stays = is_other_part & (gaps.min(1) < SAME_PART)
    if stays[0]:
        stays = is_other_part & stays | (away <= SHADE)
    if stays.all():
        return main_clusters(before), np.median(after.samples, axis=0)
    is_new = ~(gaps[stays].min(0) < SAME_PART) if stays.any() else np.ones(len(after.centres), bool)
    chosen = is_new[after.labels] if is_new.any() else np.ones(len(after.labels), bool)
    return ~stays, np.median(after.samples[chosen], axis=0)


def main_clusters(colours: MainColours) -> NDArray[np.bool_]:
    """Return a flag for each cluster: whether it is the main colour or a shade of it."""
    return _distances(colours.centres, colours.centres[:1])[:, 0] <= SHADE


def median_of(colours: MainColours, clusters: NDArray[np.bool_]) -> F64:
    """Return the median CIELAB colour of some clusters."""
    return np.asarray(np.median(colours.samples[clusters[colours.labels]], axis=0), np.float64)


def recoloured(
    rgb: NDArray[np.uint8], colours: MainColours, clusters: NDArray[np.bool_], change: tuple[F64, F64]
) -> NDArray[np.uint8]:
    """Return a picture (h, w, 3) with the colours of some clusters shifted in CIELAB; its structure stays.

    Args:
        rgb: The picture, sRGB.
        colours: The clusters of its product.
        clusters: Those to shift.
        change: The CIELAB colours from which to which they are shifted.
    """
    result = np.empty_like(rgb)
    for row in range(0, len(rgb), 128):  # a texture of 4096 px would need gigabytes at once
        band = rgb[row : row + 128]
        lab = to_lab(band)
        distances = _distances(lab.reshape(-1, 3), colours.centres) ** 2 / (2 * SOFTNESS**2)
        nearness = np.exp(distances.min(1, keepdims=True) - distances)
        weight = nearness[:, clusters].sum(1) / nearness.sum(1)
        mixed = lab + weight.reshape(*lab.shape[:2], 1) * (_shifted(lab, *change) - lab)
        result[row : row + 128] = to_rgb(mixed)
    return result


def _shifted(lab: F64, start: F64, end: F64) -> F64:
    """Return colours as far from `end` as they are from `start`.

    Lightness spreads less around a darker colour. Chroma that comes and goes with the light, along the hue of
    `start`, does so along the hue of `end`.
    """
    spread = float(np.clip(end[0] / max(start[0], 1.0), 0.4, 1.0))
    lightness = end[0] + (lab[..., 0] - start[0]) * spread
    hue, strength = start[1:], float(start[1:] @ start[1:])
    along = np.clip(lab[..., 1:] @ hue / strength, 0, 1.5) if strength > 64 else np.ones(lab.shape[:-1])
    rest = lab[..., 1:] - along[..., None] * hue
    chroma = along[..., None] * end[1:] + rest * spread
    return np.concatenate([np.clip(lightness, 0, 100)[..., None], chroma], axis=-1)


def _distances(one: F64, two: F64) -> F64:
    return np.asarray(np.linalg.norm((one[:, None] - two[None]) * METRIC, axis=2), np.float64)
