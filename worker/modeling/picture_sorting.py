"""Sorting of a shop's pictures, whose sides nobody named: front, back, sides, top, three-quarter and details.

Each side of the product has proportions that follow from its dimensions; three-quarter pictures have those of
the box from a corner. All pictures are assigned at once, at the least cost in all: there is one front.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from dam_connector.domain.product import Dimensions, View
from worker.imaging.cutout import Cutout
from worker.modeling.outlines import Outline, ProductSize, crop_outline
from worker.modeling.photo_camera import orbit_camera, superellipse_prism

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

MAX_PICTURES = 24
MIN_CONFIDENCE = 0.05  # of a cut-out that can be used
SIDE_ELEVATIONS_DEG = (0.0, 6.0, 12.0)  # shops take sides from a little above
HERO_AZIMUTHS_DEG = (25.0, 35.0, 45.0, 60.0)
HERO_ELEVATIONS_DEG = (12.0, 18.0, 25.0)
FOV_DEG = 25.0
EXPONENTS = (2.0, 8.0)  # of round and of square bases
COMPARED_PX = 96
MAX_COST = 0.6  # of a side: pictures that cost more are left out
TOP_COST, SECOND_SIDE_COST = 0.12, 0.08  # few shops show these
HERO_COST, SECOND_HERO_COST = 0.06, 0.05
ASYMMETRY_COST = 0.5  # of a front or a back whose outline is not symmetric, against a three-quarter picture
MIRROR_COST = 0.4  # of a front and a back whose outlines are not mirror images of each other
DETAIL_GAIN = 0.05  # for the front if it shows more detail than the back


class Taken(StrEnum):
    """A reason why a picture is left out; pictures that are used have a view."""

    CLOSE_UP = "detail"  # the product is larger than the picture
    UNCLEAR = "unclear"  # the cut-out is in doubt
    UNLIKE = "unlike"  # no side of the product has such proportions
    SPARE = "spare"  # another picture of the same side is used
    SURPLUS = "surplus"  # it comes after the first MAX_PICTURES, and nobody looked at it


@dataclass(frozen=True, slots=True, kw_only=True)
class SortedPictures:
    """What each picture was taken for."""

    cutouts: dict[View, Cutout]  # that a model can be made from
    taken_for: dict[str, str]  # by the name of the picture: a view, or a value of Taken


def sort_pictures(cutouts: Mapping[str, Cutout | None], dimensions: Dimensions) -> SortedPictures:
    """Return the pictures by the sides that they show.

    Args:
        cutouts: By the name of the picture; None where no product was found.
        dimensions: The product's, as far as they are known.
    """
    taken_for: dict[str, str] = {}
    whole: dict[str, Cutout] = {}
    for name, found in cutouts.items():
        if found is None or (found.confidence < MIN_CONFIDENCE and not found.touched_sides):
            taken_for[name] = Taken.UNCLEAR
        elif found.touched_sides:
            taken_for[name] = Taken.CLOSE_UP
        else:
            whole[name] = found
    names = list(whole)
    outlines = [crop_outline(whole[name]) for name in names]
    chosen: dict[View, Cutout] = {}
    if names:
        size = _size(dimensions, outlines)
        for name, slot in zip(names, _assigned(outlines, size), strict=True):
            taken_for[name] = slot
            if slot in set(View):
                chosen[View(slot)] = whole[name]
    return SortedPictures(cutouts=chosen, taken_for={name: taken_for[name] for name in cutouts})


def _size(known: Dimensions, outlines: Sequence[Outline]) -> ProductSize:
    """Return the product's size; missing sides come from the widest and the narrowest picture."""
    aspects = sorted(outline.aspect for outline in outlines)
    height = known.height_m or (known.width_m or 1.0) / aspects[-1]
    width = known.width_m or height * aspects[-1]
    depth = known.depth_m or height * aspects[0]
    guessed = tuple(n for n in ("width", "height", "depth") if getattr(known, f"{n}_m") is None)
    return ProductSize(width=width, height=height, depth=depth, guessed=guessed)


