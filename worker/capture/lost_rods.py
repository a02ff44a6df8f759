"""Rods of a spin that cut-outs lost: dark legs in a shadow, the tip of an antenna, a wire.

In one frame a rod looks like a seam, a print or the edge of a shadow. So thin lines, darker or brighter than
their surroundings, are only hints. But the cameras are known by now: where nearly all frames have a line, or
product in front of it, at one place in space, there is a rod. Lines of the room and shadows stay where they
are while the product turns, so they meet nowhere.

Without its legs, the rest of a product would be stretched to the product's height.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from worker.capture.background_plate import BackgroundPlate
from worker.capture.carving import CHUNK_CELLS, Box, Cameras, CellGrid, grid_of_box, tolerated_outlines
from worker.capture.drawn_cells import cell_px, draw_cells
from worker.capture.frame_camera import FrameCamera
from worker.capture.outline_agreement import tighter_box
from worker.capture.outline_stack import OutlineStack

U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Indices = NDArray[np.int64]

LINE_SHARE = 0.02  # of the picture's longer side: a wider part is no line
LINE_LEVELS = 10  # of lightness between a line and its surroundings
MOVING_LEVELS = 5  # of that contrast, more than in most frames: other lines belong to the room
BACKGROUND_LEVELS = 6.0  # of Lab, from the background: a smaller difference is noise
EDGE_SHARE = 0.5  # of a line's contrast nearby: pixels with less are its blurred edge
CELLS = 2_500_000  # in the box around the product
ROOM_SHARES = np.array([0.1, 0.2, 0.1])  # of the product's longest side, around it: rods may reach so far
MAX_MISSING = 0.1  # of the frames, which show the background in a rod's place
BESIDE_CELLS = 3  # from the hull: lines as near as that are seams, or the gap between product and ground
MIN_REACH = 0.05  # of the product's longest side, from the hull
MAX_SECTION_CELLS = 25  # of a rod's cross-section: shadows, which run along the product, have more
GAP_CELLS = 2  # on either side of a gap in a rod
FLAT_CELLS = 6  # a part as flat as this, at the level of the product's base, is a mark on the turntable
BASE_SHARE = 0.05  # of a hull's largest level: the lowest that has more is its base
MIN_WIDTH_CELLS = 2.5  # of a rod, so that its cells hang together
BACKGROUND, LINE, PRODUCT = 0, 1, 2  # shown by a frame at a pixel


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoredMattes:
    """The mattes (h, w) of a spin's frames with rods that they lacked."""

    whole: list[U8]
    widened: list[U8]  # the same with rods as thick as cells can carry


def with_lost_rods(
    pictures: Sequence[U8],
    alphas: list[U8],
    plate: BackgroundPlate,
    cameras: Cameras,
    outlines: OutlineStack,
    bounds: Box,
) -> RestoredMattes | None:
    """Return the mattes of a spin's frames with the rods that they lack; None where they lack none.

    Args:
        pictures: (h, w, 3) each, sRGB.
        alphas: (h, w) each.
        plate: The background.
        cameras: The camera of each frame.
        outlines: The outlines of the mattes, of the frames that count.
        bounds: A box around the product.
    """
    low, high = tighter_box(bounds, cameras, outlines)
    longest = float((high - low).max())
    low, high = low - ROOM_SHARES * longest, high + ROOM_SHARES * longest
    grid = grid_of_box(np.maximum(low, bounds[0]), np.minimum(high, bounds[1]), CELLS, 1)
    contrasts = _contrasts(pictures, plate)
    shown = {n: _classify(alphas[n], contrasts[n], grid, cameras[n]) for n in outlines.numbers}
    hull, lines = _shared_cells(grid, cameras, shown, tolerated_outlines(outlines))
    rods = grid.centres(_rods(hull, lines, MIN_REACH * longest / grid.step))
    if not len(rods):
        return None
    whole, widened = [], []
    for number, (alpha, contrast) in enumerate(zip(alphas, contrasts, strict=True)):
        place = draw_cells(rods, cameras[number], _radius(grid, cameras[number]), alpha.shape)
        whole.append(_with_rods(alpha, contrast, place))
        widened.append(_with_wide_rods(whole[-1], place, cell_px(rods, grid.step, cameras[number])))
    return RestoredMattes(whole=whole, widened=widened)


