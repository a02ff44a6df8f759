"""The texture atlas: where each face of a mesh lies in its texture.

A chart is a connected patch of faces that face one of six sides, projected along that side's axis.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from worker.modeling.textured_mesh import unit_vectors, vertex_normals

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]
Faces = NDArray[np.uint32]

# For each side its direction, and the mesh's axes to the right and up in its picture (as in outlines.py).
SIDES = ("front", "right", "back", "left", "top", "bottom")
DIRECTIONS = np.array([(0, 0, 1), (1, 0, 0), (0, 0, -1), (-1, 0, 0), (0, 1, 0), (0, -1, 0)], np.float32)
RIGHTS = np.array([(1, 0, 0), (0, 0, -1), (-1, 0, 0), (0, 0, 1), (1, 0, 0), (1, 0, 0)], np.float32)
UPS = np.array([(0, 1, 0), (0, 1, 0), (0, 1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1)], np.float32)
GUTTER_PX = 3  # around each chart, in texels
NORMAL_SMOOTHINGS = 3  # of the normals that decide the sides; without it the borders of charts are ragged
SUBPIXEL_BITS = 4  # of coordinates when faces are drawn
NO_FACE = -1
MIN_WIDTH_PX = 256  # of the atlas
MAX_UNSEEN_SHARE = 0.05  # of a chart's faces that photos show: up to this it counts as unseen
UNSEEN_DENSITY = 0.3  # texels per metre of unseen charts, as a share of the usual


@dataclass(frozen=True, slots=True, kw_only=True)
class Atlas:
    """A mesh with its vertices split along the borders of charts and laid out in a texture.

    Texels are handled in blocks of 2 x 2, numbered row by row.
    """

    source_vertex: I64  # (n,) the vertex of the mesh that each split vertex comes from
    texels: F32  # (n, 2) position of each split vertex in the texture: right and down
    faces: Faces  # (m, 3) indices of split vertices
    width: int  # texels
    height: int  # texels
    drawn_blocks: NDArray[np.int32]  # (t,) the blocks that show a face or lie in a gutter
    block_faces: NDArray[np.int32]  # (t,) the face of each of these
    nearest_blocks: NDArray[np.int32]  # (height / 2, width / 2) for each block the nearest that shows a face

    @property
    def uvs(self) -> F32:
        """Return the texture coordinates of the split vertices, (n, 2), 0 to 1 from the top left."""
        return np.asarray(self.texels / np.array([self.width, self.height], np.float32), np.float32)

    @property
    def coverage(self) -> NDArray[np.bool_]:
        """Return a mask of the texels that show a face or lie in a gutter, (height, width)."""
        blocks = np.zeros(self.nearest_blocks.shape, bool)
        blocks.ravel()[self.drawn_blocks] = True
        return blocks.repeat(2, axis=0).repeat(2, axis=1)


def unwrap_mesh(
    vertices: F32, faces: Faces, texture_px: int, texels_per_m: float, is_seen: NDArray[np.bool_]
) -> Atlas:
    """Lay a mesh out in the smallest texture with the wanted density, or in the largest allowed.

    Args:
        vertices: (n, 3) metres.
        faces: (m, 3) indices.
        texture_px: The longest side allowed.
        texels_per_m: The density wanted.
        is_seen: (m,) whether a photo shows the face; charts that are hardly seen get UNSEEN_DENSITY.
    """
    side = _face_sides(vertices, faces)
    chart = _face_charts(faces, side)
    keys, indices = np.unique(chart[:, None] * len(vertices) + faces, return_inverse=True)
    vertex_chart, vertex = np.divmod(keys, len(vertices))
    split_faces = indices.reshape(-1, 3).astype(np.uint32)
    side_of_chart = np.zeros(chart.max() + 1, np.int64)
    side_of_chart[chart] = side
    vertex_sides = side_of_chart[vertex_chart]
    density = np.where(np.bincount(chart, is_seen) > MAX_UNSEEN_SHARE * np.bincount(chart), 1, UNSEEN_DENSITY)
    projected = (
        np.stack(
            [
                (vertices[vertex] * RIGHTS[vertex_sides]).sum(1),
                -(vertices[vertex] * UPS[vertex_sides]).sum(1),
            ],
            1,
        )
        * density[vertex_chart, None]
    )
    low = np.full((len(side_of_chart), 2), np.inf)
    high = -low
    np.minimum.at(low, vertex_chart, projected)
    np.maximum.at(high, vertex_chart, projected)
    scale, corners, (width, height) = _pack_charts(high - low, texture_px, texels_per_m)
    texels = ((projected - low[vertex_chart]) * scale + corners[vertex_chart] + GUTTER_PX).astype(np.float32)
    drawn, face, nearest = _rasterise(texels, split_faces, width, height)
    return Atlas(
        source_vertex=vertex,
        texels=texels,
        faces=split_faces,
        width=width,
        height=height,
        drawn_blocks=drawn,
        block_faces=face,
        nearest_blocks=nearest,
    )


def _face_sides(vertices: F32, faces: Faces) -> I64:
    """Return the index into SIDES of the side that each face and its neighbours face, (m,)."""
    normals = vertex_normals(vertices, faces)
    for _ in range(NORMAL_SMOOTHINGS):
        smooth = np.zeros_like(normals)
        per_face = normals[faces].mean(1)
        for corner in range(3):
            for axis in range(3):
                smooth[:, axis] += np.bincount(
                    faces[:, corner], weights=per_face[:, axis], minlength=len(vertices)
                ).astype(np.float32)
        normals = unit_vectors(smooth)
    corners = vertices[faces]
    flat = unit_vectors(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).astype(np.float32)
    )
    side = np.argmax((normals[faces].mean(1) + 0.5 * flat) @ DIRECTIONS.T, axis=1)
    facing = np.einsum("fd,fd->f", flat, DIRECTIONS[side])
    return np.where(
        facing > 0.05, side, np.argmax(flat @ DIRECTIONS.T, axis=1)
    )  # a face seen from behind would be drawn inside out


def _face_charts(faces: Faces, side: I64) -> I64:
    """Return the number of each face's chart, (m,)."""
    edges = np.sort(
        np.vstack([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64), axis=1
    )
    owner = np.tile(np.arange(len(faces)), 3)
    order = np.lexsort((edges[:, 1], edges[:, 0]))
    edges, owner = edges[order], owner[order]
    is_joined = (edges[1:] == edges[:-1]).all(1) & (side[owner[1:]] == side[owner[:-1]])
    joined = sparse.coo_matrix(
        (np.ones(int(is_joined.sum())), (owner[1:][is_joined], owner[:-1][is_joined])),
        shape=(len(faces), len(faces)),
    )
    return np.asarray(sparse.csgraph.connected_components(joined, directed=False)[1], np.int64)


def _pack_charts(
    spans: NDArray[np.float64], texture_px: int, max_density: float
) -> tuple[float, NDArray[np.float64], tuple[int, int]]:
    """Return texels per metre, the corner of each chart, and the atlas' width and height.

    Charts are placed on shelves, from the tallest to the lowest.
    """
    order = np.argsort(-spans[:, 1])
    sides = [px for px in (texture_px >> k for k in range(4)) if px >= MIN_WIDTH_PX] or [texture_px]
    for width, height in sorted(((w, h) for w in sides for h in (w, w // 2)), key=lambda s: s[0] * s[1]):
        corners = _place_on_shelves(spans, max_density, order, width, height)
        if corners is not None:
            return max_density, corners, (width, height)
    low, high = 0.0, max_density
    corners_found = np.zeros_like(spans)
    for _ in range(11):
        scale = (low + high) / 2
        corners = _place_on_shelves(spans, scale, order, texture_px, texture_px)
        if corners is None:
            high = scale
        else:
            low, corners_found = scale, corners
    return low, corners_found, (texture_px, texture_px)


def _place_on_shelves(
    spans: NDArray[np.float64], scale: float, order: I64, width_px: int, height_px: int
) -> NDArray[np.float64] | None:
    """Return the corners of the charts' boxes on shelves of a picture, or None if they do not fit."""
    boxes = np.ceil(spans * scale) + 2 * GUTTER_PX + 1
    if boxes.prod(1).sum() > width_px * height_px or (boxes.max(0) > [width_px, height_px]).any():
        return None
    corners = np.zeros_like(boxes)
    x = y = shelf = 0.0
    for number, (width, height) in zip(order, boxes[order].tolist(), strict=True):
        if x + width > width_px:
            x, y, shelf = 0.0, y + shelf, 0.0
        shelf = max(shelf, height)
        if y + shelf > height_px:
            return None
        corners[number] = x, y
        x += width
    return corners


def _rasterise(
    texels: F32, faces: Faces, width: int, height: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Draw the faces into blocks.

    Returns:
        The blocks that show a face, gutters included; the faces that they show; and for every block the
        nearest one with a face.
    """
    picture = np.full((height // 2, width // 2), NO_FACE, np.float32)
    corners = np.round((texels[faces] / 2 - 0.5) * (1 << SUBPIXEL_BITS)).astype(np.int32)
    for number, corner in enumerate(corners):
        cv2.fillConvexPoly(picture, corner, number, lineType=cv2.LINE_8, shift=SUBPIXEL_BITS)
    empty = (picture == NO_FACE).astype(np.uint8)
    distance, label = cv2.distanceTransformWithLabels(empty, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
    nearest = (
        np.flatnonzero(empty == 0).astype(np.int32).take(label - 1)
    )  # labels count the drawn blocks in this order
    drawn = np.flatnonzero(distance <= GUTTER_PX / 2).astype(np.int32)
    return drawn, picture.ravel().take(nearest.ravel().take(drawn)).astype(np.int32), nearest
