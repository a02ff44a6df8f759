"""Fit the model to the product: metres, standing on y = 0, its centre above the origin, the product's true size.

A model of other proportions is not stretched in silence: it is scaled evenly to the known height and the checks say so.
"""

from dataclasses import replace

import numpy as np

from dam_connector.domain.product import Dimensions
from dam_connector.wiring import Services
from worker.cache import cached_model
from worker.modeling.glb_export import write_glb
from worker.modeling.textured_mesh import TexturedMesh
from worker.work import Work

MAX_STRETCH = 0.03  # more than this per axis is another product's shape, or a lost part


def fit_dimensions(work: Work, services: Services) -> Work:
    """The work with a model in the house's frame and the product's size.

    Reads: raw_model, the product's dimensions. Adds: raw_model. Raises: InputError file.unreadable, geometry.empty.
    """
    model = cached_model(services, work.model)
    fitted = fit(model, work.product.dimensions)
    if fitted is model:
        return work
    return replace(work, raw_model=services.blobs.put(write_glb(fitted, work.product.sku)))


def fit(model: TexturedMesh, known: Dimensions) -> TexturedMesh:
    """The model scaled and placed; itself when it already fits."""
    wanted = np.array([known.width_m or np.nan, known.height_m or np.nan, known.depth_m or np.nan])
    ratio = wanted / np.maximum(model.extent, 1e-9)
    sure = np.isfinite(ratio)
    if not sure.any():
        scale = np.ones(3)
    else:
        even = ratio[1] if sure[1] else float(np.nanmean(ratio))
        scale = np.where(sure & (np.abs(ratio / even - 1) <= MAX_STRETCH), ratio, even)
    centre = (model.min_corner + model.max_corner) / 2
    offset = np.array([centre[0], model.min_corner[1], centre[2]])
    if np.abs(scale - 1).max() < 1e-6 and np.abs(offset).max() < 1e-6:
        return model
    positions = ((model.positions - offset) * scale).astype(np.float32)
    normals = model.normals / scale
    return replace(
        model,
        positions=positions,
        normals=(normals / np.linalg.norm(normals, axis=1, keepdims=True)).astype(np.float32),
    )
