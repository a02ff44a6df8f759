"""Models from elsewhere: what they hold is kept by the finishing, the USDZ and the web GLB, or named."""

import io
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pxr import Sdf, Usd, UsdGeom, UsdShade, UsdUtils

from benchmarks.glb_corpus import finish
from dam_connector.domain.issue import CheckOutcome
from dam_connector.domain.product import Dimensions
from dam_connector.domain.version import Role
from tests.support import file_of
from tests.unit import glb_cases as made
from tests.unit.glb_cases import CASES, SIZE
from tests.unit.shapes import ball, box
from tests.unit.test_checks import RULES, codes, report_on
from worker.gltf.container import read_json, replace_json
from worker.gltf.document import Document
from worker.gltf.features import features, unknown_required_extensions
from worker.gltf.rewriting import GlbRewriter
from worker.measuring.check_subject import CheckSubject
from worker.measuring.glb_measures import glb_measurements
from worker.measuring.khronos_validator import validate_gltf
from worker.measuring.look_comparison import LEAST_SSIM, compare_looks
from worker.measuring.product_size import size_difference
from worker.modeling.camera import named_camera
from worker.modeling.glb_export import write_glb
from worker.modeling.glb_import import read_glb
from worker.modeling.render import Renderer
from worker.modeling.scene_finishing import (
    Placement,
    limit_scene_textures,
    place_scene,
    simplify_scene,
    without_meshopt,
)
from worker.modeling.scene_packing import pack_scene
from worker.modeling.usdz_export import convert_glb, open_usdz
from worker.steps import render_previews as render_previews_file
from worker.steps.fit_dimensions import find_placement
from worker.steps.make_lods import make_lods

WIDE = {made.gpu_instancing: (2.46, 0.85, 0.49), made.morph_weights: (0.46, 0.85 * 1.5, 0.49)}
NAMED_LOSSES = {  # what a USDZ cannot hold of a case
    made.transmission: ("KHR_materials_transmission",),
    made.ktx2_only: ("KTX2 textures",),
    made.skin_mesh_in_cm_joint_scales: ("skins",),
    made.skin_node_scale_ignored: ("skins",),
    made.morph_weights: ("morph targets",),
}
Case = Callable[[], bytes]
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)


def true_size(case: Case) -> tuple[float, ...]:
    return WIDE.get(case, SIZE)


@cache
def finished(case: Case) -> dict[str, bytes]:
    """The files of a case after the steps of a provider's model, twice as high as it came."""
    work, services = finish(case(), dimensions=Dimensions(height_m=2 * true_size(case)[1]))
    assert {f.format: f.role for f in work.files}["glb"] is Role.PRIMARY
    return {f.format: services.blobs.get(f.sha256) for f in work.files}


@every_case
def test_a_model_is_measured_as_it_is_shown(case: Case) -> None:
    assert np.allclose(read_glb(case()).extent, true_size(case), atol=1e-4)


@every_case
def test_what_one_mesh_cannot_hold_is_found(case: Case) -> None:
    found = features(Document(case()))
    assert CASES[case] in found if CASES[case] else found == ()


@every_case
def test_the_finishing_keeps_it(case: Case) -> None:
    original, files = case(), finished(case)
    model = read_glb(files["glb"])
    assert np.allclose(model.extent, [2 * side for side in true_size(case)], rtol=1e-4)
    assert abs(model.min_corner[1]) < 1e-4
    assert features(Document(files["glb"])) == features(Document(original))
    ssim = compare_looks(read_glb(original), model)
    assert min(ssim.values()) > 0.99
    if CASES[case]:  # all but the node above it is as it came
        before, after = read_json(original), read_json(files["glb"])
        for key in ("materials", "textures", "samplers", "skins", "meshes", "extensionsUsed"):
            assert after.get(key) == before.get(key)
        assert after["nodes"][: len(before["nodes"])] == before["nodes"]


@every_case
def test_the_validator_finds_nothing_new(case: Case) -> None:
    before = validate_gltf(case())["issues"]
    for name in ("glb", "web"):
        after = validate_gltf(finished(case)[name])["issues"]
        assert (after["numErrors"], after["numWarnings"]) <= (before["numErrors"], before["numWarnings"])


