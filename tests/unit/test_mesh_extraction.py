"""The surface of a shape: it has the product's size, and what is right stays in its place."""

import numpy as np
import pytest
import trimesh

from worker.modeling.mesh_extraction import TIP_FACTOR, closed_surface, reach_box
from worker.modeling.outlines import ProductSize

SIZE = ProductSize(width=1.0, height=0.6, depth=0.4)


def grid_points(low: tuple[float, float, float], high: tuple[float, float, float]) -> np.ndarray:
    axes = [np.linspace(a, b, 21) for a, b in zip(low, high, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)


@pytest.mark.parametrize(("axis", "side"), [(0, -1), (0, 1), (1, 1), (2, -1)])
def test_where_a_tip_was_lost_all_else_stays_in_its_place(axis: int, side: int) -> None:
    low, high = [-0.5, 0.0, -0.2], [0.5, 0.6, 0.2]
    lost = 0.1 * (high[axis] - low[axis])
    (low if side < 0 else high)[axis] -= side * lost
    points = grid_points(tuple(low), tuple(high))
    found = reach_box(points, SIZE)
    assert np.allclose([found.min(0), found.max(0)], [[-0.5, 0.0, -0.2], [0.5, 0.6, 0.2]])
    end = (low if side < 0 else high)[axis]
    is_far = np.abs(points[:, axis] - end) >= TIP_FACTOR * lost
    assert is_far.any() and np.allclose(found[is_far], points[is_far], atol=1e-6)
    order = np.argsort(points[:, axis], kind="stable")
    assert (np.diff(found[order, axis]) >= -1e-12).all()  # nothing is folded over


def test_a_surface_beyond_the_box_is_left_to_the_exact_fit() -> None:
    points = grid_points((-0.52, 0.0, -0.2), (0.52, 0.61, 0.2))
    assert np.allclose(reach_box(points, SIZE), points, atol=1e-6)


def test_a_field_that_reaches_the_border_of_its_grid_is_closed_there() -> None:
    """It had no surface at all, without a word."""
    x, y, z = np.indices((24, 20, 24)).astype(np.float32)
    field = np.minimum(8 - np.hypot(x - 11.5, z - 11.5), 12 - y)  # a post that stands on the border
    points, faces = closed_surface(field, 0.5, 10_000)
    solid = trimesh.Trimesh(points, faces)
    assert solid.is_watertight
    assert solid.volume == pytest.approx(np.pi * 4**2 * 6.25, rel=0.05)
    assert points[:, 1].min() == pytest.approx(-0.25, abs=0.3)
