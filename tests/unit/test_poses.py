"""Poses by view, words and outline, and the camera that the outline shows."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from dam_connector.domain.product import View
from worker.imaging.cutout import Cutout
from worker.imaging.poses import FRONT_DEG, Pose, PoseHints, find_pose

SIDE = 400


def outline(draw: Callable[[np.ndarray], object], *touched: str) -> Cutout:
    alpha = np.zeros((SIDE, SIDE), np.uint8)
    draw(alpha)
    return Cutout(rgb=np.zeros((SIDE, SIDE, 3), np.uint8), alpha=alpha, confidence=1.0, touched_sides=touched)


def box_from_above(elevation_deg: float, turned_deg: float) -> Cutout:
    """A box as an orthographic camera sees it."""
    e, a = np.radians(elevation_deg), np.radians(turned_deg)
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-0.7, 0.7) for z in (0, 1.6)])
    right = corners[:, 0] * np.cos(a) - corners[:, 1] * np.sin(a)
    deep = corners[:, 0] * np.sin(a) + corners[:, 1] * np.cos(a)
    up = corners[:, 2] * np.cos(e) + deep * np.sin(e)
    points = np.stack([200 + 90 * right, 300 - 90 * up], 1).astype(np.float32)
    return outline(lambda m: cv2.fillConvexPoly(m, cv2.convexHull(points).astype(np.int32), 255))


def fill(*corners: tuple[int, int]) -> Callable[[np.ndarray], object]:
    return lambda mask: cv2.fillPoly(mask, [np.array(corners, np.int32)], 255)


def test_a_box_seen_from_the_front_stands_before_a_level_camera() -> None:
    found = find_pose(outline(fill((100, 100), (300, 100), (300, 300), (100, 300))), PoseHints())
    assert (found.pose, found.oblique, found.elevation_deg) == (Pose.UPRIGHT, False, FRONT_DEG)


@pytest.mark.parametrize("elevation", [14.0, 22.0, 35.0])
@pytest.mark.parametrize("turned", [25.0, 45.0, 60.0])
def test_the_elevation_of_a_three_quarter_photo_is_found_without_the_record(
    elevation: float, turned: float
) -> None:
    found = find_pose(box_from_above(elevation, turned), PoseHints(view=View.FRONT))
    assert found.pose is Pose.UPRIGHT and found.oblique
    assert found.elevation_deg == pytest.approx(elevation, abs=4)


def test_a_ball_stands_and_is_not_taken_for_a_corner() -> None:
    found = find_pose(outline(lambda m: cv2.circle(m, (200, 200), 120, 255, -1)), PoseHints())
    assert found.pose is Pose.UPRIGHT and not found.oblique


def test_what_cannot_stand_lies() -> None:
    tilted = outline(fill((60, 320), (100, 340), (360, 120), (320, 80)))
    assert find_pose(tilted, PoseHints()).pose is Pose.LIES
    on_a_corner = find_pose(outline(fill((200, 360), (40, 200), (200, 40), (360, 200))), PoseHints())
    assert on_a_corner.pose is Pose.LIES and "corner" in on_a_corner.doubt

    def scattered(mask: np.ndarray) -> None:
        for x, y in ((80, 80), (280, 90), (90, 290), (270, 300)):
            cv2.circle(mask, (x, y), 50, 255, -1)

    assert find_pose(outline(scattered), PoseHints()).pose is Pose.LIES


def test_a_rope_lies_and_a_lamp_with_a_thin_pole_stands() -> None:
    def rope(mask: np.ndarray) -> None:
        for x in (120, 200, 280):
            cv2.ellipse(mask, (x, 200), (70, 110), 0, 0, 360, 255, 9)

    def lamp(mask: np.ndarray) -> None:
        cv2.line(mask, (200, 60), (200, 340), 255, 5)
        cv2.line(mask, (150, 340), (250, 340), 255, 5)

    assert find_pose(outline(rope), PoseHints()).pose is Pose.LIES
    assert find_pose(outline(rope), PoseHints(is_known_kind=True)).pose is Pose.UPRIGHT
    assert find_pose(outline(lamp), PoseHints()).pose is Pose.UPRIGHT


def test_a_slim_product_stands_on_a_flat_end_and_not_on_a_round_one() -> None:
    bottle = outline(lambda m: cv2.rectangle(m, (165, 40), (235, 360), 255, -1))
    board = outline(lambda m: cv2.line(m, (200, 80), (200, 320), 255, 70))
    assert find_pose(bottle, PoseHints()).pose is Pose.UPRIGHT
    assert find_pose(board, PoseHints()).pose is Pose.LIES


def test_several_things_that_stand_beside_each_other_stand() -> None:
    def bottles(mask: np.ndarray) -> None:
        for x in (60, 160, 260):
            cv2.rectangle(mask, (x, 100), (x + 60, 320), 255, -1)

    assert find_pose(outline(bottles), PoseHints()).pose is Pose.UPRIGHT


def test_the_record_decides_what_the_outline_cannot_show() -> None:
    box = outline(fill((100, 100), (300, 100), (300, 300), (100, 300)))
    assert find_pose(box, PoseHints(view=View.TOP)).pose is Pose.LIES
    assert find_pose(box, PoseHints(usual_pose="hangs")).pose is Pose.HANGS
    assert find_pose(box, PoseHints(usual_pose="leans")).pose is Pose.LEANS
    assert find_pose(box, PoseHints(usual_pose="worn")).pose is Pose.LIES  # a garment without a person
    assert find_pose(box, PoseHints(has_person=True)).pose is Pose.WORN
    assert find_pose(box, PoseHints(view=View.HERO)).oblique


def test_what_is_cut_off_is_a_doubt_or_a_refusal() -> None:
    box = fill((100, 100), (300, 100), (300, 300), (100, 300))
    bottom = find_pose(outline(box, "bottom"), PoseHints())
    assert (bottom.pose, bottom.doubt, bottom.refusal) == (Pose.CROPPED, "", "")
    assert "left" in find_pose(outline(box, "left"), PoseHints()).doubt
    assert "left" in find_pose(outline(box, "left", "top", "right"), PoseHints()).refusal
    assert not find_pose(outline(box, "bottom", "top"), PoseHints(has_person=True)).refusal


def test_a_shoe_that_hangs_on_its_heel_was_not_photographed_standing() -> None:
    hanging = find_pose(outline(fill((60, 300), (340, 170), (330, 110), (90, 230))), PoseHints())
    assert hanging.pose is Pose.LIES and "tilted" in hanging.doubt
    turned = find_pose(outline(fill((60, 300), (340, 240), (340, 100), (60, 160))), PoseHints())
    assert turned.pose is Pose.UPRIGHT and not turned.doubt

    def mug(mask: np.ndarray) -> None:
        cv2.rectangle(mask, (80, 100), (260, 340), 255, -1)
        cv2.ellipse(mask, (260, 210), (80, 80), 0, -90, 90, 255, 25)

    assert find_pose(outline(mug), PoseHints(is_known_kind=True)).pose is Pose.UPRIGHT


def test_a_cable_that_leaves_the_photo_is_a_doubt_about_the_scene() -> None:
    def drawn(mask: np.ndarray, end: int) -> None:
        cv2.rectangle(mask, (100, 100), (250, 300), 255, -1)
        cv2.line(mask, (250, 290), (end, 290), 255, 5)

    assert "right" in find_pose(outline(lambda m: drawn(m, SIDE)), PoseHints()).doubt
    assert not find_pose(outline(lambda m: drawn(m, SIDE - 20)), PoseHints()).doubt