@every_case
def test_the_web_glb_keeps_it(case: Case) -> None:
    web = finished(case)["web"]
    kept = set(features(Document(web)))
    # WebP has eight bits, which no screen shows more of
    assert set(features(Document(case()))) - kept <= {"textures of 16 bits"}
    assert min(compare_looks(read_glb(case()), read_glb(web)).values()) > LEAST_SSIM
    assert len(web) <= len(finished(case)["glb"]) or not CASES[case]


@every_case
def test_the_usdz_has_the_size_and_names_what_it_loses(case: Case) -> None:
    package = convert_glb(case(), "A1")
    assert package.losses == NAMED_LOSSES.get(case, ())
    with open_usdz(package.data) as stage:
        assert stage is not None
        box = UsdGeom.BBoxCache(Usd.TimeCode.Default(), ["default"]).ComputeWorldBound(stage.GetPseudoRoot())
        assert np.allclose(box.ComputeAlignedRange().GetSize(), true_size(case), atol=1e-4)


@pytest.mark.issue("usdz.lost")
def test_an_issue_names_what_the_usdz_loses() -> None:
    (found,) = finish(made.transmission())[0].issues
    assert found.code == "usdz.lost" and "KHR_materials_transmission" in found.message
    assert finish(made.blend_factor())[0].issues == ()


def surface(data: bytes) -> dict[str, object]:
    """The inputs of a package's only surface: values, or for a texture its file, channel and inputs."""
    with open_usdz(convert_glb(data, "A1").data) as stage:
        assert stage is not None
        shader = UsdShade.Shader(stage.GetPrimAtPath("/Product/Material/Surface"))
        return {i.GetBaseName(): dict(_texture(i)) or i.Get() for i in shader.GetInputs()}


def _texture(shader_input: UsdShade.Input) -> Iterator[tuple[str, object]]:
    sources = shader_input.GetConnectedSources()[0]
    if not sources:
        return
    yield "channel", str(sources[0].sourceName)
    for node_input in UsdShade.Shader(sources[0].source.GetPrim()).GetInputs():
        value = node_input.Get()
        yield (
            node_input.GetBaseName(),
            tuple(value) if hasattr(value, "__len__") and value != str(value) else value,
        )


def test_the_usdz_is_as_transparent_as_the_glb() -> None:
    blend, mask = surface(made.blend_factor()), surface(made.mask_texture())
    assert blend["opacity"] == 0.25 and "opacityThreshold" not in blend
    assert mask["opacity"]["channel"] == "a" and mask["opacityThreshold"] == 0.5
    assert "opacity" not in surface(made.factor_times_texture())


def test_the_usdz_has_factors_wrap_modes_and_emission() -> None:
    base = surface(made.factor_times_texture())["diffuseColor"]
    assert base["scale"] == pytest.approx((0.1, 0.1, 0.1, 1.0))
    repeated = surface(made.repeat_texture())["diffuseColor"]
    assert (repeated["wrapS"], repeated["wrapT"]) == ("repeat", "repeat")
    assert surface(made.emissive_factor())["emissiveColor"] == pytest.approx((0.5, 0.25, 0))
    assert "emissiveColor" not in surface(made.emissive_zero_and_texture())


def test_the_usdz_has_normal_scale_and_occlusion_strength() -> None:
    data = made.normal_scale_and_occlusion_strength()
    occlusion = surface(data)["occlusion"]
    assert occlusion["scale"][0] == 0.25 and occlusion["bias"][0] == 0.75
    with zipfile.ZipFile(io.BytesIO(convert_glb(data, "A1").data)) as package:
        name = next(n for n in package.namelist() if "normal" in n)
        x, y, z = np.asarray(Image.open(io.BytesIO(package.read(name))), float)[0, 0] / 127.5 - 1
    assert x / z == pytest.approx(0.5 * (178 / 127.5 - 1) / (245 / 127.5 - 1), abs=0.02) and abs(y) < 0.01


def test_the_usdz_has_vertex_colours_and_the_second_uv_set() -> None:
    assert surface(made.vertex_colours())["diffuseColor"] == pytest.approx((1, 0.1, 0.05))
    assert surface(made.varying_colours())["diffuseColor"] == {"channel": "result", "varname": "displayColor"}
    with open_usdz(convert_glb(made.second_uv_set(), "A1").data) as stage:
        st = UsdGeom.PrimvarsAPI(stage.GetPrimAtPath("/Product/Mesh")).GetPrimvar("st").Get()
    assert np.allclose(st, [0.25, 0.5])


