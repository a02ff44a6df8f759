"""Sizes of finished models: never larger than they came without a reason, and within a budget."""

import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.glb_corpus import finish
from dam_connector.domain.ids import AssetId, RunId, Sku, VersionId
from dam_connector.domain.issue import Report
from dam_connector.domain.rules import Deliverable, WebBudget
from dam_connector.domain.run import RunKind
from dam_connector.domain.version import WEB_PICTURE, ApprovedVersion, Asset, Role, Version, VersionState
from dam_connector.errors import ConfigError
from dam_connector.wiring import Services
from schemas.rules_loader import load_rules
from tests.support import ROOT
from tests.support import file_of as made
from tests.unit.glb_cases import png
from tests.unit.shapes import ball, unwrapped
from worker.checks import conformance, web_glb
from worker.gltf.container import read_json
from worker.gltf.document import Document
from worker.gltf.embedded_textures import read_textures
from worker.gltf.mesh_compression import DRACO
from worker.gltf.rewriting import GlbRewriter
from worker.measuring.check_subject import CheckSubject
from worker.measuring.khronos_validator import validate_gltf
from worker.measuring.look_comparison import compare_looks
from worker.modeling.glb_export import write_glb
from worker.modeling.glb_import import read_glb
from worker.modeling.scene_packing import pack_scene
from worker.modeling.simplify import simplify_mesh
from worker.modeling.textured_mesh import TexturedMesh
from worker.modeling.web_packing import write_web_glb
from worker.steps.optimise_model import LABEL_BYTES, SMALLER
from worker.work import Work

RULES = load_rules((ROOT / "plugin.json").read_text())
FLAT_NORMAL = png(np.full((8, 8, 3), (128, 128, 255), np.uint8))
SHADED = png(np.full((8, 8, 3), (200, 90, 0), np.uint8))


def file_of(done: tuple[Work, Services], kind: str) -> bytes:
    work, services = done
    return services.blobs.get(next(f.sha256 for f in work.files if f.format == kind))


def packed_ball() -> bytes:
    return pack_scene(write_glb(ball(), "x"))


def bumpy() -> TexturedMesh:
    maps = {"normal": FLAT_NORMAL, "metallic_roughness": SHADED, "occlusion": SHADED}
    return replace(unwrapped(ball()), texture=FLAT_NORMAL, maps=maps)


def without_tangents(glb: bytes) -> bytes:
    rewriter = GlbRewriter(glb)
    rewriter.json["asset"]["generator"] = "studio"
    del rewriter.json["meshes"][0]["primitives"][0]["attributes"]["TANGENT"]
    return rewriter.finish()


def test_a_draco_model_is_no_larger_than_it_came() -> None:
    came = packed_ball()
    done = finish(came)
    glb = file_of(done, "glb")
    assert len(glb) < len(came) + LABEL_BYTES < len(write_glb(ball(), "x"))
    assert DRACO in read_json(glb)["extensionsRequired"]
    assert done[0].facts["kept_as_it_is"] == SMALLER and "model.larger" not in codes(done)
    assert done[0].facts["triangles"] == 1280


@pytest.mark.issue("model.larger")
def test_a_model_that_few_viewers_read_is_written_anew_and_its_growth_is_named() -> None:
    rewriter = GlbRewriter(packed_ball())
    rewriter.use_extension("KHR_mesh_quantization", required=True)
    done = finish(rewriter.finish())
    found = next(i for i in done[0].issues if i.code == "model.larger")
    assert "KHR_mesh_quantization" in found.message
    assert "extensionsRequired" not in read_json(file_of(done, "glb"))


def test_a_compressed_model_over_its_budget_is_written_anew() -> None:
    done = finish(packed_ball(), max_triangles=600)
    assert sum(len(p.faces) for p in Document(file_of(done, "glb")).primitives) <= 600
    assert "kept_as_it_is" not in done[0].facts


def test_a_picture_of_two_uses_is_stored_once() -> None:
    document = read_json(write_glb(bumpy(), "x"))
    material = document["materials"][0]
    assert len(document["images"]) == len(document["textures"]) == 2
    shared = material["pbrMetallicRoughness"]["metallicRoughnessTexture"]["index"]
    assert material["occlusionTexture"]["index"] == shared


def test_a_web_glb_is_without_the_tangents_that_we_computed() -> None:
    came = without_tangents(write_glb(bumpy(), "x"))
    done = finish(came)
    glb, web = file_of(done, "glb"), file_of(done, "web")
    assert "TANGENT" in read_json(glb)["meshes"][0]["primitives"][0]["attributes"]
    packed = read_json(web)["meshes"][0]["primitives"][0]
    assert "TANGENT" not in packed["attributes"] and DRACO in packed["extensions"]
    assert "TANGENT_SPACE" in str(validate_gltf(web)["issues"]["messages"])
    files = {kind: made(data, f"a1.{kind}", kind) for kind, data in (("glb", glb), ("web", web))}
    subject = CheckSubject(
        product=None,
        deliverable=None,
        slot=1,
        number=1,
        files=tuple(files.values()),
        read=lambda file: glb if file.format == "glb" else web,
    )
    assert not list(conformance.check(subject, RULES))


