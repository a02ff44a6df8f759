"""Models from elsewhere as GLB: glTF with its files, USDZ, OBJ with MTL, and files that are none."""

import io
import json
import zipfile
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dam_connector.domain.brought_model import MAX_MODEL_BYTES, model_format, sibling_names
from dam_connector.errors import InputError, Refused, Unavailable
from dam_connector.model_siblings import with_siblings
from dam_connector.usecases.brought_models import check_model_file
from tests.unit.glb_cases import RED_BLUE, SIZE, chair, material, png, textured_with
from worker.adoption import file_set
from worker.adoption.conversion import convert_model
from worker.adoption.process import convert
from worker.gltf.container import split_glb
from worker.gltf.document import Document
from worker.gltf.materials import read_material
from worker.measuring.look_comparison import compare_looks
from worker.modeling.glb_import import read_glb
from worker.modeling.usdz_export import convert_glb

SQUARE = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n"
OBJ = f"mtllib chair.mtl\n{SQUARE}usemtl glass\nf 1/1 2/2 3/3 4/4\nusemtl wood\nf 4/4 3/3 2/2 1/1\n"
MTL = "newmtl glass\nKd 1 0 0\nd 0.5\nmap_bump b.png\nnewmtl wood\nKd 0 0 0\nPr 0.25\nmap_Kd tex\\Wood.png\n"


