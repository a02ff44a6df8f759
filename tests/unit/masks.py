"""Cut-outs drawn as masks, and models built from them."""

import cv2
import numpy as np
import trimesh

from dam_connector.domain.product import Dimensions, View
from worker.imaging.cutout import Cutout
from worker.modeling.build import build_model
from worker.modeling.textured_mesh import TexturedMesh


def cutout_of(mask: np.ndarray, colour: tuple[int, int, int] = (120, 90, 60)) -> Cutout:
    padded = np.pad(mask.astype(np.uint8) * 255, 20)
    return Cutout(
        rgb=np.full((*padded.shape, 3), colour, np.uint8), alpha=padded, confidence=1.0, touched_sides=()
    )


def build(
    views: dict[View, Cutout], width: float | None, height: float | None, depth: float | None, **options
):
    size = Dimensions(width_m=width, height_m=height, depth_m=depth)
    return build_model(views, size, "", **{"max_triangles": 12_000, "texture_px": 512, **options})


def disc(size: int = 200) -> np.ndarray:
    mask = np.zeros((size, size), np.uint8)
    cv2.circle(mask, (size // 2, size // 2), size // 2 - 1, 1, -1)
    return mask


def mesh_of(model: TexturedMesh) -> trimesh.Trimesh:
    return trimesh.Trimesh(model.positions, model.faces, process=True, merge_norm=True, merge_tex=True)
