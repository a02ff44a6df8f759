"""Sample products that are captured from all around: a teapot on a turntable, a toy bus on a floor."""

from functools import cache

import cv2
import numpy as np
import trimesh
from numpy.typing import NDArray

from samples.product_meshes import Colour, Paint, Part, bar, lathe, rgb, rounded_box, solid
from worker.imaging.linear_light import to_linear

FLOOR_REACH_M = 1.1  # of the floor from its middle
FLOOR_PX_PER_M, CHIPS = 1500, 9000
# Of the floor: none that the bus has, whose wheels would be taken for the ground
CHIP_COLOURS = (
    (84, 122, 152),
    (206, 220, 228),
    (104, 146, 140),
    (140, 160, 196),
    (168, 190, 206),
    (96, 112, 150),
)


def teapot() -> list[Part]:
    """Return a teapot with a painted band; its spout is at +X."""
    t = np.linspace(0, 1, 30)
    radius = 0.045 + 0.033 * np.sin(np.pi * (t * 0.86 + 0.07)) ** 0.8
    body = lathe(
        [(0, 0), *[(float(r), float(y)) for r, y in zip(radius, t * 0.105, strict=True)], (0, 0.105)]
    )
    lid = lathe([(0, 0.103), (0.04, 0.103), (0.039, 0.11), (0.02, 0.119), (0.006, 0.122), (0, 0.122)])
    knob = trimesh.creation.icosphere(3, 0.011).apply_translation((0, 0.131, 0))
    spout = [(0.06, 0.035, 0.0), (0.085, 0.05, 0.0), (0.1, 0.075, 0.0), (0.119, 0.103, 0.0)]
    angles = np.linspace(np.radians(95), np.radians(262), 16)
    handle = [(-0.066 + 0.045 * np.cos(a), 0.058 + 0.036 * np.sin(a), 0.0) for a in angles]
    glaze = solid("#7fa99b")
    return [
        Part(body, _leaves),
        Part(lid, solid("#33524a")),
        Part(knob, solid("#33524a")),
        *_tube(spout, (0.02, 0.016, 0.012, 0.0095), glaze),
        *_tube(handle, (0.0075,) * len(handle), glaze),
    ]


def _tube(path: list[tuple[float, float, float]], radii: tuple[float, ...], paint: Paint) -> list[Part]:
    """Return the parts of a round tube along a path, with a radius at each of its points."""
    bars = [bar(path[n], path[n + 1], radii[n], radii[n + 1]) for n in range(len(path) - 1)]
    joints = [
        trimesh.creation.icosphere(2, radius).apply_translation(point)
        for point, radius in zip(path, radii, strict=True)
    ]
    return [Part(mesh, paint) for mesh in (*bars, *joints)]


def _leaves(p: NDArray[np.float32], n: NDArray[np.float32]) -> Colour:
    """Paint a glaze with a band of leaves around it, each of another colour."""
    out = np.broadcast_to(rgb("#7fa99b"), p.shape).copy()
    angle = np.arctan2(p[:, 0], p[:, 2])
    band = (p[:, 1] > 0.03) & (p[:, 1] < 0.078)
    out[band] = rgb("#e9e2cf")
    leaf = np.floor((angle + np.pi) / (2 * np.pi) * 11)
    across = ((angle + np.pi) / (2 * np.pi) * 11) % 1 - 0.5
    is_leaf = band & (np.abs(across) < 0.33 * np.cos((p[:, 1] - 0.054) / 0.021 * np.pi / 2).clip(0))
    for number, colour in enumerate(("#33524a", "#b5533c", "#c99a3b")):
        out[is_leaf & (leaf % 3 == number)] = rgb(colour)
    return out.astype(np.float32)


