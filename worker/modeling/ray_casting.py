"""Ray casting: the first triangle that each of many rays meets.

`ray_caster` uses Embree where a Python binding of it can be imported: `embreex`, or `pyemblite` on 64-bit
ARM Linux, for which `embreex` has no wheels. Elsewhere it uses a caster in NumPy, which finds the same hits
in about fifty times the time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from worker.modeling.bounding_boxes import BoxTree

try:
    from embreex import rtcore_scene
    from embreex.mesh_construction import TriangleMesh
except ImportError:
    try:
        from pyemblite import rtcore_scene  # the same interface
        from pyemblite.mesh_construction import TriangleMesh
    except ImportError:
        rtcore_scene = None

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

CHUNK_RAYS = 8192  # traced at once, so that the arrays stay in the processor's cache
EDGE_TOLERANCE = 1e-9  # of a triangle's side: no ray slips through between two neighbours


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstHits:
    """The first triangle that each of n rays meets."""

    faces: I64  # (n,) index of the triangle; -1 where the ray meets none
    u: F32  # (n,) weight of the triangle's second corner at the hit
    v: F32  # (n,) weight of its third corner; the first has 1 - u - v
    distances: F32  # (n,) in lengths of the ray's direction; infinite where the ray meets none


class RayCaster(Protocol):
    """A triangle mesh prepared for ray queries. Triangles count from both sides."""

    def first_hits(self, origins: NDArray[np.floating], directions: NDArray[np.floating]) -> FirstHits:
        """Return the first hit of each ray.

        Args:
            origins: (n, 3), where the rays begin.
            directions: (n, 3), not zero; distances count in their lengths.
        """
        ...

    def is_blocked(
        self, origins: NDArray[np.floating], directions: NDArray[np.floating]
    ) -> NDArray[np.bool_]:
        """Return for each ray whether it meets anything, (n,)."""
        ...


def ray_caster(vertices: NDArray[np.floating], faces: NDArray[np.integer]) -> RayCaster:
    """Return the fastest caster of this machine for a mesh.

    Args:
        vertices: (n, 3), in any unit.
        faces: (m, 3), indices into `vertices`.
    """
    return CASTERS[0](np.ascontiguousarray(vertices[faces], np.float32))


class EmbreeCaster:
    """A caster by Intel's Embree."""

    def __init__(self, triangles: F32) -> None:
        self._scene: Any = rtcore_scene.EmbreeScene()
        if hasattr(self._scene, "set_flags"):  # of pyemblite: else rays slip through edges
            self._scene.set_flags(rtcore_scene.RTC_SCENE_FLAG_ROBUST)
        TriangleMesh(self._scene, triangles)

    def first_hits(self, origins: NDArray[np.floating], directions: NDArray[np.floating]) -> FirstHits:
        """Return the first hit of each ray."""
        found = self._scene.run(
            np.ascontiguousarray(origins, np.float32), np.ascontiguousarray(directions, np.float32), output=1
        )
        faces = found["primID"].astype(np.int64)
        distances = np.where(faces < 0, np.float32(np.inf), found["tfar"])
        return FirstHits(faces=faces, u=found["u"], v=found["v"], distances=distances)

    def is_blocked(
        self, origins: NDArray[np.floating], directions: NDArray[np.floating]
    ) -> NDArray[np.bool_]:
        """Return for each ray whether it meets anything, (n,)."""
        faces = self._scene.run(
            np.ascontiguousarray(origins, np.float32), np.ascontiguousarray(directions, np.float32)
        )
        return np.asarray(faces >= 0)


