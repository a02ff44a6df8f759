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
from worker.modeling.cross_sections import Section, candidate_sections, front_view
from worker.modeling.families.revolved import ROUND_WORDS
from worker.modeling.furniture_fitting import FURNITURE_WORDS, FurniturePiece, fit_furniture
from worker.modeling.outlines import Outline, ProductSize, aspect_mismatch
from worker.modeling.photo_camera import (
    COARSE_CELLS,
    COMPARISON_PX,
    HERO_FOV_DEG,
    PhotoCamera,
    PosedPhoto,
    coverage,
    fit_camera,
    inside_points,
    orbit_camera,
    rectify_onto_plane,
    superellipse_prism,
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
class PoseGuess:
    """One way that photos may have been taken: degrees; square: the exponent of the base that they are first fitted to; section: the
    slices that the product is built up of, if it is."""

    elevation: float
    fov: float
    azimuth: float = 0.0
    base_exponent: float = 4.0
    section: Section | None = None

    def penalty(self) -> float:
        """What an unusual guess must gain to be believed."""
        if not self.azimuth:
            return 0.0 if self.fov else LEVEL_COST
        return (
            (0.0 if self.section else FLAT_COST)
            + 0.01 * ((abs(self.azimuth) - 35) / 12) ** 2
            + 0.01 * ((self.elevation - 17) / 7) ** 2
        )


USUAL = PoseGuess(elevation=3.5, fov=16.0)  # of photos of upright sides
FARTHER = PoseGuess(elevation=2.0, fov=12.0)
LEVEL = PoseGuess(elevation=0.0, fov=0.0)


def _small(outline: Outline) -> Outline:
    share = COMPARISON_PX / max(outline.alpha.shape)
    size = (max(4, round(outline.alpha.shape[1] * share)), max(4, round(outline.alpha.shape[0] * share)))
    alpha = cv2.resize(outline.alpha, size, interpolation=cv2.INTER_AREA)
    return Outline(alpha=alpha, rgb=np.zeros((*alpha.shape, 3), np.uint8))


@dataclass(frozen=True, slots=True, kw_only=True)
class RectifiedViews:
    """Outlines as if taken from straight ahead and far away. explained: 0 to 1, how well a coarse shape seen through the guessed
    cameras covers the photos; 1 where nothing had to be guessed. seen: the photos as they are, with the cameras guessed for them.
    piece: what furniture was fitted from, if that explains its photo best."""

    outlines: dict[View, Outline]
    coverage: float
    posed_photos: dict[View, PosedPhoto]
    furniture: FurniturePiece | None = None


def rectify_views(outlines: Mapping[View, Outline], size: ProductSize, words: str) -> RectifiedViews:
    """The outlines without perspective, elevation and, of a lone three-quarter photo, azimuth."""
    sides = {view: o for view, o in outlines.items() if view in _AZIMUTHS}
    level = {
        view: PosedPhoto(outline=o) for view, o in outlines.items() if view in _AZIMUTHS or view is View.TOP
    }
    above = {view: o for view, o in outlines.items() if view is View.TOP}
    if sides:
        if (
            sorted(abs(aspect_mismatch(view, o, size)) for view, o in sides.items())[(len(sides) - 1) // 2]
            < EXACT
        ):  # one view may have lost a part
            return RectifiedViews(outlines=sides | above, coverage=1.0, posed_photos=level)
    elif View.HERO not in outlines:  # from above alone
        return RectifiedViews(outlines=dict(outlines), coverage=1.0, posed_photos=level)
    if not sides:
        corner = _from_a_corner(
            outlines[View.HERO], {view: _small(o) for view, o in outlines.items()}, size, words
        )
        return replace(corner, outlines=corner.outlines | above, posed_photos=level | corner.posed_photos)
    small = {view: _small(o) for view, o in (sides | above).items()}
    best = max(
        (_tried(small, size, words, guess) for guess in (USUAL, FARTHER, LEVEL)), key=lambda t: t.score
    )
    if best.guess is LEVEL:
        return RectifiedViews(outlines=sides | above, coverage=best.coverage, posed_photos=level)
    seen = {
        view: PosedPhoto(outline=o, photo_camera=best.cameras[view].scaled(_share(o, small[view])))
        for view, o in sides.items()
    }
    drawn = {
        view: _drawn(view, o, where, size, best.guess, min(DRAWN_PX, max(o.alpha.shape)))
        for view, o in sides.items()
        if (where := seen[view].photo_camera)
    }
    return RectifiedViews(outlines=drawn | above, coverage=best.coverage, posed_photos=level | seen)


def _from_a_corner(
    photo: Outline, small: Mapping[View, Outline], size: ProductSize, words: str
) -> RectifiedViews:
    """A three-quarter photo without one from a side: of furniture, of something built up of like slices, or taken for a picture of
    the front. small: that photo and, if there is one, the one from above, reduced."""
    view = View.HERO
    furniture, round_body = (
        any(word in words.lower() for word in said) for said in (FURNITURE_WORDS, ROUND_WORDS)
    )  # a table lamp may be both
    ways = (
        [_flat_forms()]
        if furniture and not round_body
        else [_flat_forms(), _section_forms(size, round_body=round_body)]
    )
    best = max((_searched(small, size, words, forms) for forms in ways), key=lambda t: t.score)
    fit = fit_furniture(small[view], size) if furniture and View.TOP not in small else None
    if fit is not None and fit.coverage > best.score:
        where = fit.photo_camera.scaled(_share(photo, small[view]))
        drawn = rectify_onto_plane(photo, where, size, 0.0, max(photo.alpha.shape))
        return RectifiedViews(
            outlines={View.FRONT: drawn},
            coverage=fit.coverage,
            posed_photos={view: PosedPhoto(outline=photo, photo_camera=where)},
            furniture=fit.piece,
        )
    where = best.cameras[view].scaled(_share(photo, small[view]))
    drawn = _drawn(view, photo, where, size, best.guess, max(photo.alpha.shape))
    return RectifiedViews(
        outlines={View.FRONT: drawn},
        coverage=best.coverage,
        posed_photos={view: PosedPhoto(outline=photo, photo_camera=where)},
    )


def _share(photo: Outline, small: Outline) -> float:
    return photo.alpha.shape[1] / small.alpha.shape[1]


def _facing(view: View) -> View:
    """The side that a photo is drawn onto."""
    return View.FRONT if view is View.HERO else view


def _drawn(
    view: View, photo: Outline, seen_by: PhotoCamera, size: ProductSize, guess: PoseGuess, pixels: int
) -> Outline:
    if guess.section is not None:
        return front_view(photo, seen_by, size, guess.section, pixels)
    return rectify_onto_plane(photo, seen_by, size, _AZIMUTHS.get(view, 0.0), pixels)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseTrial:
    """A guess, how well it explains the photos (0 to 1) and where its cameras stand; worth: less what makes it unlikely."""

    guess: PoseGuess
    coverage: float
    score: float
    cameras: Mapping[View, PhotoCamera]


def _tried(outlines: Mapping[View, Outline], size: ProductSize, words: str, guess: PoseGuess) -> PoseTrial:
    sides = {view: o for view, o in outlines.items() if view is not View.TOP}
    cameras = {
        view: orbit_camera(size, _AZIMUTHS.get(view, 0.0) + guess.azimuth, guess.elevation, guess.fov)
        for view in sides
    }
    where: dict[View, PhotoCamera] = {
        view: fit_camera(
            cameras[view], superellipse_prism(size, guess.base_exponent), o.alpha.shape[1], o.alpha.shape[0]
        )
        for view, o in sides.items()
    }
    for _ in range(1 if guess.section is None else 2):
        straight = {_facing(v): _drawn(v, o, where[v], size, guess, COMPARISON_PX) for v, o in sides.items()}
        shape = build_shape(
            straight | {v: o for v, o in outlines.items() if v is View.TOP}, size, words, COARSE_CELLS
        )
        points = inside_points(shape)
        if not len(points):
            return PoseTrial(guess=guess, coverage=0.0, score=-1.0, cameras=where)
        where = {
            view: fit_camera(cameras[view], points, o.alpha.shape[1], o.alpha.shape[0], shape.grid.cell / 2)
            for view, o in sides.items()
        }
    explained = float(np.mean([coverage(shape, where[view], o.alpha > 0.5) for view, o in sides.items()]))
    unlikely = guess.penalty() + (GUESSED_COST if View.HERO in sides and shape.family == "inflation" else 0.0)
    return PoseTrial(guess=guess, coverage=explained, score=explained - unlikely, cameras=where)


def _flat_forms() -> list[PoseGuess]:
    usual = PoseGuess(azimuth=HERO_AZIMUTHS[-2], elevation=HERO_ELEVATIONS[1], fov=HERO_FOV_DEG)
    return [
        replace(usual, azimuth=side * azimuth, base_exponent=square)
        for azimuth in HERO_AZIMUTHS[::2]
        for square in (2.0, 6.0)
        for side in (1, -1)
    ]


def _section_forms(size: ProductSize, *, round_body: bool) -> list[PoseGuess]:
    usual = PoseGuess(azimuth=HERO_AZIMUTHS[-2], elevation=HERO_ELEVATIONS[1], fov=HERO_FOV_DEG)
    forms = [
        section for square in SQUARES for section in candidate_sections(size, square, round_body=round_body)
    ]
    return [
        replace(usual, azimuth=side * usual.azimuth, base_exponent=f.exponent, section=f)
        for f in forms
        for side in (1, -1)
    ]


def _searched(
    outlines: Mapping[View, Outline], size: ProductSize, words: str, forms: Iterable[PoseGuess]
) -> PoseTrial:
    """The best of the forms first, then the best elevation with it, then the best azimuth."""

    def best(guesses: Iterable[PoseGuess]) -> PoseTrial:
        return max((_tried(outlines, size, words, guess) for guess in guesses), key=lambda t: t.score)

    form = best(forms).guess
    level = best(replace(form, elevation=elevation) for elevation in HERO_ELEVATIONS).guess
    return best(
        replace(level, azimuth=float(np.copysign(azimuth, level.azimuth))) for azimuth in HERO_AZIMUTHS
    )
