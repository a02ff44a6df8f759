"""The palette of an inspiration image: colours of a set's wall and floor, and the side of its light.

The image's pixels are never used.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.imaging.decode import Photo
from worker.imaging.linear_light import to_linear

F32 = NDArray[np.float32]

CLUSTERS = 6
ANALYSIS_PX = 96  # the image is reduced to a square of this size
MIN_LIGHTNESS, MAX_LIGHTNESS = 34.0, 82.0  # of L*, so that white and black products contrast with the wall
MIN_LIGHT_DIFFERENCE = 5.0  # of L*: between the outer thirds of a picture that is lit from one side
MAX_CHROMA = 26.0  # a stronger colour would reflect onto the product


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """Colours for a set, linear, and its light."""

    wall: tuple[float, float, float]
    floor: tuple[float, float, float]
    light: int = 0  # -1 from the left, 1 from the right, 0 from neither


def extract_palette(photo: Photo) -> Palette:
    """Return the largest muted colour for the wall, and the largest clearly different one for the floor.

    The same image always gives the same palette.
    """
    small = cv2.resize(photo.rgb, (ANALYSIS_PX, ANALYSIS_PX), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).reshape(-1, 3)
    cv2.setRNGSeed(1)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 40, 0.2)
    _, labels, centres = cv2.kmeans(
        lab, CLUSTERS, np.zeros((len(lab), 1), np.int32), criteria, 3, cv2.KMEANS_PP_CENTERS
    )
    shares = np.bincount(labels.ravel(), minlength=CLUSTERS) / len(lab)
    muted_shares = shares / (1 + np.hypot(centres[:, 1], centres[:, 2]) / 40)
    wall = int(muted_shares.argmax())
    distances = np.linalg.norm(centres - centres[wall], axis=1)
    floor = int((shares * np.clip(distances / 25, 0, 1)).argmax())
    return Palette(
        wall=_limit_colour(centres[wall]), floor=_limit_colour(centres[floor]), light=_lit_side(lab[:, 0])
    )


def _lit_side(lightness: F32) -> int:
    """Return the side of a picture that is clearly lighter, -1 left or 1 right, else 0."""
    columns = lightness.reshape(ANALYSIS_PX, ANALYSIS_PX).mean(0)
    third = ANALYSIS_PX // 3
    difference = float(columns[-third:].mean() - columns[:third].mean())
    return 0 if abs(difference) < MIN_LIGHT_DIFFERENCE else 1 if difference > 0 else -1


def _limit_colour(lab: F32) -> tuple[float, float, float]:
    """Return a Lab colour within the limits of lightness and chroma, in linear light."""
    lightness = float(np.clip(lab[0], MIN_LIGHTNESS, MAX_LIGHTNESS))
    share = min(1.0, MAX_CHROMA / max(1e-6, float(np.hypot(lab[1], lab[2]))))
    limited = np.array([[[lightness, lab[1] * share, lab[2] * share]]], np.float32)
    srgb = cv2.cvtColor(limited, cv2.COLOR_LAB2RGB)
    linear = to_linear(np.asarray(np.clip(srgb, 0, 1) * 255 + 0.5, np.uint8))[0, 0]
    return float(linear[0]), float(linear[1]), float(linear[2])
