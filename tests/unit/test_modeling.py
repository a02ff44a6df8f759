"""Models: shapes with exact expectations, files the validator has no remark on, the same size in every
format.
"""

import io
from dataclasses import replace

import cv2
import numpy as np
import pytest
import trimesh
from PIL import Image

from dam_connector.domain.product import Dimensions, View
from dam_connector.errors import InputError
from samples.make_photos import camera_of
from tests.support import SAMPLES
from tests.unit.masks import build, cutout_of, disc, mesh_of
from tests.unit.shapes import as_model, box
from worker.imaging.cutout import Cutout, cut_out
from worker.imaging.decode import decode
from worker.imaging.linear_light import to_srgb
from worker.measuring.khronos_validator import validate_gltf
from worker.modeling.camera import Camera, named_camera
from worker.modeling.delighting import EXPOSURE, STUDIO_REFLECTION, incident_light
from worker.modeling.diagnostic_views import render_diagnostic_views
from worker.modeling.glb_export import write_glb
from worker.modeling.render import Renderer, RenderOptions
from worker.modeling.simplify import limit_texture_size, simplify_mesh
from worker.steps.fit_dimensions import fit_to_dimensions


def test_three_rectangles_make_a_box() -> None:
    full = np.ones((200, 200), np.uint8)
    built = build({v: cutout_of(full) for v in (View.FRONT, View.RIGHT, View.TOP)}, 0.4, 0.2, 0.3)
    mesh = mesh_of(built.model)
    assert (
        built.family.startswith("hull")
        and mesh.is_watertight
        and mesh.volume == pytest.approx(0.4 * 0.2 * 0.3, rel=0.03)
    )
    assert np.allclose(built.model.extent, [0.4, 0.2, 0.3], atol=1e-6)


def test_three_discs_make_a_ball() -> None:
    built = build({v: cutout_of(disc()) for v in (View.FRONT, View.RIGHT, View.TOP)}, 1.0, 1.0, 1.0)
    mesh = mesh_of(built.model)
    assert (
        built.family == "turned" and mesh.is_watertight and mesh.volume == pytest.approx(np.pi / 6, rel=0.04)
    )


def test_one_disc_with_equal_width_and_depth_is_a_ball_turned() -> None:
    built = build({View.FRONT: cutout_of(disc())}, 1.0, 1.0, 1.0)
    assert built.family == "turned" and mesh_of(built.model).volume == pytest.approx(np.pi / 6, rel=0.04)


def test_a_cone_from_one_view() -> None:
    mask = np.zeros((200, 200), np.uint8)
    cv2.fillPoly(mask, [np.array([[0, 199], [199, 199], [100, 0]])], 1)
    built = build({View.FRONT: cutout_of(mask)}, 1.0, 1.0, 1.0)
    assert mesh_of(built.model).volume == pytest.approx(np.pi / 12, rel=0.06)


def test_one_rectangle_is_a_box_as_deep_as_the_product() -> None:
    built = build({View.FRONT: cutout_of(np.ones((100, 300), np.uint8))}, 0.9, 0.3, 0.05)
    assert built.family == "box" and mesh_of(built.model).volume == pytest.approx(0.9 * 0.3 * 0.05, rel=0.05)


def test_legs_stay_and_stand() -> None:
    mask = np.zeros((300, 300), np.uint8)
    mask[:30] = 1
    for x in (10, 270):
        mask[:, x : x + 14] = 1
    built = build(
        {
            View.FRONT: cutout_of(mask),
            View.RIGHT: cutout_of(mask),
            View.TOP: cutout_of(np.ones((200, 200), np.uint8)),
        },
        1.0,
        1.0,
        1.0,
    )
    mesh = mesh_of(built.model)
    feet = mesh.section([0, 1, 0], [0, 0.1, 0]).discrete
    assert mesh.is_watertight and mesh.body_count == 1 and len(feet) == 4


