"""What is measured on models: geometry, UVs, units and axes, profiles: for each finding a shape built in code
that has just that.
"""

from dataclasses import replace

import numpy as np
import pytest
import trimesh

from dam_connector.domain.issue import CheckOutcome
from dam_connector.domain.model_profiles import MEASURES, MODEL_PROFILES, LimitLevel, ModelLimit, ModelProfile
from dam_connector.errors import ConfigError, InputError
from schemas.rules_loader import load_rules
from tests.support import rules_json
from tests.unit.shapes import as_model, ball, box, unwrapped
from tests.unit.test_checks import RULES, codes, report_on, textured
from worker.checks.model_limits import judge_limit
from worker.gltf.container import read_json, replace_json
from worker.gltf.document import MAX_NODES, MAX_TRIANGLES, Document, Primitive
from worker.measuring.uv_layout import count_overlapping, measure_uv_layouts
from worker.measuring.welded_surface import WeldedSurface, weld_surface
from worker.modeling.glb_export import write_glb
from worker.modeling.textured_mesh import TexturedMesh


def found(model: TexturedMesh, **facts: object) -> set[str]:
    return codes(report_on(write_glb(model, "CH123", {"sku": "CH123"}), **facts))


def joined(*meshes: trimesh.Trimesh) -> TexturedMesh:
    return as_model(trimesh.util.concatenate(meshes))


def at(mesh: trimesh.Trimesh, x: float, y: float = 0.0, z: float = 0.0) -> trimesh.Trimesh:
    return mesh.apply_translation([x, y, z])


def fan() -> TexturedMesh:
    """Three walls that meet in one edge: no solid has such."""
    walls = [[0, 1, 2], [0, 1, 3], [0, 1, 4]]
    return as_model(
        trimesh.Trimesh(
            [[0, 0, 0], [0, 0.4, 0], [0.4, 0.2, 0], [0, 0.2, 0.4], [-0.3, 0.2, -0.3]], walls, process=False
        )
    )


def doubled() -> TexturedMesh:
    model = box(0.4, 0.4, 0.3)
    return replace(model, faces=np.vstack([model.faces, model.faces[:2]]))


SHAPES = {
    "geometry.non_manifold": fan,
    "geometry.duplicate_faces": doubled,
    "geometry.self_intersection": lambda: joined(
        trimesh.creation.icosphere(3, 0.2), at(trimesh.creation.icosphere(3, 0.2), 0.15)
    ),
    "geometry.floating": lambda: joined(
        trimesh.creation.box((0.4, 0.2, 0.3)), at(trimesh.creation.icosphere(1, 0.03), 0, 0.3)
    ),
    "geometry.inner": lambda: joined(
        trimesh.creation.box((0.4, 0.4, 0.3)), trimesh.creation.icosphere(1, 0.05)
    ),
    "geometry.normals": lambda: replace(box(0.4, 0.4, 0.3), normals=-box(0.4, 0.4, 0.3).normals),
}


@pytest.mark.parametrize("code", SHAPES)
@pytest.mark.issue(param="code")
def test_a_shape_with_one_fault(code: str) -> None:
    assert code in found(SHAPES[code]())


def test_what_only_touches_is_neither_floating_nor_crossing() -> None:
    lid = joined(trimesh.creation.box((0.4, 0.2, 0.3)), at(trimesh.creation.box((0.3, 0.05, 0.2)), 0, 0.126))
    assert not {"geometry.floating", "geometry.inner", "geometry.self_intersection"} & found(lid)


def test_short_normals_are_reported_with_their_place() -> None:
    model = replace(box(0.4, 0.4, 0.3), normals=box(0.4, 0.4, 0.3).normals * 0.5)
    issues = [i for i in report_on(write_glb(model, "x"), known=False).issues if i.code == "geometry.normals"]
    assert issues[0].pointer == "/meshes/0/primitives/0/attributes/NORMAL" and "length" in issues[0].message


def test_counts_on_shapes_that_are_known() -> None:
    cube = weld_surface(Document(write_glb(unwrapped(box(0.4, 0.4, 0.3)), "x")).primitives)
    assert len(cube.positions) == 8 and cube.open_edges == cube.crowded_edges == cube.opposed_edges == 0
    assert (
        cube.hard_edges == 12
        and cube.volume == pytest.approx(0.4 * 0.4 * 0.3, rel=1e-6)
        and cube.components[0] == 1
    )
    assert weld_surface(Document(write_glb(ball(1.0), "x")).primitives).hard_edges == 0


