"""Shapes whose solid is known exactly, and photos of them."""

import itertools
from dataclasses import dataclass

import numpy as np
import trimesh

from dam_connector.domain.product import Dimensions, View
from samples.product_meshes import bar, lathe, rounded_box
from tests.unit.shapes import as_model
from worker.imaging.cutout import Cutout
from worker.modeling.build import ModelBuild, build_model
from worker.modeling.camera import Camera
from worker.modeling.render import Renderer

ANGLES = {
    View.FRONT: (0, 0),
    View.RIGHT: (90, 0),
    View.BACK: (180, 0),
    View.LEFT: (270, 0),
    View.TOP: (0, 90),
}


POINTS = 6000


@dataclass(frozen=True)
class Truth:
    """Closed parts that overlap; inside is inside any of them."""

    parts: list[trimesh.Trimesh]

    @property
    def whole(self) -> trimesh.Trimesh:
        mesh = trimesh.util.concatenate(self.parts)
        low, high = mesh.bounds
        return mesh.apply_translation([-(low[0] + high[0]) / 2, -low[1], -(low[2] + high[2]) / 2])

    def contains(self, points: np.ndarray) -> np.ndarray:
        low, high = trimesh.util.concatenate(self.parts).bounds
        back = points + np.array([(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2])
        return np.any([part.contains(back) for part in self.parts], axis=0)


def ball() -> Truth:
    return Truth([trimesh.creation.icosphere(4, 0.1)])


def cylinder() -> Truth:
    return Truth([lathe([(0, 0), (0.05, 0), (0.05, 0.2), (0, 0.2)])])


def cone() -> Truth:
    return Truth([lathe([(0, 0), (0.08, 0), (0.002, 0.2), (0, 0.2)])])


def cup() -> Truth:
    turn = np.linspace(np.radians(-80), np.radians(80), 20)
    path = [(0.036 + 0.03 * np.cos(a), 0.05 + 0.03 * np.sin(a), 0.0) for a in turn]
    return Truth(
        [
            lathe([(0, 0), (0.036, 0), (0.04, 0.1), (0, 0.1)]),
            *(bar(a, b, 0.006) for a, b in itertools.pairwise(path)),
        ]
    )


def table() -> Truth:
    legs = [bar((0.5 * x, 0, 0.3 * z), (0.5 * x, 0.7, 0.3 * z), 0.02) for x in (-1, 1) for z in (-1, 1)]
    return Truth([trimesh.creation.box((1.2, 0.04, 0.8)).apply_translation((0, 0.72, 0)), *legs])


def chair() -> Truth:
    legs = [bar((0.2 * x, 0, 0.2 * z), (0.2 * x, 0.44, 0.2 * z), 0.02) for x in (-1, 1) for z in (-1, 1)]
    back = trimesh.creation.box((0.44, 0.4, 0.04)).apply_translation((0, 0.66, -0.21))
    return Truth([trimesh.creation.box((0.46, 0.05, 0.46)).apply_translation((0, 0.445, 0)), back, *legs])


def frame() -> Truth:
    rails = [trimesh.creation.box((0.5, 0.04, 0.03)).apply_translation((0, y, 0)) for y in (0.02, 0.68)]
    return Truth(
        [
            *rails,
            *(trimesh.creation.box((0.04, 0.7, 0.03)).apply_translation((x, 0.35, 0)) for x in (-0.23, 0.23)),
        ]
    )


def bag() -> Truth:
    turn = np.linspace(0, np.pi, 20)
    path = [(0.1 * np.cos(a), 0.25 + 0.12 * np.sin(a), 0.0) for a in turn]
    return Truth(
        [
            rounded_box((0.36, 0.26, 0.12), 0.03, (0, 0.13, 0)),
            *(bar(a, b, 0.008) for a, b in itertools.pairwise(path)),
        ]
    )


def shoe() -> Truth:
    along = np.linspace(0, 1, 24)
    sole = np.interp(along, [0, 0.2, 0.5, 0.75, 1], [0.026, 0.035, 0.034, 0.05, 0.012])
    top = 0.04 + 0.075 / (1 + np.exp((along - 0.45) / 0.08))
    rings = [
        (x * 0.28, y, s * w * (1 - 0.4 * (y / 0.115)))
        for x, w, h in zip(along, sole, top, strict=True)
        for y in (0, h)
        for s in (-1, 1)
    ]
    rows = np.array(rings).reshape(24, 4, 3)
    return Truth([trimesh.convex.convex_hull(rows[i : i + 2].reshape(-1, 3)) for i in range(23)])


def lattice() -> Truth:
    boards = [
        trimesh.creation.box((0.8, 0.03, 0.3)).apply_translation((0, y, 0)) for y in (0.015, 0.4, 0.8, 1.185)
    ]
    return Truth(
        [
            *boards,
            *(trimesh.creation.box((0.03, 1.2, 0.3)).apply_translation((x, 0.6, 0)) for x in (-0.385, 0.385)),
        ]
    )


def cabinet() -> Truth:
    legs = [bar((0.5 * x, 0, 0.15 * z), (0.5 * x, 0.2, 0.15 * z), 0.02) for x in (-1, 1) for z in (-1, 1)]
    return Truth([trimesh.creation.box((1.2, 0.5, 0.4)).apply_translation((0, 0.44, 0)), *legs])


def photographed(truth: Truth, *views: View) -> dict[View, Cutout]:
    """Silhouettes of 480 pixels, orthographic."""
    mesh = truth.whole
    stage, half = Renderer(as_model(mesh)), float(mesh.extents.max()) * 0.55
    found = {}
    for view in views:
        azimuth, elevation = ANGLES[view]
        mask = stage.silhouette(
            Camera(
                azimuth=azimuth,
                elevation=elevation,
                target=(0, float(mesh.extents[1]) / 2, 0),
                half_width=half,
            ),
            480,
        )
        found[view] = Cutout(
            rgb=np.full((480, 480, 3), 120, np.uint8),
            alpha=mask.astype(np.uint8) * 255,
            confidence=1.0,
            touched_sides=(),
        )
    return found


def made(truth: Truth, words: str, *views: View) -> ModelBuild:
    width, height, depth = truth.whole.extents
    size = Dimensions(width_m=width, height_m=height, depth_m=depth)
    return build_model(photographed(truth, *views), size, words, max_triangles=20_000, texture_px=512)


def shared(truth: Truth, built: ModelBuild) -> float:
    """Intersection over union of the solids, by points in their box."""
    extents = truth.whole.extents
    points = (np.random.default_rng(1).random((POINTS, 3)) - [0.5, 0, 0.5]) * extents
    mesh = trimesh.Trimesh(
        built.model.positions, built.model.faces, process=True, merge_norm=True, merge_tex=True
    )
    mine, true = mesh.contains(points), truth.contains(points)
    assert mesh.is_watertight and np.allclose(built.model.extent, extents, rtol=0.005)
    return float((mine & true).sum() / (mine | true).sum())


def inside(truth: Truth, built: ModelBuild, *points: tuple[float, float, float]) -> list[bool]:
    """Whether the model holds these points, given where the truth was built."""
    low, high = trimesh.util.concatenate(truth.parts).bounds
    moved = np.array(points) - [(low[0] + high[0]) / 2, low[1], (low[2] + high[2]) / 2]
    mesh = trimesh.Trimesh(
        built.model.positions, built.model.faces, process=True, merge_norm=True, merge_tex=True
    )
    assert mesh.is_watertight
    return [bool(found) for found in mesh.contains(moved)]
