"""The set of a lifestyle picture: by size, by what is usual, by the words of a prompt, by the slot."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from dam_connector.domain.product import Dimensions, View
from dam_connector.domain.scene_words import COLOUR_WORDS, THEME_WORDS, SceneWish, read_scene_words
from dam_connector.domain.usual_products import USUAL, usual_product
from worker.imaging.cutout import Cutout
from worker.imaging.poses import Pose
from worker.imaging.scene_choice import GUESSED_M, NEUTRAL, SceneFacts, ScenePlan, plan_scene
from worker.imaging.scene_sets import SETS


def product(*touched: str) -> Cutout:
    alpha = np.zeros((400, 400), np.uint8)
    cv2.rectangle(alpha, (150, 100), (250, 300), 255, -1)
    return Cutout(
        rgb=np.full((400, 400, 3), 90, np.uint8), alpha=alpha, confidence=1.0, touched_sides=touched
    )


def plan(cutout: Cutout | None = None, **facts: object) -> ScenePlan:
    return plan_scene(cutout or product(), SceneFacts(**facts))  # type: ignore[arg-type]


def codes(found: ScenePlan) -> list[str]:
    return [i.code for i in found.issues("/images/front")]


@pytest.mark.parametrize(
    ("name", "longest_m"),
    [
        ("Oak chair", 0.85),
        ("Chair cushion", 0.5),
        ("Wasserkocher 1,7 l", 0.27),
        ("Fernseher", 0.6),
        ("Sofa Malmö", 2.0),
        ("Smart watch X", 0.2),
        ("jump_rope_01", 0.5),
        ("Coffee table", 0.75),
        ("Küchenstuhl", 0.85),
    ],
)
def test_the_usual_size_follows_from_a_word(name: str, longest_m: float) -> None:
    assert usual_product(name).longest_m == longest_m  # type: ignore[union-attr]


def test_an_unknown_word_gives_no_size_and_the_category_is_the_second_text() -> None:
    assert usual_product("XJ-9000") is None
    assert usual_product("XJ-9000", "Chairs").longest_m == 0.85  # type: ignore[union-attr]


def test_a_watch_is_not_as_large_as_a_chair() -> None:
    watch, chair = plan(name="watch"), plan(name="chair")
    assert watch.longest_m == pytest.approx(0.2) and chair.longest_m == pytest.approx(0.85)
    assert plan(name="watch", dimensions=Dimensions(height_m=0.05)).longest_m == pytest.approx(0.05, rel=0.02)
    assert chair.size_from == "category" and "scene_size_from" in chair.facts


def test_without_a_size_no_set_shows_a_scale() -> None:
    for slot in range(1, 9):
        found = plan(name="XJ-9000", slot=slot)
        assert found.longest_m is None and not found.chosen.needs_scale and codes(found) == []
        assert found.chosen.name not in {"plinth", "arch"}  # it may be a tent or a car


@pytest.mark.issue("rendition.size_guessed")
def test_a_wished_set_with_a_scale_says_that_the_size_is_a_guess() -> None:
    found = plan(name="XJ-9000", wish=read_scene_words("in a kitchen"))
    assert found.chosen.name == "kitchen counter" and codes(found) == ["rendition.size_guessed"]
    assert found.m_per_photo_px == pytest.approx(GUESSED_M / 201, rel=0.02)


def test_large_products_are_not_set_on_tables_and_small_ones_not_on_floors() -> None:
    sofas = {plan(name="sofa", slot=slot).chosen.name for slot in range(1, 12)}
    mugs = {plan(name="mug", slot=slot).chosen.name for slot in range(1, 12)}
    assert not sofas & {"shelf", "table by a window", "kitchen counter", "linen", "plinth"}
    assert "wooden floor" in sofas - mugs and {"kitchen counter", "shelf"} <= mugs


def test_every_pose_has_sets_for_every_size_and_every_slot_another() -> None:
    for pose in Pose:
        assert any(pose in s.poses and not s.needs_scale for s in SETS) or pose is Pose.LEANS
    for name in ("mug", "sofa", "phone", "tent", "XJ-9000"):
        first = [plan(name=name, slot=slot).chosen.name for slot in (1, 2, 3)]
        assert len(set(first)) == 3
    assert len({s.name for s in SETS}) == len(SETS) >= 12
    again = [plan(name="XJ-9000", slot=slot) for slot in (1, 40)]
    assert again[0] == plan(name="XJ-9000", slot=1) and again[1].chosen.name


@pytest.mark.parametrize(
    ("prompt", "wish"),
    [
        ("on a marble countertop", SceneWish(themes=("marble", "kitchen"), words=("marble", "countertop"))),
        ("auf einem Podest vor blauer Wand", SceneWish(themes=("plinth", "plaster"), colour="#8fa6bb")),
        ("sur une étagère", SceneWish(themes=("shelf",), words=("étagère",))),
        ("sobre mármol", SceneWish(themes=("studio", "marble"))),
        ("vicino alla finestra", SceneWish(themes=("window",), words=("finestra",))),
        ("no kitchen, without marble", SceneWish()),
        ("keine Küche", SceneWish()),
        ("a happy mood", SceneWish()),
        ("auf einem Podest, salbeigrün", SceneWish(themes=("plinth",), colour="#a3b097")),
        ("weinrote Wand", SceneWish(themes=("plaster",), colour="#a8534a")),
        ("natural light, bread (Brot)", SceneWish()),
        ("dark room, blue", SceneWish(colour="#8fa6bb", words=("blue",))),
        ("dark blue", SceneWish(colour="#566470", words=("blue",))),
        ("hellblau", SceneWish(colour="#bccad6", words=("hellblau",))),
        ("bleu clair", SceneWish(colour="#bccad6", words=("bleu",))),
        ("ein dunkler Raum", SceneWish(colour="#33312f", words=("dunkler",))),
    ],
)
def test_words_are_read_in_several_languages(prompt: str, wish: SceneWish) -> None:
    found = read_scene_words(prompt)
    assert found.themes == wish.themes and found.has_text
    assert found.colour == wish.colour and (not wish.words or found.words == wish.words)


def test_unknown_products_begin_with_different_sets_and_known_ones_with_the_best() -> None:
    unknown = [plan(name="XJ-9000", variety=n).chosen.name for n in range(6)]
    assert len(set(unknown)) >= 4
    assert {plan(name="mug", variety=n).chosen.name for n in range(6)} == {"kitchen counter"}


def test_slots_of_a_product_have_different_colours_that_contrast_with_it() -> None:
    colours = {plan(name="XJ-9000", slot=slot).colour for slot in (1, 2, 3, 4)}
    assert len(colours) == 4
    assert all(abs(sum(colour) / 3 - 0.102) > 0.08 for colour in colours)  # the product is (90, 90, 90)


def test_every_theme_and_every_place_has_a_set() -> None:
    themes = {theme for s in SETS for theme in s.themes}
    assert set(THEME_WORDS) <= themes and set(NEUTRAL) <= themes
    assert {place for usual in USUAL.values() for place in usual.places} <= themes
    assert {usual.pose for usual in USUAL.values()} - {""} <= {pose.value for pose in Pose}
    assert all(len(code) == 7 and code[0] == "#" for _, code in COLOUR_WORDS.values())


def test_a_prompt_chooses_the_set_and_the_report_says_so() -> None:
    found = plan(name="mug", wish=read_scene_words("on a plinth, sage"))
    assert found.chosen.name == "plinth" and found.facts["prompt_words"] == "plinth, sage"
    assert codes(found) == [] and found.facts["set"] == "plinth"
    seen = {plan(name="mug", wish=read_scene_words("marble"), slot=slot).chosen.name for slot in (1, 2, 3)}
    assert seen == {"marble top", "kitchen counter"}


def test_a_colour_alone_chooses_sets_that_can_have_it() -> None:
    for name, slot in ((n, s) for n in ("cactus", "mug", "sofa", "XJ-9000") for s in (1, 2, 3)):
        found = plan(name=name, slot=slot, wish=read_scene_words("in front of a red wall"))
        assert found.is_wish_followed and codes(found) == []
        red, green, blue = found.colour
        assert red > 2 * max(green, blue)


@pytest.mark.issue("rendition.prompt_ignored")
def test_a_prompt_that_changes_nothing_is_reported() -> None:
    assert codes(plan(name="mug", wish=read_scene_words("a happy mood"))) == ["rendition.prompt_ignored"]
    sofa = plan(name="sofa", wish=read_scene_words("on a shelf"))
    assert codes(sofa) == ["rendition.prompt_ignored"] and sofa.chosen.name != "shelf"
    assert codes(plan(name="mug")) == []


@pytest.mark.issue("rendition.no_scene", "rendition.scene_unsure")
def test_a_product_that_is_cut_off_is_refused_or_doubted() -> None:
    assert codes(plan(product("left", "right"))) == ["rendition.no_scene"]
    assert codes(plan(product("right"))) == ["rendition.scene_unsure"]
    assert codes(plan(product("bottom"))) == []
    assert codes(plan(product("top", "bottom"), has_person=True)) == []


def test_a_rendered_model_stands_before_its_own_camera() -> None:
    found = plan(product("left"), elevation_deg=31.0, oblique=True)
    assert (found.finding.pose, found.finding.elevation_deg) == (Pose.UPRIGHT, 31.0)
    assert plan(view=View.TOP).finding.pose is Pose.LIES


@pytest.mark.parametrize("variety", range(5))
def test_what_was_photographed_in_a_place_gets_no_room_while_its_size_is_unknown(variety: int) -> None:
    """It may be a car: a wall with a window beside it would be a doll's house."""
    outdoors = replace(product(), busy_share=0.4)
    first_two = {plan(outdoors, variety=variety, slot=slot).chosen.name for slot in (1, 2)}
    assert first_two == {"studio colour", "gradient backdrop"}
    assert plan(outdoors, name="chair").chosen.name == plan(name="chair").chosen.name
