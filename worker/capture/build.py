"""Building of a textured mesh from the frames of a spin, with issues that say how far to trust it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.product import Dimensions
from dam_connector.errors import InputError
from worker.capture.background_plate import restore_lost_parts
from worker.capture.carving import carve, grid_of_box, outline_box
from worker.capture.coverage import frame_coverage
from worker.capture.direction import colour_disagreement
from worker.capture.frame_camera import FrameCamera
from worker.capture.frames import CapturedFrame
from worker.capture.known_box import limit_to_box
from worker.capture.outline_stack import OutlineStack, stack_outlines
from worker.capture.placing import PlacedCamera, Placement, place
from worker.capture.rig_fitting import (
    FittedRig,
    contradicting_frames,
    fit_rig,
    product_reach,
    refit_rig,
)
from worker.capture.rims import level_rims
from worker.modeling.build import LOW_CONFIDENCE, ModelBuild
from worker.modeling.delighting import dielectric_colours, metal_colours
from worker.modeling.material_estimate import MaterialEstimate, estimate_material
from worker.modeling.mesh_extraction import closed_surface, separate_touching_vertices
from worker.modeling.model_evidence import outline_complexity
from worker.modeling.photo_projection import photo_projector
from worker.modeling.texture import MAX_PROJECTORS, texture_from_photos
from worker.modeling.textured_mesh import TexturedMesh

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
U8 = NDArray[np.uint8]
Faces = NDArray[np.uint32]

FITTING_PX, CARVING_PX = 256, 512  # longer side of the outlines
CELLS = 2_000_000  # in the product's box
MARGIN_CELLS = 3
ENOUGH_FRAMES = 16  # fewer leave much between the outlines
MIRROR_FACTOR = 2.0  # between the errors of both directions: below it, colours decide
DOUBTFUL_BLAME = 0.0015  # of an outline for errors: from there on it is looked at again
MIN_USABLE = 0.7  # of the frames that must agree
MAX_RIG_ERROR = 0.008  # of the picture's longer side
MIN_COVERAGE = 0.75  # of the outlines by the hull
GOOD_COVERAGE = 0.97
# Of the usual outline, and what share of the confidence more intricate ones leave: of eight measured spins,
# four were below the first and had an envelope IoU of .89 or more, four above it had .77 or less.
INTRICACIES, THIN_CONFIDENCE = (4.35, 4.7), 0.2
CONTRADICTING = (
    "The outlines of the frames contradict each other. A spin by a fixed camera, or a provider, would help."
)
THIN_OR_OPEN = "The product is thin or open. A provider would help; more photos would not."
MAX_STRETCH = 0.03  # between the axes, to reach the record's dimensions


def build_from_spin(
    frames: Sequence[CapturedFrame],
    dimensions: Dimensions,
    description: str,
    *,
    max_triangles: int,
    texture_px: int,
) -> ModelBuild:
    """Build a watertight textured mesh of the product's true size.

    Args:
        frames: A full turn in equal steps; the first shows the front.
        dimensions: The product's dimensions as far as they are known.
        description: The product's name, category and material.
        max_triangles: The budget of the mesh.
        texture_px: The longest side of the texture.

    Raises:
        InputError: capture.not_a_spin, no camera explains the outlines.
    """
    fitted, usable, alphas = _fit(frames)
    _check_rig(fitted, usable)
    outlines = replace(stack_outlines(alphas, CARVING_PX), numbers=usable.numbers)
    cameras = fitted.rig.cameras()
    points, faces, coverage = _captured_surface(
        outlines, cameras, product_reach(fitted.rig, outlines), dimensions, max_triangles
    )
    if coverage < MIN_COVERAGE:
        raise _not_a_spin(f"{coverage * 100:.0f} % of the outlines", f"{MIN_COVERAGE * 100:.0f} %")
    placement = place(points, dimensions)
    vertices = separate_touching_vertices(
        placement.to_product(points), faces, float(placement.scale.min()) * np.ptp(points[:, 1]) / 150
    )
    material = estimate_material(description)
    used = [(replace(frames[n], alpha=alphas[n]), cameras[n]) for n in usable.numbers]
    mesh = _textured(vertices, faces, used, placement, texture_px, material)

    intricacy = float(np.median([_intricacy(alphas[n]) for n in usable.numbers]))
    confidence, issues = _judge(fitted, coverage, placement, len(usable.numbers), intricacy)
    return ModelBuild(model=mesh, family="spin", confidence=confidence, issues=tuple(issues), actual_views={})


def _fit(frames: Sequence[CapturedFrame]) -> tuple[FittedRig, OutlineStack, list[U8]]:
    """Return the rig, the outlines that it explains, and the mattes; lost parts of products are restored."""
    alphas = [frame.alpha for frame in frames]
    outlines = stack_outlines(alphas, FITTING_PX)
    fitted, usable = fit_rig(outlines, frames[0].size_px)
    if fitted.mirrored_error < MIRROR_FACTOR * fitted.error:
        fitted, usable = _turned_by_colours(fitted, usable, frames)
    doubtful = contradicting_frames(outlines, fitted.rig, DOUBTFUL_BLAME)
    if not doubtful:
        return fitted, usable, alphas
    restored = restore_lost_parts([frame.picture for frame in frames], alphas)
    alphas = [restored[n] if n in doubtful else alpha for n, alpha in enumerate(alphas)]
    return *refit_rig(fitted, stack_outlines(alphas, FITTING_PX)), alphas


def _turned_by_colours(
    fitted: FittedRig, usable: OutlineStack, frames: Sequence[CapturedFrame]
) -> tuple[FittedRig, OutlineStack]:
    """Return the rig that turns as the product's colours do, unless the outlines say more against it.

    The colours of a plain product fit both directions about alike.
    """
    pictures = [frame.picture for frame in frames]
    own, other = (colour_disagreement(rig, usable, pictures) for rig in (fitted.rig, fitted.mirrored))
    is_plausible = own * fitted.error <= other * fitted.mirrored_error
    return (fitted, usable) if is_plausible else refit_rig(fitted.turned(), usable)


def _check_rig(fitted: FittedRig, usable: OutlineStack) -> None:
    least = MIN_USABLE * fitted.rig.frame_count
    if len(usable.numbers) < least:
        raise _not_a_spin(f"{len(usable.numbers)} frames agree", f"{least:.0f}")

    if fitted.error > MAX_RIG_ERROR:
        raise _not_a_spin(f"{fitted.error * 100:.2f} % of the frame", f"{MAX_RIG_ERROR * 100:.2f} %")


def _not_a_spin(measured: str, limit: str) -> InputError:
    return InputError(
        "capture.not_a_spin",
        "No fixed camera explains the outlines of all frames.",
        measured=measured,
        limit=limit,
    )


def _captured_surface(
    outlines: OutlineStack,
    cameras: list[FrameCamera],
    reach: float,
    dimensions: Dimensions,
    max_triangles: int,
) -> tuple[F64, Faces, float]:
    """Return the surface in the capture's coordinates, and what share of the outlines the hull covers."""
    low, high = outline_box(outlines, cameras, reach)
    grid = grid_of_box(low, high, CELLS, MARGIN_CELLS)
    hull = carve(grid, cameras, outlines)
    coverage = float(np.mean(frame_coverage(hull, grid, cameras, outlines)))
    field = limit_to_box(level_rims(hull, grid, cameras, outlines), dimensions)
    points, faces = closed_surface(field, grid.step, max_triangles)
    return points + grid.low, faces, coverage


