"""Thin parts that single cut-outs lost: rods and rails that most photos of a walk show.

A cut-out loses a rod where that is like its background, each in another place. As a hull keeps what nearly
all outlines have, a few such cut-outs would carve the rod away. So a thin part that most photos show is put
back into the mattes that lack it, unless the photo shows the ground there. Thick parts are not: their hull
bulges where few photos see a side edge-on, and the bulge would be put back as well.
"""

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from worker.capture.carving import Box, grid_of_box
from worker.capture.drawn_cells import cell_px
from worker.capture.frame_camera import FrameCamera
from worker.capture.ground_plate import cells_in_photo
from worker.capture.outline_agreement import CELLS, MARGIN_CELLS, common_hull, tighter_box
from worker.capture.outline_stack import OutlineStack

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]

MIN_VOTES = 0.8  # of the photos that must show a thin part
THIN_CELLS = 2.5  # radius of the ball that does not fit into a thin part
LEAST_PART_SHARE = 0.0005  # of the photo: smaller parts are noise
# From a matte, within which nothing is put back: the hull of a rod is thicker than the rod by these.
MARGIN_PX, MARGIN_CELLS_BESIDE = 2, 1.5


def find_thin_parts(bounds: Box, cameras: list[FrameCamera], outlines: OutlineStack) -> tuple[F32, float]:
    """Return the cells of thin parts that most outlines show, (n, 3), and the size of a cell.

    Args:
        bounds: A box around the product.
        cameras: The cameras, by the number of the photo.
        outlines: The outlines.
    """
    grid = grid_of_box(*tighter_box(bounds, cameras, outlines, MIN_VOTES), CELLS, MARGIN_CELLS)
    hull = common_hull(grid, cameras, outlines, MIN_VOTES).reshape(grid.shape) > 0
    depth = ndimage.distance_transform_edt(hull)
    thick = ndimage.distance_transform_edt(depth <= THIN_CELLS) <= THIN_CELLS + 1
    return grid.centres(np.flatnonzero(hull & ~thick)), grid.step


def with_thin_parts(
    mattes: Mapping[int, U8],
    cameras: Mapping[int, FrameCamera],
    grounds: Mapping[int, Mask],
    parts: tuple[F32, float],
) -> dict[int, U8]:
    """Return mattes, (h, w) each, with the thin parts that they lack.

    Args:
        mattes: By the number of the photo.
        cameras: Likewise.
        grounds: Where each photo looks like the ground, reduced in size.
        parts: Of `find_thin_parts`.
    """
    cells, step = parts
    found = dict(mattes)
    for number, camera in cameras.items() if len(cells) else ():
        matte, ground = mattes[number], grounds[number]
        small = cv2.resize(matte, ground.shape[::-1], interpolation=cv2.INTER_AREA)
        side_px = cell_px(cells, step, camera) * ground.shape[1] / matte.shape[1]
        rim_px = min(max(ground.shape), round(MARGIN_CELLS_BESIDE * side_px + MARGIN_PX))
        rim = np.ones((2 * rim_px + 1,) * 2, np.uint8)
        grown = cv2.dilate(small, rim) > 127
        shown = cells_in_photo(cells, step, camera, matte.shape[::-1])
        lost = (shown & ~grown & ~ground).astype(np.uint8)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(lost, connectivity=8)
        is_part = stats[:, cv2.CC_STAT_AREA] >= LEAST_PART_SHARE * lost.size
        is_part[0] = False
        # up to the matte, so that no gap is left
        add = cv2.dilate(is_part[labels].astype(np.uint8), rim)
        add = add * np.uint8(255) * (shown & ~ground)
        found[number] = cv2.max(matte, cv2.resize(add, matte.shape[::-1], interpolation=cv2.INTER_LINEAR))
    return found
