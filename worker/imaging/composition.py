"""Composition: the product on its ground, framed, with a contact shadow made from its outline. Light adds up linearly."""

from dataclasses import dataclass
from functools import reduce

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.imaging.cutout import Cutout
from worker.imaging.ground_shadow import contact_shadow, ground_line, reflection
from worker.imaging.plane_arithmetic import multiply_by_plane, tint_plane

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
MAX_ENLARGEMENT = 1.5
SHADOW_STRENGTH = 0.62
GLOSS, MIRROR_REACH = (
    0.24,
    0.13,
)  # of a reflection: how much is seen where it begins, and how far it goes, of the height
RIM = 0.03  # of the longer side: where shadows end
TO = " to "  # between the two colours of a gradient


@dataclass(frozen=True, slots=True, kw_only=True)
class Studio:
    """How a studio picture looks. width and height in pixels; fill is the product's share of the tighter side.

    background: `#rrggbb`, `#rrggbb to #rrggbb` from top to bottom, or `transparent`. oblique: the photo was taken from above.
    """

    width: int
    height: int
    background: str
    fill: float
    shadow: bool
    reflection: bool = False
    oblique: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """A composed picture. rgb: (h, w, 3) uint8; alpha: (h, w) uint8 or None on a solid ground; enlarged: the scale used.
    box: left, top, right and bottom of the product, right and bottom outside."""

    rgb: U8
    alpha: U8 | None
    scale: float
    box: tuple[int, int, int, int]


def _to_linear_fine(srgb: F32) -> F32:
    """sRGB levels between the bytes to linear light."""
    return np.asarray(np.interp(srgb, np.arange(256), _LINEAR), np.float32)


def to_linear(srgb: U8) -> F32:
    """sRGB bytes to linear light, 0 to 1 (IEC 61966-2-1)."""
    return np.asarray(cv2.LUT(srgb, _LINEAR), np.float32).reshape(
        srgb.shape
    )  # four times as fast as an index


