"""Mattes of a walk: lost rods come back, other things go, a product like its ground stays."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from dam_connector.domain.product import Dimensions
from tests.unit.true_shapes import chair
from tests.walks import walk_cameras, walk_photos
from worker.capture.frame_camera import FrameCamera
from worker.capture.ground_plate import cells_in_photo, ground_share
from worker.capture.known_box import limit_to_box
from worker.capture.outline_agreement import agreeing_outlines, held_out_agreement
from worker.capture.outline_stack import stack_outlines
from worker.capture.thin_parts import find_thin_parts, with_thin_parts
from worker.capture.walk_mattes import without_other_things

COUNT = 16
BOUNDS = (np.array([-0.45, 0, -0.45]), np.array([0.45, 1.0, 0.45]))
Walk = tuple[dict[int, np.ndarray], dict[int, FrameCamera]]


@pytest.fixture(scope="module")
def walk() -> Walk:
    truth = chair()
    cameras = walk_cameras(truth, COUNT)
    photos = walk_photos(truth, cameras)
    return {n: photo.alpha for n, photo in enumerate(photos)}, {n: c for n, (_, c) in enumerate(cameras)}


def test_a_leg_that_some_cut_outs_lost_comes_back(walk: Walk) -> None:
    true, cameras = walk
    mattes = dict(true)
    for number in range(0, COUNT, 6):
        mattes[number] = true[number].copy()
        rows = np.flatnonzero(true[number].any(1))
        mattes[number][rows[-1] - len(rows) // 4 :] = 0  # the ends of the legs
    listed = list(cameras.values())
    grounds = {n: np.zeros(matte.shape, bool) for n, matte in mattes.items()}
    parts = find_thin_parts(BOUNDS, listed, stack_outlines(list(mattes.values()), 256))
    found = with_thin_parts(mattes, cameras, grounds, parts)
    for number in range(0, COUNT, 6):
        lost = (true[number] > 127) & (mattes[number] < 127)
        assert ((found[number] > 127) & lost).sum() > 0.6 * lost.sum() > 20
    assert all((found[n] > 127).sum() < 1.1 * (true[n] > 127).sum() for n in found)
    on_ground = {n: np.ones(matte.shape, bool) for n, matte in mattes.items()}
    same = with_thin_parts(mattes, cameras, on_ground, parts)  # where a photo shows ground there is no leg
    assert all((same[n] == mattes[n]).all() for n in mattes)


def test_pieces_of_a_rug_are_no_product(walk: Walk) -> None:
    true, cameras = walk
    mattes = dict(true)
    for number in range(0, COUNT, 3):
        mattes[number] = cv2.ellipse(true[number].copy(), (25, 215), (20, 10), 0, 0, 360, 255, -1)
    found = without_other_things(mattes, cameras, BOUNDS)
    for number, matte in found.items():
        assert np.abs(matte.astype(int) - true[number]).max() < 40


def test_a_place_that_few_photos_take_for_ground_is_product(walk: Walk) -> None:
    cameras = walk[1]
    points = np.zeros((1, 3), np.float32)
    everywhere, nowhere = np.ones((240, 240), bool), np.zeros((240, 240), bool)
    grounds = {n: everywhere if n < 4 else nowhere for n in cameras}
    full = {n: np.full((240, 240), 255, np.uint8) for n in cameras}
    assert ground_share(points, cameras, grounds, full, dict.fromkeys(cameras, nowhere))[0] == 4 / COUNT
    hidden = {n: everywhere if n >= 8 else nowhere for n in cameras}  # by the upper part of the product
    assert ground_share(points, cameras, grounds, full, hidden)[0] == 0.5


def test_a_cut_out_without_the_rug_votes_for_the_ground(walk: Walk) -> None:
    cameras = walk[1]
    points = np.zeros((1, 3), np.float32)
    nowhere = dict.fromkeys(cameras, np.zeros((240, 240), bool))
    mattes = {n: np.full((240, 240), 255 if n < 4 else 0, np.uint8) for n in cameras}
    assert ground_share(points, cameras, nowhere, mattes, nowhere)[0] == 1 - 4 / COUNT


def test_a_tip_of_specks_counts_as_height_and_is_one_piece() -> None:
    field = np.full((40, 90, 40), -3, np.float32)
    field[5:35, 5:60, 5:35] = 2
    for row in (66, 67, 74, 79):
        field[20, row, 20] = 1
    size = Dimensions(width_m=0.30, height_m=0.75, depth_m=0.30)
    found = limit_to_box(field, size)
    rows, columns = np.flatnonzero((found > 0).any((0, 2))), np.flatnonzero((found > 0).any((1, 2)))
    assert rows[0] == 5 and rows[-1] == 79 and len(rows) == 75 and len(columns) == 30
    without = limit_to_box(field, Dimensions(width_m=0.30, height_m=0.55, depth_m=0.30))
    assert np.flatnonzero((without > 0).any((0, 2)))[-1] == 59


def test_outlines_agree_less_with_a_hull_without_them_where_they_contradict_each_other(walk: Walk) -> None:
    true, cameras = walk
    wrong = {n: np.roll(matte, 9 * (n % 3 - 1), 1) for n, matte in true.items()}
    listed = list(cameras.values())
    good, bad = (
        held_out_agreement(BOUNDS, listed, stack_outlines(list(mattes.values()), 256))
        for mattes in (true, wrong)
    )
    assert 1 > good > bad + 0.1
    few = replace(stack_outlines(list(true.values()), 256), numbers=(0, 3, 7, 10))
    assert held_out_agreement(BOUNDS, listed, few) < good - 0.05
    nothing = [np.zeros_like(matte) for matte in true.values()]
    assert held_out_agreement(BOUNDS, listed, stack_outlines(nothing, 256)) == 0


def test_a_camera_that_was_placed_in_the_product_takes_no_more_memory(walk: Walk) -> None:
    mattes, cameras = walk
    inside = replace(cameras[0], eye=np.array([0.0, 0.3, 0.0]), focal_px=1e6)
    wrong = {**cameras, 0: replace(inside, rotation=np.diag([1.0, -1.0, -1.0]))}
    listed = list(wrong.values())
    stack = stack_outlines(list(mattes.values()), 256)
    agreeing, _, points = agreeing_outlines(BOUNDS, listed, stack)
    assert len(points) and 0 not in agreeing.numbers
    grounds = {n: np.zeros(matte.shape, bool) for n, matte in mattes.items()}
    with_thin_parts(mattes, wrong, grounds, (points, 0.01))
    assert cells_in_photo(points, 0.01, wrong[0], mattes[0].shape[::-1]).shape == mattes[0].shape
