"""A turned body from one three-quarter photo, with parts beside it, fitted to the photo's outline.

At each height the largest level disc is taken that lies within the outline. Above and below a wide place the
outline also allows ever smaller discs, a cone up to the height where the line of sight passes over the wide
place, and nothing in the photo shows that they are there. Such discs are limited by their near or their far
rim and not at their sides: they become as narrow as the narrower neighbour that is.

What the body leaves of the photo are parts on the upright plane through its axis: a handle, a spout. Camera,
place and width of the body are those with which body and parts cover the photo and just fill the product's
box.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.modeling.families.revolved import turned_field
from worker.modeling.outlines import Outline, ProductSize
from worker.modeling.photo_camera import PhotoCamera, rectify_onto_plane
from worker.modeling.shape import Shape
from worker.modeling.shape_evidence import ShapeEvidence
from worker.modeling.turned_picture import PAD, ROWS, BodyPicture, BodyTrial
from worker.modeling.voxel_grid import VoxelGrid

F32 = NDArray[np.float32]

SEARCH_PX, SEARCH_STEPS = 96, 5  # longer side of the picture, and these steps, while the camera is sought
FINAL_PX, FINAL_STEPS = 288, 20  # the same for the body that is built
REFINED_STARTS = 5
STEP_FACTORS = (1.0, 0.5, 0.25, 0.12)
ROUNDS = 3  # over all measures, for each factor
LEAST_GAIN = 1e-4
BRIDGE_SHARE = 0.05  # of the width; a part that ends so near to the body is joined to it
PLANE_PX = 1024  # longer side of the plane of parts
MIN_FITNESS, MAX_PARTS, MAX_BOX_ERROR = 0.88, 0.4, 0.06  # of a turned body, from here on and up to here


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnedBody:
    """A stack of level discs, and the photo's parts beside it."""

    radii: F32  # (ROWS,) from the floor up, metres along the width
    offset: float  # metres along the width, from the product's middle to the axis
    squash: float  # depth to width of the discs
    parts: F32  # (h, w) 0 to 1, in front of the product's box


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnedFit:
    """A body that explains a photo."""

    body: TurnedBody
    front: Outline  # body and parts from the front, with the photo's colours
    photo_camera: PhotoCamera
    overlap: float  # 0 to 1: of their picture with the photo


def fit_turned(photo: Outline, size: ProductSize) -> TurnedFit | None:
    """Return the turned body that a three-quarter photo shows; None if it shows none.

    Args:
        photo: The photo, cropped to the product.
        size: The product's size.
    """
    picture = BodyPicture(photo, size, SEARCH_PX, SEARCH_STEPS)
    starts = sorted((picture.look(pose) for pose in picture.starts()), key=lambda t: -t.score)
    best = max((_refined(picture, t) for t in starts[:REFINED_STARTS]), key=lambda t: t.score)
    fine = BodyPicture(photo, size, FINAL_PX, FINAL_STEPS)
    factor = fine.width / picture.width
    pose = best.pose
    trial = fine.look(replace(pose, scale=pose.scale * factor, x=pose.x * factor, y=pose.y * factor))
    if trial.fitness < MIN_FITNESS or trial.parts_share > MAX_PARTS or trial.box_error > MAX_BOX_ERROR:
        return None
    photo_camera = fine.camera(trial.pose).scaled(photo.alpha.shape[1] / fine.width)
    mask = cv2.resize(trial.parts[PAD:-PAD, PAD:-PAD].astype(np.float32), photo.alpha.shape[::-1])
    rest = Outline(alpha=photo.alpha * (mask > 0.5), rgb=photo.rgb)
    plane, all_colours = (
        rectify_onto_plane(seen, photo_camera, size, 0.0, PLANE_PX) for seen in (rest, photo)
    )
    x, radii = _plane_places(plane.alpha.shape, trial, size)
    parts = _joined(plane.alpha, x, radii, trial.pose.azimuth, size)
    front = np.maximum(parts, np.abs(x)[None] < radii[:, None]).astype(np.float32)
    squash = fine.squash / trial.pose.stretch
    return TurnedFit(
        body=TurnedBody(radii=trial.radii, offset=trial.pose.offset, squash=squash, parts=parts),
        front=Outline(alpha=front, rgb=all_colours.rgb),
        photo_camera=photo_camera,
        overlap=trial.overlap,
    )


