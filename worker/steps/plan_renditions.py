"""Plan the renditions that are made from this model."""

from dam_connector.usecases.run_planning import plan_runs
from dam_connector.wiring import Services
from worker.work import Work


def plan_renditions(work: Work, services: Services) -> Work:
    """Add a run for each rendition that plugin.json makes from this deliverable.

    Reads: version. Adds: nothing.
    """
    record = services.products.get(work.product.sku)
    if record and not record.deleted:
        plan_runs(
            services,
            record.product,
            record.sources,
            made_from=work.deliverable.name,
            bulk=work.bulk,
            batch_id=work.batch_id,
        )
    return work
