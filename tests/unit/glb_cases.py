"""GLBs with something that one mesh with one opaque material cannot hold: a box of a chair's size each."""

import base64
import io
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from tests.unit.shapes import box, unwrapped
from worker.gltf.rewriting import GlbRewriter
from worker.modeling.glb_export import write_glb

SIZE = (0.46, 0.85, 0.49)  # metres
RED_BLUE = np.kron([[[200, 60, 50], [50, 90, 200]]], np.ones((16, 8, 1))).astype(np.uint8)


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def chair(scale: float = 1.0) -> GlbRewriter:
    """A box with a plain material, each face with its own place in the texture."""
    model = unwrapped(box(*(scale * side for side in SIZE)))
    rewriter = GlbRewriter(write_glb(model, "chair"))
    rewriter.json["materials"] = [{"pbrMetallicRoughness": {"metallicFactor": 0}}]
    primitive(rewriter)["attributes"]["TEXCOORD_0"] = floats(rewriter, model.uvs, "VEC2")
    return rewriter


def primitive(rewriter: GlbRewriter) -> dict[str, Any]:
    found: dict[str, Any] = rewriter.json["meshes"][0]["primitives"][0]
    return found


def material(rewriter: GlbRewriter) -> dict[str, Any]:
    found: dict[str, Any] = rewriter.json["materials"][0]
    return found


def floats(rewriter: GlbRewriter, values: np.ndarray, kind: str) -> int:
    """Add an accessor of floats; return its index."""
    view = rewriter.add_view(np.ascontiguousarray(values, np.float32).tobytes())
    return rewriter.add_row(
        "accessors", {"bufferView": view, "componentType": 5126, "count": len(values), "type": kind}
    )


def add_texture(rewriter: GlbRewriter, data: bytes, mime: str = "image/png", **row: object) -> int:
    """Add a texture; return its index."""
    image = rewriter.add_row("images", {"bufferView": rewriter.add_view(data), "mimeType": mime})
    return rewriter.add_row("textures", row or {"source": image})


def textured_with(rewriter: GlbRewriter, data: bytes) -> GlbRewriter:
    material(rewriter)["pbrMetallicRoughness"]["baseColorTexture"] = {"index": add_texture(rewriter, data)}
    return rewriter


def blend_factor() -> bytes:
    made = chair()
    material(made)["alphaMode"] = "BLEND"
    material(made)["pbrMetallicRoughness"]["baseColorFactor"] = [0.8, 0.9, 1, 0.25]
    return made.finish()


def mask_texture() -> bytes:
    alpha = np.dstack([RED_BLUE, np.where(RED_BLUE[..., 0] > 100, 0, 255).astype(np.uint8)])
    made = textured_with(chair(), png(alpha))
    material(made).update(alphaMode="MASK", alphaCutoff=0.5)
    return made.finish()


def transmission() -> bytes:
    made = chair()
    material(made)["extensions"] = {"KHR_materials_transmission": {"transmissionFactor": 1}}
    made.use_extension("KHR_materials_transmission")
    return made.finish()


def vertex_colours() -> bytes:
    made = chair()
    count = made.json["accessors"][0]["count"]
    primitive(made)["attributes"]["COLOR_0"] = floats(made, np.tile([1, 0.1, 0.05, 1], (count, 1)), "VEC4")
    return made.finish()


def varying_colours() -> bytes:
    made = chair()
    colors = np.ones((made.json["accessors"][0]["count"], 4))
    colors[::2, 1:3] = 0
    primitive(made)["attributes"]["COLOR_0"] = floats(made, colors, "VEC4")
    return made.finish()


def repeat_texture() -> bytes:
    made = textured_with(chair(), png(RED_BLUE))
    count = made.json["accessors"][0]["count"]
    uvs = np.random.default_rng(1).random((count, 2)) * 3.95
    primitive(made)["attributes"]["TEXCOORD_0"] = floats(made, uvs, "VEC2")
    return made.finish()


def factor_times_texture() -> bytes:
    made = textured_with(chair(), png(np.full((16, 16, 3), 255, np.uint8)))
    material(made)["pbrMetallicRoughness"]["baseColorFactor"] = [0.1, 0.1, 0.1, 1]
    return made.finish()


def data_uri_image() -> bytes:
    made = chair()
    uri = "data:image/png;base64," + base64.b64encode(png(RED_BLUE)).decode()
    texture = made.add_row("textures", {"source": made.add_row("images", {"uri": uri})})
    material(made)["pbrMetallicRoughness"]["baseColorTexture"] = {"index": texture}
    return made.finish()


def ktx2_only() -> bytes:
    made = chair()
    head = b"\xabKTX 20\xbb\r\n\x1a\n" + np.array([0, 1, 16, 16, 0, 0, 1, 1, 1], "<u4").tobytes()
    row = {"extensions": {"KHR_texture_basisu": {"source": 0}}}
    texture = add_texture(made, head.ljust(120, b"\0"), "image/ktx2", **row)
    material(made)["pbrMetallicRoughness"]["baseColorTexture"] = {"index": texture}
    made.use_extension("KHR_texture_basisu", required=True)
    return made.finish()


