"""The look of brought models that only another viewer shows: flat shading, lights, normal maps, colours."""

import io
from dataclasses import replace

import numpy as np
from PIL import Image
from pxr import UsdGeom

from benchmarks.glb_corpus import finish
from schemas.rules_loader import load_rules
from tests.support import ROOT, file_of
from tests.unit.glb_cases import chair, ktx2_only, png, primitive, textured_with, varying_colours
from tests.unit.shapes import ball
from worker.adoption.process import convert
from worker.checks import conformance
from worker.gltf.container import read_json
from worker.gltf.document import Document
from worker.gltf.features import FLAT_SHADING, features, undrawn
from worker.gltf.rewriting import GlbRewriter
from worker.measuring.check_subject import CheckSubject
from worker.measuring.khronos_validator import validate_gltf
from worker.modeling.glb_export import write_glb
from worker.modeling.scene_packing import _turned_degrees, pack_scene, packed_normal_map
from worker.modeling.usdz_export import convert_glb, open_usdz


def faceted() -> bytes:
    made = GlbRewriter(write_glb(replace(ball(), texture=None), "x"))
    del primitive(made)["attributes"]["NORMAL"]
    primitive(made)["attributes"].pop("TANGENT", None)
    made.json["asset"]["generator"] = "studio"
    return made.finish()


def test_a_mesh_without_normals_stays_flat() -> None:
    assert features(Document(faceted())) == (FLAT_SHADING,) and undrawn([FLAT_SHADING]) == [FLAT_SHADING]
    work, services = finish(faceted())
    for file in work.files:
        if file.format == "usdz":
            continue
        for row in read_json(services.blobs.get(file.sha256))["meshes"]:
            assert all("NORMAL" not in p["attributes"] for p in row["primitives"])
    assert work.facts["kept_as_it_is"] == FLAT_SHADING


def test_a_usdz_of_a_mesh_without_normals_is_flat() -> None:
    with open_usdz(convert_glb(faceted(), "x").data) as stage:
        assert stage is not None
        mesh = UsdGeom.Mesh(next(p for p in stage.Traverse() if p.IsA(UsdGeom.Mesh)))
        normals = np.asarray(mesh.GetNormalsAttr().Get()).reshape(-1, 3, 3)
        corners = np.asarray(mesh.GetPointsAttr().Get()).reshape(-1, 3, 3)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    assert np.allclose(normals, across[:, None], atol=1e-4)


def test_lights_fall_on_a_scaled_model_as_before() -> None:
    made = chair(scale=4)
    lights = [
        {"type": "point", "intensity": 8.0, "range": 4.0},
        {"type": "spot", "spot": {}},
        {"type": "directional", "intensity": 3.0},
    ]
    made.json["extensions"] = {"KHR_lights_punctual": {"lights": lights}}
    for number in range(len(lights)):
        made.rows("nodes").append({"extensions": {"KHR_lights_punctual": {"light": number}}})
    made.json["scenes"][0]["nodes"] = [0, 1, 2, 3]
    made.use_extension("KHR_lights_punctual")
    came = made.finish()
    work, services = finish(came)
    glb = services.blobs.get(next(f.sha256 for f in work.files if f.format == "glb"))
    before, after = (np.ptp(Document(d).primitives[0].positions, axis=0).max() for d in (came, glb))
    scale = float(after / before)
    assert not 0.9 < scale < 1.1
    point, spot, sun = read_json(glb)["extensions"]["KHR_lights_punctual"]["lights"]
    assert np.isclose(point["intensity"], 8 * scale**2) and np.isclose(point["range"], 4 * scale)
    assert np.isclose(spot["intensity"], scale**2) and sun["intensity"] == 3


def charts() -> bytes:
    """A normal map of many small charts, whose normals differ at their borders."""
    rng = np.random.default_rng(0)
    tilts = rng.uniform(-0.8, 0.8, (64, 64, 2)).repeat(8, 0).repeat(8, 1)
    normals = np.dstack([tilts, np.sqrt(np.maximum(1 - (tilts**2).sum(2), 0.05))])
    return png(np.asarray(normals * 127 + 128, np.uint8))


def smooth() -> bytes:
    down, across = np.mgrid[0:1:512j, 0:1:512j]
    tilts = np.dstack([np.sin(across * 6), np.cos(down * 6)]) * 0.4
    normals = np.dstack([tilts, np.sqrt(1 - (tilts**2).sum(2))])
    return png(np.asarray(normals * 127 + 128, np.uint8))


def test_a_normal_map_of_charts_keeps_its_borders() -> None:
    packed = packed_normal_map(charts())
    assert _turned_degrees(charts(), packed) < 10 and len(packed) < len(charts())
    assert packed_normal_map(smooth())[8:12] == b"WEBP"
    assert len(packed_normal_map(smooth())) < len(smooth()) / 4


def test_a_packed_model_has_the_normal_map_of_charts() -> None:
    made = textured_with(chair(), png(np.full((8, 8, 3), 90, np.uint8)))
    view = made.add_view(charts())
    made.rows("images").append({"bufferView": view, "mimeType": "image/png"})
    made.rows("textures").append({"source": len(made.rows("images")) - 1})
    made.rows("materials")[0]["normalTexture"] = {"index": len(made.rows("textures")) - 1}
    document = Document(pack_scene(made.finish()))
    texture = document.json["textures"][document.json["materials"][0]["normalTexture"]["index"]]
    image = texture.get("source", texture.get("extensions", {}).get("EXT_texture_webp", {}).get("source"))
    stored = document.image(image, "")
    assert _turned_degrees(charts(), stored) < 10
    with Image.open(io.BytesIO(stored)) as picture:
        assert document.json["images"][image]["mimeType"] == f"image/{picture.format.lower()}"


def test_vertex_colours_come_and_go_with_a_usdz() -> None:
    came = varying_colours()
    brought = convert(convert_glb(came, "x").data)
    assert brought.losses == ()
    before, after = (Document(data).primitives[0] for data in (came, brought.glb))
    assert before.colors is not None and after.colors is not None
    assert np.allclose(
        before.colors[before.faces][:, :, :3].mean((0, 1)),
        after.colors[after.faces][:, :, :3].mean((0, 1)),
        atol=1e-3,
    )


def test_a_ktx2_texture_is_no_fault_of_the_file() -> None:
    came = ktx2_only()
    messages = validate_gltf(came)["issues"]["messages"]
    assert {m["code"] for m in messages} >= {"VALUE_NOT_IN_LIST", "IMAGE_UNRECOGNIZED_FORMAT"}
    subject = CheckSubject(
        product=None,
        deliverable=None,
        slot=1,
        number=1,
        files=(file_of(came, "a.glb", "glb"),),
        read=lambda file: came,
    )
    assert not [i.message for i in conformance.check(subject, load_rules((ROOT / "plugin.json").read_text()))]
