"""A CPU renderer: embree finds the hits, numpy shades them. Studio light, soft shadow, anti-aliasing.

Light: a sky that is brighter above, a large soft key light from the viewer's upper left with traced shadows, a weak
fill from the right, and a highlight by roughness (Blinn-Phong, normalized). The lights turn with the camera, as when a
product is turned on its table. Colours are linear until the end.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh
from numpy.typing import NDArray
from PIL import Image

from worker.imaging.compose import to_linear, to_srgb
from worker.modeling.model import Model, unit

F32 = NDArray[np.float32]
Paint = Callable[[F32, F32, NDArray[np.int64]], F32]

KEY_DIRECTION = np.array([-0.45, 0.75, 0.6], np.float32) / np.float32(np.linalg.norm([-0.45, 0.75, 0.6]))
FILL_DIRECTION = np.array([0.7, 0.2, 0.68], np.float32)
KEY, FILL, SKY, GROUND = 1.55, 0.25, 0.62, 0.30
KEY_SIZE = 0.28  # the tangent of the key light's half angle: how soft its shadows are
OCCLUSION_RAYS = 1
CHUNK = 400_000
NAMED_VIEWS = {  # azimuth and elevation in degrees; None: orthographic
    "hero": (35.0, 18.0, 26.0),
    "front": (0.0, 0.0, None),
    "right": (90.0, 0.0, None),
    "back": (180.0, 0.0, None),
    "left": (270.0, 0.0, None),
    "top": (0.0, 90.0, None),
    "bottom": (0.0, -90.0, None),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """Looks at `target` from `azimuth` (0 is the front, 90 the product's right as +X) and `elevation`, in degrees.

    half: half the picture's width in metres at the target. fov: the full angle in degrees, or None for orthographic.
    """

    azimuth: float
    elevation: float
    target: tuple[float, float, float]
    half: float
    fov: float | None = None

    def axes(self) -> tuple[F32, F32, F32]:
        """Unit vectors towards the viewer, to the picture's right and to its top."""
        a, e = np.radians(self.azimuth), np.radians(self.elevation)
        back = np.array([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)])
        right = np.array([np.cos(a), 0, -np.sin(a)])
        return back.astype(np.float32), right.astype(np.float32), np.cross(back, right).astype(np.float32)

    def rays(self, u: F32, v: F32) -> tuple[F32, F32]:
        """Origins and directions of the rays through picture positions u (right) and v (up), each -1 to 1."""
        back, right, up = self.axes()
        at = np.array(self.target, np.float32) + self.half * (u[:, None] * right + v[:, None] * up)
        if self.fov is None:
            return (at + back * self.half * 8).astype(np.float32), np.broadcast_to(-back, at.shape).astype(np.float32)
        eye = np.array(self.target, np.float32) + back * self.half / np.float32(np.tan(np.radians(self.fov) / 2))
        return np.broadcast_to(eye, at.shape).astype(np.float32), unit((at - eye).astype(np.float32))


