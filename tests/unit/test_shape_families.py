"""Shapes built in code: from their silhouettes alone, the family that is recognised and how much of the solid
is found.
"""

from dataclasses import replace

import numpy as np
import pytest
import trimesh

from dam_connector.domain.product import Dimensions, View
from samples.product_meshes import bar, lathe
from tests.unit.shapes import as_model
from tests.unit.true_shapes import (
    Truth,
    bag,
    ball,
    cabinet,
    chair,
    cone,
    cup,
    cylinder,
    frame,
    inside,
    lattice,
    made,
    photographed,
    shared,
    shoe,
    table,
)
from worker.imaging.cutout import Cutout
from worker.modeling.build import LOW_CONFIDENCE, ModelBuild, build_model
from worker.modeling.camera import Camera
from worker.modeling.lofting import loft, superellipse_form, widest_like_form
from worker.modeling.outlines import Outline, ProductSize
from worker.modeling.panel_fitting import fit_panel
from worker.modeling.render import Renderer

# the shape's words; from three views: least overlap of solids; from the front alone: the family and the least
# overlap
CASES = {
    ball: ("", 0.97, "turned", 0.97),
    cylinder: ("bottle", 0.97, "turned", 0.97),
    cone: ("", 0.95, "turned", 0.95),
    cup: ("mug", 0.88, "turned with parts", 0.88),
    table: ("furniture", 0.75, "legs and a top", 0.6),
    chair: ("chair", 0.7, "seat and back", 0.45),
    frame: ("decoration", 0.8, "panel", 0.9),
    bag: ("bag", 0.9, "inflation", 0.6),
    shoe: ("shoe", 0.85, "shoe", 0.8),
    lattice: ("shelf", 0.75, "carcass", 0.75),
    cabinet: ("furniture", 0.93, "carcass", 0.93),
}

OPEN_SHAPES = (table, chair, frame, lattice)  # such models are seldom good, so none is believed unseen


@pytest.mark.parametrize("shape", CASES, ids=lambda s: s.__name__)
def test_three_views_give_the_solid(shape) -> None:
    words, least, _, _ = CASES[shape]
    built = made(shape(), words, View.FRONT, View.RIGHT, View.TOP)
    assert shared(shape(), built) >= least
    assert built.confidence > (0.0 if shape in OPEN_SHAPES else LOW_CONFIDENCE)


@pytest.mark.parametrize("shape", CASES, ids=lambda s: s.__name__)
@pytest.mark.issue("model.single_view")
def test_the_front_alone_is_enough_to_find_the_family(shape) -> None:
    words, _, family, least = CASES[shape]
    built = made(shape(), words, View.FRONT)
    assert built.family == family and shared(shape(), built) >= least
    assert "model.single_view" in {i.code for i in built.issues}


@pytest.mark.parametrize(
    ("shape", "views", "least"),
    [
        (chair, (View.FRONT, View.TOP), 0.5),
        (chair, (View.RIGHT, View.TOP), 0.5),
        (chair, (View.BACK, View.LEFT), 0.7),
        (shoe, (View.FRONT, View.TOP), 0.8),
        (shoe, (View.BACK, View.LEFT), 0.85),
        (lattice, (View.FRONT, View.TOP), 0.75),
        (shoe, (View.TOP,), 0.5),
    ],
)
def test_other_sets_of_views_are_not_mirrored(shape, views, least) -> None:
    assert shared(shape(), made(shape(), CASES[shape][0], *views)) >= least


@pytest.mark.issue("model.view_left_out")
def test_an_unsure_photo_is_left_out_while_others_remain() -> None:
    photos = photographed(cabinet(), View.FRONT, View.RIGHT)
    noise = Cutout(
        rgb=photos[View.FRONT].rgb,
        alpha=np.triu(np.full((480, 480), 255, np.uint8)),
        confidence=0.05,
        touched_sides=(),
    )
    size = Dimensions(width_m=1.2, height_m=0.69, depth_m=0.4)
    built = build_model({**photos, View.TOP: noise}, size, "furniture", max_triangles=8000, texture_px=512)
    left_out = next(i for i in built.issues if i.code == "model.view_left_out")
    assert left_out.pointer == "/images/top" and shared(cabinet(), built) > 0.9


@pytest.mark.issue("model.low_confidence")
def test_the_only_photo_of_a_side_is_used_however_unsure_and_the_model_with_it() -> None:
    photos = photographed(cabinet(), View.FRONT, View.RIGHT)
    unsure = {**photos, View.FRONT: replace(photos[View.FRONT], confidence=0.12)}
    size = Dimensions(width_m=1.2, height_m=0.69, depth_m=0.4)
    built = build_model(unsure, size, "furniture", max_triangles=8000, texture_px=512)
    assert shared(cabinet(), built) > 0.9 and built.confidence <= 0.12
    both = {**unsure, View.BACK: replace(photos[View.FRONT], confidence=0.05)}
    built = build_model(both, size, "furniture", max_triangles=8000, texture_px=512)
    assert [i.pointer for i in built.issues if i.code == "model.view_left_out"] == ["/images/back"]


