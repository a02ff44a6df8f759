"""Texture: each texel takes its colour from the photos that see it best, blended where several do.

A photo counts where the surface looks towards it, nothing stands between, and the product's outline is not near. What no
photo sees takes the colour of the nearest surface that is seen, along the surface; a side that a mirror image of its
opposite may stand for takes that, without what would read backwards.
"""

import io
from collections.abc import Callable, Iterator, Mapping
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
from worker.modeling.atlas import DIRECTIONS, RIGHTS, SIDES, UPS, Atlas, unfolded
from worker.modeling.delight import light, matte, metal
from worker.modeling.model import Model, unit, vertex_normals
from worker.modeling.placing import Placed, Seen
from worker.modeling.relief import normal_map
from worker.modeling.silhouettes import Size
from worker.modeling.substance import Substance

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
I64 = NDArray[np.int64]
Faces = NDArray[np.uint32]

FINER = 1.0  # texels for each pixel of the photos; more holds nothing more
FACING = 3  # exponent: how fast a photo loses weight as the surface turns away
GRAZING = 0.15  # cosine below which a photo tells nothing
RIM_PX = 3  # of a photo, inside the outline: mixed with the background
AT_RIM = 0.02  # what they are trusted all the same
MIRRORED = 0.02  # weight of a mirror image beside a photo
FILLED = 0.0005  # weight of the nearest colours
LEAST_WEIGHT = 1e-6
WELL_INSIDE, SAMPLED = 0.9, 7  # which pixels of a photo say what it is of
SURE = 0.05  # where a photo's weight is more, nothing is filled in
SPREAD = 30  # rounds of smoothing what is filled
LETTERS = 0.03  # of a picture's side: details finer than this would read backwards
LEAST_AREA = 1e-3  # texels
LEAST_LIGHT = 0.4  # beside a chart it is led on beyond what there is
SLIGHT = 0.1  # of the trust in the photo that sees a place best: taken off all others, so that few of them count
AT_ONCE = 1 << 16  # texels, so that they stay in the cache
MAX_GAIN = 1.3  # between photos of one product; more is not a matter of exposure
CREASE = float(np.cos(np.radians(38)))
JPEG_QUALITY = 88
_AS_IT_IS = np.ones(3, np.float32)
_OPPOSITE = {"front": ("back", (1, 1, -1)), "back": ("front", (1, 1, -1)), "left": ("right", (-1, 1, 1)), "right": ("left", (-1, 1, 1))}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Projector:
    """A photo laid onto the product. picture: (h, w, 4) float32, the product's linear colours to beyond its outline, matte, and trust in
    them, near 0 at the outline and 1 well inside. side: the side it shows, straight ahead, unless `placed` tells its camera. turned: 1 or -1 by axis: where it
    stands for the product's other half, seen in a mirror."""

    picture: F32
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


