"""Masks beside frames are known by their look, and no photo is taken for one."""

import cv2
import numpy as np
import pytest

from worker.imaging.black_and_white import is_black_and_white


def disc(inside: int, outside: int, blur: float = 0.8) -> np.ndarray:
    grey = np.full((200, 260), outside, np.uint8)
    cv2.circle(grey, (130, 100), 60, inside, -1)
    return np.repeat(cv2.GaussianBlur(grey, (0, 0), blur)[..., None], 3, axis=2)


@pytest.mark.parametrize(("inside", "outside"), [(255, 0), (0, 255), (252, 3)])
def test_a_mask_is_black_and_white(inside: int, outside: int) -> None:
    assert is_black_and_white(disc(inside, outside))


@pytest.mark.parametrize(
    ("inside", "outside"), [(30, 255), (255, 235), (120, 255), (255, 255), (0, 0), (12, 255)]
)
def test_a_product_on_white_is_none(inside: int, outside: int) -> None:
    assert not is_black_and_white(disc(inside, outside))


def test_a_depth_picture_is_none() -> None:
    ramp = np.broadcast_to(np.linspace(0, 255, 256).astype(np.uint8)[None, :, None], (200, 256, 3))
    assert not is_black_and_white(ramp)
