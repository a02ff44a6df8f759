"""Flat tops and undersides where outlines leave them open.

Cameras that look down a little leave a cone above each flat top: no line of sight passes between the top
and the cone. The same happens below each underside. The outline itself says how high the rim is: the line of
sight over a top touches it at its far end, the one under an underside at its near end. Between the two ends
of the part of that line that lies in the hull, the surface is taken to be level.

Tried and lost: the same without regard to whether the line of sight is in the hull above the cell. A leg
behind another one cut it off (envelope IoU of a stool .49 instead of .69).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.capture.carving import Cameras, CellGrid
from worker.capture.frame_camera import FrameCamera
from worker.capture.outline_stack import OutlineStack

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Mask = NDArray[np.bool_]

MIN_VOTES = 2  # frames that must say so at least
# Of the frames, that must say so. With two of 24, what slopes is cut off as if it were level: envelope IoU of
# a chair .57 instead of .8, a pan's unseen outlines .94 instead of .98. Tried and lost: half of the frames
# that limit a cell, where those are fewer; posts behind a seat were cut off (.66).
VOTES_SHARE = 0.25
MIN_MISSING = 3  # frames in which a cell would be missed
MIN_THICKNESS_CELLS = np.float32(3.0)  # between a top and an underside: both are uncertain by a cell
LEVEL_CELLS = np.float32(2.0)  # heights of rims that differ by less are of one level
SPREAD_CELLS, SPREAD_ROUNDS = 5, 40  # a level found by enough frames spreads to places that two frames limit
MIN_SEED_SHARE = 0.6  # of the neighbours, that enough frames give a height: there a level is wide
TOUCHING_CELLS = -2.5  # from this distance on, a line of sight counts as in the hull
LEAST_CELLS = 2.0  # that a surface would rise: less is left, so that thin parts stay whole
LINES_AT_ONCE = 512  # lines of sight, so that memory stays bounded
FAR_UP = 1e6  # a height that no rim has
UP = np.array([0.0, 1.0, 0.0])


@dataclass(frozen=True, slots=True, kw_only=True)
class _UprightView:
    """A frame as a camera in the same place sees it whose columns are upright planes."""

    eye: F64  # (3,)
    forward: F64  # (3,) level
    right: F64  # (3,) level
    low: tuple[float, float]  # of the first pixel, u to the right and v upwards, at depth 1
    unit: float  # of a pixel
    distance: F32  # (rows, columns) to the outline, positive inside, the lowest row first
    depths: F64  # (d,) along the lines of sight, evenly spaced


def level_rims(field: F32, tight: F32, grid: CellGrid, cameras: Cameras, outlines: OutlineStack) -> F32:
    """Return a field, (nx, ny, nz), with cones above tops and below undersides cut off level.

    Args:
        field: The hull.
        tight: The hull that bulges less; rims are where lines of sight enter and leave it. A bulge of a cell
            makes a table's top thinner by half of it.
        grid: The cells of both.
        cameras: The cameras.
        outlines: The outlines.
    """
    inside = np.flatnonzero(field.ravel() > TOUCHING_CELLS)
    points = grid.centres(inside)
    numbers = [n for n in outlines.numbers if _is_apart(points, cameras[n])]
    votes = max(MIN_VOTES, round(VOTES_SHARE * len(numbers)))
    tops = np.full((votes, len(points)), np.inf, np.float32)
    bottoms = np.full((votes, len(points)), -np.inf, np.float32)
    for number in numbers:
        view = _upright_view(points, cameras[number], outlines, number, grid.step)
        top, bottom = _rim_heights(points, view, tight, grid)
        tops = _keep_least(tops, top)
        bottoms = -_keep_least(-bottoms, -bottom)
    y = points[:, 1]
    level = LEVEL_CELLS * np.float32(grid.step)
    top = _with_agreeing(tops[-1], tops[MIN_VOTES - 1], level, inside, grid)
    bottom = -_with_agreeing(-bottoms[-1], -bottoms[MIN_VOTES - 1], level, inside, grid)
    short = np.maximum(MIN_THICKNESS_CELLS * np.float32(grid.step) - (top - bottom), 0) / 2
    allowed = (np.minimum(top - y, y - bottom) + short) / np.float32(grid.step)
    before = field.ravel()[inside]
    after = np.minimum(before, allowed)
    after = np.where(
        _is_missed(points, before, after, [cameras[n] for n in numbers], grid.step), before, after
    )
    out = field.copy()
    out.ravel()[inside] = after
    return out


def _is_apart(points: F32, camera: FrameCamera) -> bool:
    """Return whether a camera looks at all points, (n, 3), from outside, along the ground too."""
    forward = camera.rotation[2]
    return camera.is_apart(points, forward) and camera.is_apart(points, _level(forward))


def _level(direction: F64) -> F64:
    """Return the level unit vector below a direction."""
    flat = direction * (1 - UP)
    return np.asarray(flat / max(float(np.linalg.norm(flat)), 1e-9), np.float64)


def _is_missed(points: F32, before: F32, after: F32, cameras: list[FrameCamera], step: float) -> Mask:
    """Return which cells must stay, (n,): frames show product there, and nothing else of it is in the way."""
    hull, usable = before > 0, after > 0
    cut = np.flatnonzero(hull & ~usable)
    count = np.zeros(len(cut), np.uint8)
    product = points[hull]
    is_usable = usable[hull]
    for camera in cameras:
        depth = float(np.linalg.norm(points.mean(0) - camera.eye))
        pixels = camera.to_pixels(product) / np.float32(1.2 * step / depth * camera.focal_px)
        low = pixels.min(0)
        at = np.rint(pixels - low).astype(np.int32) + 1
        width, height = at.max(0) + 2
        covered = np.zeros((int(height), int(width)), np.uint8)
        covered[at[is_usable, 1], at[is_usable, 0]] = 1
        covered = cv2.dilate(covered, np.ones((5, 5), np.uint8))
        count += covered[at[~is_usable, 1], at[~is_usable, 0]] == 0
    missed = np.zeros(len(points), bool)
    missed[cut[count >= MIN_MISSING]] = True
    return missed


def _with_agreeing(sure: F32, likely: F32, level: np.float32, cells: I64, grid: CellGrid) -> F32:
    """Return the heights that enough frames give, (n,), and beside them the same that fewer frames give.

    Each frame limits the part of a top that lies ahead of its far rim, so in its middle few frames do. Only
    wide places spread: a round belly is a stair of narrow ones, and became one.

    Args:
        sure: (n,) the height at each cell that enough frames give; infinite where they do not.
        likely: (n,) the height that a few frames give.
        level: Heights that differ by less are the same.
        cells: (n,) the flat indices of the cells.
        grid: The cells.
    """
    wanted, found = _scattered(likely, cells, grid), _scattered(sure, cells, grid)
    wanted[np.isinf(wanted)] = FAR_UP
    found[_share_nearby(np.isfinite(found)) < MIN_SEED_SHARE] = np.inf
    for _ in range(SPREAD_ROUNDS):
        highest = -_least_nearby(np.where(np.isfinite(found), -found, np.inf).astype(np.float32))
        lowest = _least_nearby(found)
        agreed = np.where(
            np.abs(lowest - wanted) <= level,
            lowest,
            np.where(np.abs(highest - wanted) <= level, highest, np.inf),
        )
        is_new = np.isinf(found) & np.isfinite(agreed)
        if not is_new.any():
            break
        found[is_new] = agreed[is_new]
    return np.minimum(sure, found.ravel()[cells])


def _scattered(values: F32, cells: I64, grid: CellGrid) -> F32:
    """Return values at cells, (n,), in the grid's shape; infinite elsewhere."""
    whole = np.full(grid.shape, np.inf, np.float32)
    whole.ravel()[cells] = values
    return whole