def test_a_ring_keeps_its_hole() -> None:
    mask = disc() - np.pad(disc(100), 50)
    built = build({View.FRONT: cutout_of(mask)}, 1.0, 1.0, 0.2)
    assert mesh_of(built.model).euler_number == 0


def test_asymmetric_views_are_not_mirrored() -> None:
    """A step, high at the product's left (-X) and at its back (-Z); the right view shows the back at its
    right.
    """
    front, side = np.ones((200, 200), np.uint8), np.ones((200, 200), np.uint8)
    front[:100, 100:] = 0
    side[:100, :100] = 0
    red, blue = (200, 20, 20), (20, 20, 200)
    built = build({View.FRONT: cutout_of(front, red), View.RIGHT: cutout_of(side, blue)}, 1.0, 1.0, 1.0)
    mesh = mesh_of(built.model)
    inside = mesh.contains(
        [[-0.25, 0.75, -0.25], [0.25, 0.75, -0.25], [-0.25, 0.75, 0.25], [0.25, 0.25, 0.25]]
    )
    assert inside.tolist() == [True, False, False, True]
    stage = Renderer(built.model)
    rgb, _ = stage.render(
        Camera(azimuth=0, elevation=0, target=(0, 0.5, 0), half_width=0.6),
        64,
        RenderOptions(samples_per_axis=1, floor_shadow=False),
    )
    assert rgb[48, 32, 0] > rgb[48, 32, 2]
    rgb, _ = stage.render(
        Camera(azimuth=90, elevation=0, target=(0, 0.5, 0), half_width=0.6),
        64,
        RenderOptions(samples_per_axis=1, floor_shadow=False),
    )
    assert rgb[48, 32, 2] > rgb[48, 32, 0]


def test_the_front_shows_the_photo_upright_and_unmirrored() -> None:
    mask = np.ones((200, 200), np.uint8)
    cutout = cutout_of(mask)
    rgb = cutout.rgb.copy()
    rgb[:120, :120] = (220, 30, 30)  # top left of the picture
    built = build(
        {View.FRONT: Cutout(rgb=rgb, alpha=cutout.alpha, confidence=1.0, touched_sides=())}, 1.0, 1.0, 1.0
    )
    seen, _ = Renderer(built.model).render(
        named_camera(built.model.min_corner, built.model.max_corner, "front"),
        100,
        RenderOptions(samples_per_axis=1, floor_shadow=False),
    )
    assert seen[30, 30, 0] > 1.6 * seen[70, 70, 0]


@pytest.mark.parametrize(
    ("known", "guessed"),
    [((1.0, None, None), ["height", "depth"]), ((None, None, None), ["width", "height", "depth"])],
)
@pytest.mark.issue("model.dimensions_missing")
def test_missing_dimensions_are_completed_from_the_views_and_reported(
    known: tuple, guessed: list[str]
) -> None:
    built = build(
        {
            View.FRONT: cutout_of(np.ones((100, 200), np.uint8)),
            View.RIGHT: cutout_of(np.ones((100, 50), np.uint8)),
        },
        *known,
    )
    found = next(i for i in built.issues if i.code == "model.dimensions_missing")
    assert all(g in found.message for g in guessed)
    assert built.model.extent[0] / built.model.extent[1] == pytest.approx(2, rel=0.01) and built.model.extent[
        2
    ] / built.model.extent[1] == pytest.approx(0.5, rel=0.01)


@pytest.mark.issue("model.views_disagree")
def test_views_that_contradict_the_size_are_reported() -> None:
    built = build(
        {
            View.FRONT: cutout_of(np.ones((100, 300), np.uint8)),
            View.RIGHT: cutout_of(np.ones((100, 100), np.uint8)),
        },
        1.0,
        1.0,
        1.0,
    )
    assert "model.views_disagree" in {i.code for i in built.issues} and built.confidence < 0.7


