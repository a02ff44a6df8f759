"""Openings between the turns of a coiled rope."""

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.imaging.coils import open_coils
from worker.imaging.cutout import Cutout
from worker.imaging.decode import Photo

U8 = NDArray[np.uint8]
SIDE = 800
RINGS = ((400, 440, 330, 300), (560, 230, 90, 60), (560, 262, 92, 60))  # middle and radii of each turn


def rope(ground: int = 255, level: int = 25, thick: int = 14) -> tuple[Photo, Cutout]:
    """A rope on paper, coiled at one place, with a mask that fills the gaps between the turns there."""
    truth = np.zeros((SIDE, SIDE), np.uint8)
    for x, y, across, down in RINGS:
        cv2.ellipse(truth, (x, y), (across, down), 0, 0, 360, 255, thick, cv2.LINE_AA)
    grey = ground + (level - ground) * (truth / 255)
    rgb = np.repeat(np.rint(grey).astype(np.uint8)[..., None], 3, 2)
    turn = np.zeros_like(truth)
    cv2.ellipse(turn, (560, 246), (95, 76), 0, 0, 360, 255, -1)
    cv2.ellipse(turn, (560, 246), (70, 30), 0, 0, 360, 0, -1)
    alpha = cv2.max(truth, turn)
    return Photo(rgb=rgb, alpha=None, format="JPEG"), Cutout(
        rgb=rgb, alpha=alpha, confidence=0.98, net="u2netp.onnx"
    )


def gaps(photo: Photo, cutout: Cutout) -> int:
    """Return how many pixels of the mask have the ground's colour."""
    return int(((cutout.alpha > 127) & (photo.rgb[..., 0] > 250)).sum())


def test_the_gaps_between_the_turns_of_a_rope_are_opened() -> None:
    photo, cutout = rope()
    assert gaps(photo, cutout) > 500
    opened = open_coils(photo, cutout)
    assert gaps(photo, opened) < 20
    solid = photo.rgb[..., 0] < 40
    assert (opened.alpha[solid] > 0.8 * cutout.alpha[solid]).all()
    edge = (opened.alpha > 100) & (opened.alpha < 200) & (cutout.alpha == 255)
    assert edge.any() and opened.rgb[edge].mean() < 90  # no white is left in the edges


def test_a_white_label_on_a_body_stays() -> None:
    photo, _ = rope()
    rgb, alpha = np.full_like(photo.rgb, 255), np.zeros((SIDE, SIDE), np.uint8)
    alpha[150:650, 250:550] = 255
    rgb[alpha > 0] = 25
    rgb[300:360, 330:480] = 255
    bottle = Cutout(rgb=rgb, alpha=alpha, confidence=0.98, net="u2netp.onnx")
    assert open_coils(replace(photo, rgb=rgb), bottle) is bottle


def test_a_pale_rope_on_white_and_a_rope_in_a_room_stay_as_they_are() -> None:
    photo, cutout = rope(level=235)
    assert open_coils(photo, cutout) is cutout
    photo, cutout = rope()
    busy = replace(cutout, busy_share=0.3)
    assert open_coils(photo, busy) is busy
