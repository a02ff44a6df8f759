"""Pack the model for web pages, where the rules ask for it."""

from dam_connector.wiring import Services
from worker.cache import model_of
from worker.modeling.web_packing import write_web
from worker.work import Work


def pack_web(work: Work, services: Services) -> Work:
    """The work with a small GLB of the same size and look. Reads: raw_model. Adds: files."""
    if "web" not in work.deliverable.formats:
        return work
    model = model_of(services, work.model)
    return work.with_file(services, write_web(model, work.product.sku), "web")
