"""Shapes built in code, with exact sizes."""

from dataclasses import replace

import numpy as np
import trimesh

from worker.modeling.textured_mesh import TexturedMesh, vertex_normals


def as_model(mesh: trimesh.Trimesh, texture: bytes | None = None) -> TexturedMesh:
    """A trimesh as a Model, lifted onto y = 0."""
    positions = np.asarray(mesh.vertices, np.float32)
    positions = positions - [0, positions[:, 1].min(), 0]
    positions = positions.astype(np.float32)
    faces = np.asarray(mesh.faces, np.uint32)
    return TexturedMesh(
        positions=positions,
        normals=vertex_normals(positions, faces),
        uvs=np.zeros((len(positions), 2), np.float32) + 0.5,
        faces=faces,
        texture=texture,
    )


def unwrapped(model: TexturedMesh) -> TexturedMesh:
    """The model with a place of its own in the texture for each triangle: every seam open, as exporters leave
    it.
    """
    corners = model.positions[model.faces].reshape(-1, 3)
    cross = np.cross(corners[1::3] - corners[::3], corners[2::3] - corners[::3])
    side = int(np.ceil(np.sqrt(len(model.faces))))
    cell = np.stack(np.divmod(np.arange(len(model.faces)), side), 1)
    uvs = (cell[:, None] + np.array([[0.2, 0.8], [0.8, 0.8], [0.2, 0.2]])) / side
    return replace(
        model,
        positions=corners,
        normals=np.repeat(
            cross / np.maximum(np.linalg.norm(cross, axis=1, keepdims=True), 1e-12), 3, 0
        ).astype(np.float32),
        uvs=uvs.reshape(-1, 2).astype(np.float32),
        faces=np.arange(len(corners), dtype=np.uint32).reshape(-1, 3),
    )


def ball(diameter: float = 1.0) -> TexturedMesh:
    return as_model(trimesh.creation.icosphere(3, diameter / 2))


def box(width: float, height: float, depth: float) -> TexturedMesh:
    return as_model(trimesh.creation.box((width, height, depth)))
