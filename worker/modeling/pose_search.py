"""Viewpoint: from where photos were taken, and what they would show from straight ahead and far away.

Photos of upright sides whose proportions are not the product's look slightly down from a few metres: the usual camera is
assumed, where that explains the photos better than none. A lone three-quarter photo looks at a corner: many cameras are
tried. For each guess the photo is drawn onto the upright plane through the product's middle, or taken for the picture of like
slices (sections.py), a coarse shape is built from it and looked at through that camera; the guess whose picture covers the
photo's outline best is taken, an unusual one only for a gain. Furniture is fitted from parts beside that (joinery.py). What was
tried beside this: docs/modeling.md.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from dam_connector.domain.product import View
from worker.modeling.cross_sections import Section, from_front, sections_of
from worker.modeling.families.revolved import ROUND
from worker.modeling.furniture_fitting import WORDS, Piece, fitted
from worker.modeling.outlines import Outline, Size, mismatch
from worker.modeling.photo_camera import (
    COARSE_CELLS,
    HERO_FOV,
    PIXELS,
    Placed,
    Seen,
    camera_at,
    covered,
    inside,
    pillar,
    placed,
    upright,
)
from worker.modeling.shape import build_shape

F32 = NDArray[np.float32]

EXACT = 0.0045  # relative: photos whose proportions are the product's to this have neither perspective nor elevation
HERO_AZIMUTHS = (22.0, 30.0, 38.0, 46.0)  # to either side; the search begins at the last but one
HERO_ELEVATIONS = (10.0, 16.0, 22.0)
LEVEL_COST = 0.01
GUESSED_COST = 0.08  # of a shape that no family knows: it follows any outline
FLAT_COST = 0.02  # of a three-quarter photo taken for a picture of the front
SQUARES = (2.0, 3.0, 6.0)  # of slices
DRAWN_PX = 1024  # of the straightened photo's longer side, several to a cell of the field
_AZIMUTHS = {View.FRONT: 0.0, View.RIGHT: 90.0, View.BACK: 180.0, View.LEFT: 270.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """One way that photos may have been taken: degrees; square: the exponent of the base that they are first fitted to; section: the
    slices that the product is built up of, if it is."""

    elevation: float
    fov: float
    azimuth: float = 0.0
    square: float = 4.0
    section: Section | None = None

    def cost(self) -> float:
        """What an unusual guess must gain to be believed."""
        if not self.azimuth:
            return 0.0 if self.fov else LEVEL_COST
        return (
            (0.0 if self.section else FLAT_COST)
            + 0.01 * ((abs(self.azimuth) - 35) / 12) ** 2
            + 0.01 * ((self.elevation - 17) / 7) ** 2
        )


USUAL = Guess(elevation=3.5, fov=16.0)  # of photos of upright sides
FARTHER = Guess(elevation=2.0, fov=12.0)
LEVEL = Guess(elevation=0.0, fov=0.0)


def _small(outline: Outline) -> Outline:
    share = PIXELS / max(outline.alpha.shape)
    size = (max(4, round(outline.alpha.shape[1] * share)), max(4, round(outline.alpha.shape[0] * share)))
    alpha = cv2.resize(outline.alpha, size, interpolation=cv2.INTER_AREA)
    return Outline(alpha=alpha, rgb=np.zeros((*alpha.shape, 3), np.uint8))


@dataclass(frozen=True, slots=True, kw_only=True)
class Straight:
    """Outlines as if taken from straight ahead and far away. explained: 0 to 1, how well a coarse shape seen through the guessed
    cameras covers the photos; 1 where nothing had to be guessed. seen: the photos as they are, with the cameras guessed for them.
    piece: what furniture was fitted from, if that explains its photo best."""

    outlines: dict[View, Outline]
    explained: float
    seen: dict[View, Seen]
    piece: Piece | None = None


def straightened(outlines: Mapping[View, Outline], size: Size, words: str) -> Straight:
    """The outlines without perspective, elevation and, of a lone three-quarter photo, azimuth."""
    sides = {view: o for view, o in outlines.items() if view in _AZIMUTHS}
    level = {view: Seen(outline=o) for view, o in outlines.items() if view in _AZIMUTHS or view is View.TOP}
    above = {view: o for view, o in outlines.items() if view is View.TOP}
    if sides:
        if (
            sorted(abs(mismatch(view, o, size)) for view, o in sides.items())[(len(sides) - 1) // 2] < EXACT
        ):  # one view may have lost a part
            return Straight(outlines=sides | above, explained=1.0, seen=level)
    elif View.HERO not in outlines:  # from above alone
        return Straight(outlines=dict(outlines), explained=1.0, seen=level)
    if not sides:
        corner = _from_a_corner(
            outlines[View.HERO], {view: _small(o) for view, o in outlines.items()}, size, words
        )
        return replace(corner, outlines=corner.outlines | above, seen=level | corner.seen)
    small = {view: _small(o) for view, o in (sides | above).items()}
    best = max(
        (_tried(small, size, words, guess) for guess in (USUAL, FARTHER, LEVEL)), key=lambda t: t.worth
    )
    if best.guess is LEVEL:
        return Straight(outlines=sides | above, explained=best.explained, seen=level)
    seen = {
        view: Seen(outline=o, placed=best.where[view].enlarged(_share(o, small[view])))
        for view, o in sides.items()
    }
    drawn = {
        view: _drawn(view, o, where, size, best.guess, min(DRAWN_PX, max(o.alpha.shape)))
        for view, o in sides.items()
        if (where := seen[view].placed)
    }
    return Straight(outlines=drawn | above, explained=best.explained, seen=level | seen)


def _from_a_corner(photo: Outline, small: Mapping[View, Outline], size: Size, words: str) -> Straight:
    """A three-quarter photo without one from a side: of furniture, of something built up of like slices, or taken for a picture of
    the front. small: that photo and, if there is one, the one from above, reduced."""
    view = View.HERO
    furniture, round_body = (
        any(word in words.lower() for word in said) for said in (WORDS, ROUND)
    )  # a table lamp may be both
    ways = (
        [_flat_forms()]
        if furniture and not round_body
        else [_flat_forms(), _section_forms(size, round_body=round_body)]
    )
    best = max((_searched(small, size, words, forms) for forms in ways), key=lambda t: t.worth)
    fit = fitted(small[view], size) if furniture and View.TOP not in small else None
    if fit is not None and fit.explained > best.worth:
        where = fit.where.enlarged(_share(photo, small[view]))
        drawn = upright(photo, where, size, 0.0, max(photo.alpha.shape))
        return Straight(
            outlines={View.FRONT: drawn},
            explained=fit.explained,
            seen={view: Seen(outline=photo, placed=where)},
            piece=fit.piece,
        )
    where = best.where[view].enlarged(_share(photo, small[view]))
    drawn = _drawn(view, photo, where, size, best.guess, max(photo.alpha.shape))
    return Straight(
        outlines={View.FRONT: drawn}, explained=best.explained, seen={view: Seen(outline=photo, placed=where)}
    )


def _share(photo: Outline, small: Outline) -> float:
    return photo.alpha.shape[1] / small.alpha.shape[1]


def _facing(view: View) -> View:
    """The side that a photo is drawn onto."""
    return View.FRONT if view is View.HERO else view


def _drawn(view: View, photo: Outline, seen_by: Placed, size: Size, guess: Guess, pixels: int) -> Outline:
    if guess.section is not None:
        return from_front(photo, seen_by, size, guess.section, pixels)
    return upright(photo, seen_by, size, _AZIMUTHS.get(view, 0.0), pixels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """A guess, how well it explains the photos (0 to 1) and where its cameras stand; worth: less what makes it unlikely."""

    guess: Guess
    explained: float
    worth: float
    where: Mapping[View, Placed]


def _tried(outlines: Mapping[View, Outline], size: Size, words: str, guess: Guess) -> Tried:
    sides = {view: o for view, o in outlines.items() if view is not View.TOP}
    cameras = {
        view: camera_at(size, _AZIMUTHS.get(view, 0.0) + guess.azimuth, guess.elevation, guess.fov)
        for view in sides
    }
    where: dict[View, Placed] = {
        view: placed(cameras[view], pillar(size, guess.square), o.alpha.shape[1], o.alpha.shape[0])
        for view, o in sides.items()
    }
    for _ in range(1 if guess.section is None else 2):
        straight = {_facing(v): _drawn(v, o, where[v], size, guess, PIXELS) for v, o in sides.items()}
        shape = build_shape(
            straight | {v: o for v, o in outlines.items() if v is View.TOP}, size, words, COARSE_CELLS
        )
        points = inside(shape)
        if not len(points):
            return Tried(guess=guess, explained=0.0, worth=-1.0, where=where)
        where = {
            view: placed(cameras[view], points, o.alpha.shape[1], o.alpha.shape[0], shape.grid.cell / 2)
            for view, o in sides.items()
        }
    explained = float(np.mean([covered(shape, where[view], o.alpha > 0.5) for view, o in sides.items()]))
    unlikely = guess.cost() + (GUESSED_COST if View.HERO in sides and shape.family == "inflation" else 0.0)
    return Tried(guess=guess, explained=explained, worth=explained - unlikely, where=where)


def _flat_forms() -> list[Guess]:
    usual = Guess(azimuth=HERO_AZIMUTHS[-2], elevation=HERO_ELEVATIONS[1], fov=HERO_FOV)
    return [
        replace(usual, azimuth=side * azimuth, square=square)
        for azimuth in HERO_AZIMUTHS[::2]
        for square in (2.0, 6.0)
        for side in (1, -1)
    ]


def _section_forms(size: Size, *, round_body: bool) -> list[Guess]:
    usual = Guess(azimuth=HERO_AZIMUTHS[-2], elevation=HERO_ELEVATIONS[1], fov=HERO_FOV)
    forms = [section for square in SQUARES for section in sections_of(size, square, round_body=round_body)]
    return [
        replace(usual, azimuth=side * usual.azimuth, square=f.square, section=f)
        for f in forms
        for side in (1, -1)
    ]


def _searched(outlines: Mapping[View, Outline], size: Size, words: str, forms: Iterable[Guess]) -> Tried:
    """The best of the forms first, then the best elevation with it, then the best azimuth."""

    def best(guesses: Iterable[Guess]) -> Tried:
        return max((_tried(outlines, size, words, guess) for guess in guesses), key=lambda t: t.worth)

    form = best(forms).guess
    level = best(replace(form, elevation=elevation) for elevation in HERO_ELEVATIONS).guess
    return best(
        replace(level, azimuth=float(np.copysign(azimuth, level.azimuth))) for azimuth in HERO_AZIMUTHS
    )
