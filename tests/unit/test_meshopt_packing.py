"""GLBs whose triangles are meshopt streams: all attributes, the same look, and smaller."""

import json
from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.glb_corpus import finish
from dam_connector.domain.rules import WebBudget
from dam_connector.domain.version import Role
from dam_connector.errors import ConfigError
from schemas.rules_loader import load_rules
from tests.support import ROOT
from tests.unit.glb_cases import chair, floats, primitive
from tests.unit.shapes import ball, unwrapped
from worker.gltf.container import read_json
from worker.gltf.document import Document
from worker.gltf.mesh_compression import DRACO, MESHOPT, decode_meshopt, encode_meshopt
from worker.gltf.rewriting import GlbRewriter
from worker.measuring.khronos_validator import validate_gltf
from worker.measuring.look_comparison import compare_looks
from worker.modeling.glb_export import write_glb
from worker.modeling.glb_import import read_glb
from worker.modeling.scene_finishing import without_meshopt
from worker.modeling.scene_packing import pack_scene


def plain_ball() -> GlbRewriter:
    return GlbRewriter(write_glb(unwrapped(ball()), "x"))


def count_of(made: GlbRewriter) -> int:
    return int(made.json["accessors"][primitive(made)["attributes"]["POSITION"]]["count"])


def coloured() -> bytes:
    """A ball with vertex colours of 3 bytes each, which no stride of 4 bytes divides."""
    made = plain_ball()
    values = np.random.default_rng(1).integers(0, 255, (count_of(made), 3)).astype(np.uint8)
    view = made.add_view(np.pad(values, ((0, 0), (0, 1))).tobytes(), 34962)
    made.json["bufferViews"][view]["byteStride"] = 4
    accessor = {
        "bufferView": view,
        "componentType": 5121,
        "normalized": True,
        "count": len(values),
        "type": "VEC3",
    }
    primitive(made)["attributes"]["COLOR_0"] = made.add_row("accessors", accessor)
    return made.finish()


def morphed() -> bytes:
    """A ball that its default weight makes twice as high."""
    made = plain_ball()
    positions = read_glb(write_glb(unwrapped(ball()), "x")).positions
    assert len(positions) == count_of(made)
    primitive(made)["targets"] = [{"POSITION": floats(made, positions * [0, 1, 0], "VEC3")}]
    made.json["meshes"][0]["weights"] = [1.0]
    return made.finish()


def shared() -> bytes:
    """Two primitives over the same vertices, each with half of the triangles."""
    made = plain_ball()
    first = primitive(made)
    corners = Document(made.finish()).stored_accessor(first["indices"], "").astype(np.uint32)
    made = plain_ball()
    halves = []
    for half in np.array_split(corners.reshape(-1, 3), 2):
        view = made.add_view(half.tobytes(), 34963)
        row = {"bufferView": view, "componentType": 5125, "count": half.size, "type": "SCALAR"}
        halves.append({**primitive(made), "indices": made.add_row("accessors", row)})
    made.json["meshes"][0]["primitives"] = halves
    return made.finish()


def without_indices() -> bytes:
    made = chair()
    del primitive(made)["indices"]
    return made.finish()


@pytest.mark.parametrize("make", [coloured, morphed, shared, lambda: plain_ball().finish()])
def test_a_packed_glb_is_smaller_sound_and_looks_the_same(make: Callable[[], bytes]) -> None:
    plain = make()
    packed = pack_scene(plain, geometry="meshopt")
    document = read_json(packed)
    assert MESHOPT in document["extensionsRequired"] and len(packed) < 0.75 * len(plain)
    found = validate_gltf(packed)["issues"]
    assert not found["numErrors"]
    before, after = Document(plain).primitives, Document(packed).primitives
    assert [len(p.faces) for p in before] == [len(p.faces) for p in after]
    assert min(compare_looks(read_glb(plain), read_glb(packed)).values()) > 0.97
    decoded = without_meshopt(packed)
    assert "extensionsRequired" not in read_json(decoded)
    issues = validate_gltf(decoded)["issues"]
    assert not issues["numErrors"], issues["messages"]


def test_vertex_colours_stay_bit_for_bit() -> None:
    plain, packed = (Document(data) for data in (coloured(), pack_scene(coloured(), geometry="meshopt")))

    def corners(document: Document) -> set[tuple[float, ...]]:
        (found,) = document.primitives
        assert found.colors is not None
        rows = np.hstack([found.positions[found.faces].mean(1).round(3), found.colors[found.faces].sum(1)])
        return {tuple(row[3:].round(6)) for row in rows}

    assert corners(plain) == corners(packed)


def test_what_streams_cannot_hold_stays_as_it_is() -> None:
    for plain in (without_indices(), chair().finish()):
        packed = pack_scene(plain, geometry="meshopt")
        assert Document(packed).primitives[0].faces.tolist() == Document(plain).primitives[0].faces.tolist()
    draco = pack_scene(plain_ball().finish())
    assert MESHOPT not in read_json(pack_scene(draco, geometry="meshopt"))["extensionsRequired"]


def test_streams_are_read_by_the_decoder_of_the_library() -> None:
    rows = np.random.default_rng(0).integers(0, 255, (500, 12)).astype(np.uint8).tobytes()
    stream = encode_meshopt(rows, 12, "ATTRIBUTES")
    assert decode_meshopt(stream, 500, 12, "ATTRIBUTES", "NONE", "") == rows
    values = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32)
    stream = encode_meshopt(values.tobytes(), 12, "ATTRIBUTES", 15)
    decoded = np.frombuffer(decode_meshopt(stream, 500, 12, "ATTRIBUTES", "EXPONENTIAL", ""), np.float32)
    assert np.abs(decoded.reshape(-1, 3) - values).max() < np.abs(values).max() / 8000


def test_a_channel_may_have_meshopt() -> None:
    work, services = finish(morphed(), budgets={"app": WebBudget(geometry="meshopt")})
    glb, app = (
        services.blobs.get(next(f.sha256 for f in work.files if (f.format, f.role) == wanted))
        for wanted in (("glb", Role.PRIMARY), ("web", Role.CHANNEL))
    )
    assert MESHOPT in read_json(app)["extensionsRequired"] and len(app) < len(glb)
    assert work.facts["web_ssim_app"] > 0.97


def test_meshopt_is_for_channels_alone() -> None:
    rules = json.loads((ROOT / "plugin.json").read_text())
    model = next(d for d in rules["deliverables"] if d["kind"] == "model")
    channel = model["channels"][0]
    model["budgets"] = {channel: {"geometry": "meshopt"}}
    found = load_rules(json.dumps(rules)).deliverable("model").budgets[channel]
    assert (found.geometry, found.textures) == ("meshopt", "webp")
    model["web_budget"] = {"geometry": "meshopt"}
    with pytest.raises(ConfigError, match="geometry"):
        load_rules(json.dumps(rules))


def test_a_draco_glb_has_no_stream_of_meshopt() -> None:
    assert read_json(pack_scene(plain_ball().finish()))["extensionsRequired"] == [DRACO]