def _share_nearby(mask: Mask) -> F32:
    """Return the share of a mask in each cell's neighbours on the same level, (nx, ny, nz)."""
    nx, ny, nz = mask.shape
    along_z = cv2.blur(mask.reshape(nx * ny, nz).astype(np.float32), (SPREAD_CELLS, 1))
    along_x = cv2.blur(along_z.reshape(nx, ny * nz), (1, SPREAD_CELLS))
    return np.asarray(along_x.reshape(nx, ny, nz), np.float32)


def _least_nearby(heights: F32) -> F32:
    """Return the least of each cell and its neighbours on the same level, (nx, ny, nz)."""
    nx, ny, nz = heights.shape
    along_z = cv2.erode(heights.reshape(nx * ny, nz), np.ones((1, SPREAD_CELLS), np.uint8))
    along_x = cv2.erode(along_z.reshape(nx, ny * nz), np.ones((SPREAD_CELLS, 1), np.uint8))
    return np.asarray(along_x.reshape(nx, ny, nz), np.float32)


def _keep_least(least: F32, value: F32) -> F32:
    """Return the least values of each column, (k, n), in order, with a further row of values."""
    out = least.copy()
    for row in range(len(least)):
        out[row], value = np.minimum(out[row], value), np.maximum(out[row], value)
    return out


