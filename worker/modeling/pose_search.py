"""Search for the camera poses of photos, and rectification of the photos to orthographic views.

Photos of upright sides whose proportions are not the product's look slightly down from a few metres. The
usual camera is assumed if it explains the photos better than an orthographic one. A lone three-quarter
photo looks at a corner, and many cameras are tried.

For each guess the photo is rectified onto the upright plane through the product's middle, or taken for a
stack of sections (cross_sections.py). A coarse shape is built from it and seen through the guessed camera.
The guess whose picture covers the photo's outline best wins; an unusual guess must be better by a penalty.
Furniture is also fitted from parts (furniture_fitting.py). Other attempts: docs/lab/modeling.md.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from dam_connector.domain.product import View
from worker.modeling.cross_sections import Section, candidate_sections, front_view
from worker.modeling.families.revolved import ROUND_WORDS
from worker.modeling.furniture_fitting import (
    FURNITURE_WORDS,
    MIN_TABLE_LEGS,
    FurniturePiece,
    fit_furniture,
)
from worker.modeling.open_furniture import OpenPiece, fit_open_furniture
from worker.modeling.outlines import Outline, ProductSize, aspect_mismatch
from worker.modeling.panel_fitting import fit_panel
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
from worker.modeling.shared_camera import (
    MAX_MEAN_ERROR,
    SharedCamera,
    far_outlines,
    fit_shared_camera,
    posed_photos,
)
from worker.modeling.turned_fitting import TurnedBody, fit_turned

F32 = NDArray[np.float32]

EXACT_ASPECT = 0.0045  # mismatch up to which photos have neither perspective nor elevation
HERO_AZIMUTHS = (22.0, 30.0, 38.0, 46.0)  # degrees to either side; the search begins at the last but one
HERO_ELEVATIONS = (10.0, 16.0, 22.0)  # degrees
LEVEL_PENALTY = 0.01  # of orthographic cameras, in coverage as are the next two
INFLATION_PENALTY = 0.08  # of the family that follows any outline
SHARED_ERROR_WEIGHT = 0.4  # of the largest error of a shared camera, in coverage
FLAT_PENALTY = 0.02  # of a three-quarter photo rectified as if it were flat
FURNITURE_BONUS = 0.06  # of coverage, for furniture: a flat picture covers its own outline too easily
MAX_OPEN_FILL = 0.68  # of its convex hull; the outline of a sofa or a cabinet fills more
MIN_BOX_COVERAGE = 0.88  # by blocks, of what has flat sides; round bodies have up to .81
MAX_BLOCKS_COVERAGE = 0.75  # blocks that cover more are near enough
OPEN_GAIN = 0.08  # of coverage, by which open furniture must be better than blocks: it has more freedom
SAME_SIDES = 0.02  # relative difference of width and depth: such products are often round
SECTION_EXPONENTS = (2.0, 3.0, 6.0)  # that are tried
RECTIFIED_PX = 1024  # longer side of rectified photos: several pixels to a cell of the grid
_AZIMUTHS = {View.FRONT: 0.0, View.RIGHT: 90.0, View.BACK: 180.0, View.LEFT: 270.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseGuess:
    """One way in which photos can have been taken."""

    elevation: float  # degrees
    fov: float  # degrees; 0: orthographic
    azimuth: float = 0.0  # degrees, added to that of each photo's side
    base_exponent: float = 4.0  # of the superellipse prism that the camera is first fitted to
    section: Section | None = None  # that the product is a stack of, if it is one

    def penalty(self) -> float:
        """Return the coverage that this guess must gain over a usual one to be believed."""
        if not self.azimuth:
            return 0.0 if self.fov else LEVEL_PENALTY
        return (
            (0.0 if self.section else FLAT_PENALTY)
            + 0.01 * ((abs(self.azimuth) - 35) / 12) ** 2
            + 0.01 * ((self.elevation - 17) / 7) ** 2
        )


USUAL_POSE = PoseGuess(elevation=3.5, fov=16.0)  # of photos of upright sides
FARTHER_POSE = PoseGuess(elevation=2.0, fov=12.0)
LEVEL_POSE = PoseGuess(elevation=0.0, fov=0.0)


def _reduce(outline: Outline) -> Outline:
    factor = COMPARISON_PX / max(outline.alpha.shape)
    size = (max(4, round(outline.alpha.shape[1] * factor)), max(4, round(outline.alpha.shape[0] * factor)))
    alpha = cv2.resize(outline.alpha, size, interpolation=cv2.INTER_AREA)
    return Outline(alpha=alpha, rgb=np.zeros((*alpha.shape, 3), np.uint8))


@dataclass(frozen=True, slots=True, kw_only=True)
class RectifiedViews:
    """Photos with their cameras, and the outlines that they would have from straight ahead and far away."""

    outlines: dict[View, Outline]  # orthographic
    coverage: float  # 0 to 1: how well a coarse shape covers the photos; 1 if no camera had to be guessed
    posed_photos: dict[View, PosedPhoto]  # the photos as they are, with the guessed cameras
    fitted: FurniturePiece | OpenPiece | TurnedBody | None = None  # to the photo, if it explains it best
    shared: SharedCamera | None = None  # that explains the photos of all sides


def rectify_views(outlines: Mapping[View, Outline], size: ProductSize, words: str) -> RectifiedViews:
    """Return the outlines without perspective, elevation and, for a lone three-quarter photo, azimuth.

    Args:
        outlines: The outlines in the photos.
        size: The product's size.
        words: The product's name, category and material.
    """
    sides = {view: o for view, o in outlines.items() if view in _AZIMUTHS}
    level = {
        view: PosedPhoto(outline=o) for view, o in outlines.items() if view in _AZIMUTHS or view is View.TOP
    }
    above = {view: o for view, o in outlines.items() if view is View.TOP}
    if sides:
        if (
            sorted(abs(aspect_mismatch(view, o, size)) for view, o in sides.items())[(len(sides) - 1) // 2]
            < EXACT_ASPECT
        ):  # the median: one view can have lost a part
            return RectifiedViews(outlines=sides | above, coverage=1.0, posed_photos=level)
    elif View.HERO not in outlines:  # from above alone
        return RectifiedViews(outlines=dict(outlines), coverage=1.0, posed_photos=level)
    if not sides:
        corner = _rectify_three_quarter(
            outlines[View.HERO], {view: _reduce(o) for view, o in outlines.items()}, size, words
        )
        return replace(corner, outlines=corner.outlines | above, posed_photos=level | corner.posed_photos)
    small = {view: _reduce(o) for view, o in (sides | above).items()}
    best = max(
        (_try_guess(small, size, words, guess) for guess in (USUAL_POSE, FARTHER_POSE, LEVEL_POSE)),
        key=lambda t: t.score,
    )
    if _shows_all_around(sides) and not best.is_turned:  # a turned body looks alike from many heights
        shared = fit_shared_camera(sides | above, size)
        if shared is not None:
            return RectifiedViews(
                outlines=far_outlines(sides | above, size, shared),
                coverage=1 - SHARED_ERROR_WEIGHT * shared.error / MAX_MEAN_ERROR,
                posed_photos=posed_photos(sides | above, shared),
                shared=shared,
            )
    if best.guess is LEVEL_POSE:
        return RectifiedViews(outlines=sides | above, coverage=best.coverage, posed_photos=level)
    posed = {
        view: PosedPhoto(outline=o, photo_camera=best.cameras[view].scaled(_scale_of(o, small[view])))
        for view, o in sides.items()
    }
    rectified = {
        view: _rectify(view, o, photo_camera, size, best.guess, min(RECTIFIED_PX, max(o.alpha.shape)))
        for view, o in sides.items()
        if (photo_camera := posed[view].photo_camera)
    }
    return RectifiedViews(outlines=rectified | above, coverage=best.coverage, posed_photos=level | posed)


def _shows_all_around(sides: Mapping[View, Outline]) -> bool:
    """Return whether photos show front and back, and a side: only then do they limit each other's depth."""
    return {View.FRONT, View.BACK} <= set(sides) and bool({View.RIGHT, View.LEFT} & set(sides))


