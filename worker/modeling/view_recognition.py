"""Recognition of the side that a photo shows, where its outline contradicts the view that the record names.

Shops often call their first picture the front, whatever it shows. The product's known dimensions give the
proportions of each side and of its three-quarter views.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from dam_connector.domain.product import View
from worker.modeling.outlines import Outline, ProductSize, aspect_mismatch
from worker.modeling.photo_camera import orbit_camera, superellipse_prism
from worker.modeling.pose_search import HERO_AZIMUTHS, HERO_ELEVATIONS

# Differences of proportions, as logarithms. Perspective alone causes up to 0.1.
WRONG_ASPECT = 0.15  # from here on a photo does not show the side
RIGHT_ASPECT = 0.05  # up to here it does
OBLIQUE_ASPECT = 0.08  # up to here it can be a three-quarter view
# Of the square of its shorter side, that an outline leaves free of its frame. Boxes and bodies of nine
# proportions, seen from corners and from 5 to 35 degrees above, leave .018 at least; photos of boxes from the
# front .002 to .012.
LEVEL_RECTANGLE = 0.014
_CANDIDATES = (View.FRONT, View.RIGHT, View.TOP, View.BACK, View.LEFT)


def recognise_views(outlines: Mapping[View, Outline], size: ProductSize) -> dict[View, View]:
    """Return the view that a photo really shows, by the view that the record names; only where they differ.

    A photo is given to another side only if that side has no photo, or one that does not fit it either. A
    lone photo that fits no side can be a three-quarter view. Where dimensions were guessed from the photos,
    nothing is recognised.
    """
    if size.guessed:
        return {}
    doubtful = {
        view: o
        for view, o in outlines.items()
        if view in _CANDIDATES and abs(_log_mismatch(view, o, size)) > WRONG_ASPECT
    }
    vacant = [view for view in _CANDIDATES if view not in outlines or view in doubtful]
    found: dict[View, View] = {}
    for view, photo in doubtful.items():
        match = next((side for side in vacant if abs(_log_mismatch(side, photo, size)) < RIGHT_ASPECT), None)
        if match is not None:
            found[view] = match
            vacant.remove(match)
        elif (
            len(outlines) == 1
            and view is not View.TOP
            and not _is_level_rectangle(photo)
            and any(abs(np.log(photo.aspect / a)) < OBLIQUE_ASPECT for a in _oblique_aspects(size))
        ):
            found[view] = View.HERO
    duplicates = [
        view for view in doubtful if view not in found and view in found.values()
    ]  # two photos of one view
    return {} if duplicates else found


def _is_level_rectangle(photo: Outline) -> bool:
    """Return whether an outline fills its frame, as no product does that is seen from a corner."""
    free = float((photo.alpha <= 0.5).sum())
    return free < LEVEL_RECTANGLE * min(photo.alpha.shape) ** 2


def _log_mismatch(view: View, photo: Outline, size: ProductSize) -> float:
    return float(np.log(1 + aspect_mismatch(view, photo, size)))


def _oblique_aspects(size: ProductSize) -> Iterator[float]:
    """Yield the proportions of the product's box, its edges rounded, from usual three-quarter cameras."""
    for exponent in (2.0, 6.0):
        points = superellipse_prism(size, exponent)
        for azimuth in HERO_AZIMUTHS:
            for elevation in HERO_ELEVATIONS:
                width, height = np.ptp(orbit_camera(size, azimuth, elevation, 0.0).project(points), axis=0)
                yield float(width / height)
