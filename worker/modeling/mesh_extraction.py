"""Extraction of a watertight triangle mesh of exact size from a signed distance field."""

import fast_simplification
import manifold3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from skimage.measure import marching_cubes

from dam_connector.errors import InputError
from worker.modeling.outlines import ProductSize
from worker.modeling.shape import Shape
from worker.modeling.textured_mesh import vertex_normals

F32 = NDArray[np.float32]
Faces = NDArray[np.uint32]

SMOOTHING_CELLS = 0.65  # sigma; thin parts that it would wash away are put back
MEANT_DEPTH_CELLS = 0.15  # a place deeper inside than this is part of the product, not noise
TAUBIN_STEPS = 8
FIRST_TOLERANCE_CELLS = 0.03  # of manifold3d's simplification; grows until the budget is met
ENOUGH_TRIANGLES = 18_000  # with 30,000, no model of the benchmark came nearer to the truth
AGGRESSION = 3  # of the quadric collapse: lower is slower and better
MAX_WHOLE_STRETCH = 0.03  # of a side; for more, a tip is lost, and what is next to it is moved
TIP_FACTOR = 3.0  # of what is missing: so far inwards places are moved
OUTSIDE = -0.5  # cells, beyond the grid
GAP_CELLS = 0.02  # that vertices of touching parts are moved apart
SPECK_SHARE = 0.002  # of the whole volume; smaller parts are dropped


def extract_mesh(shape: Shape, size: ProductSize, max_triangles: int) -> tuple[F32, Faces, float]:
    """Return the closed surface of a shape, scaled to exactly `size`, with its base at y = 0.

    Returns:
        Vertices, (n, 3) metres; faces, (m, 3), counter-clockwise from outside; and by what share of a side
        the surface was stretched to reach `size`.

    Raises:
        InputError: cutout.empty, the field has no inside.
    """
    field = _smooth_field(shape.field)
    if not (field > 0).any():
        raise InputError(
            "cutout.empty", "The outlines leave nothing of the product; do all photos show the same product?"
        )
    step = shape.grid.step
    vertices, faces = _marched(field, step)
    points, triangles = _mesh_arrays(
        _simplify(vertices, faces, float(min(step)), min(max_triangles, ENOUGH_TRIANGLES))
    )
    stretch = float(np.abs(size.as_array() / np.maximum(np.ptp(points, axis=0), 1e-9) - 1).max())
    if stretch > MAX_WHOLE_STRETCH:
        points = reach_box(points + shape.grid.origin, size)
    return (
        separate_touching_vertices(fit_to_size(points, size), triangles, float(min(step))),
        triangles,
        stretch,
    )


def closed_surface(field: F32, step: float, max_triangles: int) -> tuple[NDArray[np.float64], Faces]:
    """Return the closed surface of a field of cubic cells, smoothed, in the coordinates of the grid.

    Args:
        field: (nx, ny, nz) signed distance in cells, positive inside.
        step: The size of a cell.
        max_triangles: The budget.

    Raises:
        InputError: cutout.empty, the field has no inside.
    """
    soft = _smooth_field(field)
    if not (soft > 0).any():
        raise InputError("cutout.empty", "The outlines leave nothing of the product.")
    vertices, faces = _marched(soft, np.full(3, step))
    return _mesh_arrays(_simplify(vertices, faces, step, min(max_triangles, ENOUGH_TRIANGLES)))


def _marched(field: F32, step: NDArray[np.float64]) -> tuple[F32, Faces]:
    """Return vertices and faces of a field's surface, closed where the field reaches the grid's border."""
    padded = np.pad(field, 1, constant_values=OUTSIDE)
    vertices, faces, _, _ = marching_cubes(padded, 0.0, spacing=tuple(step), gradient_direction="ascent")
    return np.asarray(vertices - step, np.float32), faces


def _mesh_arrays(solid: manifold3d.Manifold) -> tuple[NDArray[np.float64], Faces]:
    mesh = solid.to_mesh()
    return np.array(mesh.vert_properties[:, :3], np.float64), np.array(mesh.tri_verts, np.uint32)


def _smooth_field(field: F32) -> F32:
    soft = ndimage.gaussian_filter(field, SMOOTHING_CELLS, truncate=3)  # a cell farther weighs 1 in 40,000
    lost = (field > MEANT_DEPTH_CELLS) & (soft <= 0.1)
    return np.asarray(np.where(lost, np.maximum(field, 0.3), soft), np.float32)


