"""Repair of a net's mask: openings through a cord or an arm, and holes in the product."""

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.imaging.mask_repair import open_agreed, repair_mask, settle_opacity

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
SHAPE = (300, 300)
DISC = cv2.circle(np.zeros(SHAPE, np.float32), (150, 150), 100, 1, -1)
MIDDLE = cv2.circle(np.zeros(SHAPE, np.float32), (150, 150), 50, 1, -1)
RING = DISC - MIDDLE


def photo(ring: tuple[int, int, int], middle: tuple[int, int, int] = (255, 255, 255)) -> U8:
    """A ring of one colour on white, its middle of another."""
    rgb = np.full((*SHAPE, 3), 255, np.uint8)
    rgb[RING > 0], rgb[MIDDLE > 0] = ring, middle
    return rgb


def repaired(small: U8, mask: F32, *, own: F32, second: F32, first: F32 = DISC, busy: float = 0.0) -> F32:
    return repair_mask(small, mask, own=own, first=first, second=second, confidence=1.0, busy_share=busy)


def test_an_opening_that_the_closer_look_sees_is_opened() -> None:
    found = repaired(photo((30, 30, 40)), DISC, own=RING, second=RING)
    assert np.array_equal(found > 0.5, RING > 0)


def test_a_white_part_on_white_is_no_opening() -> None:
    dark, pale = photo((30, 30, 40)), photo((235, 235, 238))
    assert (repaired(dark, DISC, own=RING, second=DISC) == DISC).all()  # the net sees the part both times
    assert (
        repaired(pale, DISC, own=RING, second=RING) == DISC
    ).all()  # its rim is as pale as a white product's
    assert (repaired(dark, DISC, own=RING, second=RING, busy=0.5) == DISC).all()


def test_on_a_grey_background_the_net_need_not_see_the_opening() -> None:
    grey = np.where(photo((30, 30, 40)) == 255, np.uint8(205), photo((30, 30, 40)))
    assert np.array_equal(repaired(grey, DISC, own=RING, second=DISC) > 0.5, RING > 0)


def test_a_hole_of_another_colour_than_the_background_is_filled() -> None:
    red, grey = photo((30, 30, 40), (200, 40, 40)), photo((30, 30, 40), (250, 250, 250))
    assert (repaired(red, RING, own=DISC, first=RING, second=RING) > 0.5)[MIDDLE > 0].all()
    assert not (repaired(grey, RING, own=DISC, first=RING, second=RING) > 0.5)[MIDDLE > 0].any()
    assert not (repaired(red, RING, own=RING, first=RING, second=RING) > 0.5)[MIDDLE > 0].any()
    undecided = np.maximum(RING, MIDDLE * np.float32(0.45))  # glass: the background shows through it
    assert (repaired(grey, RING, own=DISC, first=undecided, second=undecided) > 0.5)[MIDDLE > 0].all()


def test_a_mask_without_background_around_it_stays() -> None:
    everything = np.ones(SHAPE, np.float32)
    assert repaired(photo((30, 30, 40)), everything, own=everything, second=everything) is everything


def test_a_doubted_mask_is_open_where_both_the_background_and_the_classical_mask_say_so() -> None:
    dark, labelled = photo((30, 30, 40)), photo((30, 30, 40), (235, 238, 240))
    assert (repaired(dark, DISC, own=RING, second=DISC) == DISC).all()  # a good mask stays
    assert np.array_equal(open_agreed(dark, DISC, RING) > 0.5, RING > 0)
    assert open_agreed(dark, DISC, DISC) is DISC
    assert open_agreed(labelled, DISC, RING) is DISC  # not the background's colour
    noise = np.random.default_rng(1).integers(0, 255, (*SHAPE, 3), np.uint8)
    assert open_agreed(np.where(RING[..., None] > 0, dark, noise), DISC, RING) is DISC


def test_ghosts_and_stains_are_rounded_and_soft_edges_stay() -> None:
    soft = np.asarray(cv2.GaussianBlur(DISC, (0, 0), 3) * 255, np.uint8)
    assert np.array_equal(settle_opacity(soft, 5), soft)
    ghost, stain = (slice(20, 40), slice(20, 60)), (slice(130, 160), slice(130, 170))
    stained = soft.copy()
    stained[ghost], stained[stain] = 80, 170
    settled = settle_opacity(stained, 5)
    assert settled[ghost].max() == 0 and settled[stain].min() == 255
    assert np.array_equal(settled[100:125], soft[100:125])
    undecided = np.where(DISC > 0, np.uint8(170), np.uint8(0))
    assert settle_opacity(undecided, 5) is undecided
