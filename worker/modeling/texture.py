"""Texture: each texel takes its colour from the photos that see it best, blended where several do.

A photo counts where the surface looks towards it, nothing stands between, and the product's outline is not near. What no
photo sees takes the colour of the nearest surface that is seen, along the surface; a side that a mirror image of its
opposite may stand for takes that, without what would read backwards.
"""

import io
from collections.abc import Iterator, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import sparse

from dam_connector.domain.product import View
from worker.imaging.linear_light import to_srgb
from worker.modeling.atlas import Atlas, unwrap_mesh
from worker.modeling.delighting import dielectric_colours, incident_light, metal_colours
from worker.modeling.material_estimate import MaterialEstimate
from worker.modeling.normal_map import normal_map
from worker.modeling.outlines import ProductSize
from worker.modeling.photo_camera import PosedPhoto
from worker.modeling.photo_projection import Projector, photo_projectors
from worker.modeling.ray_casting import RayCaster, ray_caster
from worker.modeling.textured_mesh import TexturedMesh, unit_vectors, vertex_normals

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
I64 = NDArray[np.int64]
Faces = NDArray[np.uint32]

FINER = 1.0  # texels for each pixel of the photos; more holds nothing more
FACING = 3  # exponent: how fast a photo loses weight as the surface turns away
GRAZING = 0.15  # cosine below which a photo tells nothing
MIRRORED = 0.02  # weight of a mirror image beside a photo
FILLED = 0.0005  # weight of the nearest colours
LEAST_WEIGHT = 1e-6
WELL_INSIDE, SAMPLED = 0.9, 7  # which pixels of a photo say what it is of
SURE = 0.05  # where a photo's weight is more, nothing is filled in
SPREAD = 30  # rounds of smoothing what is filled
SLIVER = 0.3  # texels: narrower faces
LEAST_LIGHT = 0.4  # beside a chart it is led on beyond what there is
SLIGHT = (
    0.1  # of the trust in the photo that sees a place best: taken off all others, so that few of them count
)
AT_ONCE = 1 << 14  # blocks of texels, so that they stay in the cache
MAX_GAIN = 1.3  # between photos of one product; more is not a matter of exposure
CREASE = float(np.cos(np.radians(38)))
JPEG_QUALITY = 88


def texture_mesh(
    vertices: F32,
    faces: Faces,
    seen_from: Mapping[View, PosedPhoto],
    size: ProductSize,
    texture_px: int,
    substance: MaterialEstimate,
) -> TexturedMesh:
    """The mesh with its atlas; `vertices` fill the box of `size` exactly."""
    finest = (
        max(
            s.outline.alpha.shape[0] / (size.depth if v is View.TOP else size.height)
            for v, s in seen_from.items()
        )
        * FINER
    )
    smooth = vertex_normals(vertices, faces)
    bare = substance.is_bare_metal(
        np.vstack(
            [
                s.outline.rgb[::SAMPLED, ::SAMPLED][s.outline.alpha[::SAMPLED, ::SAMPLED] > WELL_INSIDE]
                for s in seen_from.values()
            ]
        )
    )
    photos = photo_projectors(seen_from, metal_colours if bare else dielectric_colours)
    scene = ray_caster(vertices, faces)
    weights = np.stack([_weights(vertices, scene, smooth, p) for p in photos], 1)
    fallen = np.ones(len(smooth), np.float32) if bare else incident_light(smooth)
    places = [p.project(vertices, size) for p in photos]
    seen = (
        np.stack([p.sample(at)[:, :3] for p, at in zip(photos, places, strict=True)], 1)
        / fallen[:, None, None]
    )
    gains = _gains(seen, weights, [p.is_mirrored for p in photos])
    base = _filled(vertices, faces, seen * gains[None], weights)
    shown = (weights[faces].max(1)[:, [not p.is_mirrored for p in photos]] > MIRRORED).any(1)
    atlas = unwrap_mesh(vertices, faces, texture_px, finest, shown)
    evened = [p.with_gain(gain) for p, gain in zip(photos, gains, strict=True)]
    weights = np.maximum(weights - SLIGHT * weights.max(1, keepdims=True), 0)
    baked = _baked(atlas, evened, places, weights, base * fallen[:, None], fallen)
    out = io.BytesIO()
    Image.fromarray(baked).save(out, "JPEG", quality=JPEG_QUALITY, subsampling=0, optimize=True)
    maps = {}
    if substance.relief:
        maps["normal"] = normal_map(baked, atlas.coverage, substance.relief)
    positions = vertices[atlas.source_vertex]
    welded, own = smooth[atlas.source_vertex], vertex_normals(positions, atlas.faces)
    normals = unit_vectors(
        np.where((np.einsum("nd,nd->n", welded, own) > CREASE)[:, None], welded, own).astype(np.float32)
    )
    return TexturedMesh(
        positions=positions,
        normals=normals,
        uvs=atlas.uvs,
        faces=atlas.faces,
        texture=out.getvalue(),
        roughness=substance.roughness,
        metallic=float(bare),
        maps=maps,
    )


