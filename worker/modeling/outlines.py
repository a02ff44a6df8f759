"""Outlines of the product in its photos, and the product's size.

Each view is cropped to the product and mapped onto its true size, so the scale of a photo does not matter.

Orientation: to the right in the picture is +X in the front view, -Z in the right view, -X in the back view,
+Z in the left view and +X in the top view; up in the top view is -Z.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dam_connector.domain.product import Dimensions, View
from worker.imaging.cutout import Cutout

F32 = NDArray[np.float32]
DEPTH_TO_WIDTH = 0.6  # assumed where neither the record nor a view gives the depth
_SIDE_VIEWS = (View.RIGHT, View.LEFT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """One photo cropped to the product; its orientation is in the module's docstring."""

    alpha: F32  # (h, w), 0 to 1
    rgb: NDArray[np.uint8]  # (h, w, 3) sRGB

    @property
    def aspect(self) -> float:
        """Return width to height of the crop."""
        return self.alpha.shape[1] / self.alpha.shape[0]

    def mirrored(self) -> "Outline":
        """Return the outline with left and right exchanged."""
        return Outline(
            alpha=np.ascontiguousarray(self.alpha[:, ::-1]), rgb=np.ascontiguousarray(self.rgb[:, ::-1])
        )

    def transposed(self) -> "Outline":
        """Return a top view with width and depth exchanged: its columns become rows."""
        return Outline(
            alpha=np.ascontiguousarray(self.alpha.T), rgb=np.ascontiguousarray(np.swapaxes(self.rgb, 0, 1))
        )


def crop_outline(cutout: Cutout) -> Outline:
    """Return a cut-out cropped to its bounding box."""
    left, top, right, bottom = cutout.box
    return Outline(
        alpha=np.asarray(cutout.alpha[top:bottom, left:right] / 255, np.float32),
        rgb=cutout.rgb[top:bottom, left:right],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductSize:
    """The product's size in metres."""

    width: float  # along X
    height: float  # along Y
    depth: float  # along Z
    guessed: tuple[str, ...] = ()  # the sides that the record does not give, e.g. ("depth",)

    def as_array(self) -> F32:
        """Return width, height and depth, (3,)."""
        return np.array([self.width, self.height, self.depth], np.float32)

    def with_width_and_depth_swapped(self) -> "ProductSize":
        """Return the size with width and depth exchanged."""
        return replace(self, width=self.depth, depth=self.width)


def complete_size(known: Dimensions, outlines: Mapping[View, Outline]) -> ProductSize:
    """Return the product's size; sides that the record lacks are derived from the proportions of the views.

    A product of which nothing is known is taken to be half a metre high.
    """
    front = outlines.get(View.FRONT) or outlines.get(View.BACK) or outlines.get(View.HERO)
    side = next((outlines[v] for v in _SIDE_VIEWS if v in outlines), None)
    top = outlines.get(View.TOP)
    width, height, depth = known.width_m, known.height_m, known.depth_m
    guessed = tuple(n for n, v in (("width", width), ("height", height), ("depth", depth)) if v is None)
    aspect = front.aspect if front else 1.0
    if height is None:
        height = width / aspect if width else (depth / side.aspect if depth and side else 0.5)
    if width is None:
        width = height * aspect
    if depth is None:
        depth = (
            height * side.aspect
            if side
            else (width / top.aspect if top else min(width, height * 2) * DEPTH_TO_WIDTH)
        )
    return ProductSize(width=width, height=height, depth=depth, guessed=guessed)


def aspect_mismatch(view: View, outline: Outline, size: ProductSize) -> float:
    """Return the relative error of an orthographic view's proportions, e.g. 0.1: a tenth too wide."""
    expected = {View.TOP: size.width / size.depth} | dict.fromkeys(_SIDE_VIEWS, size.depth / size.height)
    return outline.aspect / expected.get(view, size.width / size.height) - 1


def aspect_mismatches(outlines: Mapping[View, Outline], size: ProductSize) -> dict[View, float]:
    """Return the mismatch of each orthographic view."""
    return {view: aspect_mismatch(view, o, size) for view, o in outlines.items() if view is not View.HERO}
