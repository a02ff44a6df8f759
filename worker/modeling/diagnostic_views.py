"""Studies: renders that show how a model is built rather than how it looks: its triangles, its form, its texture's layout."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from worker.modeling.camera import Camera
from worker.modeling.render import ColourShader, Renderer
from worker.modeling.textured_mesh import TexturedMesh, row_dot

F32 = NDArray[np.float32]

LINE_PX = 0.7  # half a wire's width
SQUARES = 32  # of the checker, along the texture
_WARM, _COOL = np.array([0.62, 0.52, 0.44], np.float32), np.array([0.10, 0.13, 0.19], np.float32)


def render_diagnostic_views(
    stage: Renderer, camera: Camera, size: int, kinds: Iterable[str]
) -> Iterator[NDArray[np.uint8]]:
    """(size, size, 3) uint8 for each kind: the model as that one of STUDIES shows it."""
    return stage.render_unlit(
        camera, size, [DIAGNOSTIC_VIEWS[kind](stage.mesh, camera, size) for kind in kinds]
    )


def _matcap(model: TexturedMesh, camera: Camera, size: int) -> ColourShader:
    """Form alone: each direction has its own shade, with a highlight that shows every dent."""
    back, right, up = camera.axes()
    light = (0.45 * up - 0.35 * right + 0.82 * back).astype(np.float32)

    def colours(points: F32, normals: F32, face: NDArray[np.int64]) -> F32:
        towards = normals @ light
        rise, shine = (
            np.clip(towards * 0.7 + 0.3, 0, 1)[:, None] ** 1.8,
            np.clip(towards, 0, 1)[:, None] ** 30,
        )
        return np.asarray(_COOL + (_WARM - _COOL) * rise + 0.35 * shine, np.float32)

    return colours


def _wireframe(model: TexturedMesh, camera: Camera, size: int) -> ColourShader:
    """Triangles: dark lines on a light form."""
    width = np.float32(LINE_PX * 2 * camera.half_width / size)
    back, _, _ = camera.axes()

    def colours(points: F32, normals: F32, face: NDArray[np.int64]) -> F32:
        corners = model.positions.take(model.faces.take(face, axis=0), axis=0)
        away = np.full(len(points), np.inf, np.float32)
        for k in range(3):
            start, along = corners[:, k], corners[:, (k + 1) % 3] - corners[:, k]
            off = points - start
            off -= (row_dot(off, along) / np.maximum(row_dot(along, along), 1e-20))[:, None] * along
            away = np.minimum(away, np.sqrt(row_dot(off, off)))
        form = 0.35 + 0.45 * np.abs(normals @ back)
        return np.asarray(
            (form * np.clip(0.15 + 0.85 * away / width, 0.15, 1))[:, None].repeat(3, 1), np.float32
        )

    return colours


def _checker(model: TexturedMesh, camera: Camera, size: int) -> ColourShader:
    """The texture's layout: squares that should be square and equal, coloured by their place."""

    def colours(points: F32, normals: F32, face: NDArray[np.int64]) -> F32:
        faces = model.faces.take(face, axis=0)
        corners, uvs = model.positions.take(faces, axis=0).astype(np.float64), model.uvs.take(faces, axis=0)
        one, two, off = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0], points - corners[:, 0]
        a, b, c, d, e = (
            np.einsum("nd,nd->n", x, y)
            for x, y in ((one, one), (one, two), (two, two), (off, one), (off, two))
        )
        area = np.maximum(a * c - b * b, 1e-30)
        second, third = (c * d - b * e) / area, (a * e - b * d) / area
        uv = uvs[:, 0] + second[:, None] * (uvs[:, 1] - uvs[:, 0]) + third[:, None] * (uvs[:, 2] - uvs[:, 0])
        square = np.floor(uv * SQUARES).astype(int)
        dark = ((square[:, 0] + square[:, 1]) % 2)[:, None]
        hue = np.stack([0.25 + 0.6 * uv[:, 0], 0.45 + 0.2 * uv[:, 1], 0.85 - 0.6 * uv[:, 0]], 1)
        return np.asarray(np.clip(hue, 0, 1) * (1 - 0.65 * dark), np.float32)

    return colours


DIAGNOSTIC_VIEWS: Mapping[str, Callable[[TexturedMesh, Camera, int], ColourShader]] = {
    "matcap": _matcap,
    "wireframe": _wireframe,
    "checker": _checker,
}