def zipped(files: Mapping[str, bytes | str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in files.items():
            package.writestr(name, content)
    return out.getvalue()


def textured_chair() -> bytes:
    return textured_with(chair(), png(RED_BLUE)).finish()


def as_gltf(glb: bytes) -> dict[str, bytes]:
    """A GLB as a .gltf with a buffer and its pictures beside it."""
    document, binary = split_glb(glb)
    files = {}
    for number, row in enumerate(document.get("images", [])):
        view = document["bufferViews"][row.pop("bufferView")]
        start = view.get("byteOffset", 0)
        files[f"maps/picture {number}.png"] = binary[start : start + view["byteLength"]]
        row["uri"] = f"maps/picture%20{number}.png"
    document["buffers"] = [{"byteLength": len(binary), "uri": "chair.bin"}]
    return {"chair.gltf": json.dumps(document).encode(), "chair.bin": binary, **files}


def refusal(data: bytes) -> str:
    with pytest.raises(InputError) as found:
        convert(data)
    assert found.value.issue_code in ("source.not_a_model", "file.unreadable", "geometry.empty")
    return f"{found.value} {found.value.measured}"


def test_a_glb_keeps_its_bytes() -> None:
    glb = textured_chair()
    brought = convert_model(glb)
    assert (brought.glb, brought.format, brought.losses) == (glb, "glb", ())


@pytest.mark.parametrize("folder", ["", "studio/v2/"])
def test_a_gltf_with_files_is_the_same_model(folder: str) -> None:
    glb = textured_chair()
    files = {f"{folder}{name}": content for name, content in as_gltf(glb).items()}
    brought = convert(zipped({"__MACOSX/._chair.gltf": b"x", **files, "readme.txt": b"x"}))
    before, after = read_glb(glb), read_glb(brought.glb)
    assert (before.positions == after.positions).all() and before.texture == after.texture
    assert brought.format == "gltf" and brought.losses == ()


def test_a_gltf_without_a_file_names_it() -> None:
    files = as_gltf(textured_chair())
    del files["chair.bin"]
    assert "chair.bin" in refusal(zipped(files)) and "chair.bin" in refusal(files["chair.gltf"])


def test_a_usdz_keeps_shape_size_and_look() -> None:
    glb = textured_chair()
    brought = convert(convert_glb(glb, "CH123").data)
    before, after = read_glb(glb), read_glb(brought.glb)
    assert np.allclose(after.extent, SIZE, atol=1e-5) and len(before.faces) == len(after.faces)
    assert brought.losses == () and min(compare_looks(before, after).values()) > 0.99


def test_a_usdz_has_its_colours_roughness_and_transparency_as_glb() -> None:
    rewriter = chair()
    pbr = {"baseColorFactor": [0.2, 0.4, 0.6, 0.5], "roughnessFactor": 0.25, "metallicFactor": 0.75}
    material(rewriter).update(pbrMetallicRoughness=pbr, alphaMode="BLEND", emissiveFactor=[0.1, 0, 0])
    document = Document(convert(convert_glb(rewriter.finish(), "X").data).glb)
    found = read_material(document, 0)
    assert np.allclose(found.color, [0.2, 0.4, 0.6, 0.5]) and np.allclose(found.emissive, [0.1, 0, 0])
    assert (found.roughness, found.metallic, found.alpha_mode) == (0.25, 0.75, "BLEND")


USDA = """#usda 1.0
(
    defaultPrim = "Root"
    metersPerUnit = 0.01
    upAxis = "Z"
)
def Xform "Root"
{
    double3 xformOp:translate = (100, 0, 0)
    uniform token[] xformOpOrder = ["xformOp:translate"]
    def Mesh "Top"
    {
        uniform token subdivisionScheme = "none"
        int[] faceVertexCounts = [4, 3]
        int[] faceVertexIndices = [0, 1, 2, 3, 0, 1, 4]
        point3f[] points = [(0, 0, 0), (40, 0, 0), (40, 50, 0), (0, 50, 0), (20, 0, 80)]
        color3f[] primvars:displayColor = [(1, 0, 0)]
    }
    def Sphere "Knob" {}
}
"""


def test_a_usdz_in_centimetres_with_z_up() -> None:
    brought = convert(zipped({"scene.usda": USDA}))
    mesh = read_glb(brought.glb)
    assert np.allclose(mesh.extent, [0.4, 0.8, 0.5], atol=1e-6) and len(mesh.faces) == 3
    assert np.allclose(mesh.min_corner, [1.0, 0.0, -0.5], atol=1e-6) and mesh.color[:3] == (1, 0, 0)
    assert brought.losses == ("Sphere shapes",)


def test_a_usdz_may_not_use_files_outside_of_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("out") / "other.usda"
    outside.write_text(USDA)
    layer = f'#usda 1.0\ndef Xform "A" (references = @{outside}@</Root>) {{}}\n'
    assert "outside" in refusal(zipped({"scene.usda": layer}))


def test_an_obj_with_its_materials() -> None:
    brought = convert(zipped({"m/chair.obj": OBJ, "m/chair.mtl": MTL, "m/tex/wood.png": png(RED_BLUE)}))
    document = Document(brought.glb)
    found = {m.get("name"): read_material(document, n) for n, m in enumerate(document.rows("materials"))}
    assert found["glass"].alpha_mode == "BLEND" and np.allclose(
        found["glass"].color, [1, 0, 0, 0.5], atol=0.01
    )
    assert found["wood"].roughness == 0.25 and "base" in found["wood"].textures
    assert np.allclose(found["wood"].color, 1) and brought.losses == ("bump map",)


def test_an_obj_without_its_files_names_them() -> None:
    assert "chair.mtl" in refusal(OBJ.encode())
    assert "Wood.png" in refusal(zipped({"chair.obj": OBJ, "chair.mtl": MTL}))
    assert convert(SQUARE.encode() + b"f 1 2 3\n").format == "obj"
    assert "no faces" in refusal(SQUARE.encode())


def test_a_package_may_not_leave_its_folder() -> None:
    assert "out of its folder" in refusal(zipped({"scene.usda": USDA, "../../x.png": b"x"}))


@pytest.mark.issue("source.not_a_model")
def test_archives_that_hold_none_several_or_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    glb = textured_chair()
    assert "no model" in refusal(zipped({"a.txt": b"x"}))
    assert "several models" in refusal(zipped({"a.glb": glb, "b.glb": glb}))
    assert "cannot be read" in refusal(zipped({"a.glb": glb})[:200])
    monkeypatch.setattr(file_set, "MAX_UNPACKED_BYTES", 1000)
    assert "more than any model" in refusal(zipped({"a.glb": b"\0" * 1001}))


def test_a_damaged_file_ends_its_process_only() -> None:
    package = convert_glb(textured_chair(), "X").data
    layer = package.index(b"PXR-USDC")
    broken = package[: layer + 100] + b"\xff" * 400 + package[layer + 500 :]
    with pytest.raises(InputError) as found:
        convert_model(broken)
    assert found.value.issue_code == "source.not_a_model" and found.value.pointer == "/model_url"
    with pytest.raises(InputError, match="no model"):
        convert_model(b"<html>")


def test_formats_and_siblings_by_content() -> None:
    assert [model_format(d) for d in (b"glTF", zipped({"a.usdc": b""}), zipped({"a.obj": b""}))] == [
        "glb",
        "usdz",
        "zip",
    ]
    assert [model_format(d) for d in (b'\xef\xbb\xbf {"asset": 1}', b"# x\nv 1 2 3", b"v", b"", b"{}")] == [
        "gltf",
        "obj",
        "",
        "",
        "",
    ]
    uris = ["a%20b.bin", "../x.bin", "http://h/x.bin", "/etc/passwd", "data:,x", "a%20b.bin"]
    text = json.dumps({"asset": {}, "buffers": [{"uri": uri} for uri in uris], "images": [None, {"uri": 1}]})
    assert sibling_names(text.encode()) == ("a b.bin",)
    assert sibling_names(OBJ.encode()) == ("chair.mtl",)
    assert sibling_names(MTL.encode()) == ("b.png", "tex/Wood.png")


GLTF = as_gltf(textured_chair())


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_gltf_with_any_fields_is_refused_or_packed(data: st.DataObject) -> None:
    document = json.loads(GLTF["chair.gltf"])
    values = st.sampled_from(["null", "-1", "1e9", '"x"', "[]", "{}", "[null]", "[{}]", "true"]).map(
        json.loads
    )
    for key in data.draw(
        st.lists(st.sampled_from(["buffers", "bufferViews", "images", "asset"]), max_size=2)
    ):
        document[key] = data.draw(values)
    for view in document["bufferViews"] if isinstance(document["bufferViews"], list) else []:
        if isinstance(view, dict) and data.draw(st.booleans()):
            view[data.draw(st.sampled_from(["buffer", "byteOffset", "extensions"]))] = data.draw(values)
    files = {**GLTF, "chair.gltf": json.dumps(document).encode()}
    try:
        split_glb(convert(zipped(files)).glb)
    except InputError as error:
        assert error.issue_code in ("file.unreadable", "source.not_a_model")


@pytest.mark.parametrize(
    "data",
    [
        b"v 0 0 0\nmtllib a" + b" " * 3_000_000 + b"b\n",
        b"v 0 0 0\nmap_" + b"a" * 3_000_000 + b"\n" + b" " * 3_000_000 + b"map_Kd",
        b"v 0 0 0\n" + (b"map_Kd" + b" " * 900) * 3_000,
    ],
)
def test_names_are_read_in_time_that_grows_with_the_file_alone(data: bytes) -> None:
    assert max(map(len, sibling_names(data)), default=0) <= 1_000


def test_a_gltf_of_very_many_values_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("json.loads", pytest.fail)
    data = b'{"asset":{},"x":[' + b"{}," * 600_000 + b"{}]}"
    with pytest.raises(Refused, match="bring a GLB"):
        with_siblings(data, MAX_MODEL_BYTES, pytest.fail)
    with pytest.raises(InputError, match="values"):
        check_model_file(data)


def test_the_files_of_a_model_have_one_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(range(0, 1000, 25))
    monkeypatch.setattr("dam_connector.model_siblings.time.monotonic", lambda: next(times))
    names = json.dumps({"asset": {}, "images": [{"uri": f"{n}.png"} for n in range(9)]}).encode()
    fetched: list[str] = []
    with pytest.raises(Unavailable, match="more than 60 s"):
        with_siblings(names, MAX_MODEL_BYTES, lambda name, _: bytes(fetched.append(name) or b"x"))
    assert fetched == ["0.png", "1.png"]
