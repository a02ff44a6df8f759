"""Lifestyle composition: the product's own pixels; one seed, one picture; another set for each slot."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest

from dam_connector.domain.product import Dimensions, View
from dam_connector.domain.scene_words import read_scene_words
from tests.support import SAMPLES
from worker.imaging import lifestyle, scene_surfaces
from worker.imaging.cutout import Cutout, cut_out
from worker.imaging.decode import decode
from worker.imaging.deliverable_styles import slot_seed
from worker.imaging.floor_materials import MATERIALS
from worker.imaging.lifestyle import FOOT, Scene, compose_lifestyle
from worker.imaging.poses import Pose
from worker.imaging.scene_choice import SceneFacts, plan_scene
from worker.imaging.scene_sets import SETS, SceneSet

WIDTH, HEIGHT = 320, 400


@pytest.fixture(autouse=True)
def small_textures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw materials for the small pictures of these tests: they cost most of the time."""
    monkeypatch.setattr(scene_surfaces, "TEXTURE_PX", 800)


@cache
def chair() -> Cutout:
    return cut_out(decode((SAMPLES / "chair-front.jpg").read_bytes(), max_pixels=10**8))


def shape(draw: Callable[[np.ndarray], object], *touched: str) -> Cutout:
    """A shape of one colour, drawn into an empty mask."""
    alpha = np.zeros((400, 400), np.uint8)
    draw(alpha)
    rgb = np.full((400, 400, 3), (170, 60, 50), np.uint8)
    return Cutout(rgb=rgb, alpha=alpha, confidence=1.0, touched_sides=touched)


def made(slot: int = 1, seed: int = 7, **options: object) -> np.ndarray:
    return compose_lifestyle(
        chair(), Scene(width=WIDTH, height=HEIGHT, fill=0.6, slot=slot, seed=seed, height_m=0.81, **options)
    ).rgb  # type: ignore[arg-type]


def in_set(chosen: SceneSet, cutout: Cutout, **facts: object) -> np.ndarray:
    """The picture of a product in one set."""
    plan = plan_scene(cutout, SceneFacts(**facts))  # type: ignore[arg-type]
    plan = replace(plan, chosen=chosen)
    scene = Scene(width=WIDTH, height=HEIGHT, fill=0.6, slot=1, seed=1)
    return compose_lifestyle(cutout, scene, plan).rgb


def test_the_same_seed_gives_the_same_picture_and_another_seed_another_grain() -> None:
    assert (made() == made()).all() and (made() != made(seed=8)).any()
    assert slot_seed("A", "lifestyle", 1) == slot_seed("A", "lifestyle", 1) != slot_seed("A", "lifestyle", 2)


def test_slots_differ_visibly() -> None:
    pictures = [made(slot).astype(float) for slot in (1, 2, 3, 4)]
    for n, one in enumerate(pictures):
        for other in pictures[n + 1 :]:
            assert np.abs(one - other).mean() > 5


@pytest.mark.parametrize("chosen", [s for s in SETS if Pose.UPRIGHT in s.poses], ids=lambda s: s.name)
def test_the_products_pixels_are_the_photos_in_every_set(chosen: SceneSet) -> None:
    picture = in_set(chosen, chair(), dimensions=Dimensions(height_m=0.81))
    plan = plan_scene(chair(), SceneFacts())
    scene = Scene(width=WIDTH, height=HEIGHT, fill=0.6, slot=1, seed=1)
    left, top, right, bottom = compose_lifestyle(chair(), scene, replace(plan, chosen=chosen)).box
    x0, y0, x1, y1 = chair().box
    size = (right - left, bottom - top)
    rgb = cv2.resize(chair().rgb[y0:y1, x0:x1], size, interpolation=cv2.INTER_AREA).astype(int)
    alpha = cv2.resize(chair().alpha[y0:y1, x0:x1], size, interpolation=cv2.INTER_AREA)
    inside = cv2.erode(alpha, np.ones((5, 5), np.uint8)) > 250
    difference = np.abs(picture[top:bottom, left:right].astype(int) - rgb)[inside]
    assert inside.sum() > 500 and np.median(difference) <= 2 and np.percentile(difference, 95) <= 8


@pytest.mark.parametrize("chosen", [s for s in SETS if Pose.UPRIGHT in s.poses], ids=lambda s: s.name)
def test_the_product_takes_light_from_what_it_stands_on(
    monkeypatch: pytest.MonkeyPatch, chosen: SceneSet
) -> None:
    shaded = in_set(chosen, chair(), dimensions=Dimensions(height_m=0.81)).astype(float).mean(2)
    for shadow in ("contact_shadow", "cast_shadow"):
        monkeypatch.setattr(lifestyle, shadow, lambda alpha, *_, **__: np.zeros_like(alpha))
    lit = in_set(chosen, chair(), dimensions=Dimensions(height_m=0.81)).astype(float).mean(2)
    taken, foot = lit - shaded, round(FOOT[chosen.prop] * HEIGHT)
    assert taken[foot - 6 : foot + 6].max() > 8  # at the feet
    assert taken[foot + 60 :].max(initial=0) < 3 and taken[:80].max() < 3  # not far from them
    assert taken.min() > -3  # nothing gets lighter


