"""Colours by height: what photos show of a product at each height, for surface that no photo shows.

Most parts go all the way around: a base, a seat, a shade. So the usual colour of a height is a better guess
at an unseen side than a mirror image alone, or the rim of a photo, which the side would be stretched from.
Next to what a photo shows, that counts instead.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from worker.imaging.linear_light import to_linear, to_srgb
from worker.modeling.atlas import Atlas
from worker.modeling.photo_projection import Projector
from worker.modeling.texture_baking import MIN_LIGHT, VertexColours

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]

GUESS_WEIGHT = 0.06  # of what was filled in along the surface; with a mirror image, of both
HEIGHT_SHARE = 0.6  # of the usual colour of the height in a mix with these, far from what photos show
SEEN_WEIGHT = 0.03  # of a photo beside which neither counts
NEAR_SHARE = (
    0.02  # of the diagonal: so far from what a photo shows, the height counts two thirds of its weight
)
BANDS, SPREAD_BANDS = 32, 1  # over the height, and how many above and below count in a band too
SAMPLE_POINTS, NEAR_STRIDE = (
    12_000,
    3,
)  # points on what photos show, and which of them distances are measured to
MIN_BAND_POINTS = 20
MAX_LEVEL = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class HeightCamera:
    """A camera for a picture that has one row for each band of height, the uppermost first."""

    bottom: float  # metres
    top: float  # metres

    def to_pixels(self, points: F32) -> F32:
        """Return the pixels of points (n, 3), (n, 2); they differ by height alone."""
        pixels = np.ones((len(points), 2), np.float32)
        pixels[:, 1] = (self.top - points[:, 1]) / (self.top - self.bottom) * BANDS
        return pixels

    def directions_to_camera(self, points: F32) -> F32:
        """Return unit directions for points (n, 3), (n, 3): all alike, since no surface hides a height."""
        return np.broadcast_to(np.array([0, 0, 1], np.float32), points.shape)


def with_height_colours(known: VertexColours, vertices: F32, atlas: Atlas, photos: I64) -> VertexColours:
    """Return the colours with the usual colour of each height, where no photo shows the surface.

    Args:
        known: The colours as the photos, their mirror images and the filling give them.
        vertices: (n, 3) metres.
        atlas: The mesh's faces.
        photos: Which projectors of `known` are photos and no mirror images.
    """
    weights = known.weights[:, photos]
    faces, shares = _shown_points(vertices[atlas.source_vertex], atlas, weights.max(1))
    if not len(faces):
        return known
    corners = atlas.faces[faces]
    points = _between(shares, vertices[atlas.source_vertex], corners)
    camera = HeightCamera(bottom=float(vertices[:, 1].min()), top=float(vertices[:, 1].max()))
    projector = _height_projector(points, _shown_colours(known, atlas, photos, corners, shares), camera)
    reach = NEAR_SHARE * float(np.linalg.norm(np.ptp(vertices, axis=0)))
    distance = cKDTree(points[::NEAR_STRIDE]).query(vertices)[0][atlas.source_vertex]
    unseen = 1 - np.clip(weights.sum(1) / SEEN_WEIGHT, 0, 1)
    mirrored = known.weights.sum(1) - weights.sum(1)
    share = HEIGHT_SHARE * (1 - np.exp(-distance / reach))
    return replace(
        known,
        photos=[*known.photos, projector],
        positions=[*known.positions, (camera.to_pixels(vertices) - 0.5).astype(np.float32)],
        weights=np.column_stack([known.weights, GUESS_WEIGHT * unseen * share / (1 - share)]).astype(
            np.float32
        ),
        irradiance=np.column_stack([known.irradiance, np.ones(len(unseen), np.float32)]),
        filled_weights=np.maximum(GUESS_WEIGHT * unseen - mirrored, known.filled_weights).astype(np.float32),
    )


def _shown_points(corners: F32, atlas: Atlas, weights: F32) -> tuple[I64, F32]:
    """Return points spread evenly over the faces that photos show.

    Args:
        corners: (s, 3) metres, of the atlas' vertices.
        atlas: The faces.
        weights: (s,) of the photo that counts most.

    Returns:
        The face of each point, (p,), and how much each of its corners counts, (p, 3). No points where photos
        show nothing.
    """
    a, b, c = corners[atlas.faces].swapaxes(0, 1)
    is_shown = weights[atlas.faces].min(1) > SEEN_WEIGHT
    area = np.where(is_shown, np.linalg.norm(np.cross(b - a, c - a), axis=1), 0).astype(np.float64)
    if not is_shown.any():
        return np.zeros(0, np.int64), np.zeros((0, 3), np.float32)
    steps = (np.arange(SAMPLE_POINTS) + 0.5) / SAMPLE_POINTS * area.sum()
    faces = np.minimum(np.searchsorted(np.cumsum(area), steps), len(area) - 1)
    shares = np.random.default_rng(0).random((SAMPLE_POINTS, 2), np.float32)
    shares = np.where(shares.sum(1, keepdims=True) > 1, 1 - shares, shares)
    return faces, np.column_stack([1 - shares.sum(1), shares])


def _between(shares: F32, values: F32, corners: NDArray[np.uint32]) -> F32:
    """Return values at points (p, c) between those of corners. values: (s, c); shares, corners: (p, 3)."""
    return np.einsum("pk,pkc->pc", shares, values[corners])


def _shown_colours(
    known: VertexColours, atlas: Atlas, photos: I64, corners: NDArray[np.uint32], shares: F32
) -> F32:
    """Return the linear colours without light that photos show at points, (p, 3).

    Args:
        known: The photos, and where they show the vertices.
        atlas: The mesh's faces.
        photos: Those that count.
        corners: (p, 3) split vertices around each point.
        shares: (p, 3) how much each counts.
    """
    colours, total = np.zeros((len(corners), 3), np.float32), np.full((len(corners), 1), 1e-9, np.float32)
    for number in photos:
        at = _between(shares, known.positions[number][atlas.source_vertex], corners)
        weight = _between(shares, known.weights[:, number, None], corners)
        light = _between(shares, known.irradiance[:, number, None], corners)
        sample = known.photos[number].sample(at)
        weight = weight * sample[:, 3:]
        colours += sample[:, :3] / np.maximum(light, MIN_LIGHT) * weight
        total += weight
    return colours / total


def _height_projector(points: F32, colours: F32, camera: HeightCamera) -> Projector:
    """Return a projector of the median colour of each band, or of the nearest band that has points enough.

    Args:
        points: (p, 3) metres, that photos show.
        colours: (p, 3) linear colours of these.
        camera: The height's camera.
    """
    rows = np.clip(camera.to_pixels(points)[:, 1].astype(np.int64), 0, BANDS - 1)
    order = np.argsort(rows, kind="stable")
    starts = np.searchsorted(rows[order], np.arange(BANDS + 1))
    first = starts[np.maximum(np.arange(BANDS) - SPREAD_BANDS, 0)]
    last = starts[np.minimum(np.arange(BANDS) + SPREAD_BANDS + 1, BANDS)]
    known = np.flatnonzero(last - first >= MIN_BAND_POINTS)  # some have: there are more points than in all
    medians = np.array([np.median(colours[order[first[n] : last[n]]], axis=0) for n in known], np.float32)
    nearest = np.abs(np.arange(BANDS)[:, None] - known).argmin(1)
    picture = np.full((BANDS, 1, 4), MAX_LEVEL, np.uint8)
    picture[:, 0, :3] = to_srgb(medians[nearest])
    levels = to_linear(np.repeat(np.arange(MAX_LEVEL + 1, dtype=np.uint8)[:, None], 3, axis=1))
    return Projector(
        picture=picture,
        colour_table=np.column_stack([levels, np.ones(len(levels), np.float32)]),
        side=0,
        photo_camera=camera,
        axis_signs=np.ones(3, np.float32),
    )
