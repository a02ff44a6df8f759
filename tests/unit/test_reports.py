"""Reports: what they hold, how they read, what their checklist answers."""

import io
import json
import xml.etree.ElementTree as ET
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest
from pxr import Sdf, Usd, UsdGeom, UsdShade, UsdUtils

from dam_connector.domain.checklist import SIZE_OFF, ChecklistAnswer, checklist_answers
from dam_connector.domain.issue import CheckOutcome, Issue, Report, ReportRow, Waiver, issue
from dam_connector.domain.report_text import report_junit, report_markdown
from schemas.report import json_schema, report_json
from tests.unit.shapes import box, unwrapped
from tests.unit.test_checks import RULES, TEXTURE, report_on
from worker.modeling.glb_export import write_glb
from worker.modeling.usdz_export import write_usdz

MODEL = replace(unwrapped(box(0.4, 0.4, 0.3)), texture=TEXTURE)
HELD = replace(
    RULES,
    deliverables=tuple(
        replace(d, profiles=("khronos-banner",)) if d.name == "model" else d for d in RULES.deliverables
    ),
)


@pytest.fixture(scope="module")
def report() -> Report:
    """A model that is too wide, its name is none that its profile takes, and its base colour map is too small
    for another profile.
    """
    data = write_glb(MODEL, "CH123", {"sku": "CH123"})
    return report_on(data, rules=HELD, dimensions={"width": 48, "height": 40, "depth": 30, "unit": "cm"})


def test_markdown_has_the_verdict_the_findings_and_the_matrix(report: Report) -> None:
    text = report_markdown(report, "chair.glb")
    assert "# chair.glb" in text and "Blocked: it has errors." in text
    assert "| error | `geometry.dimensions` | /dimensions/width |" in text and "**khronos-banner**" in text
    assert "| Are the proportions close to the real product? | **no** |" in text
    cells = {
        line.count(" | ")
        for line in text.split("## Profiles")[1].splitlines()
        if line.startswith("|") and "---" not in line
    }
    assert len(cells) == 1
    broken = replace(report, issues=(issue("file.unreadable", "a | b\n<script>"),))
    assert "a \\| b &lt;script>" in report_markdown(broken, "x")


def test_junit_fails_where_errors_are_and_only_for_profiles_that_must_be_satisfied(report: Report) -> None:
    root = ET.fromstring(report_junit(report, "chair.glb"))
    suites = {s.get("name"): s for s in root}
    assert set(suites) == {"checks", "khronos-banner"}
    failed = {c.get("name") for c in suites["checks"] if c.find("failure") is not None}
    assert failed == {"dimensions"} and suites["checks"].get("failures") == "1"
    skipped = {c.get("name") for c in suites["checks"] if c.find("skipped") is not None}
    assert (
        "usdz" in skipped
        and "likeness" in skipped
        and int(suites["checks"].get("tests") or 0) == len(suites["checks"])
    )
    assert (
        report_junit(replace(report, issues=(issue("file.unreadable", "bell \x07"),)), "x").isprintable()
        is False
    )  # line breaks only
    assert "\x07" not in report_junit(
        replace(report, issues=(issue("geometry.dimensions", "bell \x07"),)), "x"
    )


def test_json_is_what_its_schema_says(report: Report) -> None:
    told = json.loads(report_json(report, "chair.glb"))
    jsonschema.validate(told, json_schema())
    assert (
        told["blocked"]
        and told["issues"][0]["remedy"]
        and told["held_to"] == ["khronos-banner"]
        and len(told["answers"]) == 6
    )
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**told, "verdict": "fine"}, json_schema())


def test_the_checklist_is_answered_by_evidence(report: Report) -> None:
    told = {a.question.split()[-1]: a for a in checklist_answers(report)}
    assert told["product?"].outcome is CheckOutcome.FAIL and "0.400 m" in told["product?"].evidence
    assert told["correct?"].outcome is CheckOutcome.PASS and told["mobile?"].outcome is CheckOutcome.PASS
    assert told["image?"].outcome is CheckOutcome.NOT_TESTED  # there is no photo
    assert told["version?"].outcome is CheckOutcome.NOT_TESTED and "reviewer" in told["version?"].evidence
    assert checklist_answers(Report()) == ()


