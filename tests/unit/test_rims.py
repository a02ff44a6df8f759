"""Rims of a capture: a level top and its underside are where the frames show them."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from worker.capture.carving import carve, grid_of_box
from worker.capture.frame_camera import FrameCamera, SpinRig
from worker.capture.outline_stack import OutlineStack, stack_outlines
from worker.capture.rims import level_rims

PX = 400
RADIUS, UNDERSIDE, TOP = 0.25, -0.32, -0.29  # of a disc in the coordinates of a spin
HALF_WIDTH, HALF_DEPTH = 0.3, 0.12  # of a long top
COUNT = 24
RIG = SpinRig(focal=1.6, elevation=0.5, yaw=0.0, roll=0.0, direction=1, frame_count=COUNT, size_px=(PX, PX))
BOX = np.array([-0.27, -0.4, -0.27]), np.array([0.27, -0.22, 0.27])


def disc_outlines(cameras: list[FrameCamera]) -> OutlineStack:
    angles = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    return slab_outlines(
        cameras, np.column_stack([RADIUS * np.sin(angles), np.zeros(400), RADIUS * np.cos(angles)])
    )


def slab_outlines(cameras: list[FrameCamera], rim: np.ndarray) -> OutlineStack:
    """Return the outlines of a slab whose convex rim is given, (n, 3), at height 0."""
    points = np.vstack([rim + np.array([0, height, 0]) for height in (UNDERSIDE, TOP)]).astype(np.float32)
    mattes = []
    for camera in cameras:
        at = np.rint((camera.to_pixels(points) - 0.5) * 256).astype(np.int32)
        matte = np.zeros((PX, PX), np.uint8)
        cv2.fillConvexPoly(matte, cv2.convexHull(at), 255, cv2.LINE_AA, 8)
        mattes.append(matte)
    return stack_outlines(mattes, PX)


def test_a_frame_whose_camera_is_in_the_hull_takes_no_part() -> None:
    """It would see the hull from no distance: a picture of terabytes."""
    cameras = RIG.cameras()
    outlines = disc_outlines(cameras)
    grid = grid_of_box(*BOX, 20_000, 2)
    tight, hull = carve(grid, cameras, outlines, (0, 1))
    inside = replace(cameras[3], eye=np.array([0.0, -0.3, 0.0]))
    found = level_rims(hull, tight, grid, [*cameras[:3], inside, *cameras[4:]], outlines)
    assert (found > 0).any() and np.isfinite(found).all()


def test_a_thin_top_is_as_thick_as_it_is() -> None:
    cameras = RIG.cameras()
    outlines = disc_outlines(cameras)
    grid = grid_of_box(*BOX, 500_000, 2)
    tight, hull = carve(grid, cameras, outlines, (0, 1))
    field = level_rims(hull, tight, grid, cameras, outlines)
    heights = grid.low[1] + grid.step * np.arange(grid.shape[1])
    thickness = []
    for right, along in ((0.1, 0.05), (-0.12, 0.1), (0.05, 0.12), (-0.15, -0.03)):
        column = field[round((right - grid.low[0]) / grid.step), :, round((along - grid.low[2]) / grid.step)]
        inside = np.flatnonzero(column > 0)
        low, high = inside[0] - 1, inside[-1]
        ends = [
            np.interp(0, column[[low, low + 1]], heights[[low, low + 1]]),
            np.interp(0, -column[[high, high + 1]], heights[[high, high + 1]]),
        ]
        thickness.append(ends[1] - ends[0])
    assert np.abs(np.array(thickness) - (TOP - UNDERSIDE)).max() < 0.45 * grid.step


def test_a_long_top_is_level_in_its_middle_too() -> None:
    """Few frames limit the middle of a long top: each one limits the part ahead of its own far rim."""
    rig = replace(RIG, elevation=0.3)
    cameras = rig.cameras()
    corners = [(a * HALF_WIDTH, 0, b * HALF_DEPTH) for a, b in ((1, 1), (1, -1), (-1, -1), (-1, 1))]
    outlines = slab_outlines(cameras, np.array(corners, float))
    grid = grid_of_box(np.array([-0.31, -0.42, -0.13]), np.array([0.31, -0.19, 0.13]), 250_000, 2)
    tight, hull = carve(grid, cameras, outlines, (0, 1))
    heights = grid.low[1] + grid.step * np.arange(grid.shape[1])
    assert heights[(hull > 0).any((0, 2))].max() > TOP + 4 * grid.step  # the cone that outlines leave
    field = level_rims(hull, tight, grid, cameras, outlines)
    inside = heights[(field > 0).any((0, 2))]
    assert inside.max() == pytest.approx(TOP, abs=1.5 * grid.step)
    assert inside.min() == pytest.approx(UNDERSIDE, abs=1.5 * grid.step)
