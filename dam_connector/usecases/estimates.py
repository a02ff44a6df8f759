"""Estimates of who generates an asset, at which price, and how long it takes."""

from collections.abc import Iterable, Mapping

from dam_connector.domain.product import Product
from dam_connector.domain.rules import BROUGHT, LOCAL, Deliverable
from dam_connector.domain.run import RunKind
from dam_connector.ports import GenerationRequest
from dam_connector.wiring import Services

# CPU-seconds of a run (docs/lab/bulk.md), while there are no measurements of this installation.
DEFAULT_RUN_S = {RunKind.IMAGE: 1.8, RunKind.MODEL: 6.5}


def estimate_seconds(
    services: Services, version_counts: Mapping[str, int], deliverables: Iterable[Deliverable] | None = None
) -> float:
    """Estimate how long generation takes on the workers that are running, by the average of recent runs.

    Args:
        version_counts: the number of versions by deliverable.
        deliverables: those that the counts name; None: the ones of the rules in force.

    Returns:
        Seconds.
    """
    run_s = {
        d.name: services.runs.average_cpu_seconds(d.name) or DEFAULT_RUN_S[d.kind]
        for d in (services.rules.current().deliverables if deliverables is None else deliverables)
    }
    total_s = sum(count * run_s[name] for name, count in version_counts.items())
    return total_s / max(1, services.queue.workers("advance_bulk_run"))


def first_generator(services: Services, deliverable: Deliverable, product: Product) -> tuple[str, float]:
    """Return the generator that is asked first for an asset, and its price.

    Returns:
        `local`, `brought` or a provider's name, and USD by the provider's price list.
    """
    if deliverable.kind is RunKind.MODEL and product.model_url:
        return BROUGHT, 0.0
    views = max(len(product.images), product.has_capture)  # its first picture shows the front
    for name in deliverable.generator:
        if not deliverable.can_use_generator(name, product.category, views):
            continue
        if name == LOCAL:
            usd = 0.0
        else:
            request = GenerationRequest(key="", product=product, pictures={}, kind=deliverable.kind)
            usd = services.provider(name).estimate(request)
        max_usd = deliverable.when[name].max_usd if name in deliverable.when else None
        if max_usd is None or usd <= max_usd:
            return name, usd
    return LOCAL, 0.0
