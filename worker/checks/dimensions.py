"""Dimensions: the model's bounding box against the product's size, per axis: X is width, Y height, Z depth."""

from collections.abc import Iterator

from dam_connector.catalog.issue import Issue, issue
from dam_connector.catalog.rules import Rules
from dam_connector.errors import InputError
from worker.checks.subject import Subject


def check(subject: Subject, rules: Rules) -> Iterator[Issue]:
    """Issues geometry.dimensions; an axis whose size is not known is not tested."""
    try:
        extent = subject.mesh.extents
    except InputError:
        return  # the geometry check says so
    subject.measured["size_m"] = " x ".join(f"{float(v):.3f}" for v in extent)
    if subject.product is None:
        return
    known = subject.product.dimensions
    tolerance = rules.checks.dimensions_tolerance_pct
    for axis, measured, wanted in zip(("width", "height", "depth"), extent, (known.width_m, known.height_m, known.depth_m), strict=True):
        if wanted and abs(float(measured) / wanted - 1) * 100 > tolerance:
            yield issue(
                "geometry.dimensions",
                f"The {axis} is {float(measured):.3f} m; the product's is {wanted:.3f} m.",
                pointer=f"/dimensions/{axis}",
                measured=f"{(float(measured) / wanted - 1) * 100:+.1f} %",
                limit=f"{tolerance:g} %",
            )
