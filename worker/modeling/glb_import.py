"""A GLB from anywhere as one Model: all its meshes in world space, all its materials on one.

A single material keeps its pictures as they are. Several are laid into one atlas, a cell each: what a mesh shows of a texture is drawn into
its cell, repeats included, with the material's factors, so that the model looks as before with one draw call.
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
BASE = "base"
SLOTS = {  # what glTF calls them
    BASE: "baseColorTexture",
    "metallic_roughness": "metallicRoughnessTexture",
    "normal": "normalTexture",
    "occlusion": "occlusionTexture",
    "emissive": "emissiveTexture",
}
ATLAS_PX = 2048
GUTTER_PX = 8  # around what is shown in a cell
MOST_REPEATS = 16.0  # of a texture within its cell
KEPT = ("JPEG", "PNG")


@dataclass(frozen=True, slots=True, kw_only=True)
class GlbMaterial:
    """One material. pictures: encoded, by slot. transform: (2, 3), of the uvs."""

    color: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    roughness: float = 1.0
    metallic: float = 1.0
    emissive: tuple[float, float, float] = (0.0, 0.0, 0.0)
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    transform: NDArray[np.float64] = field(default_factory=lambda: np.eye(2, 3))


def read_glb(data: bytes) -> TexturedMesh:
    """A GLB as one Model. Raises: InputError file.unreadable, file.stream, file.too_complex, file.texture_size or geometry.empty."""
    document = Document(data)
    shown = [p for p in document.primitives if len(p.faces)]
    if not shown:
        raise InputError("geometry.empty", "The GLB holds no triangles.")
    held = {t.index: t for t in read_textures(document)}
    used = sorted({-1 if p.material is None else p.material for p in shown})
    materials = {index: _material(document, index, held) for index in used}
    starts = np.cumsum([0, *(len(p.positions) for p in shown[:-1])])
    positions = np.concatenate([p.positions for p in shown]).astype(np.float32)
    faces = np.concatenate([p.faces + start for p, start in zip(shown, starts, strict=True)]).astype(
        np.uint32
    )
    normals = np.concatenate([_normals(p) for p in shown])
    uvs = [_uvs(p, materials[-1 if p.material is None else p.material]) for p in shown]
    if len(used) == 1:
        return _plain(positions, normals, np.concatenate(uvs), faces, materials[used[0]])
    return _merged(
        positions,
        normals,
        uvs,
        faces,
        [used.index(-1 if p.material is None else p.material) for p in shown],
        [materials[u] for u in used],
    )


def _material(document: Document, index: int, held: Mapping[int, Texture]) -> GlbMaterial:
    rows = document.rows("materials")
    if not 0 <= index < len(rows):
        return GlbMaterial()
    row = rows[index]
    pbr = row.get("pbrMetallicRoughness")
    pbr = pbr if isinstance(pbr, dict) else {}
    pictures = {}
    for slot, name in SLOTS.items():
        found = next((t for t in held.values() if (name, index) in t.uses), None)
        if found is not None and (picture := _readable(found)):
            pictures[slot] = picture
    return GlbMaterial(
        color=_numbers(pbr.get("baseColorFactor"), (1.0, 1.0, 1.0, 1.0)),  # type: ignore[arg-type]
        roughness=_numbers([pbr.get("roughnessFactor", 1.0)], (1.0,))[0],
        metallic=_numbers([pbr.get("metallicFactor", 1.0)], (1.0,))[0],
        emissive=_numbers(row.get("emissiveFactor"), (0.0, 0.0, 0.0)),  # type: ignore[arg-type]
        pictures=pictures,
        transform=_transform(pbr.get(SLOTS[BASE])),
    )


def _readable(texture: Texture) -> bytes:
    """The picture as JPEG or PNG without alpha; empty where it cannot be decoded here (KTX2). Raises: InputError file.unreadable."""
    if texture.is_compressed:
        return b""
    try:
        with Image.open(io.BytesIO(texture.data)) as image:
            if image.format in KEPT and image.mode in ("RGB", "L"):
                image.draft(
                    image.mode, (1, 1)
                )  # of a JPEG all is read, for a file that is whole, and little is drawn
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


def _transform(info: object) -> NDArray[np.float64]:
    """KHR_texture_transform of a texture, as a matrix (2, 3)."""
    extensions = info.get("extensions") if isinstance(info, dict) else None
    said = extensions.get("KHR_texture_transform") if isinstance(extensions, dict) else None
    if not isinstance(said, dict):
        return np.eye(2, 3)
    (x, y), (sx, sy) = _numbers(said.get("offset"), (0.0, 0.0)), _numbers(said.get("scale"), (1.0, 1.0))
    (turn,) = _numbers([said.get("rotation", 0.0)], (0.0,))
    c, s = np.cos(turn), np.sin(turn)
    return np.array([[c * sx, s * sy, x], [-s * sx, c * sy, y]])


def _numbers(found: Any, usual: tuple[float, ...]) -> tuple[float, ...]:
    good = (
        isinstance(found, list)
        and len(found) == len(usual)
        and all(isinstance(n, int | float) and abs(n) < 1e6 for n in found)
    )
    return tuple(float(n) for n in found) if good else usual


def _normals(p: Primitive) -> F32:
    usable = p.normals is not None and bool(np.isfinite(p.normals).all())
    if usable and p.normals is not None:
        return (p.normals / np.maximum(np.linalg.norm(p.normals, axis=1, keepdims=True), 1e-12)).astype(
            np.float32
        )
    return vertex_normals(p.positions.astype(np.float32), p.faces.astype(np.uint32))


def _uvs(p: Primitive, material: GlbMaterial) -> F32:
    if p.uvs is None or not material.pictures:
        return np.zeros((len(p.positions), 2), np.float32)
    return (p.uvs @ material.transform[:, :2].T + material.transform[:, 2]).astype(np.float32)


def _plain(
    positions: F32, normals: F32, uvs: F32, faces: NDArray[np.uint32], material: GlbMaterial
) -> TexturedMesh:
    return TexturedMesh(
        positions=positions,
        normals=normals,
        uvs=uvs,
        faces=faces,
        color=material.color,
        texture=material.pictures.get(BASE),
        roughness=material.roughness,
        metallic=material.metallic,
        maps={slot: picture for slot, picture in material.pictures.items() if slot in MAP_NAMES},
    )


def _merged(
    positions: F32,
    normals: F32,
    uvs: list[F32],
    faces: NDArray[np.uint32],
    owners: list[int],
    materials: Sequence[GlbMaterial],
) -> TexturedMesh:
    """The model on an atlas of its materials. owners: the material of each primitive, whose uvs these are."""
    side = int(np.ceil(np.sqrt(len(materials))))
    cell = ATLAS_PX // side
    shown = [_shown([u for u, o in zip(uvs, owners, strict=True) if o == m]) for m in range(len(materials))]
    moved = []
    for own, owner in zip(uvs, owners, strict=True):
        low, span = shown[owner]
        corner = np.array([owner % side, owner // side]) * cell + GUTTER_PX
        moved.append(((own - low) / span * (cell - 2 * GUTTER_PX) + corner) / ATLAS_PX)
    slots = [slot for slot in SLOTS if any(slot in m.pictures for m in materials)]
    slots += [s for s in (BASE, "metallic_roughness") if s not in slots]  # factors differ by material
    atlases = {slot: _atlas(slot, materials, shown, side, cell) for slot in slots}
    return TexturedMesh(
        positions=positions,
        normals=normals,
        uvs=np.concatenate(moved).astype(np.float32),
        faces=faces,
        texture=atlases.pop(BASE),
        roughness=1.0,
        metallic=1.0,
        maps=atlases,
    )


def _shown(uvs: list[F32]) -> tuple[F32, F32]:
    """The part of a texture that is shown: its lower corner and its extent in u and v; beyond 1 it repeats."""
    every = np.concatenate(uvs)
    low, high = every.min(0), every.max(0)
    return low, np.clip(high - low, 1e-3, MOST_REPEATS).astype(np.float32)


def _atlas(
    slot: str, materials: Sequence[GlbMaterial], shown: Sequence[tuple[F32, F32]], side: int, cell: int
) -> bytes:
    """One picture with a cell for each material, as JPEG."""
    canvas = np.zeros((side * cell, side * cell, 3), np.uint8)
    for number, (material, (low, span)) in enumerate(zip(materials, shown, strict=True)):
        top, left = number // side * cell, number % side * cell
        canvas[top : top + cell, left : left + cell] = _cell(slot, material, low, span, cell)
    out = io.BytesIO()
    Image.fromarray(canvas).save(out, "JPEG", quality=92, subsampling=0)
    return out.getvalue()


def _cell(slot: str, material: GlbMaterial, low: F32, span: F32, cell: int) -> U8:
    """What a material shows of one slot, (cell, cell, 3), its factors included; around it what the texture has there."""
    neutral = {"normal": (128, 128, 255), "occlusion": (255, 255, 255)}.get(slot, (255, 255, 255))
    picture = material.pictures.get(slot)
    drawn = (
        np.full((cell, cell, 3), neutral, np.uint8) if picture is None else _drawn(picture, low, span, cell)
    )
    if slot == BASE and material.color[:3] != (1.0, 1.0, 1.0):
        return np.asarray(to_srgb(to_linear(drawn) * np.array(material.color[:3], np.float32)), np.uint8)
    if slot == "metallic_roughness":
        return np.asarray(drawn * np.array([1.0, material.roughness, material.metallic]) + 0.5, np.uint8)
    if slot == "emissive":
        return np.asarray(
            to_srgb(to_linear(drawn) * np.clip(np.array(material.emissive, np.float32), 0, 1)), np.uint8
        )
    return drawn


def _drawn(picture: bytes, low: F32, span: F32, cell: int) -> U8:
    with Image.open(io.BytesIO(picture)) as image:
        source = np.asarray(image.convert("RGB"))
    inner = cell - 2 * GUTTER_PX
    less = np.minimum(1.0, inner / (span * [source.shape[1], source.shape[0]]))
    size = np.maximum(1, np.round([source.shape[1] * less[0], source.shape[0] * less[1]])).astype(int)
    if (less < 1).any():
        source = cv2.resize(source, (int(size[0]), int(size[1])), interpolation=cv2.INTER_AREA)
    place = (np.arange(cell) - GUTTER_PX + 0.5) / inner
    u, v = (
        (low[0] + place * span[0]) * source.shape[1] - 0.5,
        (low[1] + place * span[1]) * source.shape[0] - 0.5,
    )
    across, down = np.meshgrid(u.astype(np.float32), v.astype(np.float32))
    return np.asarray(cv2.remap(source, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), np.uint8)
