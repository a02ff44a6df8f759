"""Agreement of the photos of several sides: whether one was given as another side, or shows another product.

Photos of sides limit each other. What the front shows at a place must have room in the view from above and
from the side, so a product's outlines are covered by the hull of all of them. Edges that two photos share,
e.g. the upper front edge in the photos of the front and from above, have the same colours. Where the product
is high it is mostly deep, too.

A photo that was given as another side is found by another reading of the photos, e.g. the one from above
turned by 180 degrees, that explains all of them clearly better. The photos of a symmetric product allow
several readings alike, and no one is better. A photo of another product has colours that no other photo has,
and an outline that does not fit. How the limits were chosen: docs/lab/modeling.md.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.color import rgb2lab

from dam_connector.domain.product import View
from worker.modeling.outlines import Outline, ProductSize, aspect_mismatches
from worker.modeling.pose_search import EXACT_ASPECT
from worker.modeling.shape_evidence import iou

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]

CELLS = 64  # on each axis of the product's box
INSIDE = 0.4  # alpha of a cell from which it is in the outline
OPAQUE = 0.9  # alpha of pixels whose colours count
EDGE_CELLS = 2  # by which a place may be off the surface that a photo sees, and still be on it
NEIGHBOUR_CELLS = 2  # around a place, in which the other photo may have the same colour
LIGHTNESS_WEIGHT = 0.3  # of a difference: light falls on each side in another way
MAX_DIFFERENCE = 30.0  # of colours; more says no more
# What each measure must gain for one point.
COVERAGE_GAIN, COLOUR_GAIN, COLOUR_LOG_GAIN, PROFILE_GAIN = 0.02, 1.5, 0.35, 1.7
MAX_COVERAGE_POINTS = 6.0
# Of another reading. More where the photos have perspective, or show less than front, back, a side and above.
MIN_POINTS, MIN_POINTS_IN_DOUBT = 1.0, 1.5
ALIKE = 0.75  # of the best reading's points, from which another reading is named too
FOREIGN_DIFFERENCE = 10.0  # to the most similar colour of the other photos, from which a colour is foreign
MAX_FOREIGN_SHARE = 0.35  # of a photo's colours; true photos have up to .16
MIN_COVERAGE, GOOD_COVERAGE = 0.97, 0.99  # of photos without perspective; true ones have at least .985
PERSPECTIVE_CELLS = 3  # by which outlines with perspective may be off
MIN_OPPOSITE_OVERLAP, MIN_OPPOSITE_OVERLAP_NEAR = 0.9, 0.5  # of front and back; the second with perspective
MAX_ASPECT, MAX_ASPECT_NEAR = 0.05, 0.12  # mismatch of a photo of other colours; the second with perspective
MAX_CORRELATION = 0.97
MIN_PROFILE_SPREAD = 0.03  # of a profile, that it says anything
_AXES = {
    View.TOP: 1,
    View.FRONT: 2,
    View.BACK: 2,
    View.RIGHT: 0,
    View.LEFT: 0,
}  # of x, y, z, that a view looks along
_FROM_HIGH = (View.TOP, View.FRONT, View.RIGHT)  # that look from the positive end of their axis
_OPPOSITE = {View.FRONT: View.BACK, View.BACK: View.FRONT, View.RIGHT: View.LEFT, View.LEFT: View.RIGHT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One photo on the cells of the product's box, indexed by the two of x, y and z that it shows."""

    mask: Mask  # (CELLS, CELLS)
    lab: F32  # (CELLS, CELLS, 3), outside the outline that of the nearest place inside

    def flipped(self, *axes: int) -> "Side":
        """Return the side mirrored along one or two of its own axes, 0 or 1."""
        return Side(mask=np.flip(self.mask, axes), lab=np.flip(self.lab, axes))


