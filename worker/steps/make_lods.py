"""Make levels of detail, where plugin.json asks for them: the same model for scenes and small screens."""

from dam_connector.domain.file_names import LODS
from dam_connector.domain.issue import issue
from dam_connector.wiring import Services
from worker.cache import cached_features, cached_model
from worker.modeling.glb_export import write_glb
from worker.modeling.simplify import limit_texture_size, simplify_mesh
from worker.work import Work

TRIANGLE_DIVISOR = 4  # from one level to the next
TEXTURE_DIVISOR = 2  # of the texture's side, from one level to the next
MIN_TRIANGLES = 64
MIN_TEXTURE_PX = 64
# Features that are drawn into the one material, or do not change the look of a still model.
MERGED_FEATURES = (
    "vertex colours",
    "emissive factor",
    "normal scale",
    "occlusion strength",
    "instances",
    "cameras",
    "double-sided faces",
    "tangents of their own",
    "textures of 16 bits",
)


def make_lods(work: Work, services: Services) -> Work:
    """Add a GLB for each level of detail.

    Reads: raw_model. Adds: files; issue lod.lost for what of the look they cannot hold.

    Raises:
        InputError: geometry.too_complex.
    """
    levels = [level for level in LODS if level in work.deliverable.formats]
    if not levels:
        return work
    full = cached_model(services, work.model_sha256)
    found = [f for f in cached_features(services, work.model_sha256) if f not in MERGED_FEATURES]
    if found:
        lost = ", ".join(found)
        message = f"They are one mesh with one material, without: {lost}."
        work = work.with_issues(issue("lod.lost", message, measured=lost))
    for level in levels:
        depth = 1 + LODS.index(level)
        triangles = max(MIN_TRIANGLES, len(full.faces) // TRIANGLE_DIVISOR**depth)
        texture_px = max(MIN_TEXTURE_PX, work.deliverable.texture_px // TEXTURE_DIVISOR**depth)
        model = limit_texture_size(simplify_mesh(full, triangles), texture_px)
        data = write_glb(model, f"{work.product.sku} {level}", {"sku": work.product.sku})
        work = work.with_file(services, data, level)
    return work
