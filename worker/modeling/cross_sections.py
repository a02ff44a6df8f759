"""Sections: what a three-quarter photo's product looks like from the front if it is built up of like slices about an upright axis.

At each height the largest slice is taken whose rim lies within the photo's outline: exact for what is turned, near for what is
rounded or square. What these slices leave of the photo (a handle, a spout) is drawn onto the upright plane through the middle.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from worker.modeling.outlines import Outline, ProductSize
from worker.modeling.photo_camera import (
    COARSE_CELLS,
    COMPARISON_PX,
    PhotoCamera,
    rectify_onto_plane,
    silhouette_mask,
)
from worker.modeling.shape import Shape
from worker.modeling.voxel_grid import VoxelGrid

F32 = NDArray[np.float32]

POINTS = 40  # around a slice
SHARES = 48  # of the widest slice, that are tried
WITHIN = 0.9  # of its rim, that must lie within the outline: the widest slices touch it
WIDEST = 97  # percentile of the shares that counts as the whole width
NECK = 0.12  # of the widest: what stands on less is not of the same slices
BRIDGE = 0.07  # of the width: a part that ends so near to the body ends at it
LEAST_REST = 0.01  # of the photo: smaller remainders are the fit's
ROWS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A slice's form: |x|^square + |z|^square = 1 in a rectangle of width x depth metres, its middle `across` metres to the right."""

    exponent: float
    width: float
    depth: float
    offset_x: float = 0.0

    def rim_points(self) -> F32:
        """Points around it, (n, 2): x and z from its middle, in metres."""
        turn = np.linspace(0, 2 * np.pi, POINTS, endpoint=False)
        radius = (np.abs(np.cos(turn)) ** self.exponent + np.abs(np.sin(turn)) ** self.exponent) ** (
            -1 / self.exponent
        )
        return np.stack(
            [np.cos(turn) * radius * self.width / 2, np.sin(turn) * radius * self.depth / 2], 1
        ).astype(np.float32)


def candidate_sections(size: ProductSize, square: float, *, round_body: bool) -> list[Section]:
    """The slices to try: as wide as the product; of a round one with something beside it, round ones at either end too."""
    found = [Section(exponent=square, width=size.width, depth=size.depth)]
    least = min(size.width, size.depth)
    if round_body and square == 2 and size.width > 1.1 * least:
        found += [
            Section(exponent=2, width=least, depth=least, offset_x=side * (size.width - least) / 2)
            for side in (1, -1)
        ]
    return found


def front_view(
    photo: Outline, seen_by: PhotoCamera, size: ProductSize, section: Section, pixels: int
) -> Outline:
    """The product from the front, `pixels` along its longer side; its colours are the photo's on the upright plane."""
    shares = _shares(photo, seen_by, size, section, min(ROWS, pixels))
    drawn = rectify_onto_plane(photo, seen_by, size, 0.0, pixels)
    rows, columns = drawn.alpha.shape
    x = ((np.arange(columns) + 0.5) / columns - 0.5) * size.width
    half = (
        np.interp(1 - (np.arange(rows) + 0.5) / rows, (np.arange(len(shares)) + 0.5) / len(shares), shares)
        * section.width
        / 2
    )
    body = np.clip(
        (half[:, None] - np.abs(x[None] - section.offset_x)) * columns / size.width + 0.5, 0, 1
    ).astype(np.float32)
    rest = _rest(photo, seen_by, size, section, shares)
    if rest is not None:
        body = np.maximum(
            body,
            rectify_onto_plane(
                Outline(alpha=photo.alpha * rest, rgb=photo.rgb), seen_by, size, 0.0, pixels
            ).alpha,
        )
        near = max(1, round(BRIDGE * columns))
        body = cv2.morphologyEx(
            np.pad(body, ((0, 0), (near, near))), cv2.MORPH_CLOSE, np.ones((1, near), np.uint8)
        )[:, near:-near]
    return Outline(alpha=body, rgb=drawn.rgb)


