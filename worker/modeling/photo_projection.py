"""Projection of photos onto the product, and of their mirror images onto sides without a photo."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from dam_connector.domain.product import View
from worker.imaging.bilinear_sampling import sample_bilinear
from worker.imaging.linear_light import to_linear
from worker.modeling.atlas import DIRECTIONS, RIGHTS, SIDES, UPS
from worker.modeling.delighting import incident_light, room_light
from worker.modeling.outlines import ProductSize
from worker.modeling.photo_camera import PosedPhoto
from worker.modeling.textured_mesh import unit_vectors

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

RIM_PX = 3  # inside the outline, where a photo is mixed with the background
MIN_LEVEL_SINE = 0.02  # of a camera's angle to the vertical; nearer to it, its right is the product's
RIM_TRUST = 0.02  # trust at the outline, 0 to 1
LETTERING_SHARE = 0.03  # of a picture's side; finer details, e.g. lettering, would be seen reversed
_UNMIRRORED = np.ones(3, np.float32)
_OPPOSITE = {
    "front": ("back", (1, 1, -1)),
    "back": ("front", (1, 1, -1)),
    "left": ("right", (-1, 1, 1)),
    "right": ("left", (-1, 1, 1)),
}


class ProjectionCamera(Protocol):
    """The camera of a photo, in the product's coordinates."""

    def to_pixels(self, points: F32) -> F32:
        """Return the pixels of points (n, 3), (n, 2): right and down from the photo's corner."""
        ...

    def directions_to_camera(self, points: F32) -> F32:
        """Return unit directions from points (n, 3) to the camera, (n, 3)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Projector:
    """A photo that is projected onto the product."""

    picture: U8  # (h, w, 4) the photo's colours, also beyond the product's outline, and the trust in them
    colour_table: F32  # (256, 4) for each level of `picture`: delighted linear colours, and trust from 0 to 1
    side: int  # index into atlas.SIDES, the side that the photo shows
    photo_camera: ProjectionCamera | None  # None: orthographic, straight ahead
    axis_signs: F32  # (3,) 1, or -1 where the product's other half is seen as in a mirror
    is_room_lit: bool = False  # whether the light stays where it is, while the camera moves

    @property
    def is_mirrored(self) -> bool:
        """Return whether this is a mirror image."""
        return bool((self.axis_signs < 0).any())

    def directions_to_camera(self, points: F32) -> F32:
        """Return unit directions from points (n, 3) to the photo's camera, (n, 3)."""
        if self.photo_camera is None:
            return np.broadcast_to(DIRECTIONS[self.side] * self.axis_signs, points.shape)
        return (self.photo_camera.directions_to_camera(points * self.axis_signs) * self.axis_signs).astype(
            np.float32
        )

    def incident_light(self, points: F32, normals: F32) -> F32:
        """Return the light on points (n, 3) with such normals when the photo was taken, (n,)."""
        seen = normals * self.axis_signs
        if self.is_room_lit:
            return room_light(seen)
        if self.photo_camera is None:
            return incident_light(seen, np.stack([RIGHTS[self.side], UPS[self.side], DIRECTIONS[self.side]]))
        towards = self.photo_camera.directions_to_camera(points * self.axis_signs).mean(0)
        right = np.cross([0, 1, 0], towards)
        right = np.array([1, 0, 0]) if np.linalg.norm(right) < MIN_LEVEL_SINE else right
        axes = unit_vectors(np.stack([right, np.cross(towards, right), towards]).astype(np.float32))
        return incident_light(seen, axes)

    def project(self, points: F32, size: ProductSize) -> F32:
        """Return the pixels of points (n, 3) in the picture, (n, 2)."""
        if self.photo_camera is not None:
            return (self.photo_camera.to_pixels(points * self.axis_signs) - 0.5).astype(np.float32)
        extent, pixels = size.as_array(), np.array(self.picture.shape[1::-1], np.float32)
        axes = (
            np.stack([RIGHTS[self.side], -UPS[self.side]], 1) / extent[:, None] * pixels
        )  # of the picture, in pixels per metre
        origin = (pixels - 1) / 2 - np.array([0, extent[1] / 2, 0]) @ axes
        return np.asarray(
            points @ (axes * self.axis_signs[:, None]).astype(np.float32) + origin.astype(np.float32),
            np.float32,
        )

    def sample(self, at: F32) -> F32:
        """Return linear colours and trust, (n, 4), at pixels (n, 2) of the picture."""
        return np.asarray(
            cv2.LUT(sample_bilinear(self.picture, at)[None], self.colour_table[None])[0], np.float32
        )

    def with_gain(self, gain: F32) -> "Projector":
        """Return the projector with its linear colours multiplied by `gain`, (3,)."""
        return replace(self, colour_table=self.colour_table * np.append(gain, 1).astype(np.float32))


