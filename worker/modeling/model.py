"""Model: one textured triangle mesh in the house's frame, as arrays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A mesh with one PBR material.

    positions: (n, 3) float32, metres, Y up, +Z front. normals: (n, 3) float32, unit. uvs: (n, 2) float32, origin at the
    texture's top left. faces: (m, 3) uint32, counter-clockwise from outside. texture: the base colour as an encoded
    JPEG or PNG, or None; then `color` (linear RGBA) alone counts.
    """

    positions: F32
    normals: F32
    uvs: F32
    faces: NDArray[np.uint32]
    texture: bytes | None
    roughness: float = 0.7
    metallic: float = 0.0
    color: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)

    @property
    def low(self) -> F32:
        """The bounding box' lower corner, (3,) metres."""
        return np.asarray(self.positions.min(0), np.float32)

    @property
    def high(self) -> F32:
        return np.asarray(self.positions.max(0), np.float32)

    @property
    def extent(self) -> F32:
        """Width, height, depth in metres."""
        return np.asarray(self.high - self.low, np.float32)


def vertex_normals(positions: F32, faces: NDArray[np.uint32]) -> F32:
    """Area-weighted unit normals, (n, 3) float32."""
    corners = positions[faces]
    weighted = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(positions)
    for corner in range(3):
        for axis in range(3):
            normals[:, axis] += np.bincount(faces[:, corner], weights=weighted[:, axis], minlength=len(positions)).astype(np.float32)
    return unit(normals)


def unit(vectors: F32) -> F32:
    """Vectors of length one; those of no length point up."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    out = np.where(length > 1e-20, vectors / np.maximum(length, 1e-20), np.array([0, 1, 0], np.float32))
    return np.asarray(out, np.float32)