def test_seams_that_round_differently_are_still_closed() -> None:
    model = unwrapped(box(0.4, 0.4, 0.3))
    shaken = model.positions + np.random.default_rng(0).uniform(-1e-7, 1e-7, model.positions.shape).astype(
        np.float32
    )
    assert weld_surface(Document(write_glb(replace(model, positions=shaken), "x")).primitives).open_edges == 0


@pytest.mark.parametrize(
    ("size", "facts", "code"),
    [
        ((0.4, 9.0, 0.3), {"name": "Coffee mug", "category": "kitchen"}, "geometry.unit"),
        (
            (40.0, 40.0, 30.0),
            {"dimensions": {"width": 40, "height": 40, "depth": 30, "unit": "cm"}},
            "geometry.unit",
        ),
        (
            (0.4, 0.3, 0.8),
            {"dimensions": {"width": 40, "height": 80, "depth": 30, "unit": "cm"}},
            "geometry.axis",
        ),
    ],
)
@pytest.mark.issue(param="code")
def test_wrong_units_and_axes_are_named(
    size: tuple[float, float, float], facts: dict[str, object], code: str
) -> None:
    issues = [i for i in report_on(write_glb(textured(box(*size)), "x"), **facts).issues if i.code == code]
    assert issues and ("swap Y and Z" in issues[0].message if code == "geometry.axis" else issues[0].measured)


def test_the_unit_is_named() -> None:
    report = report_on(
        write_glb(textured(box(40, 40, 30)), "x"),
        dimensions={"width": 40, "height": 40, "depth": 30, "unit": "cm"},
    )
    assert any("centimetres" in i.message for i in report.issues if i.code == "geometry.unit")


def laid(change) -> TexturedMesh:
    model = textured(box(0.4, 0.4, 0.3))
    return replace(model, uvs=change(model.uvs.copy()).astype(np.float32))


def crowded(uvs: np.ndarray) -> np.ndarray:
    uvs[3:6] = uvs[:3]
    return uvs


def uneven(uvs: np.ndarray) -> np.ndarray:
    centre = uvs.reshape(-1, 3, 2).mean(1, keepdims=True)
    scale = np.where(np.arange(len(centre)) % 2, 1.0, 0.1)[:, None, None]
    return (centre + (uvs.reshape(-1, 3, 2) - centre) * scale).reshape(-1, 2)


UVS = {
    "uv.overlap": crowded,
    "uv.inverted": lambda uvs: uvs * [-1, 1] + [1, 0],
    "uv.range": lambda uvs: uvs * 3,
    "uv.gutter": lambda uvs: (
        (np.round(uvs * 4) / 4 - 0.5) * 0.999 + 0.5 + np.repeat(np.arange(12), 3)[:, None] * 1e-4
    ),
    "uv.empty": lambda uvs: uvs * 0 + 0.5,
}


@pytest.mark.parametrize("code", UVS)
@pytest.mark.issue(param="code")
def test_how_textures_lie(code: str) -> None:
    assert code in found(laid(UVS[code]))


@pytest.mark.issue("uv.density")
def test_an_uneven_texture_is_reported() -> None:
    model = textured(ball(0.4))
    assert "uv.density" not in found(model) and "uv.density" in found(
        replace(model, uvs=uneven(model.uvs.copy()).astype(np.float32))
    )


@pytest.mark.issue("uv.missing")
def test_a_textured_part_without_uvs() -> None:
    data = write_glb(textured(box(0.4, 0.4, 0.3)), "CH123")
    assert "uv.missing" in codes(report_on(data.replace(b'"TEXCOORD_0"', b'"TEXCOORD_7"')))


def test_overlap_is_exact() -> None:
    square = np.array([[[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1], [0, 1]]], float)
    assert count_overlapping(square) == 0  # two halves of one square share an edge and nothing else
    assert count_overlapping(np.concatenate([square, square[:1] - [0.3, 0.0]])) == 3
    assert count_overlapping(np.concatenate([square, square + 1.0])) == 0
    assert count_overlapping(np.repeat(square[:1], 40, 0)) == 40


def test_a_mesh_that_is_shown_twice_does_not_overlap_itself() -> None:
    one = Document(write_glb(textured(box(0.4, 0.4, 0.3)), "x")).primitives[0]
    assert measure_uv_layouts([one, replace(one, positions=one.positions + 1)])[0].overlapping_count == 0


