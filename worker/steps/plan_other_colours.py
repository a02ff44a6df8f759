"""Plan what follows for the other colours of a shape: recolourings, and one model of all of them."""

from dam_connector.usecases.colours import plan_colours
from dam_connector.wiring import Services
from worker.work import Work


def plan_other_colours(work: Work, services: Services) -> Work:
    """Add the runs that follow from an approval or a withdrawal of a model in one colour.

    Reads: product, deliverable. Adds: nothing.
    """
    if work.deliverable.colours is not None:
        plan_colours(services, work.product.sku, work.deliverable.name, bulk=work.bulk)
    return work
