"""A USDZ as GLB: its meshes in metres, Y up, with the UsdPreviewSurface of each as a glTF material."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pxr import Tf, Usd, UsdGeom, UsdShade, UsdSkel

from dam_connector.errors import InputError
from worker.adoption.file_set import FileSet
from worker.adoption.usd_materials import MaterialReader
from worker.gltf.rewriting import GlbRewriter

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
MAX_CORNERS = 30_000_000  # of all triangles
_EMPTY = b'{"asset":{"version":"2.0","generator":"dam-connector"}}    '
_VERTICES, _INDICES = 34962, 34963  # targets of buffer views


def read_usdz(files: FileSet) -> tuple[bytes, tuple[str, ...]]:
    """Return the GLB of an unpacked package, and what it does not hold. Its first file is the layer.

    Raises:
        InputError: source.not_a_model, geometry.empty.
    """
    with tempfile.TemporaryDirectory(prefix="usdz-") as folder:
        root = Path(folder).resolve()
        files.write_to(root)
        try:
            stage = Usd.Stage.Open(str(root / files.first))
            _refuse_outside_layers(stage, str(root))
            return _SceneWriter(stage, files).write()
        except Tf.ErrorException as error:
            raise InputError("source.not_a_model", "OpenUSD cannot read the USDZ.") from error


def _refuse_outside_layers(stage: Usd.Stage, folder: str) -> None:
    """Raise InputError where the stage is composed of files outside its package."""
    layers = [layer.identifier for layer in stage.GetUsedLayers() if not layer.anonymous]
    outside = [name for name in layers if not name.startswith(f"{folder}/")]
    if outside:
        message = "The USDZ uses files outside of it."
        raise InputError("source.not_a_model", message, measured=outside[0][:120])


class _SceneWriter:
    """The GLB of a stage while it is written."""

    def __init__(self, stage: Usd.Stage, files: FileSet) -> None:
        self._stage = stage
        self._glb = GlbRewriter(_empty_glb())
        self._losses: list[str] = []
        self._materials = MaterialReader(self._glb, files, self._losses)
        self._transforms = UsdGeom.XformCache(Usd.TimeCode.EarliestTime())
        self._corners = 0

    def write(self) -> tuple[bytes, tuple[str, ...]]:
        nodes = []
        for prim in Usd.PrimRange(self._stage.GetPseudoRoot(), Usd.TraverseInstanceProxies()):
            self._note_losses(prim)
            mesh = UsdGeom.Mesh(prim)
            if not mesh or not _is_shown(mesh):
                continue
            primitives = list(self._primitives(mesh))
            if primitives:
                number = self._glb.add_row("meshes", {"primitives": primitives})
                nodes.append(self._glb.add_row("nodes", {"name": prim.GetName(), "mesh": number}))
        if not nodes:
            raise InputError("geometry.empty", "The USDZ holds no meshes.")
        self._glb.json["scene"] = self._glb.add_row("scenes", {"nodes": nodes})
        return self._glb.finish(), tuple(dict.fromkeys(self._losses))

    def _note_losses(self, prim: Usd.Prim) -> None:
        if prim.IsA(UsdSkel.Skeleton):
            self._losses.append("skins")
        elif prim.IsA(UsdSkel.BlendShape):
            self._losses.append("morph targets")
        elif prim.IsA(UsdGeom.Gprim) and not prim.IsA(UsdGeom.Mesh):
            self._losses.append(f"{prim.GetTypeName()} shapes")
        elif prim.IsA(UsdGeom.PointInstancer):
            self._losses.append("instances")
        if prim.IsA(UsdGeom.Xformable) and UsdGeom.Xformable(prim).TransformMightBeTimeVarying():
            self._losses.append("animations")

    def _primitives(self, mesh: UsdGeom.Mesh) -> Iterator[dict[str, object]]:
        """Yield a primitive of glTF for each material of a mesh."""
        points = _array(mesh.GetPointsAttr(), np.float64).reshape(-1, 3)
        counts = _array(mesh.GetFaceVertexCountsAttr(), np.int64)
        indices = _array(mesh.GetFaceVertexIndicesAttr(), np.int64)
        damaged = len(indices) != counts.sum() or (counts < 0).any()
        if damaged or (len(indices) and not 0 <= indices.min() <= indices.max() < len(points)):
            raise InputError("source.not_a_model", f"The mesh {mesh.GetPath()} is damaged.")
        faces, corners = _triangles(counts)
        self._corners += corners.size
        if self._corners > MAX_CORNERS:
            raise InputError("file.too_complex", "The USDZ has too many triangles.")
        if mesh.GetOrientationAttr().Get() == UsdGeom.Tokens.leftHanded:
            corners = corners[:, ::-1]
        if mesh.GetSubdivisionSchemeAttr().HasAuthoredValue() and _is_subdivided(mesh):
            self._losses.append("subdivision of surfaces")
        placed, normals = self._placed(mesh, points, indices, faces, corners, counts)
        for binding, chosen in _materials_of_faces(mesh, len(counts)):
            of_material = np.isin(faces, chosen) if chosen is not None else np.ones(len(faces), bool)
            if not of_material.any():
                continue
            material = self._materials.read(binding)
            uvs = _corner_values(mesh, material.uv_name, indices, faces, corners, len(counts), 2)
            colors = None
            if material.index is None or material.has_vertex_colors:
                colors = _vertex_colors(mesh, indices, faces, corners, len(counts))
            yield self._primitive(
                mesh,
                placed[of_material],
                normals[of_material] if normals is not None else None,
                uvs[of_material] if uvs is not None else None,
                colors[of_material] if colors is not None else None,
                material.index,
            )

    def _placed(
        self, mesh: UsdGeom.Mesh, points: F64, indices: I64, faces: I64, corners: I64, counts: I64
    ) -> tuple[F64, F64 | None]:
        """Return position and normal of each corner in metres, Y up, (triangles, 3, 3)."""
        matrix = np.array(self._transforms.GetLocalToWorldTransform(mesh.GetPrim()))
        turned = np.eye(3)
        if UsdGeom.GetStageUpAxis(self._stage) == UsdGeom.Tokens.z:
            turned = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
        scale = float(UsdGeom.GetStageMetersPerUnit(self._stage))
        linear, offset = matrix[:3, :3] @ turned, matrix[3, :3] @ turned
        placed = (points @ linear + offset) * scale
        found = _normals(mesh, indices, faces, corners, len(counts))
        if found is not None:
            try:
                found = found @ np.linalg.inv(linear).T
            except np.linalg.LinAlgError:
                found = None
        triangles = placed[indices[corners]]
        if np.linalg.det(linear) < 0:
            triangles, found = triangles[:, ::-1], None if found is None else found[:, ::-1]
        return triangles, found

    def _primitive(
        self,
        mesh: UsdGeom.Mesh,
        positions: F64,
        normals: F64 | None,
        uvs: F64 | None,
        colors: F64 | None,
        material: int | None,
    ) -> dict[str, object]:
        columns = [positions.reshape(-1, 3)]
        if normals is not None:
            lengths = np.linalg.norm(normals, axis=2, keepdims=True)
            columns.append((normals / np.maximum(lengths, 1e-12)).reshape(-1, 3))
        if uvs is not None:
            columns.append((uvs * [1, -1] + [0, 1]).reshape(-1, 2))
        if colors is not None:
            columns.append(np.clip(colors, 0, 1).reshape(-1, 3))
        every = np.ascontiguousarray(np.concatenate(columns, axis=1), np.float32)
        vertices, inverse = np.unique(every, axis=0, return_inverse=True)
        attributes = {"POSITION": self._floats(vertices[:, :3], bounds=True)}
        at = 3
        if normals is not None:
            attributes["NORMAL"] = self._floats(vertices[:, at : at + 3])
            at += 3
        if uvs is not None:
            attributes["TEXCOORD_0"] = self._floats(vertices[:, at : at + 2])
        if colors is not None:
            attributes["COLOR_0"] = self._floats(vertices[:, -3:])
        index_view = self._glb.add_view(inverse.astype(np.uint32).tobytes(), _INDICES)
        accessor = {"bufferView": index_view, "componentType": 5125, "count": inverse.size, "type": "SCALAR"}
        row: dict[str, object] = {
            "attributes": attributes,
            "indices": self._glb.add_row("accessors", accessor),
        }
        number = material if material is not None else self._materials.plain(mesh)
        return {**row, **({} if number is None else {"material": number})}

    def _floats(self, values: NDArray[np.float32], *, bounds: bool = False) -> int:
        row = {
            "bufferView": self._glb.add_view(np.ascontiguousarray(values).tobytes(), _VERTICES),
            "componentType": 5126,
            "count": len(values),
            "type": f"VEC{values.shape[1]}",
        }
        if bounds:
            row |= {"min": values.min(0).astype(float).tolist(), "max": values.max(0).astype(float).tolist()}
        return self._glb.add_row("accessors", row)


def _empty_glb() -> bytes:
    text = _EMPTY[: len(_EMPTY) // 4 * 4]
    return (
        b"glTF"
        + (2).to_bytes(4, "little")
        + (20 + len(text)).to_bytes(4, "little")
        + len(text).to_bytes(4, "little")
        + b"JSON"
        + text
    )


def _array(attribute: Usd.Attribute, kind: type[np.generic]) -> NDArray[Any]:
    """Return an attribute's values; an empty array where it has none."""
    found = attribute.Get(Usd.TimeCode.EarliestTime())
    return np.asarray(found if found is not None else [], kind)


