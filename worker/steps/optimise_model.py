"""Finish the model: within the deliverable's budgets, one material, and a file that the Khronos validator has no remark on."""

from dataclasses import replace

from dam_connector.domain.version import Role
from dam_connector.wiring import Services
from worker.cache import cached_model
from worker.modeling.glb_export import write_glb
from worker.modeling.simplify import limit_texture_size, simplify_mesh
from worker.work import Work


def optimise_model(work: Work, services: Services) -> Work:
    """The work with its GLB.

    Reads: raw_model. Adds: files. Raises: InputError file.unreadable, geometry.empty,
    geometry.too_complex.
    """
    model = cached_model(services, work.model)
    d = work.deliverable
    model = limit_texture_size(simplify_mesh(model, d.max_triangles), d.texture_px)
    data = write_glb(model, work.product.sku, {"sku": work.product.sku, "product": work.product.name})
    return replace(work.with_facts(triangles=len(model.faces)), raw_model=services.blobs.put(data)).with_file(
        services, data, "glb", Role.PRIMARY
    )
