"""Composition: the product on its ground, framed, with a contact shadow made from its outline. Light adds up linearly."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.imaging.cutout import Cutout

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
MAX_ENLARGEMENT = 1.5
SHADOW_STRENGTH = 0.34


@dataclass(frozen=True, slots=True, kw_only=True)
class Studio:
    """How a studio picture looks. width and height in pixels; fill is the product's share of the tighter side."""

    width: int
    height: int
    background: str
    fill: float
    shadow: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A composed picture. rgb: (h, w, 3) uint8; alpha: (h, w) uint8 or None on a solid ground; enlarged: the scale used.
    box: left, top, right and bottom of the product, right and bottom outside."""

    rgb: U8
    alpha: U8 | None
    enlarged: float
    box: tuple[int, int, int, int]


def to_linear(srgb: U8) -> F32:
    """sRGB bytes to linear light, 0 to 1 (IEC 61966-2-1)."""
    return _LINEAR[srgb]


def to_srgb(linear: F32) -> U8:
    """Linear light to sRGB bytes."""
    c = np.clip(linear, 0, 1)
    return np.asarray(np.where(c <= 0.0031308, c * 12.92, 1.055 * c ** (1 / 2.4) - 0.055) * 255 + 0.5, np.uint8)


_steps = np.arange(256, dtype=np.float32) / 255
_LINEAR = np.where(_steps <= 0.04045, _steps / 12.92, ((_steps + 0.055) / 1.055) ** 2.4).astype(np.float32)


def parse_color(text: str) -> tuple[int, int, int]:
    """`#rrggbb` as three bytes."""
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def compose(cutout: Cutout, studio: Studio) -> Picture:
    """The product in a studio."""
    product, placed_alpha, scale, box = placed(cutout, studio.width, studio.height, studio.fill)
    foot = int(np.flatnonzero((placed_alpha > 0.5).any(1))[-1]) + 1
    shade = contact_shadow(placed_alpha, foot) if studio.shadow else np.zeros_like(placed_alpha)
    a = placed_alpha[..., None]
    if studio.background == "transparent":
        out_alpha = placed_alpha + shade * (1 - placed_alpha)
        colour = product * a / np.maximum(out_alpha[..., None], 1e-4)
        return Picture(rgb=to_srgb(np.asarray(colour, np.float32)), alpha=np.asarray(out_alpha * 255 + 0.5, np.uint8), enlarged=scale, box=box)
    ground = to_linear(np.array(parse_color(studio.background), np.uint8)) * (1 - shade[..., None])
    out = to_srgb(np.asarray(product * a + ground * (1 - a), np.float32))
    if not studio.shadow:
        out[placed_alpha == 0] = parse_color(studio.background)
    return Picture(rgb=out, alpha=None, enlarged=scale, box=box)


def placed(cutout: Cutout, width: int, height: int, fill: float, foot: int | None = None) -> tuple[F32, F32, float, tuple[int, int, int, int]]:
    """The product alone in a frame: linear colour, alpha 0 to 1, the scale used, and its box.

    fill: its share of the tighter side. foot: the row it stands on; in the middle when None.
    """
    left, top, right, bottom = cutout.box
    scale = min(fill * width / (right - left), fill * height / (bottom - top))
    w, h = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
    rgb, alpha = _resized(cutout.rgb[top:bottom, left:right], cutout.alpha[top:bottom, left:right], w, h)
    x, y = (width - w) // 2, (height - h) // 2 if foot is None else foot - h
    product, mask = np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.float32)
    product[y : y + h, x : x + w], mask[y : y + h, x : x + w] = rgb, alpha
    return product, mask, scale, (x, y, x + w, y + h)


def _resized(rgb: U8, alpha: U8, width: int, height: int) -> tuple[F32, F32]:
    """Linear colour and alpha at a new size; colour weighted by alpha, so that no ground bleeds in."""
    way = cv2.INTER_AREA if width < rgb.shape[1] else cv2.INTER_CUBIC
    a = alpha.astype(np.float32) / 255
    premultiplied = cv2.resize(to_linear(rgb) * a[..., None], (width, height), interpolation=way)
    resized = np.clip(cv2.resize(a, (width, height), interpolation=way), 0, 1)
    return np.clip(premultiplied / np.maximum(resized[..., None], 1e-4), 0, 1).astype(np.float32), resized


def contact_shadow(alpha: F32, foot: int) -> F32:
    """How much light the product takes from the ground, (h, w) 0 to 1: dark where it stands, fading within a few percent."""
    height = alpha.shape[0]
    shadow = np.zeros_like(alpha)
    reach = max(4, round(height * 0.035))
    stands = alpha[max(0, foot - reach) : foot].max(0) if foot > 0 else alpha[0]
    contact = alpha[max(0, foot - max(2, reach // 5)) : foot].max(0)
    for profile, spread, strength, sink in ((stands, reach, 0.5, 0.5), (contact, reach * 0.35, 1.0, 0.1)):
        line = cv2.GaussianBlur(profile[None], (0, 0), max(1.0, spread * 0.9))[0]
        row = min(height - 1, int(foot + spread * sink) - 1)
        ys = np.arange(height, dtype=np.float32)[:, None] - row
        fall = np.exp(-0.5 * (ys / max(1.0, spread * 0.42)) ** 2)
        shadow = np.maximum(shadow, strength * line[None] * fall)
    return np.asarray(np.where(shadow < 0.012, 0, shadow) * SHADOW_STRENGTH, np.float32)
