"""The camera that took the photos of several sides, and the outlines that they have from far away.

Shops photograph all sides of a product from one place. In such photos near legs hide far ones only in part,
so an outline shows both: legs too thick, and feet that end in steps. Elevation and angle of view are those
with which the outlines agree: along the ray of each point of an outline there is a place that no other
outline leaves out (silhouette coherence, as for spins in capture/rig_fitting.py). The hull of all photos,
seen from far away, then has the product's own outlines. Measured: docs/lab/modeling.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from dam_connector.domain.product import View
from worker.modeling.level_faces import flatten_sides, level_faces
from worker.modeling.outlines import Outline, ProductSize
from worker.modeling.photo_camera import (
    PhotoCamera,
    PosedPhoto,
    fit_camera,
    orbit_camera,
    superellipse_prism,
)
from worker.modeling.shape import Shape
from worker.modeling.shape_evidence import iou
from worker.modeling.voxel_grid import signed_distance

F32 = NDArray[np.float32]

AZIMUTHS = {View.FRONT: 0.0, View.RIGHT: 90.0, View.BACK: 180.0, View.LEFT: 270.0, View.TOP: 0.0}  # degrees
ELEVATIONS_DEG = (0.0, 2.0, 4.0, 7.0, 10.0)
FIELDS_OF_VIEW_DEG = (3.0, 9.0, 15.0, 21.0, 28.0)
LEVEL_FOV_DEG = 1.0
STARTS = 5  # of those cameras that are looked at more closely
FIRST_STEPS_DEG = (1.0, 2.5)  # of elevation and angle of view, around the best of those
REFINEMENTS = 3  # each halves the steps
COMPARED_PX = 192  # longer side of the outlines that are compared
PAD_PX = 24  # around them
FINE_PX, FINE_BLUR_PX = (
    640,
    1.5,
)  # of the outlines that the shape is cut by; without the blur, edges are stairs
MIN_SYMMETRY = (
    0.95  # overlap of the front with its mirror image, from which the other side is taken to be alike
)
SMALL_ERROR = 0.0008  # of half the diagonal
MIRRORED_ERROR = 1.3  # times the error without a mirrored photo
COARSE_CELLS, FIT_CELLS, OUTLINE_CELLS = 12_000, 50_000, 400_000  # of the product's box
RAYS, DEPTHS = 60, 48  # of each outline, and points along each ray
SKIN_CELLS = 2.0  # of the hull that cameras are placed on: what is deeper is in no outline
PLACINGS = 2  # rounds of placing the cameras on the hull
MAX_ERROR = 0.03  # of half the box's diagonal: a larger error of a ray counts as this
MIN_GAIN = 0.0001  # of half the diagonal, in the error, over a level camera far away
MAX_MEAN_ERROR = 0.0012  # of half the diagonal; worse outlines have no common camera
ROW = 1024  # points of a row that are sampled together
FINEST_PX = 640  # longer side of the outlines that are computed
EDGE_PX = 1.0  # over which their alpha rises


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedCamera:
    """The camera of photos of several sides."""

    elevation: float  # degrees; the view from above looks straight down
    fov: float  # degrees
    error: float  # mean error of the outlines' rays, in shares of half the box's diagonal
    photos: dict[View, PhotoCamera]  # laid on the outlines of COMPARED_PX
    mirrored: tuple[View, View] | None = None  # a side, and the side whose photo, mirrored, shows it

    def with_mirrored(self, outlines: Mapping[View, Outline]) -> dict[View, Outline]:
        """Return the outlines with that of the mirrored side."""
        found = {view: o for view, o in outlines.items() if view in self.photos}
        if self.mirrored is not None:
            found[self.mirrored[0]] = outlines[self.mirrored[1]].mirrored()
        return found


@dataclass(frozen=True, slots=True)
class _Distances:
    """One outline as signed distances in pixels, with PAD_PX around it."""

    field: F32
    width: int  # without the padding
    height: int

    def at(self, camera: PhotoCamera, points: F32) -> F32:
        """Return the signed distances of points (n, 3) in metres, as far as the outline is in the picture."""
        pixels = camera.to_pixels(points) - np.float32(0.5) + np.float32(PAD_PX)
        rows = np.zeros((-(-len(pixels) // ROW), ROW, 2), np.float32)  # OpenCV takes no longer rows
        rows.reshape(-1, 2)[: len(pixels)] = pixels
        found = cv2.remap(self.field, rows, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return found.ravel()[: len(pixels)] * np.float32(camera.camera.half_width / camera.scale)


def fit_shared_camera(outlines: Mapping[View, Outline], size: ProductSize) -> SharedCamera | None:
    """Return the camera with which the outlines agree best.

    None where they do not agree with any, or as well with a level camera far away.

    Args:
        outlines: The cropped photos of at least two upright sides, and perhaps from above.
        size: The product's size.
    """
    search = _Search(outlines, size, COARSE_CELLS)
    starts = sorted(
        (search.try_camera(e, f) for e in ELEVATIONS_DEG for f in FIELDS_OF_VIEW_DEG), key=lambda t: t.error
    )[:STARTS]
    search = _Search(outlines, size, FIT_CELLS)
    best = min((search.try_camera(s.elevation, s.fov) for s in starts), key=lambda t: t.error)
    steps = np.array(FIRST_STEPS_DEG)
    for _ in range(REFINEMENTS):
        tried = [
            search.try_camera(max(0.0, best.elevation + de * steps[0]), max(1.0, best.fov + df * steps[1]))
            for de, df in product((-1, 0, 1), repeat=2)
            if de or df
        ]
        best = min([best, *tried], key=lambda t: t.error)
        steps = steps / 2
    level = search.try_camera(0.0, LEVEL_FOV_DEG)
    if best.error > min(level.error - MIN_GAIN, MAX_MEAN_ERROR):
        return None
    return _with_other_side(best, outlines, size) or best


def _with_other_side(
    found: SharedCamera, outlines: Mapping[View, Outline], size: ProductSize
) -> SharedCamera | None:
    """Return the camera with the mirrored photo of one side as the other side, if the outlines agree."""
    missing = {View.RIGHT, View.LEFT} - set(outlines)
    front = outlines.get(View.FRONT) or outlines.get(View.BACK)
    if len(missing) != 1 or front is None:
        return None
    other, known = missing.pop(), ({View.RIGHT, View.LEFT} & set(outlines)).pop()
    if iou(front.alpha > 0.5, front.mirrored().alpha > 0.5) < MIN_SYMMETRY:
        return None
    all_sides = {**outlines, other: outlines[known].mirrored()}
    both = _Search(all_sides, size, FIT_CELLS).try_camera(found.elevation, found.fov)
    if both.error > max(MIRRORED_ERROR * found.error, SMALL_ERROR):
        return None
    return replace(both, mirrored=(other, known))


class _Search:
    """The outlines, and what does not depend on the camera."""

    def __init__(self, outlines: Mapping[View, Outline], size: ProductSize, cells: int) -> None:
        self.size = size
        self.half_diagonal = float(np.linalg.norm(size.as_array())) / 2
        self.distances = {view: _distances(outline) for view, outline in outlines.items()}
        self.points, self.cell, _ = _box_points(size, cells)
        random = np.random.default_rng(0)
        self.ray_pixels = {view: _rim(d, random) for view, d in self.distances.items()}

    def try_camera(self, elevation: float, fov: float) -> SharedCamera:
        """Return the camera with this elevation and angle of view, laid on the photos, with its error."""
        inside, reach = superellipse_prism(self.size, 4.0), 0.0
        for _ in range(PLACINGS):
            photos = self._place(elevation, fov, inside, reach)
            field = hull_field(self.points, self.distances, photos)
            if not (field > 0).any():
                return SharedCamera(elevation=elevation, fov=fov, error=1.0, photos=photos)
            inside, reach = self.points[(field > 0) & (field < SKIN_CELLS * self.cell)], self.cell / 2
        photos = self._place(elevation, fov, inside, reach)
        return SharedCamera(elevation=elevation, fov=fov, error=self._mean_error(photos), photos=photos)

    def _place(self, elevation: float, fov: float, points: F32, reach: float) -> dict[View, PhotoCamera]:
        return {
            view: fit_camera(
                orbit_camera(self.size, AZIMUTHS[view], 90.0 if view is View.TOP else elevation, fov),
                points,
                d.width,
                d.height,
                reach,
            )
            for view, d in self.distances.items()
        }

    def _mean_error(self, photos: Mapping[View, PhotoCamera]) -> float:
        """Return how far the best point of each ray is outside the other outlines and the box, on average."""
        high = self.size.as_array() / np.array([2, 1, 2], np.float32)
        low = high * np.array([-1, 0, -1], np.float32)
        errors = []
        for view, pixels in self.ray_pixels.items():
            points = _points_on_rays(photos[view], pixels, self.half_diagonal)
            others = {v: d for v, d in self.distances.items() if v is not view}
            inside = np.minimum(
                hull_field(points, others, photos), np.minimum(points - low, high - points).min(1)
            )
            error = np.maximum(-inside.reshape(-1, DEPTHS).max(1), 0) / self.half_diagonal
            errors.append(np.minimum(error, MAX_ERROR))
        return float(np.concatenate(errors).mean())


def hull_field(points: F32, distances: Mapping[View, _Distances], photos: Mapping[View, PhotoCamera]) -> F32:
    """Return the signed distances of points (n, 3) to the hull of the outlines, in metres, (n,)."""
    found = np.full(len(points), np.inf, np.float32)
    for view, d in distances.items():
        np.minimum(found, d.at(photos[view], points), out=found)
    return found


def far_outlines(
    outlines: Mapping[View, Outline], size: ProductSize, shared: SharedCamera
) -> dict[View, Outline]:
    """Return the outlines of the hull from far away: front, right and, where a photo shows it, from above."""
    outlines = shared.with_mirrored(outlines)
    points, _, counts = _box_points(size, OUTLINE_CELLS)
    field = hull_field(points, *_fine(outlines, shared)).reshape(counts)
    camera = next(c.camera for view, c in shared.photos.items() if view is not View.TOP)
    dx, dy, dz = (float(side) / n for side, n in zip(size.as_array(), counts, strict=True))
    field = level_faces(field, (dx, dy, dz), camera.slope_at)
    field = flatten_sides(field, (dx, dy, dz), camera.distance)
    seen = {View.FRONT: field.max(2).T[::-1], View.RIGHT: field.max(0)[::-1, ::-1]}
    if View.TOP in outlines:
        seen[View.TOP] = field.max(1).T
    metres = {
        View.FRONT: (size.width, size.height),
        View.RIGHT: (size.depth, size.height),
        View.TOP: (size.width, size.depth),
    }
    return {view: _outline(np.ascontiguousarray(f), *metres[view]) for view, f in seen.items()}


def carve_by_photos(
    shape: Shape, outlines: Mapping[View, Outline], shared: SharedCamera, tolerance_cells: float
) -> Shape:
    """Return the shape without what lies outside a photo's outline by more than a tolerance."""
    indices = np.nonzero(shape.field > -1)
    axes = (shape.grid.x, shape.grid.y, shape.grid.z)
    points = np.stack([axis[i] for axis, i in zip(axes, indices, strict=True)], 1).astype(np.float32)
    limit = hull_field(points, *_fine(shared.with_mirrored(outlines), shared))
    field = shape.field.copy()
    field[indices] = np.minimum(field[indices], limit / np.float32(shape.grid.cell) + tolerance_cells)
    return replace(shape, field=field)