def _weights(vertices: F32, scene: RayCaster, normals: F32, projector: Projector) -> F32:
    """How much each vertex, (n,), trusts the picture: none where it looks away or something stands between."""
    towards = projector.directions_to_camera(vertices)
    facing = (normals * towards).sum(1)
    weight = np.where(facing > GRAZING, np.clip(facing, 0, 1) ** FACING, 0).astype(np.float32)
    asked = np.flatnonzero(weight)
    reach = 0.004 * float(np.ptp(vertices, axis=0).max())
    origins = vertices[asked] + normals[asked] * np.float32(reach)
    weight[asked[scene.is_blocked(origins, towards[asked])]] = 0
    return weight * np.float32(MIRRORED if projector.is_mirrored else 1)


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
    _, _, nearest = sparse.csgraph.dijkstra(
        edges, directed=False, indices=known, min_only=True, return_predecessors=True
    )
    reached = nearest[unknown] >= 0
    colours[unknown[reached]] = colours[nearest[unknown[reached]]]
    colours[unknown[~reached]] = colours[known].mean(0)  # a part that no photo sees
    around = sparse.coo_matrix((np.ones(len(ends)), ends.T), shape=edges.shape).tocsr()[unknown]
    degree = np.maximum(np.asarray(around.sum(1)), 1)
    for _ in range(SPREAD):
        colours[unknown] = 0.5 * colours[unknown] + 0.5 * (around @ colours) / degree
    return np.asarray(colours, np.float32)


