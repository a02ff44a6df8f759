"""Atlas: where each face lies in the texture. A chart is a connected patch of faces that look to one side, seen from that side."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from worker.modeling.textured_mesh import unit_vectors, vertex_normals

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
LEAST_PX = 256  # of the picture's width
BARELY, COARSER = 0.05, 0.3  # of a chart's faces; of the texels that it would have


@dataclass(frozen=True, slots=True, kw_only=True)
class Atlas:
    """A mesh unfolded. vertex: (n,) the mesh's vertex that each split one is.

    texels: (n, 2) float32, right and down, in a picture of `width` x `height`. faces: (m, 3) on the split vertices. Blocks are of 2 x 2
    texels. drawn: (t,) int32, those that show a face or lie in its gutter, counted row by row; face: (t,) int32, which. nearest:
    (height / 2, width / 2) int32, the nearest block that shows a face.
    """

    source_vertex: I64
    texels: F32
    faces: Faces
    width: int
    height: int
    drawn_blocks: NDArray[np.int32]
    block_faces: NDArray[np.int32]
    nearest_blocks: NDArray[np.int32]

    @property
    def uvs(self) -> F32:
        """(n, 2) float32, 0 to 1 from the top left."""
        return np.asarray(self.texels / np.array([self.width, self.height], np.float32), np.float32)

    @property
    def coverage(self) -> NDArray[np.bool_]:
        """Which texels show a face or lie in its gutter, (height, width)."""
        blocks = np.zeros(self.nearest_blocks.shape, bool)
        blocks.ravel()[self.drawn_blocks] = True
        return blocks.repeat(2, axis=0).repeat(2, axis=1)


def unwrap_mesh(
    vertices: F32, faces: Faces, texture_px: int, texels_per_m: float, seen: NDArray[np.bool_]
) -> Atlas:
    """The mesh laid out in the smallest picture of at most `texture_px` texels a side that has `texels_per_m`, or in the largest.

    seen: (m,) the faces that a photo shows; charts of which hardly anything is seen are COARSER.
    """
    side = _side_of_faces(vertices, faces)
    chart = _charts(faces, side)
    keys, split = np.unique(chart[:, None] * len(vertices) + faces, return_inverse=True)
    chart_of, vertex = np.divmod(keys, len(vertices))
    split_faces = split.reshape(-1, 3).astype(np.uint32)
    side_of_chart = np.zeros(chart.max() + 1, np.int64)
    side_of_chart[chart] = side
    own = side_of_chart[chart_of]
    fine = np.where(np.bincount(chart, seen) > BARELY * np.bincount(chart), 1, COARSER)
    flat = (
        np.stack([(vertices[vertex] * RIGHTS[own]).sum(1), -(vertices[vertex] * UPS[own]).sum(1)], 1)
        * fine[chart_of, None]
    )
    low = np.full((len(side_of_chart), 2), np.inf)
    high = -low
    np.minimum.at(low, chart_of, flat)
    np.maximum.at(high, chart_of, flat)
    scale, corners, (width, height) = _packed(high - low, texture_px, texels_per_m)
    texels = ((flat - low[chart_of]) * scale + corners[chart_of] + GUTTER_PX).astype(np.float32)
    drawn, face, nearest = _drawn(texels, split_faces, width, height)
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


def _side_of_faces(vertices: F32, faces: Faces) -> I64:
    """The index into SIDES for each face: the side that it and its neighbours look to."""
    normals = vertex_normals(vertices, faces)
    for _ in range(SMOOTHINGS):
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
    chosen = np.argmax((normals[faces].mean(1) + 0.5 * flat) @ DIRECTIONS.T, axis=1)
    own = np.einsum("fd,fd->f", flat, DIRECTIONS[chosen])
    return np.where(
        own > 0.05, chosen, np.argmax(flat @ DIRECTIONS.T, axis=1)
    )  # a face seen from behind would be drawn inside out


def _charts(faces: Faces, side: I64) -> I64:
    """The number of the connected patch of one side that each face belongs to."""
    edges = np.sort(
        np.vstack([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).astype(np.int64), axis=1
    )
    owner = np.tile(np.arange(len(faces)), 3)
    order = np.lexsort((edges[:, 1], edges[:, 0]))
    edges, owner = edges[order], owner[order]
    same = (edges[1:] == edges[:-1]).all(1) & (side[owner[1:]] == side[owner[:-1]])
    joined = sparse.coo_matrix(
        (np.ones(int(same.sum())), (owner[1:][same], owner[:-1][same])), shape=(len(faces), len(faces))
    )
    return np.asarray(sparse.csgraph.connected_components(joined, directed=False)[1], np.int64)


def _packed(
    spans: NDArray[np.float64], texture_px: int, finest: float
) -> tuple[float, NDArray[np.float64], tuple[int, int]]:
    """Texels per metre, each chart's corner, on shelves from the tallest to the lowest, and the picture's width and height."""
    order = np.argsort(-spans[:, 1])
    sides = [px for px in (texture_px >> k for k in range(4)) if px >= LEAST_PX] or [texture_px]
    for width, height in sorted(((w, h) for w in sides for h in (w, w // 2)), key=lambda s: s[0] * s[1]):
        corners = _shelved(spans, finest, order, width, height)
        if corners is not None:
            return finest, corners, (width, height)
    low, high = 0.0, finest
    found = np.zeros_like(spans)
    for _ in range(11):
        scale = (low + high) / 2
        corners = _shelved(spans, scale, order, texture_px, texture_px)
        if corners is None:
            high = scale
        else:
            low, found = scale, corners
    return low, found, (texture_px, texture_px)


def _shelved(
    spans: NDArray[np.float64], scale: float, order: I64, across: int, down: int
) -> NDArray[np.float64] | None:
    """Corners of the charts' boxes set on shelves of `across` texels, or None when they do not fit."""
    boxes = np.ceil(spans * scale) + 2 * GUTTER_PX + 1
    if boxes.prod(1).sum() > across * down or (boxes.max(0) > [across, down]).any():
        return None
    corners = np.zeros_like(boxes)
    x = y = shelf = 0.0
    for number, (width, height) in zip(order, boxes[order].tolist(), strict=True):
        if x + width > across:
            x, y, shelf = 0.0, y + shelf, 0.0
        shelf = max(shelf, height)
        if y + shelf > down:
            return None
        corners[number] = x, y
        x += width
    return corners


def _drawn(
    texels: F32, faces: Faces, width: int, height: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """The blocks that show a face, gutters included, the faces that they show, and for every block the nearest one with a face."""
    picture = np.full((height // 2, width // 2), NO_FACE, np.float32)
    corners = np.round((texels[faces] / 2 - 0.5) * (1 << SUBPIXEL)).astype(np.int32)
    for number, corner in enumerate(corners):
        cv2.fillConvexPoly(picture, corner, number, lineType=cv2.LINE_8, shift=SUBPIXEL)
    empty = (picture == NO_FACE).astype(np.uint8)
    distance, label = cv2.distanceTransformWithLabels(empty, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
    nearest = (
        np.flatnonzero(empty == 0).astype(np.int32).take(label - 1)
    )  # labels count the drawn blocks in this order
    drawn = np.flatnonzero(distance <= GUTTER_PX / 2).astype(np.int32)
    return drawn, picture.ravel().take(nearest.ravel().take(drawn)).astype(np.int32), nearest
