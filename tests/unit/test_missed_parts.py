"""The hull of a capture: lone outlines cut off little, and parts that a few outlines lost are there."""

from dataclasses import replace

import numpy as np
import pytest

from tests.spins import spin_frames
from tests.unit.true_shapes import chair
from worker.capture.captured_model import product_hull
from worker.capture.carving import carve, grid_of_box, outline_box, spin_bounds
from worker.capture.frame_camera import FrameCamera
from worker.capture.missed_parts import with_missed_parts
from worker.capture.outline_stack import stack_outlines
from worker.capture.rig_fitting import fit_rig, product_reach

COUNT = 24
LOST = (2, 9, 17)
CELLS = 120_000
Spin = tuple[list[np.ndarray], list[FrameCamera], tuple[np.ndarray, np.ndarray]]


@pytest.fixture(scope="module")
def spin() -> Spin:
    frames = spin_frames(chair(), COUNT)
    mattes = [frame.alpha for frame in frames]
    outlines = stack_outlines(mattes, 256)
    rig = fit_rig(outlines, frames[0].size_px)[0].rig
    return mattes, rig.cameras(), spin_bounds(product_reach(rig, outlines))


def without_legs(mattes: list[np.ndarray]) -> list[np.ndarray]:
    found = [matte.copy() for matte in mattes]
    for number in LOST:
        rows = np.flatnonzero((found[number] > 127).any(1))
        found[number][rows[-1] - len(rows) // 3 :] = 0
    return found


def test_legs_that_a_few_outlines_lost_are_in_the_hull(spin: Spin) -> None:
    mattes, cameras, bounds = spin
    whole, lacking = (stack_outlines(found, 256) for found in (mattes, without_legs(mattes)))
    grid = grid_of_box(*outline_box(whole, cameras, bounds), CELLS, 3)
    true = carve(grid, cameras, whole, (0,))[0] > 0
    tolerant, possible = carve(grid, cameras, lacking, (1, 6))
    lost = true & (tolerant <= 0)
    assert lost.sum() > 0.02 * true.sum()
    found = with_missed_parts(tolerant, possible, grid, cameras, lacking) > 0
    assert (found & lost).sum() > 0.7 * lost.sum()
    assert (found & ~true).sum() < 1.1 * ((tolerant > 0) & ~true).sum() + 0.05 * true.sum()


def test_one_outline_alone_cuts_off_a_bulge_but_for_a_cell(spin: Spin) -> None:
    mattes, cameras, bounds = spin
    outlines = stack_outlines(mattes, 256)
    grid = grid_of_box(*outline_box(outlines, cameras, bounds), CELLS, 3)
    tight, tolerant = (field > 0 for field in carve(grid, cameras, outlines, (0, 1)))
    hull = product_hull(grid, cameras, outlines)[0] > 0
    assert tight.sum() <= hull.sum() < tolerant.sum()


def test_where_nothing_is_missed_the_hull_stays(spin: Spin) -> None:
    mattes, cameras, bounds = spin
    outlines = stack_outlines(mattes, 256)
    grid = grid_of_box(*outline_box(outlines, cameras, bounds), CELLS, 3)
    tight = carve(grid, cameras, outlines, (0,))[0]
    assert with_missed_parts(tight, tight, grid, cameras, outlines) is tight


def test_a_camera_in_the_hull_is_left_out(spin: Spin) -> None:
    mattes, cameras, bounds = spin
    outlines = stack_outlines(without_legs(mattes), 256)
    grid = grid_of_box(*outline_box(outlines, cameras, bounds), CELLS, 3)
    tolerant, possible = carve(grid, cameras, outlines, (1, 6))
    expected = with_missed_parts(tolerant, possible, grid, cameras, outlines) > 0
    middle = grid.centres(np.flatnonzero(tolerant > 0)).mean(0)
    wrong = [replace(cameras[0], eye=np.asarray(middle, float)), *cameras[1:]]
    found = with_missed_parts(tolerant, possible, grid, wrong, outlines) > 0
    assert (found != expected).sum() < 0.02 * expected.sum()
