"""Make a compressed GLB for web pages, where plugin.json asks for it."""

from dam_connector.wiring import Services
from worker.cache import cached_features, cached_model
from worker.modeling.scene_packing import pack_scene
from worker.modeling.web_packing import write_web_glb
from worker.work import Work


def make_web_glb(work: Work, services: Services) -> Work:
    """Add a small GLB of the same size and look as the plain one.

    Reads: raw_model. Adds: files.
    """
    if "web" not in work.deliverable.formats:
        return work
    if cached_features(services, work.model_sha256):
        data = pack_scene(services.blobs.get(work.model_sha256))
    else:
        data = write_web_glb(cached_model(services, work.model_sha256), work.product.sku)
    return work.with_file(services, data, "web")