def build_turned(body: TurnedBody, size: ProductSize, words: str, cells: int) -> Shape:
    """Return a turned body with its parts as a shape on a grid of so many cells.

    Args:
        body: The body.
        size: The product's size.
        words: The product's name, category and material.
        cells: How many cells the grid has.
    """
    grid = VoxelGrid(size, cells)
    evidence = ShapeEvidence(
        grid=grid, front=None, side=None, top=None, hull=grid.box_distance(), words=words.lower()
    )
    parts = None
    if body.parts.any():
        rgb = np.zeros((*body.parts.shape, 3), np.uint8)
        parts = grid.front_distance(Outline(alpha=body.parts, rgb=rgb))
    axis = (len(grid.x) - 1) / 2 + body.offset / float(grid.step[0])
    radii = _radii_at(body.radii, np.asarray(grid.y / size.height, np.float32)) / grid.step[0]
    field = turned_field(evidence, parts, axis, radii.astype(np.float32), body.squash)
    return Shape(
        field=np.minimum(field, evidence.hull),
        grid=grid,
        family="turned" if parts is None else "turned with parts",
        confidence=0.6,
    )


def _radii_at(radii: F32, heights: F32) -> F32:
    """Return the radii at heights, as shares of the product's; 0 beyond the topmost disc."""
    filled = np.flatnonzero(radii > 0)
    top = (filled[-1] + 1) / ROWS if len(filled) else 0.0
    found = np.interp(heights * ROWS - 0.5, np.arange(ROWS), radii)
    return np.where((heights < 0) | (heights > top), 0, found).astype(np.float32)


def _refined(picture: BodyPicture, best: BodyTrial) -> BodyTrial:
    """Return a trial with its measures changed one by one until no step betters it."""
    for factor in STEP_FACTORS:
        for _ in range(ROUNDS):
            before = best.score
            for name, step in picture.steps(best.pose):
                for change in (factor * step, -factor * step):
                    pose = replace(best.pose, **{name: getattr(best.pose, name) + change})
                    trial = picture.look(pose) if picture.is_possible(pose) else best
                    if trial.score > best.score:
                        best = trial
                        break
            if best.score < before + LEAST_GAIN:
                break
    return best


def _plane_places(shape: tuple[int, ...], trial: BodyTrial, size: ProductSize) -> tuple[F32, F32]:
    """Return the distance of each column of the plane from the axis, and the body's radius in each row."""
    rows, columns = shape
    x = ((np.arange(columns) + 0.5) / columns - 0.5) * size.width - trial.pose.offset
    heights = np.asarray(1 - (np.arange(rows) + 0.5) / rows, np.float32)
    return x.astype(np.float32), _radii_at(trial.radii, heights)


def _joined(parts: F32, x: F32, radii: F32, azimuth: float, size: ProductSize) -> F32:
    """Return the parts on the plane, joined to the body where a narrow gap parts them.

    The line of sight that touches the body's side meets the plane farther out than the body reaches.

    Args:
        parts: (h, w) 0 to 1.
        x: (w,) metres from the axis.
        radii: (h,) of the body, metres.
        azimuth: Of the camera, degrees.
        size: The product's size.
    """
    reach = radii * (1 / np.cos(np.radians(azimuth)) - 1) + BRIDGE_SHARE * size.width
    out = parts.copy()
    for side in (1, -1):
        beyond = side * x[None] - radii[:, None]
        nearest = np.where((parts > 0.5) & (beyond > 0), beyond, np.inf).min(1)
        is_near = (nearest < reach) & (radii > 0)
        is_gap = (beyond <= nearest[:, None]) & (beyond > -2 * BRIDGE_SHARE * size.width)
        out[is_near[:, None] & is_gap] = 1.0
    return out
