"""A GLB read without trust: every index, length and count is verified before it is used.

A file that contradicts the specification raises InputError with the JSON pointer of the place. Sizes are
bounded: a file of a few bytes cannot ask for gigabytes. Source: the glTF 2.0 specification.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dam_connector.errors import InputError
from worker.gltf.buffers import Buffers
from worker.gltf.container import split_glb
from worker.gltf.data_uri import decode_data_uri
from worker.gltf.deformation import MAX_JOINT_SETS, Deformer, Influence, influences_of_set
from worker.gltf.json_fields import (
    MAX_COORDINATE_M,
    Row,
    Tables,
    extension,
    index_list,
    object_list,
    unreadable,
)
from worker.gltf.mesh_compression import DRACO, DracoMesh, decode_draco
from worker.gltf.node_transforms import NodeTransforms, local_matrix

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
MAX_TRIANGLES = 500_000
MAX_NODES = 10_000  # that the scene shows
MAX_UV = 1e6
TRIANGLES, TRIANGLE_STRIP, TRIANGLE_FAN = 4, 5, 6  # modes of primitives; the others draw points and lines
SURFACES = (TRIANGLES, TRIANGLE_STRIP, TRIANGLE_FAN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Primitive:
    """The triangles of one primitive as one node shows it, in world space."""

    where: str  # its JSON pointer, e.g. /meshes/0/primitives/0
    positions: F64  # (n, 3), metres, Y up
    faces: I64  # (m, 3), counter-clockwise seen from outside
    normals: F64 | None  # (n, 3), as stored, rotated into world space
    uvs: F64 | None  # (n, 2), as stored, origin at the top left
    material: int | None  # index in the document's materials
    uvs_1: F64 | None = None  # (n, 2), the second set
    colors: F64 | None = None  # (n, 4), linear RGBA


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalMesh:
    """The arrays of a primitive in its mesh's own space."""

    positions: F64
    faces: I64
    normals: F64 | None
    uvs: F64 | None
    uvs_1: F64 | None
    colors: F64 | None
    influences: tuple[Influence, ...]  # of a skin's joints


