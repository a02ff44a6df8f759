"""Texture: six orthographic cells in one atlas, one for each side of the product, filled from the photos.

A face goes to the side it looks at most; its place in that side's cell is its orthographic projection, so that a cell is
the photo of that side itself. Sides nobody photographed are led on from their neighbours' edges.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dam_connector.catalog.product import View
from worker.imaging.cutout import extend_colours
from worker.modeling.model import Model, unit, vertex_normals
from worker.modeling.silhouettes import Outline, Size

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

SIDES = ("front", "right", "back", "left", "top", "bottom")
# for each side: its direction, and the model's axes along image right and image up (the header of silhouettes.py)
_FRAMES: Mapping[str, tuple[tuple[int, int, int], tuple[int, int, int], tuple[int, int, int]]] = {
    "front": ((0, 0, 1), (1, 0, 0), (0, 1, 0)),
    "back": ((0, 0, -1), (-1, 0, 0), (0, 1, 0)),
    "right": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
    "left": ((-1, 0, 0), (0, 0, 1), (0, 1, 0)),
    "top": ((0, 1, 0), (1, 0, 0), (0, 0, -1)),
    "bottom": ((0, -1, 0), (1, 0, 0), (0, 0, 1)),
}
GUTTER_PX = 6
PHOTO_BONUS = 1.25  # a side with a photo of its own wins faces from one without
CREASE = float(np.cos(np.radians(38)))
JPEG_QUALITY = 88


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cell:
    """A side's place in the atlas, in pixels."""

    x: int
    y: int
    width: int
    height: int


def textured(vertices: F32, faces: NDArray[np.uint32], outlines: Mapping[View, Outline], size: Size, texture_px: int, roughness: float) -> Model:
    """The mesh with its atlas; `vertices` fill the box of `size` exactly."""
    pictures = side_pictures(outlines)
    cells = _layout(size, texture_px)
    side = _side_of_faces(vertices, faces, {v.value for v in outlines})
    positions, uvs, normals, split = _unfold(vertices, faces, side, cells, size, texture_px)
    atlas = np.full((texture_px, texture_px, 3), 128, np.uint8)
    for name, cell in cells.items():
        picture = cv2.resize(
            pictures[name], (cell.width, cell.height), interpolation=cv2.INTER_AREA if pictures[name].shape[1] > cell.width else cv2.INTER_LINEAR
        )
        framed = cv2.copyMakeBorder(picture, GUTTER_PX, GUTTER_PX, GUTTER_PX, GUTTER_PX, cv2.BORDER_REPLICATE)
        atlas[cell.y - GUTTER_PX : cell.y + cell.height + GUTTER_PX, cell.x - GUTTER_PX : cell.x + cell.width + GUTTER_PX] = framed
    out = io.BytesIO()
    Image.fromarray(atlas).save(out, "JPEG", quality=JPEG_QUALITY, subsampling=0, optimize=True)
    return Model(positions=positions, normals=normals, uvs=uvs, faces=split, texture=out.getvalue(), roughness=roughness)


def _layout(size: Size, texture_px: int) -> dict[str, _Cell]:
    """Two shelves: the four sides around, then top and bottom; as large as the atlas takes."""
    w, h, d = size.width, size.height, size.depth
    pad = 2 * GUTTER_PX
    scale = min((texture_px - 4 * pad) / (2 * (w + d)), (texture_px - 2 * pad) / (h + d))
    spans = {"front": (w, h), "right": (d, h), "back": (w, h), "left": (d, h), "top": (w, d), "bottom": (w, d)}
    cells, x = {}, GUTTER_PX
    first_row = max(1, int(h * scale))
    for name in SIDES:
        if name == "top":
            x = GUTTER_PX
        width, height = (max(1, int(span * scale)) for span in spans[name])
        y = GUTTER_PX if name in SIDES[:4] else first_row + 3 * GUTTER_PX
        cells[name] = _Cell(x=x, y=y, width=width, height=height)
        x += width + pad
    return cells


def _side_of_faces(vertices: F32, faces: NDArray[np.uint32], photographed: set[str]) -> NDArray[np.int64]:
    """The index into SIDES for each face; a lone face among others goes with them."""
    corners = vertices[faces]
    flat = unit(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).astype(np.float32))
    smooth = unit((flat + vertex_normals(vertices, faces)[faces].mean(1)).astype(np.float32))
    gain = np.array([PHOTO_BONUS if name in photographed else 1.0 for name in SIDES])
    directions = np.array([_FRAMES[name][0] for name in SIDES], np.float32)
    return np.argmax(smooth @ directions.T * gain, axis=1)