def _is_subdivided(mesh: UsdGeom.Mesh) -> bool:
    return bool(mesh.GetSubdivisionSchemeAttr().Get() != UsdGeom.Tokens.none)


def _is_shown(mesh: UsdGeom.Mesh) -> bool:
    is_drawn = mesh.ComputePurpose() in (UsdGeom.Tokens.default_, UsdGeom.Tokens.render)
    return is_drawn and mesh.ComputeVisibility() != UsdGeom.Tokens.invisible


def _triangles(counts: I64) -> tuple[I64, I64]:
    """Return the triangles of polygons as fans: the polygon of each, and its corners, (triangles, 3)."""
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64) if len(counts) else counts
    fans = np.maximum(counts - 2, 0)
    faces = np.repeat(np.arange(len(counts)), fans)
    within = np.arange(fans.sum()) - np.repeat(np.cumsum(fans) - fans, fans)
    first = starts[faces] if len(faces) else faces
    return faces, np.stack([first, first + within + 1, first + within + 2], axis=1).astype(np.int64)


def _materials_of_faces(
    mesh: UsdGeom.Mesh, count: int
) -> Iterator[tuple[UsdShade.Material | None, I64 | None]]:
    """Yield each material of a mesh with its faces; None for all of them."""
    rest = np.ones(count, bool)
    subsets = UsdShade.MaterialBindingAPI(mesh).GetMaterialBindSubsets()
    for subset in subsets:
        chosen = _array(subset.GetIndicesAttr(), np.int64)
        chosen = chosen[(chosen >= 0) & (chosen < count)]
        rest[chosen] = False
        yield UsdShade.MaterialBindingAPI(subset.GetPrim()).ComputeBoundMaterial()[0] or None, chosen
    bound = UsdShade.MaterialBindingAPI(mesh.GetPrim()).ComputeBoundMaterial()[0] or None
    yield bound, np.flatnonzero(rest) if subsets else None