def _rectify_three_quarter(
    photo: Outline, small: Mapping[View, Outline], size: ProductSize, words: str
) -> RectifiedViews:
    """Rectify a three-quarter photo: as furniture, as a stack of sections, or as a flat picture of the front.

    Args:
        photo: The photo.
        small: The photo and, if there is one, the view from above, both reduced to COMPARISON_PX.
        size: The product's size.
        words: The product's name, category and material.
    """
    view = View.HERO
    flat = fit_panel(photo, size)
    if flat is not None:
        return RectifiedViews(
            outlines={View.FRONT: flat.front},
            coverage=1 - flat.misfit,
            posed_photos={view: PosedPhoto(outline=photo, photo_camera=flat.photo_camera)},
        )
    is_furniture, says_round = (
        any(word in words.lower() for word in known_words) for known_words in (FURNITURE_WORDS, ROUND_WORDS)
    )  # a table lamp can be both
    is_round = says_round or abs(size.width / size.depth - 1) < SAME_SIDES
    turned = fit_turned(photo, size) if (is_round or not is_furniture) and View.TOP not in small else None
    # Discs with parts beside them cover the picture of a box too, and blocks no picture of something round.
    if turned is not None and not says_round and fit_furniture(small[view], size).coverage > MIN_BOX_COVERAGE:
        turned, is_round = None, False
    if turned is not None:
        return RectifiedViews(
            outlines={View.FRONT: turned.front},
            coverage=turned.overlap,
            posed_photos={view: PosedPhoto(outline=photo, photo_camera=turned.photo_camera)},
            fitted=turned.body,
        )
    searches = (
        [_flat_guesses()]
        if is_furniture and not is_round
        else [_flat_guesses(), _section_guesses(size, round_body=is_round)]
    )
    best = max((_search(small, size, words, guesses) for guesses in searches), key=lambda t: t.score)
    piece = _furniture_in(photo, small[view], size) if is_furniture and View.TOP not in small else None
    if piece is not None and piece[1] > best.score - FURNITURE_BONUS:
        found, share_covered, photo_camera = piece
        rectified = rectify_onto_plane(photo, photo_camera, size, 0.0, max(photo.alpha.shape))
        return RectifiedViews(
            outlines={View.FRONT: rectified},
            coverage=share_covered,
            posed_photos={view: PosedPhoto(outline=photo, photo_camera=photo_camera)},
            fitted=found,
        )
    photo_camera = best.cameras[view].scaled(_scale_of(photo, small[view]))
    rectified = _rectify(view, photo, photo_camera, size, best.guess, max(photo.alpha.shape))
    return RectifiedViews(
        outlines={View.FRONT: rectified},
        coverage=best.coverage,
        posed_photos={view: PosedPhoto(outline=photo, photo_camera=photo_camera)},
    )


