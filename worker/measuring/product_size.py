"""The size of a model compared with its product's and with plausible sizes.

X is width, Y height, Z depth.
"""

import re
from collections.abc import Iterator
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.product import Dimensions, Product

AXES = ("width", "height", "depth")
RATIO_TOLERANCE = (
    0.06  # relative: a ratio this near to a unit's factor, or to 1 when rotated, names the cause
)
_ROTATIONS = {
    (0, 2, 1): "it lies on its back or its face: swap Y and Z",
    (2, 1, 0): "it is rotated by 90 degrees about Y",
    (1, 0, 2): "it lies on its side: swap X and Y",
}

# Bounds of the longest side in metres, by words in category and name. They are wide: they find wrong units,
# not unusual products. Source: this project's own judgement.
UNKNOWN_PRODUCT = (0.002, 20.0)
LONGEST_SIDE_M = {
    "ring|earring": (0.005, 0.1),
    "watch": (0.02, 0.4),
    "mug|cup|glass|tumbler": (0.03, 0.4),
    "bottle|jar|vase|carafe": (0.04, 1.2),
    "plate|bowl|pan|pot": (0.05, 1.0),
    "shoe|sneaker|boot|sandal": (0.08, 0.8),
    "bag|backpack|handbag|wallet": (0.06, 1.2),
    "phone|headphone|camera|speaker": (0.03, 1.5),
    "lamp|light": (0.08, 3.0),
    "chair|stool|armchair": (0.25, 2.0),
    "table|desk|bench": (0.25, 5.0),
    "sofa|couch|bed": (0.8, 5.0),
    "shelf|cabinet|wardrobe|dresser": (0.2, 5.0),
}
_WORDS = [(re.compile(rf"\b({words})s?\b"), span) for words, span in LONGEST_SIDE_M.items()]
LEAST_SIDE = 0.1  # share of the longest side: what is thinner differs by rounding
UNIT_FACTORS = {
    "millimetres": 1000.0,
    "centimetres": 100.0,
    "inches": 39.3701,
    "feet": 3.28084,
    "kilometres": 0.001,
}


def size_difference(size: NDArray[np.float64], wanted: NDArray[np.float64]) -> float:
    """Return the greatest relative difference of a side between two files of one model.

    The thickness of a thin model, e.g. a rug, is compared as if it were LEAST_SIDE of the longest side.
    """
    return float(np.abs((size - wanted) / np.maximum(wanted, LEAST_SIDE * max(wanted.max(), 1e-9))).max())


def size_issues(
    extent: NDArray[np.float64], product: Product | None, tolerance_pct: float
) -> Iterator[Issue]:
    """Yield geometry.dimensions, geometry.unit and geometry.axis. An axis of unknown size is not tested.

    Args:
        extent: Width, height and depth in metres, (3,).
        product: The product; None: the size is only compared with plausible ones.
        tolerance_pct: The deviation that is allowed.
    """
    text = f"{product.category} {product.name}" if product else ""
    low, high = _plausible_longest_side(text)
    if not low <= extent.max() <= high:
        name = text.strip() or "product"
        yield issue(
            "geometry.unit",
            f"The longest side of this {name} is {_metres(extent.max())}.",
            measured=_metres(extent.max()),
            limit=f"{low:g} m to {high:g} m",
        )
    if product is not None:
        yield from _compare(extent, product.dimensions, tolerance_pct)


def _compare(extent: NDArray[np.float64], dimensions: Dimensions, tolerance_pct: float) -> Iterator[Issue]:
    """Yield the differences from the product's size, and their likely cause: a wrong unit or axis."""
    size = (dimensions.width_m, dimensions.height_m, dimensions.depth_m)
    ratios = np.array([float(e) / s for e, s in zip(extent, size, strict=True) if s])
    if not len(ratios) or (np.abs(ratios - 1) * 100 <= tolerance_pct).all():
        return
    unit = _unit_of_ratio(float(np.median(ratios)), RATIO_TOLERANCE)
    if unit:
        yield issue(
            "geometry.unit",
            f"The model is {np.median(ratios):.4g} times the product's size, as if made in {unit}.",
            measured=f"{np.median(ratios):.4g} times",
            limit="1",
        )
    for order in permutations(range(3)):
        if order in _ROTATIONS and all(
            s and abs(float(extent[o]) / s - 1) < RATIO_TOLERANCE for o, s in zip(order, size, strict=True)
        ):
            yield issue(
                "geometry.axis",
                f"The size fits when rotated: {_ROTATIONS[order]}.",
                measured=" x ".join(f"{v:.3f}" for v in extent),
            )
    for axis, measured, wanted in zip(AXES, extent, size, strict=True):
        if wanted and abs(float(measured) / wanted - 1) * 100 > tolerance_pct:
            yield issue(
                "geometry.dimensions",
                f"The {axis} is {float(measured):.3f} m; the product's is {wanted:.3f} m.",
                pointer=f"/dimensions/{axis}",
                measured=f"{(float(measured) / wanted - 1) * 100:+.1f} %",
                limit=f"{tolerance_pct:g} %",
            )


def _metres(value: float) -> str:
    return f"{float(value):.3g} m"


def _plausible_longest_side(text: str) -> tuple[float, float]:
    """Return the least and the greatest plausible longest side of a product, in metres.

    Args:
        text: The product's category and name.
    """
    return next((span for words, span in _WORDS if words.search(text.lower())), UNKNOWN_PRODUCT)


def _unit_of_ratio(ratio: float, tolerance: float) -> str:
    """Return the unit that a model was made in, e.g. `centimetres`; empty where none fits.

    Args:
        ratio: The model's size over the product's, both in metres.
        tolerance: The relative deviation that is allowed.
    """
    return next((name for name, factor in UNIT_FACTORS.items() if abs(ratio / factor - 1) <= tolerance), "")