Sides = Mapping[View, Side]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the photos are taken for."""

    sides: Sides
    view: View  # of the photo that this reading takes for something else than it was given as
    words: str  # about that, e.g. "the top photo looks turned by 180 degrees"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """Photos that contradict the others."""

    view: View  # of the photo that contradicts
    message: str
    measured: str
    limit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measures:
    """How far the photos agree."""

    coverage: float  # 0 to 1, of the outline that the hull covers least
    colour: float | None  # mean difference of colours on shared edges; None if there are none
    profile: float  # how similar heights, widths and depths are, as Fisher's z, both axes added


def find_contradiction(outlines: Mapping[View, Outline], size: ProductSize) -> Contradiction | None:
    """Return what contradicts in photos of at least two sides; None if nothing does.

    Args:
        outlines: The cropped photos; those from a corner are not looked at.
        size: The product's size.
    """
    sides = {view: on_cells(view, outline) for view, outline in outlines.items() if view in _AXES}
    if len(sides) < 2:
        return None
    mismatches = aspect_mismatches(outlines, size)
    is_exact = not size.guessed and _are_exact(mismatches)
    return (
        _better_reading(sides, is_exact=is_exact)
        or _other_outline(sides, is_exact=is_exact)
        or _other_product(sides, mismatches, is_exact=is_exact)
    )


def _are_exact(mismatches: Mapping[View, float]) -> bool:
    """Return whether the photos of upright sides have neither perspective nor elevation, by their median."""
    found = sorted(abs(mismatch) for view, mismatch in mismatches.items() if view in _OPPOSITE)
    return bool(found) and found[len(found) // 2] < EXACT_ASPECT


def _better_reading(sides: Sides, *, is_exact: bool) -> Contradiction | None:
    """Return that a photo was given as another side, if that explains all photos clearly better.

    Only the view from above, with a front and a side, tells left from right and front from back.
    """
    ends, flanks = {View.FRONT, View.BACK} & set(sides), {View.RIGHT, View.LEFT} & set(sides)
    if View.TOP not in sides or not ends or not flanks:
        return None
    given = measure(sides)
    found = sorted(((points_over(measure(r.sides), given), r) for r in readings(sides)), key=lambda f: -f[0])
    points, best = found[0]
    limit = MIN_POINTS if is_exact and len(ends) == 2 else MIN_POINTS_IN_DOUBT
    if points < limit:
        return None
    words = " or ".join(r.words for p, r in found if p >= max(limit, ALIKE * points))
    return Contradiction(
        view=best.view,
        message=f"{words[0].upper()}{words[1:]}: then the photos agree clearly better.",
        measured=f"{points:.1f} points better",
        limit=f"{limit:g} points",
    )


def _other_outline(sides: Sides, *, is_exact: bool) -> Contradiction | None:
    """Return that photos of opposite sides, or of all sides, have outlines that cannot be one product's."""
    limit = MIN_OPPOSITE_OVERLAP if is_exact else MIN_OPPOSITE_OVERLAP_NEAR
    for one, other in ((View.FRONT, View.BACK), (View.RIGHT, View.LEFT)):
        if one in sides and other in sides and (overlap := iou(sides[one].mask, sides[other].mask)) < limit:
            foreign = {view: _foreign_share(view, sides) for view in (other, one)}
            return Contradiction(
                view=max(foreign, key=lambda view: foreign[view]),
                message=f"The outline of the {other} photo is not that of the {one} photo from behind.",
                measured=_percent(overlap),
                limit=f"at least {_percent(limit)}",
            )
    coverage = _coverage(_hull(sides), sides)
    if is_exact and coverage < MIN_COVERAGE:
        foreign = {view: _foreign_share(view, sides) for view in _suspects(sides)}
        return Contradiction(
            view=max(foreign, key=lambda view: foreign[view]),
            message=f"The outlines of {_listed(sides)} cannot be those of one product.",
            measured=f"{_percent(coverage)} of an outline is possible by the others",
            limit=f"at least {_percent(MIN_COVERAGE)}",
        )
    return None


def _other_product(sides: Sides, mismatches: Mapping[View, float], *, is_exact: bool) -> Contradiction | None:
    """Return that a photo may show another product: its outline differs, no other photo has its colours."""
    coverage = _coverage(_hull(sides, 0 if is_exact else PERSPECTIVE_CELLS), sides)
    is_odd = coverage < (GOOD_COVERAGE if is_exact else MIN_COVERAGE)
    max_aspect = MAX_ASPECT if is_exact else MAX_ASPECT_NEAR
    foreign = {
        view: _foreign_share(view, sides) for view in sides if is_odd or abs(mismatches[view]) > max_aspect
    }
    view = max(foreign, key=lambda view: foreign[view], default=None)
    if view is None or foreign[view] < MAX_FOREIGN_SHARE:
        return None
    return Contradiction(
        view=view,
        message=f"The {view} photo may show another product: its outline and its colours differ.",
        measured=f"{_percent(foreign[view])} of its colours are in no other photo",
        limit=_percent(MAX_FOREIGN_SHARE),
    )


