"""What compresses vertices: Draco (KHR_draco_mesh_compression) and meshopt (EXT_meshopt_compression), decoded.

Draco by DracoPy; meshopt by the library's own decoder (npm `meshoptimizer`, WebAssembly) inside V8.
"""

from dataclasses import dataclass

import DracoPy
import numpy as np
from numpy.typing import NDArray

from dam_connector.errors import InputError
from worker.javascript import Script, ScriptFailed

DRACO, MESHOPT, MESHOPT_KHR = (
    "KHR_draco_mesh_compression",
    "EXT_meshopt_compression",
    "KHR_meshopt_compression",
)
MODES, FILTERS = (
    ("ATTRIBUTES", "TRIANGLES", "INDICES"),
    ("NONE", "OCTAHEDRAL", "QUATERNION", "EXPONENTIAL", "COLOR"),
)
MAX_DECODED_BYTES = 256_000_000
_MESHOPT = Script("meshopt_decoder.cjs", ready="MeshoptDecoder.ready")
_DECODE = "MeshoptDecoder.decodeGltfBuffer(output, %d, %d, input, '%s', '%s'); answer = 'done';"


@dataclass(frozen=True, slots=True, kw_only=True)
class DracoMesh:
    """A decoded Draco stream. faces: (m, 3) int64. attributes: (n, k) arrays by the ids that the primitive names."""

    faces: NDArray[np.int64]
    attributes: dict[int, NDArray[np.generic]]


def decode_draco(data: bytes, where: str) -> DracoMesh:
    """Raises: InputError file.stream."""
    try:
        mesh = DracoPy.decode(data)
        faces, found = (
            np.asarray(mesh.faces, np.int64).reshape(-1, 3),
            {int(a["unique_id"]): np.asarray(a["data"]) for a in mesh.attributes},
        )
    except Exception as error:
        raise InputError(
            "file.stream", f"The Draco stream cannot be decoded ({type(error).__name__}).", pointer=where
        ) from error
    count = min((len(a) for a in found.values()), default=0)
    if len(faces) and (faces.min() < 0 or faces.max() >= count):
        raise InputError(
            "file.stream", "The Draco stream's faces name vertices that it does not hold.", pointer=where
        )
    return DracoMesh(faces=faces, attributes=found)


def decode_meshopt(data: bytes, count: int, stride: int, mode: str, filter: str, where: str) -> bytes:
    """The `count * stride` bytes of a compressed view. Raises: InputError file.stream."""
    if (
        mode not in MODES
        or filter not in FILTERS
        or not 0 < stride <= 256
        or not 0 <= count * stride <= MAX_DECODED_BYTES
    ):
        raise InputError(
            "file.stream",
            "The meshopt stream's description is none the extension knows, or too large.",
            pointer=where,
        )
    try:
        return (
            _MESHOPT.run(_DECODE % (count, stride, mode, filter), {"input": data}, out=count * stride)[1]
            if count
            else b""
        )
    except ScriptFailed as error:
        raise InputError("file.stream", "The meshopt stream cannot be decoded.", pointer=where) from error