def test_a_grey_texture_of_16_bits_stays_as_dark() -> None:
    with zipfile.ZipFile(io.BytesIO(convert_glb(made.texture_grey16(), "A1").data)) as package:
        pixels = np.asarray(Image.open(io.BytesIO(package.read("base.png"))))
    assert pixels.dtype == np.uint8 and pixels.flat[0] == 78


def rendered(data: bytes) -> np.ndarray:
    model = read_glb(data)
    return Renderer(model).render(named_camera(model.min_corner, model.max_corner, "front"), 64)[0][32, 32]


def test_our_renderer_shows_colours_of_vertices_and_transparency() -> None:
    red, _, blue = (int(c) for c in rendered(made.vertex_colours()))
    assert red > 2 * blue
    assert rendered(made.emissive_factor())[0] > rendered(made.emissive_factor())[2]
    glass, solid = rendered(made.blend_factor()), rendered(made.double_sided())
    assert not np.array_equal(glass, solid)


@pytest.mark.issue("model.over_budget")
def test_a_kept_model_is_simplified_by_its_indices_alone() -> None:
    rewriter = GlbRewriter(write_glb(ball(), "x"))
    rewriter.json["materials"][0]["doubleSided"] = True
    data = rewriter.finish()
    simple = simplify_scene(data, 600)
    before, after = Document(data).primitives[0], Document(simple).primitives[0]
    assert len(before.faces) == 1280 and 300 < len(after.faces) <= 640
    assert np.array_equal(before.positions, after.positions)
    work, _ = finish(made.double_sided(), max_triangles=4)
    assert "model.over_budget" in {i.code for i in work.issues}


def test_textures_are_reduced_in_their_own_format() -> None:
    small = limit_scene_textures(made.mask_texture(), 8)
    document = Document(small)
    picture = Image.open(io.BytesIO(document.image(0, "")))
    assert (picture.size, picture.mode, picture.format) == ((8, 8), "RGBA", "PNG")
    assert features(document) == features(Document(made.mask_texture()))
    assert limit_scene_textures(made.mask_texture(), 16) == made.mask_texture()


def test_meshopt_streams_are_decoded_and_nothing_else_changes() -> None:
    rewriter = GlbRewriter(write_glb(ball(), "x"))
    rewriter.json["materials"][0]["doubleSided"] = True
    plain = rewriter.finish()
    packed = with_meshopt(plain)
    assert "EXT_meshopt_compression" in read_json(packed)["extensionsRequired"]
    decoded = read_json(without_meshopt(packed))
    assert "extensionsRequired" not in decoded and len(decoded["buffers"]) == 1
    assert read_glb(without_meshopt(packed)).positions.tolist() == read_glb(plain).positions.tolist()
    assert validate_gltf(without_meshopt(packed))["issues"]["numErrors"] == 0
    assert without_meshopt(plain) == plain


def with_meshopt(data: bytes) -> bytes:
    """The GLB with the view of its positions packed."""
    rewriter, document = GlbRewriter(data), Document(data)
    stored = np.frombuffer(document.view(0, ""), np.uint8).reshape(-1, 12)
    rewriter.json["kept"] = {"bufferView": rewriter.add_view(meshopt_stream(stored))}
    rewriter.use_extension("EXT_meshopt_compression", required=True)
    with_stream = rewriter.finish()
    found = read_json(with_stream)
    stream = found["bufferViews"][found.pop("kept")["bufferView"]]
    packing = {"byteStride": 12, "count": len(stored), "mode": "ATTRIBUTES", "filter": "NONE"}
    part = {"buffer": 0, **{key: stream[key] for key in ("byteOffset", "byteLength")}, **packing}
    found["buffers"].append(
        {"byteLength": stored.size, "extensions": {"EXT_meshopt_compression": {"fallback": True}}}
    )
    found["bufferViews"][0].update(buffer=1, byteOffset=0, extensions={"EXT_meshopt_compression": part})
    return replace_json(with_stream, found)


