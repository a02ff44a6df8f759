"""Hull cleanup: removal of phantom volumes, which a visual hull contains though the product does not.

At one height the front outline can show one interval of cells and the side outline two, or both several.
The hull then contains every crossing of them: the back posts of a chair become a slab as wide as the seat
that hides them, and four legs that the front view shows at four places become eight.

Each interval is followed up and down to rows where it is the only one. There the other outline shows how
wide it is. Legs that cannot be distinguished are taken to be at the rim of the part that they carry. Of
four legs in the front view the outer two are the front ones. Crossings are decided for a whole leg, from
its foot to its end, so that no leg is cut into pieces.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from worker.modeling.lofting import Intervals, column_intervals

F32 = NDArray[np.float32]
PairCounts = Counter[tuple[int, int]]

RIM_FACTOR = 1.2  # a leg is believed up to this factor of the least distance to the rim
RIM_TOLERANCE_CELLS = 2.0  # added to that
LEG_SHARE = 0.25  # of the grid; a wider part is not a leg but is carried by legs
# Shares of the height: over how many rows an interval must be the only one (so that a leg that is a little
# longer than the others does not count), and how many rows are looked at.
LONE_ROWS = (0.015, 0.08)
MIN_BELIEVED_SHARE = 0.5  # of the rows in which two intervals cross


def remove_phantoms(hull: F32, front: F32, side: F32, top: F32 | None) -> F32:
    """Return the hull without phantom volumes.

    Args:
        hull: (nx, ny, nz) signed distance in cells.
        front: (nx, ny) signed distance of the front outline.
        side: (nz, ny) signed distance of the side outline.
        top: (nx, nz) signed distance of the top outline, if there is one.
    """
    across, along = column_intervals(front), column_intervals(side)
    rim_distance = top if top is not None else _box_distance(hull.shape[0], hull.shape[2])
    crossing = _believed_crossings(across, along, rim_distance)
    out = hull.copy()
    for n, (first, second) in enumerate(zip(across, along, strict=True)):
        limits: list[F32 | None]
        if len(first) > 1 and len(second) > 1 and not _is_too_wide(first, len(front)).any():
            limits = [_distance_inside(len(front), [first[i] for i in chosen]) for chosen in crossing[n]]
        else:
            limits = [_limit_from_lone_rows(along, n, j, across, len(front)) for j in range(len(second))]
        _limit_layer(out[:, n], second, limits)
        if len(second) == 1:
            _limit_layer(
                out[:, n].T,
                first,
                [_limit_from_lone_rows(across, n, i, along, len(side)) for i in range(len(first))],
            )
    return out


def _limit_layer(layer: F32, intervals: Intervals, limits: list[F32 | None]) -> None:
    """Restrict one height of the hull, (a, b), in place to the limits (a,) of the intervals along b."""
    cells = _nearest_interval(layer.shape[1], intervals) if intervals else np.zeros(0)
    for interval, limit in enumerate(limits):
        if limit is not None:
            layer[:, cells == interval] = np.minimum(layer[:, cells == interval], limit[:, None])


def _limit_from_lone_rows(
    rows: list[Intervals], row: int, interval: int, others: list[Intervals], count: int
) -> F32 | None:
    """Return how wide an interval is in the other outline, taken from rows where it is the only one.

    These rows are above or below; the width is extrapolated to this row along the slope it has there.

    Returns:
        The signed distance in cells, (count,); None if the interval is never the only one.
    """
    if len(rows[row]) < 2:
        return None
    candidates = []
    least, most = (max(2, round(share * len(rows))) for share in LONE_ROWS)
    for step in (1, -1):
        n, current, lone_count = row, interval, 0
        while (
            lone_count < most
            and (after := _continuation(rows, n, current, step)) is not None
            and not (lone_count >= least and len(rows[n + step]) > 1)
        ):
            n, current = n + step, after
            lone_count = lone_count + 1 if len(rows[n]) == 1 else 0
        if lone_count >= least:
            candidates.append(
                _extrapolate(others[n - step * (lone_count - 1)], others[n], row, n, step * (lone_count - 1))
            )
    return (
        _distance_inside(count, min(candidates, key=lambda line: sum(b - a for a, b in line)))
        if candidates
        else None
    )


def _extrapolate(near: Intervals, far: Intervals, row: int, at: int, apart: int) -> Intervals:
    """Return intervals extrapolated to `row`, from row `at` and the row `apart` rows nearer."""
    if len(near) != len(far) or not apart:
        return near
    slopes = [((a + b) - (c + d)) / 2 / -apart for (a, b), (c, d) in zip(near, far, strict=True)]
    return [
        (a + slope * (row - at + apart), b + slope * (row - at + apart))
        for (a, b), slope in zip(near, slopes, strict=True)
    ]


def _continuation(rows: list[Intervals], row: int, interval: int, step: int) -> int | None:
    """Return the interval of the next row that continues this one; None if it ends, splits or merges."""
    if not 0 <= row + step < len(rows):
        return None
    after = rows[row + step]
    continuing = [k for k, r in enumerate(after) if _intervals_overlap(r, rows[row][interval])]
    if len(continuing) != 1 or sum(_intervals_overlap(after[continuing[0]], r) for r in rows[row]) > 1:
        return None
    return continuing[0]


def _intervals_overlap(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return a[0] < b[1] and b[0] < a[1]


def _believed_crossings(
    across: list[Intervals], along: list[Intervals], rim_distance: F32
) -> list[list[list[int]]]:
    """Return for each row and each interval along it the intervals across that really cross it."""
    legs = (_leg_numbers(across), _leg_numbers(along))
    crossed_rows, believed_rows = PairCounts(), PairCounts()
    for n, i, j, believed in _crossings(across, along, rim_distance):
        pair = (legs[0][n][i], legs[1][n][j])
        crossed_rows[pair] += 1
        believed_rows[pair] += believed
    believed_pairs = {
        pair for pair in crossed_rows if believed_rows[pair] >= MIN_BELIEVED_SHARE * crossed_rows[pair]
    }
    for place in (0, 1):  # every leg is somewhere
        for leg in {pair[place] for pair in crossed_rows} - {pair[place] for pair in believed_pairs}:
            believed_pairs.add(
                max(
                    (p for p in crossed_rows if p[place] == leg),
                    key=lambda p: believed_rows[p] / crossed_rows[p],
                )
            )
    return [
        [
            [i for i in range(len(first)) if (legs[0][n][i], legs[1][n][j]) in believed_pairs]
            for j in range(len(second))
        ]
        for n, (first, second) in enumerate(zip(across, along, strict=True))
    ]


def _leg_numbers(rows: list[Intervals]) -> list[list[int]]:
    """Return for each interval of each row the number of its leg: intervals that continue each other."""
    numbers: list[list[int]] = []
    count = 0
    for n, row in enumerate(rows):
        before = (
            {_continuation(rows, n - 1, k, 1): owner for k, owner in enumerate(numbers[-1])}
            if numbers
            else {}
        )
        own = []
        for k in range(len(row)):
            if k in before:
                own.append(before[k])
            else:
                own.append(count)
                count += 1
        numbers.append(own)
    return numbers


def _crossings(
    across: list[Intervals], along: list[Intervals], rim_distance: F32
) -> Iterator[tuple[int, int, int, bool]]:
    """Yield row, interval across, interval along and whether the two are believed to cross.

    Only rows in which both outlines have several intervals are yielded.
    """
    for n, (first, second) in enumerate(zip(across, along, strict=True)):
        if len(first) < 2 or len(second) < 2:
            continue
        if len(first) == 4 and len(second) == 2:
            believed = np.array([[False, True], [True, False], [True, False], [False, True]])
        else:
            distance = np.array(
                [[rim_distance[round((a + b) / 2), round((c + d) / 2)] for c, d in second] for a, b in first]
            )
            distance = np.where(distance > -RIM_TOLERANCE_CELLS, np.maximum(distance, 0), np.inf)
            believed = (distance <= distance.min(0, keepdims=True) * RIM_FACTOR + RIM_TOLERANCE_CELLS) | (
                distance <= distance.min(1, keepdims=True) * RIM_FACTOR + RIM_TOLERANCE_CELLS
            )
            believed &= np.isfinite(distance)
            believed |= (
                _is_too_wide(first, rim_distance.shape[0])[:, None]
                | _is_too_wide(second, rim_distance.shape[1])[None]
            )
        yield from ((n, int(i), int(j), bool(believed[i, j])) for i, j in np.ndindex(believed.shape))


def _is_too_wide(row: Intervals, count: int) -> NDArray[np.bool_]:
    """Return for each interval whether it is too wide for a leg."""
    return np.array([b - a > LEG_SHARE * count for a, b in row])


def _distance_inside(count: int, intervals: Intervals) -> F32:
    """Return the signed distance in cells to the ends of some intervals, (count,)."""
    cells = np.arange(count, dtype=np.float32)
    return np.max(
        [np.minimum(cells - a, b - cells) for a, b in intervals] or [np.full(count, -1.0)], axis=0
    ).astype(np.float32)


def _nearest_interval(count: int, intervals: Intervals) -> NDArray[np.intp]:
    """Return the interval that each cell is nearest to, (count,)."""
    cells = np.arange(count, dtype=np.float32)
    return np.argmin([np.abs(cells - (a + b) / 2) - (b - a) / 2 for a, b in intervals], axis=0)


def _box_distance(width: int, depth: int) -> F32:
    """Return the distance in cells to the sides of the grid, (width, depth)."""
    x, z = (np.minimum(np.arange(n) + 0.5, n - np.arange(n) - 0.5) for n in (width, depth))
    return np.minimum(x[:, None], z[None]).astype(np.float32)
