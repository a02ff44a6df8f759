"""Decoders of compressed vertices: Draco (KHR_draco_mesh_compression) and meshopt (EXT_meshopt_compression).

Draco is decoded by DracoPy; meshopt by the library's own decoder (npm `meshoptimizer`, WebAssembly) inside
V8.
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
