"""The camera of a three-quarter photo of something flat: a racket, a frame, a mirror, a sign.

A flat product fills a known rectangle, so for each direction of view the camera's place follows from the
outline's extent on that rectangle's plane; the direction is the one for which all four sides fit and the
outline looks most alike from left and right. A camera that is fitted to the whole box, as for other products,
leans a racket and cuts it off: its outline does not reach the box's corners.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.modeling.families.panel import is_flat
from worker.modeling.outlines import Outline, ProductSize
from worker.modeling.photo_camera import (
    HERO_FOV_DEG,
    PhotoCamera,
    fit_camera,
    orbit_camera,
    points_on_plane,
    rectify_onto_plane,
    superellipse_prism,
)
from worker.modeling.shape_evidence import iou

F32 = NDArray[np.float32]

CONTOUR_PX = 384  # longer side of the outline whose border is fitted
RIM_POINTS = 240  # of this border
STEPS = 6  # of the fit of a camera's place
AZIMUTHS = tuple(range(12, 60, 4))  # degrees to either side
ELEVATIONS = tuple(range(0, 36, 4))  # degrees
REFINEMENTS = (2.0, 1.0)  # degrees
COMPARED = 24  # cameras that fit best, whose outlines are compared with their mirror images
COMPARED_PX = 96
MAX_MISFIT = 0.05  # of the longer side: the outline is not that of a flat product of this size
# Of the thickness, that shows beside the face: 1 at a sharp rim, .3 at a round one. Mean overlap of seven
# rackets and frames without it .58 (before this fit), at .5, .8 and 1: .72, .76 and .76.
SHOWN_THICKNESS = 0.8
MAX_STRING_GAP = 0.01  # of the outline's area: a hole between strings or bars, which are thin themselves
EXTENT_WEIGHT = 4.0  # of the misfit, against the share that is not mirrored


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatFit:
    """A flat product's photo with its camera."""

    front: Outline  # as from straight ahead
    photo_camera: PhotoCamera
    misfit: float  # of the four sides, as a share of the longer one


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    photo_camera: PhotoCamera
    misfit: float


def fit_panel(photo: Outline, size: ProductSize) -> FlatFit | None:
    """Return the camera of a three-quarter photo of a flat product; None where no camera fits.

    Args:
        photo: The photo, cropped to the product.
        size: The product's size.
    """
    if not is_flat(size):
        return None
    factor = CONTOUR_PX / max(photo.alpha.shape)
    width, height = (max(8, round(n * factor)) for n in photo.alpha.shape[::-1])
    small = cv2.resize(photo.alpha, (width, height), interpolation=cv2.INTER_AREA)
    rim = _rim(small > 0.5)
    if len(rim) < 8:
        return None
    trials = [
        _placed(rim, (width, height), size, side * azimuth, elevation)
        for azimuth in AZIMUTHS
        for elevation in ELEVATIONS
        for side in (1, -1)
    ]
    outline = Outline(alpha=small, rgb=np.zeros((height, width, 3), np.uint8))
    best = max(
        (_judged(outline, size, trial) for trial in sorted(trials, key=lambda t: t.misfit)[:COMPARED]),
        key=lambda judged: judged[0],
    )
    for step in REFINEMENTS:
        found = best[1].photo_camera.camera
        around = [
            _placed(rim, (width, height), size, found.azimuth + across, found.elevation + up)
            for across in (-step, 0, step)
            for up in (-step, 0, step)
            if across or up
        ]
        best = max([best, *(_judged(outline, size, trial) for trial in around)], key=lambda judged: judged[0])
    trial = best[1]
    if trial.misfit > MAX_MISFIT:
        return None
    placed = trial.photo_camera.scaled(photo.alpha.shape[1] / width)
    return FlatFit(front=_face(photo, placed, size), photo_camera=placed, misfit=trial.misfit)


def _overhang(size: ProductSize, azimuth: float, elevation: float) -> tuple[float, float]:
    """Return how far its thickness shows beside a flat product on the plane in its middle, and above it."""
    across = abs(np.tan(np.radians(azimuth)))
    up = abs(np.tan(np.radians(elevation)) / np.cos(np.radians(azimuth)))
    shown = SHOWN_THICKNESS * size.depth / 2
    return shown * float(across), shown * float(up)


