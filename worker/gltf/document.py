"""A GLB read without trust: every index, length and count is held against what is there before it is used.

What does not hold raises InputError with the JSON pointer of the place. Sizes are bounded, so that a file of a few bytes
cannot ask for gigabytes. Source: the glTF 2.0 specification.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dam_connector.errors import InputError
from worker.gltf.mesh_compression import DRACO, MESHOPT, MESHOPT_KHR, DracoMesh, decode_draco, decode_meshopt

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
MAX_JSON_BYTES = 32_000_000
MAX_ARRAY_BYTES = 256_000_000
MAX_TRIANGLES = 500_000
MAX_NODES = 10_000
COMPONENT_TYPES: Mapping[int, type[np.generic]] = {
    5120: np.int8,
    5121: np.uint8,
    5122: np.int16,
    5123: np.uint16,
    5125: np.uint32,
    5126: np.float32,
}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
TRIANGLES, TRIANGLE_STRIP, TRIANGLE_FAN = 4, 5, 6
MAX_COORDINATE_M = 1e15
MAX_UV = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Primitive:
    """The triangles of one primitive as one node shows it, in world space.

    where: its pointer. positions: (n, 3) float64, metres, Y up. faces: (m, 3) int64, counter-clockwise from outside.
    normals: (n, 3) as stored, turned into world space. uvs: (n, 2) as stored, origin at the top left. material: its index.
    """

    where: str
    positions: F64
    faces: I64
    normals: F64 | None
    uvs: F64 | None
    material: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A primitive in its mesh's own space."""

    positions: F64
    faces: I64
    normals: F64 | None
    uvs: F64 | None


def read_json(data: bytes) -> dict[str, Any]:
    """The JSON chunk of a GLB. Raises: InputError file.unreadable."""
    return _chunks(data)[0]


def _chunks(data: bytes) -> tuple[dict[str, Any], bytes]:
    try:
        if data[:4] != b"glTF" or int.from_bytes(data[4:8], "little") != 2 or data[16:20] != b"JSON":
            raise ValueError("not a glTF 2.0 binary")
        length = int.from_bytes(data[12:16], "little")
        if int.from_bytes(data[8:12], "little") != len(data) or 20 + length > len(data):
            raise ValueError("the lengths in the header are not those of the file")
        if length > MAX_JSON_BYTES:
            raise ValueError(f"its JSON is larger than {MAX_JSON_BYTES // 1_000_000} MB")
        found = json.loads(data[20 : 20 + length])
        if not isinstance(found, dict):
            raise ValueError("the JSON chunk is no object")
        rest = data[20 + length :]
        size = int.from_bytes(rest[:4], "little")
        if rest and 8 + size > len(rest):
            raise ValueError("its second chunk is longer than the file")
        return found, rest[8 : 8 + size] if rest[4:8] == b"BIN\x00" else b""
    except (ValueError, RecursionError) as error:
        raise InputError("file.unreadable", f"The GLB cannot be read: {error}.") from error