def _unfold(
    vertices: F32, faces: NDArray[np.uint32], side: NDArray[np.int64], cells: Mapping[str, _Cell], size: Size, texture_px: int
) -> tuple[F32, F32, F32, NDArray[np.uint32]]:
    """Positions, uvs and normals with vertices split where sides meet, and the faces on them.

    A normal is the whole surface's where that is smooth, the side's own where there is a crease.
    """
    keys, split = np.unique((faces.astype(np.int64) * len(SIDES) + side[:, None]).ravel(), return_inverse=True)
    origin, side_of_vertex = keys // len(SIDES), keys % len(SIDES)
    positions = vertices[origin]
    split_faces = split.reshape(-1, 3).astype(np.uint32)
    welded, own = vertex_normals(vertices, faces)[origin], vertex_normals(positions, split_faces)
    normals = np.where((np.einsum("nd,nd->n", welded, own) > CREASE)[:, None], welded, own)
    box = size.as_array()
    centred = (positions - np.array([0, box[1] / 2, 0], np.float32)) / box
    uvs = np.zeros((len(positions), 2), np.float32)
    for number, name in enumerate(SIDES):
        here = side_of_vertex == number
        _, right, up = (np.array(axis, np.float32) for axis in _FRAMES[name])
        cell = cells[name]
        u = np.clip(centred[here] @ right + 0.5, 0, 1)
        v = np.clip(0.5 - centred[here] @ up, 0, 1)
        uvs[here] = np.stack([(cell.x + u * cell.width) / texture_px, (cell.y + v * cell.height) / texture_px], -1)
    return positions, uvs, unit(normals.astype(np.float32)), split_faces


def side_pictures(outlines: Mapping[View, Outline]) -> dict[str, U8]:
    """A picture for each side, product colours to its very edges, in the sides' own orientation."""
    seen = {view: extend_colours(o.rgb, o.alpha > 0.9) for view, o in outlines.items()}
    front_view = next((v for v in (View.FRONT, View.HERO, View.BACK, View.RIGHT, View.LEFT, View.TOP) if v in seen), View.FRONT)
    front = seen[front_view]
    pictures = {"front": front}
    pictures["back"] = seen.get(View.BACK, _unlettered(front[:, ::-1]))
    right, left = seen.get(View.RIGHT), seen.get(View.LEFT)
    edge = _edge_columns(outlines[front_view], front)
    pictures["right"] = right if right is not None else (_unlettered(left[:, ::-1]) if left is not None else edge[1])
    pictures["left"] = left if left is not None else (_unlettered(right[:, ::-1]) if right is not None else edge[0])
    above, below = _edge_rows(outlines[front_view], front)
    pictures["top"] = seen.get(View.TOP, above)
    pictures["bottom"] = below
    return pictures


def _unlettered(picture: U8) -> U8:
    """A mirrored side without what would read backwards: its colours, not its drawing."""
    sigma = max(1.0, 0.03 * max(picture.shape[:2]))
    return np.asarray(cv2.GaussianBlur(np.ascontiguousarray(picture), (0, 0), sigma), np.uint8)


def _edge_columns(seen: Outline, picture: U8) -> tuple[U8, U8]:
    """Pictures for the left and right side: each row in the colour of the front's outer tenth there."""
    inside = seen.alpha > 0.9
    width = max(2, picture.shape[1] // 10)
    columns = []
    for flip in (False, True):
        mask, rgb = (inside[:, ::-1], picture[:, ::-1]) if flip else (inside, picture)
        first = np.where(mask.any(1), mask.argmax(1), 0)
        index = np.clip(first[:, None] + np.arange(width)[None], 0, mask.shape[1] - 1)
        line = np.median(np.take_along_axis(rgb, index[..., None], axis=1), axis=1).astype(np.uint8)
        columns.append(np.repeat(cv2.GaussianBlur(line[:, None], (1, 5), 0).reshape(-1, 1, 3), 64, axis=1))
    return columns[0], columns[1]


def _edge_rows(seen: Outline, picture: U8) -> tuple[U8, U8]:
    """Pictures for top and bottom: each column in the colour of the front's upper or lower tenth there."""
    turned = Outline(alpha=np.ascontiguousarray(seen.alpha.T), rgb=np.ascontiguousarray(np.swapaxes(seen.rgb, 0, 1)))
    first, last = _edge_columns(turned, np.ascontiguousarray(np.swapaxes(picture, 0, 1)))
    return np.ascontiguousarray(np.swapaxes(first, 0, 1)), np.ascontiguousarray(np.swapaxes(last, 0, 1))