def camera_for(low: F32, high: F32, view: str, margin: float = 1.12) -> Camera:
    """The camera of a named view that shows the whole bounding box.

    Raises: KeyError when there is no such view.
    """
    azimuth, elevation, fov = NAMED_VIEWS[view]
    camera = Camera(azimuth=azimuth, elevation=elevation, target=(0, 0, 0), half=1.0, fov=fov)
    back, right, up = camera.axes()
    centre = (low + high) / 2
    corners = np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])]) - centre
    reach = np.maximum(np.abs(corners @ right), np.abs(corners @ up))
    half = float((reach + (np.maximum(corners @ back, 0) * np.tan(np.radians(fov) / 2) if fov else 0)).max()) * margin
    return Camera(azimuth=azimuth, elevation=elevation, target=(float(centre[0]), float(centre[1]), float(centre[2])), half=max(half, 1e-6), fov=fov)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How the picture is lit and what is behind it. background: linear grey level at bottom and top; None is transparent."""

    background: tuple[float, float] | None = (0.93, 0.98)
    shadow: bool = True
    samples: int = 2
    seed: int = 1


class Stage:
    """A model made ready for rays."""

    def __init__(self, model: Model, paint: Paint | None = None) -> None:
        self._model, self._paint = model, paint
        self._scene = rtcore_scene.EmbreeScene()
        TriangleMesh(self._scene, np.ascontiguousarray(model.positions[model.faces], np.float32))
        self._texture = None
        if model.texture is not None:
            with Image.open(io.BytesIO(model.texture)) as image:
                self._texture = to_linear(np.asarray(image.convert("RGB")))
        self._key, self._fill = KEY_DIRECTION, FILL_DIRECTION
        self._diagonal = float(np.linalg.norm(model.extent))

    def silhouette(self, camera: Camera, size: int) -> NDArray[np.bool_]:
        """(size, size) bool: where the model is."""
        u, v = _grid(size, np.full(2, 0.5, np.float32))
        return self._hits(*camera.rays(u, v))[0].reshape(size, size) >= 0

    def render(self, camera: Camera, size: int, look: Look = Look()) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """The picture as (size, size, 3) uint8 sRGB and its alpha (size, size) uint8."""
        rng = np.random.default_rng(look.seed)
        turn = _turned(camera.azimuth)
        self._key, self._fill = turn @ KEY_DIRECTION, turn @ FILL_DIRECTION
        colour = np.zeros((size * size, 3), np.float32)
        alpha = np.zeros(size * size, np.float32)
        n = look.samples
        for sample in range(n * n):
            jitter = np.array([(sample % n + 0.5) / n, (sample // n + 0.5) / n], np.float32)
            u, v = _grid(size, jitter)
            for start in range(0, len(u), CHUNK):
                part = slice(start, start + CHUNK)
                c, a = self._shade(camera, u[part], v[part], look, rng)
                colour[part] += c
                alpha[part] += a
        colour /= n * n
        alpha /= n * n
        if look.background is None:
            colour /= np.maximum(alpha[:, None], 1e-4)
        return to_srgb(colour).reshape(size, size, 3), np.asarray(alpha * 255 + 0.5, np.uint8).reshape(size, size)

    def _shade(self, camera: Camera, u: F32, v: F32, look: Look, rng: np.random.Generator) -> tuple[F32, F32]:
        """Premultiplied colour and alpha of one sample a pixel."""
        origins, directions = camera.rays(u, v)
        face, bary = self._hits(origins, directions)
        hit = face >= 0
        colour, alpha = np.zeros((len(u), 3), np.float32), hit.astype(np.float32)
        if hit.any():
            colour[hit] = self._surface(directions[hit], face[hit], bary[hit], rng)
        ground = self._ground_shadow(origins, directions, ~hit, rng) if look.shadow else np.zeros(len(u), np.float32)
        if look.background is None:
            return colour, np.maximum(alpha, ground)
        low, high = look.background
        level = (low + (high - low) * (v + 1) / 2)[:, None] * (1 - ground[:, None])
        return np.where(hit[:, None], colour, level).astype(np.float32), np.ones(len(u), np.float32)

    def _hits(self, origins: F32, directions: F32) -> tuple[NDArray[np.int64], F32]:
        """Face index (-1: none) and barycentric weights (n, 3) of each ray's first hit."""
        found = self._scene.run(np.ascontiguousarray(origins, np.float32), np.ascontiguousarray(directions, np.float32), output=1)
        u, v = found["u"], found["v"]
        return found["primID"].astype(np.int64), np.stack([1 - u - v, u, v], -1).astype(np.float32)

    def _blocked(self, origins: F32, directions: F32) -> NDArray[np.bool_]:
        hits: NDArray[np.int32] = self._scene.run(np.ascontiguousarray(origins, np.float32), np.ascontiguousarray(directions, np.float32))
        return np.asarray(hits >= 0)

    def _surface(self, directions: F32, face: NDArray[np.int64], bary: F32, rng: np.random.Generator) -> F32:
        m = self._model
        corners = m.faces[face]
        points = np.einsum("nc,ncd->nd", bary, m.positions[corners]).astype(np.float32)
        normal = unit(np.einsum("nc,ncd->nd", bary, m.normals[corners]).astype(np.float32))
        flat = np.cross(m.positions[corners[:, 1]] - m.positions[corners[:, 0]], m.positions[corners[:, 2]] - m.positions[corners[:, 0]])
        flat = unit(np.where((np.einsum("nd,nd->n", flat, directions) > 0)[:, None], -flat, flat).astype(np.float32))
        normal = np.where((np.einsum("nd,nd->n", normal, flat) < 0)[:, None], -normal, normal).astype(np.float32)
        albedo = self._albedo(points, normal, face, bary)
        start = points + flat * (1e-4 * self._diagonal)
        key = unit(self._key + KEY_SIZE * rng.standard_normal(points.shape).astype(np.float32))
        lit = np.clip(normal @ self._key, 0, 1) * ~self._blocked(start, key)
        open_sky = self._open_sky(start, normal, rng)
        sky = GROUND + (SKY - GROUND) * (normal[:, 1] * 0.5 + 0.5)
        fill = FILL * np.clip(normal @ self._fill, 0, 1)
        diffuse = albedo * ((KEY * lit + fill + sky * open_sky)[:, None]) * np.float32(0.62 * (1 - 0.6 * m.metallic))
        half = unit((self._key - directions).astype(np.float32))
        sharp = 2 / max(0.03, m.roughness) ** 2
        gloss = np.clip(np.einsum("nd,nd->n", normal, half), 0, 1) ** sharp * (sharp + 2) / 8 * 0.04 * (lit > 0)
        rim = 0.05 * (1 - np.abs(np.einsum("nd,nd->n", normal, directions))) ** 5 * (1 - m.roughness)
        return (diffuse + (gloss + rim)[:, None]).astype(np.float32)

    def _albedo(self, points: F32, normal: F32, face: NDArray[np.int64], bary: F32) -> F32:
        """Linear base colour at each hit."""
        if self._paint is not None:
            return self._paint(points, normal, face)
        base = np.array(self._model.color[:3], np.float32)
        if self._texture is None:
            return np.broadcast_to(base, points.shape).astype(np.float32)
        uv = np.einsum("nc,ncd->nd", bary, self._model.uvs[self._model.faces[face]])
        return _bilinear(self._texture, uv) * base

    def _open_sky(self, start: F32, normal: F32, rng: np.random.Generator) -> F32:
        """How much of the sky each point sees, by a few rays within reach of the product's own size."""
        seen = np.zeros(len(start), np.float32)
        for _ in range(OCCLUSION_RAYS):
            seen += ~self._blocked(start, unit(normal + unit(rng.standard_normal(start.shape).astype(np.float32)) * 0.98))
        return np.asarray(0.25 + 0.75 * seen / OCCLUSION_RAYS, np.float32)

    def _ground_shadow(self, origins: F32, directions: F32, wanted: NDArray[np.bool_], rng: np.random.Generator) -> F32:
        """How much light the product takes from the floor at its base, for rays that miss the product."""
        shade = np.zeros(len(origins), np.float32)
        down = wanted & (directions[:, 1] < -0.05)
        if not down.any():
            return shade
        o, d = origins[down], directions[down]
        floor = float(self._model.low[1])
        points = o + d * ((floor - o[:, 1]) / d[:, 1])[:, None]
        points[:, 1] += 2e-4 * self._diagonal
        key = self._blocked(points, unit(self._key + KEY_SIZE * rng.standard_normal(points.shape).astype(np.float32)))
        up = unit(np.array([0, 1, 0], np.float32) + unit(rng.standard_normal(points.shape).astype(np.float32)) * 0.98)
        shade[down] = 0.30 * key + 0.30 * self._blocked(points, up)
        return shade