def textured(vertices: F32, faces: Faces, seen_from: Mapping[View, Seen], size: Size, texture_px: int, substance: Substance) -> Model:
    """The mesh with its atlas; `vertices` fill the box of `size` exactly."""
    finest = max(s.outline.alpha.shape[0] / (size.depth if v is View.TOP else size.height) for v, s in seen_from.items()) * FINER
    smooth = vertex_normals(vertices, faces)
    bare = substance.is_bare(
        np.vstack([s.outline.rgb[::SAMPLED, ::SAMPLED][s.outline.alpha[::SAMPLED, ::SAMPLED] > WELL_INSIDE] for s in seen_from.values()])
    )
    projectors = _projectors(seen_from, metal if bare else matte)
    scene = _scene(vertices, faces)
    weights = np.stack([_weights(vertices, scene, smooth, p) for p in projectors], 1)
    fallen = np.ones(len(smooth), np.float32) if bare else light(smooth)
    seen = np.stack([_sampled(p, _places(p, vertices, size))[:, :3] for p in projectors], 1) / fallen[:, None, None]
    gains = _gains(seen, weights, [p.mirror for p in projectors])
    base = _filled(vertices, faces, seen * gains[None], weights)
    shown = (weights[faces].max(1)[:, [not p.mirror for p in projectors]] > MIRRORED).any(1)
    atlas = unfolded(vertices, faces, texture_px, finest, shown)
    evened = [replace(p, picture=p.picture * np.append(gain, 1).astype(np.float32)) for p, gain in zip(projectors, gains, strict=True)]
    weights = np.maximum(weights - SLIGHT * weights.max(1, keepdims=True), 0)
    baked = _baked(atlas, vertices, size, evened, weights, base * fallen[:, None], fallen)
    out = io.BytesIO()
    Image.fromarray(baked).save(out, "JPEG", quality=JPEG_QUALITY, subsampling=0, optimize=True)
    maps = {}
    if substance.relief:
        covered = np.zeros(atlas.height * atlas.width, bool)
        covered[atlas.drawn] = True
        maps["normal"] = normal_map(baked, covered.reshape(atlas.height, atlas.width), substance.relief)
    positions = vertices[atlas.vertex]
    welded, own = smooth[atlas.vertex], vertex_normals(positions, atlas.faces)
    normals = unit(np.where((np.einsum("nd,nd->n", welded, own) > CREASE)[:, None], welded, own).astype(np.float32))
    return Model(
        positions=positions,
        normals=normals,
        uvs=atlas.uvs,
        faces=atlas.faces,
        texture=out.getvalue(),
        roughness=substance.roughness,
        metallic=float(bare),
        maps=maps,
    )


def _projectors(seen: Mapping[View, Seen], unlit: Callable[[F32], F32]) -> list[_Projector]:
    """The photos, and mirror images for the sides without one. unlit: takes the light off linear colours."""
    found = []
    for view, photo in seen.items():
        inside = np.pad((photo.outline.alpha > 0.5).astype(np.uint8), 1)
        trust = np.clip(cv2.distanceTransform(inside, cv2.DIST_L2, 3)[1:-1, 1:-1] / RIM_PX, 0, 1) + AT_RIM
        side = SIDES.index("front" if view is View.HERO else view.value)
        picture = cv2.merge([*cv2.split(unlit(to_linear(photo.outline.rgb))), trust])
        found.append(_Projector(picture=picture, side=side, placed=photo.placed, turned=_AS_IT_IS))
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


