"""Cross-sections: the front view of a product from its three-quarter photo, as a stack of sections of one
form.

At each height the largest section is taken whose rim lies within the photo's outline. This is exact for
solids of revolution and near for rounded and square ones. Parts of the photo that the stack does not cover
(a handle, a spout) are rectified onto the upright plane through the product's middle.
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

RIM_POINTS = 40  # on the rim of a section
SCALES = 48  # sizes that are tried, up to the widest section
RIM_SHARE_INSIDE = 0.9  # that must lie within the outline; the widest sections touch it
FULL_WIDTH_PERCENTILE = 97  # of the sizes, that counts as the whole width
NECK_SHARE = 0.12  # of the widest section; a part above a narrower place does not belong to the stack
BRIDGE_SHARE = 0.07  # of the width; a part that ends so near to the body is joined to it
MIN_REMAINDER_SHARE = 0.01  # of the photo; smaller remainders come from an inexact fit
MAX_ROWS = 128  # heights that are looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The form of a horizontal section: |x|^exponent + |z|^exponent = 1, scaled into a rectangle."""

    exponent: float  # 2: an ellipse; larger: nearer to a rectangle
    width: float  # metres
    depth: float  # metres
    offset_x: float = 0.0  # metres from the product's middle to the section's

    def rim_points(self) -> F32:
        """Return points on the rim, (n, 2): x and z from the section's middle, in metres."""
        angle = np.linspace(0, 2 * np.pi, RIM_POINTS, endpoint=False)
        radius = (np.abs(np.cos(angle)) ** self.exponent + np.abs(np.sin(angle)) ** self.exponent) ** (
            -1 / self.exponent
        )
        return np.stack(
            [np.cos(angle) * radius * self.width / 2, np.sin(angle) * radius * self.depth / 2], 1
        ).astype(np.float32)


def candidate_sections(size: ProductSize, exponent: float, *, round_body: bool) -> list[Section]:
    """Return the sections to try for a product.

    One is as wide as the product. A round body can have a part beside it, e.g. a handle: then round
    sections at either end are tried too.
    """
    found = [Section(exponent=exponent, width=size.width, depth=size.depth)]
    diameter = min(size.width, size.depth)
    if round_body and exponent == 2 and size.width > 1.1 * diameter:
        found += [
            Section(exponent=2, width=diameter, depth=diameter, offset_x=side * (size.width - diameter) / 2)
            for side in (1, -1)
        ]
    return found


def front_view(
    photo: Outline, photo_camera: PhotoCamera, size: ProductSize, section: Section, pixels: int
) -> Outline:
    """Return the product's front view, `pixels` along its longer side, from a three-quarter photo.

    The outline is that of the stacked sections; the colours are the photo's, rectified onto the upright
    plane.
    """
    scales = _section_scales(photo, photo_camera, size, section, min(MAX_ROWS, pixels))
    rectified = rectify_onto_plane(photo, photo_camera, size, 0.0, pixels)
    rows, columns = rectified.alpha.shape
    x = ((np.arange(columns) + 0.5) / columns - 0.5) * size.width
    half = (
        np.interp(1 - (np.arange(rows) + 0.5) / rows, (np.arange(len(scales)) + 0.5) / len(scales), scales)
        * section.width
        / 2
    )
    body = np.clip(
        (half[:, None] - np.abs(x[None] - section.offset_x)) * columns / size.width + 0.5, 0, 1
    ).astype(np.float32)
    remainder = _remainder(photo, photo_camera, size, section, scales)
    if remainder is not None:
        body = np.maximum(
            body,
            rectify_onto_plane(
                Outline(alpha=photo.alpha * remainder, rgb=photo.rgb), photo_camera, size, 0.0, pixels
            ).alpha,
        )
        bridge_px = max(1, round(BRIDGE_SHARE * columns))
        body = cv2.morphologyEx(
            np.pad(body, ((0, 0), (bridge_px, bridge_px))), cv2.MORPH_CLOSE, np.ones((1, bridge_px), np.uint8)
        )[:, bridge_px:-bridge_px]
    return Outline(alpha=body, rgb=rectified.rgb)