def test_a_low_confidence_says_what_would_help_without_names_of_shapes() -> None:
    mask = np.ones((200, 200), np.uint8)
    mask[:130, 70:] = 0
    for width, words in ((1.0, "Photos from the front and from the side"), (3.0, "Correct the size, or")):
        issues = {i.code: i for i in build({View.FRONT: cutout_of(mask)}, width, 1.0, 0.6).issues}
        message = issues["model.low_confidence"].message
        assert words in message and "hape by" not in message


def test_one_view_of_an_odd_shape_is_a_guess_and_says_so() -> None:
    mask = np.ones((200, 200), np.uint8)
    mask[:130, 70:] = 0
    assert {i.code for i in build({View.FRONT: cutout_of(mask)}, 1.0, 1.0, 0.6).issues} == {
        "model.single_view",
        "model.low_confidence",
    }


def test_outlines_that_hardly_meet_still_give_a_solid_of_the_products_size() -> None:
    left, right = np.zeros((100, 100), np.uint8), np.zeros((100, 100), np.uint8)
    left[:20], left[80:] = 1, 1
    right[:20, :5], right[80:, 95:] = 1, 1
    left[20:80, :2] = 1
    top = np.zeros((100, 100), np.uint8)
    top[:3, :3], top[97:, 97:] = 1, 1
    built = build(
        {View.FRONT: cutout_of(left), View.RIGHT: cutout_of(right), View.TOP: cutout_of(top)}, 1.0, 1.0, 1.0
    )
    assert np.allclose(built.model.extent, 1.0, atol=0.005) and mesh_of(built.model).is_watertight


SAMPLES_BY_NAME = {"chair": (0.46, 0.852, 0.489), "vase": (0.18, 0.3, 0.18), "speaker": (0.16, 0.27, 0.2)}


@pytest.mark.parametrize("name", SAMPLES_BY_NAME)
def test_the_sample_products_make_good_models(name: str) -> None:
    photos = {
        View(p.stem.rsplit("-", 1)[1]): cut_out(decode(p.read_bytes(), max_pixels=10**8))
        for p in SAMPLES.glob(f"{name}-*.jpg")
    }
    built = build(photos, *SAMPLES_BY_NAME[name])
    mesh, data = mesh_of(built.model), write_glb(built.model, name)
    assert (
        mesh.is_watertight
        and mesh.body_count == 1
        and np.allclose(built.model.extent, SAMPLES_BY_NAME[name], rtol=0.005)
    )
    assert len(built.model.faces) <= 12_000 and len(data) < 1_500_000
    report = validate_gltf(data)
    assert (
        report["issues"]["numErrors"]
        == report["issues"]["numWarnings"]
        == report["issues"]["numInfos"]
        == report["issues"]["numHints"]
        == 0
    )
    view = View.FRONT if View.FRONT in photos else View.HERO
    front = photos[view]
    left, top, right, bottom = front.box
    truth = cv2.resize(front.alpha[top:bottom, left:right], (256, 256), interpolation=cv2.INTER_AREA) > 127
    seen = Renderer(built.model).silhouette(camera_of(built.model, view), 512)  # the photo's own camera
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    crop = (
        cv2.resize(
            seen[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.uint8),
            (256, 256),
            interpolation=cv2.INTER_AREA,
        )
        > 0
    )
    assert (crop & truth).sum() / (crop | truth).sum() > 0.92


def test_the_same_photos_make_the_same_bytes() -> None:
    views = {View.FRONT: cutout_of(disc()), View.RIGHT: cutout_of(disc())}
    assert write_glb(build(views, 1, 1, 1).model, "x") == write_glb(build(views, 1, 1, 1).model, "x")


