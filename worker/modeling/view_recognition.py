"""Sides: which side of the product each photo shows, where its outline contradicts what the record calls it.

Shops often call their first picture the front, whatever it shows. The product's known dimensions tell the proportions of each side, and how
wide and high a three-quarter view can look.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from dam_connector.domain.product import View
from worker.modeling.outlines import Outline, ProductSize, aspect_mismatch
from worker.modeling.photo_camera import orbit_camera, superellipse_prism
from worker.modeling.pose_search import HERO_AZIMUTHS, HERO_ELEVATIONS

OFF, FITS = (
    0.15,
    0.05,
)  # of the proportions, as logarithms: what is no such side, and what is another; perspective makes up for 0.1
OBLIQUE_FITS = 0.08
_ORDER = (View.FRONT, View.RIGHT, View.TOP, View.BACK, View.LEFT)


def recognise_views(outlines: Mapping[View, Outline], size: ProductSize) -> dict[View, View]:
    """What each photo shows, by what it is called, where these differ; nothing where dimensions were guessed from the photos.

    A photo shows another side only where that side's own photo is missing or contradicts itself too; a lone photo that fits no side may
    be a three-quarter view.
    """
    if size.guessed:
        return {}
    off = {view: o for view, o in outlines.items() if view in _ORDER and abs(_miss(view, o, size)) > OFF}
    free = [view for view in _ORDER if view not in outlines or view in off]
    found: dict[View, View] = {}
    for view, photo in off.items():
        better = next((side for side in free if abs(_miss(side, photo, size)) < FITS), None)
        if better is not None:
            found[view] = better
            free.remove(better)
        elif (
            len(outlines) == 1
            and view is not View.TOP
            and any(abs(np.log(photo.aspect / a)) < OBLIQUE_FITS for a in _oblique(size))
        ):
            found[view] = View.HERO
    clashing = [view for view in off if view not in found and view in found.values()]  # it would stand twice
    return {} if clashing else found


def _miss(view: View, photo: Outline, size: ProductSize) -> float:
    return float(np.log(1 + aspect_mismatch(view, photo, size)))


def _oblique(size: ProductSize) -> Iterator[float]:
    """The proportions that the product's box, its edges rounded, has from usual three-quarter cameras."""
    for exponent in (2.0, 6.0):
        points = superellipse_prism(size, exponent)
        for azimuth in HERO_AZIMUTHS:
            for elevation in HERO_ELEVATIONS:
                width, height = np.ptp(orbit_camera(size, azimuth, elevation, 0.0).project(points), axis=0)
                yield float(width / height)
