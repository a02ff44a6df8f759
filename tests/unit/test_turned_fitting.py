"""Turned bodies with parts beside them from one three-quarter photo."""

import itertools

import pytest
import trimesh

from dam_connector.domain.product import Dimensions, View
from samples.product_meshes import bar, lathe
from tests.unit.test_open_furniture import bench, corner_photo, size_of
from tests.unit.true_shapes import Truth, shared
from worker.modeling.build import ModelBuild, build_model
from worker.modeling.outlines import crop_outline
from worker.modeling.turned_fitting import fit_turned


def pan() -> Truth:
    """A low body at the left end of a long handle."""
    path = [(0.13, 0.035, 0.0), (0.2, 0.05, 0.0), (0.32, 0.055, 0.0)]
    handle = [bar(a, b, 0.012) for a, b in itertools.pairwise(path)]
    return Truth([lathe([(0, 0), (0.11, 0), (0.14, 0.045), (0, 0.045)], 48), *handle])


def round_table() -> Truth:
    """A round top on a column."""
    profile = [
        (0, 0),
        (0.25, 0),
        (0.25, 0.03),
        (0.05, 0.03),
        (0.05, 0.7),
        (0.45, 0.7),
        (0.45, 0.74),
        (0, 0.74),
    ]
    return Truth([lathe(profile, 64)])


def watering_can() -> Truth:
    """An oval body with a spout on one side and a handle on the other."""
    body = lathe([(0, 0), (0.09, 0), (0.09, 0.2), (0, 0.2)], 48).apply_scale([1.25, 1, 1])
    spout = bar((0.1, 0.05, 0), (0.27, 0.24, 0), 0.014)
    loop = [(-0.1, 0.05, 0.0), (-0.19, 0.08, 0.0), (-0.19, 0.2, 0.0), (-0.09, 0.26, 0.0), (0.0, 0.19, 0.0)]
    return Truth([body, spout, *(bar(a, b, 0.009) for a, b in itertools.pairwise(loop))])


def made(truth: Truth, category: str, azimuth: float = 35.0) -> ModelBuild:
    size = size_of(truth)
    known = Dimensions(width_m=size.width, height_m=size.height, depth_m=size.depth)
    photo = corner_photo(truth, azimuth)
    return build_model({View.HERO: photo}, known, category, max_triangles=8000, texture_px=512)


@pytest.mark.parametrize(
    ("truth", "category", "least"),
    [(pan(), "kitchen", 0.5), (watering_can(), "garden", 0.75), (round_table(), "furniture", 0.6)],
)
def test_a_body_with_parts_needs_no_word_that_it_is_round(truth: Truth, category: str, least: float) -> None:
    built = made(truth, category)
    assert built.family.startswith("turned") and shared(truth, built) > least


def test_the_axis_and_an_oval_body_are_found_where_they_are() -> None:
    found = fit_turned(crop_outline(corner_photo(watering_can())), size_of(watering_can()))
    assert found is not None
    low, high = watering_can().whole.bounds[:, 0]
    parts = trimesh.util.concatenate(watering_can().parts).bounds[:, 0]
    assert found.body.offset == pytest.approx((low + high) / 2 - parts.mean(), abs=0.02)
    assert found.body.radii.max() == pytest.approx(0.1125, rel=0.08)


def test_what_a_top_hides_is_as_narrow_as_what_is_seen_below_it() -> None:
    """The outline allows a cone below a round top; nothing shows that it is there."""
    found = fit_turned(crop_outline(corner_photo(round_table())), size_of(round_table()))
    assert found is not None
    radii = found.body.radii
    rows = len(radii)
    assert radii[-1] == pytest.approx(0.45, rel=0.04)
    assert radii[rows // 2 : rows * 7 // 8].max() < 0.08


@pytest.mark.parametrize("azimuth", [35.0, -35.0])
def test_what_is_not_round_is_not_read_so(azimuth: float) -> None:
    assert fit_turned(crop_outline(corner_photo(bench(), azimuth)), size_of(bench())) is None
    board = Truth([trimesh.creation.box((0.5, 0.3, 0.1))])
    assert fit_turned(crop_outline(corner_photo(board, azimuth)), size_of(board)) is None


@pytest.mark.parametrize("sides", [(0.6, 0.9, 0.5), (0.5, 0.4, 0.35), (0.4, 0.6, 0.4), (0.4, 0.4, 0.4)])
def test_a_box_that_no_word_describes_is_a_box(sides: tuple[float, float, float]) -> None:
    """Discs with parts beside them cover its picture, too."""
    truth = Truth([trimesh.creation.box(sides)])
    built = made(truth, "")
    assert built.family == "box" and shared(truth, built) > 0.95