def _baked(
    atlas: Atlas, photos: list[Projector], places: list[F32], weights: F32, base: F32, fallen: F32
) -> U8:
    """The atlas' picture, (height, width, 3) uint8. places: of each vertex in each photo, (n, 2). base: (n, 3) colours as lit, where no
    photo tells any."""
    slopes = _slopes(
        atlas,
        np.hstack(
            [
                fallen[:, None],
                base,
                *(np.column_stack([p, w]) for p, w in zip(places, weights.T, strict=True)),
            ]
        ),
    )
    most = weights[atlas.source_vertex][atlas.faces].max(1)
    blocks = np.zeros((atlas.nearest_blocks.size, 4), np.uint32)
    for faces, numbers, filled, group in _alike(atlas, most > FILLED, most.max(1) < SURE):
        planes = slopes[faces][
            :, :, [0, *((4 + 3 * numbers)[:, None] + np.arange(3)).ravel(), *([1, 2, 3] if filled else [])]
        ]
        among = np.zeros(len(slopes), np.int32)
        among[faces] = np.arange(len(faces))
        for first in range(0, len(group), AT_ONCE):
            some = group[first : first + AT_ONCE]
            at = atlas.drawn_blocks.take(some)
            known = _over_blocks(
                planes.take(among.take(atlas.block_faces.take(some)), axis=0), at, atlas.width // 2
            )
            if len(numbers) == 1 and not filled:
                colour = photos[numbers[0]].sample(known[:, 1:3])
            else:
                colour = np.zeros((len(known), 4), np.float32)  # and how much it weighs
                if filled:
                    colour[:, :3], colour[:, 3] = known[:, -3:] * np.float32(FILLED), FILLED
                for column, number in enumerate(numbers):
                    sample = photos[number].sample(known[:, 1 + 3 * column : 3 + 3 * column])
                    weight = np.maximum(known[:, 3 + 3 * column], LEAST_WEIGHT) * sample[:, 3]
                    sample[:, 3] = 1
                    colour += sample * weight[:, None]
                colour /= colour[:, 3:].copy()
            colour /= np.maximum(known[:, :1], LEAST_LIGHT)
            blocks[at] = to_srgb(colour).view(np.uint32).reshape(4, -1).T
    source = atlas.nearest_blocks.ravel().copy()  # seen from afar, texels around a chart are averaged into it
    source[atlas.drawn_blocks] = atlas.drawn_blocks
    spread = (
        blocks.take(source, axis=0)
        .reshape(*atlas.nearest_blocks.shape, 2, 2)
        .swapaxes(1, 2)
        .reshape(atlas.height, atlas.width)
    )
    return np.asarray(
        cv2.cvtColor(spread.view(np.uint8).reshape(atlas.height, atlas.width, 4), cv2.COLOR_RGBA2RGB),
        np.uint8,
    )


def _over_blocks(planes: F32, at: NDArray[np.int32], across: int) -> F32:
    """The planes' (n, 3, c) values at the four texels of each block, those on the right and below last: (4 n, c)."""
    right, down, start = planes[:, 0], planes[:, 1], planes[:, 2]
    known = np.empty((2, 2, *right.shape), np.float32)
    known[0, 0] = (
        start
        + right * (at % across * 2 + np.float32(0.5))[:, None]
        + down * (at // across * 2 + np.float32(0.5))[:, None]
    )
    known[0, 1] = known[0, 0] + right
    known[1] = known[0] + down
    return known.reshape(-1, right.shape[1])


def _alike(
    atlas: Atlas, photos: NDArray[np.bool_], filled: NDArray[np.bool_]
) -> Iterator[tuple[I64, I64, bool, I64]]:
    """Faces that take their colour from the same photos, (m, k), and are filled or not, (m,): the faces, the photos, whether filled, and the
    blocks, as places in `drawn`. So no photo's texels need to be picked out of others'."""
    kind = (np.column_stack([photos, filled]) @ (1 << np.arange(photos.shape[1] + 1))).astype(np.uint16)
    of_block = kind.take(atlas.block_faces)
    for group in np.split(np.argsort(of_block, kind="stable"), np.cumsum(np.bincount(of_block))[:-1]):
        if len(group):
            faces = np.flatnonzero(kind == of_block[group[0]])
            yield faces, np.flatnonzero(photos[faces[0]]), bool(filled[faces[0]]), group


def _slopes(atlas: Atlas, values: F32) -> F32:
    """What is known at vertices (n, c) as planes over each face: (m, 3, c), by texels right, by texels down, at the corner.

    Across a sliver it would change at any rate; there it is taken not to change.
    """
    corners, known = (
        atlas.texels[atlas.faces].astype(np.float64),
        values[atlas.source_vertex][atlas.faces].astype(np.float64),
    )
    middle, mean = corners.mean(1), known.mean(1)
    off = corners - middle[:, None]
    square = np.einsum("fki,fkj->fij", off, off) + SLIVER**2 * np.eye(2)
    ways = np.einsum("fij,fki->fjk", np.linalg.inv(square), off) @ (known - mean[:, None])
    return np.concatenate([ways, (mean - np.einsum("fi,fic->fc", middle, ways))[:, None]], 1).astype(
        np.float32
    )
