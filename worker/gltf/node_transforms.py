"""Transforms of nodes: relative to the parent, in world space, and of instances."""

import numpy as np
from numpy.typing import NDArray

from worker.gltf.buffers import Buffers
from worker.gltf.json_fields import MAX_COORDINATE_M, Row, Tables, extension, finite_numbers, unreadable

F64 = NDArray[np.float64]
INSTANCING = "EXT_mesh_gpu_instancing"
_IDENTITY = {"translation": [0, 0, 0], "rotation": [0, 0, 0, 1], "scale": [1, 1, 1]}
_INSTANCE_FIELDS = {"TRANSLATION": ("translation", 3), "ROTATION": ("rotation", 4), "SCALE": ("scale", 3)}


def local_matrix(node: Row, where: str) -> F64:
    """Return the transform of a node relative to its parent, (4, 4).

    Raises:
        InputError: file.unreadable.
    """
    if "matrix" in node:
        return finite_numbers(node["matrix"], 16, where).reshape(4, 4).T
    fields = {key: node.get(key, default) for key, default in _IDENTITY.items()}
    if fields == _IDENTITY:  # most nodes, of which a file may have 100,000
        return np.eye(4)
    values = {key: finite_numbers(field, len(_IDENTITY[key]), where) for key, field in fields.items()}
    return compose(values["translation"], values["rotation"], values["scale"])


def compose(translation: F64, rotation: F64, scale: F64) -> F64:
    """Return the matrix of a translation (3,), a rotation as quaternion (4,) and a scale (3,)."""
    matrix = np.eye(4)
    x, y, z, w = rotation
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, :3] *= scale
    matrix[:3, 3] = translation
    return matrix


class NodeTransforms:
    """World matrices of a document's nodes, each computed once, and the matrices of instances."""

    def __init__(self, tables: Tables, buffers: Buffers) -> None:
        self._tables, self._buffers = tables, buffers
        self._world: dict[int, F64] = {}
        self._parents: dict[int, int] | None = None

    def world(self, number: int) -> F64:
        """Return the world matrix of a node, (4, 4), whether the scene shows it or not.

        Raises:
            InputError: file.unreadable, the node is its own ancestor.
        """
        chain: list[int] = []
        at: int | None = number
        while at is not None and at not in self._world:
            if at in chain:
                raise unreadable("The node is its own ancestor.", f"/nodes/{at}")
            chain.append(at)
            at = self._parent_of().get(at)
        for node in reversed(chain):
            parent = self._parent_of().get(node)
            local = local_matrix(self._tables.row("nodes", node, "/nodes"), f"/nodes/{node}")
            self._world[node] = local if parent is None else self._world[parent] @ local
        return self._world[number]

    def _parent_of(self) -> dict[int, int]:
        if self._parents is None:
            self._parents = {
                child: number
                for number, row in enumerate(self._tables.rows("nodes"))
                if isinstance(children := row.get("children"), list)
                for child in children
                if isinstance(child, int)
            }
        return self._parents

    def instances(self, node: Row, where: str) -> list[F64]:
        """Return a matrix for each instance of the node's mesh, (4, 4); the identity where it has none.

        Raises:
            InputError: file.unreadable.
        """
        instancing = extension(node, INSTANCING)
        attributes = instancing.get("attributes") if instancing else None
        if not isinstance(attributes, dict) or "skin" in node:
            return [np.eye(4)]
        fields: dict[str, F64] = {}
        for name, (field, width) in _INSTANCE_FIELDS.items():
            if name in attributes:
                values = np.asarray(self._buffers.accessor(attributes[name], where), np.float64)
                if values.shape[1] != width or not (np.abs(values) < MAX_COORDINATE_M).all():
                    raise unreadable(f"{name} of the instances is not {width} finite numbers.", where)
                fields[field] = values
        if not fields:
            return [np.eye(4)]
        count = min(len(values) for values in fields.values())
        defaults = {key: np.array(default, np.float64) for key, default in _IDENTITY.items()}
        return [
            compose(**{key: fields[key][i] if key in fields else defaults[key] for key in _IDENTITY})
            for i in range(count)
        ]
