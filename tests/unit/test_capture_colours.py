"""Colours of captures: what a surface reflects at a glance is taken off, and a level top keeps its grain."""

import numpy as np
import trimesh

from worker.capture.frame_camera import FrameCamera
from worker.capture.frames import CapturedFrame
from worker.capture.gleam import Gleam
from worker.imaging.linear_light import to_linear, to_srgb
from worker.modeling.delighting import glancing_reflection, with_less_light
from worker.modeling.texture import one_of_many

SIDE_PX = 240


def camera_above(degrees: float) -> FrameCamera:
    """A camera two metres from the origin."""
    angle = np.radians(degrees)
    forwards = -np.array([0, np.sin(angle), np.cos(angle)])
    right = np.array([1.0, 0, 0])
    return FrameCamera(
        rotation=np.stack([right, np.cross(forwards, right), forwards]),
        eye=-2 * forwards,
        focal_px=400.0,
        centre=(SIDE_PX / 2, SIDE_PX / 2),
    )


def grey_frame(level: int) -> CapturedFrame:
    rgb = np.full((SIDE_PX, SIDE_PX, 3), level, np.uint8)
    return CapturedFrame(name="0", picture=rgb, rgb=rgb, alpha=np.full((SIDE_PX, SIDE_PX), 255, np.uint8))


def test_a_top_that_is_seen_at_a_glance_loses_its_gleam_and_a_side_that_faces_the_camera_nothing() -> None:
    box = trimesh.creation.box((0.6, 0.3, 0.6)).subdivide_to_size(0.05)
    frame, camera = grey_frame(150), camera_above(10)
    gleam = Gleam(np.asarray(box.vertices), np.asarray(box.faces, np.uint32))
    seen = gleam.without(frame, camera).rgb
    at = np.round(camera.to_pixels(np.array([[0, 0.15, 0], [0, 0, 0.3], [0.9, 0, 0]], np.float32))).astype(
        int
    )
    top, side, beside = (int(seen[y, min(x, SIDE_PX - 1), 0]) for x, y in at)
    assert top < 130 and abs(side - 150) <= 2 and beside == 150 and gleam.has_level_top
    ball = trimesh.creation.icosphere(4, 0.3)
    assert not Gleam(np.asarray(ball.vertices), np.asarray(ball.faces, np.uint32)).has_level_top


def test_the_gleam_that_a_camera_adds_is_what_is_taken_off() -> None:
    own, gleam = np.float32([[0.5, 0.4, 0.3]]), glancing_reflection(np.float32([0.17]))
    seen = with_less_light(own, -gleam)
    mended = with_less_light(seen, gleam)
    assert np.abs(mended - own).max() < 1e-4 < 0.02 < (seen - own).min()
    assert glancing_reflection(np.float32([1.0]))[0] == 0
    levels = np.uint8([0, 99, 255])
    assert np.array_equal(to_srgb(with_less_light(to_linear(levels), np.float32(0)))[:2], levels[:2])


def test_one_frame_counts_where_many_see_a_place_alike() -> None:
    around = (
        np.maximum(np.cos(np.radians(np.arange(0, 360, 15))), 0).astype(np.float32) ** 3
    )  # an upright side
    above = np.full(24, 0.01, np.float32)  # a level top
    above[0] = 0  # something is in between
    weights = one_of_many(np.stack([around, above, above]), np.array([False, True, False]))
    assert np.array_equal(weights[0], around) and np.array_equal(weights[2], above)
    assert weights[1, 1] == 1 and np.count_nonzero(weights[1]) == 1
