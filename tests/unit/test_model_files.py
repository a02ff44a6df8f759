"""Files of models: GLB, USDZ and web GLB are written, read back, and refused when damaged."""

import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from pxr import Usd, UsdGeom, UsdShade

from dam_connector.domain.product import View
from dam_connector.errors import InputError
from tests.unit.masks import build, cutout_of, disc
from tests.unit.shapes import ball, box
from worker.gltf.container import read_json
from worker.measuring.khronos_validator import validate_gltf
from worker.modeling.glb_export import write_glb
from worker.modeling.glb_import import read_glb
from worker.modeling.simplify import limit_texture_size, simplify_mesh
from worker.modeling.textured_mesh import TexturedMesh, tangents
from worker.modeling.usdz_export import read_usdz_sku, write_usdz
from worker.modeling.web_packing import read_web_glb, write_web_glb


def test_a_glb_goes_out_and_in() -> None:
    built = build({View.FRONT: cutout_of(disc())}, 1.0, 1.0, 1.0).model
    back = read_glb(write_glb(built, "x"))
    assert (
        np.allclose(back.extent, built.extent)
        and len(back.faces) == len(built.faces)
        and back.texture
        and np.allclose(back.uvs, built.uvs, atol=1e-6)
    )
    assert back.roughness == pytest.approx(built.roughness) and back.metallic == 0.0


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"glTF",
        b"glTF\x02\x00\x00\x00\x10\x00\x00\x00",
        write_glb(ball(), "x")[:400],
        b"x" * 100,
        write_glb(ball(), "x").replace(b'"POSITION"', b'"POSITIOM"'),
    ],
)
def test_damaged_glbs_are_refused(data: bytes) -> None:
    with pytest.raises(InputError) as found:
        read_glb(data)
    assert found.value.issue_code in ("file.unreadable", "geometry.empty")


def test_the_usdz_names_its_sku_and_a_broken_one_names_none() -> None:
    data = write_usdz(box(0.2, 0.3, 0.1), "CH1")
    assert read_usdz_sku(data) == "CH1" and read_usdz_sku(data[:200]) == "" and read_usdz_sku(b"") == ""


def test_the_usdz_has_the_glbs_size_in_metres_y_up(tmp_path) -> None:
    built = build({View.FRONT: cutout_of(disc())}, 0.5, 0.5, 0.5).model
    path = tmp_path / "x.usdz"
    path.write_bytes(write_usdz(built, "CH1"))
    stage = Usd.Stage.Open(str(path))
    assert UsdGeom.GetStageUpAxis(stage) == "Y" and UsdGeom.GetStageMetersPerUnit(stage) == 1.0
    size = (
        UsdGeom.BBoxCache(0, ["default"])
        .ComputeWorldBound(stage.GetDefaultPrim())
        .ComputeAlignedRange()
        .GetSize()
    )
    assert np.allclose(size, built.extent, atol=1e-5)
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as package:
        assert {i.compress_type for i in package.infolist()} == {zipfile.ZIP_STORED}


def test_the_web_glb_is_the_same_model_in_fewer_bytes() -> None:
    model = build({View.FRONT: cutout_of(disc()), View.RIGHT: cutout_of(disc())}, 1, 1, 1).model
    plain, web = write_glb(model, "x"), write_web_glb(model, "x", {"sku": "A1"})
    packed = read_web_glb(web)
    assert (
        packed.triangles == len(model.faces)
        and np.allclose(packed.extent, model.extent, rtol=0.001)
        and len(web) < 0.4 * len(plain)
    )
    document = read_json(web)
    assert document["extensionsRequired"] == ["KHR_draco_mesh_compression", "EXT_texture_webp"]
    assert document["asset"]["extras"] == {"sku": "A1"}
    report = validate_gltf(web)["issues"]
    assert report["numErrors"] == report["numWarnings"] == report["numHints"] == 0