class Document:
    """One GLB. Raises: InputError file.unreadable where its chunks do not hold together."""

    def __init__(self, data: bytes) -> None:
        self.json, self._binary = _chunks(data)
        self._rows: dict[str, list[dict[str, Any]]] = {}
        self._views: dict[int, bytes] = {}
        self._streams: dict[int, DracoMesh] = {}
        self._parts: dict[str, _Part | None] = {}
        self._refused: InputError | None = None

    def rows(self, key: str) -> list[dict[str, Any]]:
        """A top-level list of objects, such as `meshes`; empty where there is none."""
        if key not in self._rows:
            self._rows[key] = _objects(self.json, key, "")
        return self._rows[key]

    def view(self, index: object, where: str) -> bytes:
        """The bytes of a buffer view, decoded where they are compressed."""
        row = self._row("bufferViews", index, where)
        number = self._known("bufferViews", index, where)
        if number not in self._views:
            packed = _extension(row, MESHOPT) or _extension(row, MESHOPT_KHR)
            self._views[number] = (
                self._unpacked(packed, f"/bufferViews/{number}")
                if packed
                else self._slice(row, f"/bufferViews/{number}")
            )
        return self._views[number]

    def accessor(self, index: object, where: str) -> NDArray[np.generic]:
        """The values of an accessor, (count, width): integers as they are, normalized ones and floats as float64."""
        row = self._row("accessors", index, where)
        dtype, width = COMPONENT_TYPES.get(row.get("componentType", 0)), WIDTHS.get(str(row.get("type")))
        if dtype is None or width is None:
            raise _damage("The accessor's type is none that vertices have.", where)
        here = f"/accessors/{index}"
        count = _whole(row, "count", here)
        if count * width * 8 > MAX_ARRAY_BYTES:
            raise _damage(f"The accessor asks for {count:,} elements.", f"{here}/count")
        values = (
            self._strided(row, dtype, width, count, here).copy()
            if "bufferView" in row
            else np.zeros((count, width), dtype)
        )
        if "sparse" in row:
            self._replace(values, row["sparse"], dtype, width, here)
        if not row.get("normalized") or dtype is np.float32:
            return values.astype(np.float64) if dtype is np.float32 else values
        top = float(np.iinfo(dtype).max)  # type: ignore[type-var]
        return np.maximum(values.astype(np.float64) / top, -1.0)

    @cached_property
    def primitives(self) -> tuple[Primitive, ...]:
        """All triangles of the scene. Raises: InputError file.unreadable, file.stream, file.too_complex."""
        if self._refused is None:
            try:
                return self._shown()
            except InputError as error:
                self._refused = error
        raise self._refused

    def _shown(self) -> tuple[Primitive, ...]:
        found, triangles = [], 0
        for mesh, world in self._placed():
            for number, row in enumerate(
                _objects(self._row("meshes", mesh, "/nodes"), "primitives", f"/meshes/{mesh}")
            ):
                made = self._primitive(row, world, f"/meshes/{mesh}/primitives/{number}")
                if made is not None:
                    triangles += len(made.faces)
                    found.append(made)
                if triangles > MAX_TRIANGLES:
                    raise InputError(
                        "file.too_complex",
                        f"It has more than {MAX_TRIANGLES:,} triangles.",
                        measured=f"{triangles:,}",
                    )
        return tuple(found)

    @cached_property
    def roots(self) -> list[int]:
        """The nodes that the shown scene begins with."""
        scenes, nodes = self.rows("scenes"), self.rows("nodes")
        if scenes:
            wanted = self._row("scenes", self.json.get("scene", 0), "/scene").get("nodes", [])
        else:
            children = {c for n in nodes for c in _numbers(n.get("children", []), "/nodes")}
            wanted = [i for i in range(len(nodes)) if i not in children]
        return [self._known("nodes", n, "/scenes") for n in _numbers(wanted, "/scenes")]

    def image(self, index: object, where: str) -> bytes:
        """The encoded bytes of an image that lies in the file; empty where it lies elsewhere."""
        row = self._row("images", index, where)
        return self.view(row["bufferView"], f"/images/{index}") if "bufferView" in row else b""

    def _placed(self) -> Iterator[tuple[object, F64]]:
        """The meshes that the scene shows, with where they stand, a (4, 4) matrix each."""
        open_nodes = [(n, np.eye(4)) for n in reversed(self.roots)]
        seen: set[int] = set()
        while open_nodes:
            number, parent = open_nodes.pop()
            here = f"/nodes/{number}"
            if number in seen:
                raise _damage("The node stands under itself or under two others.", here)
            if len(seen) == MAX_NODES:
                raise InputError(
                    "file.too_complex",
                    f"It shows more than {MAX_NODES:,} nodes.",
                    measured=f"{len(self.rows('nodes')):,}",
                )
            seen.add(number)
            row = self._row("nodes", number, here)
            world = parent @ local_matrix(row, here)
            if "mesh" in row:
                yield row["mesh"], world
            open_nodes += [
                (self._known("nodes", c, here), world)
                for c in reversed(_numbers(row.get("children", []), here))
            ]

    def _primitive(self, row: dict[str, Any], world: F64, where: str) -> Primitive | None:
        """What a node shows of a primitive, in world space; None where it has no triangles."""
        if where not in self._parts:
            self._parts[where] = self._part(row, where)
        part = self._parts[where]
        if part is None:
            return None
        material = row.get("material")
        return Primitive(
            where=where,
            positions=part.positions @ world[:3, :3].T + world[:3, 3],
            faces=part.faces[:, ::-1] if np.linalg.det(world[:3, :3]) < 0 else part.faces,
            normals=_turned(part.normals, world) if part.normals is not None else None,
            uvs=part.uvs,
            material=material if isinstance(material, int) else None,
        )

    def _part(self, row: dict[str, Any], where: str) -> "_Part | None":
        """The arrays of a primitive, in its mesh's own space."""
        mode, names = row.get("mode", TRIANGLES), row.get("attributes")
        if (
            mode not in (TRIANGLES, TRIANGLE_STRIP, TRIANGLE_FAN)
            or not isinstance(names, dict)
            or "POSITION" not in names
        ):
            return None
        packed = _extension(row, DRACO)
        stream = self._stream(packed, where) if packed else None
        ids = packed.get("attributes") if packed else None

        def attribute(name: str) -> F64 | None:
            if name not in names:
                return None
            if stream is not None and isinstance(ids, dict) and name in ids:
                if not isinstance(ids[name], int) or ids[name] not in stream.attributes:
                    raise _damage(f"The Draco stream has no {name}.", where)
                return np.asarray(stream.attributes[ids[name]], np.float64)
            return np.asarray(self.accessor(names[name], where), np.float64)

        positions = attribute("POSITION")
        assert positions is not None
        if (
            positions.ndim != 2
            or positions.shape[1] != 3
            or not np.isfinite(positions).all()
            or (np.abs(positions) > MAX_COORDINATE_M).any()
        ):
            raise _damage(
                "The positions are no places in space: not three finite numbers each.",
                f"{where}/attributes/POSITION",
            )
        faces = stream.faces if stream is not None else self._faces(row, len(positions), int(mode), where)
        if len(faces) and int(faces.max()) >= len(positions):
            raise _damage("The faces name vertices that are not there.", f"{where}/indices")
        normals, uvs = attribute("NORMAL"), attribute("TEXCOORD_0")
        return _Part(
            positions=positions,
            faces=faces,
            normals=normals if normals is not None and normals.shape == positions.shape else None,
            uvs=uvs
            if uvs is not None and uvs.shape == (len(positions), 2) and bool((np.abs(uvs) < MAX_UV).all())
            else None,
        )

    def _faces(self, row: dict[str, Any], vertices: int, mode: int, where: str) -> I64:
        """The corners of the triangles, (m, 3)."""
        if "indices" in row:
            stored = self.accessor(row["indices"], f"{where}/indices")
            if stored.dtype.kind != "u" or stored.shape[1] != 1:
                raise _damage("Indices are unsigned whole numbers.", f"{where}/indices")
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
        faces[1::2] = faces[1::2, [1, 0, 2]]
        return faces

    def _stream(self, packed: dict[str, Any], where: str) -> DracoMesh:
        number = self._known("bufferViews", packed.get("bufferView"), where)
        if number not in self._streams:
            self._streams[number] = decode_draco(self.view(number, where), where)
        return self._streams[number]

    def _unpacked(self, packed: dict[str, Any], where: str) -> bytes:
        count, stride = _whole(packed, "count", where), _whole(packed, "byteStride", where)
        return decode_meshopt(
            self._slice(packed, where),
            count,
            stride,
            str(packed.get("mode")),
            str(packed.get("filter", "NONE")),
            where,
        )

    def _slice(self, row: dict[str, Any], where: str) -> bytes:
        """The bytes that a view or a compressed view names in the binary chunk."""
        start, length = _whole(row, "byteOffset", where, 0), _whole(row, "byteLength", where)
        if _whole(row, "buffer", where, 0) != 0 or "uri" in (self.rows("buffers") or [{}])[0]:
            raise _damage("Its buffer is not the one inside the file.", where)
        if start + length > len(self._binary):
            raise _damage(f"It ends at byte {start + length:,}; the file holds {len(self._binary):,}.", where)
        return self._binary[start : start + length]

    def _strided(
        self, row: dict[str, Any], dtype: type[np.generic], width: int, count: int, where: str
    ) -> NDArray[np.generic]:
        data = self.view(row["bufferView"], where)
        size = np.dtype(dtype).itemsize * width
        stride = _whole(self.rows("bufferViews")[row["bufferView"]], "byteStride", where, size) or size
        start = _whole(row, "byteOffset", where, 0)
        if count and (start + stride * (count - 1) + size > len(data) or stride < size):
            raise _damage(
                f"It reads {start + stride * (count - 1) + size:,} bytes of a view of {len(data):,}.", where
            )
        return np.ndarray(
            (count, width),
            dtype,
            buffer=data if count else b"",
            offset=start if count else 0,
            strides=(stride, np.dtype(dtype).itemsize),
        )

    def _replace(
        self, values: NDArray[np.generic], sparse: object, dtype: type[np.generic], width: int, where: str
    ) -> None:
        """Put the sparse elements into their places."""
        if (
            not isinstance(sparse, dict)
            or not isinstance(sparse.get("indices"), dict)
            or not isinstance(sparse.get("values"), dict)
        ):
            raise _damage("The sparse part is not whole.", where)
        count, kind = (
            _whole(sparse, "count", where),
            COMPONENT_TYPES.get(sparse["indices"].get("componentType", 0)),
        )
        if kind not in (np.uint8, np.uint16, np.uint32) or count > len(values):
            raise _damage("The sparse part's indices are not whole.", where)
        assert kind is not None
        at = self._tight(sparse["indices"], kind, count, where)
        new = self._tight(sparse["values"], dtype, count * width, where).reshape(count, width)
        if count and int(at.max()) >= len(values):
            raise _damage("The sparse part names elements that are not there.", where)
        values[at.astype(np.int64)] = new

    def _tight(self, row: dict[str, Any], dtype: type[np.generic], count: int, where: str) -> NDArray[Any]:
        data, start = self.view(row.get("bufferView"), where), _whole(row, "byteOffset", where, 0)
        if start + count * np.dtype(dtype).itemsize > len(data):
            raise _damage("The sparse part reads beyond its view.", where)
        return np.frombuffer(data, dtype, count, start)

    def _row(self, key: str, index: object, where: str) -> dict[str, Any]:
        return self.rows(key)[self._known(key, index, where)]

    def _known(self, key: str, index: object, where: str) -> int:
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < len(self.rows(key)):
            raise _damage(f"There is no {key} number {str(index)[:20]}.", where)
        return index


