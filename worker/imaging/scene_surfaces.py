"""The ground of a lifestyle picture, in perspective or from above; and things that products are put on."""

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.imaging.backdrops import FOCAL_WIDTHS, Colour, Stage
from worker.imaging.floor_materials import MATERIALS, chips_of
from worker.imaging.plane_arithmetic import gaussian_blur, multiply_by_plane

F32 = NDArray[np.float32]

TEXTURE_PX = 1536
OVERSAMPLING = 2  # so that the far end of a floor does not alias
MIN_VIEW_M = 0.35  # a texture shows at least this length: grain of wood stays grain beside tiny products
PALETTE_SHARE = 0.72  # of a palette's colour, the rest stays the material's own
SHELF_M = 0.032  # thickness of a shelf's board


def ground(stage: Stage, material: str, colour: Colour | None, rng: np.random.Generator) -> F32:
    """Return the ground below the seam in perspective, (rows, w, 3), in linear light.

    Args:
        stage: Where the camera is.
        material: A key of MATERIALS.
        colour: To which the material is recoloured; None: its own.
        rng: Decides the grain.
    """
    height, width = stage.height * OVERSAMPLING, stage.width * OVERSAMPLING
    eye, foot = stage.eye * OVERSAMPLING, stage.foot * OVERSAMPLING
    top = max(0, round(stage.seam)) * OVERSAMPLING
    # distances from the viewer to the picture's lower edge and to its upper one; the product's distance is 1
    near, far = (foot - eye) / (height - eye), (foot - eye) / max(1.0, top - eye)
    half_width_m = max(stage.m_per_px * stage.width / 2, MIN_VIEW_M / 2)
    depth_m = (far - near) * 2 * half_width_m * FOCAL_WIDTHS
    px_per_m = TEXTURE_PX / max(2 * half_width_m * far * 1.02, depth_m)
    middle, depth, reach = TEXTURE_PX / 2, depth_m * px_per_m, half_width_m * px_per_m
    source = np.array(
        [
            [middle - reach * far, TEXTURE_PX - depth],
            [middle + reach * far, TEXTURE_PX - depth],
            [middle + reach * near, TEXTURE_PX],
            [middle - reach * near, TEXTURE_PX],
        ],
        np.float32,
    )
    rows = stage.height - top // OVERSAMPLING
    size = (width, rows * OVERSAMPLING)
    target = np.array([[0, 0], [width, 0], [width, size[1]], [0, size[1]]], np.float32)
    warp = cv2.getPerspectiveTransform(source, target)
    return _coloured(material, warp, size, px_per_m, colour, rng)


def ground_from_above(stage: Stage, material: str, colour: Colour | None, rng: np.random.Generator) -> F32:
    """Return the ground seen from above, (h, w, 3), in linear light."""
    view_m = max(stage.m_per_px * max(stage.width, stage.height), MIN_VIEW_M)
    px_per_m = TEXTURE_PX / view_m
    scale = max(stage.width, stage.height) * OVERSAMPLING / TEXTURE_PX
    warp = np.array([[scale, 0, 0], [0, scale, 0], [0, 0, 1]], np.float64)
    size = (stage.width * OVERSAMPLING, stage.height * OVERSAMPLING)
    return _coloured(material, warp, size, px_per_m, colour, rng)


def _coloured(
    material: str,
    warp: NDArray[np.float64],
    size: tuple[int, int],
    px_per_m: float,
    colour: Colour | None,
    rng: np.random.Generator,
) -> F32:
    """Return a material drawn, warped, reduced and coloured."""
    kind = MATERIALS[material]
    levels = _warped(kind.draw_levels(TEXTURE_PX, px_per_m, rng), warp, size)
    drawn = kind.colourise(levels)
    if colour is not None:
        mean = np.maximum(drawn.mean((0, 1)), 1e-3)
        drawn = drawn * np.array(colour, np.float32) ** PALETTE_SHARE * mean**-PALETTE_SHARE
    if kind.chips:
        stones, where = chips_of(kind.chips, TEXTURE_PX, px_per_m, rng)
        share = _warped(np.asarray(where / np.float32(255), np.float32), warp, size)
        drawn = multiply_by_plane(drawn, 1 - share) + _warped(stones, warp, size)
    return np.asarray(drawn, np.float32)


