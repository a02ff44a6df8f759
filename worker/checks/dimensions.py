"""Dimensions: the bounding box against the product's size, per axis (X is width, Y height, Z depth), and against what is plausible."""

from collections.abc import Iterator
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.product import Dimensions
from dam_connector.domain.rules import Rules
from dam_connector.errors import InputError
from worker.measuring.check_subject import CheckSubject
from worker.measuring.plausible_sizes import longest_side, unit_of

AXES = ("width", "height", "depth")
LIKE = 0.06  # relative: this near to a unit's factor, or to the size when turned, is meant so
_TURNS = {
    (0, 2, 1): "it lies on its back or its face: swap Y and Z",
    (2, 1, 0): "it is turned by 90 degrees about Y",
    (1, 0, 2): "it lies on its side: swap X and Y",
}


def check(subject: CheckSubject, rules: Rules) -> Iterator[Issue]:
    """Issues geometry.dimensions, geometry.unit, geometry.axis; an axis whose size is not known is not tested."""
    try:
        extent = subject.surface.extent
    except InputError:
        return  # the geometry check says so
    subject.measured["size_m"] = " x ".join(f"{float(v):.3f}" for v in extent)
    product = subject.product
    words = f"{product.category} {product.name}" if product else ""
    least, most = longest_side(words)
    if not least <= extent.max() <= most:
        name = words.strip() or "product"
        yield issue(
            "geometry.unit",
            f"The longest side of this {name} is {_metres(extent.max())}.",
            measured=_metres(extent.max()),
            limit=f"{least:g} m to {most:g} m",
        )
    if product is None:
        return
    yield from _against(extent, product.dimensions, rules.checks.dimensions_tolerance_pct)


def _against(extent: NDArray[np.float64], known: Dimensions, tolerance: float) -> Iterator[Issue]:
    wanted = (known.width_m, known.height_m, known.depth_m)
    ratios = np.array([float(e) / w for e, w in zip(extent, wanted, strict=True) if w])
    if not len(ratios) or (np.abs(ratios - 1) * 100 <= tolerance).all():
        return
    unit = unit_of(float(np.median(ratios)), LIKE)
    if unit:
        yield issue(
            "geometry.unit",
            f"The model is {np.median(ratios):.4g} times the product's size, as if made in {unit}.",
            measured=f"{np.median(ratios):.4g} times",
            limit="1",
        )
    for order in permutations(range(3)):
        if order in _TURNS and all(
            w and abs(float(extent[o]) / w - 1) < LIKE for o, w in zip(order, wanted, strict=True)
        ):
            yield issue(
                "geometry.axis",
                f"The size fits when turned: {_TURNS[order]}.",
                measured=" x ".join(f"{v:.3f}" for v in extent),
            )
    for axis, measured, size in zip(AXES, extent, wanted, strict=True):
        if size and abs(float(measured) / size - 1) * 100 > tolerance:
            yield issue(
                "geometry.dimensions",
                f"The {axis} is {float(measured):.3f} m; the product's is {size:.3f} m.",
                pointer=f"/dimensions/{axis}",
                measured=f"{(float(measured) / size - 1) * 100:+.1f} %",
                limit=f"{tolerance:g} %",
            )


def _metres(value: float) -> str:
    return f"{float(value):.3g} m"
