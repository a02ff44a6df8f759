"""Ghosts: what outlines allow at one height though it is not there, found by what they show at others.

Where the front shows one run of cells and the side two, or both show several, the hull holds every crossing of them: a
chair's back posts become a slab as wide as the seat that hides them, four legs that stand at four places from the front
become eight. Each run is followed up and down to where it stands alone: there the other outline tells how wide it is. Legs
that cannot be told apart stand at the rim of what they carry, and of four seen from the front the outer two are the front
ones. What crosses what is decided for a whole leg, from its foot to where it ends, so that none is cut into pieces.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from worker.modeling.lofting import Runs, inside_runs

F32 = NDArray[np.float32]
Crossings = Counter[tuple[int, int]]

RIM = 1.2  # times the least distance to the rim: a leg that stands as near as that is believed
NEAR = 2.0  # cells, added to it
LEG_SHARE = 0.25  # of the grid: what is wider is what legs carry
ALONE = (
    0.015,
    0.08,
)  # of the height: so far at least a run stands alone (a leg that is a little longer does not); so far it is looked at
MOST = 0.5  # of the rows in which two runs cross: so often they must be believed to


def remove_phantoms(hull: F32, front: F32, side: F32, top: F32 | None) -> F32:
    """The hull (nx, ny, nz), in cells, less what only seems to be there. front (nx, ny), side (nz, ny), top (nx, nz)."""
    across, along = (
        [inside_runs(outline[:, n]) for n in range(outline.shape[1])] for outline in (front, side)
    )
    rim = top if top is not None else _box(hull.shape[0], hull.shape[2])
    crossing = _believed(across, along, rim)
    out = hull.copy()
    for n, (first, second) in enumerate(zip(across, along, strict=True)):
        limits: list[F32 | None]
        if len(first) > 1 and len(second) > 1 and not _wide(first, len(front)).any():
            limits = [_within(len(front), [first[i] for i in chosen]) for chosen in crossing[n]]
        else:
            limits = [_alone(along, n, j, across, len(front)) for j in range(len(second))]
        _limit(out[:, n], second, limits)
        if len(second) == 1:
            _limit(out[:, n].T, first, [_alone(across, n, i, along, len(side)) for i in range(len(first))])
    return out


def _limit(layer: F32, found: Runs, limits: list[F32 | None]) -> None:
    """One height of the hull, (a, b), held within the limits (a,) of the runs found along b."""
    cells = _nearest(layer.shape[1], found) if found else np.zeros(0)
    for run, limit in enumerate(limits):
        if limit is not None:
            layer[:, cells == run] = np.minimum(layer[:, cells == run], limit[:, None])


def _alone(rows: list[Runs], row: int, run: int, others: list[Runs], count: int) -> F32 | None:
    """Cells to the rim, (count,), of what the other outline shows of the run where that stands alone, above or below, led on to
    this row as it leans there; None where it never does."""
    if len(rows[row]) < 2:
        return None
    found = []
    least, most = (max(2, round(share * len(rows))) for share in ALONE)
    for step in (1, -1):
        n, now, alone = row, run, 0
        while (
            alone < most
            and (after := _next(rows, n, now, step)) is not None
            and not (alone >= least and len(rows[n + step]) > 1)
        ):
            n, now = n + step, after
            alone = alone + 1 if len(rows[n]) == 1 else 0
        if alone >= least:
            found.append(_led_on(others[n - step * (alone - 1)], others[n], row, n, step * (alone - 1)))
    return _within(count, min(found, key=lambda line: sum(b - a for a, b in line))) if found else None


def _led_on(near: Runs, far: Runs, row: int, at: int, apart: int) -> Runs:
    """The runs at row `at`, and `apart` rows nearer, led on to `row` along their slope."""
    if len(near) != len(far) or not apart:
        return near
    slopes = [((a + b) - (c + d)) / 2 / -apart for (a, b), (c, d) in zip(near, far, strict=True)]
    return [
        (a + slope * (row - at + apart), b + slope * (row - at + apart))
        for (a, b), slope in zip(near, slopes, strict=True)
    ]


def _next(rows: list[Runs], row: int, run: int, step: int) -> int | None:
    """The run that this one goes on in, in the next row; None where it ends, splits or joins another."""
    if not 0 <= row + step < len(rows):
        return None
    after = rows[row + step]
    touching = [k for k, r in enumerate(after) if _meet(r, rows[row][run])]
    if len(touching) != 1 or sum(_meet(after[touching[0]], r) for r in rows[row]) > 1:
        return None
    return touching[0]


def _meet(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return a[0] < b[1] and b[0] < a[1]


def _believed(across: list[Runs], along: list[Runs], rim: F32) -> list[list[list[int]]]:
    """For each row and each run along: the runs across that cross it in something that is there."""
    owners = (_legs(across), _legs(along))
    seen, said = Crossings(), Crossings()
    for n, i, j, believed in _crossings(across, along, rim):
        pair = (owners[0][n][i], owners[1][n][j])
        seen[pair] += 1
        said[pair] += believed
    good = {pair for pair in seen if said[pair] >= MOST * seen[pair]}
    for place in (0, 1):  # every leg stands somewhere
        for leg in {pair[place] for pair in seen} - {pair[place] for pair in good}:
            good.add(max((p for p in seen if p[place] == leg), key=lambda p: said[p] / seen[p]))
    return [
        [
            [i for i in range(len(first)) if (owners[0][n][i], owners[1][n][j]) in good]
            for j in range(len(second))
        ]
        for n, (first, second) in enumerate(zip(across, along, strict=True))
    ]


def _legs(rows: list[Runs]) -> list[list[int]]:
    """For each run of each row the number of the leg that it is part of: runs that go on in one another."""
    out: list[list[int]] = []
    count = 0
    for n, row in enumerate(rows):
        before = {_next(rows, n - 1, k, 1): owner for k, owner in enumerate(out[-1])} if out else {}
        own = []
        for k in range(len(row)):
            if k in before:
                own.append(before[k])
            else:
                own.append(count)
                count += 1
        out.append(own)
    return out


def _crossings(across: list[Runs], along: list[Runs], rim: F32) -> Iterator[tuple[int, int, int, bool]]:
    """Row, run across, run along and whether the two are believed to cross, for rows where both outlines show several."""
    for n, (first, second) in enumerate(zip(across, along, strict=True)):
        if len(first) < 2 or len(second) < 2:
            continue
        if len(first) == 4 and len(second) == 2:
            believed = np.array([[False, True], [True, False], [True, False], [False, True]])
        else:
            away = np.array(
                [[rim[round((a + b) / 2), round((c + d) / 2)] for c, d in second] for a, b in first]
            )
            away = np.where(away > -NEAR, np.maximum(away, 0), np.inf)
            believed = (away <= away.min(0, keepdims=True) * RIM + NEAR) | (
                away <= away.min(1, keepdims=True) * RIM + NEAR
            )
            believed &= np.isfinite(away)
            believed |= _wide(first, rim.shape[0])[:, None] | _wide(second, rim.shape[1])[None]
        yield from ((n, int(i), int(j), bool(believed[i, j])) for i, j in np.ndindex(believed.shape))


def _wide(row: Runs, count: int) -> NDArray[np.bool_]:
    """Which runs are too wide for a leg."""
    return np.array([b - a > LEG_SHARE * count for a, b in row])


def _within(count: int, chosen: Runs) -> F32:
    """Cells to the end of the nearest of the runs, inside positive."""
    cells = np.arange(count, dtype=np.float32)
    return np.max(
        [np.minimum(cells - a, b - cells) for a, b in chosen] or [np.full(count, -1.0)], axis=0
    ).astype(np.float32)


def _nearest(count: int, found: Runs) -> NDArray[np.intp]:
    """The run that each cell is nearest to."""
    cells = np.arange(count, dtype=np.float32)
    return np.argmin([np.abs(cells - (a + b) / 2) - (b - a) / 2 for a, b in found], axis=0)


def _box(width: int, depth: int) -> F32:
    """Cells to the sides of the grid, (width, depth)."""
    x, z = (np.minimum(np.arange(n) + 0.5, n - np.arange(n) - 0.5) for n in (width, depth))
    return np.minimum(x[:, None], z[None]).astype(np.float32)
