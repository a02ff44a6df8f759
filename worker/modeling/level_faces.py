"""Level tops and undersides that the hull of photos with perspective makes into tents.

Cameras that look down a little leave a tent above each level top: no line of sight passes between the two.
It is as steep as the lines of sight at its ends. The same hangs below each underside. Where the highest or
the lowest surface is no steeper than that, it is taken to be straight between its ends. (capture/rims.py does
it for spins.) Tried and lost: the same on the outlines, whose tents a wall behind a seat makes plateaus.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

SLOPE_FACTOR, SLOPE_NOISE = 1.6, 0.02  # how much steeper than a line of sight a tent may look
SMOOTHED_CELLS = 3  # over which a slope is measured
GAP_CELLS = 2  # steeper stretches up to this length do not end a level one
MIN_LENGTH_CELLS = 6  # of a stretch that is levelled
MIN_CUT_CELLS = 0.05
MIN_SIDE_SHARE = 0.6  # of a face's length: a round body's tent is a third of it at most


def level_faces(
    field: F32, step: tuple[float, float, float], slope_at: Callable[[F64], F64], min_share: float = 0.0
) -> F32:
    """Return a field with the tents on its highest and its lowest faces cut off.

    Args:
        field: (nx, ny, nz) signed distance in metres, positive inside; y is upwards, from the floor.
        step: The size of a cell along each side, in metres.
        slope_at: The slope of the lines of sight at some heights in metres.
        min_share: Of the product's length along a stretch, that it must have to be levelled.
    """
    height = field.shape[1] * step[1]
    out = _cut_tops(field, step, slope_at, min_share, field)
    return _cut_tops(field[:, ::-1], step, lambda y: slope_at(height - y), min_share, out[:, ::-1])[:, ::-1]


def flatten_sides(field: F32, step: tuple[float, float, float], distance: float) -> F32:
    """Return a field with the tents on its upright faces cut off, where they are as wide as most of a face.

    The outline from the right shows how far the near edge of a front reaches; farther back, lines of sight
    leave room that no photo limits. A front without knobs is limited by the product's box.

    Args:
        field: As of `level_faces`.
        step: Likewise.
        distance: From the cameras to the product's middle, in metres.
    """
    dx, dy, dz = step

    def slope(half: float) -> Callable[[F64], F64]:
        return lambda out: (out - half) / distance

    nx, _, nz = field.shape
    front = level_faces(field.transpose(0, 2, 1), (dx, dz, dy), slope(nz * dz / 2), MIN_SIDE_SHARE)
    sides = level_faces(front.transpose(2, 0, 1), (dy, dx, dz), slope(nx * dx / 2), MIN_SIDE_SHARE)
    return np.ascontiguousarray(sides.transpose(1, 0, 2))


def _cut_tops(
    field: F32, step: tuple[float, float, float], slope_at: Callable[[F64], F64], min_share: float, into: F32
) -> F32:
    """Return `into` with the tents of the field's highest surface cut off."""
    out = into.copy()
    tops = _top_heights(field, step[1])
    level = np.minimum(
        _levelled(tops, step[0], slope_at, min_share), _levelled(tops.T, step[2], slope_at, min_share).T
    )
    with np.errstate(invalid="ignore"):
        columns = np.nonzero(tops - level > MIN_CUT_CELLS * step[1])
    y = (np.arange(field.shape[1]) + 0.5) * step[1]
    limit = level[columns][:, None] - y
    is_beyond = (limit < 0) & (y < tops[columns][:, None] + step[1])
    lines = out[columns[0], :, columns[1]]
    out[columns[0], :, columns[1]] = np.where(is_beyond, np.minimum(lines, limit), lines)
    return out


def _top_heights(field: F32, step: float) -> F64:
    """Return the height of the highest surface of each column, (nx, nz) metres; not a number without any."""
    inside = field > 0
    count = field.shape[1]
    top = count - 1 - np.argmax(inside[:, ::-1], axis=1)
    above = np.minimum(top + 1, count - 1)
    x, z = np.indices(top.shape)
    here, beyond = field[x, top, z], field[x, above, z]
    with np.errstate(invalid="ignore", divide="ignore"):
        part = np.where(top + 1 < count, here / (here - beyond), 0.5)
    return np.asarray(np.where(inside.any(1), (top + 0.5 + part) * step, np.nan))


def _levelled(heights: F64, step: float, slope_at: Callable[[F64], F64], min_share: float) -> F64:
    """Return heights (a, b) with level stretches along `a` no higher than lines between their ends."""
    out = heights.copy()
    kernel = np.full(SMOOTHED_CELLS, 1 / SMOOTHED_CELLS)
    for row in range(heights.shape[1]):
        line = heights[:, row]
        if np.isnan(line).all():
            continue
        padded = np.pad(line, SMOOTHED_CELLS // 2, mode="edge")
        with np.errstate(invalid="ignore"):
            slopes = np.abs(np.convolve(np.diff(padded, prepend=padded[0]), kernel, mode="valid")) / step
            least = max(MIN_LENGTH_CELLS, min_share * np.count_nonzero(~np.isnan(line)))
            is_level = slopes < SLOPE_FACTOR * np.abs(slope_at(line)) + SLOPE_NOISE
        for first, last in _stretches(is_level):
            if last - first + 1 >= least:
                straight = np.linspace(line[first], line[last], last - first + 1)
                out[first : last + 1, row] = np.fmin(line[first : last + 1], straight)
    return out


def _stretches(flags: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Yield the first and last index of each stretch of true flags; short gaps do not end one."""
    at = np.flatnonzero(flags)
    if len(at):
        for part in np.split(at, np.flatnonzero(np.diff(at) > GAP_CELLS) + 1):
            yield int(part[0]), int(part[-1])
