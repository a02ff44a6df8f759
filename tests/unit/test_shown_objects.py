"""How many things a photo shows, and whether the frame cuts the product."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from worker.imaging.cutout import Cutout, checked_cutout
from worker.imaging.decode import Photo
from worker.imaging.photo_quality import source_issues
from worker.imaging.shown_objects import count_objects, cropped_sides

WHITE = np.full((600, 600, 3), 250, np.uint8)


def photo_of(*boxes: tuple[int, int, int, int], colour: tuple[int, int, int] = (120, 60, 40)) -> Photo:
    rgb = WHITE.copy()
    for left, top, right, bottom in boxes:
        cv2.rectangle(rgb, (left, top), (right, bottom), colour, -1)
    return Photo(rgb=rgb, alpha=None, format="PNG")


def cut(*boxes: tuple[int, int, int, int]) -> Cutout:
    alpha = np.zeros((600, 600), np.uint8)
    for left, top, right, bottom in boxes:
        alpha[top : bottom + 1, left : right + 1] = 255
    return checked_cutout(WHITE, alpha, 1.0, 0.0, "")


PRODUCT, OTHER = (80, 200, 280, 500), (380, 250, 520, 500)


def test_a_thing_that_the_cut_out_leaves_out_counts() -> None:
    both = photo_of(PRODUCT, OTHER)
    assert count_objects(both, cut(PRODUCT, OTHER)) == 2
    assert count_objects(both, cut(PRODUCT)) == 2
    assert "source.several_objects" in {i.code for i in source_issues(both, cut(PRODUCT), "front")}


def test_shadows_specks_and_what_is_joined_to_the_product_do_not_count() -> None:
    shadow = photo_of(OTHER, colour=(215, 215, 215))
    cv2.rectangle(shadow.rgb, PRODUCT[:2], PRODUCT[2:], (120, 60, 40), -1)
    speck, hand = photo_of(PRODUCT, (500, 40, 530, 70)), photo_of(PRODUCT, (281, 300, 520, 420))
    for photo in (shadow, speck, hand):
        assert count_objects(photo, cut(PRODUCT)) == 1
    patterned = photo_of(PRODUCT, OTHER)
    cv2.rectangle(patterned.rgb, (0, 0), (600, 60), (40, 90, 200), -1)  # no plain background
    assert count_objects(patterned, cut(PRODUCT)) == 1


def test_a_product_with_many_small_parts_is_a_set() -> None:
    small = [(320 + 70 * n, 300, 360 + 70 * n, 400) for n in range(3)]
    share = 40 * 100 / (200 * 300)
    assert 0.05 < share < 0.15
    assert count_objects(photo_of(PRODUCT, *small), cut(PRODUCT, *small)) == 4
    assert count_objects(photo_of(PRODUCT, *small[:1]), cut(PRODUCT, *small[:1])) == 1


@pytest.mark.issue("cutout.cropped")
def test_background_between_the_product_and_the_frame_is_not_cropped() -> None:
    box = (80, 20, 280, 500)
    photo, whole = photo_of(box), cut((80, 0, 280, 500))  # the mask holds a strip of the background above
    assert whole.touched_sides == ("top",) and cropped_sides(photo, whole) == ()
    cropped = photo_of((80, 0, 280, 500))
    assert cropped_sides(cropped, whole) == ("top",)
    assert "cutout.cropped" in {i.code for i in source_issues(cropped, whole, "front")}
    everywhere = replace(whole, alpha=np.full((600, 600), 255, np.uint8))
    assert cropped_sides(photo, everywhere) == ("top",)  # no background to compare with
