"""Checks: for each issue code that a check can find, a file that has it; and a good one that has none."""

import io
from dataclasses import replace

import numpy as np
import pytest
import trimesh
from PIL import Image

from dam_connector.domain.issue import CheckOutcome
from dam_connector.domain.rules import CheckRules, Rules
from schemas.rules_loader import load_rules
from tests.support import ROOT, file_of, product
from tests.unit.shapes import as_model, ball, box, unwrapped
from worker.checks import CHECKS, CheckSubject, run_checks
from worker.imaging.encode import encode
from worker.modeling.glb_export import write_glb
from worker.modeling.textured_mesh import TexturedMesh
from worker.modeling.usdz_export import write_usdz
from worker.modeling.web_packing import write_web_glb

RULES = load_rules((ROOT / "plugin.json").read_text())
TEXTURE = encode(np.full((64, 64, 3), 120, np.uint8), None, "jpeg")


def report_on(
    data: bytes,
    *,
    name: str = "CH123_ModernDiningChair_V1_GLB.glb",
    format: str = "glb",
    known: bool = True,
    rules: Rules = RULES,
    **facts: object,
):
    made = file_of(data, name, format)
    deliverable = rules.deliverable("model" if format in ("glb", "usdz", "web") else "packshot")
    return run_checks(
        CheckSubject(
            product=product(**facts) if known else None,
            deliverable=deliverable if known else None,
            slot=1,
            number=1,
            files=(made,),
            read=lambda _: data,
        ),
        rules,
    )


def codes(report) -> set[str]:
    return {i.code for i in report.issues}


def textured(model: TexturedMesh) -> TexturedMesh:
    return replace(unwrapped(model), texture=TEXTURE)


def good() -> bytes:
    return write_glb(textured(box(0.4, 0.4, 0.3)), "CH123", {"sku": "CH123"})


def test_a_good_model_has_nothing_to_remark() -> None:
    report = report_on(good())
    assert (
        codes(report) == set() and {r.check: r.outcome for r in report.rows}["geometry"] is CheckOutcome.PASS
    )
    assert {r.check for r in report.rows if not r.profile} == set(CHECKS) and {
        r.check: r.outcome for r in report.rows
    }["usdz"] is CheckOutcome.NOT_TESTED


def changed(old: bytes, new: bytes) -> bytes:
    """The good model with one word of its JSON replaced by another as long."""
    data = good()
    assert old in data and len(old) == len(new)
    return data.replace(old, new, 1)


def holed() -> TexturedMesh:
    mesh = trimesh.creation.box((0.4, 0.4, 0.3))
    mesh.faces = mesh.faces[2:]
    return as_model(mesh)


def inside_out() -> TexturedMesh:
    model = box(0.4, 0.4, 0.3)
    return replace(model, faces=model.faces[:, ::-1].copy(), normals=-model.normals)


def twisted() -> TexturedMesh:
    model = box(0.4, 0.4, 0.3)
    faces = model.faces.copy()
    faces[0] = faces[0][::-1]
    return replace(model, faces=faces)


def degenerate() -> TexturedMesh:
    mesh = trimesh.creation.icosphere(2, 0.2)
    vertices = np.vstack([mesh.vertices, mesh.vertices[0] + 1e-9])
    faces = np.vstack([mesh.faces, [0, 0, mesh.faces[0][1]]])
    return as_model(trimesh.Trimesh(vertices, faces, process=False))


def pieces() -> TexturedMesh:
    return as_model(
        trimesh.util.concatenate(
            [trimesh.creation.box((0.02, 0.4, 0.02)).apply_translation([x * 0.025, 0, 0]) for x in range(14)]
        )
    )


def aside() -> TexturedMesh:
    model = box(0.4, 0.4, 0.3)
    return replace(model, positions=model.positions + np.array([0.2, 0.1, 0], np.float32))


MODELS = {
    "geometry.not_watertight": lambda: (holed(), {}),
    "geometry.winding": lambda: (inside_out(), {}),
    "geometry.components": lambda: (pieces(), {}),
    "geometry.origin": lambda: (aside(), {}),
    "geometry.dimensions": lambda: (
        box(0.4, 0.4, 0.3),
        {"dimensions": {"width": 40, "height": 80, "depth": 30, "unit": "cm"}},
    ),
}


@pytest.mark.parametrize("code", MODELS)
@pytest.mark.issue(param="code")
def test_geometry(code: str) -> None:
    model, facts = MODELS[code]()
    assert code in codes(report_on(write_glb(textured(model), "CH123", {"sku": "CH123"}), **facts))


@pytest.mark.issue("geometry.winding", "geometry.degenerate_faces")
def test_twisted_faces_and_faces_without_area() -> None:
    assert "geometry.winding" in codes(report_on(write_glb(textured(twisted()), "CH123")))
    assert "geometry.degenerate_faces" in codes(report_on(write_glb(textured(degenerate()), "CH123")))


