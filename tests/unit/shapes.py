"""Shapes built in code, with exact sizes."""

import numpy as np
import trimesh

from worker.modeling.model import Model, vertex_normals


def as_model(mesh: trimesh.Trimesh, texture: bytes | None = None) -> Model:
    """A trimesh as a Model, lifted onto y = 0."""
    positions = np.asarray(mesh.vertices, np.float32)
    positions = positions - [0, positions[:, 1].min(), 0]
    positions = positions.astype(np.float32)
    faces = np.asarray(mesh.faces, np.uint32)
    return Model(
        positions=positions,
        normals=vertex_normals(positions, faces),
        uvs=np.zeros((len(positions), 2), np.float32) + 0.5,
        faces=faces,
        texture=texture,
    )


def ball(diameter: float = 1.0) -> Model:
    return as_model(trimesh.creation.icosphere(3, diameter / 2))


def box(width: float, height: float, depth: float) -> Model:
    return as_model(trimesh.creation.box((width, height, depth)))