def photo_projectors(
    posed_photos: Mapping[View, PosedPhoto], delight: Callable[[F32, F32], F32]
) -> list[Projector]:
    """Return projectors of the photos, and of mirror images for the sides without a photo.

    Args:
        posed_photos: The photos with their cameras.
        delight: Takes linear colours (n, 3) and the photo's pixels (m, 3), and returns the colours without
            the studio's light.
    """
    found = [
        photo_projector(
            photo.outline.rgb,
            photo.outline.alpha > 0.5,
            delight,
            photo.photo_camera,
            side=SIDES.index("front" if view is View.HERO else view.value),
        )
        for view, photo in posed_photos.items()
    ]
    names = {view.value for view in posed_photos}
    mirror_images = []
    for projector in found:
        name = SIDES[projector.side]
        if View.HERO in posed_photos and projector.photo_camera is not None:
            mirrors = [(-1, 1, 1), (1, 1, -1), (-1, 1, -1)]
        else:
            mirrors = [_OPPOSITE[name][1]] if name in _OPPOSITE and _OPPOSITE[name][0] not in names else []
        if mirrors:
            blurred = _blur_lettering(projector.picture)
            mirror_images += [
                replace(projector, picture=blurred, axis_signs=np.array(signs, np.float32))
                for signs in mirrors
            ]
    return found + mirror_images


def photo_projector(
    rgb: U8,
    inside: NDArray[np.bool_],
    delight: Callable[[F32, F32], F32],
    camera: ProjectionCamera | None,
    side: int = 0,
) -> Projector:
    """Return the projector of one photo, (h, w, 3), with the mask of the product in it, (h, w).

    Args:
        rgb: The photo's colours, also beyond the product's outline.
        inside: Where the product is.
        delight: As for `photo_projectors`.
        camera: The photo's camera; None: orthographic, straight ahead.
        side: Index into atlas.SIDES; without a camera, the side that the photo shows.
    """
    grey = to_linear(np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1))
    levels = np.column_stack(
        [delight(grey, to_linear(rgb[::4, ::4]).reshape(-1, 3)), np.linspace(0, 1, 256) + RIM_TRUST]
    )
    return Projector(
        picture=cv2.merge([*cv2.split(rgb), _trust(inside)]),
        colour_table=levels.astype(np.float32),
        side=side,
        photo_camera=camera,
        axis_signs=_UNMIRRORED,
    )


def _trust(inside: NDArray[np.bool_]) -> U8:
    """Return the trust in each pixel of a mask, 0 to 255; 255 from RIM_PX inside the outline on."""
    eroded = np.pad(inside.astype(np.uint8), 1)
    depth = eroded.copy()
    for _ in range(RIM_PX - 1):
        eroded = cv2.erode(eroded, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
        depth += eroded
    return np.asarray(depth[1:-1, 1:-1] * np.uint8(255 // RIM_PX), np.uint8)


def _blur_lettering(picture: U8) -> U8:
    """Return a picture blurred so that no lettering is seen reversed."""
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (max(8, width // 8), max(8, height // 8)), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (0, 0), max(0.5, LETTERING_SHARE * max(small.shape[:2])))
    blurred[..., 3] = small[..., 3]
    return np.asarray(cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
