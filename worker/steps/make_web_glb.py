"""Pack the model for web pages, where the rules ask for it."""

from dam_connector.wiring import Services
from worker.cache import cached_model
from worker.modeling.web_packing import write_web_glb
from worker.work import Work


def make_web_glb(work: Work, services: Services) -> Work:
    """The work with a small GLB of the same size and look. Reads: raw_model. Adds: files."""
    if "web" not in work.deliverable.formats:
        return work
    model = cached_model(services, work.model)
    return work.with_file(services, write_web_glb(model, work.product.sku), "web")