def test_size_within_tolerance_passes_and_unknown_axes_are_not_tested() -> None:
    assert "geometry.dimensions" not in codes(
        report_on(good(), dimensions={"width": 41, "height": 40, "depth": 30, "unit": "cm"})
    )
    assert "geometry.dimensions" not in codes(report_on(good(), dimensions={"height": 40, "unit": "cm"}))


@pytest.mark.parametrize(
    ("limit", "code"),
    [
        ({"max_model_bytes": 500}, "file.bytes"),
        ({"max_triangles": 5}, "file.triangles"),
        ({"max_texture_px": 32}, "file.texture_size"),
        ({"max_materials": 0}, "file.materials"),
    ],
)
@pytest.mark.issue(param="code")
def test_file_limits(limit: dict[str, int], code: str) -> None:
    found = report_on(good(), rules=replace(RULES, checks=CheckRules(**limit)))
    assert code in codes(found)
    assert all(i.measured and i.limit and i.remedy for i in found.issues if i.code == code)


@pytest.mark.issue("file.texture_missing", "file.not_pbr")
def test_materials_that_are_not_as_they_should_be() -> None:
    assert "file.texture_missing" in codes(report_on(write_glb(ball(0.4), "CH123")))
    assert "file.not_pbr" in codes(report_on(changed(b'"pbrMetallicRoughness"', b'"pbrMetallicRoughnesz"')))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no glb",
        good()[:200],
        good()[:-100],
        changed(b'"bufferViews"', b'"bufferVjews"'),
        changed(b'"meshes"', b'"meshez"'),
    ],
)
def test_damaged_files_are_reported_and_break_nothing(data: bytes) -> None:
    assert codes(report_on(data)) & {"file.unreadable", "geometry.empty", "conformance.error"}


@pytest.mark.issue("geometry.empty")
def test_a_file_without_triangles() -> None:
    assert "geometry.empty" in codes(report_on(changed(b'"mode":4', b'"mode":0')))


@pytest.mark.issue("conformance.error", "conformance.warning")
def test_issues_of_the_khronos_validator_are_reported() -> None:
    wrong = changed(b'"VEC3"', b'"VEC9"')
    found = [i for i in report_on(wrong).issues if i.code == "conformance.error"]
    assert found and found[0].pointer
    warned = changed(b'"wrapS"', b'"wrapX"')
    assert "conformance.warning" in codes(report_on(warned))


@pytest.mark.issue("conformance.not_tested")
def test_without_the_validator_its_row_says_not_tested(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    from worker.measuring.khronos_validator import VALIDATOR

    monkeypatch.setattr(VALIDATOR, "path", tmp_path / "missing.js")
    report = report_on(good())
    assert (
        "conformance.not_tested" in codes(report)
        and {r.check: r.outcome for r in report.rows}["conformance"] is CheckOutcome.NOT_TESTED
        and not report.blocked
    )


@pytest.mark.issue("usdz.layout")
def test_usdz_layout() -> None:
    import zipfile

    right = write_usdz(textured(box(0.4, 0.4, 0.3)), "CH123")
    name = "CH123_ModernDiningChair_V1_USDZ.usdz"
    assert codes(report_on(right, name=name, format="usdz")) == set()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("texture.jpg", TEXTURE * 20)
    for wrong in (packed.getvalue(), b"no zip", right[:50]):
        assert "usdz.layout" in codes(report_on(wrong, name=name, format="usdz"))


def codes_beside(format: str, data: bytes) -> set[str]:
    """What is found in a version of the plain GLB and a file of another format."""
    contents = {"glb": good(), format: data}
    files = tuple(
        file_of(contents[f], f"CH123_ModernDiningChair_V1_GLB{f'_{f}' * (f != 'glb')}.glb", f)
        for f in contents
    )
    model = RULES.deliverable("model")
    return codes(
        run_checks(
            CheckSubject(
                product=product(),
                deliverable=model,
                slot=1,
                number=1,
                files=files,
                read=lambda f: contents[f.format],
            ),
            RULES,
        )
    )


@pytest.mark.issue("web.differs", "file.unreadable")
def test_the_web_glb_holds_the_plain_ones_model() -> None:
    for model, found in (
        (box(0.4, 0.4, 0.3), set()),
        (box(0.4, 0.41, 0.3), {"web.differs"}),
        (ball(0.4), {"web.differs"}),
    ):
        assert codes_beside("web", write_web_glb(textured(model), "CH123", {"sku": "CH123"})) == found
    assert "file.unreadable" in codes(
        report_on(b"no glb", name="CH123_ModernDiningChair_V1_GLB_web.glb", format="web")
    )


@pytest.mark.issue("lod.differs")
def test_levels_of_detail_are_of_the_same_size_and_lighter() -> None:
    for model, found in (
        (box(0.4, 0.4, 0.3), set()),
        (box(0.4, 0.41, 0.3), {"lod.differs"}),
        (ball(0.4), {"lod.differs"}),
    ):
        assert codes_beside("lod1", write_glb(textured(model), "CH123", {"sku": "CH123"})) == found


@pytest.mark.issue("rendition.size", "rendition.bytes", "label.lost", "source.not_an_image")
def test_renditions() -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (50, 40, 3), np.uint8)
    data, name = encode(rgb, None, "jpeg"), "CH123_ModernDiningChair_Packshot_V1_JPEG.jpg"
    assert {c for c in codes(report_on(data, name=name, format="jpeg")) if not c.startswith("profile.")} == {
        "rendition.size",
        "label.lost",
    }
    assert "rendition.bytes" in codes(
        report_on(
            data, name=name, format="jpeg", rules=replace(RULES, checks=CheckRules(max_image_bytes=1000))
        )
    )
    assert "source.not_an_image" in codes(report_on(b"x", name=name, format="jpeg", known=False))


