"""Fit the model to the product's dimensions: true size in metres, bottom at y = 0, centre above the origin.

A model of other proportions is not stretched: it is scaled evenly to the known height, and the checks report
it.
"""

from dataclasses import replace

import numpy as np

from dam_connector.domain.product import Dimensions
from dam_connector.domain.rules import JOINED, RECOLOURED
from dam_connector.wiring import Services
from worker.cache import cached_model
from worker.modeling.scene_finishing import Placement, place_scene
from worker.modeling.textured_mesh import TexturedMesh, unit_vectors
from worker.work import Work

MAX_STRETCH = 0.03  # relative, per axis; more is another product's shape, or a lost part
FLAT = 1e-4  # share of the longest side: a side that is shorter gives no scale
NEGLIGIBLE = 1e-6  # a smaller change of scale (relative) or position (metres) is none


def fit_dimensions(work: Work, services: Services) -> Work:
    """Scale and place the model by a node above its scene. A shared shape was approved in its size.

    Reads: raw_model, the product's dimensions. Adds: raw_model.

    Raises:
        InputError: file.*, geometry.empty.
    """
    if work.provenance.get("generator") in (RECOLOURED, JOINED):
        return work
    model, sku = cached_model(services, work.model_sha256), work.product.sku
    placement = find_placement(model, work.product.dimensions)
    if placement is None:
        return work
    data = place_scene(services.blobs.get(work.model_sha256), placement, sku)
    return replace(work, raw_model=services.blobs.put(data))


def fit_to_dimensions(model: TexturedMesh, dimensions: Dimensions) -> TexturedMesh:
    """Return the model scaled and placed; the model itself when it already fits."""
    placement = find_placement(model, dimensions)
    return model if placement is None else _placed(model, placement)


def find_placement(model: TexturedMesh, dimensions: Dimensions) -> Placement | None:
    """Return how the model is to be scaled and moved; None when it already fits.

    Args:
        model: The model, Y up.
        dimensions: The product's size. Axes whose size is unknown are scaled like the height.
    """
    size = np.array(
        [dimensions.width_m or np.nan, dimensions.height_m or np.nan, dimensions.depth_m or np.nan]
    )
    ratio = size / np.maximum(model.extent, 1e-9)
    is_known = np.isfinite(ratio) & (model.extent > FLAT * model.extent.max())
    if not is_known.any():
        scale = np.ones(3)
    else:
        even = ratio[1] if is_known[1] else float(ratio[is_known].mean())
        scale = np.where(is_known & (np.abs(ratio / even - 1) <= MAX_STRETCH), ratio, even)
    centre = (model.min_corner + model.max_corner) / 2
    offset = np.array([centre[0], model.min_corner[1], centre[2]], np.float64)
    if np.abs(scale - 1).max() < NEGLIGIBLE and np.abs(offset).max() < NEGLIGIBLE:
        return None
    return Placement(scale=scale, offset=offset)


def _placed(model: TexturedMesh, placement: Placement) -> TexturedMesh:
    positions = ((model.positions - placement.offset) * placement.scale).astype(np.float32)
    normals = unit_vectors((model.normals / placement.scale).astype(np.float32))
    return replace(model, positions=positions, normals=normals)
