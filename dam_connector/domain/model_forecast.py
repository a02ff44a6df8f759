"""The forecast: how probable it is that our own model of a product will be good, before it is made.

Good is what docs/modeling.md calls so under "Confidence". The forecast knows the record alone: which pictures
there are, whether the size is known, and the words of name and category. benchmarks/model_forecast.py fits
its weights.
"""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from dam_connector.domain.model_forecast_weights import CAPTURES, INTERCEPT, WEIGHTS
from dam_connector.domain.product import Capture, Dimensions, Product, View, capture_of_key
from dam_connector.domain.product_kinds import ProductKind, product_kind

# From each probability on, what is said of such models.
VERDICTS = ((0.5, "mostly good"), (0.2, "sometimes good"), (0.0, "seldom good"))
FORECASTS = tuple(text for _, text in VERDICTS)
GOOD = 0.5  # from here on a good model is more probable than another
HELPS = 0.1  # by so much a remedy must raise the probability to be named
# A product without any dimension is taken to be half a metre high: a model of another size is not good.
MAX_WITHOUT_SCALE = 0.05
KIND_TEXTS = {
    ProductKind.ROUND: "a round vessel",
    ProductKind.BOX: "a box-like product",
    ProductKind.SEAT: "a seat",
    ProductKind.TABLE: "a table",
    ProductKind.THIN: "a thin product",
    ProductKind.SOFT: "a product of soft or free form",
    ProductKind.UNKNOWN: "a product of unknown kind",
}
PLAIN_KINDS = (ProductKind.ROUND, ProductKind.BOX, ProductKind.SOFT)
NUMBERS = ("no", "one", "two", "three", "four", "five", "six")
_STRAIGHT = (View.FRONT, View.BACK, View.LEFT, View.RIGHT, View.TOP)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastEvidence:
    """What the record of a product shows before anything is made."""

    kind: ProductKind
    capture: Capture | None = None  # the pictures all around that our own code would use
    views: int = 0  # photos of different sides, a three-quarter photo among them
    has_side: bool = False
    has_top: bool = False
    is_corner: bool = False  # a three-quarter photo alone
    lacks_size: bool = False  # a dimension is not known, and no picture shows it
    has_scale: bool = True  # a dimension says how large it is


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelForecast:
    """The forecast of our own model of a product."""

    probability: float  # that it will be good, rounded to two places as people see it
    verdict: str  # one of `FORECASTS`
    reason: str  # e.g. "one view of a seat: seldom good"
    remedy: str  # what would help, e.g. "photos of a side"; empty: it is good enough, or nothing helps


def forecast_model(product: Product, pictures: Collection[str]) -> ModelForecast:
    """Return the forecast of the model that our own code would make of a product's pictures.

    Args:
        product: The product's record.
        pictures: The keys of its pictures, e.g. `front` or `spin-01`; they need not be fetched.
    """
    evidence = read_evidence(product, pictures)
    found = probability(evidence)
    verdict = next(text for least, text in VERDICTS if found >= least)
    guessed = ", its size partly guessed" if evidence.lacks_size else ""
    size = guessed if evidence.has_scale else ", its size not known"
    return ModelForecast(
        probability=found,
        verdict=verdict,
        reason=f"{_views_text(evidence, product)} of {KIND_TEXTS[evidence.kind]}{size}: {verdict}",
        remedy="" if found >= GOOD else "; ".join(_remedies(evidence, found)),
    )


def read_evidence(product: Product, pictures: Collection[str]) -> ForecastEvidence:
    """Return the evidence in a product's record; arguments: see `forecast_model`."""
    views = {view for view in View if view in pictures and view != View.DETAIL}
    captures = {capture_of_key(key) for key in pictures}
    capture = next((kind for kind in Capture if kind in captures), None)
    has_scale = _has_scale(product.dimensions, views)
    return ForecastEvidence(
        kind=product_kind(product.name, product.category),
        capture=capture,
        views=len(views),
        has_side=bool(views & {View.LEFT, View.RIGHT}),
        has_top=View.TOP in views,
        is_corner=View.HERO in views and not views & set(_STRAIGHT),
        lacks_size=not has_scale or (capture is None and _lacks_size(product.dimensions, views)),
        has_scale=has_scale,
    )


