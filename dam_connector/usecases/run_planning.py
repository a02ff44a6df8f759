"""Planning: the runs that a product needs, once for each input."""

from collections.abc import Mapping

from dam_connector.domain.ids import Sha256
from dam_connector.domain.planning import planned_runs
from dam_connector.domain.product import Product
from dam_connector.domain.rules import PHOTO
from dam_connector.domain.version import VersionFile
from dam_connector.store.run_records import NewRun
from dam_connector.wiring import Services


def plan_runs(
    services: Services,
    product: Product,
    sources: Mapping[str, Sha256],
    *,
    made_from: str = "",
    batch_id: str = "",
    bulk: bool = False,
) -> int:
    """Plan and wake the runs that a product needs and that were not planned before; return how many.

    Args:
        sources: the product's stored images by view.
        made_from: plan only the runs that render this deliverable's model; empty: all runs.
        batch_id: the batch that the product belongs to, if it is in one. It implies `bulk`.
        bulk: the runs wait behind those of single products.
    """
    bulk = bulk or bool(batch_id)
    rules = services.rules.current()
    models = {
        d.made_from: glb.sha256
        for d in rules.deliverables
        if (glb := _current_glb(services, product.sku, d.made_from))
    }
    needed = [
        NewRun(
            kind=p.deliverable.kind,
            sku=product.sku,
            deliverable=p.deliverable.name,
            slot=p.slot,
            input_hash=p.input_hash,
            rules_fingerprint=rules.fingerprint,
            bulk=bulk,
            batch_id=batch_id,
        )
        for p in planned_runs(product, sources, models, rules)
        if not made_from or p.deliverable.made_from == made_from
    ]
    added = services.runs.add(needed)
    services.queue.wake("advance_bulk_run" if bulk else "advance_run", added)
    return len(added)


def _current_glb(services: Services, sku: str, deliverable: str) -> VersionFile | None:
    version = services.assets.current(sku, deliverable) if deliverable != PHOTO else None
    return version.file("glb") if version else None