def limited(**bounds: object) -> object:
    """The test's rules with one profile `mine`, which the model must satisfy."""
    # type: ignore[arg-type]
    profile = ModelProfile(limits=tuple(ModelLimit(measure=m, source="test", **b) for m, b in bounds.items()))
    models = tuple(replace(d, profiles=("mine",)) if d.name == "model" else d for d in RULES.deliverables)
    return replace(RULES, profiles={"mine": profile}, deliverables=models)


FAILING = {  # for each code a limit that the small box cannot keep
    "limit.file_bytes": {"at_most": 100},
    "limit.validator_errors": {"at_least": 1},
    "limit.triangles": {"at_most": 11},
    "limit.vertices": {"at_most": 35},
    "limit.materials": {"at_most": 0},
    "limit.meshes": {"at_most": 0},
    "limit.nodes": {"at_most": 0},
    "limit.primitives": {"at_most": 0},
    "limit.textures": {"at_least": 2},
    "limit.texture_width_px": {"at_least": 65},
    "limit.texture_height_px": {"at_most": 63},
    "limit.textures_not_power_of_two": {"at_least": 1},
    "limit.textures_not_square": {"at_least": 1},
    "limit.base_color": {"at_least": 125, "at_most": 130},
    "limit.width_m": {"at_most": 0.39},
    "limit.height_m": {"at_least": 0.41},
    "limit.depth_m": {"at_most": 0.29},
    "limit.product_off_pct": {"at_least": 100},
    "limit.root_transforms": {"at_least": 1},
    "limit.open_edges": {"at_least": 1},
    "limit.crowded_edges": {"at_least": 1},
    "limit.hard_edges": {"at_most": 11},
    "limit.uv_overlapping": {"at_least": 1},
    "limit.uv_inverted": {"at_least": 1},
    "limit.uv_outside": {"at_least": 0.1},
    "limit.uv_gutter_px": {"at_least": 200},
    "limit.texel_density": {"at_least": 1e5},
    "limit.animation_s": {"at_least": 1},
}


@pytest.mark.issue(*FAILING)
def test_each_measure_is_measured_and_limited() -> None:
    data = write_glb(textured(box(0.4, 0.4, 0.3)), "CH123", {"sku": "CH123"})
    bounds = {code.removeprefix("limit."): b for code, b in FAILING.items()}
    assert set(bounds) == set(MEASURES)
    report = report_on(data, rules=limited(**bounds))
    assert {c for c in codes(report) if c.startswith("limit.")} == set(FAILING)
    assert all(i.measured and i.limit and i.remedy for i in report.issues if i.code.startswith("limit."))
    kept = {
        m: {"at_most": b.get("at_least", 1e12)} if "at_least" in b else {"at_least": 0.0}
        for m, b in bounds.items()
    }
    assert not {c for c in codes(report_on(data, rules=limited(**kept))) if c.startswith("limit.")}


def test_the_matrix_has_every_limit_of_every_profile() -> None:
    report = report_on(write_glb(textured(box(0.4, 0.4, 0.3)), "CH123", {"sku": "CH123"}))
    rows = [r for r in report.rows if r.profile]
    assert {r.profile for r in rows} == set(MODEL_PROFILES) and all(r.source for r in rows)
    assert sum(len(p.limits) + p.lower_case for p in MODEL_PROFILES.values()) == len(rows)
    small = next(r for r in rows if r.profile == "khronos-recommended" and r.check == "width of textures")
    assert small.outcome is CheckOutcome.FAIL and small.measured == "64 px" and "512" in small.limit
    assert not {c for c in codes(report) if c.startswith("limit.")}  # nobody named these profiles


def test_advice_warns_and_what_cannot_be_measured_is_not_tested() -> None:
    advice = ModelLimit(measure="triangles", at_most=5, level=LimitLevel.SHOULD, source="a blog")
    models = tuple(replace(d, profiles=("mine",)) if d.name == "model" else d for d in RULES.deliverables)
    rules = replace(RULES, profiles={"mine": ModelProfile(limits=(advice,))}, deliverables=models)
    report = report_on(write_glb(textured(box(0.4, 0.4, 0.3)), "CH123", {"sku": "CH123"}), rules=rules)
    assert [i.severity.value for i in report.issues if i.code == "limit.triangles"] == [
        "warning"
    ] and not report.blocked
    assert judge_limit(ModelLimit(measure="texel_density", at_most=1, source=""), None) == (
        CheckOutcome.NOT_TESTED,
        None,
    )