def test_a_web_glb_is_never_larger_than_the_plain_one() -> None:
    rewriter = GlbRewriter(packed_ball())
    done = finish(rewriter.finish())
    assert len(file_of(done, "web")) <= len(file_of(done, "glb"))


def codes(done: tuple[Work, Services]) -> set[str]:
    return {i.code for i in done[0].issues}


NOISE = np.random.default_rng(1).integers(0, 255, (128, 128, 3), np.uint8)


def busy() -> bytes:
    """A ball with a picture of 512 px in fine detail, 1,280 triangles."""
    picture = png(np.kron(NOISE, np.ones((4, 4, 1), np.uint8)))
    return write_glb(replace(unwrapped(ball()), texture=picture), "x")


def with_budget(glb: bytes, **limits: Any) -> tuple[Work, Services]:
    return finish(glb, web_budget=WebBudget(**limits))


def test_a_budget_is_reached_in_steps_and_shown() -> None:
    full = finish(busy())
    size = len(file_of(full, "web"))
    done = with_budget(busy(), max_bytes=size * 4 // 5, min_ssim=0.5)
    web = file_of(done, "web")
    work, services = done
    assert len(web) <= size * 4 // 5 and not work.issues
    assert "512 px" in str(work.facts["web_steps"]) and "256 px" in str(work.facts["web_steps"])
    assert 0.5 <= float(work.facts["web_ssim"] or 0) < 1
    shown = next(f for f in work.files if f.role is Role.EVIDENCE)
    picture = Image.open(io.BytesIO(services.blobs.get(shown.sha256)))
    assert shown.view == WEB_PICTURE and picture.size == (960, 320)
    assert not [f for f in full[0].files if f.role is Role.EVIDENCE]


def test_triangles_and_textures_have_budgets_of_their_own() -> None:
    plain = write_glb(ball(), "x")
    done = with_budget(plain, max_triangles=700)
    web = Document(file_of(done, "web"))
    assert 500 < sum(len(p.faces) for p in web.primitives) <= 700 and not done[0].issues
    assert sum(len(p.faces) for p in Document(file_of(done, "glb")).primitives) == 1280
    web = Document(file_of(with_budget(busy(), texture_px=256, min_ssim=0.5), "web"))
    assert [max(t.width, t.height) for t in read_textures(web)] == [256]
    assert sum(len(p.faces) for p in web.primitives) == 1280


def test_a_scene_is_brought_within_a_budget_too() -> None:
    rewriter = GlbRewriter(busy())
    rewriter.json["materials"][0]["doubleSided"] = True
    done = with_budget(rewriter.finish(), texture_px=256, min_ssim=0.5)
    web = Document(file_of(done, "web"))
    assert web.json["materials"][0]["doubleSided"] and not done[0].issues
    assert [max(t.width, t.height) for t in read_textures(web)] == [256]


def test_a_budget_that_is_met_changes_nothing() -> None:
    done = with_budget(busy(), max_bytes=10_000_000)
    assert file_of(done, "web") == file_of(finish(busy()), "web")
    assert done[0].facts["web_steps"] == "Packed"


@pytest.mark.issue("web.over_budget")
def test_no_step_changes_the_look_more_than_allowed() -> None:
    done = with_budget(busy(), max_bytes=10_000, min_ssim=0.999)
    found = next(i for i in done[0].issues if i.code == "web.over_budget")
    assert "SSIM of 0." in found.message and found.limit == "10,000 bytes"
    assert len(file_of(done, "web")) == len(file_of(finish(busy()), "web"))


def test_the_check_takes_fewer_triangles_only_within_a_budget() -> None:
    glb, web = busy(), write_web_glb(simplify_mesh(read_glb(busy()), 700), "x")
    files = (made(glb, "a1.glb", "glb"), made(web, "a1.web.glb", "web"))
    for budget, found in ((None, {"web.differs"}), (WebBudget(max_triangles=700), set())):
        deliverable = Deliverable(name="model", kind=RunKind.MODEL, web_budget=budget)
        subject = CheckSubject(
            product=None,
            deliverable=deliverable,
            slot=1,
            number=1,
            files=files,
            read=lambda file: glb if file.format == "glb" else web,
        )
        assert {i.code for i in web_glb.check(subject, RULES)} == found


def test_a_budget_in_plugin_json() -> None:
    rules = json.loads((ROOT / "plugin.json").read_text())
    model = next(d for d in rules["deliverables"] if d["kind"] == "model")
    model["web_budget"] = {"max_bytes": 500_000}
    assert load_rules(json.dumps(rules)).deliverable("model").web_budget == WebBudget(max_bytes=500_000)
    for wrong, said in (
        ({"web_budget": {"min_ssim": 0.9}}, "at least one"),
        ({"web_budget": {"texture_px": 300}}, "texture_px"),
        ({"formats": ["glb"]}, "for the format web"),
    ):
        model_of = [{**d, **wrong} if d is model else d for d in rules["deliverables"]]
        with pytest.raises(ConfigError, match=said):
            load_rules(json.dumps({**rules, "deliverables": model_of}))


def test_a_triangle_without_area_may_be_missing_in_the_web_glb() -> None:
    model = unwrapped(ball())
    model = replace(model, faces=np.vstack([model.faces, [[0, 0, 1]]]).astype(np.uint32))
    files = {"glb": write_glb(model, "x"), "web": write_web_glb(model, "x")}
    subject = CheckSubject(
        product=None,
        deliverable=None,
        slot=1,
        number=1,
        files=tuple(made(data, f"a1.{kind}", kind) for kind, data in files.items()),
        read=lambda file: files[file.format],
    )
    assert not list(web_glb.check(subject, RULES))
    assert subject.facts["web_triangles"] == len(model.faces) - 1


def test_normals_without_a_length_are_not_packed_and_look_alike() -> None:
    rewriter = GlbRewriter(write_glb(ball(), "x"))
    primitive = rewriter.json["meshes"][0]["primitives"][0]
    accessor = rewriter.json["accessors"][primitive["attributes"]["NORMAL"]]
    normals = np.zeros((accessor["count"], 3), np.float32)
    normals[::2] = (0, 1, 0)
    accessor |= {"bufferView": rewriter.add_view(normals.tobytes(), 34962), "byteOffset": 0}
    done = finish(rewriter.finish())
    plain, web = (read_glb(file_of(done, kind)) for kind in ("glb", "web"))
    assert min(compare_looks(plain, web).values()) > 0.99
    assert DRACO in read_json(file_of(finish(write_glb(ball(), "x")), "web"))["extensionsRequired"]


def test_a_model_whose_triangles_have_no_area_stays_unpacked() -> None:
    rewriter = GlbRewriter(write_glb(ball(), "x"))
    rewriter.json["nodes"][0]["scale"] = [0, 0, 0]
    nothing = rewriter.finish()
    for done in (finish(nothing), with_budget(nothing, max_bytes=1000)):
        assert "extensionsRequired" not in read_json(file_of(done, "web"))
    flat = write_glb(replace(ball(), positions=np.zeros_like(ball().positions)), "x")
    assert pack_scene(flat) == flat


def test_each_channel_has_a_glb_within_its_budget() -> None:
    budgets = {
        "shop": WebBudget(texture_px=256, min_ssim=0.5, geometry="plain", textures="plain"),
        "viewer": WebBudget(max_bytes=10_000_000),
    }
    work, services = finish(busy(), budgets=budgets)
    files = {f.view: services.blobs.get(f.sha256) for f in work.files if f.role is Role.CHANNEL}
    assert set(files) == {"shop", "viewer"} and not work.issues
    shop, viewer = (Document(files[name]) for name in ("shop", "viewer"))
    assert "extensionsRequired" not in shop.json and DRACO in viewer.json["extensionsRequired"]
    assert [max(t.width, t.height) for t in read_textures(shop)] == [256]
    assert [max(t.width, t.height) for t in read_textures(viewer)] == [512]
    assert len(files["viewer"]) < len(file_of((work, services), "glb"))
    views = [f.view for f in work.files if f.role is Role.EVIDENCE]
    assert views == [f"{WEB_PICTURE}-shop", f"{WEB_PICTURE}-viewer"]
    assert work.facts["web_steps_viewer"] and work.facts["web_ssim_shop"]


def test_a_channel_gets_its_own_glb_and_no_other() -> None:
    files = (
        made(b"plain", "a.glb", "glb"),
        made(b"web", "a_web.glb", "web"),
        replace(made(b"shop", "a_web_shop.glb", "web", Role.CHANNEL), view="shop"),
    )
    version = replace(approved_version(), files=files)
    assert version.file("web") == files[1]
    assert [f.name for f in version.for_channel("viewer").files] == ["a.glb", "a_web.glb"]
    own = version.for_channel("shop")
    assert [f.name for f in own.files] == ["a.glb", "a_web_shop.glb"] and own.file("web") == own.files[1]
    hashes = {f.name: f.sha256 for f in files}
    pinned = ApprovedVersion(version=version, files_sha256=hashes, approved_by="ann").for_channel("shop")
    assert set(pinned.files_sha256) == {"a.glb", "a_web_shop.glb"}


def approved_version() -> Version:
    """Return an approved version of a model, without files."""
    asset = Asset(id=AssetId("a"), sku=Sku("A1"), deliverable="model", slot=1, kind="model")
    return Version(
        id=VersionId("v"),
        asset=asset,
        number=1,
        state=VersionState.APPROVED,
        run_id=RunId("r"),
        files=(),
        report=Report(),
        provenance={},
        rules_fingerprint="",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
