"""Photos that contradict each other, and those that do not. Products are cells with a colour each."""

from collections.abc import Callable

import numpy as np
import pytest

from dam_connector.domain.product import View
from tests.unit.masks import build, cutout_of
from worker.imaging.cutout import Cutout
from worker.modeling.outlines import ProductSize, crop_outline
from worker.modeling.view_agreement import Contradiction, find_contradiction

CELLS, SCALE = 40, 5
COLOURS = np.array([(255, 255, 255), (190, 50, 40), (40, 60, 180), (50, 150, 70), (230, 190, 40)], np.uint8)
Pictures = dict[View, Cutout]
FOUR = (View.FRONT, View.RIGHT, View.BACK, View.TOP)


def part(cells: np.ndarray, colour: int, x: slice, y: slice, z: slice) -> None:
    cells[x, y, z] = colour


def can() -> np.ndarray:
    """A body with a spout at its right (+X) and a high wall at its back (-Z), on cells along x, y and z."""
    cells = np.zeros((CELLS,) * 3, np.uint8)
    part(cells, 1, slice(0, 26), slice(0, 30), slice(0, 40))
    part(cells, 2, slice(26, 40), slice(18, 24), slice(17, 23))
    part(cells, 3, slice(4, 22), slice(30, 40), slice(0, 8))
    return cells


def column() -> np.ndarray:
    """A product that is alike from all four sides."""
    cells = np.zeros((CELLS,) * 3, np.uint8)
    part(cells, 1, slice(0, 40), slice(0, 6), slice(0, 40))
    part(cells, 2, slice(14, 26), slice(6, 30), slice(14, 26))
    part(cells, 4, slice(6, 34), slice(30, 40), slice(6, 34))
    return cells


def pictures(cells: np.ndarray, views: tuple[View, ...] = FOUR) -> Pictures:
    """Photos from far away: of each line of sight the first cell."""
    towards = {  # the axis that the view looks along, from its first cell on; then rows from the top, columns
        View.FRONT: cells[:, ::-1, ::-1].transpose(2, 1, 0),
        View.BACK: cells[::-1, ::-1].transpose(2, 1, 0),
        View.RIGHT: cells[::-1, ::-1, ::-1].transpose(0, 1, 2),
        View.LEFT: cells[:, ::-1].transpose(0, 1, 2),
        View.TOP: cells[:, ::-1].transpose(1, 2, 0),
    }
    return {view: _picture(towards[view]) for view in views}