_STILL = {"translation": [0, 0, 0], "rotation": [0, 0, 0, 1], "scale": [1, 1, 1]}


def local_matrix(node: dict[str, Any], where: str) -> F64:
    """Where a node stands under its parent, (4, 4)."""
    if "matrix" in node:
        return _floats(node["matrix"], 16, where).reshape(4, 4).T
    made, moved = np.eye(4), {key: node.get(key, still) for key, still in _STILL.items()}
    if moved == _STILL:  # most nodes, of which a file may have 100,000
        return made
    x, y, z, w = _floats(moved["rotation"], 4, where)
    made[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    made[:3, :3] *= _floats(moved["scale"], 3, where)
    made[:3, 3] = _floats(moved["translation"], 3, where)
    return made


def _turned(normals: F64, world: F64) -> F64:
    linear = world[:3, :3]
    if abs(np.linalg.det(linear)) < 1e-30:
        return normals
    with np.errstate(
        invalid="ignore", over="ignore"
    ):  # what is no number stays none, and is told by the check of normals
        turned = normals @ np.linalg.inv(linear)
        scale = np.linalg.norm(normals, axis=1, keepdims=True) / np.maximum(
            np.linalg.norm(turned, axis=1, keepdims=True), 1e-30
        )
        return np.asarray(turned * scale, np.float64)


def _damage(message: str, where: str) -> InputError:
    return InputError("file.unreadable", message, pointer=where)


def _objects(row: dict[str, Any], key: str, where: str) -> list[dict[str, Any]]:
    found = row.get(key, [])
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise _damage(f"`{key}` is no list of objects.", f"{where}/{key}")
    return found


def _extension(row: dict[str, Any], name: str) -> dict[str, Any] | None:
    extensions = row.get("extensions")
    found = extensions.get(name) if isinstance(extensions, dict) else None
    return found if isinstance(found, dict) else None


def _whole(row: dict[str, Any], key: str, where: str, usual: int | None = None) -> int:
    found = row.get(key, usual)
    if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found < 2**32:
        raise _damage(f"`{key}` is no whole number from 0 on.", f"{where}/{key}")
    return found


def _numbers(found: object, where: str) -> list[int]:
    if not isinstance(found, list) or not all(isinstance(n, int) for n in found):
        raise _damage("A list of indices is none.", where)
    return found


def _floats(found: object, count: int, where: str) -> F64:
    if (
        not isinstance(found, list)
        or len(found) != count
        or not all(
            isinstance(n, int | float) and math.isfinite(n) and abs(n) < MAX_COORDINATE_M for n in found
        )
    ):
        raise _damage(f"It is not {count} finite numbers.", where)
    return np.array(found, np.float64)
