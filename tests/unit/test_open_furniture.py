"""Thin and open furniture from one three-quarter photo."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh

from dam_connector.domain.product import Dimensions, View
from samples.product_meshes import bar
from tests.unit.shapes import as_model
from tests.unit.true_shapes import Truth, cabinet
from worker.imaging.cutout import Cutout
from worker.modeling import pose_search
from worker.modeling.build import ModelBuild, build_model
from worker.modeling.camera import Camera
from worker.modeling.furniture_fitting import fit_furniture
from worker.modeling.open_furniture import OpenPiece, build_open_furniture, fit_open_furniture
from worker.modeling.outlines import ProductSize, crop_outline
from worker.modeling.render import Renderer

PX = 480


def box(size: tuple[float, float, float], middle: tuple[float, float, float]) -> trimesh.Trimesh:
    return trimesh.creation.box(size).apply_translation(middle)


def legs(x: float, z: float, height: float, thick: float, splay: float = 1.0) -> list[trimesh.Trimesh]:
    return [
        bar((i * x * splay, 0, k * z * splay), (i * x, height, k * z), thick)
        for i in (-1, 1)
        for k in (-1, 1)
    ]


def bench() -> Truth:
    """Boards of 4 cm on legs; the back stands on posts."""
    posts = [bar((i * 0.6, 0.4, -0.23), (i * 0.6, 0.85, -0.23), 0.025) for i in (-1, 1)]
    boards = [box((1.4, 0.04, 0.5), (0, 0.43, 0)), box((1.4, 0.25, 0.03), (0, 0.72, -0.23))]
    return Truth([*boards, *posts, *legs(0.65, 0.21, 0.42, 0.025)])


def shelf() -> Truth:
    """Four boards between posts."""
    boards = [box((0.8, 0.03, 0.35), (0, y, 0)) for y in (0.15, 0.6, 1.05, 1.485)]
    return Truth([*boards, *legs(0.38, 0.155, 1.5, 0.02)])


def corner_photo(truth: Truth, azimuth: float = 35.0) -> Cutout:
    mesh = truth.whole
    camera = Camera(
        azimuth=azimuth,
        elevation=20,
        target=(0, float(mesh.extents[1]) / 2, 0),
        half_width=float(np.linalg.norm(mesh.extents)) * 0.55,
        fov=28,
    )
    alpha = Renderer(as_model(mesh)).silhouette(camera, PX).astype(np.uint8) * 255
    return Cutout(rgb=np.full((PX, PX, 3), 120, np.uint8), alpha=alpha, confidence=1.0, touched_sides=())


def size_of(truth: Truth) -> ProductSize:
    width, height, depth = (float(v) for v in truth.whole.extents)
    return ProductSize(width=width, height=height, depth=depth)


def made(truth: Truth, azimuth: float = 35.0) -> ModelBuild:
    size = size_of(truth)
    known = Dimensions(width_m=size.width, height_m=size.height, depth_m=size.depth)
    photo = corner_photo(truth, azimuth)
    return build_model({View.HERO: photo}, known, "furniture", max_triangles=8000, texture_px=512)


def filled(built: ModelBuild) -> float:
    """The share of the box that the model fills."""
    model = built.model
    mesh = trimesh.Trimesh(model.positions, model.faces, process=True, merge_norm=True, merge_tex=True)
    assert mesh.is_watertight
    return float(mesh.volume / np.prod(model.extent))


@pytest.mark.parametrize(("truth", "most"), [(bench(), 0.2), (shelf(), 0.2)])
def test_thin_and_open_furniture_stays_open(truth: Truth, most: float) -> None:
    built = made(truth)
    assert built.family.endswith("on legs") and filled(built) < most
    size = size_of(truth)
    assert built.model.extent == pytest.approx([size.width, size.height, size.depth], rel=0.005)


def test_what_blocks_explain_stays_blocks() -> None:
    built = made(cabinet(), azimuth=-35.0)
    assert not built.family.endswith("on legs") and filled(built) > 0.5


def test_a_seat_and_its_boards_are_found_where_they_are() -> None:
    seat = fit_open_furniture(crop_outline(corner_photo(bench())), size_of(bench()))
    assert seat.piece.body_top * size_of(bench()).height == pytest.approx(0.45, abs=0.06)
    assert seat.angles[0] == pytest.approx(35, abs=8) and seat.overlap > 0.8
    boards = fit_open_furniture(crop_outline(corner_photo(shelf(), -35)), size_of(shelf()))
    assert boards.piece.boards == 3 and boards.angles[0] == pytest.approx(-35, abs=8)


def test_parts_thinner_than_a_cell_are_kept() -> None:
    """Legs of a thousandth of the width still close."""
    size = ProductSize(width=1.0, height=0.7, depth=1.0)
    shape = build_open_furniture(OpenPiece(leg=0.001, slab=0.001), size, 30_000)
    assert (shape.field > 0).any(axis=(0, 2))[4:-4].all()


def test_thin_parts_must_cover_a_photo_clearly_better_than_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thin parts have more freedom than blocks, so a little more overlap says nothing."""
    photo, size = crop_outline(corner_photo(bench())), size_of(bench())
    covered = fit_furniture(pose_search._reduce(photo), size).coverage
    found = fit_open_furniture(photo, size)
    for gain, is_open in ((0.06, False), (0.1, True)):
        fit = replace(found, overlap=covered + gain)
        monkeypatch.setattr(pose_search, "fit_open_furniture", lambda *_, fit=fit: fit)
        assert made(bench()).family.endswith("on legs") is is_open


def test_a_cushion_of_more_than_a_tenth_of_the_height_is_found_so() -> None:
    posts = [bar((i * 0.2, 0.36, -0.25), (i * 0.2, 0.62, -0.25), 0.015) for i in (-1, 1)]
    cushions = [box((0.6, 0.18, 0.57), (0, 0.33, 0)), box((0.6, 0.23, 0.05), (0, 0.685, -0.26))]
    truth = Truth([*cushions, *posts, *legs(0.27, 0.25, 0.32, 0.015)])
    found = fit_open_furniture(crop_outline(corner_photo(truth)), size_of(truth))
    assert found.piece.slab * 0.8 == pytest.approx(0.18, abs=0.03)
