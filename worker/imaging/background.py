"""Estimation of a photo's background: its colour at every pixel, behind the product too, and its noise."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]

BORDER_SHARE = 0.03  # of the shorter side: the width of the border that is taken for background
FIT_STRIDE = 6  # the surface is fitted to every sixth pixel of every sixth row
MAX_STATISTICS_SAMPLES = 4_000  # values are enough to estimate a spread
MIN_PIXELS_FOR_STRIDE = 12_000  # with fewer known pixels than this, all of them are used
MIN_SPREAD = 0.4  # Lab units: less than 8 bits can resolve
PLAIN_TOLERANCE_LEVELS = 1  # of a channel: how far the border of a one-coloured background may vary
DIFFERENT_LEVELS = 3  # of a channel: a pixel that is further off is certainly no background
ALIGNMENT_PX = 8  # regions begin and end at multiples of this, so that reduced pictures have whole pixels
PLAIN_LAB_TOLERANCE = 0.5  # Lab units within which PLAIN_PERCENTILE of a one-coloured background lie
PLAIN_PERCENTILE = 98


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """The fitted background of a picture."""

    surface: F32  # (h, w, 3), Lab
    noise: tuple[float, float]  # standard deviation of lightness and of chroma around the surface, Lab units
    is_plain: bool = False  # of one colour


def border_mask(shape: tuple[int, ...]) -> Mask:
    """Return a mask, (h, w), of the border of a picture of this shape."""
    width = _border_width(shape)
    border = np.ones(shape[:2], bool)
    border[width:-width, width:-width] = False
    return border


def _border_width(shape: tuple[int, ...]) -> int:
    return max(2, round(BORDER_SHARE * min(shape[:2])))


def content_region(rgb: NDArray[np.uint8], margin: int) -> tuple[slice, slice]:
    """Return the rows and columns outside of which a photo shows background alone.

    The whole photo is returned unless its border is of one colour.

    Args:
        rgb: The photo, (h, w, 3).
        margin: Pixels to add on each side.
    """
    everywhere = slice(0, rgb.shape[0]), slice(0, rgb.shape[1])
    rim = _border_width(rgb.shape)
    border = np.vstack([side.reshape(-1, 3) for side in (rgb[:rim], rgb[-rim:], rgb[:, :rim], rgb[:, -rim:])])
    colour = np.median(border[:: 1 + len(border) // MAX_STATISTICS_SAMPLES], axis=0)
    alike = cv2.inRange(border[None], colour - PLAIN_TOLERANCE_LEVELS, colour + PLAIN_TOLERANCE_LEVELS)
    if alike.mean() < 255 * PLAIN_PERCENTILE / 100:
        return everywhere
    different = cv2.bitwise_not(cv2.inRange(rgb, colour - DIFFERENT_LEVELS, colour + DIFFERENT_LEVELS))
    left, top, width, height = cv2.boundingRect(different)
    spans = ((top, height, rgb.shape[0]), (left, width, rgb.shape[1]))
    rows, columns = (
        slice(
            max(0, start - margin) // ALIGNMENT_PX * ALIGNMENT_PX,
            min(whole, -(-(start + length + margin) // ALIGNMENT_PX) * ALIGNMENT_PX),
        )
        for start, length, whole in spans
    )
    return (rows, columns) if width else everywhere


def fit_background(lab: F32, known: Mask, order: int) -> Background:
    """Fit a polynomial surface to the pixels that are known to be background.

    Outliers, shadows first of all, are left out.

    Args:
        lab: The picture, (h, w, 3), Lab.
        known: Which pixels are background, (h, w).
        order: The order of the polynomial.
    """
    xs, ys = (
        _powers(np.linspace(-1, 1, count, dtype=np.float32), order) for count in (lab.shape[1], lab.shape[0])
    )
    step = 1 if np.count_nonzero(known) < MIN_PIXELS_FOR_STRIDE else FIT_STRIDE
    rows, columns = (index * step for index in np.nonzero(known[::step, ::step]))
    values = lab[rows, columns]
    median = np.median(values[:: 1 + len(values) // MAX_STATISTICS_SAMPLES], axis=0).astype(np.float32)
    if np.percentile(np.abs(values - median).max(1), PLAIN_PERCENTILE) < PLAIN_LAB_TOLERANCE:
        return Background(
            surface=np.full_like(lab, median),
            noise=_noise(np.asarray(values - median, np.float32)),
            is_plain=True,
        )
    terms = np.stack([xs[columns, i] * ys[rows, j] for i, j in _degrees(order)], -1)
    coefficients, inlier = _fit_robustly(terms, values)
    return Background(
        surface=_evaluate(coefficients, xs, ys),
        noise=_noise(np.asarray((values - terms @ coefficients)[inlier], np.float32)),
    )


def _noise(residuals: F32) -> tuple[float, float]:
    some = residuals[:: 1 + len(residuals) // MAX_STATISTICS_SAMPLES]
    return _deviation(np.abs(some[:, 0])), _deviation(np.hypot(some[:, 1], some[:, 2]))


def _fit_robustly(terms: F32, values: F32) -> tuple[F32, Mask]:
    """Return the coefficients, (terms, 3), and which values are inliers, by reweighted least squares."""
    inlier = np.abs(values - np.median(values, axis=0)).max(1) <= 25  # not a product that reaches the frame
    if inlier.mean() < 0.4:
        inlier[:] = True
    coefficients = np.zeros((terms.shape[1], 3), np.float32)
    for _ in range(6):
        weighted = terms * inlier[:, None]
        square = (weighted.T @ terms).astype(np.float64) + 1e-4 * np.eye(terms.shape[1])
        coefficients = np.linalg.solve(square, (weighted.T @ values).astype(np.float64)).astype(np.float32)
        residual = values - terms @ coefficients
        lightness = max(MIN_SPREAD, _spread(residual[inlier, 0]))
        chroma = max(MIN_SPREAD, _spread(residual[inlier, 1:].ravel()))
        inlier = (
            (residual[:, 0] < 3 * lightness)
            & (residual[:, 0] > -2.5 * lightness)
            & (np.hypot(residual[:, 1], residual[:, 2]) < 4 * chroma)
        )
        if not inlier.any():
            inlier[:] = True
    return coefficients, inlier


def _evaluate(coefficients: F32, xs: F32, ys: F32) -> F32:
    """Return the polynomial at every pixel: a power of y times a power of x is a column times a row."""
    order = xs.shape[1] - 1
    square = np.zeros((3, order + 1, order + 1), np.float32)
    for (i, j), of_term in zip(_degrees(order), coefficients, strict=True):
        square[:, j, i] = of_term
    return np.asarray(cv2.merge([ys @ plane @ xs.T for plane in square]), np.float32)


def _powers(coordinates: F32, order: int) -> F32:
    """Return the powers 0 to `order` of each coordinate, (n, order + 1)."""
    return np.asarray(coordinates[:, None] ** np.arange(order + 1, dtype=np.float32), np.float32)


def _degrees(order: int) -> list[tuple[int, int]]:
    """Return the powers of x and of y in each term."""
    return [(i, j) for i in range(order + 1) for j in range(order + 1 - i)]


def _spread(values: F32) -> float:
    """Return the standard deviation by the median absolute deviation, which outliers do not move."""
    some = values[:: 1 + len(values) // MAX_STATISTICS_SAMPLES]
    return 1.4826 * float(np.median(np.abs(some - np.median(some))))


def _deviation(magnitudes: F32) -> float:
    """Return the standard deviation for which 98 % of the values lie within 2.33 of it.

    It is larger than the median's estimate where a codec left blocks.
    """
    return float(np.percentile(magnitudes, 98)) / 2.33 if len(magnitudes) else 0.0