def _foreign_share(view: View, sides: Sides) -> float:
    """Return the share of a photo's cells whose colours no other photo has."""
    weights = np.array([LIGHTNESS_WEIGHT, 1, 1], np.float32)
    known = np.concatenate([side.lab[side.mask] for other, side in sides.items() if other is not view])
    own = sides[view].lab[sides[view].mask]
    if not len(known) or not len(own):
        return 0.0
    distances, _ = cKDTree(known * weights).query(own * weights)
    return float((distances > FOREIGN_DIFFERENCE).mean())


def _suspects(sides: Sides) -> list[View]:
    """Return the views whose outline no opposite photo confirms; all of them if there are none."""
    return [view for view in sides if _OPPOSITE.get(view) not in sides] or list(sides)


def _listed(sides: Sides) -> str:
    names = [view.value for view in _AXES if view in sides]
    return f"the {', '.join(names[:-1])} and {names[-1]} photos"


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def readings(sides: Sides) -> Iterator[Reading]:
    """Yield the readings of the photos in which one was given as another side, or two were exchanged."""
    if View.TOP in sides:
        turned = {**sides, View.TOP: sides[View.TOP].flipped(0, 1)}
        yield Reading(sides=turned, view=View.TOP, words="the top photo looks turned by 180 degrees")
    for one, other, axis in ((View.RIGHT, View.LEFT, 1), (View.FRONT, View.BACK, 0)):
        given = [view for view in (one, other) if view in sides]
        if given:
            rest = {view: side for view, side in sides.items() if view not in given}
            exchanged = {_OPPOSITE[view]: sides[view].flipped(axis) for view in given}
            words = f"the {given[0]} photo looks like one of the {_OPPOSITE[given[0]]}"
            words = f"the {one} and {other} photos look exchanged" if len(given) == 2 else words
            yield Reading(sides={**rest, **exchanged}, view=given[0], words=words)


def points_over(other: _Measures, given: _Measures) -> float:
    """Return by how many points another reading explains the photos better than the given one."""
    points = float(
        np.clip((other.coverage - given.coverage) / COVERAGE_GAIN, -MAX_COVERAGE_POINTS, MAX_COVERAGE_POINTS)
    )
    points += (other.profile - given.profile) / PROFILE_GAIN
    if given.colour is not None and other.colour is not None:
        gain, ratio = given.colour - other.colour, np.log((given.colour + 1) / (other.colour + 1))
        points += float(np.copysign(min(abs(gain) / COLOUR_GAIN, abs(ratio) / COLOUR_LOG_GAIN), gain))
    return points


def measure(sides: Sides) -> _Measures:
    """Return how far photos of the front or back, of a side and from above agree."""
    hull = _hull(sides)
    front, side, top = (np.logical_or.reduce(masks) for masks in _masks(sides))
    return _Measures(
        coverage=_coverage(hull, sides),
        colour=_colour_difference(hull, sides),
        profile=_fisher_z(front.mean(1), top.mean(1)) + _fisher_z(side.mean(0), top.mean(0)),
    )


def _masks(sides: Sides) -> list[list[Mask]]:
    """Return the outlines along each axis: from front and back, from the sides, from above."""
    along = ((View.FRONT, View.BACK), (View.RIGHT, View.LEFT), (View.TOP,))
    return [[sides[view].mask for view in views if view in sides] for views in along]


def _hull(sides: Sides, tolerance: int = 0) -> Mask:
    """Return what all outlines allow, (CELLS, CELLS, CELLS) along x, y, z.

    With perspective, opposite photos differ: what one of them has is enough.

    Args:
        sides: The photos.
        tolerance: How many cells an outline may be off.
    """
    hull = np.ones((CELLS, CELLS, CELLS), bool)
    kernel = np.ones((2 * tolerance + 1, 2 * tolerance + 1), np.uint8)
    for axis, masks in zip((2, 0, 1), _masks(sides), strict=True):
        if masks:
            allowed = cv2.dilate(np.logical_or.reduce(masks).astype(np.uint8), kernel) > 0
            hull &= np.expand_dims(allowed, axis)
    return hull


def _coverage(hull: Mask, sides: Sides) -> float:
    """Return the share of an outline that the hull covers, of that which it covers least.

    Of opposite photos, what both have counts.
    """
    shares = []
    for axis, masks in zip((2, 0, 1), _masks(sides), strict=True):
        if masks:
            common = np.logical_and.reduce(masks)
            shares.append(float((hull.any(axis) & common).sum() / max(1, common.sum())))
    return min(shares)


