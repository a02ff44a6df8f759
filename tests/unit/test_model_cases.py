"""Models from elsewhere: what they hold is kept by the finishing, the USDZ and the web GLB, or named."""

import io
import zipfile
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import pytest
from PIL import Image
from pxr import Usd, UsdGeom, UsdShade

from benchmarks.glb_corpus import finish
from dam_connector.domain.product import Dimensions
from dam_connector.domain.version import Role
from tests.unit import glb_cases as made
from tests.unit.glb_cases import CASES, SIZE
from tests.unit.shapes import ball
from worker.gltf.container import read_json, replace_json
from worker.gltf.document import Document
from worker.gltf.features import features
from worker.gltf.rewriting import GlbRewriter
from worker.measuring.khronos_validator import validate_gltf
from worker.measuring.look_comparison import LEAST_SSIM, compare_looks
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
