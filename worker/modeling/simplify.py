"""Simplification of textured meshes: fewer triangles and texels, the same look.

Seams stay closed; texture coordinates and outlines stay where they are. The work is done by meshoptimizer's
simplifier (npm `meshoptimizer`, WebAssembly) in V8. A quadric collapse that does not know seams
(fast_simplification, used before) tore the charts of an atlas apart and gave vertices the texture of
others.
"""

import io
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dam_connector.errors import InputError
from worker.javascript import Script, ScriptFailed
from worker.modeling.textured_mesh import TexturedMesh

F64 = NDArray[np.float64]
# Costs of a change by 1, where a move of the surface by its whole size costs 1.
UV_WEIGHT, NORMAL_WEIGHT = 2.0, 0.4
MAX_LOST_SHARE = 0.03  # of a side; to stretch more would hide that parts are missing
# Flags of meshoptimizer, tried in this order: keep seams; cross them; drop specks as well.
ATTEMPTS = ("", "'Permissive'", "'Permissive', 'Prune'")
TIMEOUT_S = 60.0  # a million triangles take three
_SIMPLIFIER = Script("meshopt_simplifier.js", ready="MeshoptSimplifier.ready", timeout_s=TIMEOUT_S)
_PROGRAM = """
var indices = MeshoptSimplifier.simplifyWithAttributes(
  new Uint32Array(faces.buffer), new Float32Array(points.buffer), 3, new Float32Array(attributes.buffer), 5,
  [%g, %g, %g, %g, %g], null, %d, 1.0, [%s])[0];
new Uint32Array(output.buffer).set(indices);
answer = String(indices.length);
"""


def simplify_mesh(model: TexturedMesh, max_triangles: int) -> TexturedMesh:
    """Return a mesh with at most `max_triangles` triangles, in exactly the same bounding box.

    Raises:
        InputError: geometry.too_complex, the mesh cannot be simplified that far.
    """
    if len(model.faces) <= max_triangles:
        return model
    inputs = {
        "faces": np.ascontiguousarray(model.faces, np.uint32).tobytes(),
        "points": np.ascontiguousarray(model.positions, np.float32).tobytes(),
        "attributes": np.ascontiguousarray(np.hstack([model.uvs, model.normals]), np.float32).tobytes(),
    }
    for options in ATTEMPTS:
        weights = (UV_WEIGHT, UV_WEIGHT, NORMAL_WEIGHT, NORMAL_WEIGHT, NORMAL_WEIGHT)
        try:
            count, data = _SIMPLIFIER.run(
                _PROGRAM % (*weights, 3 * max_triangles, options), inputs, out=model.faces.size * 4
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
    return _keep_faces(model, np.frombuffer(data, np.uint32)[: int(count)].reshape(-1, 3))


def simplified_indices(
    positions: F64, normals: F64 | None, uvs: F64 | None, faces: NDArray[np.int64], max_triangles: int
) -> NDArray[np.uint32]:
    """Return the corners of fewer triangles over the same vertices, (3 k,); the border stays as it is.

    There may be more than `max_triangles`.

    Raises:
        ScriptFailed: The simplifier failed.
    """
    attributes = np.zeros((len(positions), 5), np.float32)
    attributes[:, :2] = 0 if uvs is None else uvs
    attributes[:, 2:] = 0 if normals is None else normals
    count, data = _SIMPLIFIER.run(
        _PROGRAM
        % (
            *(UV_WEIGHT, UV_WEIGHT, NORMAL_WEIGHT, NORMAL_WEIGHT, NORMAL_WEIGHT),
            3 * max_triangles,
            "'LockBorder'",
        ),
        {
            "faces": np.ascontiguousarray(faces, np.uint32).tobytes(),
            "points": np.ascontiguousarray(positions, np.float32).tobytes(),
            "attributes": attributes.tobytes(),
        },
        out=faces.size * 4,
    )
    return np.frombuffer(data, np.uint32)[: int(count)]


def _keep_faces(model: TexturedMesh, faces: NDArray[np.uint32]) -> TexturedMesh:
    """Return the mesh of some faces alone, scaled to exactly its former box.

    Raises:
        InputError: geometry.too_complex, so much was lost that scaling would distort the rest.
    """
    used, indices = np.unique(faces, return_inverse=True)
    points = model.positions[used]
    low, extent = points.min(0), np.ptp(points, axis=0)
    lost_share = float((1 - extent / np.maximum(model.extent, 1e-9)).max())
    if lost_share > MAX_LOST_SHARE:
        measured, limit = f"{lost_share * 100:.0f} % of a side lost", f"{MAX_LOST_SHARE * 100:.0f} %"
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
        colors=None if model.colors is None else model.colors[used],
        faces=indices.reshape(-1, 3).astype(np.uint32),
    )


def limit_texture_size(model: TexturedMesh, side_px: int) -> TexturedMesh:
    """Return the mesh with its texture and maps reduced to at most `side_px` on their longer side."""
    texture = None if model.texture is None else _reduce_picture(model.texture, side_px)
    return replace(
        model,
        texture=texture,
        maps={name: _reduce_picture(data, side_px) for name, data in model.maps.items()},
    )


def _reduce_picture(picture: bytes, side_px: int) -> bytes:
    with Image.open(io.BytesIO(picture)) as image:
        if max(image.size) <= side_px:
            return picture
        image.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
        out = io.BytesIO()
        if image.mode in ("RGBA", "LA"):
            image.save(out, "PNG")
        else:
            image.convert("RGB").save(out, "JPEG", quality=90, subsampling=0)
    return out.getvalue()