def _assigned(outlines: Sequence[Outline], size: ProductSize) -> list[str]:
    """Return the side of each picture."""
    count = len(outlines)
    slots: list[tuple[str, str, float]] = [  # the name, the side, and the cost of having it at all
        (View.FRONT, View.FRONT, 0.0),
        (View.BACK, View.BACK, 0.0),
        (View.RIGHT, View.RIGHT, 0.0),
        (View.LEFT, View.RIGHT, SECOND_SIDE_COST),
        (View.TOP, View.TOP, TOP_COST),
        (View.HERO, View.HERO, HERO_COST),
        *[(Taken.SPARE, View.HERO, HERO_COST + SECOND_HERO_COST)] * count,
        *[(Taken.UNLIKE, "", MAX_COST)] * count,
    ]
    costs = np.array([[base + _cost(outline, side, size) for _, side, base in slots] for outline in outlines])
    detail = _detail(outlines)
    costs[:, 0] -= DETAIL_GAIN * detail
    costs[:, 1] += DETAIL_GAIN * detail
    best: tuple[float, list[str]] = (np.inf, [])
    for front in range(count):  # the back is a mirror image of the front, whichever that is
        own = costs.copy()
        own[:, 1] += [MIRROR_COST * _mirror_difference(outlines[front], outline) for outline in outlines]
        others = [n for n in range(count) if n != front]
        rows, columns = linear_sum_assignment(own[others][:, 1:])
        found = [""] * count
        found[front] = slots[0][0]
        for row, column in zip(rows, columns, strict=True):
            found[others[row]] = slots[1 + column][0]
        total = float(own[front, 0] + own[others][:, 1:][rows, columns].sum())
        if total < best[0]:
            best = total, found
    return _with_facing(best[1], outlines)


def _cost(outline: Outline, side: str, size: ProductSize) -> float:
    """Return how unlike a side a picture is: the difference of proportions, and of symmetry."""
    if not side:
        return 0.0
    if side == View.TOP:
        return abs(float(np.log(outline.aspect * size.depth / size.width)))
    azimuths = {View.FRONT: (0.0,), View.BACK: (180.0,), View.RIGHT: (90.0,)}.get(
        View(side), HERO_AZIMUTHS_DEG
    )
    elevations = HERO_ELEVATIONS_DEG if side == View.HERO else SIDE_ELEVATIONS_DEG
    aspect = min(
        abs(float(np.log(outline.aspect / wanted))) for wanted in _aspects(size, azimuths, elevations)
    )
    return aspect + (ASYMMETRY_COST * _asymmetry(outline) if side in (View.FRONT, View.BACK) else 0.0)


def _aspects(size: ProductSize, azimuths: Sequence[float], elevations: Sequence[float]) -> list[float]:
    """Return the proportions of the product's box from some cameras."""
    found = []
    for exponent in EXPONENTS:
        points = superellipse_prism(size, exponent)
        for azimuth in azimuths:
            for elevation in elevations:
                width, height = np.ptp(
                    orbit_camera(size, azimuth, elevation, FOV_DEG).project(points), axis=0
                )
                found.append(float(width / height))
    return found


def _small(outline: Outline) -> F32:
    """Return the outline squeezed into a square."""
    return np.asarray(
        cv2.resize(outline.alpha, (COMPARED_PX, COMPARED_PX), interpolation=cv2.INTER_AREA), np.float32
    )


def _asymmetry(outline: Outline) -> float:
    """Return how much an outline differs from its mirror image, 0 to 1."""
    return _difference(_small(outline), _small(outline)[:, ::-1])


def _mirror_difference(front: Outline, back: Outline) -> float:
    return _difference(_small(front)[:, ::-1], _small(back))


def _difference(one: F32, two: F32) -> float:
    return 1 - float(np.minimum(one, two).sum() / max(1e-6, float(np.maximum(one, two).sum())))


def _detail(outlines: Sequence[Outline]) -> F32:
    """Return how much each picture shows within its outline, from -1 to 1 around the mean."""
    found = []
    for outline in outlines:
        grey = cv2.cvtColor(outline.rgb, cv2.COLOR_RGB2GRAY)
        factor = 256 / max(grey.shape)
        grey = cv2.resize(grey, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        alpha = cv2.resize(outline.alpha, grey.shape[::-1], interpolation=cv2.INTER_AREA)
        inside = cv2.erode((alpha > 0.9).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
        edges = np.abs(cv2.Laplacian(cv2.GaussianBlur(grey, (0, 0), 1.0), cv2.CV_32F))
        found.append(float(edges[inside].mean()) if inside.any() else 0.0)
    values = np.log(np.array(found) + 0.1)
    return np.asarray(np.clip(values - values.mean(), -1, 1), np.float32)


def _with_facing(found: list[str], outlines: Sequence[Outline]) -> list[str]:
    """Return the sides with right and left exchanged where that fits better.

    Products that are higher on one side, such as chairs and beds, are so at their back.
    """
    for n, slot in enumerate(found):
        if slot == View.RIGHT and View.LEFT not in found and _is_higher_at_left(outlines[n]):
            return [View.LEFT if k == n else other for k, other in enumerate(found)]
    return found


def _is_higher_at_left(outline: Outline) -> bool:
    small = _small(outline) > 0.5
    tops = np.where(small.any(0), small.argmax(0), COMPARED_PX)
    third = COMPARED_PX // 3
    return bool(tops[:third].mean() < tops[-third:].mean())