def to_srgb(linear: F32, dither: F32 | None = None) -> U8:
    """Linear light to sRGB bytes. dither: an (n, n) pattern, 0 to 1, that hides the steps of a gradient."""
    if not linear.size:
        return np.zeros(linear.shape, np.uint8)
    at = cv2.multiply(
        np.ascontiguousarray(linear, np.float32).reshape(1, -1), float(_FINE), dtype=cv2.CV_16U
    )  # rounds, and stops at 0 and 1
    if dither is None:
        return np.asarray(cv2.LUT(at, _SRGB_BYTE), np.uint8).reshape(linear.shape)
    at = np.asarray(at).reshape(linear.shape)
    height, width, n = *linear.shape[:2], len(dither)
    return np.asarray(
        np.minimum(
            _SRGB[at] + np.tile(dither, (height // n + 1, width // n + 1))[:height, :width, None], 255
        ),
        np.uint8,
    )


_FINE = 65535  # steps of linear light that are told apart: a tenth of the time of powers, and one level off in 2 of 1,000 values
_light = np.arange(_FINE + 1, dtype=np.float64) / _FINE
_SRGB = (np.where(_light <= 0.0031308, _light * 12.92, 1.055 * _light ** (1 / 2.4) - 0.055) * 255).astype(
    np.float32
)
_SRGB_BYTE = (_SRGB + 0.5).astype(np.uint8)
_steps = np.arange(256, dtype=np.float32) / 255
_LINEAR = np.where(_steps <= 0.04045, _steps / 12.92, ((_steps + 0.055) / 1.055) ** 2.4).astype(np.float32)
_bayer = np.zeros((1, 1))
for _ in range(3):  # Bayer (1973), 8 x 8
    _bayer = np.block([[4 * _bayer, 4 * _bayer + 2], [4 * _bayer + 3, 4 * _bayer + 1]])
_DITHER = ((_bayer + 0.5) / 64).astype(np.float32)


def parse_color(text: str) -> tuple[int, int, int]:
    """`#rrggbb` as three bytes."""
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def compose_studio(cutout: Cutout, studio: Studio) -> Picture:
    """The product in a studio."""
    light, alpha, scale, box = place_product(cutout, studio.width, studio.height, studio.fill)
    line = ground_line(alpha, oblique=studio.oblique)
    shade = contact_shadow(alpha, line, oblique=studio.oblique) if studio.shadow else np.zeros_like(alpha)
    mirror, share = (
        reflection(light, alpha, line, gloss=GLOSS, reach=MIRROR_REACH * studio.height)
        if studio.reflection
        else (light, None)
    )
    part = nonzero_region(alpha, shade, share)  # the rest is ground alone
    light, mirror, alpha, share = (
        light[part],
        mirror[part],
        alpha[part],
        share if share is None else share[part],
    )
    shade = SHADOW_STRENGTH * shade[part] * _clear_rim(studio.width, studio.height, part)
    if studio.background == "transparent":
        rgb, clear = (
            np.zeros((studio.height, studio.width, 3), np.uint8),
            np.zeros((studio.height, studio.width), np.uint8),
        )
        rgb[part], clear[part] = _on_nothing(light, alpha, shade, mirror, share)
        return Picture(rgb=rgb, alpha=clear, scale=scale, box=box)
    free = _ground(studio)
    left = 1 - alpha  # of what is behind
    if share is not None:
        light, left = light + multiply_by_plane(mirror, share * left), left * (1 - share)
    shown = tint_plane(left * (1 - shade), cv2.split(free[part[0]]))
    cv2.add(shown, light, dst=shown)
    if TO in studio.background:
        whole = np.repeat(free, studio.width, axis=1)
        whole[part] = shown
        return Picture(rgb=to_srgb(whole, _DITHER), alpha=None, scale=scale, box=box)
    out = np.full((studio.height, studio.width, 3), parse_color(studio.background), np.uint8)
    cv2.copyTo(
        to_srgb(shown),
        (cv2.max(alpha, shade if share is None else cv2.max(shade, share)) > 0).astype(np.uint8),
        out[part],
    )
    return Picture(rgb=out, alpha=None, scale=scale, box=box)


def nonzero_region(*pictures: F32 | None) -> tuple[slice, slice]:
    """The rows and the columns in which any of the pictures, (h, w), has more than 0; what is not given has nothing."""
    most = reduce(cv2.max, (p for p in pictures if p is not None))
    left, top, width, height = cv2.boundingRect((most > 0).astype(np.uint8))
    return slice(top, top + height), slice(left, left + width)


def _clear_rim(width: int, height: int, part: tuple[slice, slice]) -> F32:
    """Of a part of the picture: 1 within it, falling to 0 before its rim, which channels want in the background's colour."""
    sides = [
        (np.minimum(np.arange(n), np.arange(n)[::-1]) - 1)[s]
        for n, s in zip((height, width), part, strict=True)
    ]
    near = np.minimum(sides[0][:, None], sides[1][None])
    return np.clip(near / (RIM * max(width, height)), 0, 1).astype(np.float32)


def _on_nothing(light: F32, alpha: F32, shade: F32, mirror: F32, share: F32 | None) -> tuple[U8, U8]:
    """sRGB and alpha of the product with its shadow, black, and its mirror image over nothing."""
    below = shade if share is None else share + shade * (1 - share)
    covered = alpha + below * (1 - alpha)
    if share is not None:
        light = light + multiply_by_plane(mirror, share * (1 - alpha))
    own = multiply_by_plane(light, np.asarray(1 / np.maximum(covered, 1e-4), np.float32))
    return to_srgb(own), np.asarray(covered * 255 + 0.5, np.uint8)


def _ground(studio: Studio) -> F32:
    """The studio's ground in linear light, (h, 1, 3); a gradient's steps are even to the eye."""
    ends = [np.array(parse_color(c), np.float32) for c in studio.background.split(TO)]
    share = np.linspace(0, 1, studio.height, dtype=np.float32)[:, None, None]
    return _to_linear_fine(ends[0] * (1 - share) + ends[-1] * share)


def place_product(
    cutout: Cutout, width: int, height: int, fill: float, foot: int | None = None
) -> tuple[F32, F32, float, tuple[int, int, int, int]]:
    """The product alone in a frame: the light that comes from it (linear colour times alpha), alpha 0 to 1, the scale used, and its box.

    fill: its share of the tighter side. foot: the row it stands on; in the middle when None.
    """
    left, top, right, bottom = cutout.box
    scale = min(fill * width / (right - left), fill * height / (bottom - top))
    w, h = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
    own, alpha = _resized(cutout.rgb[top:bottom, left:right], cutout.alpha[top:bottom, left:right], w, h)
    x, y = (width - w) // 2, (height - h) // 2 if foot is None else foot - h
    light, mask = np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.float32)
    light[y : y + h, x : x + w], mask[y : y + h, x : x + w] = own, alpha
    return light, mask, scale, (x, y, x + w, y + h)


def _resized(rgb: U8, alpha: U8, width: int, height: int) -> tuple[F32, F32]:
    """Linear colour times alpha, and alpha, at a new size: so weighted, no ground bleeds in."""
    way = cv2.INTER_AREA if width < rgb.shape[1] else cv2.INTER_CUBIC
    a = alpha.astype(np.float32) / np.float32(255)
    light, resized = (
        cv2.resize(multiply_by_plane(to_linear(rgb), a), (width, height), interpolation=way),
        cv2.resize(a, (width, height), interpolation=way),
    )
    if way == cv2.INTER_CUBIC:  # which overshoots
        resized = np.clip(resized, 0, 1)
        light = np.clip(light, 0, resized[..., None])
    return np.asarray(light, np.float32), np.asarray(resized, np.float32)
