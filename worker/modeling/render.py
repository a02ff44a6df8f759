"""A CPU renderer: embree finds the hits, numpy shades them. Studio light, soft shadows without noise, anti-aliasing.

Light: a sky that is brighter above, a large soft key light from the viewer's upper left with traced shadows, a weak
fill from the right, and a highlight by roughness (Blinn-Phong, normalized). The lights turn with the camera, as when a
product is turned on its table. Colours are linear until the end.

One ray a pixel, more at edges. Shadows and sky are traced in one direction a pixel, another one for each of 4 x 4
neighbours, and gathered over those neighbours that lie on the same surface (interleaved sampling, Keller and Heidrich
2001). CPU-seconds at 512 px for a chair of 40,000 triangles: four full samples a pixel, each with random rays, .65 and
grain; this, .22 and none. Lost: sixteen directions for all tiles (their steps show on flat ground), random ones.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.imaging.linear_light import to_srgb
from worker.modeling.camera import Camera
from worker.modeling.material_shading import MaterialSampler
from worker.modeling.ray_casting import ray_caster
from worker.modeling.soft_shadows import (
    disc_offsets,
    gather_neighbours,
    interleaved_directions,
    soften_shadow,
    sphere_points,
    spread_to_neighbours,
)
from worker.modeling.textured_mesh import TexturedMesh, row_dot, unit_vectors

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
ColourShader = Callable[[F32, F32, I64], F32]

KEY_DIRECTION = np.array([-0.45, 0.75, 0.6], np.float32) / np.float32(np.linalg.norm([-0.45, 0.75, 0.6]))
FILL_DIRECTION = np.array([0.7, 0.2, 0.68], np.float32)
KEY, FILL, SKY, GROUND = 1.55, 0.25, 0.62, 0.30
EXPOSURE = 0.62  # a white wall that faces the viewer comes out white
BRIGHTEST = 10.0  # of a highlight: more is white all the same
REFLECTANCE = 0.04  # of what is no metal, at an index of 1.5
KEY_SIZE = 0.28  # the tangent of the key light's half angle: how soft its shadows are
DOWN = 0.05  # of a ray of length one: it meets the floor not too far away
FLOOR_REACH = 1.5  # of the product's diagonal: its shadow falls no farther


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderOptions:
    """How the picture is lit and what is behind it. background: linear grey level at bottom and top; None is transparent.
    samples: the rays of a pixel at an edge are its square."""

    background: tuple[float, float] | None = (0.93, 0.98)
    shadow: bool = True
    samples: int = 2


@dataclass(frozen=True, slots=True)
class RayHits:
    """What rays met. at: (n,) which rays; face: (n,) int64; points, normals, flat: (n, 3); bary: (n, 3); directions: (n, 3)."""

    ray: I64
    face: I64
    bary: F32
    points: F32
    normals: F32
    face_normals: F32
    directions: F32


class Renderer:
    """A model made ready for rays. paint: the base colour in place of the model's own."""

    def __init__(self, model: TexturedMesh, paint: ColourShader | None = None) -> None:
        self.mesh, self._paint = model, paint
        self._rays = ray_caster(model.positions, model.faces)
        self._diagonal = float(np.linalg.norm(model.extent))

    @cached_property
    def _corners(self) -> F32:
        """Of the model's box, (8, 3)."""
        return np.array(
            list(product(*zip(self.mesh.min_corner, self.mesh.max_corner, strict=True))), np.float32
        )

    @cached_property
    def _flat(self) -> F32:
        """The faces' own normals, (m, 3)."""
        a, b, c = (self.mesh.positions[self.mesh.faces[:, k]] for k in range(3))
        return unit_vectors(np.cross(b - a, c - a))

    @cached_property
    def _skin(self) -> MaterialSampler:
        return MaterialSampler(self.mesh)

    def silhouette(self, camera: Camera, size: int) -> NDArray[np.bool_]:
        """(size, size) bool: where the model is."""
        rows, columns = self._window(camera, size)
        seen, x = np.zeros((size, size), bool), _places(size)
        window = seen[rows, columns]
        window[:] = (self._free(*camera.window_rays(x[columns], -x[rows])) == 0).reshape(window.shape)
        return seen

    def render(
        self, camera: Camera, size: int, look: RenderOptions = RenderOptions()
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """The picture as (size, size, 3) uint8 sRGB and its alpha (size, size) uint8."""
        turn = _turned(camera.azimuth)
        key, fill = turn @ KEY_DIRECTION, turn @ FILL_DIRECTION
        hits, v = self._first_hits(camera, size), np.repeat(-_places(size), size)
        fine = size / (2 * camera.half_width)
        lit, sky = self._light(hits, key, size)
        shade = self._floor(camera, key, size) if look.shadow else np.zeros(size * size, np.float32)
        colour, alpha = _behind(look, shade, v)
        colour[hits.ray] = self._shaded(hits, lit[hits.ray], sky[hits.ray], key, fill, fine)
        alpha[hits.ray] = 1
        edges = _edges(hits, size, 0.012 * self._diagonal) if look.samples > 1 else np.zeros(0, np.int64)
        if len(edges):
            visible = (spread_to_neighbours(lit, hits.ray, size), spread_to_neighbours(sky, hits.ray, size))
            sums = np.zeros((len(edges), 4), np.float32)
            for met, ev in self._finer(camera, edges, size, look.samples):
                mixed, opaque = _behind(look, shade[edges], ev)
                mixed[met.ray] = self._shaded(
                    met, visible[0][edges[met.ray]], visible[1][edges[met.ray]], key, fill, fine
                )
                opaque[met.ray] = 1
                sums += np.column_stack([mixed * opaque[:, None], opaque])
            colour[edges] = sums[:, :3] / np.maximum(sums[:, 3:], 1e-4)
            alpha[edges] = sums[:, 3] / look.samples**2
        return to_srgb(colour).reshape(size, size, 3), np.asarray(alpha * 255 + 0.5, np.uint8).reshape(
            size, size
        )

    def render_unlit(
        self, camera: Camera, size: int, paints: Iterable[ColourShader], samples: int = 2
    ) -> Iterator[NDArray[np.uint8]]:
        """The model in other colours than its own, no light on it: (size, size, 3) uint8 sRGB for each paint. Rays are traced once."""
        hits, v = self._first_hits(camera, size), np.repeat(-_places(size), size)
        edges = _edges(hits, size, 0.012 * self._diagonal)
        finer = [
            (met, _behind(RenderOptions(), np.zeros(len(ev), np.float32), ev)[0])
            for met, ev in self._finer(camera, edges, size, samples)
        ]
        ground, _ = _behind(RenderOptions(), np.zeros(size * size, np.float32), v)
        for paint in paints:
            colour = ground.copy()
            colour[hits.ray] = paint(hits.points, hits.normals, hits.face)
            sums = np.zeros((len(edges), 3), np.float32)
            for met, behind in finer:
                mixed = behind.copy()
                mixed[met.ray] = paint(met.points, met.normals, met.face)
                sums += mixed
            colour[edges] = sums / samples**2
            yield to_srgb(colour).reshape(size, size, 3)

    def _window(self, camera: Camera, size: int) -> tuple[slice, slice]:
        """The rows and columns around all that the camera sees of the model's box; the others show nothing of it."""
        places = (camera.project(self._corners) * np.array([1, -1], np.float32) + 1) * np.float32(size / 2)
        low, high = (
            np.clip(np.floor(places.min(0)) - 1, 0, size).astype(int),
            np.clip(np.ceil(places.max(0)) + 1, 0, size).astype(int),
        )
        return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))

    def _first_hits(self, camera: Camera, size: int) -> RayHits:
        """What the rays through all pixels' centres meet."""
        rows, columns = self._window(camera, size)
        x = _places(size)
        hits = self._hits(*camera.window_rays(x[columns], -x[rows]))
        row, column = np.divmod(hits.ray, max(1, columns.stop - columns.start))
        return replace(hits, ray=(row + rows.start) * size + column + columns.start)

    def _finer(self, camera: Camera, edges: I64, size: int, samples: int) -> Iterator[tuple[RayHits, F32]]:
        """What the rays through each pixel's parts meet, by place among `edges`, and how high in the picture they run."""
        x = _places(size)
        u, v = x[edges % size], -x[edges // size]
        for du, dv in _subpixels(samples, size):
            yield self._hits(*camera.rays(u + du, v + dv)), v + dv

    def _trace(self, origins: F32, directions: F32) -> tuple[I64, F32]:
        """Face index (-1: none) and barycentric weights (n, 3) of each ray's first hit."""
        found = self._rays.first_hits(origins, directions)
        u, v = found.u, found.v
        return found.faces, np.stack([1 - u - v, u, v], -1).astype(np.float32)

    def _free(self, origins: F32, directions: F32) -> F32:
        """1 where a ray meets nothing, else 0, (n,) float32."""
        return np.asarray(~self._rays.is_blocked(origins, directions), np.float32)

    def _hits(self, origins: F32, directions: F32) -> RayHits:
        face, bary = self._trace(origins, directions)
        at = np.flatnonzero(face >= 0)
        face, bary, directions = face.take(at), bary.take(at, axis=0), directions.take(at, axis=0)
        corners = self.mesh.faces.take(face, axis=0)
        points, normals = (
            np.einsum("nk,nkc->nc", bary, known.take(corners, axis=0))
            for known in (self.mesh.positions, self.mesh.normals)
        )
        flat = self._flat.take(face, axis=0)
        flat *= np.where(row_dot(flat, directions) > 0, np.float32(-1), np.float32(1))[:, None]
        normals = unit_vectors(normals)
        normals *= np.where(row_dot(normals, flat) < 0, np.float32(-1), np.float32(1))[:, None]
        return RayHits(at, face, bary, points, normals, flat, directions)

    def _light(self, hits: RayHits, key: F32, size: int) -> tuple[F32, F32]:
        """How much of the key light and of the sky each pixel sees, (size * size,) float32 each; where nothing is, 0."""
        lit, sky = np.zeros(size * size, np.float32), np.zeros(size * size, np.float32)
        if not len(hits.ray):
            return lit, sky
        start = hits.points + hits.face_normals * np.float32(1e-4 * self._diagonal)
        turn = interleaved_directions(hits.ray, size)
        lit[hits.ray] = self._free(start, unit_vectors(key + KEY_SIZE * disc_offsets(key)).take(turn, axis=0))
        sky[hits.ray] = self._free(
            start, unit_vectors(hits.normals + np.float32(0.98) * sphere_points().take(turn, axis=0))
        )
        both = gather_neighbours(
            np.column_stack([lit, sky]), hits.ray, size, (hits.normals, hits.points, 0.02 * self._diagonal)
        )
        return both[:, 0], np.where(both[:, 1] > 0, 0.25 + 0.75 * both[:, 1], 0.25).astype(np.float32)

    def _floor(self, camera: Camera, key: F32, size: int) -> F32:
        """How much light the product takes from the floor at its base, (size * size,), behind the product too.

        Looked at in a quarter of the pixels: such a shadow has no edge that would show it.
        """
        half, shade = (size + 1) // 2, np.zeros(((size + 1) // 2) ** 2, np.float32)
        if camera.fov is None and np.sin(np.radians(camera.elevation)) < DOWN:
            return np.zeros(size * size, np.float32)
        x = _places(half)
        origins, directions = camera.window_rays(x, -x)
        down = np.flatnonzero(directions[:, 1] < -DOWN)
        origins, directions = origins.take(down, axis=0), directions.take(down, axis=0)
        floor, centre = float(self.mesh.min_corner[1]), (self.mesh.min_corner + self.mesh.max_corner) / 2
        points = origins + directions * ((floor - origins[:, 1]) / directions[:, 1])[:, None]
        near = np.flatnonzero(
            np.hypot(points[:, 0] - centre[0], points[:, 2] - centre[2]) < FLOOR_REACH * self._diagonal
        )
        down, points = down.take(near), points.take(near, axis=0)
        if not len(down):
            return np.zeros(size * size, np.float32)
        points[:, 1] += 2e-4 * self._diagonal
        turn = interleaved_directions(down, half)
        up = np.array([0, 1, 0], np.float32)
        looks = (
            unit_vectors(key + KEY_SIZE * disc_offsets(key)),
            unit_vectors(up + np.float32(0.98) * sphere_points()),
        )
        shade[down] = 0.6 - 0.3 * sum(self._free(points, ways.take(turn, axis=0)) for ways in looks)
        soft = soften_shadow(gather_neighbours(shade[:, None], down, half)[:, 0], down, half).reshape(
            half, half
        )
        return np.asarray(cv2.resize(soft, (size, size), interpolation=cv2.INTER_LINEAR), np.float32).ravel()

    def _shaded(self, hits: RayHits, lit: F32, sky: F32, key: F32, fill: F32, pixels_per_m: float) -> F32:
        """Linear colour of each hit, (n, 3). lit, sky: how much of each light it sees."""
        at = self._skin.sample(hits.face, hits.bary, hits.normals, pixels_per_m)
        albedo = at.albedo if self._paint is None else self._paint(hits.points, hits.normals, hits.face)
        n, sky = at.normals, sky * at.sky_visibility
        towards = np.clip(n @ key, 0, 1) * lit
        diffuse = (KEY * towards + FILL * np.clip(n @ fill, 0, 1) + _around(n[:, 1]) * sky) * np.float32(
            EXPOSURE
        )
        half = unit_vectors((key - hits.directions).astype(np.float32))
        sharp = 2 / np.maximum(0.03, at.roughness) ** 2
        gloss = np.clip(row_dot(n, half), 0, 1) ** sharp * (sharp + 2) / 8 * (towards > 0) * lit
        facing = row_dot(n, hits.directions)
        rim = 0.05 * (1 - np.abs(facing)) ** 5 * (1 - at.roughness)
        # what the surface shows of the studio: sharp where it is smooth, as soft as its shading where it is rough
        mirrored, soft = (hits.directions - 2 * facing[:, None] * n)[:, 1], at.roughness**2
        shown = (_around(mirrored) * (1 - soft) + _around(n[:, 1]) * soft) * sky + FILL * np.clip(
            n @ fill, 0, 1
        )
        tint = albedo * at.metallic[:, None] + (REFLECTANCE * (1 - at.metallic))[:, None]
        colour = albedo * (diffuse * (1 - at.metallic))[:, None] + rim[:, None]
        colour += tint * (shown * EXPOSURE + np.minimum(gloss, BRIGHTEST))[:, None]
        return np.asarray(colour if at.emission is None else colour + at.emission, np.float32)


def _around(up: F32) -> F32:
    """The studio's light from where a direction's upright part points."""
    return np.asarray(GROUND + (SKY - GROUND) * (up * 0.5 + 0.5), np.float32)


def _behind(look: RenderOptions, shade: F32, v: F32) -> tuple[F32, F32]:
    """Colour and alpha where the product is not: the background, or nothing, with the product's shadow on it."""
    if look.background is None:
        return np.zeros((len(v), 3), np.float32), shade.copy()
    low, high = look.background
    level = (low + (high - low) * (v + 1) / 2) * (1 - shade)
    return np.repeat(level[:, None], 3, 1).astype(np.float32), np.ones(len(v), np.float32)


def _edges(hits: RayHits, size: int, jump: float) -> I64:
    """The pixels on both sides of an outline, a crease or a step in depth."""
    flat_normal, flat_depth = np.zeros((size * size, 3), np.float32), np.full(size * size, 1e6, np.float32)
    flat_normal[hits.ray] = hits.normals
    flat_depth[hits.ray] = -(hits.points @ hits.directions.mean(0)) if len(hits.ray) else 0
    normal, depth = flat_normal.reshape(size, size, 3), flat_depth.reshape(size, size)
    steps = np.zeros((size, size), bool)
    for axis in (0, 1):
        here, there = (
            (slice(None, -1), slice(1, None))
            if axis == 0
            else ((slice(None), slice(None, -1)), (slice(None), slice(1, None)))
        )
        bend = np.einsum("yxd,yxd->yx", normal[here], normal[there]) < 0.8
        off = np.abs(depth[here] - depth[there])
        step = (off > jump) | (bend & (depth[here] < 1e6) & (depth[there] < 1e6))
        steps[here] |= step
        steps[there] |= step
    return np.flatnonzero(steps)


def _subpixels(samples: int, size: int) -> list[tuple[np.float32, np.float32]]:
    """Offsets from a pixel's centre, in picture units."""
    places = ((np.arange(samples) + 0.5) / samples - 0.5) * 2 / size
    return [(np.float32(x), np.float32(y)) for y in places for x in places]


def _turned(azimuth: float) -> F32:
    """The rotation about Y by an angle in degrees, (3, 3)."""
    c, s = np.cos(np.radians(azimuth)), np.sin(np.radians(azimuth))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]], np.float32)


def _places(size: int) -> F32:
    """Picture positions of the columns' centres, (size,); the rows' are the same, from the top, with the other sign."""
    return np.asarray(
        (np.arange(size, dtype=np.float32) + np.float32(0.5)) * np.float32(2.0 / size) - 1, np.float32
    )
