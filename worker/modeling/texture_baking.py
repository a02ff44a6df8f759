"""Baking: the texture's texels, coloured from the photos in proportion to the weights of the faces'
corners.

Colours, weights and photo positions are known at vertices. Over each face they are planes, functions of the
texel's position. Faces that use the same photos are baked together, so that no photo's texels have to be
selected one by one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.imaging.linear_light import to_srgb
from worker.modeling.atlas import Atlas
from worker.modeling.photo_projection import Projector

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
I64 = NDArray[np.int64]

FILLED_WEIGHT = 0.0005  # the least of the filled-in colours beside the photos
SURE_WEIGHT = 0.05  # of a photo; where one has more, nothing is filled in
MIN_WEIGHT = 1e-6  # of a photo that a face uses
MIN_LIGHT = 0.2  # planes go on beyond their face into the gutter, where they could reach 0
FILLED_COLUMNS = 4  # of planes: the filled-in colour and its weight
PHOTO_COLUMNS = 4  # of planes: x, y, weight and light of a photo
SLIVER_TEXELS = 0.3  # narrower faces have no reliable gradient
CHUNK_BLOCKS = 1 << 14  # baked at once, so that the arrays stay in the processor's cache


@dataclass(frozen=True, slots=True, kw_only=True)
class VertexColours:
    """What is known of the colour at the vertices of a mesh."""

    photos: list[Projector]  # k of them
    positions: list[F32]  # for each photo (n, 2) pixels of the vertices in it
    weights: F32  # (s, k) trust in each photo at the atlas' split vertices
    filled: F32  # (n, 3) linear colours without light, for where no photo is trusted
    filled_weights: F32  # (s,) trust in these
    irradiance: F32  # (s, k) light on the surface there, which each photo's colours are divided by


@dataclass(frozen=True, slots=True, kw_only=True)
class _FaceGroup:
    """Faces that take their colour from the same photos."""

    faces: I64  # indices of the faces
    photos: I64  # indices of the photos
    is_filled: bool  # whether filled-in colours count too
    members: I64  # the blocks that show these faces, as indices into Atlas.drawn_blocks


def bake_texture(atlas: Atlas, colours: VertexColours) -> U8:
    """Return the atlas' picture, (height, width, 3) sRGB."""
    planes = _face_planes(
        atlas,
        np.hstack(
            [
                colours.filled[atlas.source_vertex],
                colours.filled_weights[:, None],
                *(
                    np.column_stack([at[atlas.source_vertex], weight, light])
                    for at, weight, light in zip(
                        colours.positions, colours.weights.T, colours.irradiance.T, strict=True
                    )
                ),
            ]
        ),
    )
    face_weights = colours.weights[atlas.faces].max(1)
    blocks = np.zeros((atlas.nearest_blocks.size, 4), np.uint32)
    is_guessed = colours.filled_weights[atlas.faces].max(1) > FILLED_WEIGHT
    is_filled = is_guessed | (face_weights.max(1) < SURE_WEIGHT)
    for group in _face_groups(atlas, face_weights > FILLED_WEIGHT, is_filled):
        columns = (FILLED_COLUMNS + PHOTO_COLUMNS * group.photos)[:, None] + np.arange(PHOTO_COLUMNS)
        filled = range(FILLED_COLUMNS if group.is_filled else 0)
        group_planes = planes[group.faces][:, :, [*columns.ravel(), *filled]]
        index_in_group = np.zeros(len(planes), np.int32)
        index_in_group[group.faces] = np.arange(len(group.faces))
        for first in range(0, len(group.members), CHUNK_BLOCKS):
            members = group.members[first : first + CHUNK_BLOCKS]
            chunk = atlas.drawn_blocks.take(members)
            values = _block_values(
                group_planes.take(index_in_group.take(atlas.block_faces.take(members)), axis=0),
                chunk,
                atlas.width // 2,
            )
            blocks[chunk] = to_srgb(_blend(values, group, colours.photos)).view(np.uint32).reshape(4, -1).T
    return _picture(atlas, blocks)