def _simplify(
    points: F32, faces: NDArray[np.integer], cell: float, max_triangles: int
) -> manifold3d.Manifold:
    """Return a mesh smoothed, without specks, oriented outward, with as few triangles as its form needs."""
    adjacency = _adjacency(faces, len(points))
    points = _taubin_smooth(points, adjacency)  # first: on few vertices it would round corners off
    faces = _drop_specks(points, faces, sparse.csgraph.connected_components(adjacency, directed=False)[1])
    solid = None
    if len(faces) > max_triangles:
        solid = _as_manifold(
            *fast_simplification.simplify(points, faces, target_count=max_triangles, agg=AGGRESSION)
        )
    if solid is None:  # a quadric collapse may fold a mesh where it is thin
        solid = _as_manifold(points, faces)
    if solid is None:
        raise ArithmeticError("The surface of the field is not closed.")
    tolerance = FIRST_TOLERANCE_CELLS * cell
    solid = solid.simplify(tolerance)
    while solid.num_tri() > max_triangles and tolerance < 3 * cell:
        tolerance *= 1.5
        solid = solid.simplify(tolerance)
    return solid


def _drop_specks(
    points: F32, faces: NDArray[np.integer], part_of_point: NDArray[np.integer]
) -> NDArray[np.int32]:
    """Return the faces of the parts that are large enough, oriented outward. part_of_point: (n,)."""
    a, b, c = (points.take(faces[:, k], axis=0).T for k in range(3))
    volume = np.bincount(
        part_of_point[faces[:, 0]],
        a[0] * (b[1] * c[2] - b[2] * c[1])
        + a[1] * (b[2] * c[0] - b[0] * c[2])
        + a[2] * (b[0] * c[1] - b[1] * c[0]),
    )
    is_large = np.abs(volume) > SPECK_SHARE * np.abs(volume).sum()
    faces = faces if is_large.all() else faces[is_large[part_of_point[faces[:, 0]]]]
    return np.ascontiguousarray(faces if volume.sum() > 0 else faces[:, ::-1], np.int32)


def _as_manifold(points: F32, faces: NDArray[np.integer]) -> manifold3d.Manifold | None:
    """Return the mesh as a manifold, or None if it is not one."""
    mesh = manifold3d.Mesh(
        vert_properties=np.ascontiguousarray(points, np.float32),
        tri_verts=np.ascontiguousarray(faces, np.uint32),
    )
    mesh.merge()
    solid = manifold3d.Manifold(mesh)
    return solid if solid.status() == manifold3d.Error.NoError and solid.num_tri() else None


def _adjacency(faces: NDArray[np.integer], count: int) -> sparse.csr_matrix:
    """Return the adjacency matrix of `count` points; a closed mesh has each edge in both directions."""
    ends = np.vstack([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    return sparse.coo_matrix((np.ones(len(ends), np.float32), ends.T), shape=(count, count)).tocsr()


def _taubin_smooth(points: F32, adjacency: sparse.csr_matrix) -> F32:
    """Return points smoothed by Taubin's method (1995): one step in, one step out, so the volume stays."""
    degree = np.maximum(np.diff(adjacency.indptr), 1).astype(np.float32)[:, None]
    for _ in range(TAUBIN_STEPS):
        for factor in (np.float32(0.5), np.float32(-0.53)):
            points = points + factor * ((adjacency @ points) / degree - points)
    return points


def reach_box(points: NDArray[np.float64], size: ProductSize) -> NDArray[np.float64]:
    """Return points of which those next to an end of the product's box are moved on until they reach it.

    Where a tip was lost, a stretch of the whole would move all else from its place.

    Args:
        points: (n, 3) metres, in the box of the product: centred in X and Z, with the base at y = 0.
        size: The product's size.
    """
    sides = size.as_array().astype(np.float64)
    low = np.array([-sides[0] / 2, 0.0, -sides[2] / 2])
    for end, outermost, outwards in ((low, np.min, np.minimum), (low + sides, np.max, np.maximum)):
        reached = outermost(points, axis=0)
        missing = outwards(end - reached, 0)
        share = np.clip(1 - np.abs(points - reached) / np.maximum(TIP_FACTOR * np.abs(missing), 1e-9), 0, 1)
        points = points + missing * share**2
    return points


def fit_to_size(points: NDArray[np.float64], size: ProductSize) -> F32:
    """Return points scaled to exactly the product's box, centred in X and Z, with the base at y = 0."""
    low, high = points.min(0), points.max(0)
    scaled = (points - (low + high) / 2) * (size.as_array() / np.maximum(high - low, 1e-9))
    scaled[:, 1] += size.height / 2
    return scaled.astype(np.float32)


def separate_touching_vertices(points: F32, faces: Faces, cell: float) -> F32:
    """Return vertices with those that share one place moved a little inwards.

    They belong to parts that touch there. A program that welds vertices would join the parts.
    """
    _, group, count = np.unique(points, axis=0, return_inverse=True, return_counts=True)
    touching = count[group.ravel()] > 1
    if not touching.any():
        return points
    return np.asarray(
        np.where(touching[:, None], points - GAP_CELLS * cell * vertex_normals(points, faces), points),
        np.float32,
    )
