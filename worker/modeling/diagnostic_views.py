"""Diagnostic views: renders that show how a mesh is built, i.e. its form, its triangles and its texture's
layout."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from worker.modeling.camera import Camera
from worker.modeling.render import ColourShader, Renderer
from worker.modeling.textured_mesh import TexturedMesh, row_dot

F32 = NDArray[np.float32]

HALF_LINE_PX = 0.7  # half the width of a line
CHECKER_SQUARES = 32  # of the checkerboard along a side of the texture
_LIT_COLOUR, _SHADED_COLOUR = (
    np.array([0.62, 0.52, 0.44], np.float32),
    np.array([0.10, 0.13, 0.19], np.float32),
)


def render_diagnostic_views(
    renderer: Renderer, camera: Camera, size: int, kinds: Iterable[str]
) -> Iterator[NDArray[np.uint8]]:
    """Yield a picture (size, size, 3) for each kind, a key of DIAGNOSTIC_VIEWS."""
    return renderer.render_unlit(
        camera, size, [DIAGNOSTIC_VIEWS[kind](renderer.mesh, camera, size) for kind in kinds]
    )


def _matcap(mesh: TexturedMesh, camera: Camera, size: int) -> ColourShader:
    """Return a shader for form alone: each direction has its own shade, with a highlight that shows dents."""
    back, right, up = camera.axes()
    light = (0.45 * up - 0.35 * right + 0.82 * back).astype(np.float32)

    def colours(points: F32, normals: F32, face: NDArray[np.int64]) -> F32:
        towards = normals @ light
        diffuse, highlight = (
            np.clip(towards * 0.7 + 0.3, 0, 1)[:, None] ** 1.8,
            np.clip(towards, 0, 1)[:, None] ** 30,
        )
        return np.asarray(
            _SHADED_COLOUR + (_LIT_COLOUR - _SHADED_COLOUR) * diffuse + 0.35 * highlight, np.float32
        )

    return colours


def _wireframe(mesh: TexturedMesh, camera: Camera, size: int) -> ColourShader:
    """Return a shader for triangles: dark lines on a light form."""
    width = np.float32(HALF_LINE_PX * 2 * camera.half_width / size)
    back, _, _ = camera.axes()

    def colours(points: F32, normals: F32, face: NDArray[np.int64]) -> F32:
        corners = mesh.positions.take(mesh.faces.take(face, axis=0), axis=0)
        distance = np.full(len(points), np.inf, np.float32)
        for k in range(3):
            start, edge = corners[:, k], corners[:, (k + 1) % 3] - corners[:, k]
            offsets = points - start
            offsets -= (row_dot(offsets, edge) / np.maximum(row_dot(edge, edge), 1e-20))[:, None] * edge
            distance = np.minimum(distance, np.sqrt(row_dot(offsets, offsets)))
        form = 0.35 + 0.45 * np.abs(normals @ back)
        return np.asarray(
            (form * np.clip(0.15 + 0.85 * distance / width, 0.15, 1))[:, None].repeat(3, 1), np.float32
        )

    return colours


def _checker(mesh: TexturedMesh, camera: Camera, size: int) -> ColourShader:
    """Return a shader for the texture's layout: checks that should be square and of one size."""

    def colours(points: F32, normals: F32, face: NDArray[np.int64]) -> F32:
        faces = mesh.faces.take(face, axis=0)
        corners, uvs = mesh.positions.take(faces, axis=0).astype(np.float64), mesh.uvs.take(faces, axis=0)
        edge_1, edge_2, offsets = (
            corners[:, 1] - corners[:, 0],
            corners[:, 2] - corners[:, 0],
            points - corners[:, 0],
        )
        a, b, c, d, e = (
            np.einsum("nd,nd->n", x, y)
            for x, y in (
                (edge_1, edge_1),
                (edge_1, edge_2),
                (edge_2, edge_2),
                (offsets, edge_1),
                (offsets, edge_2),
            )
        )
        area = np.maximum(a * c - b * b, 1e-30)
        weight_2, weight_3 = (c * d - b * e) / area, (a * e - b * d) / area
        uv = (
            uvs[:, 0]
            + weight_2[:, None] * (uvs[:, 1] - uvs[:, 0])
            + weight_3[:, None] * (uvs[:, 2] - uvs[:, 0])
        )
        square = np.floor(uv * CHECKER_SQUARES).astype(int)
        dark = ((square[:, 0] + square[:, 1]) % 2)[:, None]
        hue = np.stack([0.25 + 0.6 * uv[:, 0], 0.45 + 0.2 * uv[:, 1], 0.85 - 0.6 * uv[:, 0]], 1)
        return np.asarray(np.clip(hue, 0, 1) * (1 - 0.65 * dark), np.float32)

    return colours


DIAGNOSTIC_VIEWS: Mapping[str, Callable[[TexturedMesh, Camera, int], ColourShader]] = {
    "matcap": _matcap,
    "wireframe": _wireframe,
    "checker": _checker,
}
