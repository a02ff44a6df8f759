"""Build: photos in, a textured model out, with a word on how far to trust it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.product import Dimensions, View
from dam_connector.errors import InputError
from worker.imaging.cutout import Cutout
from worker.modeling.furniture_fitting import build_furniture
from worker.modeling.material_estimate import estimate_material
from worker.modeling.mesh_extraction import extract_mesh
from worker.modeling.outlines import Outline, complete_size, crop_outline, max_aspect_mismatch
from worker.modeling.pose_search import RectifiedViews, rectify_views
from worker.modeling.shape import build_shape
from worker.modeling.texture import texture_mesh
from worker.modeling.textured_mesh import TexturedMesh
from worker.modeling.view_recognition import recognise_views
from worker.modeling.voxel_grid import TOTAL_CELLS

USABLE = (View.FRONT, View.RIGHT, View.BACK, View.LEFT, View.TOP, View.HERO)
MAX_DISAGREEMENT = 0.12  # perspective of a photo from two metres accounts for about half of this
MAX_STRETCH = 0.03  # of a side; more means that a part at the rim is missing
LOW_CONFIDENCE = 0.5
LEAST_CERTAIN = 0.3  # of a cut-out
WELL_EXPLAINED = 0.85  # overlap of the coarse shape with the photos
UPRIGHT = (View.FRONT, View.RIGHT, View.BACK, View.LEFT)
_SHOWS = {view: f"{view.value} side" for view in UPRIGHT} | {
    View.TOP: "product from above",
    View.HERO: "product from a corner",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelBuild:
    """A model with what a reviewer should know about it. shown: what photos show, by what they were called, where that is something else."""

    model: TexturedMesh
    family: str
    confidence: float
    issues: tuple[Issue, ...]
    actual_views: Mapping[View, View]


def build_model(
    cutouts: Mapping[View, Cutout],
    dimensions: Dimensions,
    description: str,
    *,
    max_triangles: int,
    texture_px: int,
) -> ModelBuild:
    """A watertight textured model of the product's true size. words: the product's name, category and material.

    Raises: InputError source.missing_view when no view can be used, cutout.empty when the outlines leave nothing.
    """
    used, issues = _sure_enough(_telling(cutouts))
    if not used:
        raise InputError("source.missing_view", "None of the photos can be made into a model.")
    called = {view: crop_outline(c) for view, c in used.items()}
    size = complete_size(dimensions, called)
    other = recognise_views(called, size)
    given = {other.get(view, view): o for view, o in called.items()}
    issues += [
        issue(
            "model.view_recognised",
            f"The {view.value} photo shows the {_SHOWS[side]} and was used so.",
            pointer=f"/images/{view.value}",
        )
        for view, side in other.items()
    ]
    straight = rectify_views(given, size, description)
    shape = (
        build_shape(straight.outlines, size, description)
        if straight.furniture is None
        else build_furniture(straight.furniture, size, TOTAL_CELLS)
    )
    substance = estimate_material(description)
    vertices, faces, stretch = extract_mesh(shape, size, max_triangles)
    model = texture_mesh(vertices, faces, straight.posed_photos, size, texture_px, substance)
    off = max_aspect_mismatch(size, given)
    doubts = _doubts(given, straight, off, stretch)
    certain = min(c.confidence for c in used.values())
    confidence = round(shape.confidence * certain * float(np.prod([1 - share for share, _ in doubts])), 2)
    if size.guessed:
        issues.append(
            issue("model.dimensions_missing", f"Guessed: {', '.join(size.guessed)}.", pointer="/dimensions")
        )
    if len(given) == 1:
        issues.append(issue("model.single_view", f"Made from the {next(iter(given)).value} view alone."))
    if off > MAX_DISAGREEMENT:
        issues.append(
            issue(
                "model.views_disagree",
                "A photo's proportions are not the product's.",
                measured=_percent(off),
                limit=_percent(MAX_DISAGREEMENT),
            )
        )
    if stretch > MAX_STRETCH:
        issues.append(
            issue(
                "model.part_lost",
                "A part at the product's rim was lost.",
                measured=_percent(stretch),
                limit=_percent(MAX_STRETCH),
            )
        )
    if confidence < LOW_CONFIDENCE:
        why = ", ".join([f"shape by {shape.family}", *(reason for _, reason in doubts)])
        issues.append(
            issue(
                "model.low_confidence",
                f"{why[0].upper()}{why[1:]}.",
                measured=confidence,
                limit=LOW_CONFIDENCE,
            )
        )
    return ModelBuild(
        model=model, family=shape.family, confidence=confidence, issues=tuple(issues), actual_views=other
    )


def _telling(cutouts: Mapping[View, Cutout]) -> dict[View, Cutout]:
    """The views that a model is built from; a three-quarter photo counts only where no upright one does."""
    upright = set(cutouts) & set(UPRIGHT)
    return {view: c for view, c in cutouts.items() if view in USABLE and not (view is View.HERO and upright)}


def _sure_enough(cutouts: Mapping[View, Cutout]) -> tuple[dict[View, Cutout], list[Issue]]:
    """The cut-outs to build from: those too unsure are left out while others remain."""
    sure = {view: c for view, c in cutouts.items() if c.confidence >= LEAST_CERTAIN}
    if not sure or not set(sure) & set(UPRIGHT):
        return dict(cutouts), []
    left = [
        issue(
            "model.view_left_out",
            f"The {view.value} photo.",
            pointer=f"/images/{view.value}",
            measured=round(c.confidence, 2),
            limit=LEAST_CERTAIN,
        )
        for view, c in cutouts.items()
        if view not in sure
    ]
    return sure, left


def _doubts(
    outlines: Mapping[View, Outline], straight: RectifiedViews, off: float, stretch: float
) -> list[tuple[float, str]]:
    """What lowers the trust in the shape: the share of it that goes, and why."""
    found = []
    if off > MAX_DISAGREEMENT:
        found.append((min(0.5, off - MAX_DISAGREEMENT), "photos and dimensions contradict each other"))
    if stretch > MAX_STRETCH:
        found.append((min(0.5, 4 * stretch), "thin parts lost"))
    if not set(outlines) & set(UPRIGHT):
        found.append((0.3, "three-quarter photo alone" if View.HERO in outlines else "seen from above alone"))
    if straight.coverage < WELL_EXPLAINED:
        found.append((WELL_EXPLAINED - straight.coverage, "no known shape explains the photos well"))
    return found


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"
