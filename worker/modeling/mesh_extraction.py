"""Surface: from a field to a watertight triangle mesh of the exact size, within a budget of triangles."""

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

SMOOTHING = 0.65  # cells; thin parts that it would wash away are put back
THIN_CELLS = 0.15  # what is deeper inside than this was meant
TAUBIN_STEPS = 8
FIRST_TOLERANCE = 0.03  # cells
ENOUGH = 18_000  # triangles: with 30,000, no form of the bench came nearer to the truth
AGGRESSION = 3  # of the quadric collapse: lower is slower and better
TOUCH = 0.02  # cells
SPECK_SHARE = 0.002  # parts smaller than this share of the whole volume are dropped


def extract_mesh(shape: Shape, size: ProductSize, max_triangles: int) -> tuple[F32, Faces, float]:
    """Vertices (n, 3) float32 in metres and faces (m, 3) uint32: closed, outward, exactly as large as `size`, standing on y = 0;
    and how far the surface had to be stretched for that, a share of a side.

    Raises: InputError cutout.empty when the field has no inside.
    """
    field = _smoothed(shape.field)
    if not (field > 0).any():
        raise InputError(
            "cutout.empty", "The outlines leave nothing of the product; do all photos show the same product?"
        )
    step = tuple(float(s) for s in shape.grid.step)
    vertices, faces, _, _ = marching_cubes(field, 0.0, spacing=step, gradient_direction="ascent")
    points, triangles = _arrays(_simplified(vertices, faces, min(step), min(max_triangles, ENOUGH)))
    stretch = float(np.abs(size.as_array() / np.maximum(np.ptp(points, axis=0), 1e-9) - 1).max())
    return _apart(_fitted(points, size), triangles, min(step)), triangles, stretch


def _arrays(solid: manifold3d.Manifold) -> tuple[NDArray[np.float64], Faces]:
    mesh = solid.to_mesh()
    return np.array(mesh.vert_properties[:, :3], np.float64), np.array(mesh.tri_verts, np.uint32)


def _smoothed(field: F32) -> F32:
    soft = ndimage.gaussian_filter(field, SMOOTHING, truncate=3)  # a cell farther weighs 1 in 40,000
    lost = (field > THIN_CELLS) & (soft <= 0.1)
    return np.asarray(np.where(lost, np.maximum(field, 0.3), soft), np.float32)


def _simplified(
    points: F32, faces: NDArray[np.integer], cell: float, max_triangles: int
) -> manifold3d.Manifold:
    """The mesh smoothed, without specks, outward, and with as few triangles as its form and the budget ask for."""
    around = _neighbours(faces, len(points))
    points = _taubin(points, around)  # first: on few vertices it would round corners off
    faces = _without_specks(points, faces, sparse.csgraph.connected_components(around, directed=False)[1])
    solid = None
    if len(faces) > max_triangles:
        solid = _manifold(
            *fast_simplification.simplify(points, faces, target_count=max_triangles, agg=AGGRESSION)
        )
    if solid is None:  # a quadric collapse may fold a mesh where it is thin
        solid = _manifold(points, faces) or manifold3d.Manifold()
    tolerance = FIRST_TOLERANCE * cell
    solid = solid.simplify(tolerance)
    while solid.num_tri() > max_triangles and tolerance < 3 * cell:
        tolerance *= 1.5
        solid = solid.simplify(tolerance)
    return solid


def _without_specks(points: F32, faces: NDArray[np.integer], part: NDArray[np.integer]) -> NDArray[np.int32]:
    """The faces of parts that are large enough, outward. part: (n,) the number of the connected part of each point."""
    a, b, c = (points.take(faces[:, k], axis=0).T for k in range(3))
    volume = np.bincount(
        part[faces[:, 0]],
        a[0] * (b[1] * c[2] - b[2] * c[1])
        + a[1] * (b[2] * c[0] - b[0] * c[2])
        + a[2] * (b[0] * c[1] - b[1] * c[0]),
    )
    kept = np.abs(volume) > SPECK_SHARE * np.abs(volume).sum()
    faces = faces if kept.all() else faces[kept[part[faces[:, 0]]]]
    return np.ascontiguousarray(faces if volume.sum() > 0 else faces[:, ::-1], np.int32)


def _manifold(points: F32, faces: NDArray[np.integer]) -> manifold3d.Manifold | None:
    """None when the mesh is none."""
    mesh = manifold3d.Mesh(
        vert_properties=np.ascontiguousarray(points, np.float32),
        tri_verts=np.ascontiguousarray(faces, np.uint32),
    )
    mesh.merge()
    solid = manifold3d.Manifold(mesh)
    return solid if solid.status() == manifold3d.Error.NoError and solid.num_tri() else None


def _neighbours(faces: NDArray[np.integer], count: int) -> sparse.csr_matrix:
    """1 where an edge joins two of `count` points; of a closed mesh each edge is walked both ways."""
    ends = np.vstack([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    return sparse.coo_matrix((np.ones(len(ends), np.float32), ends.T), shape=(count, count)).tocsr()


def _taubin(points: F32, around: sparse.csr_matrix) -> F32:
    """Taubin's smoothing (1995): one step in, one step out, so that volume stays."""
    degree = np.maximum(np.diff(around.indptr), 1).astype(np.float32)[:, None]
    for _ in range(TAUBIN_STEPS):
        for factor in (np.float32(0.5), np.float32(-0.53)):
            points = points + factor * ((around @ points) / degree - points)
    return points


def _fitted(points: NDArray[np.float64], size: ProductSize) -> F32:
    """Exactly the product's box, centred, on the floor."""
    low, high = points.min(0), points.max(0)
    scaled = (points - (low + high) / 2) * (size.as_array() / np.maximum(high - low, 1e-9))
    scaled[:, 1] += size.height / 2
    return scaled.astype(np.float32)


def _apart(points: F32, faces: Faces, cell: float) -> F32:
    """Vertices at one place belong to parts that touch there; each steps a little inwards, or whoever welds them joins the parts."""
    _, group, count = np.unique(points, axis=0, return_inverse=True, return_counts=True)
    touching = count[group.ravel()] > 1
    if not touching.any():
        return points
    return np.asarray(
        np.where(touching[:, None], points - TOUCH * cell * vertex_normals(points, faces), points), np.float32
    )
