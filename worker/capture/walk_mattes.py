"""Mattes of a walk's photos: what is ground or another thing goes, thin parts that were lost come back."""

from collections.abc import Collection
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.capture.carving import Box, grid_of_box
from worker.capture.frame_camera import FrameCamera
from worker.capture.ground_plate import (
    GroundPlate,
    cells_in_photo,
    ground_in_matte,
    ground_in_photo,
    ground_share,
    make_plate,
    product_in_photo,
    without_ground,
)
from worker.capture.outline_agreement import (
    CELLS,
    MARGIN_CELLS,
    TOUCHING_CELLS,
    agreeing_outlines,
    common_hull,
    tighter_box,
)
from worker.capture.outline_stack import OutlineStack, stack_outlines
from worker.capture.thin_parts import find_thin_parts, with_thin_parts

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]

AGREEING_PX = 256  # longer side of the outlines that are compared with the hull
MAX_CUT_SHARE = 0.02  # of an outline's length that may be at the border of the photo
PART_ALPHA = 20  # of a matte, from which on a place belongs to a part
GROUND_ROUNDS = 2  # the less ground is in the mattes, the better is known what is in front of it
LOW_SHARE = 0.2  # of the product's height, below which its mattes may have ground in them
MIN_GROUND_SHARE = 0.6  # of the photos that see a low place: fewer that take it for ground are mistaken
LOST_VOTES = 0.8  # of the photos that must show a lost part
HULL_RIM_PX = 3  # of a reduced photo, around the hull
UPPER_CELLS = 200_000  # in the product's box, from which the upper part is drawn


def mended_mattes(
    pictures: dict[int, U8], cameras: dict[int, FrameCamera], mattes: dict[int, U8], bounds: Box
) -> dict[int, U8]:
    """Return the mattes without ground and other things, and with the thin parts that they lost."""
    clean, grounds, plate = off_the_ground(pictures, cameras, mattes, bounds)
    for _ in range(GROUND_ROUNDS - 1):
        clean, grounds, plate = off_the_ground(pictures, cameras, mattes, bounds, known=clean)
    if plate is not None:
        unlike = {n: product_in_photo(plate, n, pictures[n], camera) for n, camera in cameras.items()}
        clean = with_lost_parts(clean, unlike, cameras, bounds)
    outlines = matte_stack(clean, [n for n, matte in clean.items() if (matte > 127).any()])
    parts = find_thin_parts(bounds, list(cameras.values()), outlines)
    return without_other_things(with_thin_parts(clean, cameras, grounds, parts), cameras, bounds)


def plain_mattes(
    pictures: dict[int, U8], cameras: dict[int, FrameCamera], mattes: dict[int, U8], bounds: Box
) -> dict[int, U8]:
    """Return the mattes without places that look like the ground in each photo by itself."""
    for _ in range(GROUND_ROUNDS):
        mattes, *_ = off_the_ground(pictures, cameras, mattes, bounds, is_voted=False)
    return mattes


def off_the_ground(
    pictures: dict[int, U8],
    cameras: dict[int, FrameCamera],
    mattes: dict[int, U8],
    bounds: Box,
    *,
    known: dict[int, U8] | None = None,
    is_voted: bool = True,
) -> tuple[dict[int, U8], dict[int, Mask], GroundPlate | None]:
    """Return the mattes without rugs and shadows, where photos look like the ground, and the ground.

    With `is_voted`, what most photos show in front of the ground stays in all of them. `known` are mattes of
    an earlier round, which tell better what is in front of the ground. The ground is taken off the given ones
    nevertheless: rests of it at the product's foot are as narrow as legs, unless the whole rug is looked at.
    """
    known = mattes if known is None else known
    outlines = matte_stack(known, [n for n, matte in known.items() if (matte > 127).any()])
    _, _, points = agreeing_outlines(bounds, list(cameras.values()), outlines, is_excess_wrong=False)
    if not len(points):
        nothing = {n: np.zeros(matte.shape, bool) for n, matte in mattes.items()}
        return mattes, nothing, None
    upper = points[points[:, 1] > LOW_SHARE * float(points[:, 1].max())]
    step = _cell_size(points)
    in_front = {
        n: cells_in_photo(upper, step, camera, mattes[n].shape[::-1]) for n, camera in cameras.items()
    }
    plate = make_plate(pictures, cameras, known, in_front, float(bounds[1][0]))
    grounds = {n: ground_in_photo(plate, n, pictures[n], camera) for n, camera in cameras.items()}
    taken = {n: ground_in_matte(mattes[n], grounds[n], in_front[n]) for n in cameras}
    low = points[points[:, 1] <= LOW_SHARE * float(points[:, 1].max())]
    is_product = ground_share(low, cameras, taken, known, in_front) < MIN_GROUND_SHARE
    low_product = low[is_product & is_voted]
    clean = {
        n: without_ground(
            mattes[n], taken[n], cells_in_photo(low_product, step, camera, mattes[n].shape[::-1])
        )
        for n, camera in cameras.items()
    }
    return clean, grounds, plate


