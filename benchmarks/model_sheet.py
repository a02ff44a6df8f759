"""A picture of models made from the sample photos: `python -m benchmarks.model_sheet OUT.jpg`.

Each row shows one product: one of its photos, then the product itself and the made model from the front, from
the hero view of a photo studio, and from 30 degrees beside it. Views, family and confidence are printed.
"""

import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dam_connector.domain.product import Dimensions, View
from samples.make_photos import OUTPUT_FOLDER, VIEWS, painted_model
from samples.product_meshes import PRODUCTS
from worker.imaging.cutout import cut_out
from worker.imaging.decode import decode
from worker.modeling.build import ModelBuild, build_model
from worker.modeling.camera import named_camera
from worker.modeling.render import Renderer
from worker.modeling.textured_mesh import TexturedMesh

TILE_PX = 210
ANGLES = ("front", "hero", "65,18")


def description(name: str) -> str:
    """Return name, category and material of the product in the sample catalog."""
    entries = json.loads((OUTPUT_FOLDER / "catalog.json").read_text())
    record = next(
        e["product"]
        for e in entries
        if next(iter(e["product"]["images"].values()), "").startswith(f"{name}-")
    )
    return f"{record['name']} {record['category']} {record['material']}"


def build_from_photos(name: str, model: TexturedMesh) -> ModelBuild:
    """Return the model that is built from the product's photos."""
    width, height, depth = (float(v) for v in model.extent)
    cutouts = {
        View(v): cut_out(decode((OUTPUT_FOLDER / f"{name}-{v}.jpg").read_bytes(), max_pixels=10**8))
        for v in VIEWS[name]
    }
    size = Dimensions(width_m=width, height_m=height, depth_m=depth)
    return build_model(cutouts, size, description(name), max_triangles=30_000, texture_px=2048)


def row(name: str) -> NDArray[np.uint8]:
    """Return the row of a product, (TILE_PX, n TILE_PX, 3)."""
    model, paint = painted_model(PRODUCTS[name]())
    built = build_from_photos(name, model)
    print(f"{name}: {', '.join(VIEWS[name])}: {built.family}, confidence {built.confidence}")
    with Image.open(OUTPUT_FOLDER / f"{name}-{VIEWS[name][0]}.jpg") as photo:
        tiles = [np.asarray(photo.convert("RGB").resize((TILE_PX, TILE_PX)))]
    for angle in ANGLES:
        tiles.append(
            Renderer(model, paint, tone=False).render(
                named_camera(model.min_corner, model.max_corner, angle), TILE_PX
            )[0]
        )
        tiles.append(
            Renderer(built.model).render(
                named_camera(built.model.min_corner, built.model.max_corner, angle), TILE_PX
            )[0]
        )
    return np.hstack(tiles)


if __name__ == "__main__":
    rows = [row(name) for name in VIEWS if name != "bottle"]  # its photo is truncated on purpose
    Image.fromarray(np.vstack(rows)).save(Path(sys.argv[1]), quality=84)
