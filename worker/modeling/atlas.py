"""Atlas: where each face lies in the texture. A chart is a connected patch of faces that look to one side, seen from that side."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from worker.modeling.model import unit, vertex_normals

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
Faces = NDArray[np.uint32]

# for each side: its direction, and the model's axes along image right and image up (the header of silhouettes.py)
SIDES = ("front", "right", "back", "left", "top", "bottom")
DIRECTIONS = np.array([(0, 0, 1), (1, 0, 0), (0, 0, -1), (-1, 0, 0), (0, 1, 0), (0, -1, 0)], np.float32)
RIGHTS = np.array([(1, 0, 0), (0, 0, -1), (-1, 0, 0), (0, 0, 1), (1, 0, 0), (1, 0, 0)], np.float32)
UPS = np.array([(0, 1, 0), (0, 1, 0), (0, 1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1)], np.float32)
GUTTER_PX = 3  # around each chart
SMOOTHINGS = 3  # of the normals that choose sides: without, charts fray
SUBPIXEL = 4  # bits, in drawing
NO_FACE = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Atlas:
    """A mesh unfolded. vertex: (n,) the mesh's vertex that each split one is.

    uvs: (n, 2) float32, 0 to 1 from the top left. faces: (m, 3) on the split vertices. face: (px, px) int32, the face drawn at each
    texel, its gutter included, else NO_FACE. nearest: (px, px) int32, the nearest drawn texel, counted row by row.
    """

    vertex: I64
    uvs: F32
    faces: Faces
    face: NDArray[np.int32]
    nearest: NDArray[np.int32]


def unfolded(vertices: F32, faces: Faces, texture_px: int, texels_per_m: float) -> Atlas:
    """The mesh laid out in at most `texture_px` texels a side, at most as fine as `texels_per_m`."""
    side = _side_of_faces(vertices, faces)
    chart = _charts(faces, side)
    keys, split = np.unique(np.stack([chart[:, None].repeat(3, 1).ravel(), faces.ravel().astype(np.int64)]), axis=1, return_inverse=True)
    split_faces = split.reshape(-1, 3).astype(np.uint32)
    chart_of, vertex = keys
    side_of_chart = np.zeros(chart.max() + 1, np.int64)
    side_of_chart[chart] = side
    own = side_of_chart[chart_of]
    flat = np.stack([(vertices[vertex] * RIGHTS[own]).sum(1), -(vertices[vertex] * UPS[own]).sum(1)], 1)
    low = np.full((len(side_of_chart), 2), np.inf)
    high = -low
    np.minimum.at(low, chart_of, flat)
    np.maximum.at(high, chart_of, flat)
    scale, corners = _packed(high - low, texture_px, texels_per_m)
    texels = (flat - low[chart_of]) * scale + corners[chart_of] + GUTTER_PX
    face, nearest = _drawn(texels, split_faces, texture_px)
    uvs = (texels / texture_px).astype(np.float32)
    return Atlas(vertex=vertex, uvs=uvs, faces=split_faces, face=face, nearest=nearest)


def _side_of_faces(vertices: F32, faces: Faces) -> I64:
    """The index into SIDES for each face: the side that it and its neighbours look to."""
    normals = vertex_normals(vertices, faces)
    for _ in range(SMOOTHINGS):
        smooth = np.zeros_like(normals)
        per_face = normals[faces].mean(1)
        for corner in range(3):
            for axis in range(3):
                smooth[:, axis] += np.bincount(faces[:, corner], weights=per_face[:, axis], minlength=len(vertices)).astype(np.float32)
        normals = unit(smooth)
    corners = vertices[faces]
    flat = unit(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).astype(np.float32))
    chosen = np.argmax((normals[faces].mean(1) + 0.5 * flat) @ DIRECTIONS.T, axis=1)
    own = np.einsum("fd,fd->f", flat, DIRECTIONS[chosen])
    return np.where(own > 0.05, chosen, np.argmax(flat @ DIRECTIONS.T, axis=1))  # a face seen from behind would be drawn inside out


def _charts(faces: Faces, side: I64) -> I64:
    """The number of the connected patch of one side that each face belongs to."""
    edges = np.sort(np.vstack([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64), axis=1)
    owner = np.tile(np.arange(len(faces)), 3)
    order = np.lexsort((edges[:, 1], edges[:, 0]))
    edges, owner = edges[order], owner[order]
    same = (edges[1:] == edges[:-1]).all(1) & (side[owner[1:]] == side[owner[:-1]])
    joined = sparse.coo_matrix((np.ones(int(same.sum())), (owner[1:][same], owner[:-1][same])), shape=(len(faces), len(faces)))
    return np.asarray(sparse.csgraph.connected_components(joined, directed=False)[1], np.int64)


def _packed(spans: NDArray[np.float64], texture_px: int, finest: float) -> tuple[float, NDArray[np.float64]]:
    """Texels per metre and each chart's corner, on shelves from the tallest to the lowest."""
    order = np.argsort(-spans[:, 1])
    low, high = 0.0, finest
    found = (0.0, np.zeros_like(spans))
    for attempt in range(12):
        scale = high if attempt == 0 else (low + high) / 2
        corners = _shelved(np.ceil(spans * scale) + 2 * GUTTER_PX + 1, order, texture_px)
        if corners is None:
            high = scale
        else:
            low, found = scale, (scale, corners)
            if attempt == 0:
                break
    return found


def _shelved(boxes: NDArray[np.float64], order: I64, side: int) -> NDArray[np.float64] | None:
    """Corners of boxes set on shelves of `side` texels, or None when they do not fit."""
    corners = np.zeros_like(boxes)
    x = y = shelf = 0.0
    for number in order:
        width, height = boxes[number]
        if x + width > side:
            x, y, shelf = 0.0, y + shelf, 0.0
        shelf = max(shelf, height)
        if width > side or y + shelf > side:
            return None
        corners[number] = x, y
        x += width
    return corners


def _drawn(texels: NDArray[np.float64], faces: Faces, texture_px: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The number of the face at each texel, gutters included; and the nearest drawn texel."""
    picture = np.full((texture_px, texture_px), NO_FACE, np.float32)
    corners = np.round((texels[faces] - 0.5) * (1 << SUBPIXEL)).astype(np.int32)
    for number, corner in enumerate(corners):
        cv2.fillConvexPoly(picture, corner, number, lineType=cv2.LINE_8, shift=SUBPIXEL)
    empty = picture == NO_FACE
    distance, label = cv2.distanceTransformWithLabels(empty.astype(np.uint8), cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
    drawn = np.flatnonzero(~empty)
    texel = np.zeros(int(label.max()) + 1, np.int32)
    texel[label.ravel()[drawn]] = drawn
    nearest = texel[label]
    face = np.where(distance <= GUTTER_PX, picture.ravel()[nearest], NO_FACE)
    return face.astype(np.int32), nearest
