"""Both ray casters: the same hits on the same rays, and the same renders."""

from collections.abc import Callable

import numpy as np
import pytest
import trimesh

from tests.unit.shapes import as_model
from worker.modeling import ray_casting
from worker.modeling.camera import named_camera
from worker.modeling.ray_casting import EmbreeCaster, NumpyCaster, RayCaster, ray_caster
from worker.modeling.render import Renderer, RenderOptions

RAYS = 4000
needs_embree = pytest.mark.skipif(ray_casting.rtcore_scene is None, reason="no binding of Embree installed")
each_caster = pytest.mark.parametrize("make", [pytest.param(EmbreeCaster, marks=needs_embree), NumpyCaster])
Make = Callable[[np.ndarray], RayCaster]


def triangles_of(mesh: trimesh.Trimesh) -> np.ndarray:
    return np.ascontiguousarray(mesh.vertices[mesh.faces], np.float32)


def bumpy() -> trimesh.Trimesh:
    """20,480 triangles with dents, so that rays meet several."""
    mesh = trimesh.creation.icosphere(5, 0.5)
    mesh.vertices *= (1 + 0.2 * np.sin(9 * mesh.vertices).prod(1, keepdims=True)) * [1, 0.4, 0.7]
    return mesh


def soup() -> trimesh.Trimesh:
    """Triangles of all sizes that cross each other."""
    rng = np.random.default_rng(3)
    corners = rng.uniform(-1, 1, (1500, 1, 3)) + rng.normal(size=(1500, 3, 3)) * rng.uniform(
        0.01, 0.5, (1500, 1, 1)
    )
    return trimesh.Trimesh(corners.reshape(-1, 3), np.arange(4500).reshape(-1, 3), process=False)


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def rays(kind: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    if kind == "from around":
        origins = unit(rng.normal(size=(RAYS, 3))) * np.float32(3)
        return origins, unit(rng.uniform(-0.5, 0.5, (RAYS, 3)) - origins)
    if kind == "from inside":
        return rng.uniform(-0.1, 0.1, (RAYS, 3)).astype(np.float32), unit(rng.normal(size=(RAYS, 3)))
    if kind == "anywhere":  # most of them miss
        return rng.normal(size=(RAYS, 3)).astype(np.float32), unit(rng.normal(size=(RAYS, 3)))
    ways = np.repeat(
        np.vstack([np.eye(3), -np.eye(3)]), RAYS // 6, axis=0
    )  # along the axes: zeros in directions
    return (rng.uniform(-0.6, 0.6, ways.shape) - 2 * ways).astype(np.float32), ways.astype(np.float32)


@needs_embree
@pytest.mark.parametrize("kind", ["from around", "from inside", "anywhere", "along the axes"])
@pytest.mark.parametrize("mesh", [bumpy, soup, lambda: trimesh.creation.box((1, 0.5, 0.2))])
def test_both_find_the_same_hits(mesh: Callable[[], trimesh.Trimesh], kind: str) -> None:
    triangles = triangles_of(mesh())
    origins, directions = rays(kind)
    one, two = (make(triangles) for make in (EmbreeCaster, NumpyCaster))
    first, second = one.first_hits(origins, directions), two.first_hits(origins, directions)
    hit = first.faces >= 0
    assert hit.any()
    assert np.array_equal(hit, second.faces >= 0)
    np.testing.assert_allclose(first.distances[hit], second.distances[hit], atol=1e-5)
    assert np.isinf(first.distances[~hit]).all() and np.isinf(second.distances[~hit]).all()
    same = first.faces == second.faces
    assert same.mean() > 0.999  # rays through an edge may name either neighbour
    for a, b in ((first.u, second.u), (first.v, second.v)):
        np.testing.assert_allclose(
            a[hit & same], b[hit & same], atol=2e-3
        )  # Embree's are rounded in large steps
    assert np.array_equal(one.is_blocked(origins, directions), hit)
    assert np.array_equal(two.is_blocked(origins, directions), hit)


@each_caster
def test_no_ray_leaves_a_closed_mesh_through_its_edges(make: Make) -> None:
    mesh = trimesh.creation.icosphere(3, 0.5)
    targets = np.vstack([mesh.vertices, mesh.vertices[mesh.edges_unique].mean(1)])
    hits = make(triangles_of(mesh)).first_hits(np.zeros(targets.shape), unit(targets))
    assert (hits.faces >= 0).all()
    np.testing.assert_allclose(hits.distances, np.linalg.norm(targets, axis=1), atol=1e-5)


@each_caster
def test_grazing_rays_pass_beside_a_face_and_meet_the_one_behind(make: Make) -> None:
    """A step: rays a hair above the lower face, and almost parallel to it, meet the wall behind it."""
    step = trimesh.util.concatenate(
        [
            trimesh.creation.box((2, 0.5, 1)).apply_translation((0, -0.25, 0)),
            trimesh.creation.box((0.2, 0.5, 1)).apply_translation((0.9, 0.25, 0)),
        ]
    )
    caster = make(triangles_of(step))
    origins = np.column_stack([np.full(50, -0.9), np.full(50, 1e-4), np.linspace(-0.45, 0.45, 50)])
    level = caster.first_hits(origins, np.tile([1.0, 0, 0], (50, 1)))
    np.testing.assert_allclose(level.distances, 1.7, atol=1e-5)  # the wall at x = 0.8
    falling = caster.first_hits(origins, np.tile([1.0, -1e-3, 0], (50, 1)))
    np.testing.assert_allclose(falling.distances, 0.1, atol=1e-4)  # 1e-4 down at a slope of 1e-3


@each_caster
def test_distances_count_in_lengths_of_the_direction_and_both_sides_count(make: Make) -> None:
    caster = make(np.array([[[0, 0, 0], [1, 0, 0], [0, 1, 0]]], np.float32))
    origins = np.array([[0.25, 0.5, 2], [0.25, 0.5, -2], [0.25, 0.5, 2], [0.25, 0.5, 2]], np.float32)
    hits = caster.first_hits(origins, np.array([[0, 0, -4], [0, 0, 1], [0, 0, 1], [1, 0, -1]], np.float32))
    assert hits.faces.tolist() == [0, 0, -1, -1]
    np.testing.assert_allclose(hits.distances[:2], [0.5, 2])
    np.testing.assert_allclose([hits.u[:2], hits.v[:2]], [[0.25, 0.25], [0.5, 0.5]], atol=1e-6)


@each_caster
def test_triangles_without_area_and_no_rays_are_no_hits(make: Make) -> None:
    caster = make(np.array([[[0, 0, 0], [1, 0, 0], [2, 0, 0]], [[5, 5, 5]] * 3], np.float32))
    assert not caster.is_blocked(np.array([[0.5, 0, 2.0]]), np.array([[0, 0, -1.0]])).any()
    assert caster.first_hits(np.zeros((0, 3)), np.zeros((0, 3))).faces.shape == (0,)


def test_numpy_takes_a_mesh_without_triangles() -> None:
    caster = NumpyCaster(np.zeros((0, 3, 3), np.float32))
    assert caster.first_hits(np.zeros((2, 3)), np.ones((2, 3))).faces.tolist() == [-1, -1]


def test_the_first_caster_of_the_list_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    mesh = trimesh.creation.box()
    assert isinstance(ray_caster(mesh.vertices, mesh.faces), ray_casting.CASTERS[0])
    monkeypatch.setattr(ray_casting, "CASTERS", [NumpyCaster])
    assert isinstance(ray_caster(mesh.vertices, mesh.faces), NumpyCaster)


@needs_embree
@pytest.mark.parametrize("view", ["hero", "front", "top"])
def test_renders_are_the_same_with_either(monkeypatch: pytest.MonkeyPatch, view: str) -> None:
    model = as_model(bumpy())
    pictures = []
    for make in (EmbreeCaster, NumpyCaster):
        monkeypatch.setattr(ray_casting, "CASTERS", [make])
        camera = named_camera(model.min_corner, model.max_corner, view)
        pictures.append(Renderer(model).render(camera, 160, RenderOptions()))
    for one, two in zip(*pictures, strict=True):
        assert np.abs(one.astype(float) - two).mean() < 0.1
