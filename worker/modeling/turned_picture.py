"""A photo's outline, and pictures of turned bodies that are compared with it (turned_fitting.py)."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.modeling.families.revolved import ELLIPTIC_RANGE
from worker.modeling.outlines import Outline, ProductSize
from worker.modeling.photo_camera import (
    HERO_FOV_DEG,
    PhotoCamera,
    fit_camera,
    orbit_camera,
    points_on_plane,
)
from worker.modeling.voxel_grid import signed_distance

F32 = NDArray[np.float32]
Mask = NDArray[np.bool_]

ROWS = 64  # heights of discs
RIM_POINTS = 24  # of a disc
RADII = 14  # that are tried at each height, and then steps between two of these
PAD = 8  # pixels around the picture
FINER = 3  # discs are drawn so much larger, since polygons cover each pixel that they touch
SUBPIXEL_BITS = 3  # of the corners of polygons
TOLERANCE_PX = 0.3  # by which a rim may lie outside the outline
SIDE_SINE = 0.5  # of the angle from the side, seen from the camera, up to which rim points are the sides
SEEN_TOLERANCE = 0.02  # share of the widest radius: discs so near to what their sides allow are seen
LEDGE_SHARE = 0.2  # of the widest radius; from disc to disc, more is a ledge
AZIMUTHS = (22.0, 30.0, 38.0, 46.0)  # degrees to either side
ELEVATIONS = (10.0, 16.0, 22.0, 28.0)  # degrees
ELEVATION_LIMITS = (4.0, 40.0)  # degrees
PLACES = (1.0, 0.5, 0.0, -0.5, -1.0)  # of the axis along the width, of the room that there is
MAX_STRETCH = 1.6  # width to depth of a body beside which there are parts
MIN_PART_SHARE = 0.006  # of the photo; smaller rests come from an inexact fit
PARTS_PENALTY, BOX_PENALTY, STRETCH_PENALTY = 0.2, 0.4, 0.03
USUAL_AZIMUTH, USUAL_ELEVATION = (35.0, 12.0), (17.0, 7.0)  # degrees, and deviations that cost POSE_PENALTY
POSE_PENALTY = 0.01
BASE_ROWS, BASE_PENALTY = 5, 0.03  # lowest discs, and the cost of a base that is a point
WIDEST_QUANTILE = 0.97  # of the radii, that counts as the widest


@dataclass(frozen=True, slots=True)
class BodyPose:
    """A camera and the place of a body."""

    azimuth: float  # degrees
    elevation: float  # degrees
    offset: float  # metres
    scale: float  # of the camera, as in PhotoCamera; so are the next two
    x: float
    y: float
    stretch: float = 1.0  # width to depth, where there are parts


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyTrial:
    pose: BodyPose
    radii: F32
    parts: Mask  # of the padded picture
    parts_share: float  # of the photo
    overlap: float
    box_error: float  # by how much body and parts miss the product's box, in sides
    fitness: float  # the overlap less penalties
    score: float  # the fitness less that of a pointed base, which comes from a wrong camera


class BodyPicture:
    """A photo's outline, reduced, with pictures of bodies compared to it."""

    def __init__(self, photo: Outline, size: ProductSize, pixels: int, steps: int) -> None:
        factor = pixels / max(photo.alpha.shape)
        self.width, self.height = (max(4, round(n * factor)) for n in photo.alpha.shape[::-1])
        alpha = cv2.resize(photo.alpha, (self.width, self.height), interpolation=cv2.INTER_AREA)
        self.alpha = np.pad(alpha, PAD)
        self.inside = self.alpha > 0.5
        fine = signed_distance(cv2.resize(self.alpha, None, fx=4, fy=4) > 0.5)
        shape = self.alpha.shape[::-1]
        self.distance = cv2.resize(fine, shape, interpolation=cv2.INTER_AREA) / np.float32(4)
        self.size, self.fine_steps = size, steps
        self.is_whole = ELLIPTIC_RANGE[0] <= size.depth / size.width <= ELLIPTIC_RANGE[1]
        self.half = (size.width if self.is_whole else min(size.width, size.depth)) / 2
        self.squash = size.depth / size.width if self.is_whole else 1.0
        self.heights = ((np.arange(ROWS) + 0.5) / ROWS * size.height).astype(np.float32)
        angle = np.linspace(0, 2 * np.pi, RIM_POINTS, endpoint=False)
        self.rim = np.stack([np.cos(angle), np.sin(angle)], 1).astype(np.float32)

    def starts(self) -> Iterator[BodyPose]:
        """Yield usual cameras, and places of the axis."""
        size, room = self.size, self.size.width / 2 - self.half
        ends = [(x, y * size.height, 0.0) for x in (-size.width / 2, size.width / 2) for y in (0.3, 0.7)]
        for place in (0.0,) if self.is_whole or room <= 0 else PLACES:
            offset = place * room
            x, z = offset + self.rim[:, 0] * self.half, self.rim[:, 1] * self.half * self.squash
            discs = [np.stack([x, np.full(RIM_POINTS, y), z], 1) for y in (0.0, size.height)]
            points = np.vstack([*discs, np.array(ends)]).astype(np.float32)
            for azimuth in (side * a for a in AZIMUTHS for side in (1, -1)):
                for elevation in ELEVATIONS:
                    camera = orbit_camera(size, azimuth, elevation, HERO_FOV_DEG)
                    laid = fit_camera(camera, points, self.width, self.height)
                    yield BodyPose(azimuth, elevation, offset, laid.scale, laid.origin_x, laid.origin_y)

    def steps(self, pose: BodyPose) -> Iterator[tuple[str, float]]:
        """Yield the measures of a pose that can change, and first steps."""
        longer = max(self.width, self.height)
        yield from (("scale", 0.04 * pose.scale), ("x", 0.03 * longer), ("y", 0.03 * longer))
        yield from (("azimuth", 4.0), ("elevation", 3.0))
        if not self.is_whole:
            yield from (("offset", 0.05 * self.size.width), ("stretch", 0.1))

    def is_possible(self, pose: BodyPose) -> bool:
        """Return whether the body lies within the product's box and the camera is usual."""
        return (
            abs(pose.offset) <= self.size.width / 2 - self.half * pose.stretch + 1e-6
            and ELEVATION_LIMITS[0] < pose.elevation < ELEVATION_LIMITS[1]
            and 1 <= pose.stretch <= MAX_STRETCH
        )

    def camera(self, pose: BodyPose) -> PhotoCamera:
        """Return a pose's camera."""
        camera = orbit_camera(self.size, pose.azimuth, pose.elevation, HERO_FOV_DEG)
        return PhotoCamera(camera=camera, scale=pose.scale, origin_x=pose.x, origin_y=pose.y)

    def look(self, pose: BodyPose) -> BodyTrial:
        """Return the body that the photo shows from a pose, compared with the photo."""
        camera = self.camera(pose)
        matrix = camera.matrix()
        radii = self._radii(matrix, pose)
        shown = self._drawn(matrix, pose, radii)
        parts = self._rest(shown)
        box = self._body_box(pose, radii)
        if parts.any():
            at = np.argwhere(parts)
            on_plane = points_on_plane(camera, (at[:, ::-1] + 0.5 - PAD).astype(np.float32))
            x, y = on_plane.T
            box = np.array(
                [min(box[0], float(x.min())), max(box[1], float(x.max())), max(box[2], float(y.max()))]
            )
            rows, columns = at[(np.abs(x) < self.size.width * 0.51) & (y > -0.02 * self.size.height)].T
            shown[rows, columns] = np.maximum(shown[rows, columns], self.alpha[rows, columns])
        both = np.minimum(shown, self.alpha).sum(), np.maximum(shown, self.alpha).sum()
        overlap = float(both[0] / max(1e-6, both[1]))
        box_error = self._box_error(box, radii, pose)
        parts_share = float(parts.sum() / max(1, self.inside.sum()))
        far = ((abs(pose.azimuth) - USUAL_AZIMUTH[0]) / USUAL_AZIMUTH[1]) ** 2
        high = ((pose.elevation - USUAL_ELEVATION[0]) / USUAL_ELEVATION[1]) ** 2
        fitness = (
            overlap
            - BOX_PENALTY * box_error
            - PARTS_PENALTY * parts_share
            - STRETCH_PENALTY * (pose.stretch - 1)
            - POSE_PENALTY * (far + high)
        )
        pointed = 1 - float(radii[0] / max(radii[:BASE_ROWS].max(), 1e-6))
        return BodyTrial(
            pose=pose,
            radii=radii,
            parts=parts,
            parts_share=parts_share,
            overlap=overlap,
            box_error=box_error,
            fitness=fitness,
            score=fitness - BASE_PENALTY * pointed,
        )

    def _body_box(self, pose: BodyPose, radii: F32) -> NDArray[np.float64]:
        """Return the body's left and right end and its top, (3,) metres."""
        filled = np.flatnonzero(radii > 0)
        top = (filled[-1] + 1) / ROWS * self.size.height if len(filled) else 0.0
        widest = float(radii.max())
        return np.array([pose.offset - widest, pose.offset + widest, top])

    def _box_error(self, box: NDArray[np.float64], radii: F32, pose: BodyPose) -> float:
        size = self.size
        ends = np.array([-size.width / 2, size.width / 2, size.height])
        sides = np.array([size.width, size.width, size.height])
        widest = float(np.quantile(radii, WIDEST_QUANTILE)) / (self.half * pose.stretch)
        return float((np.abs(box - ends) / sides).sum() + abs(1 - widest) / 2)

    def _rest(self, shown: F32) -> Mask:
        """Return what a body leaves of the photo, without what comes from an inexact fit."""
        around = np.ones((3, 3), np.uint8)
        near = cv2.dilate((shown > 0.3).astype(np.uint8), around)
        left = (self.inside & (near == 0)).astype(np.uint8)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(left)
        is_large = stats[:, cv2.CC_STAT_AREA] > MIN_PART_SHARE * self.inside.sum()
        is_large[0] = False
        return np.asarray((cv2.dilate(is_large[labels].astype(np.uint8), around) > 0) & self.inside)

    def _rims(self, matrix: F32, pose: BodyPose, radii: F32, rim: F32) -> tuple[F32, F32]:
        """Return where points of the rims of discs are in the padded picture, two of (k, ROWS, n) pixels.

        Args:
            matrix: Of the pose's camera.
            pose: The place of the body.
            radii: (ROWS, n) of the discs, in metres.
            rim: (k, 2) the points, on a circle of radius 1.
        """
        # The pictures of points are sums of these: there is no need to make the points.
        x, y, z, nothing = matrix.T
        outwards = np.outer(x, rim[:, 0]) + np.outer(z, rim[:, 1] * np.float32(self.squash / pose.stretch))
        middles = (x * np.float32(pose.offset) + nothing)[:, None] + np.outer(y, self.heights)
        across, down, depth = middles[:, None, :, None] + outwards[:, :, None, None] * radii
        depth = np.maximum(depth, np.float32(1e-6))
        return across / depth + np.float32(PAD), down / depth + np.float32(PAD)

    def _are_inside(self, matrix: F32, pose: BodyPose, radii: F32, rim: F32) -> Mask:
        """Return which points of rims lie within the outline, (k, ROWS, n)."""
        columns, rows = (
            at.reshape(len(rim), -1) - np.float32(0.5) for at in self._rims(matrix, pose, radii, rim)
        )
        distance = cv2.remap(
            self.distance, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=-PAD
        )
        return np.asarray(distance.reshape(len(rim), *radii.shape) > -TOLERANCE_PX)

    def _radii(self, matrix: F32, pose: BodyPose) -> F32:
        """Return the radius of the body at each height, in metres."""
        half, angle = self.half * pose.stretch, np.radians(pose.azimuth)
        is_side = np.abs(self.rim[:, 0] * np.sin(angle) + self.rim[:, 1] * np.cos(angle)) < SIDE_SINE
        step = half / RADII
        tried = np.broadcast_to(np.arange(1, RADII + 1, dtype=np.float32) * step, (ROWS, RADII))
        inside = self._are_inside(matrix, pose, tried.astype(np.float32), self.rim)
        between = np.arange(self.fine_steps, dtype=np.float32)[None] * step / self.fine_steps
        found = []
        for chosen in (slice(None), is_side):
            fits = np.asarray(inside[chosen].all(0))
            coarse = np.where(fits.any(1), RADII - fits[:, ::-1].argmax(1), 0) * step
            tried = np.maximum(coarse[:, None] + between, 1e-4 * half).astype(np.float32)
            fits = np.asarray(self._are_inside(matrix, pose, tried, self.rim[chosen]).all(0))
            fits[:, 0] |= coarse > 0
            last = self.fine_steps - 1 - fits[:, ::-1].argmax(1)
            found.append(np.where(fits.any(1), coarse + last * step / self.fine_steps, 0))
        radii = np.minimum(found[0], half).astype(np.float32)
        is_seen = radii >= found[1] - 1.5 * step / self.fine_steps - SEEN_TOLERANCE * half
        return _without_cones(radii, is_seen & (radii > 0.01 * half))

    def _drawn(self, matrix: F32, pose: BodyPose, radii: F32) -> F32:
        """Return the picture of discs and of what is between them, 0 to 1."""
        ledge = LEDGE_SHARE * self.half * pose.stretch
        pixels = np.stack([at[..., 0].T for at in self._rims(matrix, pose, radii[:, None], self.rim)], 2)
        discs = np.rint((pixels * FINER - 0.5) * (1 << SUBPIXEL_BITS)).astype(np.int32, order="C")
        pairs = np.concatenate([discs[:-1], discs[1:]], 1)
        is_joined = (radii[:-1] > 0) & (radii[1:] > 0) & (np.abs(np.diff(radii)) < ledge)
        fine = np.zeros([n * FINER for n in self.alpha.shape], np.uint8)
        for n in np.flatnonzero(radii > 0):
            corners = cv2.convexHull(pairs[n]) if n + 1 < ROWS and is_joined[n] else discs[n]
            cv2.fillConvexPoly(fine, corners, 255, shift=SUBPIXEL_BITS)
        picture = cv2.resize(fine, self.alpha.shape[::-1], interpolation=cv2.INTER_AREA)
        return np.asarray(picture / np.float32(255), np.float32)


def _without_cones(radii: F32, is_seen: Mask) -> F32:
    """Return radii, those that nothing shows as narrow as the narrower seen neighbour; above them nothing."""
    rows = np.flatnonzero(is_seen)
    if len(rows) < 3:
        return radii
    out = radii.copy()
    out[rows[-1] + 1 :] = 0
    out[: rows[0]] = np.minimum(out[: rows[0]], radii[rows[0]])
    for low, high in pairwise(rows):
        out[low + 1 : high] = np.minimum(out[low + 1 : high], min(radii[low], radii[high]))
    return out