class NumpyCaster:
    """A caster in NumPy, by a tree of bounding boxes."""

    def __init__(self, triangles: F32) -> None:
        self._tree = BoxTree(triangles)
        corners = triangles.astype(np.float64)[self._tree.leaves]  # (leaves, slots, 3 corners, 3)
        first = corners[:, :, 0]
        parts = np.stack([first, corners[:, :, 1] - first, corners[:, :, 2] - first], 1)
        self._triangles = np.ascontiguousarray(
            np.moveaxis(parts, 3, 2)
        )  # (leaves, corner and sides, 3, slots)

    def first_hits(self, origins: NDArray[np.floating], directions: NDArray[np.floating]) -> FirstHits:
        """Return the first hit of each ray."""
        faces, distances = np.full(len(origins), -1, np.int64), np.full(len(origins), np.inf)
        u, v = np.zeros(len(origins)), np.zeros(len(origins))
        for start in range(0, len(origins), CHUNK_RAYS):
            chunk = slice(start, start + CHUNK_RAYS)
            self._trace(
                np.asarray(origins[chunk], np.float32),
                np.asarray(directions[chunk], np.float32),
                (faces[chunk], u[chunk], v[chunk], distances[chunk]),
                any_hit=False,
            )
        return FirstHits(
            faces=faces,
            u=u.astype(np.float32),
            v=v.astype(np.float32),
            distances=distances.astype(np.float32),
        )

    def is_blocked(
        self, origins: NDArray[np.floating], directions: NDArray[np.floating]
    ) -> NDArray[np.bool_]:
        """Return for each ray whether it meets anything, (n,)."""
        faces, distances = np.full(len(origins), -1, np.int64), np.full(len(origins), np.inf)
        unused = np.zeros(len(origins))
        for start in range(0, len(origins), CHUNK_RAYS):
            chunk = slice(start, start + CHUNK_RAYS)
            self._trace(
                np.asarray(origins[chunk], np.float32),
                np.asarray(directions[chunk], np.float32),
                (faces[chunk], unused[chunk], unused[chunk], distances[chunk]),
                any_hit=True,
            )
        return faces >= 0

    def _trace(
        self, origins: F32, directions: F32, found: tuple[I64, F64, F64, F64], *, any_hit: bool
    ) -> None:
        """Write the hits of some rays into arrays.

        Args:
            origins: (n, 3) where the rays begin.
            directions: (n, 3) of the rays.
            found: Faces, u, v and distances, (n,) each, filled in place.
            any_hit: Whether any hit of a ray will do, instead of the first.
        """
        faces, u, v, distances = found
        ray, leaf, entry, rank = self._tree.leaves_met(origins, directions)
        first, count = 0, 1
        while (rank >= first).any():  # the nearest leaves first, in growing groups: most others need no test
            group = np.flatnonzero((rank >= first) & (rank < first + count))
            is_open = faces[ray[group]] < 0 if any_hit else entry[group] <= distances[ray[group]]
            group = group[is_open]
            rays, leaves = ray[group], leaf[group]
            slot, at, us, vs = self._nearest(leaves, origins[rays], directions[rays])
            order = np.argsort(-at, kind="stable")  # the nearest hit of each ray is written last
            order = order[at[order] < distances[rays[order]]]
            rays = rays[order]
            faces[rays] = self._tree.leaves[leaves[order], slot[order]]
            u[rays], v[rays], distances[rays] = us[order], vs[order], at[order]
            first, count = first + count, 2 * count

    def _nearest(self, leaves: I64, origins: F32, directions: F32) -> tuple[I64, F64, F64, F64]:
        """Return the nearest hit of each pair of a leaf and a ray, by Moeller and Trumbore (1997).

        Returns:
            The slot in the leaf, the distance (infinite without a hit), u and v, (k,) each.
        """
        triangles = self._triangles[leaves]
        first, one, two = triangles[:, 0], triangles[:, 1], triangles[:, 2]
        d, off = directions.astype(np.float64)[:, :, None], origins.astype(np.float64)[:, :, None] - first
        p, q = _cross(d, two), _cross(off, one)
        with np.errstate(divide="ignore", invalid="ignore"):
            inverse = 1 / _dot(one, p)
            u, v, t = _dot(off, p) * inverse, _dot(d, q) * inverse, _dot(two, q) * inverse
            inside = (u >= -EDGE_TOLERANCE) & (v >= -EDGE_TOLERANCE) & (u + v <= 1 + EDGE_TOLERANCE) & (t > 0)
        t = np.where(inside & np.isfinite(t), t, np.inf)
        slot = t.argmin(1)
        rows = np.arange(len(t))
        return slot, t[rows, slot], u[rows, slot], v[rows, slot]


def _cross(a: F64, b: F64) -> F64:
    """Return cross products along axis 1 of (n, 3, k)."""
    x, y, z = a[:, 0], a[:, 1], a[:, 2]
    return np.stack([y * b[:, 2] - z * b[:, 1], z * b[:, 0] - x * b[:, 2], x * b[:, 1] - y * b[:, 0]], 1)


def _dot(a: F64, b: F64) -> F64:
    """Return dot products along axis 1 of (n, 3, k)."""
    return np.asarray(a[:, 0] * b[:, 0] + a[:, 1] * b[:, 1] + a[:, 2] * b[:, 2])


CASTERS: list[Callable[[F32], RayCaster]] = [NumpyCaster]  # fastest first
if rtcore_scene is not None:
    CASTERS.insert(0, EmbreeCaster)