def with_lost_parts(
    mattes: dict[int, U8], unlike: dict[int, Mask], cameras: dict[int, FrameCamera], bounds: Box
) -> dict[int, U8]:
    """Return the mattes with the parts that they lack, where photos cannot show the ground.

    What one photo alone has there is no product: only where the common hull of all such mattes is.
    """
    fuller = {n: with_parts(matte, unlike[n]) for n, matte in mattes.items()}
    outlines = matte_stack(fuller, [n for n, matte in fuller.items() if (matte > 127).any()])
    grid = grid_of_box(*tighter_box(bounds, list(cameras.values()), outlines), CELLS, MARGIN_CELLS)
    hull = common_hull(grid, list(cameras.values()), outlines, LOST_VOTES)
    points = grid.centres(np.flatnonzero(hull > TOUCHING_CELLS))
    near = np.ones((2 * HULL_RIM_PX + 1,) * 2, np.uint8)
    found = {}
    for n, camera in cameras.items():
        shown = cells_in_photo(points, grid.step, camera, mattes[n].shape[::-1]).astype(np.uint8)
        found[n] = with_parts(mattes[n], unlike[n] & (cv2.dilate(shown, near) > 0))
    return found


def with_parts(matte: U8, parts: Mask) -> U8:
    """Return a matte, (h, w), with parts of it that are reduced in size."""
    add = parts.astype(np.uint8) * np.uint8(255)
    return np.asarray(cv2.max(matte, cv2.resize(add, matte.shape[::-1], interpolation=cv2.INTER_LINEAR)))


def without_other_things(
    mattes: dict[int, U8], cameras: dict[int, FrameCamera], bounds: Box
) -> dict[int, U8]:
    """Return the mattes without parts that touch nothing of the common hull.

    A cut-out often has a piece of a rug or of the furniture behind. It carves nothing away, so the photo is
    as good as any other without it.
    """
    outlines = matte_stack(mattes, [n for n, matte in mattes.items() if (matte > 127).any()])
    _, _, points = agreeing_outlines(bounds, list(cameras.values()), outlines, is_excess_wrong=False)
    if not len(points):
        return mattes
    step, found = _cell_size(points), {}
    for n, camera in cameras.items():
        shown = cells_in_photo(points, step, camera, mattes[n].shape[::-1])
        small = cv2.resize(mattes[n], shown.shape[::-1], interpolation=cv2.INTER_AREA)
        count, labels = cv2.connectedComponents((small > PART_ALPHA).astype(np.uint8), connectivity=8)
        is_other = ~np.isin(np.arange(count), labels[shown])
        is_other[0] = False
        off = is_other[labels].astype(np.uint8) * np.uint8(255)
        found[n] = cv2.min(mattes[n], 255 - cv2.resize(off, mattes[n].shape[::-1]))
    return found


def _cell_size(points: F32) -> float:
    """Return the size of cells, (n, 3), of which UPPER_CELLS fill their box."""
    return float((np.ptp(points, axis=0).prod() / UPPER_CELLS) ** (1 / 3))


def matte_stack(mattes: dict[int, U8], counted: Collection[int]) -> OutlineStack:
    """Return the outlines in the order of the mattes; those of some photos count."""
    stack = stack_outlines(on_one_canvas(list(mattes.values())), AGREEING_PX)
    return replace(stack, numbers=tuple(row for row, n in enumerate(mattes) if n in counted))


def is_cut_off(matte: U8) -> bool:
    """Return whether the product reaches beyond the photo."""
    inside = matte > 127
    border = inside[0].sum() + inside[-1].sum() + inside[:, 0].sum() + inside[:, -1].sum()
    length = np.sqrt(float(inside.sum())) * 4
    return not inside.any() or float(border) > MAX_CUT_SHARE * length


def on_one_canvas(mattes: list[U8]) -> list[U8]:
    """Return mattes with empty margins at the right and below, so that they are of one size."""
    height, width = (max(matte.shape[axis] for matte in mattes) for axis in (0, 1))
    return [np.pad(matte, ((0, height - matte.shape[0]), (0, width - matte.shape[1]))) for matte in mattes]
