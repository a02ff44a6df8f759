"""A CPU renderer: a ray caster finds the hits, NumPy shades them. Studio light, soft shadows without noise,
anti-aliasing.

Light: a sky that is brighter above; a large soft key light from the viewer's upper left, with traced
shadows; a weak fill light from the right; and a highlight that depends on roughness (normalized
Blinn-Phong). The lights turn with the camera, as if the product were turned on its table. Colours are
linear until the end.

Each pixel has one ray, pixels at edges have more. Shadows and sky are traced in one direction a pixel, a
different one for each of 4 x 4 neighbours, and averaged over those neighbours that lie on the same surface
(interleaved sampling, Keller and Heidrich 2001). CPU-seconds at 512 px for a chair of 40,000 triangles: .65
and grain with four full samples a pixel and random rays; .22 and none with this. Tried and lost: sixteen
directions for all tiles (steps are visible on flat ground), random directions.
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
from worker.modeling.studio_lighting import KEY_HALF_ANGLE_TAN, camera_tone, light_directions, shade
from worker.modeling.textured_mesh import TexturedMesh, row_dot, unit_vectors

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
# From points (n, 3), normals (n, 3) and faces (n,) to linear colours (n, 3).
ColourShader = Callable[[F32, F32, I64], F32]

MIN_DESCENT = 0.05  # of a camera ray of length one; a flatter ray meets the floor too far away
MAX_LAYERS = 6  # of transparent surfaces, one behind the other
LEAST_SHARE = 0.01  # of light from behind; less is not seen
FLOOR_REACH = 1.5  # in diagonals of the product; its shadow falls no farther


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderOptions:
    """Background, floor shadow and anti-aliasing of a render."""

    background: tuple[float, float] | None = (0.93, 0.98)  # linear grey at bottom and top; None: transparent
    floor_shadow: bool = True  # whether the product casts a shadow on the floor
    samples_per_axis: int = 2  # a pixel at an edge has the square of this many rays
    light_azimuth: float | None = None  # degrees; None: the lights turn with the camera


@dataclass(frozen=True, slots=True)
class RayHits:
    """The n rays of a batch that hit the mesh."""

    ray: I64  # (n,) index of the ray in the batch, or of its pixel
    face: I64  # (n,) index of the triangle
    bary: F32  # (n, 3) barycentric coordinates
    points: F32  # (n, 3) metres
    normals: F32  # (n, 3) interpolated, towards the viewer
    face_normals: F32  # (n, 3) of the triangles, towards the viewer
    directions: F32  # (n, 3) of the rays


class Renderer:
    """A mesh prepared for rendering."""

    def __init__(self, mesh: TexturedMesh, shader: ColourShader | None = None, *, tone: bool = True) -> None:
        """Prepare a mesh.

        Args:
            shader: Gives the base colour in place of the mesh's material.
            tone: Whether the product is shown with a camera's tone curve; otherwise in linear light.
        """
        self.mesh, self._shader, self._tone = mesh, shader, tone
        self._rays = ray_caster(mesh.positions, mesh.faces)
        self._diagonal = float(np.linalg.norm(mesh.extent))

    @cached_property
    def _corners(self) -> F32:
        """Return the corners of the bounding box, (8, 3)."""
        return np.array(
            list(product(*zip(self.mesh.min_corner, self.mesh.max_corner, strict=True))), np.float32
        )

    @cached_property
    def _face_normals(self) -> F32:
        """Return the normals of the triangles, (m, 3)."""
        a, b, c = (self.mesh.positions[self.mesh.faces[:, k]] for k in range(3))
        return unit_vectors(np.cross(b - a, c - a))

    @cached_property
    def _material(self) -> MaterialSampler:
        return MaterialSampler(self.mesh)

    def silhouette(self, camera: Camera, size: int) -> NDArray[np.bool_]:
        """Return a mask of the mesh in the picture, (size, size)."""
        rows, columns = self._window(camera, size)
        mask, x = np.zeros((size, size), bool), _pixel_positions(size)
        mask[rows, columns].flat[:] = self._visibility(*camera.window_rays(x[columns], -x[rows])) == 0
        return mask

    def render(
        self, camera: Camera, size: int, options: RenderOptions = RenderOptions()
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Render the mesh.

        Returns:
            The picture, (size, size, 3) sRGB, and its alpha, (size, size).
        """
        lights = light_directions(camera.azimuth if options.light_azimuth is None else options.light_azimuth)
        hits, v = self._first_hits(camera, size), np.repeat(-_pixel_positions(size), size)
        pixels_per_m = size / (2 * camera.half_width)
        key_visibility, sky_visibility = self._pixel_light(hits, lights[0], size)
        shadow = (
            self._floor_shadow(camera, lights[0], size)
            if options.floor_shadow
            else np.zeros(size * size, np.float32)
        )
        colour, alpha = _background(options, shadow, v)
        self._paint(
            (colour, alpha),
            hits,
            (key_visibility[hits.ray], sky_visibility[hits.ray]),
            lights,
            pixels_per_m,
        )
        edge_pixels = (
            _edge_pixels(hits, size, 0.012 * self._diagonal)
            if options.samples_per_axis > 1
            else np.zeros(0, np.int64)
        )
        if len(edge_pixels):
            visible = (
                spread_to_neighbours(key_visibility, hits.ray, size),
                spread_to_neighbours(sky_visibility, hits.ray, size),
            )
            sums = np.zeros((len(edge_pixels), 4), np.float32)
            for edge_hits, edge_v in self._edge_hits(camera, edge_pixels, size, options.samples_per_axis):
                sample_colours, coverage = _background(options, shadow[edge_pixels], edge_v)
                self._paint(
                    (sample_colours, coverage),
                    edge_hits,
                    (visible[0][edge_pixels[edge_hits.ray]], visible[1][edge_pixels[edge_hits.ray]]),
                    lights,
                    pixels_per_m,
                )
                sums += np.column_stack([sample_colours * coverage[:, None], coverage])
            colour[edge_pixels] = sums[:, :3] / np.maximum(sums[:, 3:], 1e-4)
            alpha[edge_pixels] = sums[:, 3] / options.samples_per_axis**2
        levels = np.asarray(alpha * 255 + 0.5, np.uint8)
        return to_srgb(colour).reshape(size, size, 3), levels.reshape(size, size)

    def render_unlit(
        self, camera: Camera, size: int, shaders: Iterable[ColourShader], samples: int = 2
    ) -> Iterator[NDArray[np.uint8]]:
        """Yield the mesh in the colours of each shader, without light: (size, size, 3) sRGB.

        Rays are traced once for all shaders.
        """
        hits, v = self._first_hits(camera, size), np.repeat(-_pixel_positions(size), size)
        edge_pixels = _edge_pixels(hits, size, 0.012 * self._diagonal)
        edge_samples = [
            (edge_hits, _background(RenderOptions(), np.zeros(len(edge_v), np.float32), edge_v)[0])
            for edge_hits, edge_v in self._edge_hits(camera, edge_pixels, size, samples)
        ]
        ground, _ = _background(RenderOptions(), np.zeros(size * size, np.float32), v)
        for shader in shaders:
            colour = ground.copy()
            colour[hits.ray] = shader(hits.points, hits.normals, hits.face)
            sums = np.zeros((len(edge_pixels), 3), np.float32)
            for edge_hits, background in edge_samples:
                sample_colours = background.copy()
                sample_colours[edge_hits.ray] = shader(edge_hits.points, edge_hits.normals, edge_hits.face)
                sums += sample_colours
            colour[edge_pixels] = sums / samples**2
            yield to_srgb(colour).reshape(size, size, 3)

    def _window(self, camera: Camera, size: int) -> tuple[slice, slice]:
        """Return the rows and columns of the picture that can show the mesh, from its bounding box."""
        corner_pixels = (camera.project(self._corners) * np.array([1, -1], np.float32) + 1) * np.float32(
            size / 2
        )
        low, high = (
            np.clip(np.floor(corner_pixels.min(0)) - 1, 0, size).astype(int),
            np.clip(np.ceil(corner_pixels.max(0)) + 1, 0, size).astype(int),
        )
        return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))

    def _first_hits(self, camera: Camera, size: int) -> RayHits:
        """Return the hits of the rays through the pixels' centres; `ray` is the index of the pixel."""
        rows, columns = self._window(camera, size)
        x = _pixel_positions(size)
        hits = self._hits(*camera.window_rays(x[columns], -x[rows]))
        row, column = np.divmod(hits.ray, max(1, columns.stop - columns.start))
        return replace(hits, ray=(row + rows.start) * size + column + columns.start)

    def _edge_hits(
        self, camera: Camera, edge_pixels: I64, size: int, samples: int
    ) -> Iterator[tuple[RayHits, F32]]:
        """Yield the hits of each subpixel and the v of its rays; `ray` is an index into `edge_pixels`."""
        x = _pixel_positions(size)
        u, v = x[edge_pixels % size], -x[edge_pixels // size]
        for du, dv in _subpixels(samples, size):
            yield self._hits(*camera.rays(u + du, v + dv)), v + dv

    def _trace(self, origins: F32, directions: F32) -> tuple[I64, F32]:
        """Return the triangle (-1: none) and the barycentric coordinates (n, 3) of each ray's first hit."""
        found = self._rays.first_hits(origins, directions)
        return found.faces, np.stack([1 - found.u - found.v, found.u, found.v], -1).astype(np.float32)

    def _visibility(self, origins: F32, directions: F32) -> F32:
        """Return 1 where a ray meets nothing, else 0, (n,)."""
        return np.asarray(~self._rays.is_blocked(origins, directions), np.float32)

    def _hits(self, origins: F32, directions: F32) -> RayHits:
        face, bary = self._trace(origins, directions)
        ray = np.flatnonzero(face >= 0)
        face, bary, directions = face.take(ray), bary.take(ray, axis=0), directions.take(ray, axis=0)
        corners = self.mesh.faces.take(face, axis=0)
        points, normals = (
            np.einsum("nk,nkc->nc", bary, per_vertex.take(corners, axis=0))
            for per_vertex in (self.mesh.positions, self.mesh.normals)
        )
        face_normals = self._face_normals.take(face, axis=0)
        face_normals *= np.where(row_dot(face_normals, directions) > 0, np.float32(-1), np.float32(1))[
            :, None
        ]
        normals = unit_vectors(normals)
        normals *= np.where(row_dot(normals, face_normals) < 0, np.float32(-1), np.float32(1))[:, None]
        return RayHits(ray, face, bary, points, normals, face_normals, directions)

    def _pixel_light(self, hits: RayHits, key: F32, size: int) -> tuple[F32, F32]:
        """Return the share of the key light and of the sky that each pixel sees, (size * size,) each."""
        key_visibility, sky_visibility = np.zeros(size * size, np.float32), np.zeros(size * size, np.float32)
        if not len(hits.ray):
            return key_visibility, sky_visibility
        origins = hits.points + hits.face_normals * np.float32(1e-4 * self._diagonal)
        direction_index = interleaved_directions(hits.ray, size)
        key_visibility[hits.ray] = self._visibility(
            origins, unit_vectors(key + KEY_HALF_ANGLE_TAN * disc_offsets(key)).take(direction_index, axis=0)
        )
        sky_visibility[hits.ray] = self._visibility(
            origins,
            unit_vectors(hits.normals + np.float32(0.98) * sphere_points().take(direction_index, axis=0)),
        )
        gathered = gather_neighbours(
            np.column_stack([key_visibility, sky_visibility]),
            hits.ray,
            size,
            (hits.normals, hits.points, 0.02 * self._diagonal),
        )
        return gathered[:, 0], np.where(gathered[:, 1] > 0, 0.25 + 0.75 * gathered[:, 1], 0.25).astype(
            np.float32
        )

    def _floor_shadow(self, camera: Camera, key: F32, size: int) -> F32:
        """Return the share of light that the product takes from the floor, (size * size,).

        It is computed at half the resolution, since such a shadow has no sharp edge.
        """
        half, shadow = (size + 1) // 2, np.zeros(((size + 1) // 2) ** 2, np.float32)
        if camera.fov is None and np.sin(np.radians(camera.elevation)) < MIN_DESCENT:
            return np.zeros(size * size, np.float32)
        x = _pixel_positions(half)
        origins, ray_directions = camera.window_rays(x, -x)
        down = np.flatnonzero(ray_directions[:, 1] < -MIN_DESCENT)
        origins, ray_directions = origins.take(down, axis=0), ray_directions.take(down, axis=0)
        floor, centre = float(self.mesh.min_corner[1]), (self.mesh.min_corner + self.mesh.max_corner) / 2
        points = origins + ray_directions * ((floor - origins[:, 1]) / ray_directions[:, 1])[:, None]
        near = np.flatnonzero(
            np.hypot(points[:, 0] - centre[0], points[:, 2] - centre[2]) < FLOOR_REACH * self._diagonal
        )
        down, points = down.take(near), points.take(near, axis=0)
        if not len(down):
            return np.zeros(size * size, np.float32)
        points[:, 1] += 2e-4 * self._diagonal
        direction_index = interleaved_directions(down, half)
        direction_sets = (
            unit_vectors(key + KEY_HALF_ANGLE_TAN * disc_offsets(key)),
            unit_vectors(np.array([0, 1, 0], np.float32) + np.float32(0.98) * sphere_points()),
        )
        shadow[down] = 0.6 - 0.3 * sum(
            self._visibility(points, directions.take(direction_index, axis=0))
            for directions in direction_sets
        )
        gathered = gather_neighbours(shadow[:, None], down, half)[:, 0]
        softened = soften_shadow(gathered, down, half).reshape(half, half)
        full = cv2.resize(softened, (size, size), interpolation=cv2.INTER_LINEAR)
        return np.asarray(full, np.float32).ravel()

    def _paint(
        self,
        canvas: tuple[F32, F32],
        hits: RayHits,
        visibility: tuple[F32, F32],
        lights: tuple[F32, F32],
        pixels_per_m: float,
    ) -> None:
        """Paint hits over the background; where the mesh is transparent, also the surfaces behind it.

        Args:
            canvas: The linear colour (n, 3) and the alpha (n,) of each ray, with the background; changed.
            hits, visibility, lights, pixels_per_m: As for `_shade`.
        """
        if not len(hits.ray):
            return
        (colour, alpha), (first, opacity) = canvas, self._shade(hits, visibility, lights, pixels_per_m)
        if opacity is None:
            colour[hits.ray], alpha[hits.ray] = first, 1
            return
        behind_colour, behind_alpha = colour[hits.ray] * alpha[hits.ray, None], alpha[hits.ray]
        painted, left = first * opacity[:, None], 1 - opacity
        layer, owner = hits, np.arange(len(hits.ray))
        for _ in range(MAX_LAYERS - 1):
            seen = np.flatnonzero(left[owner] > LEAST_SHARE)
            if not len(seen):
                break
            directions = layer.directions.take(seen, axis=0)
            origins = layer.points.take(seen, axis=0) + directions * np.float32(1e-4 * self._diagonal)
            layer = self._hits(origins, directions)
            owner = owner[seen[layer.ray]]
            if not len(owner):
                break
            light = visibility[0][owner], visibility[1][owner]
            next_colour, next_opacity = self._shade(layer, light, lights, pixels_per_m)
            assert next_opacity is not None
            painted[owner] += next_colour * (next_opacity * left[owner])[:, None]
            left[owner] *= 1 - next_opacity
        total = 1 - left * (1 - behind_alpha)
        colour[hits.ray] = (painted + behind_colour * left[:, None]) / np.maximum(total, 1e-4)[:, None]
        alpha[hits.ray] = total

    def _shade(
        self, hits: RayHits, visibility: tuple[F32, F32], lights: tuple[F32, F32], pixels_per_m: float
    ) -> tuple[F32, F32 | None]:
        """Return the linear colour of each hit, (n, 3), and its opacity, (n,); None: all are opaque.

        Args:
            hits: The hits.
            visibility: The shares of the key light and of the sky that reach each hit, (n,) each.
            lights: The directions to the key light and to the fill light, (3,) each.
            pixels_per_m: The resolution of the picture.
        """
        surface = self._material.sample(hits.face, hits.bary, hits.normals, pixels_per_m)
        if self._shader is not None:
            surface = replace(surface, albedo=self._shader(hits.points, hits.normals, hits.face))
        colour = shade(surface, hits.directions, visibility, lights)
        return camera_tone(colour) if self._tone else colour, surface.opacity


def _background(options: RenderOptions, shadow: F32, v: F32) -> tuple[F32, F32]:
    """Return the linear colour (n, 3) and the alpha (n,) of pixels that do not show the product."""
    if options.background is None:
        return np.zeros((len(v), 3), np.float32), shadow.copy()
    low, high = options.background
    level = (low + (high - low) * (v + 1) / 2) * (1 - shadow)
    return np.repeat(level[:, None], 3, 1).astype(np.float32), np.ones(len(v), np.float32)


def _edge_pixels(hits: RayHits, size: int, max_step: float) -> I64:
    """Return the pixels at an outline, a crease or a step in depth of more than `max_step` metres."""
    flat_normal, flat_depth = np.zeros((size * size, 3), np.float32), np.full(size * size, 1e6, np.float32)
    flat_normal[hits.ray] = hits.normals
    flat_depth[hits.ray] = -(hits.points @ hits.directions.mean(0)) if len(hits.ray) else 0
    normal, depth = flat_normal.reshape(size, size, 3), flat_depth.reshape(size, size)
    marked = np.zeros((size, size), bool)
    for axis in (0, 1):
        here, there = (
            (slice(None, -1), slice(1, None))
            if axis == 0
            else ((slice(None), slice(None, -1)), (slice(None), slice(1, None)))
        )
        is_crease = np.einsum("yxd,yxd->yx", normal[here], normal[there]) < 0.8
        depth_step = np.abs(depth[here] - depth[there])
        is_edge = (depth_step > max_step) | (is_crease & (depth[here] < 1e6) & (depth[there] < 1e6))
        marked[here] |= is_edge
        marked[there] |= is_edge
    return np.flatnonzero(marked)


def _subpixels(samples: int, size: int) -> list[tuple[np.float32, np.float32]]:
    """Return the offsets of subpixels from a pixel's centre, in picture units."""
    places = ((np.arange(samples) + 0.5) / samples - 0.5) * 2 / size
    return [(np.float32(x), np.float32(y)) for y in places for x in places]


def _pixel_positions(size: int) -> F32:
    """Return the picture positions of the columns' centres, (size,); the rows' are their negatives."""
    places = np.arange(size, dtype=np.float32) + np.float32(0.5)
    return np.asarray(places * np.float32(2.0 / size) - 1, np.float32)