def compared_with_front(*issues: Issue, **facts: object) -> dict[str, ChecklistAnswer]:
    """Return the answers, by their last word, on a model whose measures are all good."""
    front = ReportRow(
        check="likeness to front",
        outcome=CheckOutcome.PASS,
        measured="outline 98.0 %, proportions +0.4 %, colour 3.1",
    )
    size = ReportRow(check=SIZE_OFF, outcome=CheckOutcome.PASS, profile="p", measured="0.1 %")
    mesh = ReportRow(check="geometry", outcome=CheckOutcome.PASS)
    rows = (mesh, size) if facts.pop("unseen", False) else (mesh, size, front)
    told = checklist_answers(Report(issues=issues, rows=rows, facts={"family": "hull", **facts}))
    return {a.question.split()[-1]: a for a in told}


DOUBTFUL = [
    issue("model.low_confidence", "The depth is guessed.", measured=0.1, limit=0.5),
    issue("model.below_threshold", "No other made it.", measured=0.6, limit=0.8),
    issue("model.views_disagree", "The outlines differ.", measured="12 %", limit="5 %"),
    issue("model.spin_unused", "No camera explains the frames."),
    issue("model.walk_unused", "The ground was not found."),
]


@pytest.mark.parametrize("doubt", DOUBTFUL, ids=lambda i: i.code)
def test_a_doubtful_model_gets_no_plain_yes_about_its_look(doubt: Issue) -> None:
    told, sure = compared_with_front(doubt), compared_with_front()
    for last in ("image?", "product?"):
        assert sure[last].outcome is CheckOutcome.PASS and "likeness to" in sure[last].evidence
        assert told[last].outcome is CheckOutcome.NOT_TESTED, last
        assert told[last].evidence.startswith("Look at it yourself: "), last
    colour = next(a for a in checklist_of(doubt) if "colour" in a.question)
    assert colour.outcome is CheckOutcome.NOT_TESTED and "Look at it yourself" in colour.evidence
    if doubt.code == "model.low_confidence":
        assert "Model probably good: 10 %; at least 50 % is wanted" in told["image?"].evidence


def checklist_of(*issues: Issue) -> tuple[ChecklistAnswer, ...]:
    row = ReportRow(check="likeness to front", outcome=CheckOutcome.PASS, measured="colour 3.1")
    mesh = ReportRow(check="geometry", outcome=CheckOutcome.PASS)
    return checklist_answers(Report(issues=issues, rows=(mesh, row)))


def test_proportions_of_a_stretched_model_are_wrong_and_without_a_size_open() -> None:
    stretched = compared_with_front(issue("model.part_lost", "Stretched.", measured="260 %", limit="5 %"))
    assert stretched["product?"].outcome is CheckOutcome.FAIL and "260 %" in stretched["product?"].evidence
    guessed = compared_with_front(issue("model.dimensions_missing", "Guessed: depth."))
    assert guessed["product?"].outcome is CheckOutcome.NOT_TESTED
    assert guessed["image?"].outcome is CheckOutcome.PASS


def test_a_model_of_frames_says_that_nothing_was_compared_with_them() -> None:
    told = compared_with_front(spin_frames=24, unseen=True)
    for last in ("image?", "product?"):
        assert told[last].outcome is CheckOutcome.NOT_TESTED, last
        assert "no check lays the model over the 24 frames of the spin" in told[last].evidence
    walked = compared_with_front(DOUBTFUL[0], walk_photos=32, unseen=True)
    assert (
        "The shape is" in walked["image?"].evidence and "32 photos of the walk" in walked["image?"].evidence
    )


def test_a_waiver_ends() -> None:
    day = datetime(2026, 12, 1, tzinfo=UTC)
    found = Report(
        issues=(issue("geometry.dimensions", "wide"),),
        waivers=(Waiver(code="geometry.dimensions", by="ada", reason="sample", until=day),),
    )
    assert not found.blocked and not found.errors(day.replace(month=11)) and found.errors(day.replace(day=2))
    assert not replace(
        found, waivers=(Waiver(code="geometry.dimensions", by="ada", reason="sample"),)
    ).errors(day)


