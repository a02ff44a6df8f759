"""Convert the model to USDZ for Apple's Quick Look, where plugin.json asks for it."""

from dam_connector.domain.issue import issue
from dam_connector.domain.version import Role
from dam_connector.wiring import Services
from worker.modeling.usdz_export import convert_glb
from worker.work import Work


def convert_to_usdz(work: Work, services: Services) -> Work:
    """Add a USDZ of the same size and look as the GLB.

    Reads: raw_model. Adds: files; issue usdz.lost for what of the look a USDZ cannot hold.
    """
    if "usdz" not in work.deliverable.formats:
        return work
    package = convert_glb(services.blobs.get(work.model_sha256), work.product.sku)
    if package.losses:
        lost = ", ".join(package.losses)
        work = work.with_issues(
            issue("usdz.lost", f"It does not show: {lost}.", pointer="/files/usdz", measured=lost)
        )
    return work.with_file(services, package.data, "usdz", Role.USDZ)