def _upright_view(
    points: F32, camera: FrameCamera, outlines: OutlineStack, number: int, step: float
) -> _UprightView:
    forward = _level(camera.rotation[2])
    right = np.cross(forward, UP)
    across, up, depth = _picture_places(points, camera.eye, forward, right)
    unit = max(step / float(np.median(depth)), 1.0 / (camera.focal_px * outlines.scale))
    low = (float(across.min()) - 2 * unit, float(up.min()) - 2 * unit)
    columns, rows = int((across.max() - low[0]) / unit) + 3, int((up.max() - low[1]) / unit) + 3
    u, v = np.meshgrid(low[0] + np.arange(columns) * unit, low[1] + np.arange(rows) * unit)
    directions = forward + u.reshape(-1, 1) * right + v.reshape(-1, 1) * UP
    seen = directions @ camera.rotation.T
    pixels = seen[:, :2] / seen[:, 2:] * camera.focal_px + np.array(camera.centre)
    return _UprightView(
        eye=camera.eye,
        forward=forward,
        right=right,
        low=low,
        unit=unit,
        distance=outlines.sample(number, pixels.astype(np.float32)).reshape(rows, columns),
        depths=np.arange(float(depth.min()) - step, float(depth.max()) + 2 * step, step),
    )


def _picture_places(points: F32, eye: F64, forward: F64, right: F64) -> tuple[F32, F32, F32]:
    """Return u, v and depth of points (n, 3), (n,) each."""
    offsets = points - eye.astype(np.float32)
    depth = offsets @ forward.astype(np.float32)
    return offsets @ right.astype(np.float32) / depth, offsets[:, 1] / depth, depth


def _rim_heights(points: F32, view: _UprightView, field: F32, grid: CellGrid) -> tuple[F32, F32]:
    """Return for each point the heights of the rims above and below it that a frame shows, (n,) each.

    Infinite where the frame does not limit the point.
    """
    across, up, depth = _picture_places(points, view.eye, view.forward, view.right)
    mask, edges = view.distance > 0, _edges(view)
    columns = mask.shape[1]
    bin_size = np.float32(view.depths[1] - view.depths[0])
    u = np.rint((across - np.float32(view.low[0])) / np.float32(view.unit)).astype(np.int32)
    v = np.rint((up - np.float32(view.low[1])) / np.float32(view.unit)).astype(np.int32)
    bins = np.rint((depth - np.float32(view.depths[0])) / bin_size).astype(np.int32)
    is_seen = mask[v, u]
    bins = bins[is_seen]
    found = []
    for ends, sign in zip(_run_ends(mask), (1, -1), strict=True):
        pixel = (ends[v, u] * columns + u)[is_seen]
        is_used = np.zeros(mask.size, bool)
        is_used[pixel] = True
        pixels, place = np.flatnonzero(is_used), np.cumsum(is_used, dtype=np.int32) - 1
        by_depth = np.vstack(
            [
                _end_heights(pixels[first : first + LINES_AT_ONCE], view, edges[sign], field, grid, sign)
                for first in range(0, max(1, len(pixels)), LINES_AT_ONCE)
            ]
        )
        heights = np.full(len(points), np.inf, np.float32)
        heights[is_seen] = by_depth[place[pixel], bins]
        found.append(sign * heights)
    return found[0], found[1]


