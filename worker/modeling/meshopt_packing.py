"""The triangles of a GLB as meshopt streams (EXT_meshopt_compression), with all their attributes.

Unlike Draco's, the streams hold skins, morph targets and vertex colours too. Positions, normals, tangents and
UVs are floats of a lower precision, with one exponent for each column; all else keeps its bits. Triangles and
vertices are put into an order that compresses well, where no other primitive has the same vertices.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.gltf.buffers import COMPONENT_TYPES, WIDTHS
from worker.gltf.document import TRIANGLES, Document
from worker.gltf.json_fields import Row, extension
from worker.gltf.mesh_compression import (
    DRACO,
    MAX_STRIDE_BYTES,
    decode_meshopt,
    encode_meshopt,
    meshopt_order,
)
from worker.gltf.rewriting import ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER, GlbRewriter
from worker.javascript import ScriptFailed

Numbers = NDArray[np.generic]
# Bits of the floats, with their sign: steps of an eighth of a thousandth of the greatest coordinate.
POSITION_BITS, UV_BITS, NORMAL_BITS = 15, 14, 11
BITS = {"POSITION": POSITION_BITS, "NORMAL": NORMAL_BITS, "TANGENT": NORMAL_BITS, "TEXCOORD": UV_BITS}
MAX_BITS = 24
MIN_SAVED_BYTES = 200  # by a stream, which takes some in the JSON
FLOAT, UNSIGNED_SHORT, UNSIGNED_INT = 5126, 5123, 5125
MIN_TRIANGLES = 32  # streams of fewer are larger than the triangles


@dataclass(frozen=True, slots=True, kw_only=True)
class _Packed:
    """The elements of an accessor as they are written."""

    accessor: Row  # its changed fields
    plain: bytes
    stream: bytes
    part: Row  # of the view's extension
    target: int


def pack_with_meshopt(document: Document, rewriter: GlbRewriter) -> None:
    """Write the triangles of a GLB as meshopt streams, where that is smaller.

    Raises:
        InputError: file.*
    """
    uses = Counter(index for row in _primitives(rewriter) for _, _, index in _fields(row))
    done: set[int] = set()
    for primitive in list(_primitives(rewriter)):
        fields = [(name, index) for _, name, index in _fields(primitive)]
        if (
            primitive.get("mode", TRIANGLES) != TRIANGLES
            or extension(primitive, DRACO) is not None
            or not all(_is_plain(rewriter, index) for _, index in fields)
        ):
            continue
        numbers = {index: _numbers(document, index) for _, index in fields if index not in done}
        is_shared = any(uses[index] > 1 for _, index in fields)
        try:
            if not is_shared and "indices" in primitive:
                numbers = _reordered(numbers, primitive["indices"])
            packed = {index: _packed(name, numbers[index]) for name, index in fields if index in numbers}
        except ScriptFailed:
            continue
        for index, found in packed.items():
            _write(rewriter, index, found, is_as_it_was=is_shared or "indices" not in primitive)
        done |= set(packed)


def _primitives(rewriter: GlbRewriter) -> Iterator[Row]:
    for mesh in rewriter.json.get("meshes", []):
        yield from mesh.get("primitives", [])


def _fields(primitive: Row) -> Iterator[tuple[Row, str, int]]:
    """Yield each field of a primitive that names an accessor: its object, its name and the index."""
    for found in (primitive.get("attributes", {}), *primitive.get("targets", [])):
        yield from ((found, name, index) for name, index in found.items())
    if "indices" in primitive:
        yield primitive, "indices", primitive["indices"]


def _is_plain(rewriter: GlbRewriter, index: int) -> bool:
    """Return whether an accessor's elements all lie in a buffer view, and are not many bytes each."""
    row = rewriter.json["accessors"][index]
    return (
        "bufferView" in row
        and "sparse" not in row
        and row.get("count", 0) > 0
        and row.get("componentType") in COMPONENT_TYPES
        and row.get("type") in WIDTHS
    )


def _numbers(document: Document, index: int) -> Numbers:
    """Return the elements of an accessor as they are stored, (count, width)."""
    return document.stored_accessor(index, f"/accessors/{index}").copy()


