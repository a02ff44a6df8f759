"""Buffer views and accessors of a GLB. Every offset, length and count is verified."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from worker.gltf.data_uri import decode_data_uri
from worker.gltf.json_fields import Row, Tables, extension, unreadable, whole_number
from worker.gltf.mesh_compression import MESHOPT, MESHOPT_KHR, decode_meshopt

Numbers = NDArray[np.generic]
MAX_ARRAY_BYTES = 256_000_000  # a file of a few bytes cannot ask for gigabytes
COMPONENT_TYPES: Mapping[int, type[np.generic]] = {
    5120: np.int8,
    5121: np.uint8,
    5122: np.int16,
    5123: np.uint16,
    5125: np.uint32,
    5126: np.float32,
}
# Of the types that vertices and skins have. No other accessor holds a matrix.
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}


class Buffers:
    """The arrays of one GLB. Each buffer view is decoded once."""

    def __init__(self, tables: Tables, binary: bytes) -> None:
        self._tables, self._binary = tables, binary
        self._views: dict[int, bytes] = {}
        self._decoded_buffers: dict[int, bytes] = {}

    def view(self, index: object, where: str) -> bytes:
        """Return the bytes of a buffer view, decoded where it is compressed.

        Raises:
            InputError: file.unreadable, file.stream.
        """
        number = self._tables.index("bufferViews", index, where)
        if number not in self._views:
            row, here = self._tables.rows("bufferViews")[number], f"/bufferViews/{number}"
            compressed = extension(row, MESHOPT) or extension(row, MESHOPT_KHR)
            self._views[number] = (
                self._decompress(compressed, here) if compressed else self._stored_bytes(row, here)
            )
        return self._views[number]

    def accessor(self, index: object, where: str) -> Numbers:
        """Return the values of an accessor, (count, width).

        Integers keep their type. Floats, and integers that the accessor calls normalized, are float64.

        Raises:
            InputError: file.unreadable, file.stream.
        """
        row = self._tables.row("accessors", index, where)
        dtype, width = COMPONENT_TYPES.get(row.get("componentType", 0)), WIDTHS.get(str(row.get("type")))
        if dtype is None or width is None:
            raise unreadable("The accessor's type is not one that vertices have.", where)
        here = f"/accessors/{index}"
        count = whole_number(row, "count", here)
        if count * width * 8 > MAX_ARRAY_BYTES:
            raise unreadable(f"The accessor asks for {count:,} elements.", f"{here}/count")
        if "bufferView" in row:
            values = self._strided(row, dtype, width, count, here).copy()
        else:
            values = np.zeros((count, width), dtype)
        if "sparse" in row:
            self._apply_sparse(values, row["sparse"], here)
        if dtype is np.float32:
            return values.astype(np.float64)
        if not row.get("normalized"):
            return values
        top = float(np.iinfo(dtype).max)  # type: ignore[type-var]
        return np.maximum(values.astype(np.float64) / top, -1.0)

    def stored_accessor(self, index: object, where: str) -> Numbers:
        """Return the elements of an accessor without a sparse part as they are stored, (count, width).

        Raises:
            InputError: file.unreadable, file.stream.
        """
        row = self._tables.row("accessors", index, where)
        dtype, width = COMPONENT_TYPES.get(row.get("componentType", 0)), WIDTHS.get(str(row.get("type")))
        if dtype is None or width is None or "bufferView" not in row:
            raise unreadable("The accessor's elements are not stored as vertices have them.", where)
        return self._strided(row, dtype, width, whole_number(row, "count", where), where)

    def _decompress(self, compressed: Row, where: str) -> bytes:
        """Return the bytes of a view that meshopt compressed."""
        return decode_meshopt(
            self._stored_bytes(compressed, where),
            whole_number(compressed, "count", where),
            whole_number(compressed, "byteStride", where),
            str(compressed.get("mode")),
            str(compressed.get("filter", "NONE")),
            where,
        )

    def _stored_bytes(self, row: Row, where: str) -> bytes:
        """Return the bytes of the binary chunk that a view or a compressed view names."""
        start, length = whole_number(row, "byteOffset", where, 0), whole_number(row, "byteLength", where)
        stored = self._buffer(whole_number(row, "buffer", where, 0), where)
        if start + length > len(stored):
            raise unreadable(f"It ends at byte {start + length:,}; its buffer has {len(stored):,}.", where)
        return stored[start : start + length]

    def _buffer(self, number: int, where: str) -> bytes:
        """Return a buffer: the binary chunk, or one that the JSON holds as a data URI."""
        buffers = self._tables.rows("buffers")
        row = buffers[number] if number < len(buffers) else {}
        if number == 0 and "uri" not in row:
            return self._binary
        if number not in self._decoded_buffers:
            decoded = decode_data_uri(row.get("uri"), f"/buffers/{number}")
            if decoded is None:
                raise unreadable("Its buffer is not inside the file.", where)
            self._decoded_buffers[number] = decoded
        return self._decoded_buffers[number]

    def _strided(self, row: Row, dtype: type[np.generic], width: int, count: int, where: str) -> Numbers:
        """Return the elements of a buffer view, (count, width), which may lie apart by its byteStride."""
        data, itemsize = self.view(row["bufferView"], where), np.dtype(dtype).itemsize
        size = itemsize * width
        view = self._tables.rows("bufferViews")[row["bufferView"]]
        stride = whole_number(view, "byteStride", where, size) or size
        start = whole_number(row, "byteOffset", where, 0)
        if not count:
            return np.zeros((0, width), dtype)
        end = start + stride * (count - 1) + size
        if end > len(data) or stride < size:
            raise unreadable(f"It reads {end:,} bytes of a view of {len(data):,}.", where)
        return np.ndarray((count, width), dtype, buffer=data, offset=start, strides=(stride, itemsize))

    def _apply_sparse(self, values: Numbers, sparse: object, where: str) -> None:
        """Overwrite the elements that the accessor's sparse part replaces."""
        if (
            not isinstance(sparse, dict)
            or not isinstance(sparse.get("indices"), dict)
            or not isinstance(sparse.get("values"), dict)
        ):
            raise unreadable("The sparse part has no indices or no values.", where)
        count = whole_number(sparse, "count", where)
        index_type = COMPONENT_TYPES.get(sparse["indices"].get("componentType", 0))
        if index_type not in (np.uint8, np.uint16, np.uint32) or count > len(values):
            raise unreadable("The sparse part's indices are not unsigned, or too many.", where)
        assert index_type is not None
        indices = self._packed(sparse["indices"], index_type, count, where)
        new = self._packed(sparse["values"], values.dtype.type, values[:count].size, where)
        if count and int(indices.max()) >= len(values):
            raise unreadable("The sparse part names elements that the accessor does not have.", where)
        values[indices.astype(np.int64)] = new.reshape(count, values.shape[1])

    def _packed(self, row: Row, dtype: type[np.generic], count: int, where: str) -> NDArray[np.integer]:
        """Return numbers that lie one behind the other, (count,)."""
        data, start = self.view(row.get("bufferView"), where), whole_number(row, "byteOffset", where, 0)
        if start + count * np.dtype(dtype).itemsize > len(data):
            raise unreadable("The sparse part reads beyond its view.", where)
        return np.frombuffer(data, dtype, count, start)
