"""Texturing: each texel takes its colour from the photos that see it best, blended where several do.

A photo counts where the surface faces it, nothing is in between, and the product's outline is not near.
Surface that no photo sees takes the colour of the nearest surface that one sees, measured along the
surface. A side without a photo takes a mirror image of the opposite side, blurred so that no lettering
reads backwards.
"""

import io
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import sparse

from dam_connector.domain.product import View
from worker.modeling.atlas import Atlas, unwrap_mesh
from worker.modeling.delighting import dielectric_colours, incident_light, metal_colours
from worker.modeling.material_estimate import MaterialEstimate
from worker.modeling.normal_map import normal_map
from worker.modeling.outlines import ProductSize
from worker.modeling.photo_camera import PosedPhoto
from worker.modeling.photo_projection import Projector, photo_projectors
from worker.modeling.ray_casting import RayCaster, ray_caster
from worker.modeling.texture_baking import VertexColours, bake_texture
from worker.modeling.textured_mesh import TexturedMesh, unit_vectors, vertex_normals

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Faces = NDArray[np.uint32]

TEXELS_PER_PHOTO_PX = 1.0  # more would not add detail
FACING_EXPONENT = 3  # how fast a photo loses weight as the surface turns away
MIN_FACING = 0.15  # cosine below which a photo has no weight
MIRRORED_WEIGHT = 0.02  # of a mirror image beside a photo
MIN_SAMPLE_ALPHA, SAMPLE_STRIDE = 0.9, 7  # the pixels of a photo from which its material is estimated
FILL_SMOOTHINGS = 30  # rounds of smoothing of filled-in colours
MAX_PROJECTORS = 48
FEW_PHOTOS, MANY_PHOTOS_MARGIN = 8, 0.75  # many photos are alike: only the best ones count, or detail blurs
WEIGHT_MARGIN = 0.1  # of the largest weight, taken off all: so that few photos count at a place
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
    weights = np.stack([_vertex_weights(vertices, rays, normals, p) for p in photos], 1)
    irradiance = np.ones(len(normals), np.float32) if is_metal else incident_light(normals)
    positions = [p.project(vertices, size) for p in photos]
    colours = (
        np.stack([p.sample(at)[:, :3] for p, at in zip(photos, positions, strict=True)], 1)
        / irradiance[:, None, None]
    )
    gains = _exposure_gains(colours, weights, [p.is_mirrored for p in photos])
    filled = _fill_unseen(vertices, faces, colours * gains[None], weights)
    is_seen = (weights[faces].max(1)[:, [not p.is_mirrored for p in photos]] > MIRRORED_WEIGHT).any(1)
    atlas = unwrap_mesh(vertices, faces, *resolution, is_seen)
    margin = WEIGHT_MARGIN if len(photos) <= FEW_PHOTOS else MANY_PHOTOS_MARGIN
    picture = bake_texture(
        atlas,
        VertexColours(
            photos=[p.with_gain(gain) for p, gain in zip(photos, gains, strict=True)],
            positions=positions,
            weights=np.maximum(weights - margin * weights.max(1, keepdims=True), 0),
            filled=filled * irradiance[:, None],
            irradiance=irradiance,
        ),
    )
    return TexturedMesh(
        positions=vertices[atlas.source_vertex],
        normals=_creased_normals(vertices, normals, atlas),
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


def _vertex_weights(vertices: F32, rays: RayCaster, normals: F32, projector: Projector) -> F32:
    """Return the weight of a photo at each vertex, (n,): 0 where it faces away or something is in between."""
    towards = projector.directions_to_camera(vertices)
    facing = (normals * towards).sum(1)
    weight = np.where(facing > MIN_FACING, np.clip(facing, 0, 1) ** FACING_EXPONENT, 0).astype(np.float32)
    candidates = np.flatnonzero(weight)
    reach = 0.004 * float(np.ptp(vertices, axis=0).max())
    origins = vertices[candidates] + normals[candidates] * np.float32(reach)
    weight[candidates[rays.is_blocked(origins, towards[candidates])]] = 0
    return weight * np.float32(MIRRORED_WEIGHT if projector.is_mirrored else 1)


def _exposure_gains(colours: F32, weights: F32, mirrored: list[bool]) -> F32:
    """Return the factors that match each photo's exposure and tint to the first one's, (k, 3).

    They come from the vertices that two photos see.
    """
    count = weights.shape[1]
    rows, targets = [np.eye(count)[0] * 100], [np.zeros(3)]
    for a in range(count):
        rows.append(np.eye(count)[a])  # regularization: no change is preferred
        targets.append(np.zeros(3))
        for b in range(a + 1, count):
            both = np.minimum(weights[:, a], weights[:, b]) > 0.1
            if both.sum() > 50 and not (mirrored[a] or mirrored[b]):
                ratio = np.median(np.log((colours[both, a] + 0.02) / (colours[both, b] + 0.02)), axis=0)
                rows.append((np.eye(count)[b] - np.eye(count)[a]) * 3)
                targets.append(ratio * 3)
    found = np.linalg.lstsq(np.array(rows), np.array(targets), rcond=None)[0]
    return np.exp(np.clip(found, -np.log(MAX_GAIN), np.log(MAX_GAIN))).astype(np.float32)


def _fill_unseen(vertices: F32, faces: Faces, photo_colours: F32, weights: F32) -> F32:
    """Return a colour for each vertex, (n, 3): its own, or the nearest seen one's along the surface."""
    total = weights.sum(1)
    colours = (photo_colours * weights[..., None]).sum(1) / np.maximum(total, 1e-9)[:, None]
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