def _contrasts(pictures: Sequence[U8], plate: BackgroundPlate) -> list[U8]:
    """Return how many levels darker or brighter than its surroundings each pixel of a line is, (h, w) each.

    It is 0 where a frame shows the background, e.g. in a gap between boards, or three of four frames have it.
    """
    side = max(3, round(LINE_SHARE * max(pictures[0].shape)) | 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    found = []
    for picture in pictures:
        light = np.ascontiguousarray(cv2.cvtColor(picture, cv2.COLOR_RGB2Lab)[..., 0])
        darker = cv2.morphologyEx(light, cv2.MORPH_BLACKHAT, kernel)
        found.append(cv2.max(darker, cv2.morphologyEx(light, cv2.MORPH_TOPHAT, kernel)))
    often = np.partition(found, len(found) // 4, axis=0)[len(found) // 4]
    for number, contrast in enumerate(found):
        is_other = (plate.difference(number) > BACKGROUND_LEVELS).astype(np.uint8)
        is_other = cv2.resize(is_other, contrast.shape[::-1], interpolation=cv2.INTER_NEAREST)
        contrast[(is_other == 0) | (contrast <= cv2.add(often, MOVING_LEVELS))] = 0
    return found


def _classify(alpha: U8, contrast: U8, grid: CellGrid, camera: FrameCamera) -> U8:
    """Return BACKGROUND, LINE or PRODUCT for each pixel, and background around them, (h + 2, w + 2).

    A line is as wide as a cell at least.
    """
    side = 2 * _radius(grid, camera) + 1
    lines = cv2.dilate((contrast > LINE_LEVELS).astype(np.uint8), np.ones((side, side), np.uint8))
    shown = np.where(alpha > 127, PRODUCT, np.where(lines > 0, LINE, BACKGROUND)).astype(np.uint8)
    return np.asarray(cv2.copyMakeBorder(shown, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=BACKGROUND), np.uint8)


def _radius(grid: CellGrid, camera: FrameCamera) -> int:
    """Return half a cell in pixels, 1 at least."""
    middle = grid.centres(np.array([int(np.prod(grid.shape)) // 2]))
    return max(1, round(cell_px(middle, grid.step, camera) / 2))


def _shared_cells(
    grid: CellGrid, cameras: Cameras, shown: Mapping[int, U8], tolerated: int
) -> tuple[Mask, Mask]:
    """Return the cells that frames agree on, of the grid's shape: those of the hull, and those of lines.

    Args:
        grid: The cells.
        cameras: The cameras.
        shown: By the number of the frame, as of `_classify`.
        tolerated: How many frames may lack a part of the hull.
    """
    hull, lines = np.zeros(grid.shape, bool), np.zeros(grid.shape, bool)
    for first in range(0, hull.size, CHUNK_CELLS):
        cells = np.arange(first, min(first + CHUNK_CELLS, hull.size))
        points, missing = grid.centres(cells), np.zeros(len(cells), np.int32)
        lacking = missing.copy()  # mattes
        for number, picture in shown.items():
            seen = _sample(picture, cameras[number].to_pixels(points))
            missing += seen == BACKGROUND
            lacking += seen != PRODUCT
            agreed = missing <= MAX_MISSING * len(shown)
            cells, points = cells[agreed], points[agreed]
            missing, lacking = missing[agreed], lacking[agreed]
        is_line = lacking > tolerated
        hull.ravel()[cells[~is_line]] = True
        lines.ravel()[cells[is_line]] = True
    return hull, lines


def _sample(shown: U8, pixels: NDArray[np.float32]) -> U8:
    """Return the values at pixels (n, 2) of a frame, (n,); beside it there is background."""
    height, width = shown.shape
    at = np.clip(pixels + np.float32(1), 0, np.array([width - 1, height - 1], np.float32)).astype(np.int32)
    return np.asarray(shown[at[:, 1], at[:, 0]])


def _rods(hull: Mask, lines: Mask, least_reach: float) -> Indices:
    """Return the indices of the cells of lines that leave the hull and reach far enough, in cells."""
    if not hull.any() or not lines.any():
        return np.zeros(0, np.int64)
    distance = ndimage.distance_transform_edt(~hull)
    areas = hull.sum((0, 2))
    base = np.flatnonzero(areas > BASE_SHARE * areas.max())[0]
    apart = lines & (distance > BESIDE_CELLS)
    labels, count = ndimage.label(ndimage.binary_dilation(apart, iterations=GAP_CELLS), np.ones((3, 3, 3)))
    labels *= apart
    is_rod = np.zeros(count + 1, bool)
    for number, part in enumerate(ndimage.find_objects(labels), 1):
        distances = distance[part][labels[part] == number]
        reach = float(distances.max())
        is_joined = distances.min() <= BESIDE_CELLS + least_reach
        is_thin = len(distances) <= MAX_SECTION_CELLS * reach
        heights = np.flatnonzero((labels[part] == number).any((0, 2))) + part[1].start
        is_mark = np.ptp(heights) < FLAT_CELLS and heights[0] <= base + FLAT_CELLS
        is_rod[number] = reach >= least_reach and is_joined and is_thin and not is_mark
    rods = ndimage.binary_dilation(is_rod[labels], np.ones((3, 3, 3)), iterations=BESIDE_CELLS, mask=lines)
    return np.flatnonzero(rods)


def _with_rods(alpha: U8, contrast: U8, shown: Mask) -> U8:
    """Return a matte with the lines that a frame has where rods are shown."""
    own = np.where(shown, contrast, 0).astype(np.uint8)
    nearby = cv2.dilate(own, np.ones((9, 9), np.uint8))
    is_rod = (own > LINE_LEVELS) & (own > EDGE_SHARE * nearby)
    return np.asarray(np.where(is_rod, 255, alpha), np.uint8)


def _with_wide_rods(alpha: U8, place: Mask, side_px: float) -> U8:
    """Return a matte whose rods are as wide as some cells; thinner ones would come apart when carved.

    Args:
        alpha: (h, w)
        place: (h, w) where rods are.
        side_px: Of a cell.
    """
    least = max(2, round(MIN_WIDTH_CELLS * side_px))
    inside = (alpha > 127).astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (least, least))
    thin = cv2.morphologyEx(inside, cv2.MORPH_TOPHAT, disc) * place
    if not thin.any():
        return alpha
    width = 4 * float(cv2.distanceTransform(thin, cv2.DIST_L2, 3)[thin > 0].mean())  # a strip's mean depth is
    side = 2 * max(0, round((least - width) / 2)) + 1  # a quarter of its width
    wide = cv2.dilate(thin * np.uint8(255), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
    return np.asarray(cv2.max(alpha, wide), np.uint8)
