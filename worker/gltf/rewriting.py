"""Rewriting of a GLB: buffer views are replaced, added and dropped; the rest stays as it is."""

import copy
import json
from collections.abc import Iterator
from typing import Any

from worker.gltf.container import split_glb
from worker.gltf.json_fields import Row
from worker.gltf.mesh_compression import MESHOPT, MESHOPT_KHR
from worker.gltf.node_transforms import INSTANCING

ALIGNMENT = 4
ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963  # targets of buffer views
# Extensions that name buffer views in fields of other names: then every view is kept.
_NAMING_OTHERWISE = {"EXT_structural_metadata", "EXT_feature_metadata"}
_VIEW = "bufferView"  # the name of every field that names a buffer view, in accessors, images and extensions


class GlbRewriter:
    """A GLB while it is changed.

    Attributes:
        json: The document. It may be changed in any way that leaves `bufferViews` and `buffers` alone.
    """

    def __init__(self, data: bytes) -> None:
        """Read a GLB.

        Raises:
            InputError: file.unreadable.
        """
        document, self._binary = split_glb(data)
        self.json: dict[str, Any] = copy.deepcopy(document)
        self._replaced: dict[int, bytes] = {}
        self._streams: dict[int, bytes] = {}  # of views that are written compressed
        self._created: set[str] = set()  # lists that the GLB does not have
        self._used_accessors = {index for _, _, index in _accessor_fields(document)}

    def rows(self, key: str) -> list[Row]:
        """Return a top-level list, which is created where it is absent."""
        if key not in self.json:
            self._created.add(key)
        rows: list[Row] = self.json.setdefault(key, [])
        return rows

    def add_view(self, data: bytes, target: int | None = None) -> int:
        """Add bytes; return the index of their buffer view. target: a buffer-view target of glTF."""
        views = self.rows("bufferViews")
        views.append({"buffer": 0, **({"target": target} if target else {})})
        self._replaced[len(views) - 1] = data
        return len(views) - 1

    def add_meshopt_view(self, stream: bytes, part: Row, target: int) -> int:
        """Add a view that meshopt compressed; return its index.

        Args:
            stream: The compressed bytes.
            part: Its byteStride, count, mode and filter.
            target: A buffer-view target of glTF.
        """
        views = self.rows("bufferViews")
        stride = {"byteStride": part["byteStride"]} if target == ARRAY_BUFFER else {}
        row = {"buffer": 0, **stride, "target": target, "extensions": {MESHOPT: {"buffer": 0, **part}}}
        views.append(row)
        self._streams[len(views) - 1] = stream
        self.use_extension(MESHOPT, required=True)
        return len(views) - 1

    def replace_view(self, index: int, data: bytes) -> None:
        """Put other bytes, uncompressed, in place of a buffer view's."""
        row = self.json["bufferViews"][index]
        extensions = {k: v for k, v in row.pop("extensions", {}).items() if k not in (MESHOPT, MESHOPT_KHR)}
        row.update({"buffer": 0}, **({"extensions": extensions} if extensions else {}))
        self._replaced[index] = data

    def drop_extension(self, name: str) -> None:
        """Take a name out of `extensionsUsed` and `extensionsRequired`."""
        for key in ("extensionsUsed", "extensionsRequired"):
            names = [n for n in self.json.get(key, []) if n != name]
            self.json.pop(key, None)
            if names:
                self.json[key] = names

    def add_row(self, key: str, row: Row) -> int:
        """Add a row to a top-level list and return its index."""
        self.rows(key).append(row)
        return len(self.rows(key)) - 1

    def use_extension(self, name: str, *, required: bool = False) -> None:
        """Name an extension in `extensionsUsed`, and in `extensionsRequired` where it is required."""
        for key in ("extensionsUsed", *(["extensionsRequired"] if required else [])):
            names = self.json.setdefault(key, [])
            if name not in names:
                names.append(name)

    def finish(self) -> bytes:
        """Return the GLB, without accessors and buffer views that nothing names any more."""
        self._drop_accessors()
        used = sorted({index for _, index in _view_fields(self.json)})
        if _NAMING_OTHERWISE & set(self.json.get("extensionsUsed", [])):
            used = list(range(len(self.json.get("bufferViews", []))))
        number_of = {index: number for number, index in enumerate(used)}
        binary, views = bytearray(), []
        for index in used:
            views.append(self._stored_view(index, binary))
        for row, index in _view_fields(self.json):
            row[_VIEW] = number_of[index]
        if views:
            self.json["bufferViews"] = views
        else:
            self.json.pop("bufferViews", None)
        self._set_buffer(len(binary))
        self._add_fallback_buffer(
            [row for index, row in zip(used, views, strict=True) if index in self._streams]
        )
        self._drop_buffers()
        for key in self._created:
            if not self.json.get(key):
                self.json.pop(key, None)
        return _glb(self.json, bytes(binary))

    def _drop_accessors(self) -> None:
        """Drop the accessors that were used before, and are not any more."""
        fields = list(_accessor_fields(self.json))
        dropped = self._used_accessors - {index for _, _, index in fields}
        if not dropped:
            return
        left = [i for i in range(len(self.json["accessors"])) if i not in dropped]
        number_of = {index: number for number, index in enumerate(left)}
        self.json["accessors"] = [self.json["accessors"][index] for index in left]
        for row, key, index in fields:
            row[key] = number_of[index]

    def _stored_view(self, index: int, binary: bytearray) -> Row:
        """Append the bytes of a view, and of its compressed form; return its row."""
        row: Row = copy.deepcopy(self.rows("bufferViews")[index])
        if index in self._streams:
            row["extensions"][MESHOPT].update(_append(binary, self._streams[index]))
            return row
        if index in self._replaced:
            return row | _append(binary, self._replaced[index])
        for part in (row, *_compressed_parts(row)):
            if part.get("buffer", 0) == 0 and not self._is_outside():
                start = part.get("byteOffset", 0)
                part.update(_append(binary, self._binary[start : start + part["byteLength"]]))
        return row

    def _add_fallback_buffer(self, views: list[Row]) -> None:
        """Place views in a buffer without bytes: a reader that knows meshopt fills it."""
        if not views:
            return
        length = 0
        for row in views:
            part = row["extensions"][MESHOPT]
            row |= {"buffer": len(self.rows("buffers")), "byteOffset": length}
            row["byteLength"] = part["count"] * part["byteStride"]
            length += row["byteLength"] + -row["byteLength"] % ALIGNMENT
        self.rows("buffers").append({"byteLength": length, "extensions": {MESHOPT: {"fallback": True}}})

    def _is_outside(self) -> bool:
        """Return whether the first buffer is not the binary chunk, but a data URI."""
        buffers = self.json.get("buffers", [])
        return bool(buffers) and "uri" in buffers[0]

    def _drop_buffers(self) -> None:
        """Drop the last buffers that no view names: those in whose place a compressed one was read."""
        named = {view.get("buffer", 0) for view in self.json.get("bufferViews", [])}
        while len(self.json.get("buffers", [])) > max(named, default=0) + 1:
            self.json["buffers"].pop()

    def _set_buffer(self, length: int) -> None:
        buffers = self.rows("buffers")
        if self._is_outside():
            return
        if buffers:
            buffers[0] = {**buffers[0], "byteLength": length}
        elif length:
            buffers.append({"byteLength": length})
        else:
            self.json.pop("buffers")


