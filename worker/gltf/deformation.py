"""The shape that a mesh has when a viewer shows it: its default morph weights applied, its skin posed."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from worker.gltf.buffers import Buffers
from worker.gltf.json_fields import Row, Tables, finite_numbers, index_list, unreadable
from worker.gltf.node_transforms import NodeTransforms

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Influence = tuple[I64, F64]  # a joint of the skin (n,) and its weight (n,) for each vertex
MAX_MORPH_TARGETS = 256
MAX_JOINT_SETS = 4  # JOINTS_0 to JOINTS_3


def influences_of_set(
    joints: F64 | None, weights: F64 | None, vertices: int, where: str
) -> Iterator[Influence]:
    """Yield the four influences of a set of JOINTS and WEIGHTS; none where the primitive lacks it.

    Raises:
        InputError: file.unreadable.
    """
    if joints is None or weights is None:
        return
    if joints.shape != (vertices, 4) or weights.shape != (vertices, 4) or not np.isfinite(weights).all():
        raise unreadable("JOINTS or WEIGHTS are not four numbers a vertex.", where)
    if not np.isfinite(joints).all() or (joints < 0).any():
        raise unreadable("JOINTS are not whole numbers from 0 on.", where)
    yield from ((joints[:, k].astype(np.int64), weights[:, k]) for k in range(4))


class Deformer:
    """Morph targets and skins of one document."""

    def __init__(self, tables: Tables, buffers: Buffers, transforms: NodeTransforms) -> None:
        self._tables, self._buffers, self._transforms = tables, buffers, transforms
        self._joint_matrices: dict[int, F64] = {}

    def morph(
        self, primitive: Row, node: Row, positions: F64, normals: F64 | None, where: str
    ) -> tuple[F64, F64 | None]:
        """Return positions and normals with the default weights of the node, else of the mesh, applied.

        Raises:
            InputError: file.unreadable.
        """
        targets = primitive.get("targets")
        weights = self._weights(node, where)
        if not isinstance(targets, list) or not any(weights):
            return positions, normals
        for target, weight in zip(targets[:MAX_MORPH_TARGETS], weights, strict=False):
            if not weight or not isinstance(target, dict):
                continue
            positions = positions + weight * self._delta(target, "POSITION", positions.shape, where)
            if normals is not None:
                normals = normals + weight * self._delta(target, "NORMAL", normals.shape, where)
        return positions, None if normals is None else _unit(normals)

    def _weights(self, node: Row, where: str) -> list[float]:
        mesh = self._tables.row("meshes", node.get("mesh"), where)
        weights = node.get("weights", mesh.get("weights", []))
        if not isinstance(weights, list):
            raise unreadable("`weights` is not a list of numbers.", where)
        return [float(w) for w in finite_numbers(weights, len(weights), where)]

    def _delta(self, target: Row, name: str, shape: tuple[int, ...], where: str) -> F64:
        if name not in target:
            return np.zeros(shape)
        delta = np.asarray(self._buffers.accessor(target[name], where), np.float64)
        if delta.shape != shape or not np.isfinite(delta).all():
            raise unreadable(f"A morph target's {name} does not fit its primitive.", where)
        return delta

    def pose(
        self,
        node: Row,
        influences: Sequence[Influence],
        positions: F64,
        normals: F64 | None,
        where: str,
    ) -> tuple[F64, F64 | None] | None:
        """Return positions and normals in world space as the node's skin places them; None without a skin.

        Raises:
            InputError: file.unreadable.
        """
        if "skin" not in node or not influences:
            return None
        matrices = self._matrices(node["skin"], where)
        blended, total = np.zeros((len(positions), 4, 4)), np.zeros(len(positions))
        for joints, weights in influences:
            if len(joints) and int(joints.max()) >= len(matrices):
                raise unreadable("A vertex names a joint that its skin does not have.", where)
            blended += weights[:, None, None] * matrices[joints]
            total += weights
        is_bound = total > 1e-9
        blended[is_bound] /= total[is_bound, None, None]
        blended[~is_bound] = np.eye(4)
        posed = np.einsum("nij,nj->ni", blended[:, :3, :3], positions) + blended[:, :3, 3]
        return posed, None if normals is None else _unit(_transformed_normals(normals, blended[:, :3, :3]))

    def _matrices(self, skin: object, where: str) -> F64:
        """Return the matrix of each joint of a skin, (j, 4, 4)."""
        number = self._tables.index("skins", skin, where)
        if number not in self._joint_matrices:
            here = f"/skins/{number}"
            row = self._tables.rows("skins")[number]
            joints = [self._tables.index("nodes", j, here) for j in index_list(row.get("joints", []), here)]
            worlds = np.array([self._transforms.world(joint) for joint in joints]).reshape(-1, 4, 4)
            if "inverseBindMatrices" in row:
                stored = np.asarray(self._buffers.accessor(row["inverseBindMatrices"], here), np.float64)
                if stored.shape[1] != 16 or len(stored) < len(joints) or not np.isfinite(stored).all():
                    raise unreadable("The skin has no inverse bind matrix for each joint.", here)
                worlds = worlds @ stored[: len(joints)].reshape(-1, 4, 4).transpose(0, 2, 1)
            self._joint_matrices[number] = worlds
        return self._joint_matrices[number]


def _transformed_normals(normals: F64, linear: F64) -> F64:
    """Return normals transformed by the cofactor of each vertex's matrix, which needs no inverse."""
    columns = [np.cross(linear[:, :, (k + 1) % 3], linear[:, :, (k + 2) % 3]) for k in range(3)]
    return np.asarray(np.einsum("nij,nj->ni", np.stack(columns, 2), normals), np.float64)


def _unit(normals: F64) -> F64:
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.where(lengths > 1e-12, normals / np.maximum(lengths, 1e-30), normals)
