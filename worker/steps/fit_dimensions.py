"""Fit the model to the product's dimensions: true size in metres, bottom at y = 0, centre above the origin.

A model of other proportions is not stretched: it is scaled evenly to the known height, and the checks report
it.
"""

from dataclasses import replace

import numpy as np

from dam_connector.domain.product import Dimensions
from dam_connector.wiring import Services
from worker.cache import cached_model
from worker.modeling.glb_export import write_glb
from worker.modeling.textured_mesh import TexturedMesh
from worker.work import Work

MAX_STRETCH = 0.03  # relative, per axis; more is another product's shape, or a lost part
NEGLIGIBLE = 1e-6  # a smaller change of scale (relative) or position (metres) is none


def fit_dimensions(work: Work, services: Services) -> Work:
    """Scale and place the model.

    Reads: raw_model, the product's dimensions. Adds: raw_model.

    Raises:
        InputError: file.unreadable, geometry.empty.
    """
    model = cached_model(services, work.model_sha256)
    fitted = fit_to_dimensions(model, work.product.dimensions)
    if fitted is model:
        return work
    return replace(work, raw_model=services.blobs.put(write_glb(fitted, work.product.sku)))


def fit_to_dimensions(model: TexturedMesh, dimensions: Dimensions) -> TexturedMesh:
    """Return the model scaled and placed; the model itself when it already fits.

    Args:
        model: The model, Y up.
        dimensions: The product's size. Axes whose size is unknown are scaled like the height.
    """
    size = np.array(
        [dimensions.width_m or np.nan, dimensions.height_m or np.nan, dimensions.depth_m or np.nan]
    )
    ratio = size / np.maximum(model.extent, 1e-9)
    is_known = np.isfinite(ratio)
    if not is_known.any():
        scale = np.ones(3)
    else:
        even = ratio[1] if is_known[1] else float(np.nanmean(ratio))
        scale = np.where(is_known & (np.abs(ratio / even - 1) <= MAX_STRETCH), ratio, even)
    centre = (model.min_corner + model.max_corner) / 2
    offset = np.array([centre[0], model.min_corner[1], centre[2]])
    if np.abs(scale - 1).max() < NEGLIGIBLE and np.abs(offset).max() < NEGLIGIBLE:
        return model
    positions = ((model.positions - offset) * scale).astype(np.float32)
    normals = model.normals / scale
    return replace(
        model,
        positions=positions,
        normals=(normals / np.linalg.norm(normals, axis=1, keepdims=True)).astype(np.float32),
    )
