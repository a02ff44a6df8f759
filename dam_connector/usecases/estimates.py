"""Estimates of who generates an asset, at which price, and how long it takes."""

from collections.abc import Collection, Iterable, Mapping

from dam_connector.domain.brought_model import BROUGHT_MODEL
from dam_connector.domain.generator_choice import choose_generators
from dam_connector.domain.ids import Sha256
from dam_connector.domain.model_forecast import ModelForecast, forecast_model
from dam_connector.domain.product import Capture, Product, capture_of_key
from dam_connector.domain.rules import BROUGHT, JOINED, LOCAL, PHOTO, RECOLOURED, Deliverable
from dam_connector.domain.run import RunKind
from dam_connector.domain.shapes import SHAPE, claim_rank
from dam_connector.domain.used_photos import views_of
from dam_connector.ports import GenerationRequest, Provider
from dam_connector.store.products import ProductRecord
from dam_connector.usecases.shared_shapes import shapes_of
from dam_connector.wiring import Services

NOBODY = ""  # in place of a generator: none makes it
# CPU-seconds of a run (docs/lab/bulk.md), while there are no measurements of this installation.
DEFAULT_RUN_S = {RunKind.IMAGE: 1.8, RunKind.MODEL: 6.5}
# CPU-seconds for each picture of a spin or a walk (docs/modeling.md): cut-outs, cameras and carving.
PICTURE_S = {Capture.SPIN: 1.5, Capture.WALK: 3.0}


def capture_seconds(deliverable: Deliverable, generator: str, pictures: Iterable[str]) -> float:
    """Return how many CPU-seconds a version takes longer than usual, since it is made of a spin or a walk.

    Args:
        deliverable: one of the rules.
        generator: who makes it; only our own code builds from such pictures.
        pictures: the keys of the pictures that it is made from.
    """
    if deliverable.kind is not RunKind.MODEL or generator != LOCAL:
        return 0.0
    kinds = [kind for key in pictures if (kind := capture_of_key(key))]
    used = Capture.SPIN if Capture.SPIN in kinds else Capture.WALK
    return max(0.0, kinds.count(used) * PICTURE_S[used] - DEFAULT_RUN_S[RunKind.MODEL])


def estimate_seconds(
    services: Services,
    version_counts: Mapping[str, int],
    deliverables: Iterable[Deliverable] | None = None,
    capture_s: float = 0.0,
) -> float:
    """Estimate how long generation takes on the workers that are running, by the average of recent runs.

    Args:
        version_counts: the number of versions by deliverable.
        deliverables: those that the counts name; None: the ones of the rules in force.
        capture_s: CPU-seconds that spins and walks among them take longer, see `capture_seconds`.

    Returns:
        Seconds.
    """
    run_s = {
        d.name: services.runs.average_cpu_seconds(d.name) or DEFAULT_RUN_S[d.kind]
        for d in (services.rules.current().deliverables if deliverables is None else deliverables)
    }
    total_s = capture_s + sum(count * run_s[name] for name, count in version_counts.items())
    return total_s / max(1, services.queue.workers("advance_bulk_run"))


def first_generator(
    services: Services, deliverable: Deliverable, product: Product, pictures: Collection[str]
) -> tuple[str, float]:
    """Return the generator that is asked first for an asset, and its price.

    Args:
        services: the services.
        deliverable: what is to be made.
        product: the product's record.
        pictures: the keys of what it is made from, e.g. of `expected_images`.

    Returns:
        `local`, `brought`, `recoloured`, `joined` or a provider's name, and USD by the provider's price list;
        `NOBODY` where the rules leave no generator, so that nothing is made.
    """
    if deliverable.kind is RunKind.MODEL and (product.model_url or BROUGHT_MODEL in pictures):
        return BROUGHT, 0.0
    if SHAPE in pictures or deliverable.is_joined:
        return JOINED if deliverable.is_joined else RECOLOURED, 0.0
    for name in choose_generators(deliverable, product, pictures).names:
        if name == LOCAL:
            usd = 0.0
        elif not _has_view_for(services.provider(name), deliverable, pictures):
            continue
        else:
            request = GenerationRequest(key="", product=product, pictures={}, kind=deliverable.kind)
            usd = services.provider(name).estimate(request)
        max_usd = deliverable.when[name].max_usd if name in deliverable.when else None
        if max_usd is None or usd <= max_usd:
            return name, usd
    return NOBODY, 0.0


def _has_view_for(provider: Provider, deliverable: Deliverable, pictures: Collection[str]) -> bool:
    """Return whether the photo that a provider requires is among those of which a deliverable is made."""
    wanted = provider.capabilities.views[:1]
    usable = [view.value for view in views_of(deliverable) if view.value in pictures]
    return not wanted or deliverable.made_from != PHOTO or wanted[0] in usable


def own_forecast(
    deliverables: Iterable[Deliverable], product: Product, pictures: Collection[str]
) -> ModelForecast | None:
    """Return the forecast of a product's model by our own code; None where it is made by none of the rules.

    Args:
        deliverables: what is made of the product.
        product: the product's record.
        pictures: the keys of its pictures.
    """
    is_ours = any(d.kind is RunKind.MODEL and LOCAL in d.generator and not d.is_joined for d in deliverables)
    has_photos = claim_rank(product, dict.fromkeys(pictures, Sha256(""))) == 1
    return forecast_model(product, pictures) if is_ours and has_photos else None


def record_forecast(services: Services, record: ProductRecord) -> ModelForecast | None:
    """Return the forecast of a stored product's model; None where our own code makes none from its photos."""
    product, rules = record.product, services.rules.current()
    shared = shapes_of(services, product, rules).shared
    made = [d for d in rules.deliverables if d.is_for_category(product.category) and d.name not in shared]
    return own_forecast(made, product, record.sources)
