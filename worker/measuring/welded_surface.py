"""Surface: all triangles of a model with their seams welded, and what can be counted on them.

Vertices at one place are one: first those at exactly one place; where edges stay open, those within WELD of the model's size
too (exporters round the two sides of a seam differently). 100,000 triangles take a quarter of a second.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import trimesh
from numpy.typing import NDArray
from scipy import sparse, spatial
from scipy.sparse import csgraph

from dam_connector.errors import InputError
from worker.gltf.document import Primitive
from worker.modeling.ray_casting import RayCaster, ray_caster

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
WELD = 1e-6  # of the diagonal
HARD_DEGREES = 90.0  # from this angle between neighbours on, as in the Khronos asset auditor
FLAT = 1e-12  # of the diagonal squared: less area is none
CROSSING_EDGES = 12_000  # looked along, at most
FLOATING = 0.01  # of the diagonal: a part farther from the rest hangs in the air
LOOSE_PARTS = 60  # looked at one by one, the smallest first
POINTS_A_PART = 12


@dataclass(frozen=True, eq=False)
class Surface:
    """positions: (n, 3) float64, metres, welded. faces: (m, 3) int64, those whose corners fell together included."""

    positions: F64
    faces: I64

    @cached_property
    def diagonal(self) -> float:
        return float(np.linalg.norm(self.extent)) or 1e-9

    @cached_property
    def _used(self) -> F64:
        """The vertices that faces have."""
        used = np.zeros(len(self.positions), bool)
        used[self.faces.ravel()] = True
        return np.asarray(self.positions[used], np.float64)

    @cached_property
    def low(self) -> F64:
        return np.asarray(self._used.min(0), np.float64)

    @cached_property
    def high(self) -> F64:
        return np.asarray(self._used.max(0), np.float64)

    @cached_property
    def extent(self) -> F64:
        """Width, height, depth in metres."""
        return self.high - self.low

    @cached_property
    def mesh(self) -> trimesh.Trimesh:
        """As trimesh sees it, nothing changed."""
        return trimesh.Trimesh(self.positions, self.faces, process=False, validate=False)

    @cached_property
    def crosses(self) -> F64:
        """Twice the area times the normal of each face, (m, 3)."""
        return np.asarray(self.mesh.triangles_cross, np.float64)

    @cached_property
    def areas(self) -> F64:
        return np.asarray(self.mesh.area_faces, np.float64)

    @cached_property
    def degenerate(self) -> NDArray[np.bool_]:
        """The faces without area, (m,)."""
        f = self.faces
        return np.asarray(
            (self.areas <= FLAT * self.diagonal**2)
            | (f[:, 0] == f[:, 1])
            | (f[:, 1] == f[:, 2])
            | (f[:, 2] == f[:, 0])
        )

    @cached_property
    def duplicates(self) -> int:
        """Faces that have the corners of another."""
        corners = np.sort(self.faces[~self.degenerate], axis=1)
        return len(corners) - len(np.unique(_keys(corners, len(self.positions))))

    @cached_property
    def _edges(self) -> tuple[I64, I64, NDArray[np.bool_], I64]:
        """Of faces with area, sorted by edge: where each edge begins, and for each use its face, whether it runs upwards, and its ends' key."""
        solid = np.flatnonzero(~self.degenerate)
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
    def uses(self) -> I64:
        """How many faces each edge joins, (e,)."""
        starts, faces, _, _ = self._edges
        return np.diff(np.append(starts, len(faces)))

    @property
    def open_edges(self) -> int:
        return int((self.uses == 1).sum())

    @property
    def crowded_edges(self) -> int:
        """Edges of three faces and more."""
        return int((self.uses > 2).sum())

    @cached_property
    def pairs(self) -> I64:
        """The two faces of each edge that joins two, (k, 2)."""
        starts, faces, _, _ = self._edges
        at = starts[self.uses == 2]
        return np.column_stack([faces[at], faces[at + 1]])

    @cached_property
    def opposed(self) -> int:
        """Edges whose two faces look opposite ways."""
        starts, _, up, _ = self._edges
        at = starts[self.uses == 2]
        return int((up[at] == up[at + 1]).sum())

    @cached_property
    def volume(self) -> float:
        """Cubic metres; negative where the faces look inwards."""
        return float((self.positions[self.faces[:, 0]] * self.crosses).sum() / 6)

    @cached_property
    def hard_edges(self) -> int:
        """Edges whose faces stand at a right angle or sharper."""
        one, two = self.crosses[self.pairs[:, 0]], self.crosses[self.pairs[:, 1]]
        cosine = (one * two).sum(1) / np.maximum(
            np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1), 1e-300
        )
        return int((cosine <= np.cos(np.radians(HARD_DEGREES)) + 1e-6).sum())

    @cached_property
    def parts(self) -> tuple[int, I64]:
        """How many loose parts there are, and the part of each vertex, (n,)."""
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
        return ray_caster(self.positions, self.faces)

    def loose(self) -> tuple[int, int]:
        """How many parts hang in the air, and how many cannot be seen from outside. The largest part is neither."""
        count, label = self.parts
        if count < 2:
            return 0, 0
        of_face = label[self.faces[:, 0]]
        areas = np.bincount(of_face, self.areas, minlength=count)
        chosen = np.argsort(areas)[:-1][:LOOSE_PARTS]
        middles = self.positions[self.faces].mean(1)
        used = np.unique(self.faces)
        tree = spatial.cKDTree(self.positions[used])
        owner = label[used]
        floating = inner = 0
        for part in chosen:
            points = self.positions[used[owner == part]]
            if self._hidden(_some(points, POINTS_A_PART), int(part), of_face):
                inner += 1
            else:
                floating += not self._near(
                    _some(points, 16 * POINTS_A_PART),
                    _some(middles[of_face == part], 16 * POINTS_A_PART),
                    int(part),
                    tree,
                    owner,
                )
        return floating, inner

    def _near(self, points: F64, middles: F64, part: int, tree: spatial.cKDTree, owner: I64) -> bool:
        """Whether another part comes near: a vertex of it near a vertex, or a face that a short ray from the middle of a face meets."""
        reach = FLOATING * self.diagonal
        if any((owner[near] != part).any() for near in tree.query_ball_point(points, reach)):
            return True
        ways = np.tile(_AXES, (len(middles), 1))
        face, distance = self._cast(np.repeat(middles, 6, 0) + ways * 1e-5 * self.diagonal, ways)
        label = self.parts[1]
        return bool(((face >= 0) & (distance < reach) & (label[self.faces[face, 0]] != part)).any())

    def _hidden(self, points: F64, part: int, of_face: I64) -> bool:
        """Whether each point, looking out in all directions, sees only other parts or its own."""
        ways = _DIRECTIONS
        face, _ = self._cast(
            np.repeat(points, len(ways), 0) + np.tile(ways, (len(points), 1)) * 1e-5 * self.diagonal,
            np.tile(ways, (len(points), 1)),
        )
        return bool((face >= 0).all()) and bool((of_face[face] != part).any(0).all() if len(face) else False)

    def _cast(self, origins: F64, directions: F64) -> tuple[I64, F64]:
        """The face that each ray meets first (-1: none) and how far away."""
        found = self._rays.first_hits(origins, directions)
        return found.faces, np.asarray(found.distances, np.float64)

    @cached_property
    def crossings(self) -> tuple[int, int]:
        """Edges that run through a face that does not touch them, and how many were looked at: at most CROSSING_EDGES."""
        starts, _, _, key = self._edges
        key = key[starts]
        key = key[:: max(1, -(-len(key) // CROSSING_EDGES))]
        n = len(self.positions)
        ends = np.column_stack([key // n, key % n])
        one, two = self.positions[ends[:, 0]], self.positions[ends[:, 1]]
        length = np.linalg.norm(two - one, axis=1)
        ok = length > 1e-5 * self.diagonal
        one, two, length, ends = one[ok], two[ok], length[ok], ends[ok]
        if not len(one):
            return 0, 1
        way = (two - one) / length[:, None]
        face, distance = self._cast(one + way * (0.02 * length)[:, None], way)
        hit = (face >= 0) & (distance < 0.96 * length) & (distance > 0.0)
        met = self.faces[face]
        touching = (met[:, :, None] == ends[:, None, :]).any((1, 2))
        normal = self.crosses[face] / np.maximum(
            np.linalg.norm(self.crosses[face], axis=1, keepdims=True), 1e-300
        )
        through = np.abs((normal * way).sum(1)) > 0.05  # what only grazes a face lies in its plane
        return int((hit & ~touching & through).sum()), len(one)


_AXES = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], np.float64)
_DIRECTIONS = np.array(
    [[x, y, z] for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1) if (x, y, z) != (0, 0, 0)],
    np.float64,
)
_DIRECTIONS /= np.linalg.norm(_DIRECTIONS, axis=1, keepdims=True)


def surface_of(primitives: Sequence[Primitive]) -> Surface:
    """The welded surface of some primitives. Raises: InputError geometry.empty."""
    primitives = [p for p in primitives if len(p.faces)]
    if not primitives:
        raise InputError("geometry.empty", "The GLB holds no triangles.")
    starts = np.cumsum([0, *(len(p.positions) for p in primitives[:-1])])
    positions = np.concatenate([p.positions for p in primitives])
    faces = np.concatenate([p.faces + start for p, start in zip(primitives, starts, strict=True)])
    made = _welded(
        positions, faces, *np.unique(_exact(positions), return_index=True, return_inverse=True)[1:]
    )
    if not made.open_edges:
        return made
    return _welded(made.positions, made.faces, *_close(made.positions, WELD * made.diagonal))


def _welded(positions: F64, faces: I64, first: I64, place: I64) -> Surface:
    return Surface(positions=positions[first], faces=place.reshape(-1)[faces])


def _exact(positions: F64) -> NDArray[np.void]:
    """One value a place, equal where all coordinates are; -0 is 0."""
    rows = np.ascontiguousarray(positions + 0.0)
    return rows.view(np.dtype((np.void, rows.dtype.itemsize * 3))).reshape(-1)


def _close(positions: F64, reach: float) -> tuple[I64, I64]:
    """Which vertices stand for those near them: the first of each group, and each vertex's group."""
    pairs = spatial.cKDTree(positions).query_pairs(reach, output_type="ndarray")
    joined = sparse.coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), (len(positions),) * 2)
    _, label = csgraph.connected_components(joined, directed=False)
    _, first = np.unique(label, return_index=True)
    return first, label.astype(np.int64)


def _some(points: F64, count: int) -> F64:
    """At most `count` of the points, spread over them."""
    return points[:: max(1, -(-len(points) // count))]


def _keys(rows: I64, base: int) -> NDArray[np.generic]:
    """One value for each row of three indices."""
    if base < 2_000_000:
        return np.asarray((rows[:, 0] * base + rows[:, 1]) * base + rows[:, 2])
    return np.ascontiguousarray(rows).view(np.dtype((np.void, 24))).reshape(-1)