def _furniture_in(
    photo: Outline, small: Outline, size: ProductSize
) -> tuple[FurniturePiece | OpenPiece, float, PhotoCamera]:
    """Return the piece that covers a three-quarter photo best, how well it does, and the photo's camera.

    Where blocks cover it badly and much of its convex hull is air, the piece may be thin and open.
    """
    blocks = fit_furniture(small, size)
    is_table = blocks.piece.body_top == 1 and blocks.piece.legs_top >= MIN_TABLE_LEGS
    # A table stands on legs as blocks too.
    if not is_table and blocks.coverage < MAX_BLOCKS_COVERAGE and _hull_fill(small) < MAX_OPEN_FILL:
        thin = fit_open_furniture(photo, size)
        if thin.overlap > blocks.coverage + OPEN_GAIN:
            factor = photo.alpha.shape[1] / thin.picture_width
            return thin.piece, thin.overlap, thin.photo_camera.scaled(factor)
    return blocks.piece, blocks.coverage, blocks.photo_camera.scaled(_scale_of(photo, small))


def _hull_fill(photo: Outline) -> float:
    """Return the share of its convex hull that an outline fills."""
    inside = photo.alpha > 0.5
    corners = np.argwhere(inside)[:, ::-1].astype(np.int32)
    if len(corners) < 3:
        return 1.0
    hull = cv2.fillConvexPoly(np.zeros(inside.shape, np.uint8), cv2.convexHull(corners), 1)
    return float(inside.sum() / max(1, int(hull.sum())))


def _scale_of(photo: Outline, small: Outline) -> float:
    return photo.alpha.shape[1] / small.alpha.shape[1]


def _rectified_view(view: View) -> View:
    """Return the view that a photo is rectified to."""
    return View.FRONT if view is View.HERO else view


