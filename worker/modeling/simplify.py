"""Simplify: fewer triangles and texels, the same look. Seams stay closed, texture places and outlines stay where they are.

By meshoptimizer's own simplifier (npm `meshoptimizer`, WebAssembly) inside V8. A quadric collapse that knows nothing of seams (fast_simplification,
taken before) tore the charts of an atlas apart and gave vertices the texture of others.
"""

import io
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dam_connector.errors import InputError
from worker.javascript import Script, ScriptFailed
from worker.modeling.textured_mesh import TexturedMesh

UV_WEIGHT, NORMAL_WEIGHT = 2.0, 0.4  # beside a move of the surface by the whole of its size
MAX_LOST = 0.03  # of a side: more would be stretched to hide what is missing
WAYS = (
    "",
    "'Permissive'",
    "'Permissive', 'Prune'",
)  # seams are kept first; where that is not enough they may be crossed, then specks go
TIMEOUT_S = 60.0  # a million triangles take three
_SIMPLIFIER = Script("meshopt_simplifier.js", ready="MeshoptSimplifier.ready", timeout_s=TIMEOUT_S)
_PROGRAM = """
var made = MeshoptSimplifier.simplifyWithAttributes(new Uint32Array(faces.buffer), new Float32Array(points.buffer), 3,
  new Float32Array(looks.buffer), 5, [%g, %g, %g, %g, %g], null, %d, 1.0, [%s])[0];
new Uint32Array(output.buffer).set(made);
answer = String(made.length);
"""


def simplify_mesh(model: TexturedMesh, max_triangles: int) -> TexturedMesh:
    """The model with at most so many triangles, in exactly its own box; as it is when it has no more.

    Raises: InputError geometry.too_complex when it cannot be brought down to them.
    """
    if len(model.faces) <= max_triangles:
        return model
    inputs = {
        "faces": np.ascontiguousarray(model.faces, np.uint32).tobytes(),
        "points": np.ascontiguousarray(model.positions, np.float32).tobytes(),
        "looks": np.ascontiguousarray(np.hstack([model.uvs, model.normals]), np.float32).tobytes(),
    }
    for way in WAYS:
        weights = (UV_WEIGHT, UV_WEIGHT, NORMAL_WEIGHT, NORMAL_WEIGHT, NORMAL_WEIGHT)
        try:
            count, data = _SIMPLIFIER.run(
                _PROGRAM % (*weights, 3 * max_triangles, way), inputs, out=model.faces.size * 4
            )
        except ScriptFailed as error:
            raise InputError(
                "geometry.too_complex", f"The mesh cannot be simplified ({str(error)[:80]})."
            ) from error
        if 0 < int(count) <= 3 * max_triangles:
            break
    else:
        measured, limit = f"{int(count) // 3} triangles", f"{max_triangles} triangles"
        raise InputError(
            "geometry.too_complex", "The mesh cannot be simplified that far.", measured=measured, limit=limit
        )
    return _of_faces(model, np.frombuffer(data, np.uint32)[: int(count)].reshape(-1, 3))


def _of_faces(model: TexturedMesh, faces: NDArray[np.uint32]) -> TexturedMesh:
    """The model of these faces alone, brought to exactly its box. Raises: InputError geometry.too_complex."""
    used, split = np.unique(faces, return_inverse=True)
    points = model.positions[used]
    low, extent = points.min(0), np.ptp(points, axis=0)
    lost = float((1 - extent / np.maximum(model.extent, 1e-9)).max())
    if lost > MAX_LOST:
        measured, limit = f"{lost * 100:.0f} % of a side lost", f"{MAX_LOST * 100:.0f} %"
        raise InputError(
            "geometry.too_complex",
            "The mesh falls into too many parts to be simplified that far.",
            measured=measured,
            limit=limit,
        )
    points = model.min_corner + (points - low) * (model.extent / np.maximum(extent, 1e-9))
    return replace(
        model,
        positions=points.astype(np.float32),
        normals=model.normals[used],
        uvs=model.uvs[used],
        faces=split.reshape(-1, 3).astype(np.uint32),
    )


def limit_texture_size(model: TexturedMesh, side_px: int) -> TexturedMesh:
    """The texture and the maps reduced to at most `side_px` on their longer side."""
    texture = None if model.texture is None else _reduced(model.texture, side_px)
    return replace(
        model, texture=texture, maps={name: _reduced(data, side_px) for name, data in model.maps.items()}
    )


def _reduced(picture: bytes, side_px: int) -> bytes:
    with Image.open(io.BytesIO(picture)) as image:
        if max(image.size) <= side_px:
            return picture
        image.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
        out = io.BytesIO()
        image.convert("RGB").save(out, "JPEG", quality=90, subsampling=0)
    return out.getvalue()