def _face(photo: Outline, photo_camera: PhotoCamera, size: ProductSize) -> Outline:
    """Return a photo rectified onto the product's plane, without the thickness that shows at its rim.

    The outline is the face moved along a line, from its front to its back; what remains where this line lies
    in it whole is the face. Small holes stay as they are: strings are thinner than the frame.
    """
    azimuth, elevation = photo_camera.camera.azimuth, photo_camera.camera.elevation
    margin = _overhang(size, azimuth, elevation)
    pixels = max(photo.alpha.shape)
    wide = rectify_onto_plane(photo, photo_camera, size, 0.0, pixels, margin)
    rows, columns = wide.alpha.shape
    x, y = (round(m * columns / (size.width + 2 * margin[0])) for m in margin)
    line = np.zeros((2 * y + 1, 2 * x + 1), np.uint8)
    ends = ((0, 2 * y), (2 * x, 0)) if azimuth > 0 else ((0, 0), (2 * x, 2 * y))
    cv2.line(line, ends[0], ends[1], 1)
    solid = _without_small_holes(wide.alpha > 0.5)
    inner = (slice(y, rows - y), slice(x, columns - x))
    face = cv2.erode(solid, line, borderType=cv2.BORDER_CONSTANT, borderValue=0)[inner]
    return Outline(alpha=wide.alpha[inner] * face, rgb=np.ascontiguousarray(wide.rgb[inner]))


def _without_small_holes(inside: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the mask, 0 and 1, with holes filled that are as small as between strings."""
    labels, stats = cv2.connectedComponentsWithStats((~inside).astype(np.uint8), connectivity=4)[1:3]
    is_small = stats[:, cv2.CC_STAT_AREA] < MAX_STRING_GAP * np.count_nonzero(inside)
    is_small[0] = False
    return (inside | (is_small[labels] & ~inside)).astype(np.uint8)


def _rim(inside: NDArray[np.bool_]) -> F32:
    """Return points of the outer border, (n, 2) pixels to the right and down."""
    found = cv2.findContours(inside.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    points = np.concatenate([each[:, 0] for each in found]) if found else np.zeros((0, 2))
    step = max(1, len(points) // RIM_POINTS)
    return np.asarray(points[::step] + 0.5, np.float32)


def _placed(
    rim: F32, picture: tuple[int, int], size: ProductSize, azimuth: float, elevation: float
) -> _Trial:
    """Return the camera of a direction, placed so that the outline fills the product's rectangle."""
    camera = orbit_camera(size, azimuth, elevation, HERO_FOV_DEG)
    start = fit_camera(camera, superellipse_prism(size, 2.0), *picture)
    across, up = _overhang(size, azimuth, elevation)
    wanted = np.array([-size.width / 2 - across, size.width / 2 + across, -up, size.height + up])
    longer = max(size.width, size.height)

    def misfits(place: NDArray[np.float64]) -> NDArray[np.float64]:
        placed = replace(start, scale=place[0], origin_x=place[1], origin_y=place[2])
        x, y = points_on_plane(placed, rim).astype(np.float64).T
        return (np.array([x.min(), x.max(), y.min(), y.max()]) - wanted) / longer

    place = np.array([start.scale, start.origin_x, start.origin_y])
    unit = start.scale * 1e-3
    for _ in range(STEPS):
        now = misfits(place)
        slopes = np.stack([(misfits(place + unit * axis) - now) / unit for axis in np.eye(3)], 1)
        place = place - np.linalg.lstsq(slopes, now, rcond=None)[0]
        if not place[0] > 0:  # the outline lies beyond the horizon of this plane
            return _Trial(photo_camera=start, misfit=np.inf)
    placed = replace(start, scale=float(place[0]), origin_x=float(place[1]), origin_y=float(place[2]))
    misfit = float(np.nan_to_num(np.abs(misfits(place)).max(), nan=np.inf))
    return _Trial(photo_camera=placed, misfit=misfit)


def _judged(outline: Outline, size: ProductSize, trial: _Trial) -> tuple[float, _Trial]:
    """Return how likely a camera is, with it: the outline is like its mirror image and fills the sides."""
    flat = rectify_onto_plane(outline, trial.photo_camera, size, 0.0, COMPARED_PX).alpha > 0.5
    return iou(flat, flat[:, ::-1]) - EXTENT_WEIGHT * trial.misfit, trial