def _turned(azimuth: float) -> F32:
    """The rotation about Y by an angle in degrees, (3, 3)."""
    c, s = np.cos(np.radians(azimuth)), np.sin(np.radians(azimuth))
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]], np.float32)


def _grid(size: int, jitter: F32) -> tuple[F32, F32]:
    """Picture positions of all pixels, rows from the top, flat."""
    step = 2.0 / size
    u = (np.arange(size, dtype=np.float32) + jitter[0]) * step - 1
    v = 1 - (np.arange(size, dtype=np.float32) + jitter[1]) * step
    return np.tile(u, size), np.repeat(v, size)


def _bilinear(texture: F32, uv: NDArray[np.floating]) -> F32:
    """Texture colours at uv (origin top left); beyond 0 to 1 the texture repeats."""
    height, width = texture.shape[:2]
    uv = np.where((uv < 0) | (uv > 1), uv - np.floor(uv), uv)
    x = np.clip(uv[:, 0] * width - 0.5, 0, width - 1.001)
    y = np.clip(uv[:, 1] * height - 0.5, 0, height - 1.001)
    x0, y0 = x.astype(np.int32), y.astype(np.int32)
    fx, fy = (x - x0)[:, None], (y - y0)[:, None]
    x1, y1 = np.minimum(x0 + 1, width - 1), np.minimum(y0 + 1, height - 1)
    top = texture[y0, x0] * (1 - fx) + texture[y0, x1] * fx
    low = texture[y1, x0] * (1 - fx) + texture[y1, x1] * fx
    return np.asarray(top * (1 - fy) + low * fy, np.float32)
