"""Fitting of a spin's rig to the outlines of all frames.

A ray through a point of an outline touches the product. So somewhere along it there is a point that is on
the outline's edge in its own frame and inside the outlines of all others. How far the best point of a ray
is outside is the ray's error (silhouette coherence: Hernandez, Schmitt and Cipolla, 2007).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from worker.capture.frame_camera import SpinRig
from worker.capture.outline_stack import OutlineStack

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

START_ELEVATIONS_DEG = (4.0, 9.0, 14.0, 20.0, 28.0, 40.0)
START_FOCALS = (1.1, 1.5, 2.0, 3.0)
COARSE_RAYS, FINE_RAYS = 12, 24  # of each frame
COARSE_DEPTHS, FINE_DEPTHS = 24, 48  # points along each ray
BEST_STARTS = 2
COARSE_STEPS, FINE_STEPS = 70, 110
CLEAR_FACTOR = 2.0  # between the errors of both directions of turning: no need to look closer
MAX_ERROR = 0.03  # of the picture's longer side: a larger error counts as this
BLAMED_ERROR = 0.01  # of the picture's longer side, of a ray
MAX_BLAME = 0.015  # of all rays that an outline may leave out
TOLERATED_PART = 8  # one outline in so many may be wrong at a place
PARAMETER_SCALES = np.array([0.15, 0.05, 0.01, 0.01])  # log focal, elevation, yaw, roll: the first steps


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rays:
    """Points of the outlines through which rays are cast."""

    frames: NDArray[np.int64]  # (r,) the frame of each
    pixels: F64  # (r, 2)
    own: F32  # (r,) the signed distance in the own frame


def pick_rays(outlines: OutlineStack, count: int, seed: int = 0) -> _Rays:
    """Return up to `count` points of each outline, chosen at random but always the same."""
    random = np.random.default_rng(seed)
    frames, pixels = [], []
    for number in outlines.numbers:
        distance = outlines.frame(number) * outlines.scale
        rows, columns = np.nonzero((distance > 0) & (distance < 1))
        height, width = distance.shape
        inner = (rows > 1) & (rows < height - 2) & (columns > 1) & (columns < width - 2)
        rows, columns = rows[inner], columns[inner]
        picked = random.permutation(len(rows))[:count]
        frames.append(np.full(len(picked), number))
        pixels.append((np.column_stack([columns[picked], rows[picked]]) + 0.5) / outlines.scale)
    at, number_of = np.vstack(pixels), np.concatenate(frames)
    return _Rays(frames=number_of, pixels=at, own=outlines.sample(number_of, at.astype(np.float32)))


def ray_errors(rig: SpinRig, outlines: OutlineStack, rays: _Rays, depths: int, tolerated: int = 0) -> F32:
    """Return the error of each ray in pixels, (r,).

    Args:
        rig: The camera.
        outlines: The outlines.
        rays: Points of the outlines.
        depths: Points along each ray.
        tolerated: How many outlines may leave a point out without making it worse.
    """
    found = np.stack([distances for _, distances in _ray_distances(rig, outlines, rays, depths)])
    least = found.min(0) if not tolerated else np.partition(found, tolerated, axis=0)[tolerated]
    return np.asarray(np.maximum(rays.own - least.max(1), 0), np.float32)


def _ray_distances(
    rig: SpinRig, outlines: OutlineStack, rays: _Rays, depths: int
) -> Iterator[tuple[int, F32]]:
    """Yield for each frame its signed distances at points along the rays, (r, depths)."""
    cameras = rig.cameras()
    directions, eyes = np.empty((len(rays.frames), 3)), np.empty((len(rays.frames), 3))
    for number, camera in enumerate(cameras):
        own = rays.frames == number
        directions[own], eyes[own] = camera.ray_directions(rays.pixels[own]), camera.eye
    reach = product_reach(rig, outlines)
    middle = -(eyes[:, [0, 2]] * directions[:, [0, 2]]).sum(1) / (directions[:, [0, 2]] ** 2).sum(1)
    along = middle[:, None] + np.linspace(-reach, reach, depths)
    points = (eyes[:, None] + directions[:, None] * along[..., None]).reshape(-1, 3).astype(np.float32)
    for number in outlines.numbers:
        yield number, outlines.sample(number, cameras[number].to_pixels(points)).reshape(-1, depths)


def product_reach(rig: SpinRig, outlines: OutlineStack) -> float:
    """Return how far the product reaches from the axis at most."""
    columns = np.flatnonzero((outlines.distances > 0).any(0)) / outlines.scale - rig.size_px[0] / 2
    tangent = max(abs(columns[0]), abs(columns[-1])) / (rig.focal * max(rig.size_px)) + abs(rig.yaw)
    return float(min(0.9, np.sin(np.arctan(tangent)) / np.cos(rig.elevation) * 1.05))


def mean_error(errors: F32, rig: SpinRig) -> float:
    """Return the mean error in shares of the picture's longer side; large ones are cut off."""
    return float(np.minimum(errors / max(rig.size_px), MAX_ERROR).mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedRig:
    """A rig with how well it explains the outlines."""

    rig: SpinRig
    error: float  # the mean error of the rays, in shares of the picture's longer side
    mirrored: SpinRig  # the best rig with the other direction of turning
    mirrored_error: float  # its error

    def turned(self) -> "FittedRig":
        """Return the fit with the other direction of turning."""
        return FittedRig(
            rig=self.mirrored, error=self.mirrored_error, mirrored=self.rig, mirrored_error=self.error
        )


def fit_rig(outlines: OutlineStack, size_px: tuple[int, int]) -> tuple[FittedRig, OutlineStack]:
    """Return the rig of a spin with equal steps over a full turn, and the outlines that it explains.

    Outlines that contradict the others, e.g. those of failed cut-outs, are left out.
    """
    coarse = pick_rays(outlines, COARSE_RAYS)
    tolerated = len(outlines.numbers) // TOLERATED_PART
    starts = sorted(
        (
            (mean_error(ray_errors(rig, outlines, coarse, COARSE_DEPTHS, tolerated), rig), rig)
            for rig in _starts(outlines, size_px)
        ),
        key=lambda start: start[0],
    )
    best = {
        direction: min(
            (
                _refine(rig, outlines, coarse, COARSE_DEPTHS, COARSE_STEPS, tolerated)
                for rig in found[:BEST_STARTS]
            ),
            key=lambda refined: refined[0],
        )
        for direction, found in _by_direction(starts).items()
    }
    limit = CLEAR_FACTOR * min(error for error, _ in best.values())
    usable = dict.fromkeys(best, outlines)
    for direction, (error, rig) in best.items():
        if error <= limit:
            best[direction], usable[direction] = _refine_usable(rig, outlines)
    direction = min(best, key=lambda d: best[d][0])
    fitted = FittedRig(
        rig=best[direction][1],
        error=best[direction][0],
        mirrored=best[-direction][1],
        mirrored_error=best[-direction][0],
    )
    return fitted, usable[direction]


def _refine_usable(rig: SpinRig, outlines: OutlineStack) -> tuple[tuple[float, SpinRig], OutlineStack]:
    """Return the least error near a rig, the rig there, and the outlines that it explains."""
    usable = outlines.without(contradicting_frames(outlines, rig))
    error, rig = _refine(rig, usable, pick_rays(usable, FINE_RAYS), FINE_DEPTHS, FINE_STEPS)
    checked = outlines.without(contradicting_frames(outlines, rig))
    if checked.numbers != usable.numbers:
        error, rig = _refine(rig, checked, pick_rays(checked, FINE_RAYS), FINE_DEPTHS, FINE_STEPS)
    return (error, rig), checked


def refit_rig(fitted: FittedRig, outlines: OutlineStack) -> tuple[FittedRig, OutlineStack]:
    """Return a rig fitted to better outlines of the same frames, and the outlines that it explains."""
    (error, rig), usable = _refine_usable(fitted.rig, outlines)
    return replace(fitted, rig=rig, error=error), usable


def contradicting_frames(outlines: OutlineStack, rig: SpinRig) -> list[int]:
    """Return the frames whose outlines cut off much of that which nearly all others show."""
    rays = pick_rays(outlines, FINE_RAYS)
    tolerated = len(outlines.numbers) // TOLERATED_PART
    found = np.stack([distances for _, distances in _ray_distances(rig, outlines, rays, FINE_DEPTHS)])
    row = np.arange(found.shape[1])
    best = np.partition(found, tolerated, axis=0)[tolerated].argmax(1)
    at_best = found[:, row, best] - rays.own
    limit = -BLAMED_ERROR * max(rig.size_px)
    # Where all agree on another place, nobody is wrong: only few frames see a flat side edge-on.
    is_disputed = found.min(0).max(1) - rays.own < limit
    believed = (np.partition(at_best, tolerated, axis=0)[tolerated] > limit) & is_disputed
    blame = (at_best[:, believed] < limit).sum(1) / max(1, len(row))
    found_bad = [n for n, share in zip(outlines.numbers, blame, strict=True) if share > MAX_BLAME]
    is_rig_wrong = 2 * len(found_bad) > len(outlines.numbers)  # then the frames are not to blame
    return [] if is_rig_wrong else found_bad


def _by_direction(starts: list[tuple[float, SpinRig]]) -> dict[int, list[SpinRig]]:
    return {d: [rig for _, rig in starts if rig.direction == d] for d in (1, -1)}


def _starts(outlines: OutlineStack, size_px: tuple[int, int]) -> Iterator[SpinRig]:
    """Yield rigs from which the search starts; over a full turn, the outlines are symmetric to the axis."""
    columns = np.flatnonzero((outlines.distances > 0).any(0)) / outlines.scale
    offset = (columns[0] + columns[-1]) / 2 - size_px[0] / 2
    for elevation, focal, direction in product(START_ELEVATIONS_DEG, START_FOCALS, (1, -1)):
        yield SpinRig(
            focal=focal,
            elevation=float(np.radians(elevation)),
            yaw=float(-np.arctan(offset / (focal * max(size_px)))),
            roll=0.0,
            direction=direction,
            frame_count=len(outlines.distances) // outlines.height,
            size_px=size_px,
        )


def _refine(
    start: SpinRig,
    outlines: OutlineStack,
    rays: _Rays,
    depths: int,
    evaluations: int,
    tolerated: int = 0,
) -> tuple[float, SpinRig]:
    """Return the least error near a rig, and the rig there."""

    def moved(step: F64) -> SpinRig:
        log_focal, elevation, yaw, roll = step * PARAMETER_SCALES
        return replace(
            start,
            focal=start.focal * float(np.exp(log_focal)),
            elevation=start.elevation + float(elevation),
            yaw=start.yaw + float(yaw),
            roll=start.roll + float(roll),
        )

    def error(step: F64) -> float:
        rig = moved(step)
        return mean_error(ray_errors(rig, outlines, rays, depths, tolerated), rig)

    simplex = np.vstack([np.zeros(4), np.eye(4)])
    found = minimize(
        error,
        np.zeros(4),
        method="Nelder-Mead",
        options={"initial_simplex": simplex, "maxfev": evaluations, "xatol": 1e-3, "fatol": 1e-7},
    )
    return float(found.fun), moved(found.x)
