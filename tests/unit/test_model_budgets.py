"""Sizes of finished models: never larger than they came without a reason."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.glb_corpus import finish
from dam_connector.wiring import Services
from schemas.rules_loader import load_rules
from tests.support import ROOT
from tests.support import file_of as made
from tests.unit.glb_cases import png
from tests.unit.shapes import ball, unwrapped
from worker.checks import conformance
from worker.gltf.container import read_json
from worker.gltf.document import Document
from worker.gltf.mesh_compression import DRACO
from worker.gltf.rewriting import GlbRewriter
from worker.measuring.check_subject import CheckSubject
from worker.measuring.khronos_validator import validate_gltf
from worker.modeling.glb_export import write_glb
from worker.modeling.scene_packing import pack_scene
from worker.modeling.textured_mesh import TexturedMesh
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
