"""The palette of an inspiration image: which wall and which floor a room takes from it. Its pixels are never used."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.imaging.linear_light import to_linear
from worker.imaging.decode import Photo

F32 = NDArray[np.float32]

COLOURS = 6
SEEN_PX = 96
LIGHTEST, DARKEST = 82.0, 34.0  # of L*: a wall lies between, so that white and black products both stand out
MOST_CHROMA = 26.0  # a stronger colour would shine onto the product


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """wall, floor: (3,) linear colours."""

    wall: tuple[float, float, float]
    floor: tuple[float, float, float]


def extract_palette(photo: Photo) -> Palette:
    """The largest calm colour as the wall's, the largest that is clearly another as the floor's. The same picture gives the same."""
    small = cv2.resize(photo.rgb, (SEEN_PX, SEEN_PX), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).reshape(-1, 3)
    cv2.setRNGSeed(1)
    until = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 40, 0.2)
    _, labels, centres = cv2.kmeans(
        lab, COLOURS, np.zeros((len(lab), 1), np.int32), until, 3, cv2.KMEANS_PP_CENTERS
    )
    shares = np.bincount(labels.ravel(), minlength=COLOURS) / len(lab)
    calm = shares / (1 + np.hypot(centres[:, 1], centres[:, 2]) / 40)
    wall = int(calm.argmax())
    apart = np.linalg.norm(centres - centres[wall], axis=1)
    floor = int((shares * np.clip(apart / 25, 0, 1)).argmax())
    return Palette(wall=_muted(centres[wall]), floor=_muted(centres[floor]))


def _muted(lab: F32) -> tuple[float, float, float]:
    """The colour as a wall or a floor can have it, linear."""
    light = float(np.clip(lab[0], DARKEST, LIGHTEST))
    keep = min(1.0, MOST_CHROMA / max(1e-6, float(np.hypot(lab[1], lab[2]))))
    srgb = cv2.cvtColor(np.array([[[light, lab[1] * keep, lab[2] * keep]]], np.float32), cv2.COLOR_LAB2RGB)
    linear = to_linear(np.asarray(np.clip(srgb, 0, 1) * 255 + 0.5, np.uint8))[0, 0]
    return float(linear[0]), float(linear[1]), float(linear[2])