def with_maps() -> TexturedMesh:
    """A box with a base colour, a normal map and a metallic-roughness map, as providers send."""
    rng, pictures = np.random.default_rng(3), {}
    for name, base in (
        ("base", (180, 60, 40)),
        ("normal", (128, 128, 255)),
        ("metallic_roughness", (0, 140, 20)),
    ):
        out = io.BytesIO()
        Image.fromarray(
            (np.full((64, 64, 3), base) + rng.integers(-9, 9, (64, 64, 3))).clip(0, 255).astype(np.uint8)
        ).save(out, "PNG")
        pictures[name] = out.getvalue()
    plain = build({View.FRONT: cutout_of(disc())}, 1, 1, 1).model
    return replace(plain, texture=pictures.pop("base"), maps=pictures)


def test_a_models_maps_stay_with_it() -> None:
    model = with_maps()
    data = write_glb(model, "x")
    report = validate_gltf(data)["issues"]
    assert report["numErrors"] == report["numWarnings"] == report["numInfos"] == report["numHints"] == 0
    back = read_glb(data)
    small = limit_texture_size(simplify_mesh(back, 2000), 32)
    assert set(back.maps) == {"normal", "metallic_roughness"} == set(small.maps)
    mean = {
        name: np.asarray(Image.open(io.BytesIO(picture))).mean((0, 1)) for name, picture in small.maps.items()
    }
    assert np.allclose(mean["normal"], (128, 128, 255), atol=6) and np.allclose(
        mean["metallic_roughness"], (4, 140, 20), atol=6
    )
    assert Image.open(io.BytesIO(small.maps["normal"])).size == (32, 32)
    assert len(read_json(write_web_glb(model, "x"))["images"]) == 3


def test_the_usdz_has_the_maps_too(tmp_path) -> None:
    package = tmp_path / "model.usdz"
    package.write_bytes(write_usdz(with_maps(), "A1"))
    assert {n.filename for n in zipfile.ZipFile(package).infolist()} == {
        "model.usdc",
        "base.png",
        "normal.png",
        "metallic_roughness.png",
    }
    stage = Usd.Stage.Open(str(package))
    surface = UsdShade.Shader(stage.GetPrimAtPath("/Product/Material/Surface"))
    sources = {
        n: surface.GetInput(n).GetConnectedSources()[0][0]
        for n in ("diffuseColor", "normal", "roughness", "metallic")
    }
    told = {n: (source.source.GetPath().name, str(source.sourceName)) for n, source in sources.items()}
    assert told == {
        "diffuseColor": ("Base", "rgb"),
        "normal": ("Normal", "rgb"),
        "roughness": ("MetallicRoughness", "g"),
        "metallic": ("MetallicRoughness", "b"),
    }


def test_tangents_run_along_the_picture() -> None:
    """On a wall that faces +Z with its picture upright, the picture's right is +X and its up +Y."""
    wall = TexturedMesh(
        positions=np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], np.float32),
        normals=np.tile(np.array([[0, 0, 1]], np.float32), (4, 1)),
        uvs=np.array([[0, 1], [1, 1], [1, 0], [0, 0]], np.float32),
        faces=np.array([[0, 1, 2], [0, 2, 3]], np.uint32),
        texture=None,
    )
    assert np.allclose(tangents(wall), [[1, 0, 0, 1]])  # cross((0, 0, 1), (1, 0, 0)) is +Y
    assert np.allclose(tangents(replace(wall, uvs=wall.uvs * [-1, 1] + [1, 0])), [[-1, 0, 0, -1]])


def test_a_model_without_a_texture_packs_too() -> None:
    web = write_web_glb(ball(), "x")
    assert (
        read_web_glb(web).triangles == len(ball().faces)
        and "EXT_texture_webp" not in read_json(web)["extensionsUsed"]
    )


@pytest.mark.parametrize(
    "damage",
    [lambda d: d[:-200], lambda d: d.replace(b"DRACO", b"DRAGO", 1)],
)
def test_a_damaged_web_glb_is_refused(damage) -> None:
    with pytest.raises(InputError) as raised:
        read_web_glb(damage(write_web_glb(ball(), "x")))
    assert raised.value.issue_code in ("file.unreadable", "file.stream")
