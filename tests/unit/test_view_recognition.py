"""Which side of the product a photo shows, told by its proportions: a cabinet of 1.2 x 0.8 x 0.4 metres."""

from itertools import product

import cv2
import numpy as np
import pytest

from dam_connector.domain.product import View
from worker.modeling.outlines import Outline, ProductSize
from worker.modeling.photo_camera import orbit_camera, superellipse_prism
from worker.modeling.view_recognition import recognise_views

CABINET = ProductSize(width=1.2, height=0.8, depth=0.4)
F, R, B, L, T, H = View.FRONT, View.RIGHT, View.BACK, View.LEFT, View.TOP, View.HERO
PROPORTIONS = {F: 1.2 / 0.8, R: 0.4 / 0.8, T: 1.2 / 0.4}


def seen(aspect: float) -> Outline:
    alpha = np.ones((200, round(200 * aspect)), np.float32)
    return Outline(alpha=alpha, rgb=np.zeros((*alpha.shape, 3), np.uint8))


def from_corner(points: np.ndarray) -> Outline:
    """Return the outline of a convex product from the picture positions of its points, (n, 2)."""
    width, height = np.ptp(points, axis=0)
    at = (points - points.min(0)) / height * 199
    alpha = np.zeros((200, round(200 * float(width / height))), np.uint8)
    cv2.fillConvexPoly(alpha, cv2.convexHull(np.rint(at).astype(np.int32))[:, 0], 1)
    return Outline(alpha=alpha[::-1].astype(np.float32), rgb=np.zeros((*alpha.shape, 3), np.uint8))


def of(side: View) -> Outline:
    return seen(PROPORTIONS[side])


@pytest.mark.parametrize(
    ("called", "shown"),
    [
        ({F: F, R: R, T: T}, {}),
        ({F: R}, {F: R}),
        ({F: T}, {F: T}),
        ({R: F}, {R: F}),
        ({F: R, R: F}, {F: R, R: F}),  # changed places
        ({F: F, B: R}, {B: R}),
        ({F: F, R: R, B: R}, {B: L}),  # the right side is there already
    ],
)
def test_photos_under_a_wrong_name(called: dict[View, View], shown: dict[View, View]) -> None:
    assert recognise_views({view: of(side) for view, side in called.items()}, CABINET) == shown


@pytest.mark.parametrize(("azimuth", "elevation"), list(product((25.0, 40.0), (8.0, 20.0))))
def test_a_lone_three_quarter_photo_called_the_front(azimuth: float, elevation: float) -> None:
    points = orbit_camera(CABINET, azimuth, elevation, 20.0).project(superellipse_prism(CABINET, 8.0))
    photo = from_corner(points)
    assert recognise_views({F: photo}, CABINET) == ({F: H} if abs(np.log(photo.aspect / 1.5)) > 0.15 else {})
    assert recognise_views({F: photo, R: of(R)}, CABINET) == {}  # beside a side's photo it only contradicts


def test_a_level_rectangle_is_no_corner_view_whatever_its_proportions() -> None:
    """The record's size may be wrong: a gift box from the front became an oval body with a handle."""
    points = orbit_camera(CABINET, 30.0, 14.0, 20.0).project(superellipse_prism(CABINET, 8.0))
    corner = from_corner(points)
    assert recognise_views({F: corner}, CABINET) == {F: H}
    assert recognise_views({F: seen(corner.aspect)}, CABINET) == {}


def test_ambiguous_views_are_not_recognised() -> None:
    cube = ProductSize(width=1, height=1, depth=1)
    assert recognise_views({F: seen(1.0), R: seen(1.0)}, cube) == {}
    assert recognise_views({F: seen(9.0)}, CABINET) == {}  # fits nothing
    guessed = ProductSize(width=1.2, height=0.8, depth=0.4, guessed=("depth",))
    assert recognise_views({F: of(R)}, guessed) == {}
    perspective = seen(1.5 * 0.91)
    assert recognise_views({F: perspective}, CABINET) == {}
