"""Of what a product is: roughness by its words, bare metal by its words and its photos' colours, relief where
the photos show it.
"""

import io
from dataclasses import replace

import cv2
import numpy as np
import pytest
import trimesh
from PIL import Image

from dam_connector.domain.product import Dimensions, View
from tests.unit.shapes import as_model
from worker.imaging.cutout import Cutout, cut_out
from worker.imaging.decode import Photo
from worker.measuring.khronos_validator import validate_gltf
from worker.modeling.build import build_model
from worker.modeling.camera import named_camera
from worker.modeling.glb_export import write_glb
from worker.modeling.material_estimate import DEFAULT_ROUGHNESS, estimate_material
from worker.modeling.normal_map import normal_map
from worker.modeling.render import Renderer, RenderOptions
from worker.modeling.textured_mesh import TexturedMesh

GREY, GOLDEN, BLUE = (150, 151, 153), (190, 150, 80), (40, 80, 160)


def pixels(colour: tuple[int, int, int]) -> np.ndarray:
    return np.full((20, 3), colour, np.uint8)


@pytest.mark.parametrize(
    ("words", "colour", "bare"),
    [
        ("Kettle kitchen stainless steel", GREY, True),
        ("Kettle kitchen stainless steel", BLUE, False),  # painted, whatever the record says
        ("Kettle kitchen painted steel", GREY, False),
        ("Candlestick brass", GOLDEN, True),
        ("Candlestick brass", GREY, False),
        ("Brass Table Lamp lighting brass, fabric", GOLDEN, False),
        ("Golden oak stool", GOLDEN, False),
        ("Steel bottle", (20, 20, 21), False),
        ("Tray brass and steel", GOLDEN, False),  # which part is which nobody says
    ],
)
def test_bare_metal(words: str, colour: tuple[int, int, int], bare: bool) -> None:
    assert estimate_material(words).is_bare_metal(pixels(colour)) is bare


def test_roughness() -> None:
    assert (
        estimate_material("Mug ceramic").roughness
        < estimate_material("Chair oak").roughness
        < estimate_material("Chair oak, wool").roughness
        < 0.9
    )
    assert (
        estimate_material("Wooden stool").roughness == estimate_material("wood").roughness
        and estimate_material("Thing").roughness == DEFAULT_ROUGHNESS
    )


def test_a_model_of_bare_metal_looks_like_it_from_the_side_that_no_photo_shows() -> None:
    turned = trimesh.creation.revolve(
        np.array([[0, 0], [0.035, 0], [0.035, 0.15], [0.02, 0.18], [0.02, 0.2], [0, 0.2]]), sections=64
    )
    turned.apply_transform(trimesh.transformations.rotation_matrix(-np.pi / 2, (1, 0, 0)))
    flask = replace(as_model(turned), metallic=1.0, roughness=0.3, color=(0.6, 0.6, 0.62, 1.0))
    flask = replace(flask, positions=flask.positions - np.array([0, flask.min_corner[1], 0], np.float32))
    rgb, _ = Renderer(flask).render(named_camera(flask.min_corner, flask.max_corner, "front"), 400)
    photo, size = (
        cut_out(Photo(rgb=rgb, alpha=None, format="PNG")),
        Dimensions(width_m=0.07, height_m=0.2, depth_m=0.07),
    )

    def made(words: str) -> TexturedMesh:
        return build_model({View.FRONT: photo}, size, words, max_triangles=8000, texture_px=512).model

    camera, look = (
        named_camera(flask.min_corner, flask.max_corner, "60,10"),
        RenderOptions(background=None, floor_shadow=False),
    )
    (truth, seen), (steel, also), (nothing, too) = (
        Renderer(m).render(camera, 160, look) for m in (flask, made("stainless steel"), made(""))
    )
    both = (seen > 250) & (also > 250) & (too > 250)
    off = [float(np.abs(truth[both].astype(int) - other[both]).mean()) for other in (steel, nothing)]
    assert made("stainless steel").metallic == 1.0 and off[0] < 0.7 * off[1]


def normals_of(atlas: np.ndarray, strength: float = 1.0) -> np.ndarray:
    covered = np.zeros(atlas.shape[:2], bool)
    covered[32:-32, 32:-32] = True
    with Image.open(io.BytesIO(normal_map(atlas, covered, strength))) as picture:
        return (np.asarray(picture).astype(float) - 127.5) / 127.5


def test_relief_is_what_is_fine_in_the_photos() -> None:
    x, y = np.meshgrid(np.arange(256), np.arange(256))
    ribs = np.repeat((150 + 12 * np.sin(x * 2 * np.pi / 16))[..., None], 3, 2).astype(
        np.uint8
    )  # dark is deep
    normal = normals_of(ribs)
    inner = normal[40:88, 40:88]
    rising = np.cos(
        (2 * np.arange(40, 88) + 0.5) * 2 * np.pi / 16
    )  # a slope that rises to the right looks to the left
    assert np.corrcoef(inner[..., 0].mean(0), -rising)[0, 1] > 0.95 and np.abs(inner[..., 1]).mean() < 0.05
    assert np.abs(normal[:12]).max(axis=(0, 1))[0] < 0.1  # nothing beyond the product
    across = normals_of(np.swapaxes(ribs, 0, 1).copy())[40:88, 40:88]
    assert (
        np.corrcoef(across[..., 1].mean(1), rising)[0, 1] > 0.95
    )  # green is up: a slope that rises downwards looks up
    assert np.abs(normals_of(ribs, 0.2)[40:88, 40:88, 0]).mean() < 0.4 * np.abs(inner[..., 0]).mean()
    coarse = np.repeat((150 + 12 * np.sin(y * 2 * np.pi / 128))[..., None], 3, 2).astype(np.uint8)
    assert np.abs(normals_of(coarse)[40:88, 40:88, :2]).max() < 0.1  # a shade is no relief


def test_woven_products_get_a_normal_map_and_others_none() -> None:
    disc = np.zeros((200, 200), np.uint8)
    cv2.circle(disc, (100, 100), 90, 255, -1)
    rgb = np.random.default_rng(2).integers(90, 160, (200, 200, 3), np.uint8)
    photo, size = (
        Cutout(rgb=rgb, alpha=disc, confidence=1.0),
        Dimensions(width_m=0.4, height_m=0.4, depth_m=0.4),
    )
    woven, plain = (
        build_model({View.FRONT: photo}, size, words, max_triangles=6000, texture_px=512).model
        for words in ("wool pouf", "vase")
    )
    assert set(woven.maps) == {"normal"} and not plain.maps
    report = validate_gltf(write_glb(woven, "x"))["issues"]
    assert report["numErrors"] == report["numWarnings"] == report["numInfos"] == report["numHints"] == 0
