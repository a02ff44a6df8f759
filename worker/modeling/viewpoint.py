"""Viewpoint: from where photos were taken, and what they would show from straight ahead and far away.

Photos of upright sides whose proportions are not the product's look slightly down from a few metres: the usual camera is
assumed, where that explains the photos better than none. A lone three-quarter photo looks at a corner: many cameras are
tried. For each guess the photo is drawn onto the upright plane through the product's middle, a coarse shape is built from it
and looked at through that camera; the guess whose picture covers the photo's outline best is taken, an unusual one only for
a gain. What was tried beside this: docs/modeling.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dam_connector.catalog.product import View
from worker.modeling.camera import Camera
from worker.modeling.evidence import overlap
from worker.modeling.shape import Shape, build_shape
from worker.modeling.silhouettes import Outline, Size, mismatch

F32 = NDArray[np.float32]

COARSE_CELLS = 24_000
EXACT = 0.0045  # relative: photos whose proportions are the product's to this have neither perspective nor elevation
HERO_AZIMUTHS = (22.0, 30.0, 38.0, 46.0)  # to either side
HERO_ELEVATIONS = (10.0, 16.0, 22.0)
LEVEL_COST = 0.01
HERO_FOV = 26.0
PIXELS = 48  # along the longer side of what guesses are compared on
BORDER = 3  # pixels around it
STEPS = 40  # along each line of sight
_AZIMUTHS = {View.FRONT: 0.0, View.RIGHT: 90.0, View.BACK: 180.0, View.LEFT: 270.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A camera whose picture lies on a photo: a picture position (u, v) is the pixel (across + scale u, down - scale v)."""

    camera: Camera
    scale: float
    across: float
    down: float

    def enlarged(self, by: float) -> "Placed":
        """On the photo drawn that much larger."""
        return Placed(camera=self.camera, scale=self.scale * by, across=self.across * by, down=self.down * by)

    def pixels(self, points: F32) -> F32:
        """Where points (n, 3) stand in the photo: (n, 2), right and down."""
        flat = self.camera.project(points)
        return np.stack([self.across + self.scale * flat[:, 0], self.down - self.scale * flat[:, 1]], 1)


def camera_at(size: Size, azimuth: float, elevation: float, fov: float) -> Camera:
    """A camera that looks at the middle of the product's box and just has it whole in its picture."""
    radius = float(np.linalg.norm(size.as_array())) / 2
    return Camera(azimuth=azimuth, elevation=elevation, target=(0.0, size.height / 2, 0.0), half=radius, fov=fov or None)


def placed(camera: Camera, points: F32, width: float, height: float, reach: float = 0.0) -> Placed:
    """The camera's picture of `points`, each `reach` metres wide to all sides, fitted to a photo's crop of `width` x `height` pixels."""
    flat = camera.project(points)
    low, high = flat.min(0) - reach / camera.half, flat.max(0) + reach / camera.half
    scale = float(np.sqrt(width * height / max(1e-9, float((high[0] - low[0]) * (high[1] - low[1])))))
    middle = (low + high) / 2
    return Placed(camera=camera, scale=scale, across=width / 2 - scale * float(middle[0]), down=height / 2 + scale * float(middle[1]))


