"""Optimise the model: within the deliverable's budgets, without a change of its look.

A model that one mesh with one material can hold is written anew, without a remark of the Khronos validator,
unless it came smaller and sound from elsewhere. Any other stays as it is: only its textures are reduced, and
its triangles simplified.
"""

from dataclasses import replace

from dam_connector.domain.issue import Issue, issue
from dam_connector.domain.rules import JOINED, LOCAL, RECOLOURED
from dam_connector.domain.version import Role
from dam_connector.wiring import Services
from worker.cache import cached_features, cached_model
from worker.gltf.document import Document
from worker.gltf.features import required_extensions
from worker.gltf.mesh_compression import DRACO
from worker.measuring.khronos_validator import validate_gltf
from worker.modeling.glb_export import write_glb
from worker.modeling.scene_finishing import (
    label_scene,
    limit_scene_textures,
    simplify_scene,
    without_meshopt,
)
from worker.modeling.simplify import limit_texture_size, simplify_mesh
from worker.work import Work

# What a file may grow by that stays as it is: a node above its scene, and labels.
LABEL_BYTES = 1000
SMALLER = "it is smaller so"  # in `kept_as_it_is`
_READ_EVERYWHERE = (DRACO,)  # required extensions that AR viewers outside the browser have


def optimise_model(work: Work, services: Services) -> Work:
    """Keep to the budgets of triangles and texture, and add the GLB: never larger than it came without need.

    A shape that is shared was optimised before; it only gets the product's labels.

    Reads: raw_model. Adds: files, raw_model, facts; issues model.over_budget and model.larger.

    Raises:
        InputError: file.*, geometry.empty, geometry.too_complex.
    """
    if work.provenance.get("generator") in (RECOLOURED, JOINED):
        return _labelled(work, services)
    came = len(services.blobs.get(work.model_sha256))
    found = cached_features(services, work.model_sha256)
    if found:
        data, triangles = _as_it_is(work, services)
        work = work.with_facts(triangles=triangles, kept_as_it_is=", ".join(found))
    else:
        data, triangles = _written_anew(work, services)
        other, other_triangles = _as_it_is(work, services) if _is_from_elsewhere(work) else (data, triangles)
        if len(other) < len(data) and other_triangles <= work.deliverable.max_triangles and _is_sound(other):
            data, triangles = other, other_triangles
            work = work.with_facts(kept_as_it_is=SMALLER)
        work = work.with_facts(triangles=triangles)
    if triangles > work.deliverable.max_triangles:
        work = work.with_issues(
            issue(
                "model.over_budget",
                f"It was kept as it is, since it has {', '.join(found)}.",
                measured=f"{triangles:,} triangles",
                limit=f"{work.deliverable.max_triangles:,} triangles",
            )
        )
    if _is_from_elsewhere(work) and len(data) > came + LABEL_BYTES:
        work = work.with_issues(_larger(services.blobs.get(work.model_sha256), bool(found), len(data)))
    return _with_glb(work, services, data)


def _labelled(work: Work, services: Services) -> Work:
    """Return the work with the GLB as it is, under the product's name."""
    labels = {"sku": work.product.sku, "product": work.product.name}
    data = label_scene(services.blobs.get(work.model_sha256), labels)
    triangles = sum(len(p.faces) for p in Document(data).primitives)
    return _with_glb(work.with_facts(triangles=triangles), services, data)


def _is_from_elsewhere(work: Work) -> bool:
    return work.provenance.get("generator", LOCAL) != LOCAL


def _written_anew(work: Work, services: Services) -> tuple[bytes, int]:
    """Return the GLB as one mesh with one material, within the budgets, and its triangles."""
    product, deliverable = work.product, work.deliverable
    model = simplify_mesh(cached_model(services, work.model_sha256), deliverable.max_triangles)
    model = limit_texture_size(model, deliverable.texture_px)
    labels = {"sku": product.sku, "product": product.name}
    return write_glb(model, product.sku, labels), len(model.faces)


def _as_it_is(work: Work, services: Services) -> tuple[bytes, int]:
    """Return the GLB as it is, within the budgets as far as that changes nothing else, and its triangles."""
    product, deliverable = work.product, work.deliverable
    data = without_meshopt(services.blobs.get(work.model_sha256))
    data = limit_scene_textures(simplify_scene(data, deliverable.max_triangles), deliverable.texture_px)
    data = label_scene(data, {"sku": product.sku, "product": product.name})
    return data, sum(len(p.faces) for p in Document(data).primitives)


def _is_sound(data: bytes) -> bool:
    """Return whether viewers outside the browser read a GLB, and the validator has no error or warning."""
    if set(required_extensions(Document(data))) - set(_READ_EVERYWHERE):
        return False
    found = validate_gltf(data).get("issues", {})
    return bool(found) and not found["numErrors"] and not found["numWarnings"]


def _larger(raw: bytes, is_as_it_came: bool, now: int) -> Issue:
    """Return the issue that names why a GLB is larger than it came."""
    needed = [n for n in required_extensions(Document(raw)) if n not in _READ_EVERYWHERE]
    if needed:
        reason = f"It was written without {', '.join(needed)}, which few viewers read."
    elif is_as_it_came:
        reason = "Its textures were reduced, and are larger as they are encoded now."
    else:
        reason = "It was written anew, so that the Khronos validator has no remark."
    return issue(
        "model.larger",
        reason,
        measured=f"{now:,} bytes",
        limit=f"{len(raw):,} bytes as it came",
    )


def _with_glb(work: Work, services: Services, data: bytes) -> Work:
    work = replace(work, raw_model=services.blobs.put(data))
    return work.with_file(services, data, "glb", Role.PRIMARY)
