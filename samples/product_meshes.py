"""Sample products as lists of parts, in metres: Y up, the front towards +Z, the lowest point at y = 0."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import trimesh
from numpy.typing import NDArray

Colour = NDArray[np.float32]
# points, (n, 3), and normals, (n, 3) -> linear colours, (n, 3)
Paint = Callable[[NDArray[np.float32], NDArray[np.float32]], Colour]


@dataclass(frozen=True, slots=True)
class Part:
    """A mesh and its colours."""

    mesh: trimesh.Trimesh
    paint: Paint


def rgb(text: str) -> Colour:
    """Return `#rrggbb` in linear light."""
    srgb = np.array([int(text[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.asarray(np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4), np.float32)


def solid(text: str) -> Paint:
    """Return a paint of one colour."""
    colour = rgb(text)
    return lambda p, n: np.broadcast_to(colour, p.shape).astype(np.float32)


def _noise(p: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    """Return a smooth pattern of a few sines, -1 to 1."""
    q = p * scale
    return np.asarray(
        (
            np.sin(q[:, 0] * 1.7 + 2.1 * np.sin(q[:, 1] * 0.7))
            + np.sin(q[:, 1] * 2.3 + 1.3 * np.sin(q[:, 2]))
            + np.sin(q[:, 2] * 1.9 + q[:, 0] * 0.5)
        )
        / 3,
        np.float32,
    )


def wood(light: str = "#c08a52", dark: str = "#8a5a30", axis: int = 1) -> Paint:
    """Return a paint of wood with its grain along an axis."""
    a, b = rgb(light), rgb(dark)

    def paint(p: NDArray[np.float32], n: NDArray[np.float32]) -> Colour:
        q = p.copy()
        q[:, axis] *= 0.06
        rings = np.sin(np.linalg.norm(q, axis=1) * 420 + 3 * _noise(q, 40)) * 0.5 + 0.5
        return np.asarray(
            a + (b - a) * (0.75 * rings + 0.25 * (0.5 + 0.5 * _noise(p, 300)))[:, None], np.float32
        )

    return paint


def cloth(text: str) -> Paint:
    """Return a paint of woven cloth."""
    colour = rgb(text)

    def paint(p: NDArray[np.float32], n: NDArray[np.float32]) -> Colour:
        weave = np.sin(p[:, 0] * 1400) * np.sin(p[:, 1] * 1400 + p[:, 2] * 1400)
        return np.asarray(
            (colour * (1 + 0.14 * weave + 0.08 * _noise(p, 60))[:, None]).clip(0, 1), np.float32
        )

    return paint


def bands(text: str, stripes: list[tuple[float, float, str]]) -> Paint:
    """Return a paint of a colour with horizontal stripes: (from, to, colour) by height."""
    base = rgb(text)

    def paint(p: NDArray[np.float32], n: NDArray[np.float32]) -> Colour:
        out = np.broadcast_to(base, p.shape).copy()
        for low, high, colour in stripes:
            out[(p[:, 1] >= low) & (p[:, 1] < high)] = rgb(colour)
        return out.astype(np.float32)

    return paint


def lathe(profile: list[tuple[float, float]], segments: int = 96) -> trimesh.Trimesh:
    """Return a solid of revolution of (radius, height) points, closed at both ends."""
    points = np.array(profile, float)
    return trimesh.creation.revolve(
        points, sections=segments, transform=trimesh.transformations.rotation_matrix(-np.pi / 2, [1, 0, 0])
    )


def rounded_box(
    size: tuple[float, float, float], radius: float, centre: tuple[float, float, float]
) -> trimesh.Trimesh:
    """Return a box with rounded edges."""
    ball = trimesh.creation.icosphere(3, radius)
    inner = np.array(size) / 2 - radius
    corners = [np.array(ball.vertices) + inner * [x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
    mesh = trimesh.convex.convex_hull(np.vstack(corners))
    return mesh.apply_translation(centre)


def bar(
    start: tuple[float, float, float], end: tuple[float, float, float], r0: float, r1: float | None = None
) -> trimesh.Trimesh:
    """Return a round bar between two points, tapering from radius r0 to r1."""
    a, b = np.array(start, float), np.array(end, float)
    length = float(np.linalg.norm(b - a))
    mesh = lathe([(0, 0), (r0, 0), (r0 if r1 is None else r1, length), (0, length)], 32)
    rotation = trimesh.geometry.align_vectors([0, 1, 0], (b - a) / length)
    return mesh.apply_transform(rotation).apply_translation(a)


def chair() -> list[Part]:
    """Return an upholstered chair."""
    oak = wood()
    parts = [
        Part(rounded_box((0.46, 0.06, 0.44), 0.026, (0, 0.45, 0.02)), cloth("#2f6f73")),
        Part(rounded_box((0.44, 0.26, 0.045), 0.02, (0, 0.72, -0.215)), cloth("#2f6f73")),
    ]
    for x in (-1, 1):
        parts.append(Part(bar((0.20 * x, 0.0, 0.21), (0.185 * x, 0.43, 0.18), 0.014, 0.02), oak))
        parts.append(Part(bar((0.20 * x, 0.0, -0.22), (0.19 * x, 0.44, -0.17), 0.014, 0.02), oak))
        parts.append(Part(bar((0.19 * x, 0.43, -0.175), (0.185 * x, 0.80, -0.235), 0.02, 0.014), oak))
    return parts


def lamp() -> list[Part]:
    """Return a table lamp."""
    brass = bands("#b08d4a", [])
    return [
        Part(lathe([(0, 0), (0.085, 0), (0.09, 0.006), (0.088, 0.016), (0.02, 0.026), (0, 0.026)]), brass),
        Part(bar((0, 0.02, 0), (0, 0.32, 0), 0.008), brass),
        Part(
            lathe([(0.0, 0.24), (0.155, 0.24), (0.157, 0.244), (0.085, 0.455), (0.083, 0.46), (0, 0.46)]),
            bands("#a93f2b", [(0.24, 0.252, "#5c1f14"), (0.448, 0.47, "#5c1f14")]),
        ),
    ]


def bottle() -> list[Part]:
    """Return a bottle with a label band."""
    body = [
        (0, 0),
        (0.034, 0),
        (0.037, 0.004),
        (0.037, 0.17),
        (0.033, 0.195),
        (0.021, 0.215),
        (0.021, 0.222),
        (0, 0.222),
    ]
    return [
        Part(lathe(body), bands("#1f4e79", [(0.07, 0.125, "#e8b23a")])),
        Part(
            lathe([(0, 0.222), (0.023, 0.222), (0.023, 0.262), (0.02, 0.267), (0, 0.267)]), solid("#26282b")
        ),
    ]


def mug() -> list[Part]:
    """Return a mug with a printed label."""
    body = lathe(
        [
            (0, 0),
            (0.036, 0),
            (0.041, 0.005),
            (0.0415, 0.092),
            (0.040, 0.095),
            (0.038, 0.092),
            (0.037, 0.008),
            (0, 0.008),
        ]
    )
    angles = np.linspace(np.radians(-82), np.radians(82), 24)
    path = [(0.036 + 0.034 * np.cos(a), 0.049 + 0.029 * np.sin(a), 0.0) for a in angles]
    green = bands("#2d6a4f", [(0.0, 0.006, "#12331f"), (0.088, 0.1, "#12331f")])

    def label(p: NDArray[np.float32], n: NDArray[np.float32]) -> Colour:
        out = green(p, n)
        disc = (
            (np.hypot(p[:, 0], p[:, 1] - 0.048) < 0.02)
            & (p[:, 2] > 0.02)
            & (np.hypot(p[:, 0], p[:, 2]) > 0.0395)
        )
        out[disc] = rgb("#f2c14e")
        out[disc & (np.hypot(p[:, 0] + 0.007, p[:, 1] - 0.053) < 0.013)] = rgb("#2d6a4f")
        return out

    handle = [Part(bar(path[i], path[i + 1], 0.0055), green) for i in range(len(path) - 1)]
    joints = [Part(trimesh.creation.icosphere(2, 0.0055).apply_translation(p), green) for p in path[1:-1]]
    return [Part(body, label), *handle, *joints]


def shoe_box() -> list[Part]:
    """Return a shoe box with a lid."""

    def lid(p: NDArray[np.float32], n: NDArray[np.float32]) -> Colour:
        out = np.broadcast_to(rgb("#d1495b"), p.shape).copy()
        on_top = n[:, 1] > 0.7
        out[on_top & (np.abs(p[:, 0]) < 0.028)] = rgb("#f5e9d6")
        out[on_top & (np.hypot(p[:, 0], p[:, 2]) < 0.055)] = rgb("#2b2d42")
        return out.astype(np.float32)

    def body(p: NDArray[np.float32], n: NDArray[np.float32]) -> Colour:
        out = np.broadcast_to(rgb("#b97a48"), p.shape).copy()
        front = n[:, 2] > 0.7
        out[front & (np.abs(p[:, 0]) < 0.06) & (np.abs(p[:, 1] - 0.04) < 0.022)] = rgb("#2b2d42")
        out[front & (np.abs(p[:, 0] + 0.02) < 0.025) & (np.abs(p[:, 1] - 0.045) < 0.004)] = rgb("#f5e9d6")
        out[front & (np.abs(p[:, 0] + 0.005) < 0.04) & (np.abs(p[:, 1] - 0.033) < 0.003)] = rgb("#f5e9d6")
        return out.astype(np.float32)

    return [
        Part(rounded_box((0.325, 0.085, 0.195), 0.003, (0, 0.0425, 0)), body),
        Part(rounded_box((0.335, 0.036, 0.205), 0.003, (0, 0.102, 0)), lid),
    ]


def table() -> list[Part]:
    """Return a round side table."""
    oak = wood("#b9814a", "#7d4f2a", axis=0)
    parts = [
        Part(lathe([(0, 0.472), (0.225, 0.472), (0.232, 0.48), (0.232, 0.492), (0.226, 0.5), (0, 0.5)]), oak)
    ]
    for angle in (45, 135, 225, 315):
        c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        parts.append(
            Part(bar((0.19 * c, 0, 0.19 * s), (0.14 * c, 0.475, 0.14 * s), 0.012, 0.018), solid("#22252a"))
        )
    return parts


def speaker() -> list[Part]:
    """Return a speaker."""

    def front(p: NDArray[np.float32], n: NDArray[np.float32]) -> Colour:
        out = wood("#8a5a3c", "#5b3721")(p, n)
        face = n[:, 2] > 0.7
        out[face] = rgb("#2a2c30")
        for y, r in ((0.085, 0.058), (0.21, 0.03)):
            d = np.hypot(p[:, 0], p[:, 1] - y)
            out[face & (d < r)] = rgb("#6b7075")
            out[face & (d < r * 0.88)] = rgb("#16171a")
            out[face & (d < r * 0.4)] = rgb("#c9a24b")
        back = n[:, 2] < -0.7
        out[back] = rgb("#1d1f22")
        out[back & (np.hypot(p[:, 0], p[:, 1] - 0.2) < 0.022)] = rgb("#08090a")
        out[back & (np.abs(p[:, 0]) < 0.03) & (np.abs(p[:, 1] - 0.06) < 0.02)] = rgb("#a9adb2")
        return out.astype(np.float32)

    return [Part(rounded_box((0.16, 0.27, 0.2), 0.008, (0, 0.135, 0)), front)]


def vase() -> list[Part]:
    """Return a banded vase."""
    t = np.linspace(0, 1, 40)
    radius = (
        0.048
        + 0.045 * np.sin(np.pi * (t * 0.92 + 0.06)) ** 2
        - 0.028 * np.exp(-(((t - 0.88) / 0.09) ** 2))
        - 0.01 * (1 - t)
    )
    outer = [(float(r), float(y)) for r, y in zip(radius, t * 0.3, strict=True)]
    inner = [(max(r - 0.006, 0.004), y) for r, y in reversed(outer) if y > 0.012]
    profile = [(0, 0), *outer, *inner, (0, 0.012)]
    return [
        Part(
            lathe(profile),
            bands("#3d5a98", [(0.095, 0.105, "#f0d9a8"), (0.115, 0.15, "#e07a5f"), (0.16, 0.17, "#f0d9a8")]),
        )
    ]


PRODUCTS: dict[str, Callable[[], list[Part]]] = {
    "chair": chair,
    "lamp": lamp,
    "bottle": bottle,
    "mug": mug,
    "shoe-box": shoe_box,
    "table": table,
    "speaker": speaker,
    "vase": vase,
}
