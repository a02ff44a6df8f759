"""What all captures share: from outlines and cameras to a textured mesh, and how far to trust it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.product import Dimensions
from dam_connector.errors import InputError
from worker.capture.carving import (
    Box,
    Cameras,
    CellGrid,
    carve,
    doubted_outlines,
    grid_of_box,
    outline_box,
    tolerated_outlines,
)
from worker.capture.coverage import frame_coverage
from worker.capture.frame_camera import FrameCamera
from worker.capture.frames import CapturedFrame
from worker.capture.gleam import Gleam
from worker.capture.known_box import limit_to_box
from worker.capture.missed_parts import with_missed_parts
from worker.capture.outline_stack import OutlineStack
from worker.capture.placing import PlacedCamera, Placement, place
from worker.capture.rims import level_rims
from worker.modeling.build import LOW_CONFIDENCE
from worker.modeling.delighting import dielectric_colours, metal_colours
from worker.modeling.material_estimate import estimate_material
from worker.modeling.mesh_extraction import closed_surface, separate_touching_vertices
from worker.modeling.model_evidence import outline_complexity
from worker.modeling.photo_projection import photo_projector
from worker.modeling.texture import MAX_PROJECTORS, texture_from_photos
from worker.modeling.textured_mesh import TexturedMesh

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
U8 = NDArray[np.uint8]
Faces = NDArray[np.uint32]

CARVING_PX = 512  # longer side of the outlines
CELLS = 2_000_000  # in the product's box
MARGIN_CELLS = 3
LONE_CELLS = 0.75  # that one outline alone may cut off at most
GOOD_COVERAGE = 0.97
# How far outlines and a hull without them agree, and the confidence in that. Of 23 spins five reach .952:
# four are good, a mug is not, since its inside is closed. Below it, 3 of 18 are good. All 23 were seen.
HELD_OUT, CONFIDENCES = (0.87, 0.952, 0.975), (0.05, 0.5, 0.9)
INTRICATE = 4.5  # of the usual outline: from there on a product is thin or open
THIN_OR_OPEN = "The product is thin or open. A provider would help; more photos would not."
AGREEING = 0.9  # of outlines and a hull without them: from there on they do not contradict each other
SELDOM_GOOD = "Such models were seldom good: look at it from all sides. A provider would help."
MAX_STRETCH = 0.03  # between the axes, to reach the record's dimensions


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureEvidence:
    """The evidence for the confidence in a captured model."""

    coverage: float  # of the outlines by the hull
    intricacy: float  # of the outlines, in the median
    held_out: float  # how far outlines and a hull that was carved without them agree


def captured_surface(
    outlines: OutlineStack,
    cameras: Cameras,
    bounds: Box,
    dimensions: Dimensions,
    max_triangles: int,
    *,
    is_on_ground: bool = False,
) -> tuple[F64, Faces, float]:
    """Return the surface in the capture's coordinates, and what share of the outlines the hull covers.

    Args:
        outlines: The outlines that count.
        cameras: The camera of each frame.
        bounds: A box around the product.
        dimensions: The product's, as far as they are known.
        max_triangles: The budget of the mesh.
        is_on_ground: Whether the product ends at y = 0.

    Raises:
        InputError: cutout.empty, the outlines have nothing in common.
    """
    low, high = outline_box(outlines, cameras, bounds)
    grid = grid_of_box(low, high, CELLS, MARGIN_CELLS)
    hull, tight = product_hull(grid, cameras, outlines)
    if is_on_ground:
        hull = above_ground(hull, grid)
    if not (hull > 0).any():  # thin parts that outlines lack in turn
        raise InputError("cutout.empty", "The outlines of the frames have nothing in common.")
    coverage = float(np.mean(frame_coverage(hull, grid, cameras, outlines)))
    field = limit_to_box(level_rims(hull, tight, grid, cameras, outlines), dimensions)
    points, faces = closed_surface(field, grid.step, max_triangles)
    return points + grid.low, faces, coverage


def product_hull(grid: CellGrid, cameras: Cameras, outlines: OutlineStack) -> tuple[F32, F32]:
    """Return the signed distances to the hull and to the tight one, in cells, of the grid's shape.

    The tight one has what all outlines have. Flat sides, which one or two frames see edge-on, bulge in a hull
    that tolerates a wrong outline; so the hull may exceed the tight one by little, but for parts that many
    outlines show and nothing else explains.
    """
    tight, tolerant, possible = carve(
        grid, cameras, outlines, (0, tolerated_outlines(outlines), doubted_outlines(outlines))
    )
    hull = np.minimum(tolerant, tight + np.float32(LONE_CELLS))
    return with_missed_parts(hull, possible, grid, cameras, outlines), tight


def above_ground(field: F32, grid: CellGrid) -> F32:
    """Return the field, (nx, ny, nz), cut off at y = 0."""
    heights = np.arange(grid.shape[1], dtype=np.float32) + np.float32(grid.low[1] / grid.step)
    return np.minimum(field, heights[None, :, None])


def textured_product(
    points: F64,
    faces: Faces,
    used: Sequence[tuple[CapturedFrame, FrameCamera]],
    dimensions: Dimensions,
    description: str,
    texture_px: int,
    *,
    is_room_lit: bool = False,
) -> tuple[TexturedMesh, Placement]:
    """Return a captured surface in the product's true size, with a texture from frames all around.

    Args:
        points: (n, 3) in the capture's coordinates.
        faces: (m, 3) indices.
        used: The frames whose colours count, with their cameras.
        dimensions: The product's, as far as they are known.
        description: The product's name, category and material.
        texture_px: The longest side of the texture.
        is_room_lit: Whether the light stays where it is, while the camera moves around the product.
    """
    placement = place(points, dimensions)
    shortest = float(placement.scale.min()) * np.ptp(points[:, 1]) / 150
    vertices = separate_touching_vertices(placement.to_product(points), faces, shortest)
    material = estimate_material(description)
    used = used[:: -(-len(used) // MAX_PROJECTORS)]
    cameras = [camera for _, camera in used]
    pixels = np.vstack([frame.rgb[frame.alpha > 250][::101] for frame, _ in used])
    is_metal = material.is_bare_metal(pixels)
    if not is_metal and (gleam := Gleam(points, faces)).has_level_top:
        used = [(gleam.without(frame, camera), camera) for frame, camera in used]
    projectors = [
        replace(
            photo_projector(
                frame.rgb,
                frame.alpha > 127,
                metal_colours if is_metal else dielectric_colours,
                PlacedCamera(camera=camera, placement=placement),
            ),
            is_room_lit=is_room_lit,
        )
        for frame, camera in used
    ]
    middle = np.linalg.norm(cameras[0].eye - (placement.low + placement.low) / 2)
    density = cameras[0].focal_px / (float(middle) * float(placement.scale.mean()))
    mesh = texture_from_photos(
        vertices, faces, projectors, placement.size, (texture_px, density), material, is_metal
    )
    return mesh, placement


def median_intricacy(alphas: Sequence[U8]) -> float:
    """Return how intricate the outlines of frames are."""
    return float(np.median([_intricacy(alpha) for alpha in alphas]))


def _intricacy(alpha: U8) -> float:
    """Return how intricate the outline of a frame is; 0 where it shows nothing."""
    rows, columns = np.flatnonzero((alpha > 127).any(1)), np.flatnonzero((alpha > 127).any(0))
    if not len(rows):
        return 0.0
    cropped = alpha[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return outline_complexity(np.asarray(cropped / np.float32(255), np.float32))


def judge(evidence: CaptureEvidence, placement: Placement, why: str) -> tuple[float, list[Issue]]:
    """Return the confidence, 0 to 1, and the issues for a reviewer.

    Args:
        evidence: What the capture was like.
        placement: The product's place and size.
        why: The reason of a low confidence where the product is not too thin or open, and outlines disagree.
    """
    issues = []
    confidence = float(np.interp(evidence.held_out, HELD_OUT, CONFIDENCES))
    confidence *= min(1.0, evidence.coverage / GOOD_COVERAGE)
    why = SELDOM_GOOD if evidence.held_out >= AGREEING else why
    why = THIN_OR_OPEN if evidence.intricacy >= INTRICATE else why
    if placement.size.guessed:
        issues.append(
            issue(
                "model.dimensions_missing",
                f"Guessed: {', '.join(placement.size.guessed)}.",
                pointer="/dimensions",
            )
        )
    if placement.stretch > MAX_STRETCH:
        confidence *= 1 - min(0.5, 4 * (placement.stretch - MAX_STRETCH))
        issues.append(
            issue(
                "model.part_lost",
                "The proportions of the model are not the product's.",
                measured=f"{placement.stretch * 100:.0f} %",
                limit=f"{MAX_STRETCH * 100:.0f} %",
            )
        )
    confidence = round(confidence, 2)
    if confidence < LOW_CONFIDENCE:
        issues.append(
            issue(
                "model.low_confidence",
                why,
                measured=confidence,
                limit=LOW_CONFIDENCE,
            )
        )
    return confidence, issues
