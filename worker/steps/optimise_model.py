"""Optimise the model: within the deliverable's budgets, one material, no remark of the Khronos validator."""

from dataclasses import replace

from dam_connector.domain.version import Role
from dam_connector.wiring import Services
from worker.cache import cached_model
from worker.modeling.glb_export import write_glb
from worker.modeling.simplify import limit_texture_size, simplify_mesh
from worker.work import Work


def optimise_model(work: Work, services: Services) -> Work:
    """Keep to the budgets of triangles and texture, and add the GLB.

    Reads: raw_model. Adds: files, raw_model, facts.

    Raises:
        InputError: file.unreadable, geometry.empty, geometry.too_complex.
    """
    product, deliverable = work.product, work.deliverable
    model = simplify_mesh(cached_model(services, work.model_sha256), deliverable.max_triangles)
    model = limit_texture_size(model, deliverable.texture_px)
    data = write_glb(model, product.sku, {"sku": product.sku, "product": product.name})
    work = replace(work.with_facts(triangles=len(model.faces)), raw_model=services.blobs.put(data))
    return work.with_file(services, data, "glb", Role.PRIMARY)
