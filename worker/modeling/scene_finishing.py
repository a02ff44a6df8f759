"""Finishing of a GLB as it is: placed, its textures reduced, its triangles simplified; nothing else changes.

Materials, textures, UV sets, vertex colours, extensions, skins, morph targets, instances and animations stay.
Models that one mesh with one material cannot hold (`worker.gltf.features`) go this way.
"""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worker.gltf.container import read_json, replace_json
from worker.gltf.document import TRIANGLES, Document
from worker.gltf.json_fields import Row, extension
from worker.gltf.mesh_compression import DRACO, MESHOPT, MESHOPT_KHR
from worker.gltf.rewriting import GlbRewriter
from worker.imaging.decode import to_eight_bits
from worker.javascript import ScriptFailed
from worker.modeling.simplify import simplified_indices

F64 = NDArray[np.float64]
PNG_MAGIC = b"\x89PNG"
UNIFORM = 1e-6  # relative difference between scales of the axes that is none
JPEG_QUALITY = 92
_VOLUME, _LIGHTS = "KHR_materials_volume", "KHR_lights_punctual"
_MIN_TRIANGLES = 8  # a primitive with less is not simplified


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a model is put: a point p becomes (p - offset) * scale."""

    scale: F64  # (3,)
    offset: F64  # (3,), metres


def place_scene(data: bytes, placement: Placement, name: str) -> bytes:
    """Return the GLB scaled and moved as a whole, by a node above its scene.

    The root of the scene is a node without a transform, as guidelines want it.

    Args:
        data: The GLB.
        placement: The scale and the offset.
        name: The name of the root, e.g. the SKU.
    """
    rewriter = GlbRewriter(data)
    nodes, scenes = rewriter.rows("nodes"), rewriter.rows("scenes")
    joint_roots = _joint_roots(rewriter.json)
    shown_roots = list(Document(data).roots)
    # A skin's joints place its mesh, wherever its node is; validators want such a node at the root.
    skinned = [r for r in shown_roots if _is_placed_by_joints(nodes[r]) and r not in joint_roots]
    roots = [r for r in dict.fromkeys([*shown_roots, *joint_roots]) if r not in skinned]
    placed = {
        "name": f"{name} placed",
        "translation": [float(v) for v in -placement.offset * placement.scale],
        "scale": [float(v) for v in placement.scale],
        "children": roots,
    }
    root = {"name": name, "children": [rewriter.add_row("nodes", placed)]}
    number = rewriter.add_row("nodes", root)
    if not scenes:
        scenes.append({})
        rewriter.json["scene"] = 0
    shown = scenes[rewriter.json.get("scene", 0)]
    for scene in scenes:  # another scene may show the same nodes, which have one parent each
        if scene is shown or set(scene.get("nodes", [])) & set(roots):
            others = [n for n in scene.get("nodes", []) if n not in roots]
            scene["nodes"] = [number, *others]
    assert len(nodes) == number + 1
    _scale_attenuation(rewriter.json, placement.scale)
    _scale_lights(rewriter.json, placement.scale)
    return rewriter.finish()


def _is_placed_by_joints(node: Row) -> bool:
    return "skin" in node and "mesh" in node and not node.get("children")


def _joint_roots(document: Row) -> list[int]:
    """Return the topmost ancestors of all joints, also of those that no scene shows."""
    nodes = document.get("nodes", [])
    parent = {c: n for n, row in enumerate(nodes) for c in row.get("children", [])}
    found: dict[int, None] = {}
    for skin in document.get("skins", []):
        for joint in skin.get("joints", []):
            at, seen = joint, {joint}
            while at in parent and parent[at] not in seen:
                at = parent[at]
                seen.add(at)
            found[at] = None
    return list(found)


def _scale_attenuation(document: Row, scale: F64) -> None:
    """Scale the distances in which volumes take light: they are in world space, whatever nodes scale."""
    for material in document.get("materials", []):
        volume = extension(material, _VOLUME)
        if volume and isinstance(volume.get("attenuationDistance"), int | float):
            volume["attenuationDistance"] *= float(np.cbrt(np.prod(scale)))


def _scale_lights(document: Row, scale: F64) -> None:
    """Scale points and spots of light: no node scales them, and light falls with the square of its way."""
    factor = float(np.cbrt(np.prod(scale)))
    for light in (extension(document, _LIGHTS) or {}).get("lights", []):
        if light.get("type") in ("point", "spot"):
            light["intensity"] = light.get("intensity", 1.0) * factor**2
            if "range" in light:
                light["range"] *= factor


def without_meshopt(data: bytes) -> bytes:
    """Return the GLB with its meshopt streams decoded: most viewers have no decoder for them.

    The GLB itself is returned where it has none.

    Raises:
        InputError: file.stream.
    """
    document = Document(data)
    packed = [
        index
        for index, row in enumerate(document.rows("bufferViews"))
        if extension(row, MESHOPT) or extension(row, MESHOPT_KHR)
    ]
    if not packed:
        return data
    rewriter = GlbRewriter(data)
    for index in packed:
        rewriter.replace_view(index, document.view(index, f"/bufferViews/{index}"))
    for name in (MESHOPT, MESHOPT_KHR):
        rewriter.drop_extension(name)
    return rewriter.finish()


def label_scene(data: bytes, extras: Mapping[str, str]) -> bytes:
    """Return the GLB with labels in `asset.extras`."""
    document = read_json(data)
    asset = document.setdefault("asset", {"version": "2.0"})
    found = asset.get("extras")
    asset["extras"] = {**(found if isinstance(found, dict) else {}), **extras}
    return replace_json(data, document)


def limit_scene_textures(data: bytes, side_px: int) -> bytes:
    """Return the GLB with its PNG and JPEG textures reduced to at most `side_px` on their longer side.

    Each keeps its format and its channels. The GLB itself is returned where none is larger.
    """
    document, rewriter = Document(data), GlbRewriter(data)
    changed = False
    for index, row in enumerate(rewriter.rows("images")):
        reduced = _reduced(document.image(index, "/images"), side_px)
        if reduced:
            changed = True
            row.pop("uri", None)
            row["bufferView"] = rewriter.add_view(reduced)
            row["mimeType"] = "image/png" if reduced[:4] == PNG_MAGIC else "image/jpeg"
    return rewriter.finish() if changed else data


def _reduced(data: bytes, side_px: int) -> bytes:
    """Return a PNG or JPEG reduced to a side; empty where it is small enough, or of another kind."""
    if not data.startswith((PNG_MAGIC, b"\xff\xd8")):
        return b""
    with Image.open(io.BytesIO(data)) as image:
        if max(image.size) <= side_px:
            return b""
        eight = to_eight_bits(image) if image.mode.startswith(("I", "F")) else image
        picture = eight.convert("RGBA") if eight.mode in ("P", "PA") else eight
        picture.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
        out = io.BytesIO()
        if image.format == "PNG":
            picture.save(out, "PNG")
        else:
            picture.save(out, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return out.getvalue()


def simplify_scene(data: bytes, max_triangles: int) -> bytes:
    """Return the GLB with fewer triangles: other indices into the same vertices.

    Each primitive is simplified by the same share, its border locked. The result may have more triangles than
    asked, where the parts cannot lose so many. Compressed primitives stay as they are.
    """
    document = Document(data)
    shown = document.primitives
    total = sum(len(p.faces) for p in shown)
    if total <= max_triangles:
        return data
    rewriter, share = GlbRewriter(data), max_triangles / total
    first_shown = {p.where: p for p in reversed(shown)}
    for where, row in _primitive_rows(rewriter.json):
        primitive = first_shown.get(where)
        if primitive is None or extension(row, DRACO) or row.get("mode", TRIANGLES) != TRIANGLES:
            continue
        target = max(_MIN_TRIANGLES, int(len(primitive.faces) * share))
        if target >= len(primitive.faces):
            continue
        try:
            indices = simplified_indices(
                primitive.positions, primitive.normals, primitive.uvs, primitive.faces, target
            )
        except ScriptFailed:
            continue
        if 0 < len(indices) < 3 * len(primitive.faces):
            row["indices"] = _add_indices(rewriter, indices, len(primitive.positions))
    return rewriter.finish()


def _primitive_rows(document: Row) -> Iterator[tuple[str, Row]]:
    for mesh, row in enumerate(document.get("meshes", [])):
        for number, primitive in enumerate(row.get("primitives", [])):
            yield f"/meshes/{mesh}/primitives/{number}", primitive


def _add_indices(rewriter: GlbRewriter, indices: NDArray[np.uint32], vertices: int) -> int:
    small = vertices < 65_535
    data = indices.astype(np.uint16 if small else np.uint32).tobytes()
    return rewriter.add_row(
        "accessors",
        {
            "bufferView": rewriter.add_view(data, 34963),
            "componentType": 5123 if small else 5125,
            "count": len(indices),
            "type": "SCALAR",
        },
    )