class Document:
    """One GLB.

    Raises:
        InputError: file.unreadable where the container is damaged.
    """

    def __init__(self, data: bytes) -> None:
        self.json, binary = split_glb(data)
        self._tables = Tables(self.json)
        self._buffers = Buffers(self._tables, binary)
        self._transforms = NodeTransforms(self._tables, self._buffers)
        self._deformer = Deformer(self._tables, self._buffers, self._transforms)
        self._draco_meshes: dict[int, DracoMesh] = {}
        self._local_meshes: dict[str, LocalMesh | None] = {}
        self._error: InputError | None = None

    def rows(self, key: str) -> list[Row]:
        """Return a top-level list of objects, e.g. `meshes`; an empty one where there is none."""
        return self._tables.rows(key)

    def accessor(self, index: object, where: str) -> NDArray[np.generic]:
        """Return the values of an accessor, (count, width); see `Buffers.accessor`."""
        return self._buffers.accessor(index, where)

    def stored_accessor(self, index: object, where: str) -> NDArray[np.generic]:
        """Return the elements of an accessor without a sparse part as they are stored, (count, width)."""
        return self._buffers.stored_accessor(index, where)

    def view(self, index: object, where: str) -> bytes:
        """Return the bytes of a buffer view, decoded where it is compressed; see `Buffers.view`."""
        return self._buffers.view(index, where)

    def image(self, index: object, where: str) -> bytes:
        """Return the encoded bytes of an image inside the file; empty where the image is outside."""
        row, here = self._tables.row("images", index, where), f"/images/{index}"
        if "bufferView" in row:
            return self._buffers.view(row["bufferView"], here)
        return decode_data_uri(row.get("uri"), here) or b""

    @cached_property
    def primitives(self) -> tuple[Primitive, ...]:
        """Return all triangles of the scene.

        Raises:
            InputError: file.unreadable, file.stream or file.too_complex; again at each access.
        """
        if self._error is None:
            try:
                return self._read_primitives()
            except InputError as error:
                self._error = error
        raise self._error

    @cached_property
    def roots(self) -> list[int]:
        """Return the root nodes of the default scene."""
        scenes, nodes = self.rows("scenes"), self.rows("nodes")
        if scenes:
            roots = self._tables.row("scenes", self.json.get("scene", 0), "/scene").get("nodes", [])
        else:
            children = {c for n in nodes for c in index_list(n.get("children", []), "/nodes")}
            roots = [i for i in range(len(nodes)) if i not in children]
        return [self._tables.index("nodes", n, "/scenes") for n in index_list(roots, "/scenes")]

    def _read_primitives(self) -> tuple[Primitive, ...]:
        found, triangles = [], 0
        for node, mesh, world in self._placed_meshes():
            rows = object_list(self._tables.row("meshes", mesh, "/nodes"), "primitives", f"/meshes/{mesh}")
            for number, row in enumerate(rows):
                primitive = self._primitive(row, node, world, f"/meshes/{mesh}/primitives/{number}")
                if primitive is not None:
                    triangles += len(primitive.faces)
                    found.append(primitive)
                if triangles > MAX_TRIANGLES:
                    raise InputError(
                        "file.too_complex",
                        f"It has more than {MAX_TRIANGLES:,} triangles.",
                        measured=f"{triangles:,}",
                    )
        return tuple(found)

    def _placed_meshes(self) -> Iterator[tuple[Row, object, F64]]:
        """Yield each mesh that the scene shows: its node, its index and its world matrix, (4, 4).

        A mesh that a node shows several times (EXT_mesh_gpu_instancing) is yielded for each.
        """
        stack = [(n, np.eye(4)) for n in reversed(self.roots)]
        visited, shown = set[int](), 0
        while stack:
            number, parent = stack.pop()
            where = f"/nodes/{number}"
            if number in visited:
                raise unreadable("The node is its own ancestor, or the child of two nodes.", where)
            if len(visited) == MAX_NODES:
                raise _too_many_nodes(len(self.rows("nodes")))
            visited.add(number)
            row = self._tables.row("nodes", number, where)
            world = parent @ local_matrix(row, where)
            if "mesh" in row:
                instances = self._transforms.instances(row, where)
                shown += len(instances)
                if shown > MAX_NODES:
                    raise _too_many_nodes(shown)
                yield from ((row, row["mesh"], world @ instance) for instance in instances)
            stack += [
                (self._tables.index("nodes", child, where), world)
                for child in reversed(index_list(row.get("children", []), where))
            ]

    def _primitive(self, row: Row, node: Row, world: F64, where: str) -> Primitive | None:
        """Return a primitive in world space, as the node shows it; None where it has no triangles."""
        local = self.local_mesh(row, where)
        if local is None:
            return None
        material = row.get("material")
        positions, normals = self._deformer.morph(row, node, local.positions, local.normals, where)
        posed = self._deformer.pose(node, local.influences, positions, normals, where)
        if posed is not None:  # a skin's joints place the mesh; its node does not
            positions, normals = posed
            is_mirrored = False
        else:
            is_mirrored = bool(np.linalg.det(world[:3, :3]) < 0)
            positions = positions @ world[:3, :3].T + world[:3, 3]
            normals = _world_normals(normals, world) if normals is not None else None
        return Primitive(
            where=where,
            positions=positions,
            faces=local.faces[:, ::-1] if is_mirrored else local.faces,
            normals=normals,
            uvs=local.uvs,
            uvs_1=local.uvs_1,
            colors=local.colors,
            material=material if isinstance(material, int) else None,
        )

    def local_mesh(self, row: Row, where: str) -> LocalMesh | None:
        """Return a primitive in its mesh's own space, read once; None where it has no triangles.

        Raises:
            InputError: file.unreadable, file.stream.
        """
        if where not in self._local_meshes:
            self._local_meshes[where] = self._read_local_mesh(row, where)
        return self._local_meshes[where]

    def _read_local_mesh(self, row: Row, where: str) -> LocalMesh | None:
        mode, names = row.get("mode", TRIANGLES), row.get("attributes")
        if mode not in (TRIANGLES, TRIANGLE_STRIP, TRIANGLE_FAN) or not isinstance(names, dict):
            return None
        if "POSITION" not in names:
            return None
        compressed = extension(row, DRACO)
        stream = self._draco_mesh(compressed, where) if compressed else None
        ids = compressed.get("attributes") if compressed else None

        def attribute(name: str) -> F64 | None:
            if name not in names:
                return None
            if stream is not None and isinstance(ids, dict) and name in ids:
                if not isinstance(ids[name], int) or ids[name] not in stream.attributes:
                    raise unreadable(f"The Draco stream has no {name}.", where)
                return np.asarray(stream.attributes[ids[name]], np.float64)
            return np.asarray(self.accessor(names[name], where), np.float64)

        positions = _verified_positions(attribute("POSITION"), f"{where}/attributes/POSITION")
        faces = stream.faces if stream is not None else self._faces(row, len(positions), int(mode), where)
        if len(faces) and int(faces.max()) >= len(positions):
            raise unreadable("The faces name vertices that do not exist.", f"{where}/indices")
        normals, uvs, uvs_1 = attribute("NORMAL"), attribute("TEXCOORD_0"), attribute("TEXCOORD_1")
        has_normals = normals is not None and normals.shape == positions.shape
        return LocalMesh(
            positions=positions,
            faces=faces,
            normals=normals if has_normals else None,
            uvs=uvs if _are_usable_uvs(uvs, len(positions)) else None,
            uvs_1=uvs_1 if _are_usable_uvs(uvs_1, len(positions)) else None,
            colors=_rgba(attribute("COLOR_0"), len(positions)),
            influences=tuple(
                influence
                for number in range(MAX_JOINT_SETS)
                for influence in influences_of_set(
                    attribute(f"JOINTS_{number}"), attribute(f"WEIGHTS_{number}"), len(positions), where
                )
            ),
        )

    def _faces(self, row: Row, vertices: int, mode: int, where: str) -> I64:
        """Return the corners of the triangles, (m, 3)."""
        if "indices" in row:
            stored = self.accessor(row["indices"], f"{where}/indices")
            if stored.dtype.kind != "u" or stored.shape[1] != 1:
                raise unreadable("Indices must be unsigned whole numbers.", f"{where}/indices")
            order = stored[:, 0].astype(np.int64)
        else:
            order = np.arange(vertices)
        if mode == TRIANGLES:
            return order[: len(order) // 3 * 3].reshape(-1, 3)
        if len(order) < 3:
            return np.zeros((0, 3), np.int64)
        if mode == TRIANGLE_FAN:
            return np.column_stack([np.full(len(order) - 2, order[0]), order[1:-1], order[2:]])
        faces = np.column_stack([order[:-2], order[1:-1], order[2:]])
        faces[1::2] = faces[1::2, [1, 0, 2]]  # every other triangle of a strip is wound the other way
        return faces

    def _draco_mesh(self, compressed: Row, where: str) -> DracoMesh:
        """Return a decoded Draco stream. Each is decoded once."""
        number = self._tables.index("bufferViews", compressed.get("bufferView"), where)
        if number not in self._draco_meshes:
            self._draco_meshes[number] = decode_draco(self._buffers.view(number, where), where)
        return self._draco_meshes[number]


def _verified_positions(positions: F64 | None, where: str) -> F64:
    """Return positions that are (n, 3) finite coordinates within MAX_COORDINATE_M."""
    if (
        positions is None
        or positions.ndim != 2
        or positions.shape[1] != 3
        or not np.isfinite(positions).all()
        or (np.abs(positions) > MAX_COORDINATE_M).any()
    ):
        raise unreadable("A position is not three finite numbers.", where)
    return positions


def _too_many_nodes(count: int) -> InputError:
    return InputError("file.too_complex", f"It shows more than {MAX_NODES:,} nodes.", measured=f"{count:,}")


def _rgba(colors: F64 | None, vertices: int) -> F64 | None:
    """Return vertex colours as RGBA within 0 to 1; None where they cannot be used."""
    if colors is None or colors.shape not in ((vertices, 3), (vertices, 4)) or not np.isfinite(colors).all():
        return None
    alpha = np.ones((vertices, 1)) if colors.shape[1] == 3 else colors[:, 3:]
    return np.clip(np.hstack([colors[:, :3], alpha]), 0.0, 1.0)


def _are_usable_uvs(uvs: F64 | None, vertices: int) -> bool:
    return uvs is not None and uvs.shape == (vertices, 2) and bool((np.abs(uvs) < MAX_UV).all())


def _world_normals(normals: F64, world: F64) -> F64:
    """Return normals in world space, with the lengths that they have in the file."""
    linear = world[:3, :3]
    if abs(np.linalg.det(linear)) < 1e-30:
        return normals
    # A normal that is no number stays so; the geometry check reports it.
    with np.errstate(invalid="ignore", over="ignore"):
        rotated = normals @ np.linalg.inv(linear)
        lengths = np.maximum(np.linalg.norm(rotated, axis=1, keepdims=True), 1e-30)
        scale = np.linalg.norm(normals, axis=1, keepdims=True) / lengths
        return np.asarray(rotated * scale, np.float64)
