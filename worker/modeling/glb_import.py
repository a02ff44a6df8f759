"""Reading of any GLB as one mesh: all its meshes in world space, all its materials merged into one.

A single material keeps its pictures; its factors are drawn into them where a mesh has no field for them.
Several materials become one atlas with a cell each: the part of a texture that is shown, repeats included, is
drawn into its cell, with the material's factors. Our renderer and the levels of detail use this form. A model
that it cannot hold is not written from it (`worker.gltf.features`).
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dam_connector.errors import InputError
from worker.gltf.document import Document, Primitive
from worker.gltf.embedded_textures import read_textures
from worker.gltf.materials import (
    BASE_COLOUR,
    BLEND,
    CLAMP,
    MASK,
    MIRROR,
    OPAQUE,
    SLOTS,
    SurfaceMaterial,
    read_material,
)
from worker.gltf.texture_pictures import (
    masked,
    plain_colour,
    scaled_normals,
    scaled_occlusion,
    texture_picture,
    tinted,
)
from worker.imaging.linear_light import to_linear, to_srgb
from worker.modeling.textured_mesh import MAP_NAMES, TexturedMesh, vertex_normals

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
ATLAS_PX = 2048  # side of the atlas of several materials
GUTTER_PX = 8  # around the content of a cell
MAX_REPEATS = 16.0  # of a texture within its cell
NO_SECOND_SET = ("occlusion", "normal", "metallic_roughness", "emissive")
_BORDERS = {CLAMP: cv2.BORDER_REPLICATE, MIRROR: cv2.BORDER_REFLECT}  # every other mode repeats


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """A material with its pictures: emission, normal scale, occlusion strength and mask are drawn in."""

    material: SurfaceMaterial
    pictures: Mapping[str, bytes]  # encoded JPEG or PNG, by the keys of SLOTS

    @property
    def uv_set(self) -> int:
        """Return the set of UVs that all pictures use."""
        return self._first_use[0]

    @property
    def transform(self) -> NDArray[np.float64]:
        """Return the transform of the UVs, (2, 3)."""
        return self._first_use[1]

    @property
    def border(self) -> int:
        """Return OpenCV's border mode for the wrap modes."""
        use = next((self.material.textures[s] for s in self.pictures if s in self.material.textures), None)
        modes = use.wrap if use else (0, 0)
        return _BORDERS.get(modes[0], cv2.BORDER_WRAP) if modes[0] == modes[1] else cv2.BORDER_WRAP

    @property
    def _first_use(self) -> tuple[int, NDArray[np.float64]]:
        use = next((self.material.textures[s] for s in self.pictures if s in self.material.textures), None)
        return (use.uv_set, use.transform) if use else (0, np.eye(2, 3))


def read_glb(data: bytes) -> TexturedMesh:
    """Return a GLB as one mesh.

    Raises:
        InputError: file.unreadable, file.stream, file.too_complex, file.texture_size or geometry.empty.
    """
    document = Document(data)
    primitives = [p for p in document.primitives if len(p.faces)]
    if not primitives:
        raise InputError("geometry.empty", "The GLB holds no triangles.")
    read_textures(document)  # raises for an image that is damaged or too large, shown or not
    indices = sorted({-1 if p.material is None else p.material for p in primitives})
    looks = {index: _read_look(document, index) for index in indices}
    look_of = [looks[-1 if p.material is None else p.material] for p in primitives]
    starts = np.cumsum([0, *(len(p.positions) for p in primitives[:-1])])
    mesh = TexturedMesh(
        positions=np.concatenate([p.positions for p in primitives]).astype(np.float32),
        normals=np.concatenate([_primitive_normals(p) for p in primitives]),
        uvs=np.zeros((0, 2), np.float32),
        faces=np.concatenate([p.faces + start for p, start in zip(primitives, starts, strict=True)]).astype(
            np.uint32
        ),
        texture=None,
        colors=_vertex_colors(primitives, look_of, is_merged=len(looks) > 1),
        alpha_mode=_alpha_mode(look_of),
        double_sided=any(look.material.double_sided for look in look_of),
    )
    uvs = [_primitive_uvs(p, look) for p, look in zip(primitives, look_of, strict=True)]
    if len(looks) == 1:
        return _with_single_material(mesh, np.concatenate(uvs), look_of[0])
    owners = [indices.index(-1 if p.material is None else p.material) for p in primitives]
    return _with_atlas(mesh, uvs, owners, [looks[index] for index in indices])


def _read_look(document: Document, index: int) -> _Look:
    material = read_material(document, index)
    pictures = {
        slot: picture
        for slot, use in material.textures.items()
        if (picture := texture_picture(document, use.image))
    }
    base = material.textures.get(BASE_COLOUR)
    for slot in NO_SECOND_SET:  # a mesh has one set of UVs: the base colour's
        if base and slot in pictures and material.textures[slot].uv_set != base.uv_set:
            del pictures[slot]
    if "normal" in pictures and material.normal_scale != 1:
        pictures["normal"] = scaled_normals(pictures["normal"], material.normal_scale)
    if "occlusion" in pictures and material.occlusion_strength != 1:
        pictures["occlusion"] = scaled_occlusion(pictures["occlusion"], material.occlusion_strength)
    if not any(material.emissive):
        pictures.pop("emissive", None)
    elif "emissive" not in pictures:
        pictures["emissive"] = plain_colour(material.emissive)
    elif material.emissive != (1, 1, 1):
        pictures["emissive"] = tinted(pictures["emissive"], material.emissive)
    if material.alpha_mode == MASK and BASE_COLOUR in pictures:
        share = max(material.color[3], 1e-6)
        pictures[BASE_COLOUR] = masked(pictures[BASE_COLOUR], material.alpha_cutoff / share)
    return _Look(material=material, pictures=pictures)


def _alpha_mode(looks: Sequence[_Look]) -> str:
    modes = {look.material.alpha_mode for look in looks}
    return BLEND if BLEND in modes else MASK if MASK in modes else OPAQUE


def _vertex_colors(primitives: Sequence[Primitive], looks: Sequence[_Look], *, is_merged: bool) -> F32 | None:
    """Return the colours of all vertices, (n, 4); None where all are white.

    In a merged material they hold the alpha of each material's factor.
    """
    found, is_plain = [], True
    for primitive, look in zip(primitives, looks, strict=True):
        count = len(primitive.positions)
        colors = np.ones((count, 4)) if primitive.colors is None else primitive.colors.copy()
        mode = look.material.alpha_mode
        if mode == OPAQUE:
            colors[:, 3] = 1
        elif mode == MASK and BASE_COLOUR not in look.pictures:
            colors[:, 3] = colors[:, 3] * look.material.color[3] >= look.material.alpha_cutoff
        elif mode == BLEND and is_merged:
            colors[:, 3] *= look.material.color[3]
        is_plain = is_plain and bool((colors == 1).all())
        found.append(colors)
    return None if is_plain else np.concatenate(found).astype(np.float32)


def _primitive_normals(p: Primitive) -> F32:
    usable = p.normals is not None and bool(np.isfinite(p.normals).all())
    if usable and p.normals is not None:
        return (p.normals / np.maximum(np.linalg.norm(p.normals, axis=1, keepdims=True), 1e-12)).astype(
            np.float32
        )
    return vertex_normals(p.positions.astype(np.float32), p.faces.astype(np.uint32))


def _primitive_uvs(p: Primitive, look: _Look) -> F32:
    uvs = p.uvs_1 if look.uv_set == 1 else p.uvs
    if uvs is None or not look.pictures:
        return np.zeros((len(p.positions), 2), np.float32)
    return (uvs @ look.transform[:, :2].T + look.transform[:, 2]).astype(np.float32)


def _with_single_material(mesh: TexturedMesh, uvs: F32, look: _Look) -> TexturedMesh:
    material = look.material
    use = next((material.textures[s] for s in look.pictures if s in material.textures), None)
    alpha = material.color[3] if material.alpha_mode == BLEND else 1.0
    return replace(
        mesh,
        uvs=uvs,
        color=(material.color[0], material.color[1], material.color[2], alpha),
        texture=look.pictures.get(BASE_COLOUR),
        roughness=material.roughness,
        metallic=material.metallic,
        maps={slot: picture for slot, picture in look.pictures.items() if slot in MAP_NAMES},
        wrap=use.wrap if use else mesh.wrap,
    )


def _with_atlas(
    mesh: TexturedMesh, uvs: list[F32], owners: list[int], looks: Sequence[_Look]
) -> TexturedMesh:
    """Return the mesh on an atlas of its materials.

    Args:
        mesh: The mesh, without UVs.
        uvs: The uvs of each primitive.
        owners: The material of each primitive.
        looks: The materials.
    """
    side = int(np.ceil(np.sqrt(len(looks))))
    cell = ATLAS_PX // side
    ranges = [
        _shown_range([u for u, o in zip(uvs, owners, strict=True) if o == m]) for m in range(len(looks))
    ]
    moved = []
    for own, owner in zip(uvs, owners, strict=True):
        low, span = ranges[owner]
        corner = np.array([owner % side, owner // side]) * cell + GUTTER_PX
        moved.append(((own - low) / span * (cell - 2 * GUTTER_PX) + corner) / ATLAS_PX)
    slots = [slot for slot in SLOTS if any(slot in look.pictures for look in looks)]
    slots += [
        s for s in (BASE_COLOUR, "metallic_roughness") if s not in slots
    ]  # since factors differ by material
    atlases = {slot: _draw_atlas(slot, looks, ranges, side, cell) for slot in slots}
    if mesh.alpha_mode != OPAQUE:
        atlases[BASE_COLOUR] = _with_alpha(atlases[BASE_COLOUR], looks, ranges, side, cell)
    return replace(
        mesh,
        uvs=np.concatenate(moved).astype(np.float32),
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
    slot: str, looks: Sequence[_Look], ranges: Sequence[tuple[F32, F32]], side: int, cell: int
) -> bytes:
    """Return a picture with a cell for each material, as JPEG."""
    canvas = np.zeros((side * cell, side * cell, 3), np.uint8)
    for number, (look, (low, span)) in enumerate(zip(looks, ranges, strict=True)):
        top, left = number // side * cell, number % side * cell
        canvas[top : top + cell, left : left + cell] = _draw_cell(slot, look, low, span, cell)
    out = io.BytesIO()
    Image.fromarray(canvas).save(out, "JPEG", quality=92, subsampling=0)
    return out.getvalue()


def _with_alpha(
    atlas: bytes, looks: Sequence[_Look], ranges: Sequence[tuple[F32, F32]], side: int, cell: int
) -> bytes:
    """Return an atlas with the alpha of those materials that show it, as PNG."""
    alpha = np.full((side * cell, side * cell), 255, np.uint8)
    for number, (look, (low, span)) in enumerate(zip(looks, ranges, strict=True)):
        picture = look.pictures.get(BASE_COLOUR)
        if picture is None or look.material.alpha_mode == OPAQUE:
            continue
        with Image.open(io.BytesIO(picture)) as image:
            source = np.asarray(image.convert("RGBA"))[..., 3:]
        top, left = number // side * cell, number % side * cell
        drawn = _draw_part(np.repeat(source, 3, 2), look, low, span, cell)
        alpha[top : top + cell, left : left + cell] = drawn[..., 0]
    with Image.open(io.BytesIO(atlas)) as image:
        rgb = np.asarray(image.convert("RGB"))
    out = io.BytesIO()
    Image.fromarray(np.dstack([rgb, alpha])).save(out, "PNG", compress_level=1)
    return out.getvalue()


def _draw_cell(slot: str, look: _Look, low: F32, span: F32, cell: int) -> U8:
    """Return the part of a material's map that is shown, and some around it, with factors: (cell, cell,
    3)."""
    neutral = {"normal": (128, 128, 255), "emissive": (0, 0, 0)}.get(slot, (255, 255, 255))
    picture, material = look.pictures.get(slot), look.material
    if picture is None:
        drawn = np.full((cell, cell, 3), neutral, np.uint8)
    else:
        with Image.open(io.BytesIO(picture)) as image:
            drawn = _draw_part(np.asarray(image.convert("RGB")), look, low, span, cell)
    if slot == BASE_COLOUR and material.color[:3] != (1.0, 1.0, 1.0):
        return np.asarray(to_srgb(to_linear(drawn) * np.array(material.color[:3], np.float32)), np.uint8)
    if slot == "metallic_roughness":
        return np.asarray(drawn * np.array([1.0, material.roughness, material.metallic]) + 0.5, np.uint8)
    return drawn


def _draw_part(source: U8, look: _Look, low: F32, span: F32, cell: int) -> U8:
    inner = cell - 2 * GUTTER_PX
    reduction = np.minimum(1.0, inner / (span * [source.shape[1], source.shape[0]]))
    size = np.maximum(1, np.round([source.shape[1] * reduction[0], source.shape[0] * reduction[1]])).astype(
        int
    )
    if (reduction < 1).any():
        source = np.asarray(
            cv2.resize(source, (int(size[0]), int(size[1])), interpolation=cv2.INTER_AREA), np.uint8
        )
    position = (np.arange(cell) - GUTTER_PX + 0.5) / inner
    u, v = (
        (low[0] + position * span[0]) * source.shape[1] - 0.5,
        (low[1] + position * span[1]) * source.shape[0] - 0.5,
    )
    across, down = np.meshgrid(u.astype(np.float32), v.astype(np.float32))
    return np.asarray(cv2.remap(source, across, down, cv2.INTER_LINEAR, borderMode=look.border), np.uint8)
