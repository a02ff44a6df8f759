"""The record's dimensions as a limit of the hull.

Where no frame sees a flat side edge-on, the hull bulges there. It never lacks anything, so the axis that fits
the record tightest gives the scale, and along the others the hull is cut to the record's dimension. Upwards,
the fullest slices stay; sideways, the middle ones, because a side bulges like its opposite.

Tried and lost: only scaling each axis to the record; bulges then made all else of a cabinet too narrow. The
fullest slices sideways too; a chair's back outweighed its seat. Sideways, more from the
end whose cells differ more in height: knobs on a front do more than its bulge.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dam_connector.domain.product import Dimensions

F32 = NDArray[np.float32]

UP_AXIS = 1
MAX_BULGE = 0.3  # of a side; more is no bulge but a contradiction, which is left to be reported
LEAST_BULGE_CELLS = 1.0  # less is the rounding of cells
MAX_SCRAP_SLICES = 2  # at a top or an underside
SCRAP_ENDS = ((True, False), (False, True), (True, True))  # a top and an underside that may have them
SCRAP_SHARE = 0.25  # of the fullest of the next slices: less is what a cone left above a level top
TIP_CELLS = 1.4  # radius of a tip of which only specks are seen
SPECK_SHARE = 0.001  # of all cells inside; smaller parts are noise


def limit_to_box(field: F32, dimensions: Dimensions) -> F32:
    """Return the field, (nx, ny, nz), cut to the proportions of the known dimensions."""
    given = (dimensions.width_m, dimensions.height_m, dimensions.depth_m)
    whole = _without_specks(field)
    if not (whole > 0).any():
        return field
    body = min(_bodies(whole, field), key=lambda found: _disagreement(_scales(found, given)))
    scales, ends = _scales(body, given), _ends(body)
    if len(scales) < 2 or _disagreement(scales) > 1 + MAX_BULGE:
        return field
    tightest = max(scales.values())
    out = body
    for axis in scales:
        low, high = ends[axis]
        cells = (given[axis] or 0.0) / tightest
        if high - low - cells > LEAST_BULGE_CELLS:
            counts = (body > 0).sum(tuple(a for a in range(3) if a != axis))
            start = _fullest(counts, round(cells)) - 0.5 if axis == UP_AXIS else (low + high - cells) / 2
            out = np.minimum(out, _window(field.shape[axis], start, start + cells, axis))
    return out


def _bodies(whole: F32, field: F32) -> list[F32]:
    """Return the ways in which a top and an underside may end, the fullest one first."""
    without = [_without_scraps(whole, at_top, at_underside) for at_top, at_underside in SCRAP_ENDS]
    return [whole, *without, _with_tip(without[-1], field)]


def _ends(field: F32) -> list[tuple[float, float]]:
    """Return where along each axis something begins and ends, in slices, between their middles."""
    found = []
    for axis in range(3):
        most = field.max(tuple(a for a in range(3) if a != axis))
        inside = np.flatnonzero(most > 0)
        first, last = int(inside[0]), int(inside[-1])
        found.append((first - _rest(most, first, first - 1), last + _rest(most, last, last + 1)))
    return found


def _rest(most: F32, inside: int, outside: int) -> float:
    """Return how far beyond a slice the field ends, as a share of a slice."""
    if not 0 <= outside < len(most):
        return 0.5
    return float(most[inside] / max(float(most[inside] - most[outside]), 1e-6))


def _scales(field: F32, given: tuple[float | None, ...]) -> dict[int, float]:
    """Return the metres of a cell, by the axis with a known dimension."""
    return {
        axis: side / max(high - low, 1e-6)
        for axis, (side, (low, high)) in enumerate(zip(given, _ends(field), strict=True))
        if side is not None
    }


def _disagreement(scales: dict[int, float]) -> float:
    return max(scales.values()) / min(scales.values()) if scales else 1.0


def _with_tip(body: F32, field: F32) -> F32:
    """Return the body with the thin tip on its top, such as the finial of a lamp, in one piece.

    Cells and cut-outs see a part thinner than they are as specks in a row.
    """
    top = int(np.flatnonzero((body > 0).any((0, 2)))[-1])
    slices = np.flatnonzero((field > 0).any((0, 2)))
    slices = np.append(top, slices[slices > top])
    sources = [body if row == top else field for row in slices]
    middles = np.array(
        [np.argwhere(source[:, row] > 0).mean(0) for row, source in zip(slices, sources, strict=True)]
    )
    x, z = np.indices((field.shape[0], field.shape[2]))
    found = body.copy()
    for row in range(top, int(slices[-1]) + 1):
        right, along = (np.interp(row, slices, middles[:, axis]) for axis in (0, 1))
        rod = np.float32(TIP_CELLS) - np.hypot(x - right, z - along).astype(np.float32)
        found[:, row] = np.maximum(np.maximum(found[:, row], rod), np.minimum(field[:, row], TIP_CELLS))
    return found


def _without_specks(field: F32) -> F32:
    """Return the field without small parts that touch nothing."""
    labels, _ = ndimage.label(field > 0)
    sizes = np.bincount(labels.ravel())
    is_speck = sizes < SPECK_SHARE * sizes[1:].sum()
    is_speck[0] = False
    return np.asarray(np.where(is_speck[labels], np.minimum(field, -1), field), np.float32)


def _without_scraps(field: F32, at_top: bool, at_underside: bool) -> F32:
    """Return the field without the ragged last slices above a top and below an underside.

    They would count as height: a table's top would sink by their cells.
    """
    counts = (field > 0).sum((0, 2))
    used = np.flatnonzero(counts)
    first, last = int(used[0]), int(used[-1])
    if at_underside:
        first += _scrap_slices(counts[first : last + 1])
    if at_top:
        last -= _scrap_slices(counts[first : last + 1][::-1])
    return np.minimum(field, _window(field.shape[UP_AXIS], first - 0.5, last + 0.5, UP_AXIS))


def _scrap_slices(counts: NDArray[np.integer]) -> int:
    """Return how many of the first slices are scraps."""
    found = 0
    while found < min(MAX_SCRAP_SLICES, len(counts) - 4):
        if counts[found] >= SCRAP_SHARE * counts[found + 1 : found + 4].max():
            break
        found += 1
    return found


def _fullest(counts: NDArray[np.integer], cells: int) -> float:
    """Return the first of so many slices that hold most: noise on a top or an underside holds little."""
    sums = np.convolve(counts, np.ones(cells), "valid")
    return float(np.flatnonzero(sums == sums.max()).mean())


def _window(count: int, low: float, high: float, axis: int) -> F32:
    """Return the signed distance to two ends along an axis, in slices."""
    place = np.arange(count, dtype=np.float32)
    distance = np.minimum(place - np.float32(low), np.float32(high) - place)
    return np.asarray(np.expand_dims(distance, [a for a in range(3) if a != axis]), np.float32)
