"""The visual hull of a product from the outlines of many frames, as a signed distance field.

The field is computed on coarse cells first, then on fine cells near the coarse surface only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dam_connector.errors import InputError
from worker.capture.frame_camera import FrameCamera
from worker.capture.outline_stack import OutlineStack

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]
Cameras = Sequence[FrameCamera] | Mapping[int, FrameCamera]  # by the number of the frame
Box = tuple[NDArray[np.float64], NDArray[np.float64]]  # its lower and its upper corner

COARSE_FACTOR = 4  # fine cells to a coarse one, along each side
BOX_CELLS = 60_000  # of the grid that finds the product's box
MIN_VOTED_FRAMES = 16  # from so many on, two frames must agree that a cell is outside
MAX_DOUBTED = 0.25  # of the outlines, which may lack a part that many others show
CHUNK_CELLS = 1 << 16  # computed at once, so that they stay in the processor's cache


@dataclass(frozen=True, slots=True, kw_only=True)
class CellGrid:
    """Cubic cells in the coordinates of the cameras."""

    low: NDArray[np.float64]  # (3,) the centre of the first cell
    step: float  # between the centres
    shape: tuple[int, int, int]  # cells along X, Y and Z

    def centres(self, indices: NDArray[np.integer]) -> F32:
        """Return the centres of cells by their flat indices, (n, 3)."""
        found = np.stack(np.unravel_index(indices, self.shape), 1)
        return np.asarray(found * self.step + self.low, np.float32)


def grid_of_box(low: NDArray[np.float64], high: NDArray[np.float64], cells: int, margin: int) -> CellGrid:
    """Return a grid of about `cells` cells over a box, with a margin of cells around it."""
    extent = np.maximum(high - low, 1e-6)
    step = max(float((extent.prod() / cells) ** (1 / 3)), float(extent.max()) / 320)
    counts = np.ceil(extent / step).astype(int) + 2 * margin
    start = (low + high) / 2 - (counts - 1) / 2 * step
    return CellGrid(low=start, step=step, shape=(int(counts[0]), int(counts[1]), int(counts[2])))


def spin_bounds(reach: float) -> Box:
    """Return the corners of the box in which the product of a spin is, within `reach` of the axis."""
    return np.array([-reach, -1.2, -reach]), np.array([reach, 0.8, reach])


def outline_box(outlines: OutlineStack, cameras: Cameras, bounds: Box) -> Box:
    """Return the corners of a box around what outlines can show, within a larger box.

    Raises:
        InputError: cutout.empty, the outlines have nothing in common.
    """
    grid = grid_of_box(*bounds, BOX_CELLS, 0)
    cells = np.arange(np.prod(grid.shape))
    possible = least_distances(grid, cells, cameras, outlines, (doubted_outlines(outlines),))[0]
    found = np.argwhere(possible.reshape(grid.shape) > -1)  # a thin part may lie between cells
    if not len(found):
        raise InputError("cutout.empty", "The outlines of the frames have nothing in common.")
    return grid.low + (found.min(0) - 0.5) * grid.step, grid.low + (found.max(0) + 0.5) * grid.step


def carve(grid: CellGrid, cameras: Cameras, outlines: OutlineStack, tolerated: Sequence[int]) -> list[F32]:
    """Return the signed distance to the hull in cells, positive inside, of the grid's shape, in some ways.

    Cells farther than a few cells from the surface get the distance of a coarse cell.

    Args:
        grid: The cells.
        cameras: The cameras.
        outlines: The outlines.
        tolerated: How many outlines may lack a part, for each hull. The fewer, the less it bulges where few
            frames see a side edge-on.
    """
    counts = tuple(-(-n // COARSE_FACTOR) for n in grid.shape)
    coarse_grid = CellGrid(
        low=grid.low + (COARSE_FACTOR - 1) / 2 * grid.step,
        step=grid.step * COARSE_FACTOR,
        shape=(counts[0], counts[1], counts[2]),
    )
    coarse = least_distances(coarse_grid, np.arange(np.prod(counts)), cameras, outlines, tolerated)
    is_near = np.asarray((np.abs(coarse) < 1.5).any(0)).reshape(counts)
    close = np.flatnonzero(_repeat(_with_neighbours(is_near), grid.shape))
    fine = least_distances(grid, close, cameras, outlines, tolerated)
    levels = [
        np.asarray(_repeat(level.reshape(counts) * COARSE_FACTOR, grid.shape), np.float32) for level in coarse
    ]
    for level, near in zip(levels, fine, strict=True):
        level.ravel()[close] = near
    return levels


def tolerated_outlines(outlines: OutlineStack) -> int:
    """Return how many outlines may lack a part: one where there are enough."""
    return int(len(outlines.numbers) >= MIN_VOTED_FRAMES)


def doubted_outlines(outlines: OutlineStack) -> int:
    """Return how many outlines may lack a part that many others show."""
    return round(MAX_DOUBTED * len(outlines.numbers)) if tolerated_outlines(outlines) else 0


def _repeat(values: NDArray, shape: tuple[int, int, int]) -> NDArray:  # type: ignore[type-arg]
    """Return coarse values repeated for the fine cells."""
    for axis in range(3):
        values = np.repeat(values, COARSE_FACTOR, axis=axis)
    return np.ascontiguousarray(values[: shape[0], : shape[1], : shape[2]])


def _with_neighbours(mask: Mask) -> Mask:
    """Return a mask with the six neighbours of its cells."""
    out = mask.copy()
    for axis in range(3):
        ahead, behind = [slice(None)] * 3, [slice(None)] * 3
        ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
        out[tuple(ahead)] |= mask[tuple(behind)]
        out[tuple(behind)] |= mask[tuple(ahead)]
    return out


def hull_distances(
    grid: CellGrid, indices: NDArray[np.integer], cameras: Cameras, outlines: OutlineStack
) -> F32:
    """Return the signed distances to the hull, in cells, at some cells of a grid."""
    return least_distances(grid, indices, cameras, outlines, (tolerated_outlines(outlines),))[0]


def least_distances(
    grid: CellGrid,
    indices: NDArray[np.integer],
    cameras: Cameras,
    outlines: OutlineStack,
    tolerated: Sequence[int],
) -> F32:
    """Return the signed distances to the hull at some cells of a grid, in cells, in some ways, (k, n).

    Args:
        grid: The cells.
        indices: (n,) the flat indices of those that count.
        cameras: The cameras.
        outlines: The outlines.
        tolerated: (k,) how many outlines may lack a cell, for each hull.
    """
    least = np.empty((len(tolerated), len(indices)), np.float32)
    for first in range(0, len(indices), CHUNK_CELLS):
        chunk = slice(first, first + CHUNK_CELLS)
        points = np.ascontiguousarray(grid.centres(indices[chunk]).T)  # numpy is fast along long rows
        found = np.full((max(tolerated) + 1, points.shape[1]), np.inf, np.float32)
        for number in outlines.numbers:
            distance = _distances_in_frame(points, grid.step, cameras[number], outlines, number)
            for row in found:
                farther = np.maximum(row, distance)
                np.minimum(row, distance, out=row)
                distance = farther
        least[:, chunk] = found[list(tolerated)]
    return least


def _distances_in_frame(
    points: F32, step: float, camera: FrameCamera, outlines: OutlineStack, number: int
) -> F32:
    """Return the signed distances of points (3, n) to the outline of a frame, in cells of a size, (n,)."""
    shift = (camera.rotation @ camera.eye).astype(np.float32)
    right, down, depth = camera.rotation.astype(np.float32) @ points - shift[:, None]
    scale = np.float32(camera.focal_px) / np.maximum(depth, np.float32(1e-6))
    columns, rows = (
        at * scale + np.float32(middle) for at, middle in zip((right, down), camera.centre, strict=True)
    )
    return np.asarray(outlines.sample_frame(number, columns, rows) / (scale * np.float32(step)), np.float32)