def _section_scales(
    photo: Outline, photo_camera: PhotoCamera, size: ProductSize, section: Section, rows: int
) -> F32:
    """Return the size of the section at each height from the floor up, 0 to 1, (rows,).

    Rows without a section at either end are left out, and the others are stretched over their place.
    """
    scales, rim = np.arange(1, SCALES + 1, dtype=np.float32) / SCALES, section.rim_points()
    points = np.zeros((rows, SCALES, RIM_POINTS, 3), np.float32)
    points[..., 0] = section.offset_x + scales[None, :, None] * rim[:, 0]
    points[..., 1] = ((np.arange(rows) + 0.5) / rows * size.height)[:, None, None]
    points[..., 2] = scales[None, :, None] * rim[:, 1]
    pixel_map = (photo_camera.to_pixels(points.reshape(-1, 3)) - 0.5).reshape(rows, -1, 2).astype(np.float32)
    alpha = cv2.remap(
        photo.alpha, pixel_map, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0
    )
    inside = (alpha.reshape(rows, SCALES, RIM_POINTS) > 0.4).mean(2) > RIM_SHARE_INSIDE
    row_scales = np.where(inside.any(1), scales[SCALES - 1 - inside[:, ::-1].argmax(1)], 0)
    filled = np.flatnonzero(row_scales > 1.5 / SCALES)
    if len(filled) < 4:
        return np.ones(rows, np.float32)
    widest = int(np.argmax(row_scales))
    necks = np.flatnonzero(row_scales[widest:] < NECK_SHARE * row_scales[widest])
    if (
        len(necks) and row_scales[widest + necks[0] :].max() > NECK_SHARE * row_scales[widest]
    ):  # a handle above the body, with a gap below it
        row_scales[widest + necks[0] :] = 0
        filled = np.array([filled[0], rows - 1])
    row_scales = np.interp(
        np.linspace(filled[0], filled[-1], rows),
        np.arange(rows),
        row_scales / np.percentile(row_scales, FULL_WIDTH_PERCENTILE),
    )
    window = max(3, rows // 24) | 1
    return np.minimum(
        ndimage.gaussian_filter1d(
            ndimage.median_filter(row_scales, window, mode="nearest"), window / 3, mode="nearest"
        ),
        1,
    ).astype(np.float32)


def _remainder(
    photo: Outline, photo_camera: PhotoCamera, size: ProductSize, section: Section, scales: F32
) -> F32 | None:
    """Return the mask of what the sections do not cover of the photo; None if that is next to nothing."""
    reduction = COMPARISON_PX / max(photo.alpha.shape)
    width, height = (
        max(4, round(photo.alpha.shape[1] * reduction)),
        max(4, round(photo.alpha.shape[0] * reduction)),
    )
    small = cv2.resize(photo.alpha, (width, height), interpolation=cv2.INTER_AREA) > 0.5
    body_mask = silhouette_mask(
        _stacked_shape(size, section, scales),
        photo_camera.scaled(width / photo.alpha.shape[1]),
        width,
        height,
    )
    labels, _ = ndimage.label(small & ~ndimage.binary_dilation(body_mask, iterations=2))
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    is_large = sizes > MIN_REMAINDER_SHARE * small.sum()
    if not is_large.any():
        return None
    grown = ndimage.binary_dilation(is_large[labels], iterations=3) & small
    mask = cv2.resize(
        grown.astype(np.float32), (photo.alpha.shape[1], photo.alpha.shape[0]), interpolation=cv2.INTER_LINEAR
    )
    return np.asarray(mask > 0.5, np.float32)


def _stacked_shape(size: ProductSize, section: Section, scales: F32) -> Shape:
    """Return the stacked sections as a coarse shape."""
    grid = VoxelGrid(size, COARSE_CELLS)
    scale = np.where(
        (grid.y < 0) | (grid.y > size.height),
        0,
        np.interp(grid.y / size.height, (np.arange(len(scales)) + 0.5) / len(scales), scales),
    )
    across, along = np.abs(grid.x - section.offset_x) / section.width * 2, np.abs(grid.z) / section.depth * 2
    radius = (across[:, None] ** section.exponent + along[None] ** section.exponent) ** (1 / section.exponent)
    field = (scale[None, :, None] - radius[:, None, :]) * min(section.width, section.depth) / 2 / grid.cell
    return Shape(field=field.astype(np.float32), grid=grid, family="sections", confidence=0.5)
