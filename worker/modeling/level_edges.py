"""Level edges of outlines that a hull of photos with perspective makes into tents.

Cameras that look down a little leave a tent above each level top: no line of sight passes between the two.
It is as steep as the lines of sight at its ends. The same hangs below each underside. Where an edge of an
outline is no steeper than that, it is taken to be straight. (capture/rims.py does this for spins, in space.)
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from worker.modeling.lofting import column_intervals

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

SLOPE_FACTOR, SLOPE_NOISE = 1.6, 0.012  # how much steeper than a line of sight a tent may look
LINKED_PX = 1.0  # an edge continues in the next column if it is this near
SMOOTHED_PX = 9  # columns over which the slope of an edge is measured
GAP_PX = 6  # steeper stretches up to this length do not end a level one
MIN_LENGTH_PX = 24  # of an edge that is levelled


def level_edges(field: F32, slope_at: Callable[[F64], F64]) -> F32:
    """Return a field with tents above and below its level edges cut off.

    Args:
        field: (columns, heights) signed distance in pixels, positive inside, the lowest height first.
        slope_at: The slope of lines of sight at some heights in pixels.
    """
    out = field.copy()
    heights = np.arange(field.shape[1], dtype=np.float32)
    intervals = column_intervals(np.ascontiguousarray(field.T))
    for end in (0, 1):
        sign = 1 if end else -1
        for first, edge in _linked_edges([[pair[end] for pair in column] for column in intervals]):
            limit = _straightened(edge * sign, slope_at(edge)) * sign
            for n in np.flatnonzero(np.abs(limit - edge) > 0.05):
                beyond = sign * (heights - limit[n])
                cut = (beyond > 0) & (sign * (heights - edge[n]) < 1.0)
                out[first + n, cut] = np.minimum(out[first + n, cut], -beyond[cut])
    return out


def _linked_edges(ends: list[list[float]]) -> Iterator[tuple[int, F64]]:
    """Yield edges as their first column and their height in each column from there on."""
    open_edges: list[tuple[int, list[float]]] = []
    for n, heights in enumerate([*ends, []]):
        free = list(heights)
        continued: list[tuple[int, list[float]]] = []
        for first, edge in open_edges:
            near = [h for h in free if abs(h - edge[-1]) <= LINKED_PX]
            if near:
                found = min(near, key=lambda h, at=edge[-1]: abs(h - at))
                free.remove(found)
                edge.append(found)
                continued.append((first, edge))
            elif len(edge) >= MIN_LENGTH_PX:
                yield first, np.array(edge)
        open_edges = continued + [(n, [h]) for h in free]


def _straightened(edge: F64, slopes: F64) -> F64:
    """Return an edge with its level stretches no higher than the straight lines between their ends."""
    padded = np.pad(edge, SMOOTHED_PX // 2, mode="edge")
    smooth = np.convolve(padded, np.full(SMOOTHED_PX, 1 / SMOOTHED_PX), mode="valid")
    is_level = np.abs(np.gradient(smooth)) < SLOPE_FACTOR * np.abs(slopes) + SLOPE_NOISE
    out = edge.copy()
    for first, last in _stretches(is_level):
        if last - first + 1 >= MIN_LENGTH_PX:
            line = np.linspace(smooth[first], smooth[last], last - first + 1)
            out[first : last + 1] = np.minimum(edge[first : last + 1], line)
    return out


def _stretches(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the first and last index of each stretch of true flags; short gaps do not end one."""
    found: list[tuple[int, int]] = []
    for n in np.flatnonzero(flags).tolist():
        if found and n - found[-1][1] <= GAP_PX:
            found[-1] = (found[-1][0], n)
        else:
            found.append((n, n))
    return found
