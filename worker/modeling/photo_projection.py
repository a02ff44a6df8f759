"""Projector: a photo laid onto the product, and its mirror image where the opposite side has no photo."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from dam_connector.domain.product import View
from worker.imaging.bilinear_sampling import sample_bilinear
from worker.imaging.linear_light import to_linear
from worker.modeling.atlas import DIRECTIONS, RIGHTS, SIDES, UPS
from worker.modeling.outlines import ProductSize
from worker.modeling.photo_camera import PhotoCamera, PosedPhoto

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

RIM_PX = 3  # of a photo, inside the outline: mixed with the background
AT_RIM = 0.02  # what they are trusted all the same
LETTERS = 0.03  # of a picture's side: details finer than this would read backwards
_AS_IT_IS = np.ones(3, np.float32)
_OPPOSITE = {
    "front": ("back", (1, 1, -1)),
    "back": ("front", (1, 1, -1)),
    "left": ("right", (-1, 1, 1)),
    "right": ("left", (-1, 1, 1)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Projector:
    """A photo laid onto the product. picture: (h, w, 4) uint8, the photo's colours to beyond the product's outline, and the trust in them.
    levels: (256, 4) float32, what the picture's levels stand for: linear colours, matte, and trust, near 0 at the outline and 1 well inside.
    side: the side it shows, straight ahead, unless `placed` tells its camera. turned: 1 or -1 by axis: where it stands for the product's
    other half, seen in a mirror."""

    picture: U8
    colour_table: F32
    side: int
    photo_camera: PhotoCamera | None
    axis_signs: F32

    @property
    def is_mirrored(self) -> bool:
        return bool((self.axis_signs < 0).any())

    def directions_to_camera(self, points: F32) -> F32:
        """Unit directions from points (n, 3) to the photo's camera, (n, 3)."""
        if self.photo_camera is None:
            return np.broadcast_to(DIRECTIONS[self.side] * self.axis_signs, points.shape)
        return (
            self.photo_camera.camera.directions_to_camera(points * self.axis_signs) * self.axis_signs
        ).astype(np.float32)

    def project(self, points: F32, size: ProductSize) -> F32:
        """Where points (n, 3) stand in the picture, (n, 2) pixels."""
        if self.photo_camera is not None:
            return (self.photo_camera.to_pixels(points * self.axis_signs) - 0.5).astype(np.float32)
        box, pixels = size.as_array(), np.array(self.picture.shape[1::-1], np.float32)
        ways = (
            np.stack([RIGHTS[self.side], -UPS[self.side]], 1) / box[:, None] * pixels
        )  # the picture's two directions
        at_floor = (pixels - 1) / 2 - np.array([0, box[1] / 2, 0]) @ ways
        return np.asarray(
            points @ (ways * self.axis_signs[:, None]).astype(np.float32) + at_floor.astype(np.float32),
            np.float32,
        )

    def sample(self, at: F32) -> F32:
        """Linear colours and trust, (n, 4), at places (n, 2) of the picture."""
        return np.asarray(
            cv2.LUT(sample_bilinear(self.picture, at)[None], self.colour_table[None])[0], np.float32
        )

    def with_gain(self, gain: F32) -> "Projector":
        """With linear colours times `gain`, (3,)."""
        return replace(self, colour_table=self.colour_table * np.append(gain, 1).astype(np.float32))


def photo_projectors(seen: Mapping[View, PosedPhoto], unlit: Callable[[F32, F32], F32]) -> list[Projector]:
    """The photos, and mirror images for the sides without one. unlit: linear colours (n, 3) without their light, told by those of the photo."""
    found = []
    for view, photo in seen.items():
        side = SIDES.index("front" if view is View.HERO else view.value)
        picture = cv2.merge([*cv2.split(photo.outline.rgb), _trusted(photo.outline.alpha > 0.5)])
        grey = to_linear(np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1))
        levels = np.column_stack(
            [
                unlit(grey, to_linear(photo.outline.rgb[::4, ::4]).reshape(-1, 3)),
                np.linspace(0, 1, 256) + AT_RIM,
            ]
        )
        found.append(
            Projector(
                picture=picture,
                colour_table=levels.astype(np.float32),
                side=side,
                photo_camera=photo.photo_camera,
                axis_signs=_AS_IT_IS,
            )
        )
    shown = {view.value for view in seen}
    mirrored = []
    for projector in found:
        name = SIDES[projector.side]
        if View.HERO in seen and projector.photo_camera is not None:
            ways = [(-1, 1, 1), (1, 1, -1), (-1, 1, -1)]
        else:
            ways = [_OPPOSITE[name][1]] if name in _OPPOSITE and _OPPOSITE[name][0] not in shown else []
        if ways:
            blurred = _unlettered(projector.picture)
            mirrored += [
                replace(projector, picture=blurred, axis_signs=np.array(way, np.float32)) for way in ways
            ]
    return found + mirrored


def _trusted(inside: NDArray[np.bool_]) -> U8:
    """How far each pixel is trusted, 255 from RIM_PX within the outline on."""
    left = np.pad(inside.astype(np.uint8), 1)
    deep = left.copy()
    for _ in range(RIM_PX - 1):
        left = cv2.erode(left, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
        deep += left
    return np.asarray(deep[1:-1, 1:-1] * np.uint8(255 // RIM_PX), np.uint8)


def _unlettered(picture: U8) -> U8:
    """A mirrored side without what would read backwards: its colours, not its drawing."""
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (max(8, width // 8), max(8, height // 8)), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (0, 0), max(0.5, LETTERS * max(small.shape[:2])))
    blurred[..., 3] = small[..., 3]
    return np.asarray(cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
