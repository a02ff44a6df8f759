"""Dimensions: the bounding box compared with the product's size and with plausible sizes."""

from collections.abc import Iterator

from dam_connector.domain.issue import Issue
from dam_connector.domain.rules import Rules
from dam_connector.errors import InputError
from worker.measuring.check_subject import CheckSubject
from worker.measuring.product_size import size_issues


def check(subject: CheckSubject, rules: Rules) -> Iterator[Issue]:
    """Yield geometry.dimensions, geometry.unit and geometry.axis. An axis of unknown size is not tested."""
    try:
        extent = subject.surface.extent
    except InputError:
        return  # the geometry check reports it
    subject.facts["size_m"] = " x ".join(f"{float(v):.3f}" for v in extent)
    yield from size_issues(extent, subject.product, rules.checks.dimensions_tolerance_pct)
