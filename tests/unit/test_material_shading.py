"""What a renderer sees of a model's pictures: metal, relief, glow, occlusion; and the light that is taken off
photos.
"""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.unit.shapes import box, unwrapped
from worker.modeling.camera import named_camera
from worker.modeling.delighting import EXPOSURE, STUDIO_REFLECTION, dielectric_colours, incident_light
from worker.modeling.render import Renderer, RenderOptions
from worker.modeling.textured_mesh import TexturedMesh


def flat(*colour: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(out, "PNG")
    return out.getvalue()


def seen(model: TexturedMesh) -> np.ndarray:
    """The mean colour of the model's front in linear light, without the camera's curve."""
    rgb, alpha = Renderer(model, tone=False).render(
        named_camera(model.min_corner, model.max_corner, "front"),
        48,
        RenderOptions(background=None, floor_shadow=False, samples_per_axis=1),
    )
    return np.asarray(rgb[alpha > 250].mean(0))


def painted(**changes) -> TexturedMesh:
    return replace(unwrapped(box(1, 1, 1)), texture=flat(200, 60, 40), **changes)


def test_a_picture_says_where_a_model_is_metal() -> None:
    """What has a factor of one and a picture that says none is no metal: glTF multiplies the two."""
    matte_box = painted(metallic=0.0, roughness=0.8)
    told = painted(metallic=1.0, roughness=1.0, maps={"metallic_roughness": flat(0, 204, 0)})
    assert np.abs(seen(told) - seen(matte_box)).max() < 2


def test_metal_shows_the_studio_in_its_own_colour() -> None:
    metal = seen(painted(metallic=1.0, roughness=0.3))
    assert metal[0] > 1.8 * metal[2]
    assert seen(painted(metallic=0.0, roughness=0.3)) == pytest.approx(
        seen(painted(metallic=0.0, roughness=0.8)), abs=8
    )


def test_relief_turns_the_light() -> None:
    plain = seen(painted())
    assert np.abs(seen(painted(maps={"normal": flat(128, 128, 255)})) - plain).max() < 2
    bent = [seen(painted(maps={"normal": flat(x, 128, 218)})).mean() for x in (38, 218)]
    assert abs(bent[0] - bent[1]) > 10  # the key light stands to the left


def test_what_glows_is_brighter_and_what_is_hidden_darker() -> None:
    plain = seen(painted())
    assert (seen(painted(maps={"emissive": flat(0, 0, 120)})) - plain)[2] > 40
    assert (seen(painted(maps={"occlusion": flat(0, 0, 0)})) < plain - 5).any()


def test_colours_lose_tone_and_reflection() -> None:
    true = np.array([[0.02, 0.02, 0.02], [0.8, 0.4, 0.2]], np.float32)
    photo = 1 - np.exp(-EXPOSURE * (true + STUDIO_REFLECTION))
    assert photo[0].max() > 2 * true[0].max()  # the studio makes black grey
    assert np.allclose(dielectric_colours(photo, photo), true, atol=0.002)
    overexposed = dielectric_colours(np.ones((1, 3), np.float32), photo)
    assert np.isfinite(overexposed).all() and (overexposed > 1).all()


def test_light_comes_from_above_the_camera() -> None:
    normals = np.array([[0, 0, 1], [0, 0.7, 0.7], [0, 1, 0], [0, -1, 0]], np.float32)
    level = np.eye(3, dtype=np.float32)
    ahead, tilted_up, up, down = incident_light(normals, level)
    assert tilted_up > up > ahead > down > 0.2
    assert ahead == pytest.approx(1, abs=0.01)
    from_above = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float32)
    assert incident_light(normals, from_above)[0] < ahead  # its key light comes from the product's back
