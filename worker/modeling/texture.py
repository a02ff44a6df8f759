"""Texturing: each texel takes its colour from the photos that see it best, blended where several do.

A photo counts where the surface faces it, nothing is in between, and the product's outline is not near.
Surface that no photo sees takes the colour of the nearest surface that one sees, measured along the
surface. A side without a photo takes a mirror image of the opposite side, blurred so that no lettering
reads backwards. Both are mixed with the usual colour of the height (`height_colours.py`).
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import sparse

from dam_connector.domain.product import View
from worker.modeling.atlas import Atlas, unwrap_mesh
from worker.modeling.delighting import dielectric_colours, metal_colours
from worker.modeling.height_colours import with_height_colours
from worker.modeling.material_estimate import MaterialEstimate
from worker.modeling.normal_map import normal_map
from worker.modeling.outlines import ProductSize
from worker.modeling.photo_camera import PosedPhoto
from worker.modeling.photo_projection import Projector, photo_projectors
from worker.modeling.ray_casting import RayCaster, ray_caster
from worker.modeling.texture_baking import FILLED_WEIGHT, MIN_LIGHT, VertexColours, bake_texture
from worker.modeling.textured_mesh import TexturedMesh, unit_vectors, vertex_normals

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Faces = NDArray[np.uint32]
Mask = NDArray[np.bool_]

TEXELS_PER_PHOTO_PX = 1.0  # more would not add detail
FACING_EXPONENT = 3  # how fast a photo loses weight as the surface turns away
MIN_FACING = 0.15  # cosine below which a photo has no weight
MIN_FACING_OF_MANY = 0.08  # the same for a capture: no better photo of a level top will come
MIRRORED_WEIGHT = 0.06  # of a mirror image beside a photo
MIN_SAMPLE_ALPHA, SAMPLE_STRIDE = 0.9, 7  # the pixels of a photo from which its material is estimated
FILL_SMOOTHINGS = 30  # rounds of smoothing of filled-in colours
MAX_PROJECTORS = 48
FEW_PHOTOS, MANY_PHOTOS_MARGIN = 8, 0.75  # many photos are alike: only the best ones count, or detail blurs
WEIGHT_MARGIN = 0.1  # of the largest weight, taken off all: so that few photos count at a place
MAX_ALIKE = 6  # of many photos may count at a level place; where more see it alike, one does
FLAT_COSINE = 0.995  # of a normal to the vertical: a table's top, not a shoe's toe, which got stains
MIN_OVERLAP = 0.25  # of what one photo sees, that another has to see as well to be compared with it
MAX_GAIN = 1.3  # between photos of one product; a larger difference is not one of exposure
CREASE_COSINE = float(np.cos(np.radians(38)))  # normals are smoothed up to this angle
JPEG_QUALITY = 88


def texture_mesh(
    vertices: F32,
    faces: Faces,
    posed_photos: Mapping[View, PosedPhoto],
    size: ProductSize,
    texture_px: int,
    material: MaterialEstimate,
) -> TexturedMesh:
    """Return a mesh with a texture from photos.

    Args:
        vertices: (n, 3) metres; they fill the box of `size` exactly.
        faces: (m, 3) indices.
        posed_photos: The photos with their cameras.
        size: The product's size.
        texture_px: The longest side of the texture.
        material: The estimate from the product's description.
    """
    is_metal = material.is_bare_metal(_product_pixels(posed_photos))
    photos = photo_projectors(posed_photos, metal_colours if is_metal else dielectric_colours)
    density = _texels_per_m(posed_photos, size)
    return texture_from_photos(vertices, faces, photos, size, (texture_px, density), material, is_metal)


def texture_from_photos(
    vertices: F32,
    faces: Faces,
    photos: list[Projector],
    size: ProductSize,
    resolution: tuple[int, float],
    material: MaterialEstimate,
    is_metal: bool,
) -> TexturedMesh:
    """Return a mesh with a texture from projected photos, at most MAX_PROJECTORS.

    Args:
        vertices: (n, 3) metres.
        faces: (m, 3) indices.
        photos: The photos with their cameras.
        size: The product's size.
        resolution: The longest side of the texture, and the wanted texels per metre.
        material: The estimate from the product's description.
        is_metal: Whether the product is bare metal.
    """
    normals = vertex_normals(vertices, faces)
    rays = ray_caster(vertices, faces)
    least = MIN_FACING if len(photos) <= FEW_PHOTOS else MIN_FACING_OF_MANY
    is_visible = np.stack([_is_visible(vertices, rays, normals, p, least) for p in photos], 1)
    is_photo = [not p.is_mirrored for p in photos]
    is_seen = np.asarray(is_visible[faces][..., is_photo].any((1, 2)))
    atlas = unwrap_mesh(vertices, faces, *resolution, is_seen)
    split_normals = _creased_normals(vertices, normals, atlas)
    split = _Corners(vertices=vertices[atlas.source_vertex], normals=split_normals)
    weights = np.stack([_weights(split, p, least) for p in photos], 1) * is_visible[atlas.source_vertex]
    irradiance = np.ones_like(weights) if is_metal else _photo_light(split, photos)
    positions = [p.project(vertices, size) for p in photos]
    samples = np.stack([p.sample(at)[:, :3] for p, at in zip(photos, positions, strict=True)], 1)
    lit = samples[atlas.source_vertex]
    colours = np.asarray(lit / np.maximum(irradiance, MIN_LIGHT)[..., None], np.float32)
    gains = _exposure_gains(colours, weights, [p.is_mirrored for p in photos])
    seen_colours, seen_weights = _merged_corners(atlas, colours * gains[None], weights, len(vertices))
    filled = _fill_unseen(vertices, faces, seen_colours, seen_weights)
    margin = WEIGHT_MARGIN if len(photos) <= FEW_PHOTOS else MANY_PHOTOS_MARGIN
    if len(photos) > FEW_PHOTOS:
        weights = one_of_many(weights, split_normals[:, 1] > FLAT_COSINE)
    known = VertexColours(
        photos=[p.with_gain(gain) for p, gain in zip(photos, gains, strict=True)],
        positions=positions,
        weights=np.maximum(weights - margin * weights.max(1, keepdims=True), 0),
        filled=filled,
        filled_weights=np.full(len(weights), FILLED_WEIGHT, np.float32),
        irradiance=irradiance,
    )
    picture = bake_texture(atlas, with_height_colours(known, vertices, atlas, np.flatnonzero(is_photo)))
    return TexturedMesh(
        positions=vertices[atlas.source_vertex],
        normals=split_normals,
        uvs=atlas.uvs,
        faces=atlas.faces,
        texture=_jpeg(picture),
        roughness=material.roughness,
        metallic=float(is_metal),
        maps={"normal": normal_map(picture, atlas.coverage, material.relief)} if material.relief else {},
    )


def _product_pixels(posed_photos: Mapping[View, PosedPhoto]) -> U8:
    """Return pixels well inside the product in all photos, (n, 3) sRGB."""
    every = (slice(None, None, SAMPLE_STRIDE),) * 2
    return np.vstack(
        [
            photo.outline.rgb[every][photo.outline.alpha[every] > MIN_SAMPLE_ALPHA]
            for photo in posed_photos.values()
        ]
    )


def _texels_per_m(posed_photos: Mapping[View, PosedPhoto], size: ProductSize) -> float:
    """Return the density of the texture that keeps the detail of the largest photo."""
    return (
        max(
            photo.outline.alpha.shape[0] / (size.depth if view is View.TOP else size.height)
            for view, photo in posed_photos.items()
        )
        * TEXELS_PER_PHOTO_PX
    )


def _creased_normals(vertices: F32, smooth: F32, atlas: Atlas) -> F32:
    """Return the normals of the split vertices: smooth ones, or those of their chart if these differ much."""
    welded, own = smooth[atlas.source_vertex], vertex_normals(vertices[atlas.source_vertex], atlas.faces)
    is_smooth = (np.einsum("nd,nd->n", welded, own) > CREASE_COSINE)[:, None]
    return unit_vectors(np.where(is_smooth, welded, own).astype(np.float32))


def _jpeg(picture: U8) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=JPEG_QUALITY, subsampling=0, optimize=True)
    return out.getvalue()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Corners:
    """The vertices split along the borders of charts: at a crease each has the normals of its own side."""

    vertices: F32  # (s, 3) metres
    normals: F32  # (s, 3)


def _is_visible(vertices: F32, rays: RayCaster, normals: F32, projector: Projector, least: float) -> Mask:
    """Return whether a photo shows each vertex, (n,): nothing is in between, and it does not face away."""
    towards = projector.directions_to_camera(vertices)
    visible = (normals * towards).sum(1) > least
    candidates = np.flatnonzero(visible)
    reach = 0.004 * float(np.ptp(vertices, axis=0).max())
    origins = vertices[candidates] + normals[candidates] * np.float32(reach)
    visible[candidates[rays.is_blocked(origins, towards[candidates])]] = False
    return np.asarray(visible)


def _weights(corners: _Corners, projector: Projector, least: float) -> F32:
    """Return the weight of a photo by how the surface faces it, (s,): 0 where it hardly does."""
    facing = (corners.normals * projector.directions_to_camera(corners.vertices)).sum(1)
    weight = np.where(facing > least, np.clip(facing, 0, 1) ** FACING_EXPONENT, 0)
    return np.asarray(weight * (MIRRORED_WEIGHT if projector.is_mirrored else 1), np.float32)


def one_of_many(weights: F32, is_level: Mask) -> F32:
    """Return weights (s, k) in which one photo alone counts at level places (s,) that many see alike.

    All frames of a turntable see a level top from the same height. Their mean has no grain, since no shape
    and no camera is exact to a texel. Neighbouring places take the same photo, as long as it counts at all.
    """
    alike = weights > MANY_PHOTOS_MARGIN * weights.max(1, keepdims=True)
    rows = np.flatnonzero(is_level & (alike.sum(1) > MAX_ALIKE))
    chosen = alike[rows].argmax(1)
    out = weights.copy()
    out[rows] = 0
    out[rows, chosen] = 1
    return out


def _photo_light(corners: _Corners, photos: list[Projector]) -> F32:
    """Return the light on each corner when each photo was taken, (s, k)."""
    return np.stack([p.incident_light(corners.vertices, corners.normals) for p in photos], 1)


def _merged_corners(atlas: Atlas, colours: F32, weights: F32, count: int) -> tuple[F32, F32]:
    """Return the colours of vertices, (n, 3), from all photos and corners, and their greatest weights, (n,).

    Args:
        atlas: Where each vertex has its corners.
        colours: (s, k, 3) of the corners in each photo.
        weights: (s, k) of these.
        count: Of the vertices.
    """
    total = np.bincount(atlas.source_vertex, weights.sum(1), count)
    sums = (colours * weights[..., None]).sum(1)
    merged = np.stack([np.bincount(atlas.source_vertex, c, count) for c in sums.T], 1)
    highest = np.zeros(count, np.float32)
    np.maximum.at(highest, atlas.source_vertex, weights.sum(1))
    return np.asarray(merged / np.maximum(total, 1e-9)[:, None], np.float32), highest


def _exposure_gains(colours: F32, weights: F32, mirrored: list[bool]) -> F32:
    """Return the factors that match each photo's exposure and tint to the first one's, (k, 3).

    They come from the places that two photos see. What is within the spread there is no difference of
    exposure: photos of creases, and of a shape that is not exact, show different places.
    """
    count, seen = weights.shape[1], (weights > 0).sum(0)
    rows, targets = [np.eye(count)[0] * 100], [np.zeros(3)]
    for a in range(count):
        rows.append(np.eye(count)[a])  # regularization: no change is preferred
        targets.append(np.zeros(3))
        for b in range(a + 1, count):
            both = np.minimum(weights[:, a], weights[:, b]) > 0.1
            enough = max(50, MIN_OVERLAP * min(seen[a], seen[b]))
            if both.sum() > enough and not (mirrored[a] or mirrored[b]):
                ratios = np.log((colours[both, a] + 0.02) / (colours[both, b] + 0.02))
                middle = np.median(ratios, axis=0)
                spread = np.median(np.abs(ratios - middle), axis=0)
                rows.append((np.eye(count)[b] - np.eye(count)[a]) * 3)
                targets.append(3 * np.sign(middle) * np.maximum(np.abs(middle) - spread, 0))
    found = np.linalg.lstsq(np.array(rows), np.array(targets), rcond=None)[0]
    return np.exp(np.clip(found, -np.log(MAX_GAIN), np.log(MAX_GAIN))).astype(np.float32)


def _fill_unseen(vertices: F32, faces: Faces, seen: F32, total: F32) -> F32:
    """Return a colour for each vertex, (n, 3): its own, or the nearest seen one's along the surface.

    Args:
        vertices: (n, 3) metres.
        faces: (m, 3) indices.
        seen: (n, 3) linear colours.
        total: (n,) trust in these.
    """
    colours = seen.copy()
    known, unknown = (
        np.flatnonzero(total > 0.2 * MIRRORED_WEIGHT),
        np.flatnonzero(total <= 0.2 * MIRRORED_WEIGHT),
    )
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
    adjacency = sparse.coo_matrix((np.ones(len(ends)), ends.T), shape=edges.shape).tocsr()[unknown]
    degree = np.maximum(np.asarray(adjacency.sum(1)), 1)
    for _ in range(FILL_SMOOTHINGS):
        colours[unknown] = 0.5 * colours[unknown] + 0.5 * (adjacency @ colours) / degree
    return np.asarray(colours, np.float32)
