"""Make the levels of detail, where the rules ask for them: the same model for scenes and small screens."""

from dam_connector.domain.file_names import LODS
from dam_connector.wiring import Services
from worker.cache import cached_model
from worker.modeling.glb_export import write_glb
from worker.modeling.simplify import limit_texture_size, simplify_mesh
from worker.work import Work

FEWER, NARROWER = 4, 2  # of triangles and of the texture's side, from one level to the next
LEAST_TRIANGLES, LEAST_PX = 64, 64


def make_lods(work: Work, services: Services) -> Work:
    """The work with a GLB for each level of detail. Reads: raw_model. Adds: files. Raises: InputError geometry.too_complex."""
    wanted = [level for level in LODS if level in work.deliverable.formats]
    if not wanted:
        return work
    whole = cached_model(services, work.model)
    for level in wanted:
        step = 1 + LODS.index(level)
        fewer = simplify_mesh(whole, max(LEAST_TRIANGLES, len(whole.faces) // FEWER**step))
        model = limit_texture_size(fewer, max(LEAST_PX, work.deliverable.texture_px // NARROWER**step))
        work = work.with_file(
            services, write_glb(model, f"{work.product.sku} {level}", {"sku": work.product.sku}), level
        )
    return work