def profiled(profile: str, rgb: np.ndarray, format: str = "jpeg", **asked: object):
    """The report's rows and codes of one picture against one profile."""
    rules = replace(
        RULES,
        deliverables=tuple(
            replace(d, profiles=(profile,), **asked) if d.name == "packshot" else d
            for d in RULES.deliverables
        ),
    )
    report = report_on(
        encode(rgb, None, format),
        name=f"CH123_ModernDiningChair_Packshot_V1_{format.upper()}.jpg",
        format=format,
        rules=rules,
    )
    return {r.check: r.outcome for r in report.rows if r.profile == profile}, {
        c for c in codes(report) if c.startswith("profile.")
    }


def on_ground(size: tuple[int, int], fill: float, ground: int = 255) -> np.ndarray:
    height, width = size
    rgb = np.full((height, width, 3), ground, np.uint8)
    w, h = round(width * fill), round(height * fill)
    rgb[(height - h) // 2 : (height + h) // 2, (width - w) // 2 : (width + w) // 2] = (170, 40, 40)
    return rgb


def test_profiles_have_a_row_for_each_limit() -> None:
    rows, found = profiled("amazon-main", on_ground((1600, 1600), 0.88))
    assert found == set() and set(rows.values()) == {CheckOutcome.PASS}
    assert {"format", "min px (jpeg)", "background (jpeg)", "min fill (jpeg)"} <= set(rows)


@pytest.mark.parametrize(
    ("profile", "rgb", "format", "expected"),
    [
        ("amazon-main", on_ground((900, 900), 0.88), "jpeg", {"profile.too_small", "profile.below_advice"}),
        ("amazon-main", on_ground((1600, 1600), 0.5), "jpeg", {"profile.fill"}),
        ("google-merchant", on_ground((1600, 1600), 0.97), "jpeg", {"profile.fill"}),
        ("amazon-main", on_ground((1600, 1600), 0.88, 240), "jpeg", {"profile.background"}),
        ("amazon-main", on_ground((1600, 1600), 0.88), "webp", {"profile.format"}),
        ("social-portrait", on_ground((1400, 1400), 0.8), "jpeg", {"profile.aspect"}),
        ("web", on_ground((3000, 3000), 0.8), "jpeg", {"profile.too_large"}),
        (
            "web",
            np.random.default_rng(1).integers(0, 255, (900, 900, 3), np.uint8),
            "jpeg",
            {"profile.bytes"},
        ),
    ],
)
@pytest.mark.issue(param="expected")
def test_what_a_channel_would_refuse(profile: str, rgb: np.ndarray, format: str, expected: set[str]) -> None:
    assert profiled(profile, rgb, format)[1] == expected


@pytest.mark.issue("naming.pattern")
def test_names_say_what_they_should_be() -> None:
    found = [i for i in report_on(good(), name="chair_final_FINAL2.glb").issues if i.code == "naming.pattern"]
    assert "CH123_ModernDiningChair_V1_GLB" in found[0].message
    assert "naming.pattern" in codes(report_on(good(), name="chair.glb", known=False))
    assert "naming.pattern" not in codes(report_on(good(), known=False))


@pytest.mark.issue("label.lost")
def test_a_lost_label_is_an_error() -> None:
    assert "label.lost" in codes(report_on(write_glb(textured(box(0.4, 0.4, 0.3)), "CH123")))


def test_severities_of_the_admin_count() -> None:
    off = replace(
        RULES, checks=CheckRules(severities={"geometry.dimensions": "off", "naming.pattern": "info"})
    )
    report = report_on(
        good(), rules=off, name="x.glb", dimensions={"width": 41, "height": 48, "depth": 35, "unit": "cm"}
    )
    assert codes(report) == {"naming.pattern"} and not report.blocked


def test_pictures_with_a_lying_header_are_reported() -> None:
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    model = replace(ball(0.4), texture=bomb.getvalue())
    assert codes(report_on(write_glb(model, "CH123"))) & {"file.texture_size", "file.unreadable"}
