"""The welded surface of a model: all its triangles with their seams closed, and the defects in it.

Vertices at the same position are merged. Where edges stay open, vertices within WELD_DISTANCE are merged too:
exporters round the two sides of a seam differently. 100,000 triangles take a quarter of a second.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, spatial
from scipy.sparse import csgraph

from dam_connector.errors import InputError
from worker.gltf.document import Primitive
from worker.modeling.ray_casting import RayCaster, ray_caster

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
WELD_DISTANCE = 1e-6  # share of the diagonal
HARD_DEGREES = 90.0  # between neighbouring faces; the Khronos asset auditor counts from the same angle on
MIN_AREA = 1e-12  # share of the squared diagonal: a face with less is degenerate
MAX_CROSSING_EDGES = 12_000  # edges that are tested for crossing a face
FLOATING_DISTANCE = 0.01  # share of the diagonal: a part farther from all others floats
MAX_LOOSE_PARTS = 60  # parts that are tested one by one, the smallest first
POINTS_PER_PART = 12  # vertices of a part from which rays are cast
RAY_OFFSET = 1e-5  # share of the diagonal: rays begin this far from the surface


@dataclass(frozen=True, eq=False)
class WeldedSurface:
    """A surface without seams."""

    positions: F64  # (n, 3), metres
    faces: I64  # (m, 3), including those whose corners were merged

    @cached_property
    def diagonal(self) -> float:
        """Return the diagonal of the bounding box, in metres."""
        return float(np.linalg.norm(self.extent)) or 1e-9

    @cached_property
    def _used_positions(self) -> F64:
        """Return the positions of the vertices that faces use."""
        used = np.zeros(len(self.positions), bool)
        used[self.faces.ravel()] = True
        return np.asarray(self.positions[used], np.float64)

    @cached_property
    def min_corner(self) -> F64:
        """Return the least x, y and z, in metres."""
        return np.asarray(self._used_positions.min(0), np.float64)

    @cached_property
    def max_corner(self) -> F64:
        """Return the greatest x, y and z, in metres."""
        return np.asarray(self._used_positions.max(0), np.float64)

    @cached_property
    def extent(self) -> F64:
        """Width, height, depth in metres."""
        return self.max_corner - self.min_corner

    @cached_property
    def area_vectors(self) -> F64:
        """Return the normal of each face times twice its area, (m, 3)."""
        a, b, c = (self.positions[self.faces[:, k]] for k in range(3))
        return np.asarray(np.cross(b - a, c - a), np.float64)

    @cached_property
    def areas(self) -> F64:
        """Return the area of each face in square metres, (m,)."""
        return np.asarray(np.linalg.norm(self.area_vectors, axis=1) / 2, np.float64)

    @cached_property
    def is_degenerate(self) -> NDArray[np.bool_]:
        """Return whether each face has no area, (m,)."""
        f = self.faces
        return np.asarray(
            (self.areas <= MIN_AREA * self.diagonal**2)
            | (f[:, 0] == f[:, 1])
            | (f[:, 1] == f[:, 2])
            | (f[:, 2] == f[:, 0])
        )

    @cached_property
    def duplicate_count(self) -> int:
        """Return the number of faces that have the same corners as another."""
        corners = np.sort(self.faces[~self.is_degenerate], axis=1)
        return len(corners) - len(np.unique(_face_keys(corners, len(self.positions))))

    @cached_property
    def _edges(self) -> tuple[I64, I64, NDArray[np.bool_], I64]:
        """Return the edges of all faces with area, sorted by edge.

        Returns:
            starts: (e,) the first use of each edge in the next three arrays.
            faces: the face of each use.
            is_ascending: whether the face runs from the lower to the higher vertex.
            keys: the two vertices of each use as one number.
        """
        solid = np.flatnonzero(~self.is_degenerate)
        faces = self.faces[solid]
        one, two = faces[:, [0, 1, 2]].T.ravel(), faces[:, [1, 2, 0]].T.ravel()
        key = np.minimum(one, two) * len(self.positions) + np.maximum(one, two)
        order = np.argsort(key, kind="stable")
        key = key[order]
        starts = (
            np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
            if len(key)
            else np.zeros(0, np.int64)
        )
        return starts, np.tile(solid, 3)[order], (one < two)[order], key

    @cached_property
    def face_counts(self) -> I64:
        """Return the number of faces at each edge, (e,)."""
        starts, faces, _, _ = self._edges
        return np.diff(np.append(starts, len(faces)))

    @property
    def open_edges(self) -> int:
        """Return the number of edges with one face."""
        return int((self.face_counts == 1).sum())

    @property
    def crowded_edges(self) -> int:
        """Return the number of edges with more than two faces."""
        return int((self.face_counts > 2).sum())

    @cached_property
    def adjacent_faces(self) -> I64:
        """Return the two faces at each edge that has two, (k, 2)."""
        starts, faces, _, _ = self._edges
        at = starts[self.face_counts == 2]
        return np.column_stack([faces[at], faces[at + 1]])

    @cached_property
    def opposed_edges(self) -> int:
        """Return the number of edges whose two faces have opposite winding."""
        starts, _, up, _ = self._edges
        at = starts[self.face_counts == 2]
        return int((up[at] == up[at + 1]).sum())

    @cached_property
    def volume(self) -> float:
        """Return the enclosed volume in cubic metres; negative where the faces point inwards."""
        return float((self.positions[self.faces[:, 0]] * self.area_vectors).sum() / 6)

    @cached_property
    def hard_edges(self) -> int:
        """Return the number of edges whose faces meet at HARD_DEGREES or more."""
        one, two = self.area_vectors[self.adjacent_faces[:, 0]], self.area_vectors[self.adjacent_faces[:, 1]]
        cosine = (one * two).sum(1) / np.maximum(
            np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1), 1e-300
        )
        return int((cosine <= np.cos(np.radians(HARD_DEGREES)) + 1e-6).sum())

    @cached_property
    def components(self) -> tuple[int, I64]:
        """Return the number of connected parts, and the part of each vertex, (n,)."""
        f = self.faces
        joined = sparse.coo_array(
            (
                np.ones(2 * len(f), bool),
                (np.concatenate([f[:, 0], f[:, 1]]), np.concatenate([f[:, 1], f[:, 2]])),
            ),
            (len(self.positions),) * 2,
        )
        count, label = csgraph.connected_components(joined, directed=False)
        used = np.unique(label[f[:, 0]])
        return len(used), np.searchsorted(used, label) if len(used) < count else label

    @cached_property
    def _rays(self) -> RayCaster:
        """Return a structure that finds the faces that rays meet."""
        return ray_caster(self.positions, self.faces)

    def loose_parts(self) -> tuple[int, int]:
        """Return the number of parts that float, and of parts that are invisible from outside.

        The part with the largest area is neither.
        """
        count, label = self.components
        if count < 2:
            return 0, 0
        of_face = label[self.faces[:, 0]]
        areas = np.bincount(of_face, self.areas, minlength=count)
        candidates = np.argsort(areas)[:-1][:MAX_LOOSE_PARTS]
        centres = self.positions[self.faces].mean(1)
        used = np.unique(self.faces)
        tree = spatial.cKDTree(self.positions[used])
        owner = label[used]
        floating = inner = 0
        for part in candidates:
            points = self.positions[used[owner == part]]
            if self._is_hidden(_sample(points, POINTS_PER_PART), int(part), of_face):
                inner += 1
            else:
                floating += not self._is_near_another(
                    _sample(points, 16 * POINTS_PER_PART),
                    _sample(centres[of_face == part], 16 * POINTS_PER_PART),
                    int(part),
                    tree,
                    owner,
                )
        return floating, inner

    def _is_near_another(
        self, points: F64, centres: F64, part: int, tree: spatial.cKDTree, owner: I64
    ) -> bool:
        """Return whether another part is within FLOATING_DISTANCE.

        It is when one of its vertices is near a vertex, or a short ray from a face's centre meets one of its
        faces.
        """
        reach = FLOATING_DISTANCE * self.diagonal
        if any((owner[near] != part).any() for near in tree.query_ball_point(points, reach)):
            return True
        directions = np.tile(_AXES, (len(centres), 1))
        offset = directions * RAY_OFFSET * self.diagonal
        face, distance = self._cast_rays(np.repeat(centres, len(_AXES), 0) + offset, directions)
        label = self.components[1]
        return bool(((face >= 0) & (distance < reach) & (label[self.faces[face, 0]] != part)).any())

    def _is_hidden(self, points: F64, part: int, of_face: I64) -> bool:
        """Return whether rays from the points end on a face in all directions, and some on another part."""
        directions = np.tile(_DIRECTIONS, (len(points), 1))
        offset = directions * RAY_OFFSET * self.diagonal
        face, _ = self._cast_rays(np.repeat(points, len(_DIRECTIONS), 0) + offset, directions)
        return bool((face >= 0).all()) and bool((of_face[face] != part).any(0).all() if len(face) else False)

    def _cast_rays(self, origins: F64, directions: F64) -> tuple[I64, F64]:
        """Return the first face that each ray meets (-1: none) and its distance."""
        found = self._rays.first_hits(origins, directions)
        return found.faces, np.asarray(found.distances, np.float64)

    @cached_property
    def crossings(self) -> tuple[int, int]:
        """Count the edges that pass through a face without touching it; return them, and the edges tested."""
        starts, _, _, key = self._edges
        key = key[starts]
        key = key[:: max(1, -(-len(key) // MAX_CROSSING_EDGES))]
        n = len(self.positions)
        ends = np.column_stack([key // n, key % n])
        one, two = self.positions[ends[:, 0]], self.positions[ends[:, 1]]
        length = np.linalg.norm(two - one, axis=1)
        ok = length > 1e-5 * self.diagonal
        one, two, length, ends = one[ok], two[ok], length[ok], ends[ok]
        if not len(one):
            return 0, 1
        way = (two - one) / length[:, None]
        face, distance = self._cast_rays(one + way * (0.02 * length)[:, None], way)
        hit = (face >= 0) & (distance < 0.96 * length) & (distance > 0.0)
        met = self.faces[face]
        touching = (met[:, :, None] == ends[:, None, :]).any((1, 2))
        normal = self.area_vectors[face] / np.maximum(
            np.linalg.norm(self.area_vectors[face], axis=1, keepdims=True), 1e-300
        )
        through = np.abs((normal * way).sum(1)) > 0.05  # an edge that only grazes a face lies in its plane
        return int((hit & ~touching & through).sum()), len(one)


_AXES = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], np.float64)
_DIRECTIONS = np.array(
    [[x, y, z] for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1) if (x, y, z) != (0, 0, 0)],
    np.float64,
)
_DIRECTIONS /= np.linalg.norm(_DIRECTIONS, axis=1, keepdims=True)


def weld_surface(primitives: Sequence[Primitive]) -> WeldedSurface:
    """Return the welded surface of primitives.

    Raises:
        InputError: geometry.empty when they have no triangle.
    """
    primitives = [p for p in primitives if len(p.faces)]
    if not primitives:
        raise InputError("geometry.empty", "The GLB holds no triangles.")
    starts = np.cumsum([0, *(len(p.positions) for p in primitives[:-1])])
    positions = np.concatenate([p.positions for p in primitives])
    faces = np.concatenate([p.faces + start for p, start in zip(primitives, starts, strict=True)])
    _, first, group = np.unique(_position_keys(positions), return_index=True, return_inverse=True)
    surface = _merge(positions, faces, first, group)
    if not surface.open_edges:
        return surface
    first, group = _group_near(surface.positions, WELD_DISTANCE * surface.diagonal)
    return _merge(surface.positions, surface.faces, first, group)


def _merge(positions: F64, faces: I64, first: I64, group: I64) -> WeldedSurface:
    """Return the surface with one vertex for each group: the group's first."""
    return WeldedSurface(positions=positions[first], faces=group.reshape(-1)[faces])


def _position_keys(positions: F64) -> NDArray[np.void]:
    """Return one value for each position, equal where all coordinates are equal; -0 equals 0."""
    rows = np.ascontiguousarray(positions + 0.0)
    return rows.view(np.dtype((np.void, rows.dtype.itemsize * 3))).reshape(-1)


def _group_near(positions: F64, distance: float) -> tuple[I64, I64]:
    """Group vertices that are near each other; return the first of each group, and each vertex's group."""
    pairs = spatial.cKDTree(positions).query_pairs(distance, output_type="ndarray")
    joined = sparse.coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), (len(positions),) * 2)
    _, label = csgraph.connected_components(joined, directed=False)
    _, first = np.unique(label, return_index=True)
    return first, label.astype(np.int64)


def _sample(points: F64, count: int) -> F64:
    """Return at most `count` of the points, evenly chosen."""
    return points[:: max(1, -(-len(points) // count))]


def _face_keys(rows: I64, base: int) -> NDArray[np.generic]:
    """Return one value for each row of three indices."""
    if base < 2_000_000:
        return np.asarray((rows[:, 0] * base + rows[:, 1]) * base + rows[:, 2])
    return np.ascontiguousarray(rows).view(np.dtype((np.void, 24))).reshape(-1)
