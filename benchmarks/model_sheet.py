"""A picture of models made from the sample photos: `python -m benchmarks.model_sheet OUT.jpg`.

A row a product: one of its photos, then the product itself and the made model from the front, from the photo studio's hero view,
and from 30 degrees beside it. On standard output: views, family, confidence.
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

PX = 210
ANGLES = ("front", "hero", "65,18")


def words(name: str) -> str:
    """What the sample catalog says of the product in this photo."""
    entries = json.loads((OUTPUT_FOLDER / "catalog.json").read_text())
    record = next(
        e["product"] for e in entries if next(iter(e["product"]["images"].values())).startswith(f"{name}-")
    )
    return f"{record['name']} {record['category']} {record['material']}"


def made(name: str, model: TexturedMesh) -> ModelBuild:
    """The model that the product's photos give."""
    width, height, depth = (float(v) for v in model.extent)
    cutouts = {
        View(v): cut_out(decode((OUTPUT_FOLDER / f"{name}-{v}.jpg").read_bytes(), max_pixels=10**8))
        for v in VIEWS[name]
    }
    size = Dimensions(width_m=width, height_m=height, depth_m=depth)
    return build_model(cutouts, size, words(name), max_triangles=30_000, texture_px=2048)


def row(name: str) -> NDArray[np.uint8]:
    model, paint = painted_model(PRODUCTS[name]())
    built = made(name, model)
    print(f"{name}: {', '.join(VIEWS[name])}: {built.family}, confidence {built.confidence}")
    with Image.open(OUTPUT_FOLDER / f"{name}-{VIEWS[name][0]}.jpg") as photo:
        tiles = [np.asarray(photo.convert("RGB").resize((PX, PX)))]
    for angle in ANGLES:
        tiles.append(
            Renderer(model, paint).render(named_camera(model.min_corner, model.max_corner, angle), PX)[0]
        )
        tiles.append(
            Renderer(built.model).render(
                named_camera(built.model.min_corner, built.model.max_corner, angle), PX
            )[0]
        )
    return np.hstack(tiles)


if __name__ == "__main__":
    rows = [row(name) for name in VIEWS if name != "bottle"]  # whose photo is the catalog's broken one
    Image.fromarray(np.vstack(rows)).save(Path(sys.argv[1]), quality=84)
