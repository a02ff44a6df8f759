"""Compressed vertices: Draco (KHR_draco_mesh_compression) is decoded, meshopt (EXT_meshopt_compression) also
encoded.

Draco is decoded by DracoPy; meshopt by the library's own decoder (npm `meshoptimizer`, WebAssembly) inside
V8, as it is encoded by its encoder.
"""

from dataclasses import dataclass

import DracoPy
import numpy as np
from numpy.typing import NDArray

from dam_connector.errors import InputError
from worker.javascript import Script, ScriptFailed

DRACO = "KHR_draco_mesh_compression"
MESHOPT = "EXT_meshopt_compression"
MESHOPT_KHR = "KHR_meshopt_compression"
MODES = ("ATTRIBUTES", "TRIANGLES", "INDICES")  # of the meshopt extension, as are the filters
FILTERS = ("NONE", "OCTAHEDRAL", "QUATERNION", "EXPONENTIAL", "COLOR")
MAX_STRIDE_BYTES = 256  # by the meshopt extension
MAX_DECODED_BYTES = 256_000_000
_MESHOPT_DECODER = Script("meshopt_decoder.cjs", ready="MeshoptDecoder.ready")
_MESHOPT_ENCODER = Script("meshopt_encoder.js", ready="MeshoptEncoder.ready")
_STREAM_RESERVE = 4096  # bytes beyond twice the input: no stream is longer
_ENCODE = """
var filtered = function(count, stride, bits) {
  var floats = new Float32Array(input.buffer);
  return MeshoptEncoder.encodeFilterExp(floats, count, stride, bits, 'SharedComponent');
};
var floats = %d ? filtered(%d, %d, %d) : input;
var stream = MeshoptEncoder.encodeGltfBuffer(floats, %d, %d, '%s');
output.set(stream);
answer = String(stream.length);
"""
_REORDER = """
var order = MeshoptEncoder.reorderMesh(new Uint32Array(input.buffer), true, true);
output.set(new Uint8Array(order[0].buffer, order[0].byteOffset, order[0].byteLength));
output.set(input, order[0].byteLength);
answer = String(order[1]);
"""
_DECODE = "MeshoptDecoder.decodeGltfBuffer(output, %d, %d, input, '%s', '%s'); answer = 'done';"


@dataclass(frozen=True, slots=True, kw_only=True)
class DracoMesh:
    """A decoded Draco stream."""

    faces: NDArray[np.int64]  # (m, 3)
    attributes: dict[int, NDArray[np.generic]]  # (n, k) arrays, by the ids that the primitive names


def decode_draco(data: bytes, where: str) -> DracoMesh:
    """Decode a Draco stream.

    Args:
        data: The stream.
        where: The JSON pointer for errors.

    Raises:
        InputError: file.stream.
    """
    try:
        mesh = DracoPy.decode(data)
        faces = np.asarray(mesh.faces, np.int64).reshape(-1, 3)
        attributes = {int(a["unique_id"]): np.asarray(a["data"]) for a in mesh.attributes}
    except Exception as error:
        raise InputError(
            "file.stream", f"The Draco stream cannot be decoded ({type(error).__name__}).", pointer=where
        ) from error
    count = min((len(a) for a in attributes.values()), default=0)
    if len(faces) and (faces.min() < 0 or faces.max() >= count):
        raise InputError(
            "file.stream", "The Draco stream's faces name vertices that it does not have.", pointer=where
        )
    return DracoMesh(faces=faces, attributes=attributes)


def decode_meshopt(data: bytes, count: int, stride: int, mode: str, filter: str, where: str) -> bytes:
    """Decode a buffer view that meshopt compressed; return its `count * stride` bytes.

    Args:
        data: The compressed bytes.
        count: The number of elements.
        stride: Bytes of one element.
        mode: One of MODES.
        filter: One of FILTERS.
        where: The JSON pointer for errors.

    Raises:
        InputError: file.stream.
    """
    if (
        mode not in MODES
        or filter not in FILTERS
        or not 0 < stride <= MAX_STRIDE_BYTES
        or not 0 <= count * stride <= MAX_DECODED_BYTES
    ):
        raise InputError(
            "file.stream",
            "The meshopt stream's mode, filter or size is not allowed.",
            pointer=where,
        )
    if not count:
        return b""
    try:
        program = _DECODE % (count, stride, mode, filter)
        return _MESHOPT_DECODER.run(program, {"input": data}, out=count * stride)[1]
    except ScriptFailed as error:
        raise InputError("file.stream", "The meshopt stream cannot be decoded.", pointer=where) from error


def encode_meshopt(data: bytes, stride: int, mode: str, bits: int = 0) -> bytes:
    """Return elements as a meshopt stream, without a loss but that of `bits`.

    Args:
        data: The elements: of 2 or 4 bytes in the mode TRIANGLES, else of a multiple of 4.
        stride: Bytes of one element.
        mode: ATTRIBUTES or TRIANGLES.
        bits: The elements are floats; each column has this precision under one exponent, and the stream is
            to be read with the filter EXPONENTIAL. 0: they stay as they are.

    Raises:
        ScriptFailed: The encoder failed.
    """
    count = len(data) // stride
    program = _ENCODE % (bool(bits), count, stride, bits, count, stride, mode)
    length, output = _MESHOPT_ENCODER.run(program, {"input": data}, out=2 * len(data) + _STREAM_RESERVE)
    return output[: int(length)]


def meshopt_order(corners: NDArray[np.integer]) -> tuple[NDArray[np.uint32], NDArray[np.uint32], int]:
    """Return triangles and vertices in an order that meshopt compresses well.

    Args:
        corners: (3 m,) the triangles' vertices.

    Returns:
        The triangles in their new order, with new numbers; the new number of each old vertex up to the last
        that is used, 2**32 - 1 for one that is not; the number of vertices that are used.

    Raises:
        ScriptFailed: The encoder failed.
    """
    data = np.ascontiguousarray(corners, np.uint32).tobytes()
    vertices = int(corners.max()) + 1
    count, output = _MESHOPT_ENCODER.run(_REORDER, {"input": data}, out=4 * vertices + len(data))
    found = np.frombuffer(output, np.uint32)
    return found[vertices:], found[:vertices], int(count)