def _fine(
    outlines: Mapping[View, Outline], shared: SharedCamera
) -> tuple[dict[View, _Distances], dict[View, PhotoCamera]]:
    """Return outlines and cameras of FINE_PX."""
    return (
        {view: _distances(outline, FINE_PX, FINE_BLUR_PX) for view, outline in outlines.items()},
        {view: camera.scaled(FINE_PX / COMPARED_PX) for view, camera in shared.photos.items()},
    )


def posed_photos(outlines: Mapping[View, Outline], shared: SharedCamera) -> dict[View, PosedPhoto]:
    """Return the photos with their cameras."""
    return {
        view: PosedPhoto(outline=o, photo_camera=shared.photos[view].scaled(max(o.alpha.shape) / COMPARED_PX))
        for view, o in outlines.items()
    }


def _outline(field: F32, width: float, height: float) -> Outline:
    """Return a field of signed distances in metres, top row first, as an outline cropped to its inside."""
    factor = FINEST_PX / max(width, height)
    columns, rows = max(8, round(width * factor)), max(8, round(height * factor))
    fine = cv2.resize(field, (columns, rows), interpolation=cv2.INTER_LINEAR) * np.float32(factor)
    alpha = np.clip(fine / np.float32(EDGE_PX) + np.float32(0.5), 0, 1)
    inside = alpha > 0.5
    if inside.any():
        y, x = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        alpha = np.ascontiguousarray(alpha[y[0] : y[-1] + 1, x[0] : x[-1] + 1])
    return Outline(alpha=alpha, rgb=np.zeros((*alpha.shape, 3), np.uint8))