def bus() -> list[Part]:
    """Return a wooden toy bus; its front is at +X, so that its side is the product's front."""
    wheels = []
    for x in (-0.075, 0.075):
        for z in (-0.045, 0.045):
            turned = trimesh.transformations.rotation_matrix(np.pi / 2, [1, 0, 0])
            wheel = lathe([(0, -0.009), (0.024, -0.009), (0.026, 0), (0.024, 0.009), (0, 0.009)], 48)
            wheels.append(Part(wheel.apply_transform(turned).apply_translation((x, 0.026, z)), _hub(x)))
    return [
        Part(rounded_box((0.26, 0.105, 0.1), 0.018, (0, 0.068, 0)), _bus_body),
        Part(rounded_box((0.24, 0.03, 0.086), 0.014, (0, 0.122, 0)), solid("#e8d9b8")),
        *wheels,
    ]


def _hub(x: float) -> Paint:
    """Return a paint of a dark wheel with a light hub around `x`."""

    def paint(p: NDArray[np.float32], n: NDArray[np.float32]) -> Colour:
        out = np.broadcast_to(rgb("#2b2a29"), p.shape).copy()
        out[np.hypot(p[:, 0] - x, p[:, 1] - 0.026) < 0.012] = rgb("#d9b98a")
        return out.astype(np.float32)

    return paint


def _bus_body(p: NDArray[np.float32], n: NDArray[np.float32]) -> Colour:
    """Paint red sides with windows, a number and lamps."""
    out = np.broadcast_to(rgb("#b8322a"), p.shape).copy()
    out[p[:, 1] < 0.052] = rgb("#e0b23c")
    sides = np.abs(n[:, 2]) > 0.7
    place = (p[:, 0] + 0.13) / 0.043
    pane = (np.abs(place % 1 - 0.5) < 0.36) & (np.abs(p[:, 0]) < 0.108)
    out[sides & pane & (np.abs(p[:, 1] - 0.09) < 0.016)] = rgb("#27414f")
    out[sides & (np.abs(p[:, 0] - 0.045) < 0.018) & (np.abs(p[:, 1] - 0.06) < 0.006)] = rgb("#f2ead8")
    front, back = n[:, 0] > 0.7, n[:, 0] < -0.7
    out[(front | back) & (np.abs(p[:, 2]) < 0.034) & (np.abs(p[:, 1] - 0.09) < 0.017)] = rgb("#27414f")
    for z in (-0.03, 0.03):
        lamp = np.hypot(p[:, 2] - z, p[:, 1] - 0.045) < 0.008
        out[front & lamp], out[back & lamp] = rgb("#fff2c4"), rgb("#7a1613")
    return out.astype(np.float32)


def floor() -> Part:
    """Return a floor of terrazzo; its top is at y = 0."""
    side = 2 * FLOOR_REACH_M
    return Part(trimesh.creation.box((side, 0.01, side)).apply_translation((0, -0.005, 0)), _terrazzo)


def _terrazzo(p: NDArray[np.float32], n: NDArray[np.float32]) -> Colour:
    """Paint chips of stone in many colours."""
    at = (p[:, [0, 2]] + FLOOR_REACH_M) * FLOOR_PX_PER_M
    texels = np.clip(at, 0, len(_chips()) - 1).astype(int)
    return np.asarray(to_linear(_chips()[texels[:, 1], texels[:, 0]]), np.float32)


@cache
def _chips() -> NDArray[np.uint8]:
    """Return the picture of the floor: photos of a walk are fitted together by its chips, no two alike."""
    random = np.random.default_rng(3)
    side = round(2 * FLOOR_REACH_M * FLOOR_PX_PER_M)
    picture = np.full((side, side, 3), (178, 194, 202), np.uint8)
    for _ in range(CHIPS):
        middle = random.uniform(0, side, 2)
        corners = int(random.integers(4, 8))
        angles = np.sort(random.uniform(0, 2 * np.pi, corners))
        reach = random.uniform(0.004, 0.022) * FLOOR_PX_PER_M * random.uniform(0.6, 1, corners)
        outline = middle + np.column_stack([np.cos(angles), np.sin(angles)]) * reach[:, None]
        colour = np.array(CHIP_COLOURS[random.integers(len(CHIP_COLOURS))]) + random.integers(-18, 18, 3)
        shade = tuple(int(v) for v in colour.clip(0, 255))
        cv2.fillPoly(picture, [outline.round().astype(np.int32)], shade, cv2.LINE_AA)
    return picture
