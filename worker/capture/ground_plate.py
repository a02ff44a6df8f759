"""The ground of a walk as seen from above: what mattes have of it is taken off them.

A cut-out often takes a rug or a shadow for product. Both lie on the ground, and the ground stays as it is
while the camera moves: each place on it has one colour in most photos. A pixel of a matte that has the colour
of the ground behind it is ground, unless the upper part of the product is in front of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.capture.drawn_cells import cell_px, draw_cells
from worker.capture.frame_camera import FrameCamera

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
U8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]

PLATE_PX = 420  # side of the plate
COMPARED_PX = 512  # longer side at which photos are compared with it
REACH_FACTOR = 2.2  # of the product's reach, that the plate shows
MIN_SIGHTINGS = 5  # photos that show a place of the ground
ROUNDS = 2  # of matching exposures
LIKE_LEVELS = 12.0  # of a channel in the mean: less difference is the same colour
TEXTURE_SHARE = 0.6  # of the ground's own variation, that a blurred or shifted photo may differ besides
# Beyond the darkest and the brightest ground nearby: more is product. Photos differ by their spread besides.
UNLIKE_LEVELS, SPREAD_FACTOR = 10.0, 3.0
SHIFT_PX = 5  # side of the area that counts as nearby: cameras are not exact
MAX_UNLIKE_SHARE = 0.5  # of the ground that a photo shows
MAX_GAIN = 1.8  # between the exposures of two photos
NARROW_PX = 9  # a matte so narrow is a leg rather than ground, whatever is behind it
MATTE_ALPHA = 60  # from which on a place belongs to a matte
LEAST_PART_PX = 80  # of ground in a matte: less is noise


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundPlate:
    """The colours of the ground."""

    colours: F32  # (s, s, 3) the rows along Z, the columns along X
    known: Mask  # (s, s)
    spread: F32  # (s, s) by how many levels the photos differ there, in the median
    reach: float  # of the plate from the origin
    gains: dict[int, F32]  # (3,) the exposure of each photo, by its number

    def to_texels(self, points: F64) -> F32:
        """Return the places on the plate of points (n, 3) of the ground, (n, 2)."""
        return np.asarray((points[:, [0, 2]] / self.reach + 1) / 2 * PLATE_PX - 0.5, np.float32)


def make_plate(
    pictures: Mapping[int, U8],
    cameras: Mapping[int, FrameCamera],
    mattes: Mapping[int, U8],
    hidden: Mapping[int, Mask],
    reach: float,
) -> GroundPlate:
    """Return the ground of photos with settled cameras.

    Args:
        pictures: (h, w, 3) each.
        cameras: Their cameras; the ground is at y = 0.
        mattes: (h, w) each; exposures are matched outside of them.
        hidden: Where the product is in front of the ground, (h, w) each, reduced in size.
        reach: How far the product reaches from the origin.
    """
    side = REACH_FACTOR * reach
    places = ((np.arange(PLATE_PX) + 0.5) / PLATE_PX * 2 - 1) * side
    x, z = np.meshgrid(places, places)
    points = np.column_stack([x.ravel(), np.zeros(x.size), z.ravel()]).astype(np.float32)
    layers, clear = [], []
    for number, camera in cameras.items():
        seen = camera.to_camera(points)[:, 2] > 0.05
        at = (camera.to_pixels(points) - np.float32(0.5)).reshape(PLATE_PX, PLATE_PX, 2)
        height, width = mattes[number].shape
        inside = (at > 0).all(2) & (at[..., 0] < width - 1) & (at[..., 1] < height - 1)
        colours = cv2.remap(pictures[number], at, None, cv2.INTER_LINEAR).astype(np.float32)
        scale = np.float32(hidden[number].shape[1] / width)
        is_hidden = cv2.remap(hidden[number].astype(np.uint8), at * scale, None, cv2.INTER_NEAREST) > 0
        colours[is_hidden | ~(inside & seen.reshape(inside.shape))] = np.nan
        layers.append(colours)
        clear.append(cv2.remap(mattes[number], at, None, cv2.INTER_LINEAR) < 20)
    stack = np.stack(layers)
    known = np.isfinite(stack[..., 0]).sum(0) >= MIN_SIGHTINGS
    stack[:, ~known] = 0
    gains = np.ones((len(stack), 3), np.float32)
    for _ in range(ROUNDS):
        plate = _median_of_known(stack / gains[:, None, None])
        for row, (layer, is_clear) in enumerate(zip(stack, clear, strict=True)):
            used = known & is_clear & np.isfinite(layer[..., 0])
            if used.sum() > 200:
                ratio = np.median((layer[used] + 8) / (plate[used] + 8), axis=0)
                gains[row] = np.clip(ratio, 1 / MAX_GAIN, MAX_GAIN)
    spread = _median_of_known(np.abs(stack / gains[:, None, None] - plate).mean(3))
    return GroundPlate(
        colours=np.asarray(plate, np.float32),
        known=known,
        spread=np.asarray(spread, np.float32),
        reach=side,
        gains={number: gains[row] for row, number in enumerate(cameras)},
    )


def _median_of_known(layers: NDArray[np.floating]) -> F32:
    """Return the median over the first axis without NaN, as numpy.nanmedian, in a fifth of its time."""
    ordered, count = np.sort(layers, axis=0), np.isfinite(layers).sum(0)[None]  # NaN is last
    lower, upper = (
        np.take_along_axis(ordered, middle, 0)[0] for middle in (np.maximum(count - 1, 0) // 2, count // 2)
    )
    return np.asarray((lower + upper) / 2, np.float32)


def ground_in_photo(plate: GroundPlate, number: int, picture: U8, camera: FrameCamera) -> Mask:
    """Return where a photo looks like the ground that would be seen there, (h, w), reduced in size."""
    seen, expected, known, _ = _beside_the_ground(plate, number, picture, camera)
    variation = np.sqrt(np.maximum(cv2.blur(expected**2, (7, 7)) - cv2.blur(expected, (7, 7)) ** 2, 0)).mean(
        2
    )
    difference = cv2.blur(np.abs(cv2.blur(seen, (3, 3)) - cv2.blur(expected, (3, 3))).mean(2), (5, 5))
    like = (difference < LIKE_LEVELS + TEXTURE_SHARE * variation) & known
    return np.asarray(cv2.medianBlur(like.astype(np.uint8), 5) > 0)


def product_in_photo(plate: GroundPlate, number: int, picture: U8, camera: FrameCamera) -> Mask:
    """Return where a photo cannot show the ground that it would show there, (h, w), reduced in size.

    Shadows lie on the ground and are part of it. Empty where the photo differs from the ground nearly
    everywhere: its camera is wrong, or its exposure.
    """
    seen, expected, known, spread = _beside_the_ground(plate, number, picture, camera)
    near = np.ones((SHIFT_PX, SHIFT_PX), np.uint8)
    seen = cv2.blur(seen, (2, 2))
    beyond = np.maximum(seen - cv2.dilate(expected, near), cv2.erode(expected, near) - seen)
    sure = cv2.erode(known.astype(np.uint8), near) > 0
    unlike = (np.maximum(beyond, 0).mean(2) > UNLIKE_LEVELS + SPREAD_FACTOR * spread) & sure
    is_usable = unlike.sum() < MAX_UNLIKE_SHARE * sure.sum()
    return np.asarray(unlike & is_usable)


def _beside_the_ground(
    plate: GroundPlate, number: int, picture: U8, camera: FrameCamera
) -> tuple[F32, F32, Mask, F32]:
    """Return a photo without its exposure, the ground behind it, where that is known, and its spread.

    All are of one size, (h, w), reduced.
    """
    scale = min(1.0, COMPARED_PX / max(picture.shape[:2]))
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    seen = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.float32) / plate.gains[number]
    rows, columns = np.mgrid[0 : size[1], 0 : size[0]] + 0.5
    rays = camera.ray_directions(np.column_stack([columns.ravel(), rows.ravel()]) / scale)
    falls = rays[:, 1] < -1e-4
    along = np.where(falls, -camera.eye[1] / np.where(falls, rays[:, 1], -1), 0)
    texels = plate.to_texels(camera.eye + rays * along[:, None])
    texels[~falls] = -9
    at = texels.reshape(size[1], size[0], 2)
    expected, spread = (
        cv2.remap(layer, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(0, 0, 0))
        for layer in (plate.colours, plate.spread)
    )
    known = cv2.remap(
        plate.known.astype(np.uint8), at, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT
    )
    return seen, expected, known > 0, spread


def ground_in_matte(matte: U8, ground: Mask, upper: Mask) -> Mask:
    """Return where a matte, (h, w), has parts that look like ground, reduced in size.

    Args:
        matte: The matte.
        ground: Where the photo looks like ground, reduced in size.
        upper: Where the upper part of the product is in front, of the same size.
    """
    small = cv2.resize(matte, ground.shape[::-1], interpolation=cv2.INTER_AREA) > MATTE_ALPHA
    taken = (ground & ~upper & small).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (NARROW_PX, NARROW_PX))
    taken = cv2.morphologyEx(taken, cv2.MORPH_OPEN, kernel)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(taken, connectivity=8)
    is_part = stats[:, cv2.CC_STAT_AREA] >= LEAST_PART_PX
    is_part[0] = False
    return np.asarray(is_part[labels])


def ground_share(
    points: F32,
    cameras: Mapping[int, FrameCamera],
    grounds: Mapping[int, Mask],
    mattes: Mapping[int, U8],
    hidden: Mapping[int, Mask],
) -> F32:
    """Return for each of some points the share of the photos which see it that take it for ground, (n,).

    A cut-out that leaves a place out says so as well: otherwise the good cut-outs of a product on a rug would
    vote for the rug.

    Args:
        points: (n, 3) in the lower part of the product.
        cameras: The cameras by the number of the photo.
        grounds: Where each photo looks like ground, (h, w), reduced in size.
        mattes: (h, w) each.
        hidden: Where the upper part of the product is in front of the ground, of the size of `grounds`.
    """
    taken, seen = np.zeros(len(points), np.float32), np.zeros(len(points), np.float32)
    for number, camera in cameras.items():
        height, width = grounds[number].shape
        scale = np.float32(width / (2 * camera.centre[0]))
        at = np.rint(camera.to_pixels(points) * scale - np.float32(0.5)).astype(int)
        inside = ((at >= 0) & (at < (width, height))).all(1)
        right, down = np.clip(at, 0, (width - 1, height - 1)).T
        is_seen = inside & ~hidden[number][down, right]
        small = cv2.resize(mattes[number], (width, height), interpolation=cv2.INTER_AREA)
        is_ground = grounds[number] | (small <= MATTE_ALPHA)
        seen += is_seen
        taken += is_seen & is_ground[down, right]
    return np.asarray(taken / np.maximum(seen, 1), np.float32)


def without_ground(matte: U8, ground: Mask, product: Mask) -> U8:
    """Return a matte, (h, w), without ground.

    Args:
        matte: The matte.
        ground: Where it has parts that look like ground, reduced in size.
        product: Where the other photos show product nevertheless, of the same size.
    """
    taken = (ground & ~product).astype(np.uint8) * np.uint8(255)
    off = cv2.resize(taken, matte.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.min(matte, 255 - off), np.uint8)


def cells_in_photo(points: F32, step: float, camera: FrameCamera, size_px: tuple[int, int]) -> Mask:
    """Return where cells (n, 3) of a size are in a photo of width and height, (h, w), reduced in size."""
    scale = min(1.0, COMPARED_PX / max(size_px))
    width, height = (round(side * scale) for side in size_px)
    if not len(points):
        return np.zeros((height, width), bool)
    radius = max(1, round(0.6 * cell_px(points, step, camera) * scale))
    return draw_cells(points, camera, radius, (height, width), scale)