def meshopt_stream(rows: np.ndarray) -> bytes:
    """Rows of bytes in meshopt's vertex codec, version 0, each difference stored as it is."""
    out, last, block_rows = bytearray([0xA0]), rows[0], min(8192 // rows.shape[1] & ~15, 256)
    for start in range(0, len(rows), block_rows):
        block = rows[start : start + block_rows]
        steps = np.diff(np.vstack([last, block]).astype(np.uint8), axis=0)
        zigzag = (steps << 1) ^ np.where(steps & 0x80, 0xFF, 0).astype(np.uint8)
        groups = -(-len(block) // 16)
        for column in zigzag.T:
            out += b"\xff" * -(-groups // 4) + column.tobytes().ljust(16 * groups, b"\0")
        last = block[-1]
    return bytes(out) + rows[0].tobytes().rjust(32, b"\0")


def test_a_placed_scene_has_a_root_at_rest_and_volumes_scale_with_it() -> None:
    rewriter = made.chair()
    volume = {"thicknessFactor": 0.1, "attenuationDistance": 0.5}
    made.material(rewriter)["extensions"] = {"KHR_materials_volume": volume}
    twice = Placement(scale=np.array([2.0, 2.0, 2.0]), offset=np.array([1.0, 0.0, 0.0]))
    placed = read_json(place_scene(rewriter.finish(), twice, "A1"))
    (root,) = placed["scenes"][0]["nodes"]
    assert set(placed["nodes"][root]) == {"name", "children"}
    found = placed["materials"][0]["extensions"]["KHR_materials_volume"]
    assert found == {"thicknessFactor": 0.1, "attenuationDistance": 1.0}


def test_a_packed_scene_is_smaller_and_shows_the_same() -> None:
    rewriter = GlbRewriter(write_glb(ball(), "x"))
    rewriter.json["materials"][0]["doubleSided"] = True
    data = rewriter.finish()
    packed = pack_scene(data)
    assert len(packed) < 0.3 * len(data)
    assert validate_gltf(packed)["issues"]["numErrors"] == 0
    assert min(compare_looks(read_glb(data), read_glb(packed)).values()) > 0.97


@pytest.mark.issue("file.extension_unknown")
def test_an_unknown_extension_that_is_required_is_an_error() -> None:
    rewriter = made.chair()
    rewriter.use_extension("ACME_shape", required=True)
    data = rewriter.finish()
    assert unknown_required_extensions(Document(data)) == ["ACME_shape"]
    (found,) = [i for i in report_on(data, known=False).issues if i.code == "file.extension_unknown"]
    assert found.severity == "error" and "ACME_shape" in found.message
    for known in (made.gpu_instancing(), made.ktx2_only()):
        assert unknown_required_extensions(Document(known)) == []


@pytest.mark.issue("file.padding")
def test_bytes_behind_the_end_are_a_warning() -> None:
    report = report_on(made.double_sided() + bytes(100), known=False)
    (found,) = [i for i in report.issues if i.code == "file.padding"]
    assert found.severity == "warning" and found.measured == "100"
    assert not {"file.unreadable", "conformance.error"} & codes(report)


def remarks(data: bytes, **more: object) -> dict[str, str]:
    """The severity of each issue of a report."""
    return {i.code: i.severity.value for i in report_on(data, known=False, **more).issues}


def test_an_open_surface_is_an_error_of_ours_and_a_warning_of_others() -> None:
    rewriter = made.chair()
    rewriter.json["accessors"][primitive_indices(rewriter)]["count"] -= 3
    ours = rewriter.finish()
    rewriter.json["asset"]["generator"] = "a studio"
    assert remarks(ours)["geometry.not_watertight"] == "error"
    assert remarks(rewriter.finish())["geometry.not_watertight"] == "warning"
    rewriter.json["asset"].update(generator="dam-connector 9", extras={"generator": "tripo"})
    assert remarks(rewriter.finish())["geometry.not_watertight"] == "warning"


def test_a_model_without_height_is_not_scaled_by_it() -> None:
    flat = replace(box(*SIZE), positions=(box(*SIZE).positions * [1, 1e-6, 1]).astype(np.float32))
    assert find_placement(flat, Dimensions(height_m=0.85)) is None
    wide = find_placement(flat, Dimensions(height_m=0.85, width_m=0.92))
    assert wide is not None and np.allclose(wide.scale, 2)


def test_files_of_a_thin_model_differ_by_rounding_only() -> None:
    rug, thicker = np.array([2.0, 0.01, 1.4]), np.array([0.0, 0.01, 0.0])
    assert size_difference(rug + thicker / 50, rug) < 0.002 < size_difference(rug + thicker, rug)
    assert size_difference(rug * 1.01, rug) == pytest.approx(0.01)
    assert size_difference(np.array([0.5, 0.5, 1e-9]), np.array([0.5, 0.5, 0.0])) < 1e-6


def primitive_indices(rewriter: GlbRewriter) -> int:
    index: int = made.primitive(rewriter)["indices"]
    return index


def root_transforms(nodes: list[dict[str, object]]) -> object:
    rewriter = made.chair()
    rewriter.json["nodes"] = nodes
    rewriter.json["scenes"] = [{"nodes": [0, len(nodes) - 1]}]
    rewriter.json["cameras"] = [{"type": "orthographic", "orthographic": {}}]
    return glb_measurements(subject_of(rewriter.finish()))["root_transforms"]


def subject_of(data: bytes) -> CheckSubject:
    file = file_of(data, "a.glb", "glb")
    return CheckSubject(product=None, deliverable=None, slot=1, number=1, files=(file,), read=lambda _: data)


def test_cameras_and_lights_are_no_root_transforms() -> None:
    light = {"translation": [0, 3, 0], "extensions": {"KHR_lights_punctual": {"light": 0}}}
    assert root_transforms([{"mesh": 0}, {"camera": 0, "translation": [0, 1, 5]}]) == 0
    assert root_transforms([{"mesh": 0}, light]) == 0
    assert root_transforms([{"camera": 0}, {"mesh": 0}, {"translation": [0, 1, 0], "children": [1]}]) == 1


@pytest.mark.parametrize("name", ["cm_points_but_metres", "xform_scale_100"])
def test_a_package_that_is_checked_by_itself_is_measured(name: str) -> None:
    """A chair of 85 m: its points in centimetres, or a transform of 100."""
    points, scale = (100, 1) if name == "cm_points_but_metres" else (1, 100)
    data = chair_package(points, scale)
    chair = {"dimensions": {"width": 46, "height": 85, "depth": 49, "unit": "cm"}}
    assert "geometry.dimensions" in codes(report_on(data, format="usdz", **chair))
    assert "geometry.dimensions" not in codes(report_on(chair_package(1, 1), format="usdz", **chair))


def chair_package(points: float, scale: float) -> bytes:
    """A USDZ of a chair whose points and whose root are scaled."""
    with tempfile.TemporaryDirectory() as folder:
        layer, package = f"{folder}/a.usdc", f"{folder}/a.usdz"
        stage = Usd.Stage.CreateNew(layer)
        UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
        UsdGeom.SetStageMetersPerUnit(stage, 1.0)
        root = UsdGeom.Xform.Define(stage, "/Chair")
        stage.SetDefaultPrim(root.GetPrim())
        root.AddScaleOp().Set((scale, scale, scale))
        shape, model = UsdGeom.Mesh.Define(stage, "/Chair/Mesh"), box(*SIZE)
        shape.CreatePointsAttr([tuple(map(float, p * points)) for p in model.positions])
        shape.CreateFaceVertexCountsAttr([3] * len(model.faces))
        shape.CreateFaceVertexIndicesAttr(model.faces.ravel().tolist())
        stage.GetRootLayer().Save()
        assert UsdUtils.CreateNewARKitUsdzPackage(Sdf.AssetPath(layer), package)
        return Path(package).read_bytes()


@pytest.mark.issue("model.look_changed")
def test_a_look_that_the_finishing_changed_is_reported() -> None:
    from worker.checks import look

    subject = subject_of(made.double_sided())
    subject.original = made.vertex_colours()
    (found,) = look.check(subject, RULES)
    assert found.code == "model.look_changed" and subject.rows[0].outcome is CheckOutcome.FAIL
    subject.original = subject.glb
    assert not list(look.check(subject, RULES))


@pytest.mark.issue("model.preview_differs")
def test_the_previews_name_what_they_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render_previews_file, "SIZES_PX", {"hero": 32})
    monkeypatch.setattr(render_previews_file, "DIAGNOSTIC_VIEWS", ())
    for case, missing in ((made.transmission, "KHR_materials_transmission"), (made.blend_factor, "")):
        work = render_previews_file.render_previews(*finish(case()))
        found = [i.measured for i in work.issues if i.code == "model.preview_differs"]
        assert found == ([missing] if missing else [])


@pytest.mark.issue("lod.lost")
def test_levels_of_detail_name_what_they_lose() -> None:
    work, services = finish(made.transmission())
    levels = replace(work.deliverable, formats=("glb", "lod1"))
    made_work = make_lods(replace(work, deliverable=levels), services)
    assert "KHR_materials_transmission" in next(i for i in made_work.issues if i.code == "lod.lost").message
