"""Photos of the sample products: soft shadow, slight perspective, grey backdrop, grain, JPEG.

Usage: `python -m samples.make_photos [NAME ...]`. It writes dam_connector/samples/*.jpg; the same code gives
the same bytes.
"""

import io
import sys
from pathlib import Path

import cv2
import numpy as np
import trimesh
from PIL import Image

from samples.product_meshes import PRODUCTS, Part
from worker.imaging.linear_light import to_linear, to_srgb
from worker.modeling.camera import Camera
from worker.modeling.render import ColourShader, Renderer, RenderOptions
from worker.modeling.textured_mesh import TexturedMesh

OUTPUT_FOLDER = Path(__file__).parent.parent / "dam_connector" / "samples"
PHOTO_PX = 1600
WASHED_OUT_PX, CONTRAST_OF_WASHED_OUT = 1000, 0.045
FIELD_OF_VIEW_DEG = 14.0
BACKDROP_LEVELS = (0.74, 0.86)  # of the gradient's ends
ANGLES = {  # azimuth and elevation of each view, degrees
    "front": (0, 3),
    "right": (90, 3),
    "back": (180, 3),
    "left": (270, 3),
    "top": (0, 90),
    "hero": (32, 16),
}
VIEWS = {  # that each product is photographed from
    "chair": ("front", "right", "back", "top"),
    "lamp": ("front", "right"),
    "bottle": ("front",),
    "mug": ("front", "right", "back", "top"),
    "shoe-box": ("front", "right", "top"),
    "table": ("front",),
    "speaker": ("front", "right", "back"),
    "vase": ("hero",),
}


def assemble(parts: list[Part]) -> tuple[TexturedMesh, np.ndarray]:
    """Return all parts as one mesh, and for each face the number of its part."""
    meshes = [trimesh.graph.smooth_shade(p.mesh, angle=np.radians(40)) for p in parts]
    part_of_face = np.repeat(np.arange(len(meshes)), [len(m.faces) for m in meshes])
    whole = trimesh.util.concatenate(meshes)
    model = TexturedMesh(
        positions=np.asarray(whole.vertices, np.float32),
        normals=np.asarray(np.vstack([m.vertex_normals for m in meshes]), np.float32),
        uvs=np.zeros((len(whole.vertices), 2), np.float32),
        faces=np.asarray(whole.faces, np.uint32),
        texture=None,
        roughness=0.45,
    )
    return model, part_of_face


def painted_model(parts: list[Part]) -> tuple[TexturedMesh, ColourShader]:
    """Return all parts as one mesh, and the function that colours it."""
    model, part_of_face = assemble(parts)

    def paint(points: np.ndarray, normals: np.ndarray, face: np.ndarray) -> np.ndarray:
        out = np.zeros_like(points)
        for number, part in enumerate(parts):
            of_part = part_of_face[face] == number
            out[of_part] = part.paint(points[of_part], normals[of_part])
        return out

    return model, paint


def camera_of(model: TexturedMesh, view: str) -> Camera:
    """Return the camera that sees the whole model from a view."""
    azimuth, elevation = ANGLES[view]
    centre, half = (model.min_corner + model.max_corner) / 2, float(np.linalg.norm(model.extent)) * 0.5
    return Camera(
        azimuth=azimuth,
        elevation=elevation,
        target=(float(centre[0]), float(centre[1]), float(centre[2])),
        half_width=half,
        fov=FIELD_OF_VIEW_DEG,
    )


def photograph(name: str, view: str, size: int = PHOTO_PX) -> bytes:
    """Return a photo of a product as JPEG, `size` pixels square."""
    model, paint = painted_model(PRODUCTS[name]())
    rgb, _ = Renderer(model, paint, tone=False).render(
        camera_of(model, view), size, RenderOptions(background=BACKDROP_LEVELS, samples_per_axis=3)
    )
    return develop(rgb, seed=sum(map(ord, name + view)))


def develop(rgb: np.ndarray, seed: int) -> bytes:
    """Return a picture as JPEG, with a camera's softness and grain and a phone's compression."""
    rng = np.random.default_rng(seed)
    linear = cv2.GaussianBlur(to_linear(rgb), (0, 0), 0.55)
    grain = cv2.GaussianBlur(rng.standard_normal(rgb.shape[:2]).astype(np.float32), (0, 0), 0.7)
    out = to_srgb(linear * (1 + 0.012 * grain[..., None]))
    file = io.BytesIO()
    Image.fromarray(out).save(file, "JPEG", quality=86, optimize=True)
    return file.getvalue()


def washed_out(name: str, view: str, size: int = WASHED_OUT_PX) -> bytes:
    """Return a photo that hardly shows where the product ends: white on white."""
    rgb = np.asarray(Image.open(io.BytesIO(photograph(name, view, size))), np.float32)
    file = io.BytesIO()
    faded = 255 - (255 - rgb) * CONTRAST_OF_WASHED_OUT
    Image.fromarray(faded.round().astype(np.uint8)).save(file, "JPEG", quality=86, optimize=True)
    return file.getvalue()


def main(names: list[str]) -> None:
    """Write the photos of these products, or of all."""
    for name in names or list(VIEWS):
        for view in VIEWS[name]:
            data = photograph(name, view)
            if name == "bottle":
                data = data[: len(data) // 3]  # the catalog's truncated picture
            path = OUTPUT_FOLDER / f"{name}-{view}.jpg"
            path.write_bytes(data)
            print(f"{path.name}: {len(data) / 1000:.0f} kB")
    if "vase" in (names or VIEWS):
        (OUTPUT_FOLDER / "white-vase-hero.jpg").write_bytes(washed_out("vase", "hero"))


if __name__ == "__main__":
    main(sys.argv[1:])
