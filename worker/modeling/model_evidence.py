"""Evidence for and against a model, and the one probability that it is good."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dam_connector.domain.product import View
from worker.modeling.model_probability import INTERCEPT, WEIGHTS
from worker.modeling.outlines import Outline, ProductSize
from worker.modeling.pose_search import RectifiedViews
from worker.modeling.shape import Shape
from worker.modeling.shape_evidence import iou
from worker.modeling.shared_camera import MAX_MEAN_ERROR

F32 = NDArray[np.float32]

GUESSES = ("inflation", "slab", "side like the front")  # families that know nothing of the product
FURNITURE_GUESSES = ("seat", "legs", "carcass", "joinery")  # families that know furniture alone
EVEN_SIDES = 0.02  # relative difference of width and depth
MEASURED_PX = 256  # longer side of the outlines that are measured
MAX_EMPTINESS = 0.6  # more says no more
MIN_CERTAINTY = 0.01  # less says no more
MAX_PROBABILITY = (
    0.95  # of 20 models that the fit had not seen, 17 of those above .8 were good: nobody is surer
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEvidence:
    """Evidence about a model without a reference."""

    has_side: bool  # a photo shows the depth at each height
    has_top: bool
    is_perspective: bool  # a camera was guessed
    has_shared_camera: bool  # one camera explains the photos of all sides
    camera_error: float  # of that camera, as a part of the largest that is taken; else 0
    is_corner: bool  # a three-quarter photo alone
    is_turned: bool
    is_guess: bool  # no family fits the outline
    is_furniture_guess: bool  # furniture of usual proportions, since no photo shows its side
    has_even_sides: bool  # as deep as wide, which makes one view tell more
    misfit: float  # 1 less the overlap of the shape with the outlines
    complexity: float  # logarithm of the longest outline's length squared over its area
    guessed_complexity: float  # the same where no photo shows the side, else 0
    emptiness: float  # of the emptiest outline's box
    doubt: float  # minus the logarithm of how certain cut-outs and dimensions are

    @property
    def probability(self) -> float:
        """Return the probability that the model is good, as benchmarks/model_confidence.py defines it."""
        values = asdict(self)
        logit = INTERCEPT + sum(weight * values[name] for name, weight in WEIGHTS.items())
        return min(MAX_PROBABILITY, float(1 / (1 + np.exp(-logit))))


def gather_evidence(
    shape: Shape, views: RectifiedViews, seen: Mapping[View, Outline], size: ProductSize, certainty: float
) -> ModelEvidence:
    """Return the evidence about a shape.

    Args:
        shape: The shape.
        views: The rectified photos.
        seen: The photos' outlines as they are.
        size: The product's size.
        certainty: 0 to 1, of the cut-outs and dimensions.
    """
    has_side = bool({View.FRONT, View.BACK} & set(seen)) and bool({View.RIGHT, View.LEFT} & set(seen))
    has_top = View.TOP in seen
    complexity = max(outline_complexity(outline.alpha) for outline in seen.values())
    coverage = 1.0 if views.shared else views.coverage
    return ModelEvidence(
        has_side=has_side,
        has_top=has_top,
        is_perspective=not views.shared
        and any(photo.photo_camera is not None for photo in views.posed_photos.values()),
        has_shared_camera=views.shared is not None,
        camera_error=views.shared.error / MAX_MEAN_ERROR if views.shared else 0.0,
        is_corner=View.HERO in seen,
        is_turned=shape.family.startswith("turned"),
        is_guess=shape.family in GUESSES,
        is_furniture_guess=shape.family.startswith(FURNITURE_GUESSES),
        has_even_sides=not has_side and abs(size.width / size.depth - 1) < EVEN_SIDES,
        misfit=1 - min(coverage, _overlap(shape, views.outlines)),
        complexity=complexity,
        guessed_complexity=0.0 if has_side else complexity,
        emptiness=min(
            MAX_EMPTINESS, max(1 - float((outline.alpha > 0.5).mean()) for outline in seen.values())
        ),
        doubt=-float(np.log(max(certainty, MIN_CERTAINTY))),
    )


def _overlap(shape: Shape, outlines: Mapping[View, Outline]) -> float:
    """Return the least overlap of the shape's silhouettes with the orthographic outlines; 1 without any."""
    inside, grid = shape.field > 0, shape.grid
    found = [1.0]
    for view, outline in outlines.items():
        if view is View.FRONT:
            found.append(iou(inside.any(2), grid.front_distance(outline) > 0))
        elif view is View.RIGHT:
            found.append(iou(inside.any(0).T, grid.side_distance(outline) > 0))
        elif view is View.TOP:
            found.append(iou(inside.any(1), grid.top_distance(outline) > 0))
    return min(found)


def outline_complexity(alpha: F32) -> float:
    """Return how intricate an outline is: the logarithm of its length squared over its area.

    Args:
        alpha: (h, w), 0 to 1, cropped to the product.
    """
    factor = min(1.0, MEASURED_PX / max(alpha.shape))
    mask = (cv2.resize(alpha, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA) > 0.5).astype(
        np.uint8
    )
    rim = np.pad(mask, 1) - cv2.erode(np.pad(mask, 1), np.ones((3, 3), np.uint8))
    return float(np.log(max(1, int(rim.sum())) ** 2 / max(1, int(mask.sum()))))