def upright(outline: Outline, seen_by: Placed, size: Size, azimuth: float, pixels: int) -> Outline:
    """The photo drawn onto the upright plane through the middle that faces `azimuth`."""
    wide = size.width if azimuth % 180 == 0 else size.depth
    per_m = pixels / max(wide, size.height)
    columns, rows = max(8, round(wide * per_m)), max(8, round(size.height * per_m))
    _, right, _ = Camera(azimuth=azimuth, elevation=0, target=(0, 0, 0), half=1).axes()
    x = ((np.arange(columns) + 0.5) / columns - 0.5) * wide
    y = (1 - (np.arange(rows) + 0.5) / rows) * size.height
    points = (x[None, :, None] * right + np.array([0, 1, 0], np.float32) * y[:, None, None]).reshape(-1, 3)
    at = (seen_by.pixels(points.astype(np.float32)).reshape(rows, columns, 2) - 0.5).astype(np.float32)
    alpha = cv2.remap(outline.alpha, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    rgb = cv2.remap(outline.rgb, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return Outline(alpha=alpha, rgb=rgb)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """One way that photos may have been taken: degrees; square: the exponent of the base that they are first fitted to."""

    elevation: float
    fov: float
    azimuth: float = 0.0
    square: float = 4.0

    def cost(self) -> float:
        """What an unusual guess must gain to be believed."""
        if not self.azimuth:
            return 0.0 if self.fov else LEVEL_COST
        return 0.01 * ((abs(self.azimuth) - 35) / 12) ** 2 + 0.01 * ((self.elevation - 17) / 7) ** 2


USUAL = Guess(elevation=3.5, fov=16.0)  # of photos of upright sides
LEVEL = Guess(elevation=0.0, fov=0.0)
HERO_GUESSES = [
    Guess(azimuth=side * azimuth, elevation=elevation, fov=HERO_FOV, square=square)
    for azimuth, elevation, square, side in product(HERO_AZIMUTHS, HERO_ELEVATIONS, (2.0, 6.0), (1, -1))
]


def _corners(size: Size, exponent: float) -> F32:
    """Points of an upright cylinder with a rounded-square base that fills the box: what photos are first fitted to."""
    turn = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    radius = (np.abs(np.cos(turn)) ** exponent + np.abs(np.sin(turn)) ** exponent) ** (-1 / exponent)
    ring = np.stack([np.cos(turn) * radius * size.width / 2, np.zeros(32), np.sin(turn) * radius * size.depth / 2], 1)
    return np.vstack([ring, ring + np.array([0, size.height, 0])]).astype(np.float32)


def _inside(shape: Shape) -> F32:
    """The cells inside, as points (n, 3)."""
    at = np.nonzero(shape.field > 0)
    return np.stack([shape.grid.x[at[0]], shape.grid.y[at[1]], shape.grid.z[at[2]]], 1)


def _covered(shape: Shape, seen_by: Placed, wanted: NDArray[np.bool_]) -> float:
    """How well the shape, seen by the camera, covers the wanted picture: intersection over union."""
    height, width = wanted.shape
    down, across = np.mgrid[-BORDER : height + BORDER, -BORDER : width + BORDER].reshape(2, -1) + 0.5
    u, v = (across - seen_by.across) / seen_by.scale, (seen_by.down - down) / seen_by.scale
    origins, directions = seen_by.camera.rays(u.astype(np.float32), v.astype(np.float32))
    middle = ((np.array(seen_by.camera.target, np.float32) - origins) * directions).sum(1)
    reach = seen_by.camera.half
    seen = np.full(len(u), -1.0, np.float32)
    for step in np.linspace(-reach, reach, STEPS):
        at = (origins + directions * (middle + step)[:, None] - shape.grid.origin) / shape.grid.step
        seen = np.maximum(seen, ndimage.map_coordinates(shape.field, at.T, order=1, cval=-1.0))
    return overlap(seen.reshape(height + 2 * BORDER, -1) > 0, np.pad(wanted, BORDER))


def _small(outline: Outline) -> Outline:
    share = PIXELS / max(outline.alpha.shape)
    size = (max(4, round(outline.alpha.shape[1] * share)), max(4, round(outline.alpha.shape[0] * share)))
    alpha = cv2.resize(outline.alpha, size, interpolation=cv2.INTER_AREA)
    return Outline(alpha=alpha, rgb=np.zeros((*alpha.shape, 3), np.uint8))


@dataclass(frozen=True, slots=True, kw_only=True)
class Straight:
    """Outlines as if taken from straight ahead and far away. explained: 0 to 1, how well a coarse shape seen through the guessed
    cameras covers the photos; 1 where nothing had to be guessed."""

    outlines: Mapping[View, Outline]
    explained: float


def straightened(outlines: Mapping[View, Outline], size: Size, words: str) -> Straight:
    """The outlines without perspective, elevation and, of a lone three-quarter photo, azimuth."""
    sides = {view: o for view, o in outlines.items() if view in _AZIMUTHS}
    above = {view: o for view, o in outlines.items() if view is View.TOP}
    if sides:
        if sorted(abs(mismatch(view, o, size)) for view, o in sides.items())[(len(sides) - 1) // 2] < EXACT:  # one view may have lost a part
            return Straight(outlines=sides | above, explained=1.0)
        guesses = [USUAL, LEVEL]
    elif View.HERO in outlines:
        sides, guesses = {View.HERO: outlines[View.HERO]}, HERO_GUESSES
    else:
        return Straight(outlines=outlines, explained=1.0)
    small = {view: _small(o) for view, o in (sides | above).items()}
    tried = [(*_tried(small, size, words, guess), guess) for guess in guesses]
    explained, cameras, guess = max(tried, key=lambda t: t[0] - t[2].cost())
    if guess is LEVEL:
        return Straight(outlines=sides | above, explained=explained)
    drawn = {}
    for view, outline in sides.items():
        seen_by = cameras[view].enlarged(outline.alpha.shape[1] / small[view].alpha.shape[1])
        drawn[_facing(view)] = upright(outline, seen_by, size, _AZIMUTHS.get(view, 0.0), max(outline.alpha.shape))
    return Straight(outlines=drawn | above, explained=explained)


def _facing(view: View) -> View:
    """The side that a photo is drawn onto."""
    return View.FRONT if view is View.HERO else view


def _tried(outlines: Mapping[View, Outline], size: Size, words: str, guess: Guess) -> tuple[float, dict[View, Placed]]:
    """How well the guess explains the photos, and where its cameras stand."""
    sides = {view: o for view, o in outlines.items() if view is not View.TOP}
    cameras = {view: camera_at(size, _AZIMUTHS.get(view, 0.0) + guess.azimuth, guess.elevation, guess.fov) for view in sides}
    where: dict[View, Placed] = {
        view: placed(cameras[view], _corners(size, guess.square), o.alpha.shape[1], o.alpha.shape[0]) for view, o in sides.items()
    }
    straight = {_facing(v): upright(o, where[v], size, _AZIMUTHS.get(v, 0.0), PIXELS) for v, o in sides.items()}
    shape = build_shape(straight | {v: o for v, o in outlines.items() if v is View.TOP}, size, words, COARSE_CELLS)
    points = _inside(shape)
    if not len(points):
        return 0.0, where
    where = {view: placed(cameras[view], points, o.alpha.shape[1], o.alpha.shape[0], shape.grid.cell / 2) for view, o in sides.items()}
    return float(np.mean([_covered(shape, where[view], o.alpha > 0.5) for view, o in sides.items()])), where