def _textured(
    vertices: F32,
    faces: Faces,
    used: list[tuple[CapturedFrame, FrameCamera]],
    placement: Placement,
    texture_px: int,
    material: MaterialEstimate,
) -> TexturedMesh:
    """Return the mesh with a texture from frames all around."""
    used = used[:: -(-len(used) // MAX_PROJECTORS)]
    cameras = [camera for _, camera in used]
    pixels = np.vstack([frame.rgb[frame.alpha > 250][::101] for frame, _ in used])
    is_metal = material.is_bare_metal(pixels)
    projectors = [
        photo_projector(
            frame.rgb,
            frame.alpha > 127,
            metal_colours if is_metal else dielectric_colours,
            PlacedCamera(camera=camera, placement=placement),
        )
        for frame, camera in used
    ]
    middle = np.linalg.norm(cameras[0].eye - (placement.low + placement.low) / 2)
    density = cameras[0].focal_px / (float(middle) * float(placement.scale.mean()))
    return texture_from_photos(
        vertices, faces, projectors, placement.size, (texture_px, density), material, is_metal
    )


def _intricacy(alpha: U8) -> float:
    """Return how intricate the outline of a frame is; 0 where it shows nothing."""
    rows, columns = np.flatnonzero((alpha > 127).any(1)), np.flatnonzero((alpha > 127).any(0))
    if not len(rows):
        return 0.0
    cropped = alpha[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return outline_complexity(np.asarray(cropped / np.float32(255), np.float32))


def _judge(
    fitted: FittedRig, coverage: float, placement: Placement, frame_count: int, intricacy: float
) -> tuple[float, list[Issue]]:
    """Return the confidence, 0 to 1, and what a reviewer should know."""
    issues = []
    confidence = min(1.0, coverage / GOOD_COVERAGE) * (1 - min(0.5, fitted.error / MAX_RIG_ERROR / 2))
    confidence *= min(1.0, frame_count / ENOUGH_FRAMES) ** 0.5
    left = float(np.interp(intricacy, INTRICACIES, (1.0, THIN_CONFIDENCE)))
    why = CONTRADICTING if confidence < left else THIN_OR_OPEN
    confidence *= left
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
                "The proportions of the model are not the record's.",
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
