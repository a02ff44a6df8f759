"""Reading of any GLB as one mesh: all its meshes in world space, all its materials merged into one.

A single material keeps its pictures as they are. Several materials become one atlas with a cell each: the
part of a texture that is shown, repeats included, is drawn into its cell, with the material's factors. So
the model looks the same with one draw call.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dam_connector.errors import InputError
from worker.gltf.document import Document, Primitive
from worker.gltf.embedded_textures import Texture, read_textures
from worker.imaging.linear_light import to_linear, to_srgb
from worker.modeling.textured_mesh import MAP_NAMES, TexturedMesh, vertex_normals

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
BASE_COLOUR = "base"
SLOTS = {  # glTF's names of the textures, by ours
    BASE_COLOUR: "baseColorTexture",
    "metallic_roughness": "metallicRoughnessTexture",
    "normal": "normalTexture",
    "occlusion": "occlusionTexture",
    "emissive": "emissiveTexture",
}
ATLAS_PX = 2048  # side of the atlas of several materials
GUTTER_PX = 8  # around the content of a cell
MAX_REPEATS = 16.0  # of a texture within its cell
UNCHANGED_FORMATS = ("JPEG", "PNG")


@dataclass(frozen=True, slots=True, kw_only=True)
class GlbMaterial:
    """A material of a GLB; factors are glTF's, with glTF's defaults."""

    color: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)  # linear RGBA
    roughness: float = 1.0
    metallic: float = 1.0
    emissive: tuple[float, float, float] = (0.0, 0.0, 0.0)  # linear RGB
    pictures: Mapping[str, bytes] = field(default_factory=dict)  # encoded JPEG or PNG, by the keys of SLOTS
    transform: NDArray[np.float64] = field(default_factory=lambda: np.eye(2, 3))  # (2, 3) of the uvs


def read_glb(data: bytes) -> TexturedMesh:
    """Return a GLB as one mesh.

    Raises:
        InputError: file.unreadable, file.stream, file.too_complex, file.texture_size or geometry.empty.
    """
    document = Document(data)
    primitives = [p for p in document.primitives if len(p.faces)]
    if not primitives:
        raise InputError("geometry.empty", "The GLB holds no triangles.")
    texture_of_index = {t.index: t for t in read_textures(document)}
    material_indices = sorted({-1 if p.material is None else p.material for p in primitives})
    materials = {index: _read_material(document, index, texture_of_index) for index in material_indices}
    starts = np.cumsum([0, *(len(p.positions) for p in primitives[:-1])])
    positions = np.concatenate([p.positions for p in primitives]).astype(np.float32)
    faces = np.concatenate([p.faces + start for p, start in zip(primitives, starts, strict=True)]).astype(
        np.uint32
    )
    normals = np.concatenate([_primitive_normals(p) for p in primitives])
    uvs = [_primitive_uvs(p, materials[-1 if p.material is None else p.material]) for p in primitives]
    if len(material_indices) == 1:
        return _single_material_mesh(
            positions, normals, np.concatenate(uvs), faces, materials[material_indices[0]]
        )
    return _atlas_mesh(
        positions,
        normals,
        uvs,
        faces,
        [material_indices.index(-1 if p.material is None else p.material) for p in primitives],
        [materials[u] for u in material_indices],
    )


def _read_material(document: Document, index: int, texture_of_index: Mapping[int, Texture]) -> GlbMaterial:
    rows = document.rows("materials")
    if not 0 <= index < len(rows):
        return GlbMaterial()
    row = rows[index]
    pbr = row.get("pbrMetallicRoughness")
    pbr = pbr if isinstance(pbr, dict) else {}
    pictures = {}
    for slot, name in SLOTS.items():
        found = next((t for t in texture_of_index.values() if (name, index) in t.uses), None)
        if found is not None and (picture := _decodable_picture(found)):
            pictures[slot] = picture
    return GlbMaterial(
        color=_number_list(pbr.get("baseColorFactor"), (1.0, 1.0, 1.0, 1.0)),  # type: ignore[arg-type]
        roughness=_number_list([pbr.get("roughnessFactor", 1.0)], (1.0,))[0],
        metallic=_number_list([pbr.get("metallicFactor", 1.0)], (1.0,))[0],
        emissive=_number_list(row.get("emissiveFactor"), (0.0, 0.0, 0.0)),  # type: ignore[arg-type]
        pictures=pictures,
        transform=_uv_transform(pbr.get(SLOTS[BASE_COLOUR])),
    )


def _decodable_picture(texture: Texture) -> bytes:
    """Return a texture as JPEG or PNG without alpha; empty if it cannot be decoded here (KTX2).

    Raises:
        InputError: file.unreadable, the picture is damaged.
    """
    if texture.is_compressed:
        return b""
    try:
        with Image.open(io.BytesIO(texture.data)) as image:
            if image.format in UNCHANGED_FORMATS and image.mode in ("RGB", "L"):
                image.draft(
                    image.mode, (1, 1)
                )  # a JPEG is read to its end, to find damage, but decoded at a small size
                image.load()
                return texture.data
            image.load()
            out = io.BytesIO()
            image.convert("RGB").save(out, "JPEG", quality=92, subsampling=0)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(
            "file.unreadable", "The texture is damaged.", pointer=f"/images/{texture.index}"
        ) from error
    return out.getvalue()


def _uv_transform(info: object) -> NDArray[np.float64]:
    """Return the KHR_texture_transform of a texture as a matrix, (2, 3)."""
    extensions = info.get("extensions") if isinstance(info, dict) else None
    transform = extensions.get("KHR_texture_transform") if isinstance(extensions, dict) else None
    if not isinstance(transform, dict):
        return np.eye(2, 3)
    (x, y), (sx, sy) = (
        _number_list(transform.get("offset"), (0.0, 0.0)),
        _number_list(transform.get("scale"), (1.0, 1.0)),
    )
    (rotation,) = _number_list([transform.get("rotation", 0.0)], (0.0,))
    c, s = np.cos(rotation), np.sin(rotation)
    return np.array([[c * sx, s * sy, x], [-s * sx, c * sy, y]])


def _number_list(found: Any, default: tuple[float, ...]) -> tuple[float, ...]:
    is_valid = (
        isinstance(found, list)
        and len(found) == len(default)
        and all(isinstance(n, int | float) and abs(n) < 1e6 for n in found)
    )
    return tuple(float(n) for n in found) if is_valid else default


def _primitive_normals(p: Primitive) -> F32:
    usable = p.normals is not None and bool(np.isfinite(p.normals).all())
    if usable and p.normals is not None:
        return (p.normals / np.maximum(np.linalg.norm(p.normals, axis=1, keepdims=True), 1e-12)).astype(
            np.float32
        )
    return vertex_normals(p.positions.astype(np.float32), p.faces.astype(np.uint32))


def _primitive_uvs(p: Primitive, material: GlbMaterial) -> F32:
    if p.uvs is None or not material.pictures:
        return np.zeros((len(p.positions), 2), np.float32)
    return (p.uvs @ material.transform[:, :2].T + material.transform[:, 2]).astype(np.float32)


def _single_material_mesh(
    positions: F32, normals: F32, uvs: F32, faces: NDArray[np.uint32], material: GlbMaterial
) -> TexturedMesh:
    return TexturedMesh(
        positions=positions,
        normals=normals,
        uvs=uvs,
        faces=faces,
        color=material.color,
        texture=material.pictures.get(BASE_COLOUR),
        roughness=material.roughness,
        metallic=material.metallic,
        maps={slot: picture for slot, picture in material.pictures.items() if slot in MAP_NAMES},
    )


def _atlas_mesh(
    positions: F32,
    normals: F32,
    uvs: list[F32],
    faces: NDArray[np.uint32],
    owners: list[int],
    materials: Sequence[GlbMaterial],
) -> TexturedMesh:
    """Return the mesh on an atlas of its materials.

    Args:
        positions: (n, 3) of all primitives.
        normals: (n, 3) of all primitives.
        uvs: The uvs of each primitive.
        faces: (m, 3) of all primitives.
        owners: The material of each primitive.
        materials: The materials.
    """
    side = int(np.ceil(np.sqrt(len(materials))))
    cell = ATLAS_PX // side
    ranges = [
        _shown_range([u for u, o in zip(uvs, owners, strict=True) if o == m]) for m in range(len(materials))
    ]
    moved = []
    for own, owner in zip(uvs, owners, strict=True):
        low, span = ranges[owner]
        corner = np.array([owner % side, owner // side]) * cell + GUTTER_PX
        moved.append(((own - low) / span * (cell - 2 * GUTTER_PX) + corner) / ATLAS_PX)
    slots = [slot for slot in SLOTS if any(slot in m.pictures for m in materials)]
    slots += [
        s for s in (BASE_COLOUR, "metallic_roughness") if s not in slots
    ]  # since factors differ by material
    atlases = {slot: _draw_atlas(slot, materials, ranges, side, cell) for slot in slots}
    return TexturedMesh(
        positions=positions,
        normals=normals,
        uvs=np.concatenate(moved).astype(np.float32),
        faces=faces,
        texture=atlases.pop(BASE_COLOUR),
        roughness=1.0,
        metallic=1.0,
        maps=atlases,
    )


def _shown_range(uvs: list[F32]) -> tuple[F32, F32]:
    """Return the lower corner and the extent of the shown part of a texture, (2,) each; beyond 1 it
    repeats."""
    every = np.concatenate(uvs)
    low, high = every.min(0), every.max(0)
    return low, np.clip(high - low, 1e-3, MAX_REPEATS).astype(np.float32)


def _draw_atlas(
    slot: str, materials: Sequence[GlbMaterial], ranges: Sequence[tuple[F32, F32]], side: int, cell: int
) -> bytes:
    """Return a picture with a cell for each material, as JPEG."""
    canvas = np.zeros((side * cell, side * cell, 3), np.uint8)
    for number, (material, (low, span)) in enumerate(zip(materials, ranges, strict=True)):
        top, left = number // side * cell, number % side * cell
        canvas[top : top + cell, left : left + cell] = _draw_cell(slot, material, low, span, cell)
    out = io.BytesIO()
    Image.fromarray(canvas).save(out, "JPEG", quality=92, subsampling=0)
    return out.getvalue()


def _draw_cell(slot: str, material: GlbMaterial, low: F32, span: F32, cell: int) -> U8:
    """Return the part of a material's map that is shown, and some around it, with factors: (cell, cell,
    3)."""
    neutral = {"normal": (128, 128, 255), "occlusion": (255, 255, 255)}.get(slot, (255, 255, 255))
    picture = material.pictures.get(slot)
    drawn = (
        np.full((cell, cell, 3), neutral, np.uint8)
        if picture is None
        else _draw_picture(picture, low, span, cell)
    )
    if slot == BASE_COLOUR and material.color[:3] != (1.0, 1.0, 1.0):
        return np.asarray(to_srgb(to_linear(drawn) * np.array(material.color[:3], np.float32)), np.uint8)
    if slot == "metallic_roughness":
        return np.asarray(drawn * np.array([1.0, material.roughness, material.metallic]) + 0.5, np.uint8)
    if slot == "emissive":
        return np.asarray(
            to_srgb(to_linear(drawn) * np.clip(np.array(material.emissive, np.float32), 0, 1)), np.uint8
        )
    return drawn


def _draw_picture(picture: bytes, low: F32, span: F32, cell: int) -> U8:
    with Image.open(io.BytesIO(picture)) as image:
        source = np.asarray(image.convert("RGB"))
    inner = cell - 2 * GUTTER_PX
    reduction = np.minimum(1.0, inner / (span * [source.shape[1], source.shape[0]]))
    size = np.maximum(1, np.round([source.shape[1] * reduction[0], source.shape[0] * reduction[1]])).astype(
        int
    )
    if (reduction < 1).any():
        source = cv2.resize(source, (int(size[0]), int(size[1])), interpolation=cv2.INTER_AREA)
    position = (np.arange(cell) - GUTTER_PX + 0.5) / inner
    u, v = (
        (low[0] + position * span[0]) * source.shape[1] - 0.5,
        (low[1] + position * span[1]) * source.shape[0] - 0.5,
    )
    across, down = np.meshgrid(u.astype(np.float32), v.astype(np.float32))
    return np.asarray(cv2.remap(source, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), np.uint8)
