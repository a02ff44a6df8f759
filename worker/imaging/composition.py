"""Studio composition: a product framed on a plain background, with a contact shadow made from its outline."""

from dataclasses import dataclass
from functools import reduce

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.imaging.cutout import Cutout
from worker.imaging.ground_shadow import contact_shadow, ground_line, reflection
from worker.imaging.linear_light import BAYER_DITHER, interpolate_to_linear, parse_color, to_linear, to_srgb
from worker.imaging.plane_arithmetic import multiply_by_plane, tint_plane

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
MAX_ENLARGEMENT = 1.5  # a larger scale gets an issue
SHADOW_STRENGTH = 0.62
REFLECTION_STRENGTH = 0.24  # where the reflection begins
REFLECTION_REACH = 0.13  # of the picture's height: how far the reflection goes
SHADOW_FREE_BORDER = 0.03  # of the longer side: shadows end before it, since channels want it unshaded
GRADIENT_SEPARATOR = " to "  # between the two colours of a gradient


@dataclass(frozen=True, slots=True, kw_only=True)
class Studio:
    """How a studio picture looks."""

    width: int  # pixels
    height: int  # pixels
    background: str  # `#rrggbb`, `#rrggbb to #rrggbb` from top to bottom, or `transparent`
    fill: float  # the product's share of the tighter side
    shadow: bool
    reflection: bool = False
    oblique: bool = False  # the photo was taken from above


@dataclass(frozen=True, slots=True)
class Picture:
    """A composed picture."""

    rgb: U8  # (h, w, 3)
    alpha: U8 | None  # (h, w), or None on an opaque background
    scale: float  # of the product, from the photo's pixels to the picture's
    box: tuple[int, int, int, int]  # of the product: left, top, right, bottom; right and bottom are outside


def compose_studio(cutout: Cutout, studio: Studio) -> Picture:
    """Compose the product in a studio."""
    light, alpha, scale, box = place_product(cutout, studio.width, studio.height, studio.fill)
    line = ground_line(alpha, oblique=studio.oblique)
    shade = contact_shadow(alpha, line, oblique=studio.oblique) if studio.shadow else np.zeros_like(alpha)
    mirror, share = (
        reflection(light, alpha, line, gloss=REFLECTION_STRENGTH, reach=REFLECTION_REACH * studio.height)
        if studio.reflection
        else (light, None)
    )
    region = nonzero_region(alpha, shade, share)  # everywhere else is background alone
    light, mirror, alpha = light[region], mirror[region], alpha[region]
    share = share if share is None else share[region]
    shade = SHADOW_STRENGTH * shade[region] * _border_fade(studio.width, studio.height, region)
    if studio.background == "transparent":
        rgb = np.zeros((studio.height, studio.width, 3), np.uint8)
        coverage = np.zeros((studio.height, studio.width), np.uint8)
        rgb[region], coverage[region] = _on_transparent(light, alpha, shade, mirror, share)
        return Picture(rgb=rgb, alpha=coverage, scale=scale, box=box)
    backdrop = _backdrop(studio)
    remaining = 1 - alpha  # the share of the light that comes from behind the product
    if share is not None:
        light = light + multiply_by_plane(mirror, share * remaining)
        remaining = remaining * (1 - share)
    composed = tint_plane(remaining * (1 - shade), cv2.split(backdrop[region[0]]))
    cv2.add(composed, light, dst=composed)
    if GRADIENT_SEPARATOR in studio.background:
        whole = np.repeat(backdrop, studio.width, axis=1)
        whole[region] = composed
        return Picture(rgb=to_srgb(whole, BAYER_DITHER), alpha=None, scale=scale, box=box)
    rgb = np.full((studio.height, studio.width, 3), parse_color(studio.background), np.uint8)
    covered = cv2.max(alpha, shade if share is None else cv2.max(shade, share)) > 0
    cv2.copyTo(to_srgb(composed), covered.astype(np.uint8), rgb[region])
    return Picture(rgb=rgb, alpha=None, scale=scale, box=box)


def nonzero_region(*planes: F32 | None) -> tuple[slice, slice]:
    """Return the rows and columns outside of which all planes, (h, w), are 0; None counts as 0."""
    most = reduce(cv2.max, (p for p in planes if p is not None))
    left, top, width, height = cv2.boundingRect((most > 0).astype(np.uint8))
    return slice(top, top + height), slice(left, left + width)


