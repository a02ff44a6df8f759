"""Make a compressed GLB for web pages, where plugin.json asks for it."""

from dam_connector.wiring import Services
from worker.cache import cached_features, cached_model
from worker.gltf.container import read_json
from worker.gltf.features import TANGENTS
from worker.measuring.check_subject import OUR_GENERATOR
from worker.modeling.scene_packing import pack_scene
from worker.modeling.web_packing import write_web_glb
from worker.work import Work


def make_web_glb(work: Work, services: Services) -> Work:
    """Add a small GLB of the same size and look as the plain one, and never larger.

    Reads: raw_model. Adds: files.
    """
    if "web" not in work.deliverable.formats:
        return work
    plain = services.blobs.get(work.model_sha256)
    if _is_more_than_a_mesh(plain, cached_features(services, work.model_sha256)):
        data = pack_scene(plain)
    else:
        data = write_web_glb(cached_model(services, work.model_sha256), work.product.sku)
    data = min(data, plain, key=len)
    return work.with_file(services, data, "web")


def _is_more_than_a_mesh(glb: bytes, found: tuple[str, ...]) -> bool:
    """Return whether one mesh without tangents is not enough for a model.

    Args:
        glb: The model.
        found: Its features.
    """
    asset = read_json(glb).get("asset", {})
    is_ours = str(asset.get("generator", "")).startswith(OUR_GENERATOR)
    # Tangents that we computed are an eighth of the web GLB's bytes, and viewers compute the same.
    return bool(set(found) - ({TANGENTS} if is_ours else set()))
