"""Finish the model: within the deliverable's budgets, one material, and a file that the Khronos validator has no remark on."""

from dataclasses import replace

from dam_connector.domain.version import Role
from dam_connector.wiring import Services
from worker.cache import model_of
from worker.modeling.glb_export import write_glb
from worker.modeling.simplify import simplified, with_texture_within
from worker.work import Work


def finish_model(work: Work, services: Services) -> Work:
    """The work with its GLB.

    Reads: raw_model. Adds: files. Raises: InputError file.unreadable, geometry.empty,
    geometry.too_complex.
    """
    model = model_of(services, work.model)
    d = work.deliverable
    model = with_texture_within(simplified(model, d.max_triangles), d.texture_px)
    data = write_glb(model, work.product.sku, {"sku": work.product.sku, "product": work.product.name})
    return replace(work.with_facts(triangles=len(model.faces)), raw_model=services.blobs.put(data)).with_file(
        services, data, "glb", Role.PRIMARY
    )
