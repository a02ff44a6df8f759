"""Likeness of models to photos: right models pass; each planted defect has its own finding."""

import io
from dataclasses import replace

import cv2
import numpy as np
import pytest
import trimesh
from PIL import Image

from dam_connector.domain.issue import CheckOutcome
from dam_connector.domain.product import View
from tests.support import file_of
from tests.unit.shapes import as_model
from tests.unit.test_checks import RULES
from worker.checks import CheckSubject, run_checks
from worker.checks.likeness import worst_defect
from worker.imaging.encode import encode
from worker.modeling.camera import Camera
from worker.modeling.glb_export import write_glb
from worker.modeling.glb_import import read_glb
from worker.modeling.photo_comparison import ModelComparer
from worker.modeling.render import Renderer, RenderOptions
from worker.modeling.textured_mesh import TexturedMesh

PX = 400


def boot() -> TexturedMesh:
    """Something without a symmetry: a block with a tower on its left and a bar at its right front; its upper
    part red, the rest blue.
    """
    parts = [
        ((0.4, 0.2, 0.3), (0, 0.1, 0)),
        ((0.1, 0.3, 0.1), (-0.14, 0.3, 0)),
        ((0.06, 0.06, 0.2), (0.16, 0.22, 0.14)),
    ]
    mesh = (
        trimesh.util.concatenate([trimesh.creation.box(s).apply_translation(at) for s, at in parts])
        .subdivide()
        .subdivide()
    )
    model = as_model(mesh)
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[:4], picture[4:] = (40, 70, 170), (190, 50, 40)
    out = io.BytesIO()
    Image.fromarray(cv2.resize(picture, (64, 64), interpolation=cv2.INTER_NEAREST)).save(out, "PNG")
    uvs = np.stack(
        [np.full(len(model.positions), 0.5), 0.1 + 0.8 * model.positions[:, 1] / model.positions[:, 1].max()],
        1,
    )
    return replace(model, uvs=uvs.astype(np.float32), texture=out.getvalue())


def photo(
    model: TexturedMesh, azimuth: float, elevation: float = 0.0, fov: float | None = None
) -> np.ndarray:
    """The model as a transparent picture from somewhere, (PX, PX, 4)."""
    x, y, z = ((model.min_corner + model.max_corner) / 2).tolist()
    camera = Camera(
        azimuth=azimuth,
        elevation=elevation,
        target=(x, y, z),
        half_width=float(np.linalg.norm(model.extent)) * 0.6,
        fov=fov,
    )
    rgb, alpha = Renderer(model).render(
        camera, PX, RenderOptions(background=None, floor_shadow=False, samples_per_axis=2)
    )
    return np.dstack([rgb, alpha])


@pytest.fixture(scope="module")
def photos() -> dict[View, np.ndarray]:
    truth = boot()
    return {View.FRONT: photo(truth, 0), View.RIGHT: photo(truth, 90), View.HERO: photo(truth, 37, 17, 28)}


def stretched(model: TexturedMesh) -> TexturedMesh:
    return replace(model, positions=model.positions * np.array([1.1, 1, 1], np.float32))


def mirrored(model: TexturedMesh) -> TexturedMesh:
    return replace(
        model,
        positions=model.positions * np.array([-1, 1, 1], np.float32),
        faces=model.faces[:, ::-1].copy(),
        normals=model.normals * np.array([-1, 1, 1], np.float32),
    )


def turned(model: TexturedMesh) -> TexturedMesh:
    turn = np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]], np.float32)
    return replace(model, positions=model.positions @ turn.T, normals=model.normals @ turn.T)


def recoloured(model: TexturedMesh) -> TexturedMesh:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), (40, 160, 60)).save(out, "PNG")
    return replace(model, texture=out.getvalue())


def without_tower(model: TexturedMesh) -> TexturedMesh:
    return replace(model, faces=model.faces[~(model.positions[model.faces][..., 1] > 0.27).any(1)])


def with_a_horn(model: TexturedMesh) -> TexturedMesh:
    horn = as_model(trimesh.creation.box((0.05, 0.25, 0.05)).subdivide())
    moved = horn.positions + np.array([0.05, 0.2, 0], np.float32)
    return replace(
        model,
        positions=np.vstack([model.positions, moved]),
        normals=np.vstack([model.normals, horn.normals]),
        uvs=np.vstack([model.uvs, np.full((len(moved), 2), 0.5, np.float32)]),
        faces=np.vstack([model.faces, horn.faces + len(model.positions)]),
    )


def report(model: TexturedMesh, photos: dict[View, np.ndarray]):
    data = write_glb(model, "x")
    made = file_of(data, "x.glb", "glb")
    encoded = {view.value: encode(p[..., :3], p[..., 3], "png") for view, p in photos.items()}
    subject = CheckSubject(
        product=None, deliverable=None, slot=1, number=1, files=(made,), read=lambda _: data, photos=encoded
    )
    return run_checks(subject, RULES), subject