def _distances(outline: Outline, pixels: int = COMPARED_PX, blur: float = 0.0) -> _Distances:
    factor = pixels / max(outline.alpha.shape)
    small = cv2.resize(outline.alpha, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    field = signed_distance(np.pad(small > 0.5, PAD_PX))
    if blur:
        field = np.asarray(cv2.GaussianBlur(field, (0, 0), blur), np.float32)
    return _Distances(np.ascontiguousarray(field), small.shape[1], small.shape[0])


def _rim(distances: _Distances, random: np.random.Generator) -> F32:
    """Return pixels on the rim of an outline, (r, 2): to the right and down, without the padding."""
    rows, columns = np.nonzero((distances.field > 0) & (distances.field < 1))
    picked = random.permutation(len(rows))[:RAYS]
    return np.asarray(np.stack([columns[picked], rows[picked]], 1) + 0.5 - PAD_PX, np.float32)


def _points_on_rays(camera: PhotoCamera, pixels: F32, reach: float) -> F32:
    """Return DEPTHS points on the ray through each pixel (r, 2), within `reach` of the middle, (n, 3)."""
    u = (pixels[:, 0] - camera.origin_x) / camera.scale
    v = (camera.origin_y - pixels[:, 1]) / camera.scale
    origins, directions = camera.camera.rays(u.astype(np.float32), v.astype(np.float32))
    middle = ((np.array(camera.camera.target, np.float32) - origins) * directions).sum(1)
    along = middle[:, None] + np.linspace(-reach, reach, DEPTHS, dtype=np.float32)
    points = origins[:, None] + directions[:, None] * along[..., None]
    return np.asarray(points.reshape(-1, 3), np.float32)


def _box_points(size: ProductSize, cells: int) -> tuple[F32, float, tuple[int, int, int]]:
    """Return the centres of about `cells` cells of the product's box, their size, and their counts."""
    lengths = size.as_array().astype(float)
    cell = float((lengths.prod() / cells) ** (1 / 3))
    counts = np.maximum(np.round(lengths / cell), 6).astype(int)
    axes = [((np.arange(n) + 0.5) / n - 0.5) * length for n, length in zip(counts, lengths, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    points[:, 1] += size.height / 2
    return points.astype(np.float32), cell, (int(counts[0]), int(counts[1]), int(counts[2]))
