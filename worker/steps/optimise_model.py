"""Optimise the model: within the deliverable's budgets, without a change of its look.

A model that one mesh with one material can hold is written anew, without a remark of the Khronos validator.
Any other stays as it is: only its textures are reduced, and its triangles simplified.
"""

from dataclasses import replace

from dam_connector.domain.issue import issue
from dam_connector.domain.version import Role
from dam_connector.wiring import Services
from worker.cache import cached_features, cached_model
from worker.gltf.document import Document
from worker.modeling.glb_export import write_glb
from worker.modeling.scene_finishing import (
    label_scene,
    limit_scene_textures,
    simplify_scene,
    without_meshopt,
)
from worker.modeling.simplify import limit_texture_size, simplify_mesh
from worker.work import Work


def optimise_model(work: Work, services: Services) -> Work:
    """Keep to the budgets of triangles and texture, and add the GLB.

    Reads: raw_model. Adds: files, raw_model, facts; issue model.over_budget.

    Raises:
        InputError: file.*, geometry.empty, geometry.too_complex.
    """
    found = cached_features(services, work.model_sha256)
    if found:
        return _optimise_as_it_is(work, services, found)
    product, deliverable = work.product, work.deliverable
    model = simplify_mesh(cached_model(services, work.model_sha256), deliverable.max_triangles)
    model = limit_texture_size(model, deliverable.texture_px)
    data = write_glb(model, product.sku, {"sku": product.sku, "product": product.name})
    return _with_glb(work.with_facts(triangles=len(model.faces)), services, data)


def _optimise_as_it_is(work: Work, services: Services, found: tuple[str, ...]) -> Work:
    """Return the work with the GLB as it is, within the budgets as far as that changes nothing else."""
    product, deliverable = work.product, work.deliverable
    data = without_meshopt(services.blobs.get(work.model_sha256))
    data = limit_scene_textures(simplify_scene(data, deliverable.max_triangles), deliverable.texture_px)
    data = label_scene(data, {"sku": product.sku, "product": product.name})
    triangles = sum(len(p.faces) for p in Document(data).primitives)
    work = work.with_facts(triangles=triangles, kept_as_it_is=", ".join(found))
    if triangles > deliverable.max_triangles:
        work = work.with_issues(
            issue(
                "model.over_budget",
                f"It was kept as it is, since it has {', '.join(found)}.",
                measured=f"{triangles:,} triangles",
                limit=f"{deliverable.max_triangles:,} triangles",
            )
        )
    return _with_glb(work, services, data)


def _with_glb(work: Work, services: Services, data: bytes) -> Work:
    work = replace(work, raw_model=services.blobs.put(data))
    return work.with_file(services, data, "glb", Role.PRIMARY)