def _blend(values: F32, group: _FaceGroup, photos: list[Projector]) -> F32:
    """Return the linear colours and the alpha of texels, (t, 4).

    Args:
        values: (t, c) for each photo of the group x, y, weight and light; then the filled-in colour and its
            weight, if it counts.
        group: The faces that the texels show.
        photos: All photos.
    """
    if len(group.photos) == 1 and not group.is_filled:
        sample = photos[group.photos[0]].sample(values[:, :2])
        return np.asarray(sample / np.maximum(values[:, 3:4], MIN_LIGHT), np.float32)
    colour = np.zeros((len(values), 4), np.float32)  # the last column sums the weights
    if group.is_filled:
        colour[:, 3] = np.maximum(values[:, -1], MIN_WEIGHT)
        colour[:, :3] = values[:, -FILLED_COLUMNS:-1] * colour[:, 3:]
    for column, number in enumerate(group.photos):
        of_photo = values[:, PHOTO_COLUMNS * column : PHOTO_COLUMNS * (column + 1)]
        sample, light = photos[number].sample(of_photo[:, :2]), of_photo[:, 3]
        weight = np.maximum(of_photo[:, 2], MIN_WEIGHT) * sample[:, 3]
        sample[:, :3] *= (weight / np.maximum(light, MIN_LIGHT))[:, None]
        sample[:, 3] = weight
        colour += sample
    return np.asarray(colour / colour[:, 3:], np.float32)


def _picture(atlas: Atlas, blocks: NDArray[np.uint32]) -> U8:
    """Return the picture of the blocks (b, 4) of RGBA texels, empty blocks filled from the nearest drawn one.

    Seen from afar, texels around a chart are averaged into it.
    """
    source = atlas.nearest_blocks.ravel().copy()
    source[atlas.drawn_blocks] = atlas.drawn_blocks
    texels = (
        blocks.take(source, axis=0)
        .reshape(*atlas.nearest_blocks.shape, 2, 2)
        .swapaxes(1, 2)
        .reshape(atlas.height, atlas.width)
    )
    return np.asarray(
        cv2.cvtColor(texels.view(np.uint8).reshape(atlas.height, atlas.width, 4), cv2.COLOR_RGBA2RGB),
        np.uint8,
    )


def _block_values(planes: F32, blocks: NDArray[np.int32], blocks_across: int) -> F32:
    """Return the values of planes (n, 3, c) at the four texels of each block, (4 n, c).

    All upper left texels come first, then the upper right, lower left and lower right ones.
    """
    right, down, start = planes[:, 0], planes[:, 1], planes[:, 2]
    values = np.empty((2, 2, *right.shape), np.float32)
    values[0, 0] = (
        start
        + right * (blocks % blocks_across * 2 + np.float32(0.5))[:, None]
        + down * (blocks // blocks_across * 2 + np.float32(0.5))[:, None]
    )
    values[0, 1] = values[0, 0] + right
    values[1] = values[0] + down
    return values.reshape(-1, right.shape[1])


def _face_groups(
    atlas: Atlas, uses_photo: NDArray[np.bool_], is_filled: NDArray[np.bool_]
) -> Iterator[_FaceGroup]:
    """Yield the faces in groups that use the same photos. uses_photo: (m, k); is_filled: (m,)."""
    sets = np.column_stack([uses_photo, is_filled]) @ (1 << np.arange(uses_photo.shape[1] + 1))
    kind = np.unique(sets, return_inverse=True)[1]
    kind_of_block = kind.take(atlas.block_faces)
    for members in np.split(
        np.argsort(kind_of_block, kind="stable"), np.cumsum(np.bincount(kind_of_block))[:-1]
    ):
        if len(members):
            faces = np.flatnonzero(kind == kind_of_block[members[0]])
            yield _FaceGroup(
                faces=faces,
                photos=np.flatnonzero(uses_photo[faces[0]]),
                is_filled=bool(is_filled[faces[0]]),
                members=members,
            )


def _face_planes(atlas: Atlas, values: F32) -> F32:
    """Return values at split vertices (s, c) as planes over each face, (m, 3, c).

    A plane has the change to the right, the change downwards, both per texel, and the value at the
    texture's corner. Across a sliver a change would be arbitrary; there the values are taken as constant.
    """
    corners, corner_values = (
        atlas.texels[atlas.faces].astype(np.float64),
        values[atlas.faces].astype(np.float64),
    )
    middle, mean = corners.mean(1), corner_values.mean(1)
    offsets = corners - middle[:, None]
    moments = np.einsum("fki,fkj->fij", offsets, offsets) + SLIVER_TEXELS**2 * np.eye(2)
    gradients = np.einsum("fij,fki->fjk", np.linalg.inv(moments), offsets) @ (corner_values - mean[:, None])
    return np.concatenate(
        [gradients, (mean - np.einsum("fi,fic->fc", middle, gradients))[:, None]], 1
    ).astype(np.float32)