def _warped(texture: F32, warp: NDArray[np.float64], size: tuple[int, int]) -> F32:
    large = cv2.warpPerspective(texture, warp, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    small = (size[0] // OVERSAMPLING, size[1] // OVERSAMPLING)
    return np.asarray(cv2.resize(large, small, interpolation=cv2.INTER_AREA), np.float32)


def soft_seam(picture: F32, stage: Stage, blur: float) -> F32:
    """Blur the seam between ground and wall, and darken it a little, as a corner is."""
    seam, height = stage.seam, stage.height
    if not 0 < seam < height:
        return picture
    rows = np.arange(height, dtype=np.float32)
    corner = np.exp(-np.abs(rows - seam) / (0.03 * height)).astype(np.float32)
    picture = picture * (1 - 0.13 * corner)[:, None, None]
    # the ground is sharp at the product and blurred towards the wall
    sigma = max(0.6, blur * stage.width)
    soft = gaussian_blur(np.asarray(picture, np.float32), sigma)
    share = np.clip((stage.foot - 0.02 * height - rows) / max(1.0, stage.foot - seam), 0, 1).astype(
        np.float32
    )
    wall, mixed = int((share == 1).sum()), int((share > 0).sum())  # rows, from above
    picture[:wall] = soft[:wall]
    picture[wall:mixed] += (soft[wall:mixed] - picture[wall:mixed]) * share[wall:mixed, None, None]
    return picture


def draw_plinth(picture: F32, stage: Stage, base: tuple[float, float, float], colour: Colour) -> F32:
    """Draw a round plinth below a product; return the share of each pixel that its top covers, (h, w).

    Args:
        picture: It is drawn into.
        stage: Where the camera is.
        base: Middle column, middle row and half width of what stands on it.
        colour: Of the plinth, linear.
    """
    height, width = picture.shape[:2]
    middle, row, across = base
    tilt = float(np.clip((stage.foot - stage.eye) / (FOCAL_WIDTHS * min(width, height)), 0.1, 0.8))
    down = max(3.0, across * tilt / (1 + tilt * tilt) ** 0.5)
    side, top = _plinth_masks((height, width), (middle, row), (across, down))
    # 1 at the edge towards the light, -1 at the other
    x = np.arange(width, dtype=np.float32)[None]
    around = np.clip((x - middle) / max(1.0, across), -1, 1) * np.float32(stage.light)
    lit = 0.60 + 0.36 * np.sqrt(np.maximum(0, 1 - (around - 0.45) ** 2 / 2.2))
    y = np.arange(height, dtype=np.float32)[:, None]
    fade = 1 - 0.16 * np.clip((y - row) / max(1.0, height - row), 0, 1)
    edge = row + down * np.sqrt(np.maximum(0, 1 - around**2))
    rim = 1 + 0.10 * np.exp(-(((y - edge) / (0.0022 * height)) ** 2))
    drawn = np.asarray(lit * fade * rim, np.float32)
    for channel, level in enumerate(colour):
        plane = picture[..., channel]
        plane += (drawn * np.float32(level) - plane) * side
        plane += (np.float32(1.10 * level) - plane) * top
    return top


def _plinth_masks(
    size: tuple[int, int], middle: tuple[float, float], axes: tuple[float, float]
) -> tuple[F32, F32]:
    """Return the shares of each pixel that a plinth's side with its top, and its top alone, cover."""
    side, top = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
    bits = 4  # of fractions of a pixel
    centre, radii = (tuple(round(v * 2**bits) for v in pair) for pair in (middle, axes))
    cv2.ellipse(top, centre, radii, 0, 0, 360, 255, -1, cv2.LINE_AA, bits)
    (x, y), across, below = middle, axes[0], size[0] + 9
    corners = np.array([[x - across, y], [x + across, y], [x + across, below], [x - across, below]])
    cv2.fillConvexPoly(side, np.round(corners * 2**bits).astype(np.int32), 255, cv2.LINE_AA, bits)
    side = cv2.max(side, top)
    return side.astype(np.float32) / np.float32(255), top.astype(np.float32) / np.float32(255)


def draw_shelf(picture: F32, stage: Stage, wall: F32, front: F32) -> int:
    """Draw a shelf: what is below the board's front edge is wall again, in its shadow; return the edge's row.

    Args:
        picture: With the board's upper face as its ground; it is drawn into.
        stage: Where the camera is.
        wall: The wall alone, (h, w, 3).
        front: The material of the board, (h, w, 3).
    """
    height = stage.height
    edge = min(height - 4, round(stage.foot + 0.035 * height))
    thick = max(6, round(float(np.clip(SHELF_M / max(1e-6, stage.m_per_px), 0.016 * height, 0.06 * height))))
    below = min(height, edge + thick)
    face = front[edge:below] if len(front) >= below else front[-(below - edge) :]
    picture[edge:below] = face * np.linspace(0.74, 0.60, below - edge, dtype=np.float32)[:, None, None]
    picture[edge : edge + max(1, height // 700)] *= 1.35
    if below < height:
        depth = np.arange(height - below, dtype=np.float32)[:, None, None] / np.float32(0.16 * height)
        picture[below:] = wall[below:] * (1 - 0.48 * np.exp(-depth))
    return edge