@pytest.mark.parametrize(
    ("known", "extent"),
    [
        (Dimensions(width_m=1, height_m=2, depth_m=1), [1, 2, 1]),
        (Dimensions(height_m=1), [0.5, 1, 0.5]),
        (Dimensions(), [50, 100, 50]),
        (
            Dimensions(width_m=2, height_m=1, depth_m=0.5),
            [0.5, 1, 0.5],
        ),  # four times too wide is another shape: no stretching in silence
        (Dimensions(width_m=0.51, height_m=1, depth_m=0.5), [0.51, 1, 0.5]),
    ],
)
def test_fitting_to_the_products_size(known: Dimensions, extent: list[float]) -> None:
    from dataclasses import replace

    moved = box(50, 100, 50)
    moved = replace(moved, positions=moved.positions + np.array([7, 3, -2], np.float32))
    fitted = fit_to_dimensions(moved, known)
    assert np.allclose(fitted.extent, extent, rtol=1e-4)
    assert np.allclose(
        [fitted.min_corner[1], (fitted.min_corner[0] + fitted.max_corner[0]) / 2], 0, atol=1e-5
    )


def test_a_model_over_budget_is_simplified_and_its_texture_reduced() -> None:
    built = build({View.FRONT: cutout_of(disc())}, 1.0, 1.0, 1.0, texture_px=1024).model
    fewer = simplify_mesh(built, 2000)
    assert (
        len(fewer.faces) <= 2000
        and len(fewer.uvs) == len(fewer.positions)
        and np.allclose(fewer.extent, built.extent, rtol=0.03)
    )
    assert len(limit_texture_size(built, 256).texture) < len(built.texture)