def _rectify(
    view: View, photo: Outline, photo_camera: PhotoCamera, size: ProductSize, guess: PoseGuess, pixels: int
) -> Outline:
    if guess.section is not None:
        return front_view(photo, photo_camera, size, guess.section, pixels)
    return rectify_onto_plane(photo, photo_camera, size, _AZIMUTHS.get(view, 0.0), pixels)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoseTrial:
    """A guess that was tried."""

    guess: PoseGuess
    coverage: float  # 0 to 1: how well the coarse shape covers the photos
    score: float  # the coverage less penalties
    cameras: Mapping[View, PhotoCamera]  # of each photo but the view from above
    is_turned: bool = False  # the coarse shape is a turned body


def _try_guess(
    outlines: Mapping[View, Outline], size: ProductSize, words: str, guess: PoseGuess
) -> PoseTrial:
    sides = {view: o for view, o in outlines.items() if view is not View.TOP}
    cameras = {
        view: orbit_camera(size, _AZIMUTHS.get(view, 0.0) + guess.azimuth, guess.elevation, guess.fov)
        for view in sides
    }
    photo_cameras: dict[View, PhotoCamera] = {
        view: fit_camera(
            cameras[view], superellipse_prism(size, guess.base_exponent), o.alpha.shape[1], o.alpha.shape[0]
        )
        for view, o in sides.items()
    }
    for _ in range(1 if guess.section is None else 2):
        rectified = {
            _rectified_view(v): _rectify(v, o, photo_cameras[v], size, guess, COMPARISON_PX)
            for v, o in sides.items()
        }
        shape = build_shape(
            rectified | {v: o for v, o in outlines.items() if v is View.TOP}, size, words, COARSE_CELLS
        )
        points = inside_points(shape)
        if not len(points):
            return PoseTrial(guess=guess, coverage=0.0, score=-1.0, cameras=photo_cameras)
        photo_cameras = {
            view: fit_camera(cameras[view], points, o.alpha.shape[1], o.alpha.shape[0], shape.grid.cell / 2)
            for view, o in sides.items()
        }
    mean_coverage = float(
        np.mean([coverage(shape, photo_cameras[view], o.alpha > 0.5) for view, o in sides.items()])
    )
    penalty = guess.penalty() + (
        INFLATION_PENALTY if View.HERO in sides and shape.family == "inflation" else 0.0
    )
    return PoseTrial(
        guess=guess,
        coverage=mean_coverage,
        score=mean_coverage - penalty,
        cameras=photo_cameras,
        is_turned=shape.family.startswith("turned"),
    )


def _flat_guesses() -> list[PoseGuess]:
    usual = PoseGuess(azimuth=HERO_AZIMUTHS[-2], elevation=HERO_ELEVATIONS[1], fov=HERO_FOV_DEG)
    return [
        replace(usual, azimuth=side * azimuth, base_exponent=exponent)
        for azimuth in HERO_AZIMUTHS[::2]
        for exponent in (2.0, 6.0)
        for side in (1, -1)
    ]


def _section_guesses(size: ProductSize, *, round_body: bool) -> list[PoseGuess]:
    usual = PoseGuess(azimuth=HERO_AZIMUTHS[-2], elevation=HERO_ELEVATIONS[1], fov=HERO_FOV_DEG)
    sections = [
        section
        for exponent in SECTION_EXPONENTS
        for section in candidate_sections(size, exponent, round_body=round_body)
    ]
    return [
        replace(usual, azimuth=side * usual.azimuth, base_exponent=section.exponent, section=section)
        for section in sections
        for side in (1, -1)
    ]


def _search(
    outlines: Mapping[View, Outline], size: ProductSize, words: str, guesses: Iterable[PoseGuess]
) -> PoseTrial:
    """Return the best trial: of the given guesses, then of elevations for it, then of azimuths."""

    def best(candidates: Iterable[PoseGuess]) -> PoseTrial:
        return max((_try_guess(outlines, size, words, guess) for guess in candidates), key=lambda t: t.score)

    start = best(guesses).guess
    level = best(replace(start, elevation=elevation) for elevation in HERO_ELEVATIONS).guess
    return best(
        replace(level, azimuth=float(np.copysign(azimuth, level.azimuth))) for azimuth in HERO_AZIMUTHS
    )