def _picture(along: np.ndarray) -> Cutout:
    first = np.take_along_axis(along, np.argmax(along > 0, axis=0)[None], axis=0)[0]
    large = first.repeat(SCALE, 0).repeat(SCALE, 1)
    plain = cutout_of((large > 0).astype(np.uint8))
    rgb = np.full_like(plain.rgb, 255)
    left, top, right, bottom = plain.box
    rows, columns = np.nonzero(large)
    rgb[top:bottom, left:right] = COLOURS[
        large[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    ]
    return Cutout(rgb=rgb, alpha=plain.alpha, confidence=1.0, touched_sides=())


def turned(cutout: Cutout) -> Cutout:
    return Cutout(
        rgb=np.ascontiguousarray(cutout.rgb[::-1, ::-1]),
        alpha=np.ascontiguousarray(cutout.alpha[::-1, ::-1]),
        confidence=1.0,
        touched_sides=(),
    )


def contradiction(photos: Pictures) -> Contradiction | None:
    return find_contradiction(
        {view: crop_outline(c) for view, c in photos.items()}, ProductSize(width=1.0, height=1.0, depth=1.0)
    )


def with_top_turned(photos: Pictures) -> Pictures:
    return {**photos, View.TOP: turned(photos[View.TOP])}


def with_left_as_right(photos: Pictures) -> Pictures:
    return {**photos, View.RIGHT: pictures(can(), (View.LEFT,))[View.LEFT]}


def with_front_and_back_exchanged(photos: Pictures) -> Pictures:
    return {**photos, View.FRONT: photos[View.BACK], View.BACK: photos[View.FRONT]}


@pytest.mark.parametrize(
    ("wrong", "view", "words"),
    [
        (with_top_turned, View.TOP, "top photo looks turned by 180 degrees"),
        (with_left_as_right, View.RIGHT, "right photo looks like one of the left"),
        (with_front_and_back_exchanged, View.FRONT, "front and back photos look exchanged"),
    ],
)
def test_a_photo_that_was_given_as_another_side_is_named(
    wrong: Callable[[Pictures], Pictures], view: View, words: str
) -> None:
    found = contradiction(wrong(pictures(can())))
    assert found is not None and found.view is view and words in found.message


@pytest.mark.parametrize("product", [can, column])
@pytest.mark.parametrize(
    "views",
    [
        FOUR,
        (*FOUR, View.LEFT),
        (View.FRONT, View.RIGHT),
        (View.FRONT, View.BACK, View.RIGHT, View.LEFT),
        (View.FRONT, View.RIGHT, View.TOP),
        (View.BACK, View.LEFT, View.TOP),
        (View.FRONT, View.TOP),
        (View.RIGHT, View.TOP),
    ],
)
def test_right_photos_do_not_contradict(product: Callable[[], np.ndarray], views: tuple[View, ...]) -> None:
    assert contradiction(pictures(product(), views)) is None


def test_photos_of_a_symmetric_product_contradict_in_no_order() -> None:
    photos = pictures(column())
    assert contradiction(with_top_turned(photos)) is None
    assert contradiction(with_front_and_back_exchanged(photos)) is None


def test_a_box_whose_sides_have_colours_of_their_own_is_no_contradiction() -> None:
    full = np.ones((100, 100), np.uint8)
    colours = dict(zip((*FOUR, View.LEFT), COLOURS.tolist(), strict=True))
    photos = {view: cutout_of(full, tuple(colour)) for view, colour in colours.items()}
    for given in (photos, with_front_and_back_exchanged(photos), with_top_turned(photos)):
        assert contradiction(given) is None


def test_the_side_of_another_product_is_named() -> None:
    cells = np.zeros((CELLS,) * 3, np.uint8)
    part(cells, 4, slice(0, 40), slice(0, 40), slice(18, 22))
    part(cells, 4, slice(0, 40), slice(0, 4), slice(0, 40))
    other = pictures(cells)
    found = contradiction({**pictures(can()), View.RIGHT: other[View.RIGHT]})
    assert found is not None and found.view is View.RIGHT
    behind = contradiction({**pictures(can()), View.BACK: other[View.BACK]})
    assert behind is not None and behind.view is View.BACK and "from behind" in behind.message


@pytest.mark.issue("model.views_disagree")
def test_a_contradiction_costs_confidence_and_names_the_photo() -> None:
    photos = pictures(can())
    good, bad = build(photos, 1.0, 1.0, 1.0), build(with_top_turned(photos), 1.0, 1.0, 1.0)
    assert "model.views_disagree" not in {i.code for i in good.issues}
    issues = {i.code: i for i in bad.issues}
    found = issues["model.views_disagree"]
    assert found.pointer == "/images/top" and "turned by 180 degrees" in found.message
    assert bad.confidence <= 0.4 < good.confidence
    assert "the front at its lower edge" in issues["model.low_confidence"].message


def test_proportions_that_do_not_fit_name_their_photo_where_others_fit() -> None:
    full, narrow = np.ones((100, 100), np.uint8), np.ones((100, 60), np.uint8)
    views = {View.FRONT: cutout_of(full), View.BACK: cutout_of(full), View.RIGHT: cutout_of(narrow)}
    found = {i.code: i for i in build(views, 1.0, 1.0, 1.0).issues}["model.views_disagree"]
    assert found.pointer == "/images/right"
