"""Outlines that fray where the photo shows no edge become smooth; clear ones stay."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from worker.imaging.cutout import Cutout
from worker.imaging.decode import Photo
from worker.imaging.outline_smoothing import smooth_unclear_outline, with_smooth_outline

U8 = NDArray[np.uint8]


def disc(product: int, ground: int, side: int = 1024) -> tuple[U8, U8]:
    """Return a photo of a grey disc, and its true mask."""
    mask = cv2.circle(
        np.zeros((side, side), np.uint8), (side // 2, side // 2), side // 3, 255, -1, cv2.LINE_AA
    )
    grey = ground + (product - ground) * (mask / 255)
    grain = np.random.default_rng(1).normal(0, 1, grey.shape)
    return np.repeat(np.clip(grey + grain, 0, 255).astype(np.uint8)[..., None], 3, 2), mask


def frayed(mask: U8) -> U8:
    noise = np.random.default_rng(2).normal(0, 1, mask.shape).astype(np.float32)
    ragged = cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), 4) + cv2.GaussianBlur(noise, (0, 0), 2)
    return np.where(ragged > 0.5, 255, 0).astype(np.uint8)


def error(mask: U8, truth: U8) -> int:
    return int(((mask > 127) != (truth > 127)).sum())


def test_a_frayed_outline_of_white_on_white_becomes_smooth() -> None:
    rgb, truth = disc(product=246, ground=240)
    before = frayed(truth)
    after = smooth_unclear_outline(rgb, before)
    assert error(after, truth) < 0.6 * error(before, truth)


def test_an_outline_on_an_edge_of_the_photo_stays() -> None:
    rgb, truth = disc(product=90, ground=240)
    corner = truth.copy()
    rgb[:80, :80] = 90
    corner[:80, :80] = 255
    after = smooth_unclear_outline(rgb, corner)
    assert np.abs(after.astype(int) - corner).max() <= 1


def test_large_photos_are_smoothed_by_the_same_share() -> None:
    rgb, truth = disc(product=246, ground=240, side=2048)
    small = frayed(cv2.resize(truth, (1024, 1024), interpolation=cv2.INTER_AREA))
    before = cv2.resize(small, (2048, 2048), interpolation=cv2.INTER_LINEAR)
    assert error(smooth_unclear_outline(rgb, before), truth) < 0.6 * error(before, truth)


def test_an_empty_mask_stays_empty() -> None:
    rgb, truth = disc(product=246, ground=240)
    assert not smooth_unclear_outline(rgb, np.zeros_like(truth)).any()


@pytest.mark.parametrize("may_fray", [True, False])
def test_only_the_outline_of_a_net_is_smoothed(may_fray: bool) -> None:
    rgb, truth = disc(product=246, ground=240)
    photo = Photo(rgb=rgb, alpha=None, format="PNG")
    found = Cutout(rgb=rgb, alpha=frayed(truth), confidence=0.9, may_fray=may_fray)
    smooth = with_smooth_outline(photo, found)
    assert (smooth is found) == (not may_fray)
    assert smooth.confidence == 0.9 and (smooth.rgb == rgb).all()