def _shares(photo: Outline, seen_by: PhotoCamera, size: ProductSize, section: Section, rows: int) -> F32:
    """For each row from the floor how large its slice is, 0 to 1, (rows,); the rows that have none are left out, the rest stretched."""
    shares, rim = np.arange(1, SHARES + 1, dtype=np.float32) / SHARES, section.rim_points()
    points = np.zeros((rows, SHARES, POINTS, 3), np.float32)
    points[..., 0] = section.offset_x + shares[None, :, None] * rim[:, 0]
    points[..., 1] = ((np.arange(rows) + 0.5) / rows * size.height)[:, None, None]
    points[..., 2] = shares[None, :, None] * rim[:, 1]
    at = (seen_by.to_pixels(points.reshape(-1, 3)) - 0.5).reshape(rows, -1, 2).astype(np.float32)
    alpha = cv2.remap(photo.alpha, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    inside = (alpha.reshape(rows, SHARES, POINTS) > 0.4).mean(2) > WITHIN
    found = np.where(inside.any(1), shares[SHARES - 1 - inside[:, ::-1].argmax(1)], 0)
    filled = np.flatnonzero(found > 1.5 / SHARES)
    if len(filled) < 4:
        return np.ones(rows, np.float32)
    widest = int(np.argmax(found))
    thin = np.flatnonzero(found[widest:] < NECK * found[widest])
    if len(thin) and found[widest + thin[0] :].max() > NECK * found[widest]:  # a handle over it, seen through
        found[widest + thin[0] :] = 0
        filled = np.array([filled[0], rows - 1])
    found = np.interp(
        np.linspace(filled[0], filled[-1], rows), np.arange(rows), found / np.percentile(found, WIDEST)
    )
    near = max(3, rows // 24) | 1
    return np.minimum(
        ndimage.gaussian_filter1d(
            ndimage.median_filter(found, near, mode="nearest"), near / 3, mode="nearest"
        ),
        1,
    ).astype(np.float32)


def _rest(
    photo: Outline, seen_by: PhotoCamera, size: ProductSize, section: Section, shares: F32
) -> F32 | None:
    """What the slices leave of the photo, as a mask of its size; None where that is next to nothing."""
    few = COMPARISON_PX / max(photo.alpha.shape)
    wide, high = max(4, round(photo.alpha.shape[1] * few)), max(4, round(photo.alpha.shape[0] * few))
    small = cv2.resize(photo.alpha, (wide, high), interpolation=cv2.INTER_AREA) > 0.5
    body = silhouette_mask(
        _solid(size, section, shares), seen_by.scaled(wide / photo.alpha.shape[1]), wide, high
    )
    labels, _ = ndimage.label(small & ~ndimage.binary_dilation(body, iterations=2))
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    large = sizes > LEAST_REST * small.sum()
    if not large.any():
        return None
    grown = ndimage.binary_dilation(large[labels], iterations=3) & small
    mask = cv2.resize(
        grown.astype(np.float32), (photo.alpha.shape[1], photo.alpha.shape[0]), interpolation=cv2.INTER_LINEAR
    )
    return np.asarray(mask > 0.5, np.float32)


def _solid(size: ProductSize, section: Section, shares: F32) -> Shape:
    """The slices as a coarse shape."""
    grid = VoxelGrid(size, COARSE_CELLS)
    share = np.where(
        (grid.y < 0) | (grid.y > size.height),
        0,
        np.interp(grid.y / size.height, (np.arange(len(shares)) + 0.5) / len(shares), shares),
    )
    across, along = np.abs(grid.x - section.offset_x) / section.width * 2, np.abs(grid.z) / section.depth * 2
    place = (across[:, None] ** section.exponent + along[None] ** section.exponent) ** (1 / section.exponent)
    field = (share[None, :, None] - place[:, None, :]) * min(section.width, section.depth) / 2 / grid.cell
    return Shape(field=field.astype(np.float32), grid=grid, family="sections", confidence=0.5)
