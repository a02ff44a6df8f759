"""Finish the model: within the deliverable's budgets, one material, and a file that the Khronos validator has no remark on."""

import io
from dataclasses import replace

import fast_simplification
import numpy as np
from PIL import Image

from dam_connector.catalog.version import Role
from dam_connector.wiring import Services
from worker.modeling.foreign import read_glb
from worker.modeling.glb import write_glb
from worker.modeling.model import Model, vertex_normals
from worker.work import Work


def finish_model(work: Work, services: Services) -> Work:
    """The work with its GLB.

    Reads: raw_model. Adds: files. Raises: InputError file.unreadable, geometry.empty.
    """
    model = read_glb(services.blobs.get(work.model))
    d = work.deliverable
    if len(model.faces) > d.max_triangles:
        model = simplified(model, d.max_triangles)
    model = with_texture_within(model, d.texture_px)
    data = write_glb(model, work.product.sku, {"sku": work.product.sku, "product": work.product.name})
    return replace(work.with_facts(triangles=len(model.faces)), raw_model=services.blobs.put(data)).with_file(services, data, "glb", Role.PRIMARY)


def simplified(model: Model, max_triangles: int) -> Model:
    """Fewer triangles; each new vertex takes the texture's place of the nearest old one on the same chart."""
    points, faces, collapses = fast_simplification.simplify(
        model.positions, model.faces.astype(np.int32), target_count=max_triangles, return_collapses=True
    )
    _, _, mapping = fast_simplification.replay_simplification(model.positions, model.faces.astype(np.int32), collapses)
    first = np.zeros(len(points), np.int64)
    first[mapping[::-1]] = np.arange(len(mapping))[::-1]
    faces = faces.astype(np.uint32)
    return replace(
        model, positions=points.astype(np.float32), faces=faces, uvs=model.uvs[first], normals=vertex_normals(points.astype(np.float32), faces)
    )


def with_texture_within(model: Model, side_px: int) -> Model:
    """The texture and the maps reduced to at most `side_px` on their longer side."""
    texture = None if model.texture is None else _reduced(model.texture, side_px)
    return replace(model, texture=texture, maps={name: _reduced(data, side_px) for name, data in model.maps.items()})


def _reduced(picture: bytes, side_px: int) -> bytes:
    with Image.open(io.BytesIO(picture)) as image:
        if max(image.size) <= side_px:
            return picture
        image.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
        out = io.BytesIO()
        image.convert("RGB").save(out, "JPEG", quality=90, subsampling=0)
    return out.getvalue()