def _has_scale(size: Dimensions, views: Collection[View]) -> bool:
    """Return whether a known dimension says how large the product in the photos is."""
    return bool(size.width_m or size.height_m or (size.depth_m and {View.LEFT, View.RIGHT} & set(views)))


def _lacks_size(size: Dimensions, views: Collection[View]) -> bool:
    """Return whether a dimension is a guess: not known, nor given by the proportions of straight photos."""
    has_depth = bool(size.depth_m or {View.LEFT, View.RIGHT, View.TOP} & set(views))
    is_straight = bool({View.FRONT, View.BACK} & set(views))
    return not size.complete and not (_has_scale(size, views) and has_depth and is_straight)


def probability(evidence: ForecastEvidence) -> float:
    """Return how probable a good model is, to two places; 0 where no picture shows a whole side."""
    if evidence.capture:
        found = CAPTURES[evidence.capture.value][_group(evidence.kind)]
    elif evidence.views:
        logit = INTERCEPT + sum(WEIGHTS[name] * value for name, value in features(evidence).items())
        found = round(1 / (1 + math.exp(-logit)), 2)
    else:
        found = 0.0
    return found if evidence.has_scale else min(found, MAX_WITHOUT_SCALE)


def features(evidence: ForecastEvidence) -> dict[str, float]:
    """Return the features that `WEIGHTS` weigh, by name."""
    facts = {
        name: float(getattr(evidence, name)) for name in ("has_side", "has_top", "is_corner", "lacks_size")
    }
    kinds = [kind for kind in ProductKind if kind is not ProductKind.UNKNOWN]
    return facts | {f"is_{kind}": float(evidence.kind is kind) for kind in kinds}


def _group(kind: ProductKind) -> str:
    """Return the group of kinds by which spins and walks are counted: too few were measured for more."""
    if kind is ProductKind.UNKNOWN:
        return "unknown"
    return "plain" if kind in PLAIN_KINDS else "open"


def _views_text(evidence: ForecastEvidence, product: Product) -> str:
    if evidence.capture:
        return f"a {evidence.capture} of {len(product.captured(evidence.capture))} pictures"
    if evidence.is_corner:
        return "a three-quarter photo alone"
    return f"{NUMBERS[evidence.views]} view{'' if evidence.views == 1 else 's'}"


def _remedies(evidence: ForecastEvidence, found: float) -> Iterator[str]:
    """Yield remedies: pictures that would raise the probability, and who makes such a model otherwise."""
    evidence, is_sized = replace(evidence, lacks_size=False, has_scale=True), not evidence.lacks_size
    whole, changes = evidence, [] if is_sized else ["all three dimensions"]
    if not evidence.capture:
        changes += [_photos_text(evidence)]
        whole = replace(whole, views=4, has_side=True, has_top=True, is_corner=False)
    best = probability(whole)
    ways = [" and ".join(changes)] if changes and best >= found + HELPS else []
    spin = probability(replace(evidence, capture=Capture.SPIN))
    if evidence.capture is not Capture.SPIN and spin >= found + HELPS:
        ways.append("a spin")
    if ways:
        yield ", or ".join(ways)
    if evidence.kind is ProductKind.UNKNOWN:
        yield "a name or category that says what it is"
    if max(best, spin) < GOOD:
        yield "a provider, or a model made elsewhere"


def _photos_text(evidence: ForecastEvidence) -> str:
    """Return which photos are missing, e.g. `photos of a side and the top`."""
    sides = {
        "the front": evidence.is_corner or not evidence.views,
        "a side": not evidence.has_side,
        "the top": not evidence.has_top,
    }
    missing = [name for name, is_missing in sides.items() if is_missing] or ["the back"]
    return f"photos of {' and '.join(filter(None, [', '.join(missing[:-1]), missing[-1]]))}"


# The highest forecast that a product can have.
MAX_FORECAST = max(
    probability(ForecastEvidence(kind=kind, capture=capture, views=4, has_side=True, has_top=True))
    for kind in ProductKind
    for capture in (None, *Capture)
)
