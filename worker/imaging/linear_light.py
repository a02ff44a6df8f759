"""Conversion between sRGB bytes and linear light, in which light adds up."""

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

# Levels of linear light in the table to sRGB. The table takes a tenth of the time of powers, and is one
# level off in 2 of 1,000 values.
_LINEAR_LEVELS = 65535
_linear = np.arange(_LINEAR_LEVELS + 1, dtype=np.float64) / _LINEAR_LEVELS
_SRGB_OF_LINEAR = (
    np.where(_linear <= 0.0031308, _linear * 12.92, 1.055 * _linear ** (1 / 2.4) - 0.055) * 255
).astype(np.float32)
_SRGB_BYTE_OF_LINEAR = (_SRGB_OF_LINEAR + 0.5).astype(np.uint8)
_srgb = np.arange(256, dtype=np.float32) / 255
_LINEAR_OF_SRGB = np.where(_srgb <= 0.04045, _srgb / 12.92, ((_srgb + 0.055) / 1.055) ** 2.4).astype(
    np.float32
)
_bayer = np.zeros((1, 1))
for _ in range(3):  # Bayer (1973), 8 x 8
    _bayer = np.block([[4 * _bayer, 4 * _bayer + 2], [4 * _bayer + 3, 4 * _bayer + 1]])
BAYER_DITHER = ((_bayer + 0.5) / 64).astype(np.float32)  # (8, 8), 0 to 1


def to_linear(srgb: U8) -> F32:
    """Return sRGB bytes as linear light, 0 to 1 (IEC 61966-2-1)."""
    # a LUT is four times as fast as an index
    return np.asarray(cv2.LUT(srgb, _LINEAR_OF_SRGB), np.float32).reshape(srgb.shape)


def interpolate_to_linear(srgb: F32) -> F32:
    """Return fractional sRGB levels, 0 to 255, as linear light, 0 to 1."""
    return np.asarray(np.interp(srgb, np.arange(256), _LINEAR_OF_SRGB), np.float32)


def to_srgb(linear: F32, dither: F32 | None = None) -> U8:
    """Return linear light as sRGB bytes; values outside 0 to 1 are clipped.

    Args:
        linear: Linear light, of any shape; (h, w, c) with a dither.
        dither: A square pattern, 0 to 1, that hides the steps of a gradient.
    """
    if not linear.size:
        return np.zeros(linear.shape, np.uint8)
    levels = cv2.multiply(  # rounds and clips
        np.ascontiguousarray(linear, np.float32).reshape(1, -1), float(_LINEAR_LEVELS), dtype=cv2.CV_16U
    )
    if dither is None:
        return np.asarray(cv2.LUT(levels, _SRGB_BYTE_OF_LINEAR), np.uint8).reshape(linear.shape)
    levels = np.asarray(levels).reshape(linear.shape)
    height, width, n = *linear.shape[:2], len(dither)
    pattern = np.tile(dither, (height // n + 1, width // n + 1))[:height, :width, None]
    return np.asarray(np.minimum(_SRGB_OF_LINEAR[levels] + pattern, 255), np.uint8)


def parse_color(text: str) -> tuple[int, int, int]:
    """Return `#rrggbb` as three bytes."""
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)
