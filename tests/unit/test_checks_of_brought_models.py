"""Checks of models that were made elsewhere, and what is said about the files made from them."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pxr import Sdf, Usd, UsdGeom, UsdUtils

from benchmarks.glb_corpus import finish
from dam_connector.domain.issue import CheckOutcome
from dam_connector.domain.product import Dimensions
from tests.support import file_of
from tests.unit import glb_cases as made
from tests.unit.glb_cases import SIZE
from tests.unit.shapes import box
from tests.unit.test_checks import RULES, codes, report_on
from worker.gltf.document import Document
from worker.gltf.features import unknown_required_extensions
from worker.gltf.rewriting import GlbRewriter
from worker.measuring.check_subject import CheckSubject
from worker.measuring.glb_measures import glb_measurements
from worker.measuring.product_size import size_difference
from worker.steps import render_previews as render_previews_file
from worker.steps.fit_dimensions import find_placement
from worker.steps.make_lods import make_lods


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