def _reordered(numbers: dict[int, Numbers], corners: int) -> dict[int, Numbers]:
    """Return the elements of a primitive in an order that compresses well.

    Args:
        numbers: By accessor.
        corners: The accessor of the triangles' vertices.
    """
    indices = numbers[corners].reshape(-1).astype(np.uint32)
    vertices = min(len(found) for index, found in numbers.items() if index != corners)
    if len(indices) % 3 or len(indices) < 3 * MIN_TRIANGLES or int(indices.max()) >= vertices:
        return numbers
    triangles, new, count = meshopt_order(indices)
    is_used = new < count
    places = np.empty(count, np.int64)
    places[new[is_used]] = np.flatnonzero(is_used)
    return {
        index: triangles.astype(found.dtype).reshape(-1, 1) if index == corners else found[places]
        for index, found in numbers.items()
    }


def _packed(name: str, found: Numbers) -> _Packed:
    """Return elements as they are written."""
    if name == "indices":
        return _packed_indices(found)
    bits = _bits(name, found) if found.dtype == np.float32 else 0
    rows = np.ascontiguousarray(found).view(np.uint8).reshape(len(found), -1)
    rows = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4)))
    stride, plain = rows.shape[1], rows.tobytes()
    part: Row = {"byteStride": stride, "count": len(rows), "mode": "ATTRIBUTES"}
    accessor: Row = {"count": len(rows)}
    if stride > MAX_STRIDE_BYTES:
        return _Packed(accessor=accessor, plain=plain, stream=plain, part=part, target=ARRAY_BUFFER)
    stream = encode_meshopt(plain, stride, "ATTRIBUTES", bits)
    if bits:
        part["filter"] = "EXPONENTIAL"
        plain = decode_meshopt(stream, len(rows), stride, "ATTRIBUTES", "EXPONENTIAL", "")
    if name == "POSITION":
        values = np.frombuffer(plain, np.uint8).reshape(rows.shape)[:, : found[:1].nbytes]
        values = np.ascontiguousarray(values).view(found.dtype)
        accessor |= {"min": values.min(0).tolist(), "max": values.max(0).tolist()}
    return _Packed(accessor=accessor, plain=plain, stream=stream, part=part, target=ARRAY_BUFFER)


def _packed_indices(found: Numbers) -> _Packed:
    rows = found.astype(np.uint16) if found.dtype == np.uint8 else found
    plain, stride = rows.tobytes(), rows.dtype.itemsize
    part: Row = {"byteStride": stride, "count": len(rows), "mode": "TRIANGLES"}
    kind = {"componentType": UNSIGNED_SHORT if stride == 2 else UNSIGNED_INT, "count": len(rows)}
    stream = plain if len(rows) % 3 else encode_meshopt(plain, stride, "TRIANGLES")
    return _Packed(accessor=kind, plain=plain, stream=stream, part=part, target=ELEMENT_ARRAY_BUFFER)


def _bits(name: str, found: Numbers) -> int:
    """Return the bits of an attribute's floats, more where its values are far from zero; 0 keeps all."""
    kind = name.split("_", 1)[0]
    if kind not in BITS or not np.isfinite(found).all():
        return 0
    if kind in ("NORMAL", "TANGENT"):
        return NORMAL_BITS
    reach = float(np.abs(found).max())
    span = float(np.ptp(found, axis=0).max()) if kind == "POSITION" else min(1.0, reach)
    return min(MAX_BITS, BITS[kind] + max(0, math.ceil(math.log2(max(reach / max(span, 1e-9), 1.0)))))


def _write(rewriter: GlbRewriter, index: int, found: _Packed, *, is_as_it_was: bool) -> None:
    """Write an accessor's elements as a stream where that is smaller; else plain, unless nothing changed."""
    accessor = rewriter.json["accessors"][index]
    if len(found.stream) + MIN_SAVED_BYTES < len(found.plain):
        view = rewriter.add_meshopt_view(found.stream, found.part, found.target)
    elif is_as_it_was:
        return
    else:
        view = rewriter.add_view(found.plain, found.target)
        if found.target == ARRAY_BUFFER:
            rewriter.json["bufferViews"][view]["byteStride"] = found.part["byteStride"]
    accessor.pop("byteOffset", None)
    accessor |= {**found.accessor, "bufferView": view}