@pytest.mark.issue("model.part_lost", "model.low_confidence")
def test_a_part_that_the_views_contradict_is_reported_and_lowers_the_confidence() -> None:
    """Front and side show a pole on a block; where the side puts it, the top shows nothing."""
    front, side, top = (np.zeros((300, 300), np.uint8) for _ in range(3))
    front[150:280, 60:240] = side[150:280, 60:240] = 255
    front[20:150, 150:154] = side[20:150, 60:64] = 255
    top[60:240, 60:240] = 255
    top[225:240, 135:170] = 0
    views = {View.FRONT: front, View.RIGHT: side, View.TOP: top}
    cutouts = {
        v: Cutout(rgb=np.full((300, 300, 3), 99, np.uint8), alpha=a, confidence=1.0, touched_sides=())
        for v, a in views.items()
    }
    built = build_model(
        cutouts, Dimensions(width_m=0.7, height_m=1.0, depth_m=0.7), "", max_triangles=8000, texture_px=512
    )
    lost = next(i for i in built.issues if i.code == "model.part_lost")
    doubt = next(i for i in built.issues if i.code == "model.low_confidence")
    assert (
        float(lost.measured.rstrip(" %")) > 20
        and "thin parts lost" in doubt.message
        and "A spin, or a provider, would help" in doubt.message
        and "photos of the front" not in doubt.message + doubt.remedy
        and built.confidence < 0.3
    )


def test_a_photo_from_slightly_above_is_straightened() -> None:
    """The bottle's bottom rim curves below its axis; the model is as tall and wide as the product."""
    truth = cylinder()
    mesh = truth.whole
    alpha = Renderer(as_model(mesh)).silhouette(
        Camera(azimuth=0, elevation=4, target=(0, 0.1, 0), half_width=0.12, fov=18), 640
    )
    photo = Cutout(
        rgb=np.full((640, 640, 3), 120, np.uint8),
        alpha=alpha.astype(np.uint8) * 255,
        confidence=1.0,
        touched_sides=(),
    )
    built = build_model(
        {View.FRONT: photo},
        Dimensions(width_m=0.1, height_m=0.2, depth_m=0.1),
        "bottle",
        max_triangles=8000,
        texture_px=512,
    )
    assert built.family == "turned" and shared(truth, built) > 0.95


def test_a_three_quarter_photo_alone_is_a_guess() -> None:
    truth = cabinet()
    mesh = truth.whole
    alpha = Renderer(as_model(mesh)).silhouette(
        Camera(azimuth=-35, elevation=16, target=(0, 0.3, 0), half_width=0.9, fov=26), 640
    )
    photo = Cutout(
        rgb=np.full((640, 640, 3), 120, np.uint8),
        alpha=alpha.astype(np.uint8) * 255,
        confidence=1.0,
        touched_sides=(),
    )
    width, height, depth = mesh.extents
    size = Dimensions(width_m=width, height_m=height, depth_m=depth)
    built = build_model({View.HERO: photo}, size, "furniture", max_triangles=8000, texture_px=512)
    told = next(i for i in built.issues if i.code == "model.low_confidence")
    assert "three-quarter photo alone" in told.message and shared(truth, built) > 0.6


def test_a_cup_is_open_and_a_bottle_is_closed() -> None:
    """The words tell an open vessel; a neck or a cap tells a closed one whatever the words say."""
    filled = {}
    for name, truth, words in (
        ("cup", cup(), "mug"),
        ("candle", cup(), "candle"),
        ("cone", cone(), "drinkware"),
    ):
        model = made(truth, words, View.FRONT, View.RIGHT, View.TOP).model
        mesh = trimesh.Trimesh(model.positions, model.faces, process=True, merge_norm=True, merge_tex=True)
        axis = model.min_corner[0] + (0.04 if name != "cone" else 0.08)
        filled[name] = bool(mesh.contains([[axis, 0.96 * model.extent[1], 0]])[0])
    assert filled == {"cup": False, "candle": True, "cone": True}


def test_a_three_quarter_photo_beside_a_front_leaves_it_one_view() -> None:
    photos = photographed(cabinet(), View.FRONT)
    hero = Cutout(
        rgb=photos[View.FRONT].rgb, alpha=photos[View.FRONT].alpha, confidence=0.1, touched_sides=()
    )
    size = Dimensions(width_m=1.2, height_m=0.69, depth_m=0.4)
    alone, both = (
        build_model(v, size, "furniture", max_triangles=8000, texture_px=512)
        for v in (photos, {**photos, View.HERO: hero})
    )
    assert both.confidence == alone.confidence
    assert {i.code for i in both.issues} == {"model.single_view", "model.low_confidence"}


