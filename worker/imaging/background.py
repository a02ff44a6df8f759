"""The background of a product photo: its colour at every pixel, behind the product too, and how noisy it is."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]

BORDER = 0.03  # of the shorter side
STRIDE = 6  # the surface is fitted to every sixth pixel of every sixth row
TOLD_BY = 4_000  # values are enough to tell how far they are spread
ENOUGH = 12_000  # fewer known pixels than this are all taken
LEAST_SPREAD = 0.4  # Lab units: finer than what 8 bits tell apart
PLAIN_LEVELS, UNLIKE_LEVELS = (
    1,
    3,
)  # of a channel: what a rim of one colour keeps within, and what is surely none of it
EVEN = 8  # pixels: a part begins and ends where a smaller picture's pixels do
PLAIN, SHARE = (
    0.5,
    98,
)  # Lab units within which so many in a hundred values lie where the background is of one colour


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """surface: (h, w, 3) float32 Lab. noise: one standard deviation of lightness and of chroma about it, Lab units. plain: of one colour."""

    surface: F32
    noise: tuple[float, float]
    is_plain: bool = False


def border_mask(shape: tuple[int, ...]) -> Mask:
    """The picture's rim, (h, w)."""
    rim = _rim(shape)
    border = np.ones(shape[:2], bool)
    border[rim:-rim, rim:-rim] = False
    return border


def _rim(shape: tuple[int, ...]) -> int:
    return max(2, round(BORDER * min(shape[:2])))


def content_region(rgb: NDArray[np.uint8], room: int) -> tuple[slice, slice]:
    """The part of a photo, with so many pixels of room, beyond which it shows its ground alone: all of it, unless its rim is of one colour."""
    everywhere = slice(0, rgb.shape[0]), slice(0, rgb.shape[1])
    rim = _rim(rgb.shape)
    frame = np.vstack([side.reshape(-1, 3) for side in (rgb[:rim], rgb[-rim:], rgb[:, :rim], rgb[:, -rim:])])
    paper = np.median(frame[:: 1 + len(frame) // TOLD_BY], axis=0)
    if cv2.inRange(frame[None], paper - PLAIN_LEVELS, paper + PLAIN_LEVELS).mean() < 255 * SHARE / 100:
        return everywhere
    unlike = cv2.bitwise_not(cv2.inRange(rgb, paper - UNLIKE_LEVELS, paper + UNLIKE_LEVELS))
    left, top, width, height = cv2.boundingRect(unlike)
    spans = ((top, height, rgb.shape[0]), (left, width, rgb.shape[1]))
    rows, columns = (
        slice(max(0, a - room) // EVEN * EVEN, min(most, -(-(a + n + room) // EVEN) * EVEN))
        for a, n, most in spans
    )
    return (rows, columns) if width else everywhere


def fit_background(lab: F32, known: Mask, order: int) -> Background:
    """The polynomial surface of an order through the pixels known to be background; outliers, shadows first of all, are left out."""
    xs, ys = (
        _powers(np.linspace(-1, 1, count, dtype=np.float32), order) for count in (lab.shape[1], lab.shape[0])
    )
    step = 1 if np.count_nonzero(known) < ENOUGH else STRIDE
    rows, columns = (at * step for at in np.nonzero(known[::step, ::step]))
    values = lab[rows, columns]
    middle = np.median(values[:: 1 + len(values) // TOLD_BY], axis=0).astype(np.float32)
    if np.percentile(np.abs(values - middle).max(1), SHARE) < PLAIN:
        return Background(
            surface=np.full_like(lab, middle),
            noise=_noise(np.asarray(values - middle, np.float32)),
            is_plain=True,
        )
    terms = np.stack([xs[columns, i] * ys[rows, j] for i, j in _degrees(order)], -1)
    coefficients, inlier = _robust(terms, values)
    return Background(
        surface=_surface(coefficients, xs, ys),
        noise=_noise(np.asarray((values - terms @ coefficients)[inlier], np.float32)),
    )


def _noise(off: F32) -> tuple[float, float]:
    some = off[:: 1 + len(off) // TOLD_BY]
    return _deviation(np.abs(some[:, 0])), _deviation(np.hypot(some[:, 1], some[:, 2]))


def _robust(terms: F32, values: F32) -> tuple[F32, Mask]:
    """The coefficients, (terms, 3), and which values they go by."""
    inlier = np.abs(values - np.median(values, axis=0)).max(1) <= 25  # not a product that reaches the frame
    if inlier.mean() < 0.4:
        inlier[:] = True
    coefficients = np.zeros((terms.shape[1], 3), np.float32)
    for _ in range(6):
        weighted = terms * inlier[:, None]
        square = (weighted.T @ terms).astype(np.float64) + 1e-4 * np.eye(terms.shape[1])
        coefficients = np.linalg.solve(square, (weighted.T @ values).astype(np.float64)).astype(np.float32)
        off = values - terms @ coefficients
        light, tint = (
            max(LEAST_SPREAD, _spread(off[inlier, 0])),
            max(LEAST_SPREAD, _spread(off[inlier, 1:].ravel())),
        )
        inlier = (
            (off[:, 0] < 3 * light) & (off[:, 0] > -2.5 * light) & (np.hypot(off[:, 1], off[:, 2]) < 4 * tint)
        )
        if not inlier.any():
            inlier[:] = True
    return coefficients, inlier


def _surface(coefficients: F32, xs: F32, ys: F32) -> F32:
    """The polynomial at every pixel: a power of y times a power of x is a column times a row."""
    order = xs.shape[1] - 1
    square = np.zeros((3, order + 1, order + 1), np.float32)
    for (i, j), of_term in zip(_degrees(order), coefficients, strict=True):
        square[:, j, i] = of_term
    return np.asarray(cv2.merge([ys @ plane @ xs.T for plane in square]), np.float32)


def _powers(along: F32, order: int) -> F32:
    """(n, order + 1)."""
    return np.asarray(along[:, None] ** np.arange(order + 1, dtype=np.float32), np.float32)


def _degrees(order: int) -> list[tuple[int, int]]:
    """The powers of x and of y in each term."""
    return [(i, j) for i in range(order + 1) for j in range(order + 1 - i)]


def _spread(values: F32) -> float:
    """A standard deviation that outliers do not move."""
    some = values[:: 1 + len(values) // TOLD_BY]
    return 1.4826 * float(np.median(np.abs(some - np.median(some))))


def _deviation(sizes: F32) -> float:
    """The standard deviation that keeps 98 % within 2.33 of it: more than the median says where a coder left blocks."""
    return float(np.percentile(sizes, 98)) / 2.33 if len(sizes) else 0.0
