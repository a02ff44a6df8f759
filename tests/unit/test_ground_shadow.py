"""Ground line, contact shadow, cast shadow and reflection, and the studio that uses them."""

import cv2
import numpy as np
import pytest

from worker.imaging.composition import Studio, compose_studio
from worker.imaging.cutout import Cutout
from worker.imaging.ground_shadow import cast_shadow, contact_shadow, ground_line, reflection
from worker.imaging.scene_shadows import under_shadow


def table(*, oblique: bool) -> np.ndarray:
    """A top on four legs, (400, 400) 0 to 1; seen from above, the legs' feet stand at several heights."""
    alpha = np.zeros((400, 400), np.float32)
    cv2.fillConvexPoly(
        alpha,
        np.array(
            [[60, 130], [200, 100], [340, 130], [200, 170]]
            if oblique
            else [[60, 100], [340, 100], [340, 130], [60, 130]]
        ),
        1,
    )
    for x, foot in ((66, 300), (196, 360), (326, 300)) if oblique else ((66, 300), (326, 300)):
        alpha[130:foot, x : x + 10] = 1
    return alpha


def test_a_box_that_is_seen_steeply_touches_the_ground_along_both_sides() -> None:
    """Its left side rises by .9 rows a column, the right one by .5."""
    alpha = np.zeros((400, 400), np.float32)
    corners = [(100, 270), (200, 360), (340, 290), (340, 200), (240, 120), (100, 180)]
    cv2.fillPoly(alpha, [np.array(corners, np.int32)], 1.0)
    line = ground_line(alpha, oblique=True)
    for column, row in ((105, 275), (150, 315), (200, 360), (270, 325), (335, 293)):
        assert abs(line[column] - row) < 4
    shade = contact_shadow(alpha, line, oblique=True)
    assert shade[275:280, 102:108].max() > 0.3


def test_a_ball_that_is_seen_steeply_touches_the_ground_below_its_middle_alone() -> None:
    alpha = np.zeros((400, 400), np.float32)
    cv2.circle(alpha, (200, 200), 120, 1.0, -1)
    line = ground_line(alpha, oblique=True)
    assert line[85] > 260 and abs(line[200] - 321) < 2


def test_seen_from_the_side_the_ground_is_one_row() -> None:
    assert (ground_line(table(oblique=False), oblique=False) == 300).all()


def test_seen_from_above_the_ground_goes_through_the_feet() -> None:
    line = ground_line(table(oblique=True), oblique=True)
    assert (
        line[71] == pytest.approx(300, abs=3)
        and line[201] == pytest.approx(360, abs=1)
        and line[331] == pytest.approx(300, abs=3)
    )
    assert 320 < line[136] < 340 and (np.abs(np.diff(line)) < 0.6).all()


def test_the_shadow_is_dark_at_the_feet_and_not_under_what_hangs() -> None:
    alpha = table(oblique=True)
    shade = contact_shadow(alpha, ground_line(alpha, oblique=True), oblique=True)
    middle = (
        round(float(ground_line(alpha, oblique=True)[136])) + 2
    )  # on the ground between two feet, under the top
    assert min(shade[361, 201], shade[302, 71]) > 0.3 > 0.2 > shade[middle, 136]
    assert shade[395, 201] < 0.05 and shade[60].max() == 0


def test_the_cast_shadow_falls_away_from_the_light_and_back() -> None:
    alpha = np.zeros((300, 300), np.float32)
    alpha[100:250, 140:160] = 1
    right, left = (
        cast_shadow(alpha, ground_line(alpha, oblique=False), aside=a, back=0.2) for a in (0.6, -0.6)
    )
    assert right[240, 150:].sum() > 5 * right[240, :140].sum() and np.allclose(
        right, left[:, ::-1], atol=0.05
    )
    assert right[:210].max() < 0.1 and right[255:].max() < 0.1


def test_the_mirror_image_begins_at_the_ground_and_fades() -> None:
    alpha = np.zeros((300, 300), np.float32)
    alpha[100:200, 100:200] = 1
    colour = np.zeros((300, 300, 3), np.float32)
    colour[150:200] = (1, 0, 0)
    shown, share = reflection(colour, alpha, ground_line(alpha, oblique=False), gloss=0.5, reach=40)
    assert (
        share[190, 150] < 0.02
        and 0.3 < share[204, 150] < 0.5
        and share[245, 150] == 0
        and share[210, 50] == 0
    )
    assert (np.diff(share[205:238, 150]) <= 0).all() and shown[210, 150, 0] > 0.95 and shown[210, 150, 1] == 0


def square() -> Cutout:
    alpha = np.zeros((200, 200), np.uint8)
    alpha[50:150, 50:150] = 255
    return Cutout(rgb=np.full((200, 200, 3), (200, 30, 30), np.uint8), alpha=alpha, confidence=1.0)


def test_a_gradient_goes_from_its_first_colour_to_its_second_without_bands() -> None:
    picture = compose_studio(
        square(), Studio(width=300, height=300, background="#ffffff to #c0c0c0", fill=0.5, shadow=False)
    )
    assert (picture.rgb[0] >= 254).all() and np.abs(picture.rgb[-1].astype(int) - 0xC0).max() <= 1
    side = picture.rgb[:, 10:42, 0].astype(float).mean(1)
    assert (np.diff(side) <= 0.3).all() and np.abs(side - np.linspace(255, 192, 300)).max() < 0.7
    assert picture.rgb[100:108, 10:18, 0].std() > 0  # dithered: two neighbouring levels


def test_a_reflection_shows_on_any_ground() -> None:
    for ground in ("#ffffff", "#ffffff to #dddddd", "transparent"):
        plain, mirror = (
            compose_studio(
                square(),
                Studio(width=300, height=300, background=ground, fill=0.5, shadow=False, reflection=r),
            )
            for r in (False, True)
        )
        below = slice(228, 240)
        if ground == "transparent":
            assert (
                mirror.alpha[below, 150].min() > 10 > plain.alpha[below, 150].max()
                and mirror.rgb[230, 150, 0] > 2 * mirror.rgb[230, 150, 1]
            )
        else:
            assert (mirror.rgb[below, 150, 1] < plain.rgb[below, 150, 1] - 8).all()
        assert (mirror.rgb[150, 150] == plain.rgb[150, 150]).all()


def test_the_shade_below_a_balls_side_has_no_upright_edge() -> None:
    ball = cv2.circle(np.zeros((400, 400), np.float32), (200, 200), 120, 1, -1)
    shade = under_shadow(ball, ground_line(ball, oblique=False))
    assert np.where(ball > 0, 0, shade)[300:325].max() > 0.3  # near the point where it touches
    assert np.abs(np.diff(shade[:, 60:110], axis=1)).max() < 0.02 and shade[:240].max() < 0.05