def posted() -> Truth:
    """A chair whose back stands on two posts behind the seat, on splayed legs: four places from the front,
    two from the side.
    """
    legs = [bar((0.22, 0, 0.2), (0.18, 0.4, 0.18), 0.02), bar((0.1, 0, -0.2), (0.12, 0.4, -0.2), 0.02)]
    posts = [bar((x, 0.36, -0.22), (x, 0.7, -0.24), 0.015) for x in (-0.12, 0.12)]
    mirrored = [leg.copy().apply_transform(np.diag([-1.0, 1, 1, 1])) for leg in legs]
    for leg in mirrored:
        leg.invert()
    seat = trimesh.creation.box((0.5, 0.1, 0.36)).apply_translation((0, 0.42, 0.02))
    back = trimesh.creation.box((0.44, 0.2, 0.05)).apply_translation((0, 0.75, -0.24))
    return Truth([seat, back, *legs, *mirrored, *posts])


def sofa(arms: bool = True) -> Truth:
    base = trimesh.creation.box((2.0, 0.4, 0.9)).apply_translation((0, 0.2, 0))
    back = trimesh.creation.box((2.0, 0.8, 0.25)).apply_translation((0, 0.4, -0.325))
    ends = [trimesh.creation.box((0.2, 0.62, 0.75)).apply_translation((x, 0.31, -0.075)) for x in (-0.9, 0.9)]
    return Truth([base, back, *(ends if arms else [])])


def test_posts_hidden_by_the_seat_are_no_slab_and_four_legs_are_not_eight() -> None:
    built = made(posted(), "chair", View.FRONT, View.RIGHT, View.TOP)
    assert inside(posted(), built, (0, 0.42, -0.22), (0.12, 0.42, -0.225)) == [False, True]
    legs = [(0.105, 0.1, -0.2), (0.21, 0.1, 0.195), (0.21, 0.1, -0.2), (0.105, 0.1, 0.195)]
    assert inside(posted(), built, *legs) == [True, True, False, False]
    assert shared(posted(), built) > 0.8


@pytest.mark.parametrize("views", [(View.FRONT, View.RIGHT, View.TOP), (View.FRONT, View.RIGHT)])
def test_a_sofas_seat_is_free(views) -> None:
    built = made(sofa(), "sofa", *views)
    assert inside(sofa(), built, (0, 0.6, 0.3), (0, 0.6, -0.35), (0.9, 0.5, 0.1), (0, 0.3, 0.3)) == [
        False,
        True,
        True,
        True,
    ]
    assert made(sofa(arms=False), "sofa", *views).family.count("seat") == 0  # the side tells it all


def test_slices_much_smaller_than_the_view_from_above_are_not_like_it() -> None:
    top, front = (np.full((40, n), -1, np.float32) for n in (40, 20))
    top[3:37, 3:37] = 1  # square, as its back is, above a round seat
    front[3:37, 10:17] = front[12:28, 3:10] = 1
    solid = loft(front, front, widest_like_form(top, superellipse_form(2)))
    assert (solid[5, 13, 5], solid[20, 13, 20]) > (0, 0)
    assert solid[13, 6, 13] < 0 < solid[13, 6, 20]


def from_a_corner(truth: Truth, words: str, azimuth: float, elevation: float, *others: View) -> ModelBuild:
    """The model from a three-quarter photo, alone or beside others."""
    mesh = truth.whole
    width, height, depth = mesh.extents
    camera = Camera(
        azimuth=azimuth,
        elevation=elevation,
        target=(0, height / 2, 0),
        half_width=float(np.linalg.norm(mesh.extents)) * 0.55,
        fov=26,
    )
    alpha = Renderer(as_model(mesh)).silhouette(camera, 640)
    photo = Cutout(
        rgb=np.full((640, 640, 3), 120, np.uint8),
        alpha=alpha.astype(np.uint8) * 255,
        confidence=1.0,
        touched_sides=(),
    )
    size = Dimensions(width_m=width, height_m=height, depth_m=depth)
    return build_model(
        {View.HERO: photo, **photographed(truth, *others)}, size, words, max_triangles=8000, texture_px=512
    )


def bottle() -> Truth:
    return Truth([lathe([(0, 0), (0.04, 0), (0.04, 0.14), (0.015, 0.17), (0.015, 0.22), (0, 0.22)])])


