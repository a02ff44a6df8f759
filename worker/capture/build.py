"""Building of a textured mesh from the frames of a spin, with issues that say how far to trust it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dam_connector.domain.product import Dimensions
from dam_connector.errors import InputError
from worker.capture.background_plate import background_plate, with_lost_parts
from worker.capture.captured_model import (
    CARVING_PX,
    CaptureEvidence,
    captured_surface,
    judge,
    median_intricacy,
    textured_product,
)
from worker.capture.carving import spin_bounds
from worker.capture.direction import colour_disagreement
from worker.capture.frames import CapturedFrame
from worker.capture.lost_rods import RestoredMattes, with_lost_rods
from worker.capture.outline_agreement import held_out_agreement
from worker.capture.outline_stack import OutlineStack, stack_outlines
from worker.capture.rig_fitting import (
    FittedRig,
    fit_rig,
    product_reach,
    refit_rig,
)
from worker.modeling.build import ModelBuild

U8 = NDArray[np.uint8]

FITTING_PX = 256  # longer side of the outlines
MIRROR_FACTOR = 2.0  # between the errors of both directions: below it, colours decide
MIN_USABLE = 0.7  # of the frames that must agree
MAX_RIG_ERROR = 0.008  # of the picture's longer side
MIN_COVERAGE = 0.75  # of the outlines by the hull
CONTRADICTING = (
    "The outlines of the frames contradict each other. A spin by a fixed camera, or a provider, would help."
)


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
    fitted, usable, mattes = _fit(frames)
    cameras = fitted.rig.cameras()
    outlines = replace(stack_outlines(mattes.widened, CARVING_PX), numbers=usable.numbers)
    bounds = spin_bounds(product_reach(fitted.rig, outlines))
    points, faces, coverage = captured_surface(outlines, cameras, bounds, dimensions, max_triangles)
    if coverage < MIN_COVERAGE:
        raise _not_a_spin(f"{coverage * 100:.0f} % of the outlines", f"{MIN_COVERAGE * 100:.0f} %")
    evidence = CaptureEvidence(
        coverage=coverage,
        intricacy=median_intricacy([mattes.whole[n] for n in usable.numbers]),
        held_out=held_out_agreement(bounds, cameras, outlines),
    )
    used = [(replace(frames[n], alpha=mattes.whole[n]), cameras[n]) for n in usable.numbers]
    mesh, placement = textured_product(points, faces, used, dimensions, description, texture_px)
    confidence, issues = judge(evidence, placement, CONTRADICTING)
    return ModelBuild(model=mesh, family="spin", confidence=confidence, issues=tuple(issues), actual_views={})


def _fit(frames: Sequence[CapturedFrame]) -> tuple[FittedRig, OutlineStack, RestoredMattes]:
    """Return the rig, the outlines that it explains, and the mattes with the parts that cut-outs lost.

    Raises:
        InputError: capture.not_a_spin.
    """
    pictures = [frame.picture for frame in frames]
    plate = background_plate(pictures, [frame.alpha for frame in frames])
    alphas = with_lost_parts([frame.alpha for frame in frames], plate)
    fitted, usable = fit_rig(stack_outlines(alphas, FITTING_PX), frames[0].size_px)
    if fitted.mirrored_error < MIRROR_FACTOR * fitted.error:
        fitted, usable = _turned_by_colours(fitted, usable, frames)
    _check_rig(fitted, usable)
    bounds = spin_bounds(product_reach(fitted.rig, usable))
    restored = with_lost_rods(pictures, alphas, plate, fitted.rig.cameras(), usable, bounds)
    if restored is None:
        return fitted, usable, RestoredMattes(whole=alphas, widened=alphas)
    return *refit_rig(fitted, stack_outlines(restored.whole, FITTING_PX)), restored


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
