"""Photos of all sides from one place near by: the camera that took them, and what it makes of the shape."""

import cv2
import numpy as np
import pytest

from dam_connector.domain.product import Dimensions, View
from tests.unit.shapes import as_model
from tests.unit.true_shapes import Truth, chair, cup
from tests.unit.true_shapes import shared as shared_part
from worker.imaging.cutout import Cutout
from worker.modeling.build import build_model
from worker.modeling.camera import Camera
from worker.modeling.level_faces import flatten_sides, level_faces
from worker.modeling.outlines import ProductSize, crop_outline
from worker.modeling.render import Renderer
from worker.modeling.shape_evidence import iou
from worker.modeling.shared_camera import far_outlines, fit_shared_camera

ELEVATION, FIELD_OF_VIEW = 4.0, 16.0
AZIMUTHS = {View.FRONT: 0.0, View.RIGHT: 90.0, View.BACK: 180.0}


def _cutouts(truth: Truth, pixels: int, elevation: float, fov: float | None) -> dict[View, Cutout]:
    """Return photos from three sides and from above, by cameras that see the whole product."""
    model = as_model(truth.whole)
    centre, half = (model.min_corner + model.max_corner) / 2, float(np.linalg.norm(model.extent)) / 2
    found = {}
    for view in (*AZIMUTHS, View.TOP):
        camera = Camera(
            azimuth=AZIMUTHS.get(view, 0.0),
            elevation=90.0 if view is View.TOP else elevation,
            target=tuple(centre.tolist()),
            half_width=half,
            fov=fov,
        )
        mask = Renderer(model).silhouette(camera, pixels)
        grey = np.full((pixels, pixels, 3), 120, np.uint8)
        found[view] = Cutout(rgb=grey, alpha=mask.astype(np.uint8) * 255, confidence=1.0)
    return found


@pytest.fixture(scope="module")
def near_photos() -> dict[View, Cutout]:
    return _cutouts(chair(), 480, ELEVATION, FIELD_OF_VIEW)


def _size(truth: Truth) -> ProductSize:
    width, height, depth = (float(v) for v in truth.whole.extents)
    return ProductSize(width=width, height=height, depth=depth)


def test_the_camera_and_the_outlines_from_far_away_are_found(near_photos) -> None:
    outlines = {view: crop_outline(c) for view, c in near_photos.items()}
    shared = fit_shared_camera(outlines, _size(chair()))
    assert shared is not None
    assert shared.elevation == pytest.approx(ELEVATION, abs=1.5)
    assert shared.fov == pytest.approx(FIELD_OF_VIEW, abs=4)
    assert shared.mirrored == (View.LEFT, View.RIGHT)  # the chair is alike on both sides
    found = far_outlines(outlines, _size(chair()), shared)
    far = _cutouts(chair(), 640, 0.0, None)
    for view, least in ((View.FRONT, 0.95), (View.RIGHT, 0.85), (View.TOP, 0.95)):
        truth = crop_outline(far[view]).alpha
        mine = cv2.resize(found[view].alpha, truth.shape[::-1])
        assert iou(mine > 0.5, truth > 0.5) > least, view


def test_photos_from_near_by_give_the_solid(near_photos) -> None:
    width, height, depth = (float(v) for v in chair().whole.extents)
    size = Dimensions(width_m=width, height_m=height, depth_m=depth)
    built = build_model(near_photos, size, "chair", max_triangles=20_000, texture_px=512)
    assert shared_part(chair(), built) > 0.78  # .60 where each photo is rectified on its own


def test_a_cup_photographed_from_near_by_stays_a_turned_body() -> None:
    truth = cup()
    width, height, depth = (float(v) for v in truth.whole.extents)
    size = Dimensions(width_m=width, height_m=height, depth_m=depth)
    photos = _cutouts(truth, 320, ELEVATION, FIELD_OF_VIEW)
    built = build_model(photos, size, "mug", max_triangles=12_000, texture_px=512)
    assert built.family == "turned with parts"


def test_photos_from_far_away_need_no_camera() -> None:
    far = _cutouts(chair(), 320, 0.0, None)
    assert fit_shared_camera({v: crop_outline(c) for v, c in far.items()}, _size(chair())) is None


def test_tents_above_and_below_level_faces_are_cut_off_and_slopes_stay() -> None:
    x, y, z = (np.arange(n) + 0.5 for n in (60, 40, 50))
    rise = 0.05 * np.minimum(30 - np.abs(x - 30)[:, None], 25 - np.abs(z - 25)[None])
    slab = np.minimum(20 + rise[:, None] - y[:, None], y[:, None] - 10 + rise[:, None]).astype(np.float32)
    cut = level_faces(slab, (1.0, 1.0, 1.0), lambda h: np.full(np.shape(h), 0.05))
    assert (slab > 0).any((0, 2)).sum() == 12 and (cut > 0).any((0, 2)).sum() == 10
    wedge = np.broadcast_to((10 + 0.3 * x)[:, None, None] - y[:, None], (60, 40, 50)).astype(np.float32)
    assert np.array_equal(level_faces(wedge, (1.0, 1.0, 1.0), lambda h: np.full(np.shape(h), 0.05)), wedge)


def test_tents_in_front_of_upright_faces_are_cut_off_and_round_bodies_stay() -> None:
    x, z = np.arange(60) + 0.5, np.arange(50) + 0.5
    rise = 0.05 * (30 - np.abs(x - 30))
    front = np.broadcast_to((40 + rise)[:, None, None] - z, (60, 40, 50)).astype(np.float32)
    cut = flatten_sides(front, (1.0, 1.0, 1.0), 300.0)
    assert np.flatnonzero((front > 0).any((0, 1)))[-1] == 40
    assert np.flatnonzero((cut > 0).any((0, 1)))[-1] == 39

    round_plan = (20 - np.hypot(x[:, None] - 30, z - 25)).astype(np.float32)
    post = np.broadcast_to(round_plan[:, None], (60, 40, 50))
    assert np.array_equal(flatten_sides(post, (1.0, 1.0, 1.0), 300.0), post)