def test_simplifying_keeps_seams_texture_places_and_outline() -> None:
    plain = cutout_of(disc())
    squares = (np.indices(plain.alpha.shape) // 20).sum(0) % 2
    squared = replace(plain, rgb=np.where(squares[..., None], (210, 100, 60), (60, 60, 120)).astype(np.uint8))
    model = build({View.FRONT: squared, View.RIGHT: squared, View.TOP: squared}, 1, 1, 1).model
    fewer = simplify_mesh(model, len(model.faces) // 16)
    assert len(fewer.faces) <= len(model.faces) // 16 and np.allclose(fewer.extent, model.extent, rtol=1e-4)
    for view in ("front", "40,25"):
        camera, look = (
            named_camera(model.min_corner, model.max_corner, view),
            RenderOptions(background=None, floor_shadow=False),
        )
        (one, seen), (two, also) = (Renderer(m).render(camera, 160, look) for m in (model, fewer))
        assert np.abs(seen.astype(int) - also).mean() < 2  # no cracks, the same outline
        assert (
            np.abs(one.astype(int) - two)[(seen > 250) & (also > 250)].mean() < 6
        )  # the squares stay where they are


@pytest.mark.parametrize("budget", [30, 4])
@pytest.mark.issue("geometry.too_complex")
def test_a_mesh_of_many_parts_is_not_simplified_to_nothing(budget: int) -> None:
    places = [trimesh.transformations.translation_matrix((i % 10 * 0.1, i // 10 * 0.1, 0)) for i in range(60)]
    many = as_model(
        trimesh.util.concatenate(
            [trimesh.creation.box((0.01, 0.01, 0.01), transform=place) for place in places]
        )
    )
    assert len(simplify_mesh(many, 400).faces) == 400
    with pytest.raises(InputError) as refused:
        simplify_mesh(many, budget)
    assert refused.value.issue_code == "geometry.too_complex" and "%" in refused.value.measured


def test_rendering_shows_shape_light_and_shadow() -> None:
    model = as_model(trimesh.creation.icosphere(4, 0.5))
    rgb, alpha = Renderer(model).render(
        named_camera(model.min_corner, model.max_corner, "front"),
        96,
        RenderOptions(background=None, samples_per_axis=1),
    )
    assert alpha[48, 48] == 255 and alpha[2, 2] == 0
    assert rgb[30, 40].mean() > rgb[70, 60].mean()
    with pytest.raises(KeyError):
        named_camera(model.min_corner, model.max_corner, "sideways")


@pytest.mark.parametrize("fov", [None, 28.0])
def test_a_model_beside_the_picture_is_not_seen(fov: float | None) -> None:
    stage = Renderer(box(0.4, 0.2, 0.1))
    for target in ((5.0, 0.1, 0.0), (0.0, 5.0, 0.0), (-5.0, -5.0, 0.0)):
        away = Camera(azimuth=0, elevation=10, target=target, half_width=0.5, fov=fov)
        assert not stage.silhouette(away, 32).any()
        assert not stage.render(away, 32, RenderOptions(background=None, floor_shadow=False))[1].any()


@pytest.mark.parametrize("fov", [None, 28.0])
def test_rays_of_a_window_are_those_of_its_pixels(fov: float | None) -> None:
    camera = Camera(azimuth=33, elevation=21, target=(0.1, 0.4, -0.2), half_width=0.7, fov=fov)
    columns, rows = np.linspace(-0.5, 0.9, 5, dtype=np.float32), np.linspace(0.8, -0.6, 4, dtype=np.float32)
    for one, other in zip(
        camera.window_rays(columns, rows), camera.rays(np.tile(columns, 4), np.repeat(rows, 5)), strict=True
    ):
        assert one.shape == (20, 3) and np.allclose(one, other, atol=1e-6)
    back, right, up = camera.axes()
    assert np.allclose(np.cross(back, right), up, atol=1e-6)


def test_studies_show_form_triangles_and_layout() -> None:
    model = build({View.FRONT: cutout_of(disc())}, 1, 1, 1).model
    camera = named_camera(model.min_corner, model.max_corner, "front")
    form, wires, squares = (
        rgb.astype(int)
        for rgb in render_diagnostic_views(Renderer(model), camera, 160, ("matcap", "wireframe", "checker"))
    )
    assert form[45, 55].sum() > 1.5 * form[115, 105].sum()  # lit from the upper left
    coarse = next(
        render_diagnostic_views(
            Renderer(as_model(trimesh.creation.icosphere(1, 0.5))), camera, 160, ["wireframe"]
        )
    ).astype(int)
    inside = (slice(50, 110), slice(50, 110))
    assert wires[inside].mean() < coarse[inside].mean() - 10  # more triangles, more lines
    assert 0.3 < (squares[inside].sum(-1) < squares[inside].sum(-1).mean()).mean() < 0.7


def test_a_grey_box_in_a_studio_is_one_grey() -> None:
    full, own = np.ones((200, 200), np.uint8), 0.3
    photos = {}
    cameras = {
        View.FRONT: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        View.RIGHT: [[0, 0, -1], [0, 1, 0], [1, 0, 0]],
        View.TOP: [[1, 0, 0], [0, 0, -1], [0, 1, 0]],
    }
    for view, camera in cameras.items():
        axes = np.array(camera, np.float32)
        light = incident_light(axes[2:], axes)[0] * (own + STUDIO_REFLECTION)
        level = to_srgb(np.full((1, 3), 1 - np.exp(-EXPOSURE * light), np.float32))[0]
        photos[view] = cutout_of(full, tuple(int(v) for v in level))
    assert photos[View.FRONT].rgb.max() < photos[View.TOP].rgb.max()
    model = build(photos, 0.3, 0.3, 0.3).model
    picture = np.asarray(Image.open(io.BytesIO(model.texture or b"")), np.float32)
    corners = model.positions[model.faces]
    area_normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    texels = (model.uvs[model.faces].mean(1) * picture.shape[1::-1]).astype(int)
    error = np.abs(picture[texels[:, 1], texels[:, 0]] - to_srgb(np.full(3, own, np.float32)))
    for side in ([0, 0, 1], [1, 0, 0], [0, 1, 0]):
        area = np.maximum(area_normals @ np.array(side), 0)
        assert (error.max(1) * area).sum() / area.sum() < 6
