"""Surface: from a field to a watertight triangle mesh of the exact size, within a budget of triangles."""

import manifold3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import marching_cubes

from dam_connector.errors import InputError
from worker.modeling.model import vertex_normals
from worker.modeling.shape import Shape
from worker.modeling.silhouettes import Size

F32 = NDArray[np.float32]
Faces = NDArray[np.uint32]

SMOOTHING = 0.65  # cells; thin parts that it would wash away are put back
THIN_CELLS = 0.15  # what is deeper inside than this was meant
TAUBIN_STEPS = 8
FIRST_TOLERANCE = 0.06  # cells
TOUCH = 0.02  # cells
SPECK_SHARE = 0.002  # parts smaller than this share of the whole volume are dropped


def extract(shape: Shape, size: Size, max_triangles: int) -> tuple[F32, Faces, float]:
    """Vertices (n, 3) float32 in metres and faces (m, 3) uint32: closed, outward, exactly as large as `size`, standing on y = 0;
    and how far the surface had to be stretched for that, a share of a side.

    Raises: InputError cutout.empty when the field has no inside.
    """
    field = _smoothed(shape.field)
    if not (field > 0).any():
        raise InputError("cutout.empty", "The outlines leave nothing of the product; do all photos show the same product?")
    step = tuple(float(s) for s in shape.grid.step)
    vertices, faces, _, _ = marching_cubes(field, 0.0, spacing=step, gradient_direction="ascent")
    faces = np.ascontiguousarray(faces[:, ::-1], np.uint32)
    smooth = _solid(_taubin(vertices + shape.grid.origin, faces), faces)  # before simplifying: on few vertices it would round corners off
    points, triangles = _arrays(_simplified(smooth, min(step), max_triangles))
    stretch = float(np.abs(size.as_array() / np.maximum(np.ptp(points, axis=0), 1e-9) - 1).max())
    return _apart(_fitted(points, size), triangles, min(step)), triangles, stretch


def _arrays(solid: manifold3d.Manifold) -> tuple[NDArray[np.float64], Faces]:
    mesh = solid.to_mesh()
    return np.array(mesh.vert_properties[:, :3], np.float64), np.array(mesh.tri_verts, np.uint32)


def _smoothed(field: F32) -> F32:
    soft = ndimage.gaussian_filter(field, SMOOTHING)
    lost = (field > THIN_CELLS) & (soft <= 0.1)
    return np.asarray(np.where(lost, np.maximum(field, 0.3), soft), np.float32)


def _solid(vertices: NDArray[np.floating], faces: NDArray[np.integer]) -> manifold3d.Manifold:
    """The mesh as a manifold that faces outwards, without specks."""
    mesh = manifold3d.Mesh(vert_properties=np.ascontiguousarray(vertices, np.float32), tri_verts=np.ascontiguousarray(faces, np.uint32))
    mesh.merge()
    solid = manifold3d.Manifold(mesh)
    if solid.volume() < 0:
        mesh = manifold3d.Mesh(vert_properties=np.ascontiguousarray(vertices, np.float32), tri_verts=np.ascontiguousarray(faces[:, ::-1], np.uint32))
        mesh.merge()
        solid = manifold3d.Manifold(mesh)
    parts = solid.decompose()
    whole = sum(abs(p.volume()) for p in parts)
    kept = [p for p in parts if abs(p.volume()) > SPECK_SHARE * whole]
    return kept[0] if len(kept) == 1 else manifold3d.Manifold.compose(kept or parts)


def _simplified(solid: manifold3d.Manifold, cell: float, max_triangles: int) -> manifold3d.Manifold:
    tolerance = FIRST_TOLERANCE * cell
    while solid.num_tri() > max_triangles and tolerance < 3 * cell:
        solid = solid.simplify(tolerance)
        tolerance *= 1.5
    return solid


def _taubin(points: NDArray[np.float64], faces: Faces) -> NDArray[np.float64]:
    """Taubin's smoothing (1995): one step in, one step out, so that volume stays."""
    edges = np.vstack([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64)
    degree = np.bincount(edges[:, 0], minlength=len(points)).clip(1)[:, None]
    for _ in range(TAUBIN_STEPS):
        for factor in (0.5, -0.53):
            mean = np.stack([np.bincount(edges[:, 0], weights=points[edges[:, 1], axis], minlength=len(points)) for axis in range(3)], -1) / degree
            points = points + factor * (mean - points)
    return points


def _fitted(points: NDArray[np.float64], size: Size) -> F32:
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
    return np.asarray(np.where(touching[:, None], points - TOUCH * cell * vertex_normals(points, faces), points), np.float32)
