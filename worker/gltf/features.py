"""What a GLB holds beyond one mesh with one opaque material, named for people.

A model with any of it is finished as it is (`worker.modeling.scene_finishing`): merging it into one mesh
would lose something.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from worker.gltf.document import SURFACES, TRIANGLES, Document
from worker.gltf.embedded_textures import KTX2_MAGIC
from worker.gltf.json_fields import Row
from worker.gltf.materials import (
    OPAQUE,
    SPECULAR_GLOSSINESS,
    SurfaceMaterial,
    TextureUse,
    read_material,
)
from worker.gltf.mesh_compression import DRACO, MESHOPT, MESHOPT_KHR
from worker.gltf.node_transforms import INSTANCING

# Extensions that say only how data is stored: nothing is lost when it is stored in another way.
STORAGE_EXTENSIONS = frozenset(
    (
        DRACO,
        MESHOPT,
        MESHOPT_KHR,
        "KHR_mesh_quantization",
        "EXT_texture_webp",
        "EXT_texture_avif",
        "KHR_texture_transform",  # read as part of each texture's use
    )
)
# Material extensions that Khronos ratified. Source: the registry of extensions in KhronosGroup/glTF.
RATIFIED_MATERIALS = frozenset(
    f"KHR_materials_{name}"
    for name in (
        "anisotropy",
        "clearcoat",
        "diffuse_transmission",
        "dispersion",
        "emissive_strength",
        "ior",
        "iridescence",
        "pbrSpecularGlossiness",
        "sheen",
        "specular",
        "transmission",
        "unlit",
        "variants",
        "volume",
        "volume_scatter",
    )
)
# Extensions that may be required: common viewers have them, and this program measures them or passes them on.
KNOWN_EXTENSIONS = (
    STORAGE_EXTENSIONS
    | RATIFIED_MATERIALS
    | {
        "KHR_animation_pointer",
        "KHR_lights_punctual",
        "KHR_node_visibility",
        "KHR_texture_basisu",
        "KHR_xmp_json_ld",
        INSTANCING,
        "EXT_lights_image_based",
    }
)


TANGENTS = "tangents of their own"
FLAT_SHADING = "flat shading"  # a mesh without normals: each of its triangles is drawn as a plane
# Features that our renderer does not draw, beside material extensions that are not in DRAWN_EXTENSIONS.
_UNDRAWN_FEATURES = ("KTX2 textures", "textures outside the file", "points or lines", FLAT_SHADING)
_DRAWN_EXTENSIONS = ("KHR_materials_emissive_strength", "KHR_materials_variants", SPECULAR_GLOSSINESS)


def undrawn(found: Iterable[str]) -> list[str]:
    """Return those of the features that our own renderer does not draw."""
    return [
        name
        for name in found
        if name in _UNDRAWN_FEATURES or (name.startswith("KHR_materials_") and name not in _DRAWN_EXTENSIONS)
    ]


def required_extensions(document: Document) -> list[str]:
    """Return the names in `extensionsRequired`."""
    return _names(document.json.get("extensionsRequired"))


def unknown_required_extensions(document: Document) -> list[str]:
    """Return the required extensions that are not in KNOWN_EXTENSIONS."""
    return [name for name in required_extensions(document) if name not in KNOWN_EXTENSIONS]


def features(document: Document) -> tuple[str, ...]:
    """Return the names of all that one mesh with one opaque material cannot hold, each once.

    Raises:
        InputError: file.*
    """
    return tuple(dict.fromkeys(_features(document)))


def _features(document: Document) -> Iterator[str]:
    materials = shown_materials(document)
    if len(materials) > 1:
        yield f"{len(materials)} materials"
    for material in materials.values():
        yield from _material_features(material)
    yield from _texture_features(document, materials.values())
    yield from _primitive_features(document)
    yield from _scene_features(document)


def shown_materials(document: Document) -> dict[int | None, SurfaceMaterial]:
    """Return the materials that the scene's triangles have, by index; None is glTF's default material."""
    indices = dict.fromkeys(p.material for p in document.primitives if len(p.faces))
    return {index: read_material(document, index) for index in indices}


def _material_features(material: SurfaceMaterial) -> Iterator[str]:
    if material.alpha_mode != OPAQUE:
        yield f"transparency ({material.alpha_mode})"
    if material.double_sided:
        yield "double-sided faces"
    if any(material.emissive) and ("emissive" not in material.textures or material.emissive != (1, 1, 1)):
        yield "emissive factor"
    if "emissive" in material.textures and not any(material.emissive):
        yield "emissive factor"
    if "normal" in material.textures and material.normal_scale != 1:
        yield "normal scale"
    if "occlusion" in material.textures and material.occlusion_strength != 1:
        yield "occlusion strength"
    yield from (name for name in material.extensions if name not in STORAGE_EXTENSIONS)
    uses = list(material.textures.values())
    if any(use.uv_set for use in uses):
        yield "second UV set"
    if any(not np.array_equal(use.transform, uses[0].transform) for use in uses):
        yield "texture transforms of their own"


def _texture_features(document: Document, materials: Iterable[SurfaceMaterial]) -> Iterator[str]:
    for use in (use for material in materials for use in material.textures.values()):
        where = f"/images/{use.image}"
        data = document.image(use.image, where)
        if data[:12] == KTX2_MAGIC:
            yield "KTX2 textures"
        elif not data:
            yield "textures outside the file"
        elif data[:4] == b"\x89PNG" and data[24:25] == b"\x10":
            yield "textures of 16 bits"
    for use, low, high in _texture_ranges(document):
        if low < -1e-4 or high > 1 + 1e-4:
            yield "repeated textures" if use.wrap != (33071, 33071) else "textures beyond their border"


def _texture_ranges(document: Document) -> Iterator[tuple[TextureUse, float, float]]:
    """Yield each use of a texture with the least and the greatest UV at which it is shown."""
    for primitive in document.primitives:
        material = read_material(document, primitive.material)
        for use in material.textures.values():
            uvs = primitive.uvs_1 if use.uv_set == 1 else primitive.uvs
            if uvs is not None and len(uvs):
                shown = uvs @ use.transform[:, :2].T + use.transform[:, 2]
                yield use, float(shown.min()), float(shown.max())


def _primitive_features(document: Document) -> Iterator[str]:
    rows = [
        row
        for mesh in document.rows("meshes")
        if isinstance(primitives := mesh.get("primitives"), list)
        for row in primitives
        if isinstance(row, dict)
    ]
    if any(p.colors is not None and not np.all(p.colors == 1) for p in document.primitives):
        yield "vertex colours"
    for row in rows:
        attributes = row.get("attributes")
        names = attributes if isinstance(attributes, dict) else {}
        if row.get("targets"):
            yield "morph targets"
        if row.get("mode", TRIANGLES) in (0, 1, 2, 3):
            yield "points or lines"
        if "POSITION" in names and "NORMAL" not in names and row.get("mode", TRIANGLES) in SURFACES:
            yield FLAT_SHADING
        if "TANGENT" in names and _has_normal_map(document, row):
            yield TANGENTS


def _has_normal_map(document: Document, row: Row) -> bool:
    material = row.get("material")
    return isinstance(material, int) and "normal" in read_material(document, material).textures


def _scene_features(document: Document) -> Iterator[str]:
    nodes = document.rows("nodes")
    if any("skin" in node for node in nodes):
        yield "skins"
    if document.rows("animations"):
        yield "animations"
    if any("camera" in node for node in nodes):
        yield "cameras"
    if any(INSTANCING in _object(node.get("extensions")) for node in nodes):
        yield "instances"
    known = STORAGE_EXTENSIONS | {INSTANCING, SPECULAR_GLOSSINESS}
    used = _names(document.json.get("extensionsUsed"))
    yield from (name for name in used if name not in known and not name.startswith("KHR_materials_"))
    if "KHR_materials_variants" in used:
        yield "KHR_materials_variants"


def _object(found: object) -> Row:
    return found if isinstance(found, dict) else {}


def _names(found: object) -> list[str]:
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []
