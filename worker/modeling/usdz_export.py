"""USDZ packages for Quick Look, by usd-core: the meshes of a GLB as it shows them, metres, Y up.

A UsdPreviewSurface does not say all that a glTF material does. What it cannot say is returned by name.
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pxr import Gf, Sdf, Tf, Usd, UsdGeom, UsdShade, UsdUtils, Vt

from worker.gltf.document import Document, Primitive
from worker.gltf.features import features
from worker.gltf.json_fields import extension
from worker.gltf.materials import BLEND, MASK, SurfaceMaterial, number_list, read_material
from worker.gltf.texture_pictures import texture_picture
from worker.modeling.glb_export import write_glb
from worker.modeling.textured_mesh import TexturedMesh, vertex_normals
from worker.modeling.usd_material import CARRIED_EXTENSIONS, PictureFiles, UsdSurface, define_material

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
CONSTANT = 1e-4  # vertex colours that differ by less are one colour
# Features of a GLB that a package does not hold; the others it holds in a way of its own.
_LOST_FEATURES = (
    "KTX2 textures",
    "textures outside the file",
    "points or lines",
    "skins",
    "morph targets",
    "animations",
)
_HELD_EXTENSIONS = ("KHR_texture_transform", "KHR_texture_basisu", "KHR_xmp_json_ld")


@dataclass(frozen=True, slots=True)
class UsdzPackage:
    """A package, and what of the GLB it does not hold."""

    data: bytes
    losses: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """All triangles of the scene with one material and one kind of vertex colours."""

    material: SurfaceMaterial
    index: int | None  # of the material
    tint: tuple[float, ...] | None  # the colour that all vertices share; None: each has its own
    primitives: list[Primitive]


def write_usdz(model: TexturedMesh, name: str) -> bytes:
    """Return a mesh as a USDZ package. name: the SKU that the package carries."""
    return convert_glb(write_glb(model, name), name).data


def convert_glb(glb: bytes, name: str) -> UsdzPackage:
    """Return a GLB as a USDZ package: skins posed, morph weights applied, instances as meshes.

    Args:
        glb: The file.
        name: The SKU that the package carries.

    Raises:
        InputError: file.*
    """
    document = Document(glb)
    with tempfile.TemporaryDirectory(prefix="usdz-") as folder:
        layer, package = Path(folder) / "model.usdc", Path(folder) / "model.usdz"
        pictures = PictureFiles(
            partial(texture_picture, document), lambda file, data: _write(Path(folder) / file, data)
        )
        losses = _write_layer(document, name, str(layer), pictures)
        if not UsdUtils.CreateNewARKitUsdzPackage(Sdf.AssetPath(str(layer)), str(package)):
            raise RuntimeError("usd-core could not write the package")
        return UsdzPackage(package.read_bytes(), losses)


def read_usdz_sku(data: bytes) -> str:
    """Return the SKU that a package carries; empty if it carries none or cannot be opened."""
    with open_usdz(data) as stage:
        prim = stage.GetDefaultPrim() if stage else None  # valid only as long as its stage
        return str(prim.GetCustomDataByKey("sku") or "") if prim else ""


@contextmanager
def open_usdz(data: bytes) -> Iterator[Usd.Stage | None]:
    """Open a package as a USD stage for the length of the context; None if OpenUSD cannot open it.

    OpenUSD reads files only, so the bytes are written to a temporary one.
    """
    with tempfile.TemporaryDirectory(prefix="usdz-") as folder:
        package = Path(folder) / "model.usdz"
        package.write_bytes(data)
        try:
            stage = Usd.Stage.Open(str(package))
        except Tf.ErrorException:
            stage = None
        yield stage


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _write_layer(document: Document, name: str, path: str, pictures: PictureFiles) -> tuple[str, ...]:
    """Write the stage; return what it does not hold."""
    stage = Usd.Stage.CreateNew(path)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    root = UsdGeom.Xform.Define(stage, "/Product")
    root.GetPrim().SetCustomDataByKey("sku", name)
    stage.SetDefaultPrim(root.GetPrim())
    losses = [f for f in features(document) if f in _LOST_FEATURES or _is_lost_extension(f)]
    for number, part in enumerate(_parts(document)):
        suffix = f"_{number}" if number else ""
        surface, primvars = _surface(document, part, pictures)
        losses += _part_losses(document, part, surface)
        mesh = _write_mesh(stage, f"/Product/Mesh{suffix}", part, primvars, surface)
        material = define_material(stage, f"/Product/Material{suffix}", surface)
        UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(material)
    stage.GetRootLayer().Save()
    return tuple(dict.fromkeys(losses))


def _is_lost_extension(feature: str) -> bool:
    return feature.startswith(("KHR_", "EXT_", "MSFT_")) and feature not in (
        *CARRIED_EXTENSIONS,
        *_HELD_EXTENSIONS,
    )


def _parts(document: Document) -> list[_Part]:
    """Return the scene's triangles by material and by kind of vertex colours, in the scene's order."""
    found: dict[tuple[object, ...], _Part] = {}
    for primitive in document.primitives:
        if not len(primitive.faces):
            continue
        tint = _shared_color(primitive.colors)
        key = (primitive.material, None if tint is None else tuple(round(c, 4) for c in tint))
        if key not in found:
            found[key] = _Part(
                material=read_material(document, primitive.material),
                index=primitive.material,
                tint=tint,
                primitives=[],
            )
        found[key].primitives.append(primitive if primitive.normals is not None else _flat(primitive))
    return list(found.values())


def _shared_color(colors: F64 | None) -> tuple[float, ...] | None:
    """Return the colour that all vertices have, white without colours; None where they differ."""
    if colors is None or not len(colors):
        return (1.0, 1.0, 1.0, 1.0)
    return tuple(map(float, colors[0])) if np.ptp(colors, axis=0).max() < CONSTANT else None


def _surface(
    document: Document, part: _Part, pictures: PictureFiles
) -> tuple[UsdSurface, dict[str, tuple[int, NDArray[np.float64]]]]:
    """Return the part's surface, and its UV primvars: the set and the transform of each."""
    files, primvar_of_slot = {}, {}
    primvars: dict[str, tuple[int, NDArray[np.float64]]] = {}
    for slot, use in part.material.textures.items():
        file = pictures.add(slot, use, part.material.normal_scale)
        if not file:
            continue
        files[slot] = file
        for name, (uv_set, transform) in primvars.items():
            if uv_set == use.uv_set and np.array_equal(transform, use.transform):
                primvar_of_slot[slot] = name
                break
        else:
            primvar_of_slot[slot] = f"st{len(primvars) or ''}"
            primvars[primvar_of_slot[slot]] = (use.uv_set, use.transform)
    coat, ior = _clearcoat(document, part.index), _factor(document, part.index, "KHR_materials_ior", "ior")
    surface = UsdSurface(
        material=part.material,
        pictures=files,
        has_alpha=pictures.has_alpha(files.get("base", "")),
        primvars=primvar_of_slot,
        tint=part.tint or (1.0, 1.0, 1.0, 1.0),
        has_vertex_colors=part.tint is None,
        ior=ior,
        clearcoat=coat,
    )
    return surface, primvars


def _clearcoat(document: Document, index: int | None) -> tuple[float, float] | None:
    factor = _factor(document, index, "KHR_materials_clearcoat", "clearcoatFactor", 0.0)
    roughness = _factor(document, index, "KHR_materials_clearcoat", "clearcoatRoughnessFactor", 0.0)
    return None if factor is None or roughness is None else (factor, roughness)


def _factor(
    document: Document, index: int | None, name: str, field: str, default: float = 1.5
) -> float | None:
    """Return a factor of a material's extension; None where the material does not have it."""
    rows = document.rows("materials")
    found = extension(rows[index], name) if index is not None and 0 <= index < len(rows) else None
    return None if found is None else number_list([found.get(field, default)], (default,))[0]


def _part_losses(document: Document, part: _Part, surface: UsdSurface) -> Iterator[str]:
    if surface.has_vertex_colors and "base" in surface.pictures:
        yield "vertex colours over a texture"
    if part.material.alpha_mode in (MASK, BLEND) and surface.has_vertex_colors and surface.has_alpha:
        yield "transparency of vertices over a texture"
    rows = document.rows("materials")
    row = rows[part.index] if part.index is not None and 0 <= part.index < len(rows) else {}
    coat = extension(row, "KHR_materials_clearcoat") or {}
    if any(name.endswith("Texture") for name in coat):
        yield "textures of KHR_materials_clearcoat"
    if any(use.uv_set > 1 for use in part.material.textures.values()):
        yield "UV sets after the second"


def _write_mesh(
    stage: Usd.Stage,
    path: str,
    part: _Part,
    primvars: Mapping[str, tuple[int, NDArray[np.float64]]],
    surface: UsdSurface,
) -> UsdGeom.Mesh:
    primitives = part.primitives
    starts = np.cumsum([0, *(len(p.positions) for p in primitives[:-1])])
    points = np.concatenate([p.positions for p in primitives]).astype(np.float32)
    faces = np.concatenate([p.faces + start for p, start in zip(primitives, starts, strict=True)])
    mesh = UsdGeom.Mesh.Define(stage, path)
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(points)))
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(np.full(len(faces), 3, np.int32)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(faces.astype(np.int32).ravel()))
    normals = np.concatenate([_normals(p) for p in primitives])
    mesh.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(normals)))
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    if part.material.double_sided:
        mesh.CreateDoubleSidedAttr(True)
    used = points[np.unique(faces)]
    mesh.CreateExtentAttr([Gf.Vec3f(*map(float, used.min(0))), Gf.Vec3f(*map(float, used.max(0)))])
    for name, (uv_set, transform) in primvars.items():
        uvs = np.concatenate([_uvs(p, uv_set) for p in primitives])
        shown = uvs @ transform[:, :2].T + transform[:, 2]
        primvar = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar(
            name, Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.vertex
        )
        primvar.Set(Vt.Vec2fArray.FromNumpy(np.ascontiguousarray(shown * [1, -1] + [0, 1], np.float32)))
    if surface.has_vertex_colors:
        _write_colors(mesh, part)
    return mesh


def _write_colors(mesh: UsdGeom.Mesh, part: _Part) -> None:
    """Write vertex colours times the material's factor as displayColor and displayOpacity."""
    colors = np.concatenate([p.colors for p in part.primitives if p.colors is not None])
    colors = (colors * np.array(part.material.color)).astype(np.float32)
    mesh.CreateDisplayColorPrimvar(UsdGeom.Tokens.vertex).Set(
        Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(colors[:, :3]))
    )
    if part.material.alpha_mode in (MASK, BLEND):
        mesh.CreateDisplayOpacityPrimvar(UsdGeom.Tokens.vertex).Set(
            Vt.FloatArray.FromNumpy(np.ascontiguousarray(colors[:, 3]))
        )


def _flat(p: Primitive) -> Primitive:
    """Return a primitive without normals as viewers draw it: each triangle has vertices of its own."""
    corners = p.faces.ravel()
    a, b, c = (p.positions[p.faces[:, k]] for k in range(3))
    across = np.asarray(np.cross(b - a, c - a), np.float64)
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-12)
    uvs, uvs_1, colors = (None if v is None else v[corners] for v in (p.uvs, p.uvs_1, p.colors))
    return replace(
        p,
        positions=p.positions[corners],
        faces=np.arange(len(corners)).reshape(-1, 3),
        normals=np.repeat(across, 3, axis=0),
        uvs=uvs,
        uvs_1=uvs_1,
        colors=colors,
    )


def _normals(p: Primitive) -> F32:
    """Return a primitive's normals; computed ones where it has none that can be used."""
    if p.normals is not None and bool(np.isfinite(p.normals).all()):
        lengths = np.linalg.norm(p.normals, axis=1, keepdims=True)
        return (p.normals / np.maximum(lengths, 1e-12)).astype(np.float32)
    return vertex_normals(p.positions.astype(np.float32), p.faces.astype(np.uint32))


def _uvs(p: Primitive, uv_set: int) -> F64:
    found = p.uvs_1 if uv_set == 1 else p.uvs
    return np.zeros((len(p.positions), 2)) if found is None else found
