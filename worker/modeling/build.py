"""Building of a textured mesh from photos, with issues that say how far to trust it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.product import Dimensions, View
from dam_connector.errors import InputError
from worker.imaging.cutout import Cutout
from worker.modeling.furniture_fitting import build_furniture
from worker.modeling.material_estimate import estimate_material
from worker.modeling.mesh_extraction import extract_mesh
from worker.modeling.model_evidence import ModelEvidence, gather_evidence
from worker.modeling.open_furniture import OpenPiece, build_open_furniture
from worker.modeling.outlines import Outline, ProductSize, aspect_mismatches, complete_size, crop_outline
from worker.modeling.photo_camera import carve
from worker.modeling.pose_search import RectifiedViews, rectify_views
from worker.modeling.shape import Shape, build_shape
from worker.modeling.shared_camera import carve_by_photos
from worker.modeling.texture import texture_mesh
from worker.modeling.textured_mesh import TexturedMesh
from worker.modeling.turned_fitting import TurnedBody, build_turned
from worker.modeling.view_agreement import Contradiction, find_contradiction
from worker.modeling.view_recognition import recognise_views
from worker.modeling.voxel_grid import TOTAL_CELLS

USABLE_VIEWS = (View.FRONT, View.RIGHT, View.BACK, View.LEFT, View.TOP, View.HERO)
UPRIGHT_VIEWS = (View.FRONT, View.RIGHT, View.BACK, View.LEFT)
MAX_DISAGREEMENT = 0.12  # of proportions; a photo from two metres has about half of this from perspective
MAX_STRETCH = 0.03  # of a side; more means that a part at the rim is missing
LOW_CONFIDENCE = 0.5
MIN_CUTOUT_CONFIDENCE = 0.3  # less sure cut-outs are left out while others remain
GOOD_COVERAGE = 0.85  # overlap of the coarse shape with the photos
MIN_CARVING_COVERAGE = 0.6  # of a three-quarter photo; a worse camera would carve away the product
CARVING_TOLERANCE = 0.01  # of the photo's longer side
SHARED_TOLERANCE_CELLS = 0.5  # the same in cells, with a camera that all photos agree on
CONTRADICTION = "photos and dimensions contradict each other"
PHOTO_CONTRADICTION = "the photos contradict each other"
CONTRADICTION_SHARE = 0.6  # a model of photos that contradict each other is seldom good
GUESSED_SIDES = "which side each picture shows was guessed"
GUESSED_SIDES_SHARE = 0.6  # of 65 pictures with known views, 41 were taken for what they show
NAMING = "Look at what each picture was taken for, and give the pictures by their sides where it is wrong."
CORRECTION = "Correct the size, or replace the photo that does not fit it."
REPLACEMENT = (
    "Give each photo as the side that it shows, that from above with the front at its lower edge, and "
    "replace photos of other products. If all are right:"
)
_SHOWS = {view: f"{view.value} side" for view in UPRIGHT_VIEWS} | {
    View.TOP: "product from above",
    View.HERO: "product from a corner",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelBuild:
    """A built mesh with what a reviewer should know about it."""

    model: TexturedMesh
    family: str  # the family of shapes that it was built by
    confidence: float  # 0 to 1: the probability that the model is good
    issues: tuple[Issue, ...]
    # What photos show, by the view that the record names, where they differ.
    actual_views: Mapping[View, View]
    evidence: ModelEvidence | None = None  # that the probability is of; none of a spin


@dataclass(frozen=True, slots=True, kw_only=True)
class _Doubt:
    """A reason to trust a shape less."""

    share: float  # of the confidence that it takes
    reason: str


def build_model(
    cutouts: Mapping[View, Cutout],
    dimensions: Dimensions,
    description: str,
    *,
    max_triangles: int,
    texture_px: int,
    are_sides_guessed: bool = False,
) -> ModelBuild:
    """Build a watertight textured mesh of the product's true size.

    Args:
        cutouts: The cut-out photos, by the view that the record names.
        dimensions: The product's dimensions as far as they are known.
        description: The product's name, category and material.
        max_triangles: The budget of the mesh.
        texture_px: The longest side of the texture.
        are_sides_guessed: Nobody named the pictures; a guess found out which side each shows.

    Raises:
        InputError: source.missing_view, no view can be used; cutout.empty, the outlines leave nothing.
    """
    used, issues = _select_sure(_select_views(cutouts))
    if not used:
        raise InputError("source.missing_view", "None of the photos can be made into a model.")
    named = {view: crop_outline(c) for view, c in used.items()}
    size = complete_size(dimensions, named)
    actual_views = recognise_views(named, size)
    outlines = {actual_views.get(view, view): o for view, o in named.items()}
    views = rectify_views(outlines, size, description)
    shape = _shape_of(views, size, description)
    is_fitted = shape.family.startswith(("turned", "joinery"))  # to the outline, so nothing lies beyond
    if View.HERO in views.posed_photos and views.coverage > MIN_CARVING_COVERAGE and not is_fitted:
        shape = carve(shape, views.posed_photos[View.HERO], CARVING_TOLERANCE)
    if views.shared is not None and not shape.family.startswith("turned"):
        shape = carve_by_photos(shape, outlines, views.shared, SHARED_TOLERANCE_CELLS)
    material = estimate_material(description)
    vertices, faces, stretch = extract_mesh(shape, size, max_triangles)
    mesh = texture_mesh(vertices, faces, views.posed_photos, size, texture_px, material)
    mismatches = aspect_mismatches(outlines, size)
    disagreement = max((abs(found) for found in mismatches.values()), default=0.0)
    contradiction = find_contradiction(outlines, size)
    doubts = _doubts(outlines, views, disagreement, stretch)
    doubts[:0] = _doubts_about_views(contradiction, is_guess=are_sides_guessed and len(used) > 1)
    certain = min(c.confidence for c in used.values())
    certainty = certain * float(np.prod([1 - d.share for d in doubts]))
    evidence = gather_evidence(shape, views, outlines, size, certainty)
    confidence = round(min(evidence.probability, certainty), 2)
    issues += _view_issues(actual_views, outlines, size)
    issues += _disagreement_issues(contradiction, mismatches, actual_views)
    issues += _stretch_issues(stretch)
    issues += _confidence_issues(confidence, doubts, evidence)
    return ModelBuild(
        model=mesh,
        family=shape.family,
        confidence=confidence,
        evidence=evidence,
        issues=tuple(issues),
        actual_views=actual_views,
    )


def _shape_of(views: RectifiedViews, size: ProductSize, description: str) -> Shape:
    """Return the furniture or body that was fitted to the photo, or the shape that the outlines show."""
    if views.fitted is None:
        return build_shape(views.outlines, size, description)
    if isinstance(views.fitted, TurnedBody):
        return build_turned(views.fitted, size, description, TOTAL_CELLS)
    if isinstance(views.fitted, OpenPiece):
        return build_open_furniture(views.fitted, size, TOTAL_CELLS)
    return build_furniture(views.fitted, size, TOTAL_CELLS)


def _confidence_issues(confidence: float, doubts: list[_Doubt], evidence: ModelEvidence) -> Iterator[Issue]:
    """Yield an issue about a model that is probably not good."""
    if confidence < LOW_CONFIDENCE:
        why = ", ".join(d.reason for d in doubts) or _open_question(evidence)
        remedies = {
            PHOTO_CONTRADICTION: f"{REPLACEMENT} {_remedy(evidence)}",
            CONTRADICTION: CORRECTION,
            GUESSED_SIDES: NAMING,
        }
        remedy = next((remedies[d.reason] for d in doubts if d.reason in remedies), _remedy(evidence))
        yield issue(
            "model.low_confidence",
            f"{why[0].upper()}{why[1:]}. {remedy}",
            measured=confidence,
            limit=LOW_CONFIDENCE,
        )


def _open_question(evidence: ModelEvidence) -> str:
    """Return what the photos leave open where nothing contradicts them."""
    if not evidence.has_side:
        return "no photo shows the side, so the depth is guessed at each height"
    if not evidence.has_top:
        return "no photo shows the product from above, so its plan is guessed"
    return "outlines do not show hollows and what is behind the edges"


def _remedy(evidence: ModelEvidence) -> str:
    """Return what would make a better model."""
    if not evidence.has_side:
        return "Photos from the front and from the side on white, or a provider, would help."
    if not evidence.has_top:
        return "A photo from above on white, or a provider, would help."
    return "A spin, or a provider, would help; more single photos would not."


def _select_views(cutouts: Mapping[View, Cutout]) -> dict[View, Cutout]:
    """Return the views to build from; a three-quarter photo counts only if there is no upright view."""
    upright = set(cutouts) & set(UPRIGHT_VIEWS)
    return {
        view: c for view, c in cutouts.items() if view in USABLE_VIEWS and not (view is View.HERO and upright)
    }


def _select_sure(cutouts: Mapping[View, Cutout]) -> tuple[dict[View, Cutout], list[Issue]]:
    """Return the cut-outs that are sure enough, and an issue for each of the others.

    Of front and back, and of left and right, the surer one counts in any case: a shape without the outline of
    a side is worse than one with a doubtful outline.
    """
    surest = [
        max(seen, key=lambda view: cutouts[view].confidence)
        for axis in ((View.FRONT, View.BACK), (View.LEFT, View.RIGHT))
        if (seen := [view for view in axis if view in cutouts])
    ]
    used = {
        view: c
        for view, c in cutouts.items()
        if c.confidence >= MIN_CUTOUT_CONFIDENCE or view in surest or not surest
    }
    left_out = [
        issue(
            "model.view_left_out",
            f"The {view.value} photo.",
            pointer=f"/images/{view.value}",
            measured=round(c.confidence, 2),
            limit=MIN_CUTOUT_CONFIDENCE,
        )
        for view, c in cutouts.items()
        if view not in used
    ]
    return used, left_out


def _view_issues(
    actual_views: Mapping[View, View], outlines: Mapping[View, Outline], size: ProductSize
) -> Iterator[Issue]:
    """Yield issues about what the photos show and what they leave open."""
    for view, side in actual_views.items():
        yield issue(
            "model.view_recognised",
            f"The {view.value} photo shows the {_SHOWS[side]} and was used so.",
            pointer=f"/images/{view.value}",
        )
    if size.guessed:
        yield issue("model.dimensions_missing", f"Guessed: {', '.join(size.guessed)}.", pointer="/dimensions")
    if len(outlines) == 1:
        yield issue("model.single_view", f"Made from the {next(iter(outlines)).value} view alone.")


def _disagreement_issues(
    contradiction: Contradiction | None, mismatches: Mapping[View, float], actual_views: Mapping[View, View]
) -> Iterator[Issue]:
    """Yield issues about photos that contradict each other or the dimensions."""
    given_as = {actual: view for view, actual in actual_views.items()}
    if contradiction is not None:
        view = contradiction.view
        yield issue(
            "model.views_disagree",
            contradiction.message,
            pointer=f"/images/{given_as.get(view, view).value}",
            measured=contradiction.measured,
            limit=contradiction.limit,
        )
    odd = [view for view, found in mismatches.items() if abs(found) > MAX_DISAGREEMENT]
    if odd and (contradiction is None or contradiction.view not in odd):
        # Where all photos are odd, the dimensions may be wrong.
        worst = max(odd, key=lambda view: abs(mismatches[view]))
        is_known = len(odd) < len(mismatches)
        yield issue(
            "model.views_disagree",
            "A photo's proportions are not the product's.",
            pointer=f"/images/{given_as.get(worst, worst).value}" if is_known else "",
            measured=_percent(abs(mismatches[worst])),
            limit=_percent(MAX_DISAGREEMENT),
        )


def _stretch_issues(stretch: float) -> Iterator[Issue]:
    """Yield an issue about a part that was lost."""
    if stretch > MAX_STRETCH:
        yield issue(
            "model.part_lost",
            "A part at the product's rim was lost.",
            measured=_percent(stretch),
            limit=_percent(MAX_STRETCH),
        )


def _doubts_about_views(contradiction: Contradiction | None, *, is_guess: bool) -> Iterator[_Doubt]:
    """Yield the reasons to doubt that each photo shows the side that it is used for."""
    if is_guess:
        yield _Doubt(share=GUESSED_SIDES_SHARE, reason=GUESSED_SIDES)
    if contradiction is not None:
        yield _Doubt(share=CONTRADICTION_SHARE, reason=PHOTO_CONTRADICTION)


def _doubts(
    outlines: Mapping[View, Outline], views: RectifiedViews, disagreement: float, stretch: float
) -> list[_Doubt]:
    """Return the reasons to trust the shape less."""
    found = []
    if disagreement > MAX_DISAGREEMENT:
        share = min(0.5, disagreement - MAX_DISAGREEMENT)
        found.append(_Doubt(share=share, reason=CONTRADICTION))
    if stretch > MAX_STRETCH:
        found.append(_Doubt(share=min(0.5, 4 * stretch), reason="some thin parts lost"))
    if not set(outlines) & set(UPRIGHT_VIEWS):
        reason = "made from a three-quarter photo alone" if View.HERO in outlines else "seen from above alone"
        found.append(_Doubt(share=0.0 if View.HERO in outlines else 0.3, reason=reason))
    if views.coverage < GOOD_COVERAGE:
        share = GOOD_COVERAGE - views.coverage
        found.append(_Doubt(share=share, reason="no known shape explains the photos well"))
    return found


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"