def _unlettered(picture: F32) -> F32:
    """A mirrored side without what would read backwards: its colours, not its drawing."""
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (max(8, width // 8), max(8, height // 8)), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (0, 0), max(0.5, LETTERS * max(small.shape[:2])))
    blurred[..., 3] = small[..., 3]
    return np.asarray(cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


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
    if projector.placed is not None:
        return (projector.placed.pixels(points * projector.turned) - 0.5).astype(np.float32)
    box, pixels = size.as_array(), np.array(projector.picture.shape[1::-1], np.float32)
    ways = np.stack([RIGHTS[projector.side], -UPS[projector.side]], 1) / box[:, None] * pixels  # the picture's two directions
    at_floor = (pixels - 1) / 2 - np.array([0, box[1] / 2, 0]) @ ways
    return np.asarray(points @ (ways * projector.turned[:, None]).astype(np.float32) + at_floor.astype(np.float32), np.float32)


def _sampled(projector: _Projector, at: F32) -> F32:
    """Linear colours and trust (n, 4) at places (n, 2) of the picture."""
    rows = -(-len(at) // 4096)  # remap takes pictures of less than 32768 pixels a side
    padded = np.zeros((rows * 4096, 2), np.float32)
    padded[: len(at)] = at
    found = cv2.remap(projector.picture, padded.reshape(rows, 4096, 2), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found.reshape(rows * 4096, 4)[: len(at)], np.float32)


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


def _baked(atlas: Atlas, vertices: F32, size: Size, projectors: list[_Projector], weights: F32, base: F32, fallen: F32) -> U8:
    """The atlas' picture, (height, width, 3) uint8. base: (n, 3) colours as lit, where no photo tells any."""
    slopes = _slopes(atlas, np.hstack([vertices, fallen[:, None], weights, base]))
    most = weights[atlas.vertex][atlas.faces].max(1)
    picture = np.zeros(atlas.height * atlas.width, np.uint32)
    for faces, numbers, filled, group in _alike(atlas, most > FILLED, most.max(1) < SURE):
        planes = slopes[faces][:, :, [0, 1, 2, 3, *(4 + numbers), *([-3, -2, -1] if filled else [])]]
        among = np.zeros(len(slopes), np.int32)
        among[faces] = np.arange(len(faces))
        for first in range(0, len(group), AT_ONCE):
            texels = group[first : first + AT_ONCE]
            at = atlas.drawn.take(texels)
            place = np.stack([at % atlas.width + 0.5, at // atlas.width + 0.5, np.ones(len(at))], 1).astype(np.float32)
            known = np.einsum("nkc,nk->nc", planes.take(among.take(atlas.face.take(texels)), axis=0), place)
            colour = np.zeros((len(at), 4), np.float32)  # and how much it weighs
            if filled:
                colour[:, :3], colour[:, 3] = known[:, -3:] * np.float32(FILLED), FILLED
            for column, number in enumerate(numbers, 4):
                sample = _sampled(projectors[number], _places(projectors[number], known[:, :3], size))
                weight = np.maximum(known[:, column], LEAST_WEIGHT) * sample[:, 3]
                sample[:, 3] = 1
                colour += sample * weight[:, None]
            weight = colour[:, 3:].copy()
            colour[:, :3] /= np.maximum(known[:, 3:4], LEAST_LIGHT)
            picture[at] = to_srgb(colour / weight).view(np.uint32)[:, 0]
    spread = picture.take(atlas.nearest)  # seen from afar, texels around a chart are averaged into it
    spread.ravel()[atlas.drawn] = picture[atlas.drawn]
    return np.asarray(cv2.cvtColor(spread.view(np.uint8).reshape(atlas.height, atlas.width, 4), cv2.COLOR_RGBA2RGB), np.uint8)


def _alike(atlas: Atlas, photos: NDArray[np.bool_], filled: NDArray[np.bool_]) -> Iterator[tuple[I64, I64, bool, I64]]:
    """Faces that take their colour from the same photos, (m, k), and are filled or not, (m,): the faces, the photos, whether filled, and the
    texels, as places in `drawn`. So no photo's texels need to be picked out of others'."""
    kind = (np.column_stack([photos, filled]) @ (1 << np.arange(photos.shape[1] + 1))).astype(np.uint16)
    of_texel = kind.take(atlas.face)
    for group in np.split(np.argsort(of_texel, kind="stable"), np.cumsum(np.bincount(of_texel))[:-1]):
        if len(group):
            faces = np.flatnonzero(kind == of_texel[group[0]])
            yield faces, np.flatnonzero(photos[faces[0]]), bool(filled[faces[0]]), group


def _slopes(atlas: Atlas, values: F32) -> F32:
    """What is known at vertices (n, c) as planes over each face: (m, 3, c), by texels right, by texels down, at the corner."""
    corners = atlas.texels[atlas.faces].astype(np.float64)
    known = values[atlas.vertex][atlas.faces].astype(np.float64)
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]
    inverse = np.where(np.abs(area) > LEAST_AREA, 1 / np.where(area == 0, 1, area), 0)[:, None]  # a sliver is of one colour
    first, second = known[:, 1] - known[:, 0], known[:, 2] - known[:, 0]
    right = (first * two[:, 1:] - second * one[:, 1:]) * inverse
    down = (second * one[:, :1] - first * two[:, :1]) * inverse
    return np.stack([right, down, known[:, 0] - right * corners[:, 0, :1] - down * corners[:, 0, 1:]], 1).astype(np.float32)