def _border_fade(width: int, height: int, region: tuple[slice, slice]) -> F32:
    """Return a factor for shadows in a region: 1 inside the picture, falling to 0 at its border."""
    distances = [
        (np.minimum(np.arange(n), np.arange(n)[::-1]) - 1)[s]
        for n, s in zip((height, width), region, strict=True)
    ]
    nearest = np.minimum(distances[0][:, None], distances[1][None])
    return np.clip(nearest / (SHADOW_FREE_BORDER * max(width, height)), 0, 1).astype(np.float32)


def _on_transparent(light: F32, alpha: F32, shade: F32, mirror: F32, share: F32 | None) -> tuple[U8, U8]:
    """Return sRGB and alpha of the product with its black shadow and its reflection."""
    below = shade if share is None else share + shade * (1 - share)
    covered = alpha + below * (1 - alpha)
    if share is not None:
        light = light + multiply_by_plane(mirror, share * (1 - alpha))
    straight = multiply_by_plane(light, np.asarray(1 / np.maximum(covered, 1e-4), np.float32))
    return to_srgb(straight), np.asarray(covered * 255 + 0.5, np.uint8)


def _backdrop(studio: Studio) -> F32:
    """Return the background in linear light, (h, 1, 3); a gradient is even in sRGB, so to the eye."""
    ends = [np.array(parse_color(c), np.float32) for c in studio.background.split(GRADIENT_SEPARATOR)]
    share = np.linspace(0, 1, studio.height, dtype=np.float32)[:, None, None]
    return interpolate_to_linear(ends[0] * (1 - share) + ends[-1] * share)


def place_product(
    cutout: Cutout, width: int, height: int, fill: float, foot: int | None = None
) -> tuple[F32, F32, float, tuple[int, int, int, int]]:
    """Scale the product and place it alone in a frame.

    Args:
        cutout: The product.
        width: Of the frame, in pixels.
        height: Of the frame, in pixels.
        fill: The product's share of the tighter side.
        foot: The row below the product's lowest; centred vertically when None.

    Returns:
        Premultiplied linear colour, (h, w, 3); alpha, (h, w), 0 to 1; the scale; and the product's box.
    """
    left, top, right, bottom = cutout.box
    scale = min(fill * width / (right - left), fill * height / (bottom - top))
    w, h = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
    x, y = (width - w) // 2, (height - h) // 2 if foot is None else foot - h
    light, alpha = lay_product(cutout, width, height, (x, y, x + w, y + h))
    return light, alpha, scale, (x, y, x + w, y + h)


def lay_product(cutout: Cutout, width: int, height: int, box: tuple[int, int, int, int]) -> tuple[F32, F32]:
    """Return the product alone in a frame, scaled into a box that lies within it.

    Returns:
        Premultiplied linear colour, (h, w, 3), and alpha, (h, w), 0 to 1.
    """
    left, top, right, bottom = cutout.box
    x, y, x1, y1 = box
    product, coverage = _resize_premultiplied(
        cutout.rgb[top:bottom, left:right], cutout.alpha[top:bottom, left:right], x1 - x, y1 - y
    )
    light, alpha = np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.float32)
    light[y:y1, x:x1], alpha[y:y1, x:x1] = product, coverage
    return light, alpha


def _resize_premultiplied(rgb: U8, alpha: U8, width: int, height: int) -> tuple[F32, F32]:
    """Return linear colour times alpha, and alpha, at a new size; premultiplied, no background bleeds in."""
    interpolation = cv2.INTER_AREA if width < rgb.shape[1] else cv2.INTER_CUBIC
    a = alpha.astype(np.float32) / np.float32(255)
    premultiplied = multiply_by_plane(to_linear(rgb), a)
    light = cv2.resize(premultiplied, (width, height), interpolation=interpolation)
    resized = cv2.resize(a, (width, height), interpolation=interpolation)
    if interpolation == cv2.INTER_CUBIC:  # which overshoots
        resized = np.clip(resized, 0, 1)
        light = np.clip(light, 0, resized[..., None])
    return np.asarray(light, np.float32), np.asarray(resized, np.float32)
