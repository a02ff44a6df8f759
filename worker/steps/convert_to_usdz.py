"""Convert the model to USDZ for Apple's Quick Look, where plugin.json asks for it."""

from dam_connector.domain.version import Role
from dam_connector.wiring import Services
from worker.cache import cached_model
from worker.modeling.usdz_export import write_usdz
from worker.work import Work


def convert_to_usdz(work: Work, services: Services) -> Work:
    """Add a USDZ of the same size and look as the GLB.

    Reads: raw_model. Adds: files.
    """
    if "usdz" not in work.deliverable.formats:
        return work
    model = cached_model(services, work.model_sha256)
    return work.with_file(services, write_usdz(model, work.product.sku), "usdz", Role.USDZ)