def texture_grey16() -> bytes:
    return textured_with(chair(), png(np.full((16, 16), 20000, np.uint16))).finish()


def emissive_zero_and_texture() -> bytes:
    made = chair()
    material(made)["emissiveTexture"] = {"index": add_texture(made, png(RED_BLUE))}
    return made.finish()


def emissive_factor() -> bytes:
    made = chair()
    material(made)["emissiveFactor"] = [0.5, 0.25, 0]
    return made.finish()


def normal_scale_and_occlusion_strength() -> bytes:
    made = textured_with(chair(), png(RED_BLUE))
    tilted = np.full((16, 16, 3), (178, 128, 245), np.uint8)
    material(made)["normalTexture"] = {"index": add_texture(made, png(tilted)), "scale": 0.5}
    dark = np.full((16, 16, 3), 55, np.uint8)
    material(made)["occlusionTexture"] = {"index": add_texture(made, png(dark)), "strength": 0.25}
    return made.finish()


def second_uv_set() -> bytes:
    made = textured_with(chair(), png(RED_BLUE))
    material(made)["pbrMetallicRoughness"]["baseColorTexture"]["texCoord"] = 1
    count = made.json["accessors"][0]["count"]
    primitive(made)["attributes"]["TEXCOORD_1"] = floats(made, np.tile([0.25, 0.5], (count, 1)), "VEC2")
    return made.finish()


def double_sided() -> bytes:
    made = chair()
    material(made)["doubleSided"] = True
    return made.finish()


def two_materials() -> bytes:
    made = chair()
    made.rows("materials").append({"pbrMetallicRoughness": {"baseColorFactor": [0, 1, 0, 1]}})
    made.rows("meshes")[0]["primitives"].append({**primitive(made), "material": 1})
    return made.finish()


def _skinned(scale: float, node_scale: float, joint_scale: float) -> bytes:
    made = chair(scale)
    count = made.json["accessors"][0]["count"]
    joints = made.add_row(
        "accessors",
        {
            "bufferView": made.add_view(bytes(4 * count)),
            "componentType": 5121,
            "count": count,
            "type": "VEC4",
        },
    )
    weights = floats(made, np.tile([1, 0, 0, 0], (count, 1)), "VEC4")
    primitive(made)["attributes"].update(JOINTS_0=joints, WEIGHTS_0=weights)
    bind = floats(made, np.eye(4).reshape(1, 16), "MAT4")
    made.json["skins"] = [{"joints": [1], "inverseBindMatrices": bind}]
    made.json["nodes"][0].update(skin=0, scale=[node_scale] * 3)
    made.rows("nodes").append({"scale": [joint_scale] * 3})
    made.json["scenes"][0]["nodes"] = [0, 1]
    return made.finish()


def skin_mesh_in_cm_joint_scales() -> bytes:
    return _skinned(100, 1, 0.01)


def skin_node_scale_ignored() -> bytes:
    return _skinned(1, 100, 1)


def morph_weights() -> bytes:
    """A box that its default weight makes as high as a chair."""
    made = chair()
    count = made.json["accessors"][0]["count"]
    positions = unwrapped(box(*SIZE)).positions
    primitive(made)["targets"] = [{"POSITION": floats(made, positions * [0, -0.5, 0], "VEC3")}]
    made.json["meshes"][0]["weights"] = [-1.0]
    assert len(positions) == count
    return made.finish()


def gpu_instancing() -> bytes:
    made = chair()
    places = floats(made, np.array([[-1, 0, 0], [0, 0, 0], [1, 0, 0]]), "VEC3")
    attributes = {"attributes": {"TRANSLATION": places}}
    made.json["nodes"][0]["extensions"] = {"EXT_mesh_gpu_instancing": attributes}
    made.use_extension("EXT_mesh_gpu_instancing", required=True)
    return made.finish()


# What `features` calls each; empty for what one mesh with one material holds.
CASES: dict[Callable[[], bytes], str] = {
    blend_factor: "transparency (BLEND)",
    mask_texture: "transparency (MASK)",
    transmission: "KHR_materials_transmission",
    vertex_colours: "vertex colours",
    varying_colours: "vertex colours",
    repeat_texture: "repeated textures",
    factor_times_texture: "",
    data_uri_image: "",
    ktx2_only: "KTX2 textures",
    texture_grey16: "textures of 16 bits",
    emissive_zero_and_texture: "emissive factor",
    emissive_factor: "emissive factor",
    normal_scale_and_occlusion_strength: "normal scale",
    second_uv_set: "second UV set",
    double_sided: "double-sided faces",
    two_materials: "2 materials",
    skin_mesh_in_cm_joint_scales: "skins",
    skin_node_scale_ignored: "skins",
    morph_weights: "morph targets",
    gpu_instancing: "instances",
}
