"""Evidence about a cut-out: outlines beside the photo's edges, and openings that a mask fills."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from worker.imaging.cutout_evidence import DISPUTED_FACTOR, CutoutEvidence, Source, gather_evidence

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
RADIUS, HOLE = 150, 60


def disc(radius: int, shift: int = 0) -> U8:
    drawn = np.zeros((400, 400), np.uint8)
    cv2.circle(drawn, (200 + shift, 200), radius, 1, -1)
    return drawn


WHOLE, RING = disc(RADIUS), disc(RADIUS) - disc(HOLE)


def photo_of(product: U8, softness: float = 1.0) -> U8:
    """A red product on plain grey."""
    rgb = np.where(product[..., None] > 0, np.uint8([170, 60, 50]), np.uint8([215, 215, 215]))
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), softness), np.uint8)


def evidence(rgb: U8, mask: U8, own: U8) -> CutoutEvidence:
    looked = mask.astype(np.float32)
    seen = {"alpha": mask * np.uint8(255), "second": looked, "own": own.astype(np.float32)}
    return gather_evidence(rgb, looked, Source.SECOND_LOOK, **seen)


def test_an_outline_on_the_slope_beside_an_edge_is_not_on_it() -> None:
    """All along a soft edge the photo has a slope; the outline must be where it is the steepest."""
    rgb = photo_of(WHOLE, softness=3.0)
    right = evidence(rgb, WHOLE, WHOLE)
    assert right.edge_share > 0.99
    for radius in (RADIUS - 4, RADIUS + 4):
        beside = evidence(rgb, disc(radius), WHOLE)
        assert beside.edge_share < 0.1
        assert beside.probability < 0.1 < right.probability
    shifted = evidence(rgb, disc(RADIUS, 5), WHOLE)
    assert beside.edge_share < shifted.edge_share < 0.7
    assert "parts of the outline lie on no visible edge" in shifted.doubts


def test_a_filled_opening_is_doubted() -> None:
    """The background shows through a ring, and the classical mask leaves just that open."""
    rgb = photo_of(RING)
    filled, opened = evidence(rgb, WHOLE, RING), evidence(rgb, RING, RING)
    assert filled.is_filled and not opened.is_filled
    assert filled.probability == replace(filled, is_filled=False).probability * DISPUTED_FACTOR
    assert "opening" in filled.doubts[0]


def test_filled_strings_are_doubted() -> None:
    """Both ways fill them: the background shows in many small places, or in few."""
    frame = WHOLE - disc(RADIUS - 20)
    strings, spokes = frame.copy(), frame.copy()
    for drawn, step in ((strings, 14), (spokes, 120)):
        for at in range(80, 330, step):
            drawn[:, at : at + 2] = drawn[at : at + 2] = 1
        drawn[WHOLE == 0] = 0
    assert evidence(photo_of(strings), WHOLE, WHOLE).is_filled
    assert not evidence(photo_of(spokes), WHOLE, WHOLE).is_filled


@pytest.mark.parametrize("own", [disc(RADIUS) - disc(RADIUS - 6), disc(RADIUS) - disc(HOLE, 90)])
def test_a_label_of_the_grounds_colour_is_no_opening(own: U8) -> None:
    """The classical mask eats it with a part of its rim, or eats another place."""
    assert not evidence(photo_of(RING), WHOLE, own).is_filled


def test_a_plain_part_of_another_colour_is_no_opening() -> None:
    rgb = photo_of(WHOLE)
    rgb[disc(HOLE) > 0] = 195
    assert not evidence(rgb, WHOLE, RING).is_filled


def test_on_a_ground_that_is_not_plain_nothing_is_called_an_opening() -> None:
    noise = np.random.default_rng(3).integers(-40, 40, (400, 400, 1))
    grain = cv2.GaussianBlur(noise.astype(np.float32), (0, 0), 2)[..., None] * 6
    rgb = np.clip(photo_of(RING) + grain, 0, 255).astype(np.uint8)
    assert not evidence(rgb, WHOLE, RING).is_filled