def unbind_material(stage: Usd.Stage) -> None:
    """Bind the material without the schema that says so."""
    mesh = stage.GetPrimAtPath("/Product/Mesh")
    UsdShade.MaterialBindingAPI(mesh).UnbindAllBindings()
    mesh.RemoveAPI(UsdShade.MaterialBindingAPI)
    mesh.CreateRelationship("material:binding").SetTargets(["/Product/Material"])


def add_unscaled_normal_map(stage: Usd.Stage) -> None:
    """Add a normal map whose values are not scaled to -1 ... 1, which OpenUSD warns of."""
    shaders = [UsdShade.Shader(p) for p in Usd.PrimRange(stage.GetPrimAtPath("/Product/Material"))]
    by_kind = {s.GetIdAttr().Get(): s for s in shaders if s}
    normal_map = UsdShade.Shader.Define(stage, "/Product/Material/NormalMap")
    normal_map.CreateIdAttr("UsdUVTexture")
    colour_file = by_kind["UsdUVTexture"].GetInput("file").Get()
    normal_map.CreateInput("file", Sdf.ValueTypeNames.Asset).Set(colour_file)
    normal_map.CreateInput("sourceColorSpace", Sdf.ValueTypeNames.Token).Set("raw")
    normal_map.CreateInput("scale", Sdf.ValueTypeNames.Float4).Set((1, 1, 1, 1))
    normal_map.CreateInput("bias", Sdf.ValueTypeNames.Float4).Set((-1, -1, -1, 0))
    normal_map.CreateOutput("rgb", Sdf.ValueTypeNames.Float3)
    normal = by_kind["UsdPreviewSurface"].CreateInput("normal", Sdf.ValueTypeNames.Normal3f)
    normal.ConnectToSource(normal_map.ConnectableAPI(), "rgb")


def damage_textures(folder: Path) -> None:
    for path in (p for p in folder.rglob("*") if p.suffix in (".jpg", ".png")):
        path.write_bytes(b"\xff\xd8\xff no picture")


@pytest.mark.issue("usdz.axis", "usdz.differs", "usdz.stage", "usdz.texture", "usdz.advice")
def test_the_usdz_is_opened_measured_and_validated(tmp_path) -> None:
    def found(data: bytes) -> set[str]:
        from tests.support import file_of, product
        from worker.checks import CheckSubject, run_checks

        glb = write_glb(MODEL, "CH123", {"sku": "CH123"})
        files = (
            file_of(glb, "CH123_ModernDiningChair_V1_GLB.glb", "glb"),
            file_of(data, "CH123_ModernDiningChair_V1_USDZ.usdz", "usdz"),
        )
        subject = CheckSubject(
            product=product(),
            deliverable=RULES.deliverable("model"),
            slot=1,
            number=1,
            files=files,
            read=lambda f: data if f.format == "usdz" else glb,
        )
        return {i.code for i in run_checks(subject, RULES).issues}

    def changed(how) -> bytes:
        with zipfile.ZipFile(io.BytesIO(write_usdz(MODEL, "CH123"))) as package:
            package.extractall(tmp_path)
        layer, out = tmp_path / "model.usdc", tmp_path / "out.usdz"
        stage = Usd.Stage.Open(str(layer))
        stage.Reload()
        how(stage)
        stage.Save()
        assert UsdUtils.CreateNewUsdzPackage(str(layer), str(out))
        return out.read_bytes()

    assert found(write_usdz(MODEL, "CH123")) == set()
    assert "usdz.axis" in found(changed(lambda s: UsdGeom.SetStageUpAxis(s, UsdGeom.Tokens.z)))
    assert "usdz.differs" in found(changed(lambda s: UsdGeom.SetStageMetersPerUnit(s, 0.01)))
    assert "usdz.stage" in found(changed(lambda s: s.ClearDefaultPrim()))
    assert "usdz.texture" in found(changed(lambda _: damage_textures(tmp_path)))
    assert "usdz.stage" in found(changed(unbind_material))
    assert "usdz.advice" in found(changed(add_unscaled_normal_map))
