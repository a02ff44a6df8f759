"""Small parts that stick out of a side: knobs are no bars, plates and rings stay whole."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh

from dam_connector.domain.product import Dimensions, View
from samples.product_meshes import lathe
from tests.unit.true_shapes import Truth, inside, made, photographed, shared
from worker.modeling.build import ModelBuild, build_model

KNOBS = ((-0.15, 0.2), (0.15, 0.2), (-0.15, 0.6), (0.15, 0.6))
BRASS = (150, 110, 30)


def chest(plate: float = 0.0) -> Truth:
    """A chest of drawers with four knobs, and a plate that reaches over its front and sides."""
    body = trimesh.creation.box((0.6, 0.8, 0.4)).apply_translation((0, 0.4, 0))
    knobs = [
        trimesh.creation.cylinder(0.02, 0.08, sections=24).apply_translation((x, y, 0.22)) for x, y in KNOBS
    ]
    over = trimesh.creation.box((0.6 + 2 * plate, 0.04, 0.4 + 2 * plate)).apply_translation((0, 0.82, 0))
    return Truth([body, *knobs, *([over] if plate else [])])


def vase() -> Truth:
    """A turned body with a ring around it."""
    return Truth(
        [lathe([(0, 0), (0.1, 0), (0.1, 0.19), (0.13, 0.2), (0.13, 0.22), (0.1, 0.23), (0.1, 0.4), (0, 0.4)])]
    )


def wardrobe() -> Truth:
    """A box with a tall bar for a handle, and feet."""
    body = trimesh.creation.box((0.8, 1.6, 0.5)).apply_translation((0, 0.85, 0))
    feet = [
        trimesh.creation.box((0.06, 0.1, 0.06)).apply_translation((0.35 * x, 0.05, 0.2 * z))
        for x in (-1, 1)
        for z in (-1, 1)
    ]
    handle = trimesh.creation.box((0.03, 0.5, 0.05)).apply_translation((0.1, 0.9, 0.275))
    return Truth([body, *feet, handle])


@pytest.mark.parametrize("views", [(View.FRONT, View.RIGHT, View.TOP), (View.FRONT, View.RIGHT)])
def test_a_box_with_a_handle_and_feet_is_a_box_whatever_it_is_called(views: tuple[View, ...]) -> None:
    truth = wardrobe()
    model = made(truth, "", *views)
    assert shared(truth, model) > 0.94
    corners = [(0.38 * x, y, 0.23 * z) for x in (-1, 1) for y in (0.2, 0.9, 1.6) for z in (-1, 1)]
    assert all(inside(truth, model, *corners))


def built(truth: Truth, *views: View, painted: tuple[tuple[float, float], ...] = ()) -> ModelBuild:
    """Build from outlines whose front shows discs of brass where it is painted, (x, y) in metres."""
    mesh = truth.whole
    cutouts = photographed(truth, *views)
    front = cutouts[View.FRONT].rgb.copy()
    metre = 480 / (2 * 0.55 * float(mesh.extents.max()))
    y_px, x_px = np.mgrid[:480, :480]
    for x, y in painted:
        at = (240 + x * metre, 240 - (y - mesh.extents[1] / 2) * metre)
        front[np.hypot(x_px - at[0], y_px - at[1]) < 0.02 * metre] = BRASS
    cutouts[View.FRONT] = replace(cutouts[View.FRONT], rgb=front)
    width, height, depth = mesh.extents
    size = Dimensions(width_m=width, height_m=height, depth_m=depth)
    return build_model(cutouts, size, "furniture", max_triangles=20_000, texture_px=256)


@pytest.mark.parametrize("plate", [0.0, 0.03])
@pytest.mark.parametrize("views", [(View.FRONT, View.RIGHT, View.TOP), (View.FRONT, View.RIGHT)])
def test_knobs_are_knobs_and_no_bars_and_a_plate_stays_whole(views: tuple[View, ...], plate: float) -> None:
    truth = chest(plate)
    model = built(truth, *views, painted=KNOBS)
    assert all(inside(truth, model, *((x, y, 0.24) for x, y in KNOBS)))
    assert not any(
        inside(truth, model, (0, 0.2, 0.24), (0, 0.6, 0.24), (-0.25, 0.6, 0.24), (0.15, 0.4, 0.24))
    )
    assert all(inside(truth, model, (0, 0.4, 0.19), (0.25, 0.4, 0.1), (-0.28, 0.05, -0.15)))
    if plate:
        assert all(
            inside(truth, model, (-0.2, 0.82, 0.22), (0, 0.82, 0.22), (0.3, 0.82, 0), (0, 0.82, -0.22))
        )


def test_without_a_view_from_above_or_colours_all_that_the_outlines_allow_is_kept() -> None:
    truth = chest()
    model = built(truth, View.FRONT, View.RIGHT)
    assert all(inside(truth, model, (0.15, 0.2, 0.23), (0, 0.2, 0.23)))


def test_a_knob_is_where_the_front_shows_its_colour_among_the_columns_of_all_heights() -> None:
    body = trimesh.creation.box((0.6, 0.8, 0.4)).apply_translation((0, 0.4, 0))
    places = ((-0.15, 0.2), (-0.12, 0.6))
    knobs = [
        trimesh.creation.cylinder(0.02, 0.08, sections=24).apply_translation((x, y, 0.22)) for x, y in places
    ]
    truth = Truth([body, *knobs])
    model = built(truth, View.FRONT, View.RIGHT, View.TOP, painted=places)
    assert all(inside(truth, model, *((x, y, 0.24) for x, y in places)))
    assert not any(inside(truth, model, (-0.115, 0.2, 0.24), (-0.155, 0.6, 0.24)))


@pytest.mark.parametrize("views", [(View.FRONT, View.RIGHT, View.TOP), (View.FRONT, View.RIGHT)])
def test_a_ring_around_a_turned_body_is_no_row_of_knobs(views: tuple[View, ...]) -> None:
    truth = vase()
    model = built(truth, *views, painted=((-0.05, 0.21), (0.05, 0.21)))
    turn = np.radians([0, 60, 150, 270])
    assert all(inside(truth, model, *((0.12 * np.sin(t), 0.21, 0.12 * np.cos(t)) for t in turn)))