def _compressed_parts(row: Row) -> Iterator[Row]:
    extensions = row.get("extensions", {})
    yield from (extensions[name] for name in (MESHOPT, MESHOPT_KHR) if name in extensions)


def _accessor_fields(document: Row) -> Iterator[tuple[Row, str, int]]:
    """Yield each field that names an accessor: its object, its name and the accessor's index."""
    objects: list[Row] = []
    for mesh in document.get("meshes", []):
        for primitive in mesh.get("primitives", []):
            objects += [primitive.get("attributes", {}), *primitive.get("targets", [])]
            if "indices" in primitive:
                yield primitive, "indices", primitive["indices"]
    for skin in document.get("skins", []):
        if "inverseBindMatrices" in skin:
            yield skin, "inverseBindMatrices", skin["inverseBindMatrices"]
    for animation in document.get("animations", []):
        for sampler in animation.get("samplers", []):
            yield from ((sampler, key, sampler[key]) for key in ("input", "output") if key in sampler)
    for node in document.get("nodes", []):
        objects.append(node.get("extensions", {}).get(INSTANCING, {}).get("attributes", {}))
    for found in objects:
        yield from ((found, key, index) for key, index in found.items())


def _append(binary: bytearray, data: bytes) -> Row:
    start = len(binary)
    binary += data + b"\x00" * (-len(data) % ALIGNMENT)
    return {"byteOffset": start, "byteLength": len(data)}


def _view_fields(value: Any) -> Iterator[tuple[Row, int]]:
    """Yield each object that names a buffer view, with the view's index."""
    stack = [value]
    while stack:
        found = stack.pop()
        if isinstance(found, dict):
            if isinstance(found.get(_VIEW), int):
                yield found, found[_VIEW]
            stack += [v for k, v in found.items() if k != "extras"]
        elif isinstance(found, list):
            stack += found


def _glb(document: dict[str, Any], binary: bytes) -> bytes:
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    chunks = len(text).to_bytes(4, "little") + b"JSON" + text
    if binary:
        chunks += len(binary).to_bytes(4, "little") + b"BIN\x00" + binary
    return b"glTF" + (2).to_bytes(4, "little") + (12 + len(chunks)).to_bytes(4, "little") + chunks
