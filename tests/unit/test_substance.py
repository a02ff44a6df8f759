"""Of what a product is: roughness by its words, bare metal by its words and its photos' colours."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh

from dam_connector.catalog.product import Dimensions, View
from tests.unit.shapes import as_model
from worker.imaging.cutout import cut_out
from worker.imaging.decode import Photo
from worker.modeling.build import build_model
from worker.modeling.camera import camera_for
from worker.modeling.model import Model
from worker.modeling.render import Look, Stage
from worker.modeling.substance import DEFAULT_ROUGHNESS, substance_of

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
    assert substance_of(words).is_bare(pixels(colour)) is bare


def test_roughness() -> None:
    assert substance_of("Mug ceramic").roughness < substance_of("Chair oak").roughness < substance_of("Chair oak, wool").roughness < 0.9
    assert substance_of("Wooden stool").roughness == substance_of("wood").roughness and substance_of("Thing").roughness == DEFAULT_ROUGHNESS


def test_a_model_of_bare_metal_looks_like_it_from_the_side_that_no_photo_shows() -> None:
    turned = trimesh.creation.revolve(np.array([[0, 0], [0.035, 0], [0.035, 0.15], [0.02, 0.18], [0.02, 0.2], [0, 0.2]]), sections=64)
    turned.apply_transform(trimesh.transformations.rotation_matrix(-np.pi / 2, (1, 0, 0)))
    flask = replace(as_model(turned), metallic=1.0, roughness=0.3, color=(0.6, 0.6, 0.62, 1.0))
    flask = replace(flask, positions=flask.positions - np.array([0, flask.low[1], 0], np.float32))
    rgb, _ = Stage(flask).render(camera_for(flask.low, flask.high, "front"), 400)
    photo, size = cut_out(Photo(rgb=rgb, alpha=None, format="PNG")), Dimensions(width_m=0.07, height_m=0.2, depth_m=0.07)

    def made(words: str) -> Model:
        return build_model({View.FRONT: photo}, size, words, max_triangles=8000, texture_px=512).model

    camera, look = camera_for(flask.low, flask.high, "60,10"), Look(background=None, shadow=False)
    (truth, seen), (steel, also), (nothing, too) = (Stage(m).render(camera, 160, look) for m in (flask, made("stainless steel"), made("")))
    both = (seen > 250) & (also > 250) & (too > 250)
    off = [float(np.abs(truth[both].astype(int) - other[both]).mean()) for other in (steel, nothing)]
    assert made("stainless steel").metallic == 1.0 and off[0] < 0.7 * off[1]
