"""Model: one textured triangle mesh in the house's frame, as arrays."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
MAP_NAMES = ("normal", "metallic_roughness", "occlusion", "emissive")


@dataclass(frozen=True, slots=True, kw_only=True)
class TexturedMesh:
    """A mesh with one PBR material.

    positions: (n, 3) float32, metres, Y up, +Z front. normals: (n, 3) float32, unit. uvs: (n, 2) float32, origin at the
    texture's top left. faces: (m, 3) uint32, counter-clockwise from outside. texture: the base colour as an encoded
    JPEG or PNG, or None; then `color` (linear RGBA) alone counts. maps: further pictures on the same uvs, encoded, by the names of MAPS,
    as glTF 2.0 defines them.
    """

    positions: F32
    normals: F32
    uvs: F32
    faces: NDArray[np.uint32]
    texture: bytes | None
    roughness: float = 0.7
    metallic: float = 0.0
    color: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    maps: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def has_pictures(self) -> bool:
        """Whether it has a picture on its surface."""
        return self.texture is not None or bool(self.maps)

    @property
    def min_corner(self) -> F32:
        """The bounding box' lower corner, (3,) metres."""
        return np.asarray(self.positions.min(0), np.float32)

    @property
    def max_corner(self) -> F32:
        return np.asarray(self.positions.max(0), np.float32)

    @property
    def extent(self) -> F32:
        """Width, height, depth in metres."""
        return np.asarray(self.max_corner - self.min_corner, np.float32)


def vertex_normals(positions: F32, faces: NDArray[np.uint32]) -> F32:
    """Area-weighted unit normals, (n, 3) float32."""
    corners = positions[faces]
    weighted = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(positions)
    for corner in range(3):
        for axis in range(3):
            normals[:, axis] += np.bincount(
                faces[:, corner], weights=weighted[:, axis], minlength=len(positions)
            ).astype(np.float32)
    return unit_vectors(normals)


def tangents(model: TexturedMesh) -> F32:
    """(n, 4) float32: along the uvs' u at each vertex, at right angles to its normal, and the side that v lies on."""
    corners, uvs = model.positions[model.faces], model.uvs[model.faces]
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    (du1, dv1), (du2, dv2) = (uvs[:, 1] - uvs[:, 0]).T, (uvs[:, 2] - uvs[:, 0]).T
    area = du1 * dv2 - du2 * dv1
    inverse = np.where(np.abs(area) > 1e-20, 1 / np.where(area == 0, 1, area), 0)[:, None]
    along = {
        "u": (one * dv2[:, None] - two * dv1[:, None]) * inverse,
        "v": (two * du1[:, None] - one * du2[:, None]) * inverse,
    }
    summed = {name: np.zeros_like(model.positions) for name in along}
    for name, values in along.items():
        for corner in range(3):
            for axis in range(3):
                summed[name][:, axis] += np.bincount(
                    model.faces[:, corner], weights=values[:, axis], minlength=len(model.positions)
                )
    flat = summed["u"] - model.normals * (summed["u"] * model.normals).sum(1, keepdims=True)
    lost = np.linalg.norm(flat, axis=1) < 1e-12  # no direction of its own: any that lies in the surface
    aside = np.cross(
        model.normals, np.where(np.abs(model.normals[:, :1]) < 0.9, [[1.0, 0, 0]], [[0, 1.0, 0]])
    )
    tangent = unit_vectors(np.where(lost[:, None], aside, flat).astype(np.float32))
    side = np.where(
        (np.cross(model.normals, tangent) * summed["v"]).sum(1) > 0, -1.0, 1.0
    )  # v runs down the picture
    return np.column_stack([tangent, side]).astype(np.float32)


def unit_vectors(vectors: F32) -> F32:
    """Vectors of length one; those of no length point up."""
    length = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    out = np.asarray(vectors / np.maximum(length, 1e-20)[:, None], np.float32)
    if length.size and length.min() <= 1e-20:
        out[length <= 1e-20] = (0, 1, 0)
    return out


def row_dot(one: F32, two: F32) -> F32:
    """Row by row, (n,): a third of what a product and its sum take."""
    return np.asarray(np.einsum("nd,nd->n", one, two), np.float32)