@pytest.mark.issue("limit.triangles", "naming.profile")
def test_an_admins_own_profile() -> None:
    import json

    raw = rules_json(
        profiles={
            "web-shop": {"based_on": "khronos-mobile-ar", "max_triangles": 9, "naming": "{sku}_v{version}"}
        }
    )
    raw["deliverables"].append({"name": "model", "kind": "model", "profiles": ["web-shop"]})
    rules = load_rules(json.dumps(raw))
    report = report_on(write_glb(textured(box(0.4, 0.4, 0.3)), "CH123", {"sku": "CH123"}), rules=rules)
    assert {"limit.triangles", "naming.profile"} <= codes(report)
    assert any(i.code == "naming.profile" and "CH123_v1" in i.message for i in report.issues)
    assert any(
        r.profile == "web-shop" and r.check == "size of the file" and r.outcome is CheckOutcome.PASS
        for r in report.rows
    )


@pytest.mark.parametrize(
    ("profiles", "named", "where"),
    [
        ({"mine": {"max_triangels": 9}}, "mine", "/profiles/mine/max_triangels"),
        ({"mine": {"based_on": "nothing"}}, "mine", "/profiles/mine/based_on"),
        ({"mine": {"max_triangles": 9, "min_triangles": 10}}, "mine", "/profiles/mine/min_triangles"),
        ({"mine": {"naming": "{what}"}}, "mine", "/profiles/mine/naming"),
        ({}, "mine", "/deliverables/2/profiles/0"),
        ({}, "amazon-main", "/deliverables/2/profiles/0"),
    ],
)
def test_a_profile_that_is_none_is_refused_with_its_place(
    profiles: dict[str, object], named: str, where: str
) -> None:
    import json

    raw = rules_json(profiles=profiles)
    raw["deliverables"].append({"name": "model", "kind": "model", "profiles": [named]})
    with pytest.raises(ConfigError) as refused:
        load_rules(json.dumps(raw))
    assert any(p.startswith(where) for p in refused.value.problems), refused.value.problems


def test_the_khronos_rule_for_names_has_a_proposal() -> None:
    models = tuple(
        replace(d, profiles=("khronos-mobile-ar",)) if d.name == "model" else d for d in RULES.deliverables
    )
    report = report_on(
        write_glb(textured(box(0.4, 0.4, 0.3)), "CH123", {"sku": "CH123"}),
        rules=replace(RULES, deliverables=models),
    )
    assert any(
        "ch123_modern-dining-chair_v1_glb" in i.message for i in report.issues if i.code == "naming.profile"
    )


@pytest.mark.issue("file.stream")
def test_a_lying_stream_and_one_that_is_none() -> None:
    from worker.modeling.web_packing import write_web_glb

    packed = write_web_glb(textured(ball(0.4)), "CH123", {"sku": "CH123"})
    assert "file.stream" not in codes(report_on(packed, known=False))
    begin = packed.index(b"DRACO")
    assert "file.stream" in codes(
        report_on(packed[: begin + 20] + b"\xff" * 40 + packed[begin + 60 :], known=False)
    )


@pytest.mark.parametrize(
    ("node", "count", "reason"),
    [({"mesh": 0}, MAX_TRIANGLES // len(ball().faces) + 2, "triangles"), ({}, MAX_NODES + 1, "nodes")],
)
@pytest.mark.issue("file.too_complex")
def test_a_file_that_asks_for_too_much(node: dict, count: int, reason: str) -> None:
    """A few bytes that mean millions of triangles: one mesh shown by many nodes; or nodes without end."""
    data = write_glb(ball(0.4), "x")
    document = read_json(data)
    document["nodes"] = [node] * count
    document["scenes"] = [{"nodes": list(range(count))}]
    many = Document(replace_json(data, document))
    with pytest.raises(InputError, match=reason) as refused:
        _ = many.primitives
    assert refused.value.issue_code == "file.too_complex"


def test_an_empty_surface_is_an_issue() -> None:
    line = Primitive(
        where="/",
        positions=np.zeros((2, 3)),
        faces=np.zeros((0, 3), np.int64),
        normals=None,
        uvs=None,
        material=None,
    )
    with pytest.raises(Exception, match="no triangles"):
        weld_surface([line])
    assert WeldedSurface(positions=np.zeros((3, 3)), faces=np.array([[0, 1, 2]])).is_degenerate.all()
