"""Outlines of placed photos that belong together: those that a common hull of nearly all explains."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from worker.capture.carving import BOX_CELLS, Box, Cameras, CellGrid, grid_of_box, least_distances
from worker.capture.drawn_cells import cell_px, draw_cells
from worker.capture.outline_stack import OutlineStack

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

MIN_VOTES = 0.85  # of the photos that must show product at a cell
AGREEING_VOTES = 0.95  # of those that agree
CELLS = 200_000  # in the product's box
MARGIN_CELLS = 2
FAR_SHARE = 0.012  # of the picture's longer side: cells farther outside an outline are missed by it
MIN_AGREEMENT = 0.94  # of an outline with the hull
MAX_BELOW_MEDIAN = 0.04  # of the agreement: thin products have a lower one
LEAST_AGREEMENT = 0.6
ROUNDS = 3
TOUCHING_CELLS = -0.6  # from this distance on a cell counts as inside
ALL_VOTES = 1.0  # of the outlines: none may be wrong
HELD_OUT_STEP, HELD_OUT_FIRST = 4, (0, 2)  # every fourth outline, from the first and from the third one on


def common_hull(grid: CellGrid, cameras: Cameras, outlines: OutlineStack, votes: float = MIN_VOTES) -> F32:
    """Return the signed distance in cells that a share of the outlines leaves at least, (cells,)."""
    cells = np.arange(int(np.prod(grid.shape)))
    tolerated = int((1 - votes) * len(outlines.numbers))
    return np.asarray(least_distances(grid, cells, cameras, outlines, (tolerated,))[0], np.float32)


def agreements(
    points: F32, step: float, cameras: Cameras, outlines: OutlineStack, is_excess_wrong: bool
) -> dict[int, float]:
    """Return for each photo how far its outline and cells (n, 3) agree, 0 to 1.

    It is the share of the cells that are not far outside the outline, or, where what an outline has too much
    counts, the share of the outline that the cells cover, if that is less.
    """
    found = {}
    for number in outlines.numbers:
        camera = cameras[number]
        distance = outlines.frame(number)
        inside = distance > 0
        pixels = camera.to_pixels(points)
        far = FAR_SHARE * max(distance.shape) / outlines.scale
        missed = float((outlines.sample(number, pixels) < -far).mean())
        radius = max(1, round(0.6 * cell_px(points, step, camera) * outlines.scale))
        covered = draw_cells(points, camera, radius, inside.shape, outlines.scale)
        share = float((covered & inside).sum() / max(1, inside.sum()))
        found[number] = min(1 - missed, share if is_excess_wrong else 1.0)
    return found


def agreeing_outlines(
    bounds: Box, cameras: Cameras, outlines: OutlineStack, is_excess_wrong: bool = True
) -> tuple[OutlineStack, dict[int, float], F32]:
    """Return the outlines that agree, the agreement of each one, and the cells of their hull, (n, 3).

    Args:
        bounds: A box around the product.
        cameras: The cameras, by the number of the photo.
        outlines: The outlines.
        is_excess_wrong: Whether outlines that have too much are left out; a hull has what all have alone.
    """
    grid = grid_of_box(*tighter_box(bounds, cameras, outlines), CELLS, MARGIN_CELLS)
    usable = outlines
    for _ in range(ROUNDS):
        hull = common_hull(grid, cameras, usable)
        points = grid.centres(np.flatnonzero(hull > TOUCHING_CELLS))
        if not len(points):
            return replace(outlines, numbers=()), dict.fromkeys(outlines.numbers, 0.0), points
        found = agreements(points, grid.step, cameras, outlines, is_excess_wrong)
        usual = float(np.median(list(found.values())))
        limit = max(LEAST_AGREEMENT, min(MIN_AGREEMENT, usual - MAX_BELOW_MEDIAN))
        numbers = tuple(n for n in outlines.numbers if found[n] >= limit)
        if numbers == usable.numbers or not numbers:
            break
        usable = replace(outlines, numbers=numbers)
    agreeing = replace(outlines, numbers=numbers)
    if numbers:
        hull = common_hull(grid, cameras, agreeing, AGREEING_VOTES)
        points = grid.centres(np.flatnonzero(hull > TOUCHING_CELLS))
    return agreeing, found, points


def tighter_box(bounds: Box, cameras: Cameras, outlines: OutlineStack, votes: float = MIN_VOTES) -> Box:
    """Return the box of the common hull; the given one where there is no such hull."""
    grid = grid_of_box(*bounds, BOX_CELLS, 0)
    found = np.argwhere(common_hull(grid, cameras, outlines, votes).reshape(grid.shape) > -1)
    if not len(found):
        return bounds
    low, high = grid.low + (found.min(0) - 0.5) * grid.step, grid.low + (found.max(0) + 0.5) * grid.step
    return np.maximum(low, bounds[0]), np.minimum(high, bounds[1])


def held_out_agreement(bounds: Box, cameras: Cameras, outlines: OutlineStack) -> float:
    """Return how far outlines and a hull that was carved without them agree, 0 to 1.

    Twice, every fourth outline is held out. What counts is the intersection of an outline and the hull in its
    photo, as a share of their union, in the mean. Thin and open products, few frames, wrong cameras and
    outlines that contradict each other all lower it.

    Args:
        bounds: A box around the product.
        cameras: The cameras, by the number of the photo.
        outlines: The outlines.
    """
    grid = grid_of_box(*tighter_box(bounds, cameras, outlines, ALL_VOTES), CELLS, MARGIN_CELLS)
    found = []
    for first in HELD_OUT_FIRST:
        held_out = outlines.numbers[first::HELD_OUT_STEP]
        hull = common_hull(grid, cameras, outlines.without(held_out), ALL_VOTES)
        points = grid.centres(np.flatnonzero(hull > 0))
        if not len(points):
            return 0.0
        for number in held_out:
            inside = outlines.frame(number) > 0
            radius = round(cell_px(points, grid.step, cameras[number]) * outlines.scale / 2)
            covered = draw_cells(points, cameras[number], radius, inside.shape, outlines.scale)
            found.append(float((covered & inside).sum() / max(1, (covered | inside).sum())))
    return float(np.mean(found))
