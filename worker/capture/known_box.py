"""The record's dimensions as a limit of the hull.

Where no frame sees a flat side edge-on, the hull bulges there. It never lacks anything, so the axis that fits
the record tightest gives the scale, and along the others the hull is cut to the record's dimension. Upwards,
the fullest slices stay; sideways, the middle ones, because a side bulges like its opposite.

Tried and lost: only scaling each axis to the record; bulges then made all else of a cabinet too narrow. The
fullest slices sideways too; a chair's back outweighed its seat.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dam_connector.domain.product import Dimensions

F32 = NDArray[np.float32]

UP_AXIS = 1
MAX_BULGE = 0.3  # of a side; more is no bulge but a contradiction, which is left to be reported
SPECK_SHARE = 0.001  # of all cells inside; smaller parts are noise


def limit_to_box(field: F32, dimensions: Dimensions) -> F32:
    """Return the field, (nx, ny, nz), cut to the proportions of the known dimensions."""
    given = (dimensions.width_m, dimensions.height_m, dimensions.depth_m)
    body = _without_specks(field)
    if not (body > 0).any():
        return field
    ends = [np.flatnonzero((body > 0).any(tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    extents = [int(end[-1] - end[0]) + 1 for end in ends]
    scales = {axis: side / extents[axis] for axis, side in enumerate(given) if side is not None}
    if len(scales) < 2 or max(scales.values()) > (1 + MAX_BULGE) * min(scales.values()):
        return field
    tightest = max(scales.values())
    out = body
    for axis in scales:
        cells = round((given[axis] or 0.0) / tightest)
        if cells < extents[axis]:
            counts = (body > 0).sum(tuple(a for a in range(3) if a != axis))
            middle = (int(ends[axis][0]) + int(ends[axis][-1]) + 1 - cells) / 2
            first = _fullest(counts, cells) if axis == UP_AXIS else middle
            out = np.minimum(out, _window(field.shape[axis], first, cells, axis))
    return out


def _without_specks(field: F32) -> F32:
    """Return the field without small parts that touch nothing."""
    labels, _ = ndimage.label(field > 0)
    sizes = np.bincount(labels.ravel())
    is_speck = sizes < SPECK_SHARE * sizes[1:].sum()
    is_speck[0] = False
    return np.asarray(np.where(is_speck[labels], np.minimum(field, -1), field), np.float32)


def _fullest(counts: NDArray[np.integer], cells: int) -> float:
    """Return the first of so many slices that hold most: noise on a top or an underside holds little."""
    sums = np.convolve(counts, np.ones(cells), "valid")
    return float(np.flatnonzero(sums == sums.max()).mean())


def _window(count: int, first: float, cells: int, axis: int) -> F32:
    """Return the signed distance to the ends of some of the slices along an axis."""
    place = np.arange(count, dtype=np.float32)
    distance = np.minimum(place - first, first + cells - 1 - place) + 0.5
    return np.asarray(np.expand_dims(distance, [a for a in range(3) if a != axis]), np.float32)
