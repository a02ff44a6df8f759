"""Which view a photo shows: renders of our own products, drawn flat lays and close-ups."""

import cv2
import numpy as np
import pytest

from dam_connector.domain.product import Dimensions, View
from samples.make_photos import PRODUCTS, painted_model, photograph
from worker.imaging.cutout import Cutout, checked_cutout, cut_out
from worker.imaging.decode import Photo, decode
from worker.imaging.shown_view import MIN_CONFIDENCE, ViewEvidence, recognise_view, view_probabilities


def taken(name: str, view: str) -> tuple[Photo, Cutout, Dimensions]:
    width, height, depth = (float(side) for side in painted_model(PRODUCTS[name]())[0].extent)
    photo = decode(photograph(name, view, size=400), max_pixels=10**6)
    return photo, cut_out(photo), Dimensions(width_m=width, height_m=height, depth_m=depth)


@pytest.mark.parametrize(
    ("name", "view", "seen", "with_size"),
    [
        ("chair", "front", View.FRONT, View.FRONT),
        ("chair", "hero", View.HERO, View.HERO),
        ("chair", "top", View.FRONT, View.TOP),  # without its size a straight view is called the front
        ("shoe-box", "front", View.FRONT, View.FRONT),
        ("shoe-box", "hero", View.HERO, View.HERO),
        ("shoe-box", "right", View.FRONT, None),  # its top has the proportions of its side
        ("speaker", "hero", View.HERO, View.HERO),
        ("vase", "hero", None, None),  # round: nothing says that it is seen from above
    ],
)
def test_renders_of_our_products(name: str, view: str, seen: View | None, with_size: View | None) -> None:
    photo, cutout, size = taken(name, view)
    assert recognise_view(photo, cutout)[0] is seen
    found, confidence = recognise_view(photo, cutout, size)
    assert found is with_size and (confidence >= MIN_CONFIDENCE) == (with_size is not None)


STRAIGHT = ViewEvidence(symmetry=0.98, mirrored_look=0.9, level_foot=1.0, slanted_foot=0.0, level_lines=0.6)
CABINET = Dimensions(width_m=1.2, height_m=0.8, depth_m=0.4)


@pytest.mark.parametrize(
    ("aspect", "view"), [(1.5, View.FRONT), (0.5, View.RIGHT), (3.0, View.TOP), (None, View.FRONT)]
)
def test_the_proportions_tell_sides_apart(aspect: float | None, view: View) -> None:
    likely = view_probabilities(STRAIGHT, aspect, CABINET)
    assert max(likely, key=lambda each: likely[each]) is view
    assert sum(likely.values()) == pytest.approx(1)
    assert likely[view] >= MIN_CONFIDENCE


def test_all_sides_of_a_square_product_are_its_front() -> None:
    cube = Dimensions(width_m=0.5, height_m=0.5, depth_m=0.5)
    assert View.RIGHT not in view_probabilities(STRAIGHT, 1.0, cube)
    assert set(view_probabilities(STRAIGHT, 1.0, Dimensions(width_m=0.5))) == {View.HERO, View.FRONT}


def drawn(*boxes: tuple[int, int, int, int]) -> tuple[Photo, Cutout]:
    rgb, alpha = np.full((600, 600, 3), 235, np.uint8), np.zeros((600, 600), np.uint8)
    for left, top, right, bottom in boxes:
        cv2.rectangle(rgb, (left, top), (right, bottom), (90, 60, 40), -1)
        cv2.rectangle(alpha, (left, top), (right, bottom), 255, -1)
    return Photo(rgb=rgb, alpha=None, format="PNG"), checked_cutout(rgb, alpha, 1.0, 0.0, "")


def test_parts_above_each_other_lie_on_the_ground() -> None:
    column = [(60, 60 + 130 * n, 200, 150 + 130 * n) for n in range(4)]
    assert recognise_view(*drawn(*column))[0] is View.TOP
    row = [(40 + 135 * n, 300, 140 + 135 * n, 420) for n in range(4)]
    assert recognise_view(*drawn(*row))[0] is View.FRONT  # they can all stand


def test_a_product_beyond_all_sides_of_the_frame_is_a_detail() -> None:
    close = drawn((0, 200, 600, 400), (200, 0, 400, 600))
    assert recognise_view(*close)[0] is View.DETAIL
