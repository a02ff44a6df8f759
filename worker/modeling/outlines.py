"""Outlines: what each photo says about the shape, brought into the product's own measure.

Every view is cropped to its product and mapped onto the product's true size, so that the photo's scale does not matter.
Orientation: front, image right is +X; right, image right is -Z; back, -X; left, +Z; top, image right +X and image up -Z.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dam_connector.domain.product import Dimensions, View
from worker.imaging.cutout import Cutout

F32 = NDArray[np.float32]
DEPTH_GUESS = 0.6  # of the width, where neither the record nor a view tells
_SIDES = (View.RIGHT, View.LEFT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """One view cropped to the product.

    alpha: (h, w) float32, 0 to 1. rgb: (h, w, 3) uint8. Image right and up lie along the model's axes as the file's header says.
    """

    alpha: F32
    rgb: NDArray[np.uint8]

    @property
    def aspect(self) -> float:
        """Width to height of the crop."""
        return self.alpha.shape[1] / self.alpha.shape[0]

    def mirrored(self) -> "Outline":
        return Outline(
            alpha=np.ascontiguousarray(self.alpha[:, ::-1]), rgb=np.ascontiguousarray(self.rgb[:, ::-1])
        )

    def transposed(self) -> "Outline":
        """Width and depth of a view from above change places: its columns become rows."""
        return Outline(
            alpha=np.ascontiguousarray(self.alpha.T), rgb=np.ascontiguousarray(np.swapaxes(self.rgb, 0, 1))
        )


def crop_outline(cutout: Cutout) -> Outline:
    """The cut-out cropped to its box."""
    left, top, right, bottom = cutout.box
    return Outline(
        alpha=np.asarray(cutout.alpha[top:bottom, left:right] / 255, np.float32),
        rgb=cutout.rgb[top:bottom, left:right],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductSize:
    """Width, height and depth in metres, and which of them were guessed."""

    width: float
    height: float
    depth: float
    guessed: tuple[str, ...] = ()

    def as_array(self) -> F32:
        return np.array([self.width, self.height, self.depth], np.float32)

    def with_width_and_depth_swapped(self) -> "ProductSize":
        """Width and depth change places."""
        return replace(self, width=self.depth, depth=self.width)


def complete_size(known: Dimensions, outlines: Mapping[View, Outline]) -> ProductSize:
    """The product's size, what is missing taken from the views' proportions; half a metre high when nothing is known."""
    front = outlines.get(View.FRONT) or outlines.get(View.BACK) or outlines.get(View.HERO)
    side = next((outlines[v] for v in _SIDES if v in outlines), None)
    top = outlines.get(View.TOP)
    width, height, depth = known.width_m, known.height_m, known.depth_m
    guessed = tuple(n for n, v in (("width", width), ("height", height), ("depth", depth)) if v is None)
    across = front.aspect if front else 1.0
    if height is None:
        height = width / across if width else (depth / side.aspect if depth and side else 0.5)
    if width is None:
        width = height * across
    if depth is None:
        depth = (
            height * side.aspect
            if side
            else (width / top.aspect if top else min(width, height * 2) * DEPTH_GUESS)
        )
    return ProductSize(width=width, height=height, depth=depth, guessed=guessed)


def aspect_mismatch(view: View, outline: Outline, size: ProductSize) -> float:
    """How far an orthographic view's proportions are from the product's: 0.1 is a tenth too wide for its height."""
    wanted = {View.TOP: size.width / size.depth} | dict.fromkeys(_SIDES, size.depth / size.height)
    return outline.aspect / wanted.get(view, size.width / size.height) - 1


def max_aspect_mismatch(size: ProductSize, outlines: Mapping[View, Outline]) -> float:
    """The largest mismatch over orthographic views."""
    return max(
        (abs(aspect_mismatch(view, o, size)) for view, o in outlines.items() if view is not View.HERO),
        default=0.0,
    )