def test_what_lies_has_its_shadow_around_it_on_the_side_away_from_the_light() -> None:
    disc = shape(lambda a: cv2.circle(a, (200, 200), 90, 255, -1))
    facts = SceneFacts(view=View.TOP, dimensions=Dimensions(width_m=0.2, height_m=0.2))
    plan = plan_scene(disc, facts)
    assert plan.finding.pose is Pose.LIES
    plain = next(s for s in SETS if s.name == "colour from above")
    scene = Scene(width=WIDTH, height=HEIGHT, fill=0.5, slot=1, seed=1)
    sides = {}
    for light in (-1, 1):
        lit = replace(plan, chosen=replace(plain, light=light))
        picture = compose_lifestyle(disc, scene, lit)
        left, top, right, bottom = picture.box
        row = (top + bottom) // 2 + 12
        grey = picture.rgb.astype(float).mean(2)
        sides[light] = grey[row, left - 8 : left - 3].mean() - grey[row, right + 3 : right + 8].mean()
    assert sides[-1] > 4 > -4 > sides[1]


def test_what_the_photo_cuts_off_is_cut_off_by_the_picture() -> None:
    bust = shape(lambda a: cv2.rectangle(a, (100, 80), (300, 400), 255, -1), "bottom")
    picture = compose_lifestyle(bust, Scene(width=WIDTH, height=HEIGHT, fill=0.6, slot=1, seed=1))
    assert picture.box[3] == HEIGHT and picture.box[1] > 20
    side = shape(lambda a: cv2.rectangle(a, (0, 80), (300, 300), 255, -1), "left")
    assert compose_lifestyle(side, Scene(width=WIDTH, height=HEIGHT, fill=0.6, slot=1, seed=1)).box[0] == 0


def test_a_wished_colour_is_on_the_wall_and_an_inspiration_image_colours_the_set() -> None:
    facts = SceneFacts(wish=read_scene_words("studio, green"), dimensions=Dimensions(height_m=0.8))
    green = (
        compose_lifestyle(chair(), Scene(width=WIDTH, height=HEIGHT, fill=0.5, slot=1, seed=1, facts=facts))
        .rgb[10:40]
        .astype(float)
        .mean((0, 1))
    )
    assert green[1] > green[0] + 5 and green[1] > green[2] + 5


@pytest.mark.parametrize("name", MATERIALS)
def test_materials_are_colours_with_texture(name: str) -> None:
    drawn = MATERIALS[name].colourise(MATERIALS[name].draw_levels(256, 200.0, np.random.default_rng(1)))
    assert drawn.shape == (256, 256, 3) and drawn.dtype == np.float32 and np.isfinite(drawn).all()
    assert drawn.min() >= 0.0 and drawn.max() <= 1.2
    assert 0.005 < drawn.std((0, 1)).max() < 0.3  # from place to place, not from channel to channel
    assert {s.surface for s in SETS if s.surface} == set(MATERIALS)


@pytest.mark.parametrize(("width", "height"), [(320, 180), (180, 320), (200, 200)])
@pytest.mark.parametrize("pose", list(Pose))
def test_any_aspect_and_an_unknown_size(width: int, height: int, pose: Pose) -> None:
    for chosen in (s for s in SETS if pose in s.poses):
        plan = plan_scene(chair(), SceneFacts(slot=4, aspect=width / height))
        finding = replace(plan.finding, pose=pose)
        scene = Scene(width=width, height=height, fill=0.8, slot=4, seed=1)
        picture = compose_lifestyle(chair(), scene, replace(plan, chosen=chosen, finding=finding))
        left, top, right, bottom = picture.box
        assert picture.rgb.shape == (height, width, 3) and picture.rgb.std() > 3
        assert 0 <= left < right <= width and 0 <= top < bottom <= height


def test_a_plinth_is_as_wide_as_a_box_that_is_seen_from_above() -> None:
    box = np.zeros((400, 400), np.float32)
    corners = np.array([[60, 180], [150, 300], [340, 200], [340, 120], [250, 80], [60, 110]])
    cv2.fillConvexPoly(box, corners, 1.0)
    line = lifestyle.ground_line(box, oblique=True)
    middle, _, reach = lifestyle._base(box, line, oblique=True)
    assert middle - reach < 75 and middle + reach > 325


def test_the_far_foot_of_a_stand_seen_from_above_shades_the_ground(monkeypatch: pytest.MonkeyPatch) -> None:
    feet = ((150, 360), (60, 300), (240, 270), (330, 330))

    def draw(mask: np.ndarray) -> None:
        for x, y in feet:
            cv2.rectangle(mask, (x - 5, y - 150), (x + 5, y), 255, -1)
        cv2.fillConvexPoly(mask, cv2.convexHull(np.array([(x, y - 150) for x, y in feet])), 255)

    studio = next(s for s in SETS if s.name == "studio colour")
    facts = {"view": View.HERO, "oblique": True}
    stand = shape(draw)
    shaded = in_set(studio, stand, **facts).astype(float)
    monkeypatch.setattr(lifestyle, "shadows_of_feet", lambda alpha: None)
    bare = in_set(studio, stand, **facts).astype(float)
    plan = replace(plan_scene(stand, SceneFacts(**facts)), chosen=studio)  # type: ignore[arg-type]
    found = compose_lifestyle(stand, Scene(width=WIDTH, height=HEIGHT, fill=0.6, slot=1, seed=1), plan)
    column, row = (
        round(at + found.scale * far) for at, far in zip(found.box, (240 - 55, 271 - 120), strict=False)
    )
    below = slice(row + 1, row + 4), slice(column - 2, column + 3)
    assert shaded[below].mean() < 0.9 * bare[below].mean()