def _normals(mesh: UsdGeom.Mesh, indices: I64, faces: I64, corners: I64, count: int) -> F64 | None:
    named = _corner_values(mesh, "normals", indices, faces, corners, count, 3)
    if named is not None:
        return named
    values = _array(mesh.GetNormalsAttr(), np.float64).reshape(-1, 3)
    return _by_interpolation(values, str(mesh.GetNormalsInterpolation()), indices, faces, corners, count)


def _vertex_colors(mesh: UsdGeom.Mesh, indices: I64, faces: I64, corners: I64, count: int) -> F64 | None:
    """Return the displayColor of each corner; None where the whole mesh has one colour or none."""
    found = mesh.GetDisplayColorAttr().Get(Usd.TimeCode.EarliestTime())
    if found is None or len(found) < 2:
        return None
    return _corner_values(mesh, "primvars:displayColor", indices, faces, corners, count, 3)


def _corner_values(
    mesh: UsdGeom.Mesh, name: str, indices: I64, faces: I64, corners: I64, count: int, width: int
) -> F64 | None:
    """Return a primvar at each corner, (triangles, 3, width); None where the mesh does not have it."""
    primvar = UsdGeom.PrimvarsAPI(mesh).FindPrimvarWithInheritance(name)
    if not name or not primvar or not primvar.HasValue():
        return None
    flat = primvar.ComputeFlattened(Usd.TimeCode.EarliestTime())
    values = np.asarray(flat if flat is not None else [], np.float64)
    if values.ndim != 2 or values.shape[1] != width:
        return None
    return _by_interpolation(values, str(primvar.GetInterpolation()), indices, faces, corners, count)


def _by_interpolation(
    values: F64, interpolation: str, indices: I64, faces: I64, corners: I64, count: int
) -> F64 | None:
    if not len(values):
        return None
    if interpolation == "faceVarying" and len(values) == len(indices):
        return values[corners]
    if interpolation in ("vertex", "varying") and (not len(indices) or indices.max() < len(values)):
        return values[indices[corners]]
    if interpolation == "uniform" and len(values) == count:
        return np.repeat(values[faces][:, None], 3, axis=1)
    if interpolation == "constant":
        return np.broadcast_to(values[0], (*corners.shape, values.shape[1])).copy()
    return None