def _colour_difference(hull: Mask, sides: Sides) -> float | None:
    """Return how much the colours of two photos differ where both see the hull, in the mean of all pairs."""
    depths = {view: _depth(hull, view) for view in _AXES if view in sides}
    differences = []
    for one, other in combinations(depths, 2):
        if _AXES[one] == _AXES[other]:
            continue
        pixels = np.argwhere(depths[one] >= 0)
        cells = np.insert(pixels, _AXES[one], depths[one][tuple(pixels.T)], axis=1)
        there = tuple(np.delete(cells, _AXES[other], axis=1).T)
        is_shared = np.abs(depths[other][there] - cells[:, _AXES[other]]) <= EDGE_CELLS
        is_shared &= depths[other][there] >= 0
        if is_shared.any():
            found = _least_difference(sides[one].lab[tuple(pixels.T)], sides[other].lab, there)
            differences.append(float(found[is_shared].mean()))
    return float(np.mean(differences)) if differences else None


def _depth(hull: Mask, view: View) -> NDArray[np.int64]:
    """Return the index along its axis of what a view sees first; -1 where it sees nothing."""
    axis = _AXES[view]
    first = np.argmax(np.flip(hull, axis) if view in _FROM_HIGH else hull, axis=axis)
    index = CELLS - 1 - first if view in _FROM_HIGH else first
    return np.where(hull.any(axis), index, -1)


def _least_difference(colours: F32, lab: F32, places: tuple[NDArray[np.int64], ...]) -> F32:
    """Return the difference of each colour (n, 3) to the most similar one around its place elsewhere."""
    offsets = range(-NEIGHBOUR_CELLS, NEIGHBOUR_CELLS + 1, NEIGHBOUR_CELLS)
    around = (
        lab[np.clip(places[0] + i, 0, CELLS - 1), np.clip(places[1] + j, 0, CELLS - 1)]
        for i in offsets
        for j in offsets
    )
    weights = np.array([LIGHTNESS_WEIGHT, 1, 1], np.float32)
    found = np.min([np.linalg.norm((colours - other) * weights, axis=1) for other in around], axis=0)
    return np.asarray(np.minimum(found, MAX_DIFFERENCE), np.float32)


def _fisher_z(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return how two profiles rise and fall alike, as Fisher's z; 0 where one of them is level."""
    if min(one.std(), other.std()) < MIN_PROFILE_SPREAD:
        return 0.0
    return float(np.arctanh(np.clip(np.corrcoef(one, other)[0, 1], -MAX_CORRELATION, MAX_CORRELATION)))


def on_cells(view: View, outline: Outline) -> Side:
    """Return a photo on the cells of the product's box."""
    alpha = cv2.resize(outline.alpha, (CELLS, CELLS), interpolation=cv2.INTER_AREA)
    weight = _sure_pixels(outline.alpha)
    light = cv2.resize(
        outline.rgb / np.float32(255) * weight[..., None], (CELLS, CELLS), interpolation=cv2.INTER_AREA
    )
    share = cv2.resize(weight, (CELLS, CELLS), interpolation=cv2.INTER_AREA)
    is_known = share > 0.05
    rgb = light / np.maximum(share, 1e-6)[..., None]
    nearest = ndimage.distance_transform_edt(~is_known, return_distances=False, return_indices=True)
    lab = np.asarray(rgb2lab(np.clip(rgb[tuple(nearest)], 0, 1)), np.float32)
    mask = alpha > INSIDE
    if view is View.TOP:  # rows from -Z on, columns from -X on
        return Side(mask=mask.T, lab=np.swapaxes(lab, 0, 1))
    mask, lab = mask[::-1], lab[::-1]  # rows from the floor on
    if view in (View.BACK, View.RIGHT):  # to the right is -X or -Z
        mask, lab = mask[:, ::-1], lab[:, ::-1]
    if view in (View.FRONT, View.BACK):
        return Side(mask=mask.T, lab=np.swapaxes(lab, 0, 1))
    return Side(mask=mask, lab=lab)


def _sure_pixels(alpha: F32) -> F32:
    """Return where an outline has the product's own colours: not at its rim, if anything is left then."""
    opaque = (alpha > OPAQUE).astype(np.float32)
    inner = cv2.erode(opaque, np.ones((3, 3), np.uint8), iterations=max(1, round(max(alpha.shape) / 256)))
    return np.asarray(inner if inner.sum() > 0.3 * opaque.sum() else opaque, np.float32)
