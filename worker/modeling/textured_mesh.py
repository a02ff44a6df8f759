"""A textured triangle mesh with one PBR material, as arrays: the form of all models in `worker.modeling`.

Lengths are metres, Y is up, the product's front looks towards +Z.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
# The pictures beside the base colour, as glTF 2.0 defines them.
MAP_NAMES = ("normal", "metallic_roughness", "occlusion", "emissive")


@dataclass(frozen=True, slots=True, kw_only=True)
class TexturedMesh:
    """A triangle mesh with one PBR material."""

    positions: F32  # (n, 3) of the vertices, in metres
    normals: F32  # (n, 3) unit vectors
    uvs: F32  # (n, 2), 0 to 1 from the texture's top left
    faces: NDArray[np.uint32]  # (m, 3) indices of vertices, counter-clockwise from outside
    texture: bytes | None  # the base colour as an encoded JPEG or PNG; None: `color` alone
    roughness: float = 0.7  # 0 to 1; a factor of the map, if there is one
    metallic: float = 0.0  # 0 to 1; a factor of the map, if there is one
    color: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)  # linear RGBA, a factor of `texture`
    maps: Mapping[str, bytes] = field(
        default_factory=dict
    )  # other encoded pictures on the same uvs, by MAP_NAMES
    colors: F32 | None = None  # (n, 4) linear RGBA of the vertices, a factor of `color`; None: white
    alpha_mode: str = "OPAQUE"  # or MASK or BLEND; the alpha of texture, `color` and `colors`
    double_sided: bool = False
    wrap: tuple[int, int] = (33071, 33071)  # glTF's modes of all pictures for u and v: clamped

    @property
    def has_pictures(self) -> bool:
        """Return whether the mesh has any picture on its surface."""
        return self.texture is not None or bool(self.maps)

    @property
    def min_corner(self) -> F32:
        """Return the lower corner of the bounding box, (3,) metres."""
        return np.asarray(self.positions.min(0), np.float32)

    @property
    def max_corner(self) -> F32:
        """Return the upper corner of the bounding box, (3,) metres."""
        return np.asarray(self.positions.max(0), np.float32)

    @property
    def extent(self) -> F32:
        """Return width, height and depth in metres, (3,)."""
        return np.asarray(self.max_corner - self.min_corner, np.float32)


def vertex_normals(positions: F32, faces: NDArray[np.uint32]) -> F32:
    """Return the area-weighted unit normal of each vertex, (n, 3)."""
    corners = positions[faces]
    area_normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(positions)
    for corner in range(3):
        for axis in range(3):
            normals[:, axis] += np.bincount(
                faces[:, corner], weights=area_normals[:, axis], minlength=len(positions)
            ).astype(np.float32)
    return unit_vectors(normals)


def tangents(mesh: TexturedMesh) -> F32:
    """Return the tangent of each vertex as glTF 2.0 stores it, (n, 4).

    Returns:
        The unit direction in which u grows, at right angles to the normal, and the handedness of the
        bitangent, 1 or -1.
    """
    corners, uvs = mesh.positions[mesh.faces], mesh.uvs[mesh.faces]
    edge_1, edge_2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    (du1, dv1), (du2, dv2) = (uvs[:, 1] - uvs[:, 0]).T, (uvs[:, 2] - uvs[:, 0]).T
    area = du1 * dv2 - du2 * dv1
    inverse = np.where(np.abs(area) > 1e-20, 1 / np.where(area == 0, 1, area), 0)[:, None]
    directions = {
        "u": (edge_1 * dv2[:, None] - edge_2 * dv1[:, None]) * inverse,
        "v": (edge_2 * du1[:, None] - edge_1 * du2[:, None]) * inverse,
    }
    sums = {name: np.zeros_like(mesh.positions) for name in directions}
    for name, values in directions.items():
        for corner in range(3):
            for axis in range(3):
                sums[name][:, axis] += np.bincount(
                    mesh.faces[:, corner], weights=values[:, axis], minlength=len(mesh.positions)
                )
    projected = sums["u"] - mesh.normals * (sums["u"] * mesh.normals).sum(1, keepdims=True)
    is_undefined = (
        np.linalg.norm(projected, axis=1) < 1e-12
    )  # the uvs give no direction: take any that lies in the surface
    any_tangent = np.cross(
        mesh.normals, np.where(np.abs(mesh.normals[:, :1]) < 0.9, [[1.0, 0, 0]], [[0, 1.0, 0]])
    )
    tangent = unit_vectors(np.where(is_undefined[:, None], any_tangent, projected).astype(np.float32))
    handedness = np.where(
        (np.cross(mesh.normals, tangent) * sums["v"]).sum(1) > 0, -1.0, 1.0
    )  # v grows downwards in the picture
    return np.column_stack([tangent, handedness]).astype(np.float32)


def unit_vectors(vectors: F32) -> F32:
    """Return vectors (n, 3) scaled to length one; a vector of length zero becomes +Y."""
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    result = np.asarray(vectors / np.maximum(lengths, 1e-20)[:, None], np.float32)
    if lengths.size and lengths.min() <= 1e-20:
        result[lengths <= 1e-20] = (0, 1, 0)
    return result


def row_dot(a: F32, b: F32) -> F32:
    """Return the dot products of the rows, (n,), in a third of the time of `(a * b).sum(1)`."""
    return np.asarray(np.einsum("nd,nd->n", a, b), np.float32)
