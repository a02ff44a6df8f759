"""Texture: each texel takes its colour from the photos that see it best, blended where several do.

A photo counts where the surface looks towards it, nothing stands between, and the product's outline is not near. What no
photo sees takes the colour of the nearest surface that is seen, along the surface; a side that a mirror image of its
opposite may stand for takes that, without what would read backwards.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh
from numpy.typing import NDArray
from PIL import Image
from scipy import sparse

from dam_connector.catalog.product import View
from worker.imaging.compose import to_linear, to_srgb
from worker.modeling.atlas import DIRECTIONS, NO_FACE, RIGHTS, SIDES, UPS, Atlas, unfolded
from worker.modeling.delight import light, matte
from worker.modeling.model import Model, unit, vertex_normals
from worker.modeling.placing import Placed, Seen
from worker.modeling.silhouettes import Size

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Faces = NDArray[np.uint32]

FINER = 1.1  # texels for each pixel of the photos; more holds nothing more
FACING = 3  # exponent: how fast a photo loses weight as the surface turns away
GRAZING = 0.15  # cosine below which a photo tells nothing
RIM_PX = 3  # of a photo, inside the outline: mixed with the background
MIRRORED = 0.02  # weight of a mirror image beside a photo
FILLED = 0.0005  # weight of the nearest colours
SPREAD = 30  # rounds of smoothing what is filled
LETTERS = 0.03  # of a picture's side: details finer than this would read backwards
LEAST_AREA = 1e-3  # texels
LEAST_LIGHT = 0.4  # beside a chart it is led on beyond what there is
AT_ONCE = 1 << 16  # texels, so that they stay in the cache
MAX_GAIN = 1.3  # between photos of one product; more is not a matter of exposure
CREASE = float(np.cos(np.radians(38)))
JPEG_QUALITY = 88
_AS_IT_IS = np.ones(3, np.float32)
_OPPOSITE = {"front": ("back", (1, 1, -1)), "back": ("front", (1, 1, -1)), "left": ("right", (-1, 1, 1)), "right": ("left", (-1, 1, 1))}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Projector:
    """A photo laid onto the product. picture: (h, w, 3) uint8, product colours to beyond its outline; inner: (h, w) float32, 0 at the
    outline to 1 well inside. side: the side it shows, straight ahead, unless `placed` tells its camera. turned: 1 or -1 by axis: where it
    stands for the product's other half, seen in a mirror."""

    picture: U8
    inner: F32
    side: int
    placed: Placed | None
    turned: F32

    @property
    def mirror(self) -> bool:
        return bool((self.turned < 0).any())

    def towards(self, points: F32) -> F32:
        """Unit directions from points (n, 3) to the photo's camera, (n, 3)."""
        if self.placed is None:
            return np.broadcast_to(DIRECTIONS[self.side] * self.turned, points.shape)
        return (self.placed.camera.towards(points * self.turned) * self.turned).astype(np.float32)


def textured(vertices: F32, faces: Faces, seen_from: Mapping[View, Seen], size: Size, texture_px: int, roughness: float) -> Model:
    """The mesh with its atlas; `vertices` fill the box of `size` exactly."""
    finest = max(s.outline.alpha.shape[0] / (size.depth if v is View.TOP else size.height) for v, s in seen_from.items()) * FINER
    atlas = unfolded(vertices, faces, texture_px, finest)
    smooth = vertex_normals(vertices, faces)
    projectors = _projectors(seen_from)
    scene = _scene(vertices, faces)
    weights = np.stack([_weights(vertices, scene, smooth, p) for p in projectors], 1)
    fallen = light(smooth)
    seen = np.stack([_sampled(p, _places(p, vertices, size)) for p in projectors], 1) / fallen[:, None, None]
    gains = _gains(seen, weights, [p.mirror for p in projectors])
    base = _filled(vertices, faces, seen * gains[None], weights)
    baked = _baked(atlas, vertices, size, projectors, gains, weights, base, fallen)
    out = io.BytesIO()
    Image.fromarray(baked).save(out, "JPEG", quality=JPEG_QUALITY, subsampling=0, optimize=True)
    positions = vertices[atlas.vertex]
    welded, own = smooth[atlas.vertex], vertex_normals(positions, atlas.faces)
    normals = unit(np.where((np.einsum("nd,nd->n", welded, own) > CREASE)[:, None], welded, own).astype(np.float32))
    return Model(positions=positions, normals=normals, uvs=atlas.uvs, faces=atlas.faces, texture=out.getvalue(), roughness=roughness)


