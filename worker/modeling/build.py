"""Build: photos in, a textured model out, with a word on how far to trust it."""

from collections.abc import Mapping
from dataclasses import dataclass

from dam_connector.catalog.issue import Issue, issue
from dam_connector.catalog.product import Dimensions, View
from worker.imaging.cutout import Cutout
from worker.modeling.model import Model
from worker.modeling.shape import build_shape
from worker.modeling.silhouettes import complete_size, disagreement, outline
from worker.modeling.surface import extract
from worker.modeling.texture import textured

USABLE = (View.FRONT, View.RIGHT, View.BACK, View.LEFT, View.TOP, View.HERO)
MAX_DISAGREEMENT = 0.12  # perspective of a photo from two metres accounts for about half of this
LOW_CONFIDENCE = 0.5
_ROUGHNESS = {
    "metal": 0.35,
    "steel": 0.3,
    "brass": 0.35,
    "glass": 0.15,
    "ceramic": 0.35,
    "porcelain": 0.3,
    "plastic": 0.5,
    "leather": 0.55,
    "wood": 0.6,
    "oak": 0.6,
    "fabric": 0.95,
    "cotton": 0.95,
    "wool": 0.97,
    "velvet": 0.9,
    "cardboard": 0.85,
    "paper": 0.85,
}
DEFAULT_ROUGHNESS = 0.65


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A model with what a reviewer should know about it."""

    model: Model
    family: str
    confidence: float
    issues: tuple[Issue, ...]


def build_model(cutouts: Mapping[View, Cutout], dimensions: Dimensions, words: str, *, max_triangles: int, texture_px: int) -> Built:
    """A watertight textured model of the product's true size.

    Raises: InputError source.missing_view when no view can be used, cutout.empty when the outlines leave nothing.
    """
    outlines = {view: outline(c) for view, c in cutouts.items() if view in USABLE}
    size = complete_size(dimensions, outlines)
    shape = build_shape(outlines, size, words)
    vertices, faces = extract(shape, size, max_triangles)
    model = textured(vertices, faces, outlines, size, texture_px, roughness_of(words))
    off = disagreement(size, outlines)
    confidence = round(shape.confidence * (1 - min(0.5, max(0.0, off - MAX_DISAGREEMENT))) * min(c.confidence for c in cutouts.values()), 2)
    issues = []
    if size.guessed:
        issues.append(issue("model.dimensions_missing", f"Guessed: {', '.join(size.guessed)}.", pointer="/dimensions"))
    if len(outlines) == 1:
        issues.append(issue("model.single_view", f"Made from the {next(iter(outlines)).value} view alone."))
    if off > MAX_DISAGREEMENT:
        issues.append(
            issue(
                "model.views_disagree",
                "A photo's proportions are not the product's.",
                measured=f"{off * 100:.0f} %",
                limit=f"{MAX_DISAGREEMENT * 100:.0f} %",
            )
        )
    if confidence < LOW_CONFIDENCE:
        issues.append(issue("model.low_confidence", f"Shape by {shape.family}.", measured=confidence, limit=LOW_CONFIDENCE))
    return Built(model=model, family=shape.family, confidence=confidence, issues=tuple(issues))


def roughness_of(material: str) -> float:
    """The roughness that a material's name suggests."""
    words = material.lower()
    return next((value for name, value in _ROUGHNESS.items() if name in words), DEFAULT_ROUGHNESS)