@pytest.mark.parametrize(
    ("shape", "words", "family", "least"),
    [
        (bottle, "bottle", "turned", 0.94),
        (bottle, "table lamp", "turned", 0.94),
        (cup, "mug", "turned with parts", 0.9),
        (posted, "chair", "joinery, a chair", 0.5),
        (table, "table", "joinery, a table", 0.55),
        (sofa, "sofa", "joinery, a sofa", 0.9),
    ],
)
def test_a_three_quarter_photo_is_read_by_what_is_known_of_such_products(shape, words, family, least) -> None:
    built = from_a_corner(shape(), words, 35, 18)
    assert built.family == family and shared(shape(), built) >= least


def racket() -> Truth:
    """A ring on a handle: its outline does not reach the corners of its box."""
    ring = trimesh.creation.annulus(0.11, 0.13, 0.02)
    ring.apply_scale((1, 1.3, 1)).apply_translation((0, 0.5, 0))
    return Truth([ring, trimesh.creation.box((0.03, 0.36, 0.02)).apply_translation((0, 0.18, 0))])


@pytest.mark.parametrize("shape", [racket, frame], ids=lambda s: s.__name__)
@pytest.mark.parametrize(("azimuth", "elevation"), [(35, 18), (48, 25), (-40, 12)])
def test_something_flat_neither_leans_nor_is_cut_off_from_a_corner(shape, azimuth, elevation) -> None:
    built = from_a_corner(shape(), "", azimuth, elevation)
    assert built.family == "panel" and shared(shape(), built) > 0.75


def test_a_flat_product_of_other_proportions_than_the_photo_is_no_fit() -> None:
    alpha = np.zeros((400, 400), np.float32)
    alpha[180:220, :] = 1
    photo = Outline(alpha=alpha[180:220], rgb=np.zeros((40, 400, 3), np.uint8))
    assert fit_panel(photo, ProductSize(width=0.2, height=0.6, depth=0.01)) is None
    assert fit_panel(photo, ProductSize(width=0.2, height=0.6, depth=0.1)) is None  # not flat


def test_a_photo_from_above_beside_a_three_quarter_one_counts() -> None:
    """A wedge: only from above its base is a triangle."""
    base = np.array([(-0.2, -0.1), (0.2, -0.1), (-0.2, 0.1)])
    wedge = Truth([trimesh.convex.convex_hull([(x, y, z) for x, z in base for y in (0, 0.2)])])
    alone, both = (shared(wedge, from_a_corner(wedge, "", 35, 18, *others)) for others in ((), (View.TOP,)))
    assert both > alone + 0.3 and both > 0.9


def test_an_antenna_that_leans_beside_the_body_is_no_sheet() -> None:
    """The body hides its lower half from the side; where it stands alone the side shows how it leans."""
    body = trimesh.creation.box((0.3, 0.3, 0.3)).apply_translation((-0.02, 0.15, 0))
    truth = Truth(
        [
            body,
            bar((0.15, 0.1, 0.05), (0.15, 0.6, -0.2), 0.01),
            bar((0.12, 0.1, 0.05), (0.15, 0.1, 0.05), 0.01),
        ]
    )
    built = made(truth, "electronics", View.FRONT, View.RIGHT, View.TOP)
    assert inside(truth, built, (0.15, 0.25, -0.12), (0.15, 0.25, -0.025)) == [False, True]


def test_intervals_of_columns_are_those_between_zero_crossings() -> None:
    from worker.modeling.lofting import column_intervals

    field = np.array(
        [
            # begins the line, ends it, two parts, none at all, one cell alone, all of it
            [1, -1, -1, -1, -1, 2],
            [1, -3, 1, -1, -1, 2],
            [-1, 1, -3, 0, 4, 2],
            [-1, 1, 3, -1, -1, 2],
        ],
        np.float32,
    )
    expected = [
        [(-0.5, 1.5)],
        [(1.75, 3.5)],
        [(0.5, 1.25), (2.5, 3.5)],
        [],
        [(2 - 0.8, 2 + 0.8)],
        [(-0.5, 3.5)],
    ]
    assert [[pytest.approx(pair) for pair in column] for column in expected] == column_intervals(field)
    assert column_intervals(field) == [column_intervals(field[:, n : n + 1])[0] for n in range(6)]
    assert column_intervals(np.zeros((0, 3), np.float32)) == [[], [], []]


def test_a_table_top_reaches_over_the_legs_at_its_corners() -> None:
    legs = [
        trimesh.creation.box((0.06, 0.7, 0.06)).apply_translation((0.56 * x, 0.35, 0.36 * z))
        for x in (-1, 1)
        for z in (-1, 1)
    ]
    top = trimesh.creation.box((1.2, 0.04, 0.8)).apply_translation((0, 0.72, 0))
    built = made(Truth([top, *legs]), "furniture", View.FRONT, View.RIGHT)
    points = built.model.positions[built.model.positions[:, 1] > 0.72]
    reach = np.abs(points[:, [0, 2]]) / [0.6, 0.4]
    assert reach.min(1).max() > 0.94  # .92 with the corners of a top that knows no legs
