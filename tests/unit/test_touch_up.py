"""Touch-ups: strokes of a person correct a cut-out, up to the photo's own edges."""

from dataclasses import replace
from datetime import UTC, datetime

import cv2
import numpy as np
import pytest

from dam_connector.domain.touch_up import Stroke, TouchUp, strokes_in_force
from dam_connector.errors import InputError
from worker.imaging.cutout import Cutout
from worker.imaging.decode import Photo
from worker.imaging.touch_up import apply_stroke, reduced, touch_up

SIDE = 960


@pytest.fixture(scope="module")
def photo() -> Photo:
    """A dark box with a red handle, and a soft grey shadow beside it, on beige."""
    rgb = np.full((SIDE, SIDE, 3), (222, 214, 200), np.uint8)
    rgb[300:700, 300:600] = (40, 44, 60)
    rgb[420:580, 600:700] = (170, 30, 30)
    rgb[700:740, 300:600] = (180, 172, 160)
    return Photo(rgb=rgb, alpha=None, format="PNG")


def box_alone() -> Cutout:
    """The cut-out without the handle and with the shadow."""
    alpha = np.zeros((SIDE, SIDE), np.uint8)
    alpha[300:740, 300:600] = 255
    return Cutout(rgb=np.zeros((SIDE, SIDE, 3), np.uint8), alpha=alpha, confidence=0.2, net="u2netp.onnx")


HANDLE = Stroke(keep=True, radius=0.09, points=((0.65, 0.46), (0.66, 0.58)))
SHADOW = Stroke(keep=False, radius=0.04, points=((0.33, 0.752), (0.6, 0.752)))


def test_strokes_add_a_lost_part_and_remove_a_shadow_up_to_the_edges(photo: Photo) -> None:
    found = touch_up(box_alone(), photo, [HANDLE, SHADOW])
    truth = np.zeros((SIDE, SIDE), bool)
    truth[300:700, 300:600] = truth[420:580, 600:700] = True
    mask = found.alpha > 127
    assert (mask & truth).sum() / (mask | truth).sum() > 0.99
    assert (found.confidence, found.doubts, found.net) == (1.0, (), "u2netp.onnx")
    assert np.abs(found.rgb[500, 650].astype(int) - (170, 30, 30)).max() < 3
    untouched = box_alone()
    assert (found.alpha[300:400, 300:590] == untouched.alpha[300:400, 300:590]).all()


def test_a_dot_inside_the_product_keeps_the_doubt_unless_the_mask_was_seen(photo: Photo) -> None:
    doubted = replace(box_alone(), doubts=("ragged",), lost_letters=3)
    dot = Stroke(keep=True, radius=0.01, points=((0.45, 0.5),))
    found = touch_up(doubted, photo, [dot])
    assert (found.confidence, found.doubts, found.lost_letters, found.lifted) == (0.2, ("ragged",), 3, None)
    seen = touch_up(doubted, photo, [replace(dot, mask_seen=True)])
    assert (seen.confidence, seen.doubts, seen.lifted) == (1.0, (), 0.2)
    assert touch_up(doubted, photo, [HANDLE]).lifted == 0.2


def test_a_brush_that_does_not_stop_paints_a_disc(photo: Photo) -> None:
    small = reduced(photo.rgb)
    mask = np.zeros(small.shape[:2], np.uint8)
    dot = Stroke(keep=True, radius=0.05, points=((0.5, 0.9),), stops_at_edges=False)
    assert (apply_stroke(mask, small, dot) > 0).sum() == pytest.approx(np.pi * 32**2, rel=0.05)
    across = replace(HANDLE, stops_at_edges=False)
    assert (apply_stroke(mask, small, across) > 0).sum() > 1.2 * (apply_stroke(mask, small, HANDLE) > 0).sum()


def test_a_stroke_at_the_rim_stays_in_the_picture(photo: Photo) -> None:
    small = reduced(photo.rgb)
    mask = np.zeros(small.shape[:2], np.uint8)
    for points in (((0.0, 0.0), (1.0, 1.0)), ((1.0, 0.0),)):
        assert apply_stroke(mask, small, Stroke(keep=True, radius=0.01, points=points)).any()


def test_a_photo_in_which_nothing_was_found_is_painted_from_nothing(photo: Photo) -> None:
    found = touch_up(None, photo, [Stroke(keep=True, radius=0.1, points=((0.4, 0.4), (0.5, 0.6)))])
    assert found.alpha[450, 450] == 255 and found.alpha[100, 100] == 0
    with pytest.raises(InputError, match="No product"):
        touch_up(found, photo, [Stroke(keep=False, radius=0.25, points=((0.4, 0.4), (0.5, 0.6)))] * 4)


def test_a_touch_up_that_replaces_discards_the_earlier_ones() -> None:
    def painted(*strokes: Stroke, replaces: bool = False) -> TouchUp:
        return TouchUp(
            id="t",
            photo_sha256="a",
            version_id="v",
            by="ann",
            at=datetime(2026, 1, 1, tzinfo=UTC),
            strokes=strokes,
            replaces=replaces,
        )

    assert strokes_in_force([painted(HANDLE), painted(SHADOW)]) == (HANDLE, SHADOW)
    assert strokes_in_force([painted(HANDLE), painted(replaces=True), painted(SHADOW)]) == (SHADOW,)


def test_a_small_photo_keeps_its_size() -> None:
    small = np.zeros((90, 60), np.uint8)
    assert reduced(small).shape == (90, 60) and reduced(cv2.resize(small, (1280, 1920))).shape == (640, 427)