def test_the_right_model_is_like_its_photos_and_shows_it(photos: dict[View, np.ndarray]) -> None:
    found, subject = report(boot(), photos)
    assert not [i for i in found.issues if i.code.startswith("likeness.")]
    assert {r.check: r.outcome for r in found.rows if r.check.startswith("likeness to")} == {
        f"likeness to {v}": CheckOutcome.PASS for v in photos
    }
    assert set(subject.evidence) == {f"likeness-{v}" for v in photos}
    with Image.open(io.BytesIO(subject.evidence["likeness-front"])) as picture:
        assert picture.size == (960, 320)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (stretched, "likeness.proportions"),
        (mirrored, "likeness.mirrored"),
        (turned, "likeness.turned"),
        (recoloured, "likeness.colour"),
        (without_tower, "likeness.part_missing"),
        (with_a_horn, "likeness.part_extra"),
        (without_tower, "likeness.outline"),
    ],
)
@pytest.mark.issue(param="code")
def test_each_defect_is_reported(change, code: str, photos: dict[View, np.ndarray]) -> None:
    found = [i for i in report(change(boot()), photos)[0].issues if i.code == code]
    assert found and found[0].pointer.startswith("/images/") and found[0].measured and found[0].limit


def test_the_camera_of_a_three_quarter_photo_is_found(photos: dict[View, np.ndarray]) -> None:
    hero = photos[View.HERO]
    found = ModelComparer(boot()).compare(hero[..., 3], np.ascontiguousarray(hero[..., :3]), View.HERO)
    assert (
        found is not None
        and abs(found.camera.azimuth - 37) < 4
        and abs(found.camera.elevation - 17) < 4
        and found.outline_iou > 0.96
    )
    assert worst_defect([found]) < 1


def test_a_detail_and_an_empty_photo_are_not_compared() -> None:
    likeness, nothing = ModelComparer(boot()), np.zeros((50, 50), np.uint8)
    assert likeness.compare(nothing, np.zeros((50, 50, 3), np.uint8), View.FRONT) is None
    assert likeness.compare(nothing + 255, np.zeros((50, 50, 3), np.uint8), View.DETAIL) is None


def test_an_unsure_photo_is_not_tested() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)
    found, _ = report(boot(), {View.FRONT: np.dstack([noise, np.full((200, 200), 255, np.uint8)])})
    assert [r.outcome for r in found.rows if r.check == "likeness to front"] == [CheckOutcome.NOT_TESTED]


def test_several_materials_are_read_onto_one_atlas() -> None:
    """A red and a green box in one file, the green by its factor alone: read as one model, both keep their
    colours.
    """
    from worker.gltf.container import read_json

    one = boot()
    data = write_glb(replace(one, texture=None, color=(1.0, 0.0, 0.0, 1.0)), "x")
    document = read_json(data)
    document["materials"].append(
        {
            "pbrMetallicRoughness": {
                "baseColorFactor": [0.0, 1.0, 0.0, 1.0],
                "metallicFactor": 0.0,
                "roughnessFactor": 0.5,
            }
        }
    )
    second = {
        **document["meshes"][0],
        "primitives": [{**document["meshes"][0]["primitives"][0], "material": 1}],
    }
    document["meshes"].append(second)
    document["nodes"].append({"mesh": 1, "translation": [2.0, 0.0, 0.0]})
    document["scenes"][0]["nodes"] = [0, 1]
    from benchmarks.hostile_glbs import pack_glb

    start = 28 + int.from_bytes(data[12:16], "little")
    model = read_glb(pack_glb(document, data[start:]))
    assert (
        model.texture is not None
        and len(model.faces) == 2 * len(one.faces)
        and model.extent[0] == pytest.approx(one.extent[0] + 2, rel=1e-5)
    )
    rgb, alpha = Renderer(model).render(
        Camera(azimuth=0, elevation=0, target=(1.0, 0.2, 0.0), half_width=1.4),
        128,
        RenderOptions(background=None, floor_shadow=False, samples_per_axis=1),
    )
    left, right = (
        rgb[:, part][alpha[:, part] > 200].astype(int).mean(0) for part in (slice(0, 64), slice(64, 128))
    )
    assert left[0] > 3 * left[1] and right[1] > 3 * right[0]
    with Image.open(io.BytesIO(model.maps["metallic_roughness"])) as map_:
        pixels = np.asarray(map_)
    assert [abs(int(pixels[500, x, 1]) - rough) < 6 for x, rough in ((500, 178), (1500, 128))] == [
        True,
        True,
    ] and pixels[..., 2].max() < 60