def _end_heights(pixels: I64, view: _UprightView, edges: F32, field: F32, grid: CellGrid, sign: int) -> F32:
    """Return the height of the end of the hull along lines of sight, at each depth, (p, d), times `sign`.

    Of both ends of the part of a line that is in the hull around a depth, the lower one counts, or with a
    negative sign the higher one. Infinite where the line is outside the hull.
    """
    rows, columns = np.divmod(pixels, edges.shape[1])
    u, v = view.low[0] + columns * view.unit, view.low[1] + rows * view.unit
    directions = view.forward + u[:, None] * view.right + v[:, None] * UP
    at = (view.eye - grid.low + directions[:, None] * view.depths[:, None]) / grid.step
    cells = np.rint(at).astype(np.int64)
    is_in = ((cells >= 0) & (cells < grid.shape)).all(2)
    cells[~is_in] = 0
    values = field[cells[..., 0], cells[..., 1], cells[..., 2]]
    is_in &= values > TOUCHING_CELLS
    count = len(view.depths)
    place = np.arange(count)
    near = np.maximum.accumulate(np.where(is_in, -1, place), axis=1) + 1
    far = np.minimum.accumulate(np.where(is_in, count, place)[:, ::-1], axis=1)[:, ::-1] - 1
    # from where the line comes near the hull on to where it enters it, by as many cells as it is outside
    enters, leaves = (
        end + way * np.maximum(-np.take_along_axis(values, np.clip(end, 0, count - 1), 1), 0)
        for end, way in ((near, 1), (far, -1))
    )
    enters, leaves = np.minimum(enters, leaves), np.maximum(enters, leaves)
    first, step = view.depths[0], view.depths[1] - view.depths[0]
    slopes = edges[rows, columns][:, None]
    heights = sign * (view.eye[1] + slopes * view.depths)
    least = np.minimum(*(sign * (view.eye[1] + slopes * (first + end * step)) for end in (enters, leaves)))
    rises = heights - least > LEAST_CELLS * grid.step
    return np.where(is_in & rises, least, np.inf).astype(np.float32)


def _edges(view: _UprightView) -> dict[int, F32]:
    """Return for each pixel where the outline is if its run ends there, (rows, columns), by direction.

    Whole pixels would be half a cell too high or too low, and of many frames the extreme ones count.
    """
    distance = view.distance
    rows = view.low[1] + np.arange(len(distance), dtype=np.float32)[:, None] * view.unit
    found = {}
    for sign in (1, -1):
        beyond = np.roll(distance, -sign, axis=0)
        inside = np.maximum(distance, 0)
        share = inside / np.maximum(inside - np.minimum(beyond, 0), np.float32(1e-6))
        found[sign] = np.asarray(rows + sign * view.unit * np.minimum(share, 1), np.float32)
    return found


def _run_ends(mask: Mask) -> tuple[I64, I64]:
    """Return the rows where the upright run of each pixel of the mask ends: its top and its bottom."""
    rows = np.arange(len(mask))[:, None]
    below = np.maximum.accumulate(np.where(mask, -1, rows), axis=0) + 1
    above = np.minimum.accumulate(np.where(mask, len(mask), rows)[::-1], axis=0)[::-1] - 1
    return np.clip(above, 0, len(mask) - 1), np.clip(below, 0, len(mask) - 1)