def _projectors(seen: Mapping[View, Seen]) -> list[_Projector]:
    """The photos, and mirror images for the sides without one."""
    found = []
    for view, photo in seen.items():
        inside = np.pad((photo.outline.alpha > 0.5).astype(np.uint8), 1)
        inner = np.clip(cv2.distanceTransform(inside, cv2.DIST_L2, 3)[1:-1, 1:-1] / RIM_PX, 0, 1)
        side = SIDES.index("front" if view is View.HERO else view.value)
        found.append(_Projector(picture=photo.outline.rgb, inner=inner, side=side, placed=photo.placed, turned=_AS_IT_IS))
    shown = {view.value for view in seen}
    mirrored = []
    for projector in found:
        name = SIDES[projector.side]
        if View.HERO in seen and projector.placed is not None:
            ways = [(-1, 1, 1), (1, 1, -1), (-1, 1, -1)]
        else:
            ways = [_OPPOSITE[name][1]] if name in _OPPOSITE and _OPPOSITE[name][0] not in shown else []
        if ways:
            blurred = _unlettered(projector.picture)
            mirrored += [replace(projector, picture=blurred, turned=np.array(way, np.float32)) for way in ways]
    return found + mirrored


def _unlettered(picture: U8) -> U8:
    """A mirrored side without what would read backwards: its colours, not its drawing."""
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (max(8, width // 8), max(8, height // 8)), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (0, 0), max(0.5, LETTERS * max(small.shape[:2])))
    return np.asarray(cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _scene(vertices: F32, faces: Faces) -> rtcore_scene.EmbreeScene:
    scene = rtcore_scene.EmbreeScene()
    TriangleMesh(scene, np.ascontiguousarray(vertices[faces], np.float32))
    return scene


def _weights(vertices: F32, scene: rtcore_scene.EmbreeScene, normals: F32, projector: _Projector) -> F32:
    """How much each vertex, (n,), trusts the picture: none where it looks away or something stands between."""
    towards = projector.towards(vertices)
    facing = (normals * towards).sum(1)
    weight = np.where(facing > GRAZING, np.clip(facing, 0, 1) ** FACING, 0).astype(np.float32)
    asked = np.flatnonzero(weight)
    reach = 0.004 * float(np.ptp(vertices, axis=0).max())
    origins = vertices[asked] + normals[asked] * np.float32(reach)
    hits = scene.run(np.ascontiguousarray(origins, np.float32), np.ascontiguousarray(towards[asked], np.float32))
    weight[asked[hits >= 0]] = 0
    return weight * np.float32(MIRRORED if projector.mirror else 1)


def _places(projector: _Projector, points: F32, size: Size) -> F32:
    """Where points (n, 3) stand in the picture, (n, 2) pixels."""
    points = points * projector.turned
    if projector.placed is not None:
        return (projector.placed.pixels(points) - 0.5).astype(np.float32)
    box = size.as_array()
    centred = (points - np.array([0, box[1] / 2, 0], np.float32)) / box
    height, width = projector.picture.shape[:2]
    right, up = centred @ RIGHTS[projector.side], centred @ UPS[projector.side]
    return np.stack([(right + 0.5) * width - 0.5, (0.5 - up) * height - 0.5], 1).astype(np.float32)


def _remapped(picture: NDArray[np.generic], at: F32) -> F32:
    """The picture's values at places (n, 2), as float32."""
    rows = -(-len(at) // 4096)  # remap takes pictures of less than 32768 pixels a side
    padded = np.zeros((rows * 4096, 2), np.float32)
    padded[: len(at)] = at
    found = cv2.remap(picture, padded.reshape(rows, 4096, 2), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found.reshape(rows * 4096, *picture.shape[2:])[: len(at)], np.float32)


def _sampled(projector: _Projector, at: F32) -> F32:
    """Linear colours (n, 3) at places of the picture."""
    return matte(to_linear(_remapped(projector.picture, at).astype(np.uint8)))


def _gains(seen: F32, weights: F32, mirrored: list[bool]) -> F32:
    """For each picture (k, 3) what brings its exposure and tint to the first one's, told by what two of them see."""
    count = weights.shape[1]
    rows, wanted = [np.eye(count)[0] * 100], [np.zeros(3)]
    for a in range(count):
        rows.append(np.eye(count)[a])  # rather no change
        wanted.append(np.zeros(3))
        for b in range(a + 1, count):
            both = np.minimum(weights[:, a], weights[:, b]) > 0.1
            if both.sum() > 50 and not (mirrored[a] or mirrored[b]):
                ratio = np.median(np.log((seen[both, a] + 0.02) / (seen[both, b] + 0.02)), axis=0)
                rows.append((np.eye(count)[b] - np.eye(count)[a]) * 3)
                wanted.append(ratio * 3)
    found = np.linalg.lstsq(np.array(rows), np.array(wanted), rcond=None)[0]
    return np.exp(np.clip(found, -np.log(MAX_GAIN), np.log(MAX_GAIN))).astype(np.float32)


def _filled(vertices: F32, faces: Faces, seen: F32, weights: F32) -> F32:
    """A colour for each vertex, (n, 3): its own where it is seen, else that of the nearest seen one along the surface, smoothed."""
    total = weights.sum(1)
    colours = (seen * weights[..., None]).sum(1) / np.maximum(total, 1e-9)[:, None]
    known, unknown = np.flatnonzero(total > 0.2 * MIRRORED), np.flatnonzero(total <= 0.2 * MIRRORED)
    if not len(known) or not len(unknown):
        return np.asarray(colours, np.float32)
    ends = np.vstack([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64)
    lengths = np.linalg.norm(vertices[ends[:, 0]] - vertices[ends[:, 1]], axis=1) + 1e-9
    edges = sparse.coo_matrix((lengths, ends.T), shape=(len(vertices), len(vertices))).tocsr()
    _, _, nearest = sparse.csgraph.dijkstra(edges, directed=False, indices=known, min_only=True, return_predecessors=True)
    reached = nearest[unknown] >= 0
    colours[unknown[reached]] = colours[nearest[unknown[reached]]]
    colours[unknown[~reached]] = colours[known].mean(0)  # a part that no photo sees
    around = sparse.coo_matrix((np.ones(len(ends)), ends.T), shape=edges.shape).tocsr()[unknown]
    degree = np.maximum(np.asarray(around.sum(1)), 1)
    for _ in range(SPREAD):
        colours[unknown] = 0.5 * colours[unknown] + 0.5 * (around @ colours) / degree
    return np.asarray(colours, np.float32)


def _baked(atlas: Atlas, vertices: F32, size: Size, projectors: list[_Projector], gains: F32, weights: F32, base: F32, fallen: F32) -> U8:
    """The atlas' picture, (px, px, 3) uint8."""
    pixels = len(atlas.face)
    drawn = np.flatnonzero(atlas.face.ravel() != NO_FACE)
    slopes = _slopes(atlas, np.hstack([vertices, base, fallen[:, None], weights])[atlas.vertex])
    out = np.full((pixels * pixels, 3), 128, np.uint8)
    for first in range(0, len(drawn), AT_ONCE):
        at = drawn[first : first + AT_ONCE]
        place = np.stack([at % pixels + 0.5, at // pixels + 0.5, np.ones(len(at))], 1).astype(np.float32)
        blend = np.einsum("nkc,nk->nc", slopes[atlas.face.ravel()[at]], place)
        total = np.full(len(at), FILLED, np.float32)
        colour = blend[:, 3:6] * np.float32(FILLED)
        for number, projector in enumerate(projectors):
            weight = blend[:, 7 + number]
            some = np.flatnonzero(weight > FILLED)
            if not len(some):
                continue
            spot = _places(projector, blend[some, :3], size)
            own = weight[some] * (0.02 + _remapped(projector.inner, spot))
            colour[some] += _sampled(projector, spot) * (gains[number] * (own / np.maximum(blend[some, 6], LEAST_LIGHT))[:, None])
            total[some] += own
        out[at] = to_srgb(colour / total[:, None])
    empty = np.flatnonzero(atlas.face.ravel() == NO_FACE)
    out[empty] = out[atlas.nearest.ravel()[empty]]  # seen from afar, texels around a chart are averaged into it
    return out.reshape(pixels, pixels, 3)


def _slopes(atlas: Atlas, values: F32) -> F32:
    """What is known at split vertices (n, c) as planes over each face: (m, 3, c), by texels right, by texels down, at the corner."""
    corners = (atlas.uvs * np.float32(len(atlas.face)))[atlas.faces].astype(np.float64)
    known = values[atlas.faces].astype(np.float64)
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]
    inverse = np.where(np.abs(area) > LEAST_AREA, 1 / np.where(area == 0, 1, area), 0)[:, None]  # a sliver is of one colour
    first, second = known[:, 1] - known[:, 0], known[:, 2] - known[:, 0]
    right = (first * two[:, 1:] - second * one[:, 1:]) * inverse
    down = (second * one[:, :1] - first * two[:, :1]) * inverse
    return np.stack([right, down, known[:, 0] - right * corners[:, 0, :1] - down * corners[:, 0, 1:]], 1).astype(np.float32)
