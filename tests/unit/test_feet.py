"""Feet of a product seen from above, and the shadows that they get."""

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.imaging.feet import find_feet
from worker.imaging.ground_shadow import shadows_of_feet
from worker.imaging.lower_outline import reduced_mask

F32 = NDArray[np.float32]
FEET = ((150, 360), (60, 300), (240, 270), (330, 330))  # front, left, far, right


def table(feet: tuple[tuple[int, int], ...] = FEET) -> F32:
    """A top on legs that end at these feet, (440, 440)."""
    alpha = np.zeros((440, 440), np.float32)
    for x, y in feet:
        alpha[y - 150 : y, x - 5 : x + 5] = 1
    top = np.array([(x, y - 150) for x, y in FEET], np.int32)
    cv2.fillConvexPoly(alpha, cv2.convexHull(top), 1.0)
    return alpha


def reduced(alpha: F32) -> NDArray[np.uint8]:
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    part = alpha[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return reduced_mask((part * 255).astype(np.uint8))


def test_four_feet_that_are_a_parallelogram_are_found() -> None:
    feet = find_feet(reduced(table()))
    assert feet is not None
    left, top = min(x for x, _ in FEET), max(y for _, y in FEET)
    moved = [(x - min(a for a, _ in feet), y - max(b for _, b in feet)) for x, y in feet]
    for x, y in FEET:
        assert min(np.hypot(a - (x - left), b - (y - top)) for a, b in moved) < 5


def test_three_legs_are_no_base_of_four() -> None:
    assert find_feet(reduced(table(FEET[:2] + FEET[3:]))) is None


def test_a_mug_with_a_handle_has_no_four_feet() -> None:
    mug = np.zeros((440, 440), np.float32)
    mug[120:320, 120:280] = 1
    cv2.ellipse(mug, (285, 215), (55, 60), 0, -90, 90, 1.0, 16)
    assert find_feet(reduced(mug)) is None and shadows_of_feet(mug) is None


def test_legs_seen_from_the_front_are_no_base_seen_from_above() -> None:
    """The arms of an armchair end above its front legs: the height is no side of the base."""
    chair = np.zeros((440, 440), np.float32)
    chair[100:300, 140:300] = 1
    for x in (100, 332):
        chair[140:160, min(x, 140) : max(x, 300)] = 1
        chair[140:200, x - 6 : x + 6] = 1
    for x in (146, 294):
        chair[300:380, x - 6 : x + 6] = 1
    assert find_feet(reduced(chair)) is None


def test_each_foot_shades_the_ground_around_it_the_far_one_too() -> None:
    found = shadows_of_feet(table())
    assert found is not None
    contact, below = found
    for x, y in FEET:
        assert contact[y - 2 : y + 4, x - 8 : x + 8].max() > 0.4
    assert contact[312:318, 190:200].max() < 0.2  # between the feet
    assert below[315, 195] > 0.7 and below[420, 195] < 0.2 and below[230, 60] < 0.2
