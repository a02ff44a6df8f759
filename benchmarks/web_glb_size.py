"""Size and fidelity of the web GLB, beside a reference packer.

`python -m benchmarks.web_glb_size --cli CLI MODEL.glb ...`. CLI is the command of @gltf-transform/cli (npm),
which packs the same plain GLBs with `optimize --compress draco --texture-compress webp`. Printed are bytes,
and the mean SSIM of 8 renders against the plain GLB's.
"""

import argparse
import io
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import DracoPy
import numpy as np
from PIL import Image
from skimage.metrics import structural_similarity

from worker.gltf.container import read_json
from worker.modeling.camera import named_camera
from worker.modeling.glb_import import read_glb
from worker.modeling.render import Renderer
from worker.modeling.textured_mesh import TexturedMesh
from worker.modeling.web_packing import DRACO, write_web_glb

RENDER_PX = 384
AZIMUTHS_DEG = range(0, 360, 45)


def unpacked(data: bytes, roughness: float) -> TexturedMesh:
    """Return the model in a GLB of one Draco mesh and one texture."""
    doc: Any = read_json(data)
    binary = 28 + int.from_bytes(data[12:16], "little")

    def view(number: int) -> bytes:
        start = binary + doc["bufferViews"][number].get("byteOffset", 0)
        return data[start : start + doc["bufferViews"][number]["byteLength"]]

    mesh = DracoPy.decode(view(doc["meshes"][0]["primitives"][0]["extensions"][DRACO]["bufferView"]))
    node = doc["nodes"][doc["scenes"][0]["nodes"][0]]
    points = np.asarray(mesh.points) * np.array(node.get("scale", [1, 1, 1])) + np.array(
        node.get("translation", [0, 0, 0])
    )
    texture = io.BytesIO()
    Image.open(io.BytesIO(view(doc["images"][0]["bufferView"]))).convert("RGB").save(texture, "PNG")
    return TexturedMesh(
        positions=points.astype(np.float32),
        normals=np.asarray(mesh.normals, np.float32),
        uvs=np.asarray(mesh.tex_coord, np.float32),
        faces=np.asarray(mesh.faces, np.uint32),
        texture=texture.getvalue(),
        roughness=roughness,
    )


def mean_ssim(plain: TexturedMesh, packed: TexturedMesh) -> float:
    """Return the mean SSIM of renders from all around."""
    one, two, found = Renderer(plain), Renderer(packed), []
    for azimuth in AZIMUTHS_DEG:
        camera = named_camera(plain.min_corner, plain.max_corner, f"{azimuth},15")
        found.append(
            structural_similarity(
                one.render(camera, RENDER_PX)[0], two.render(camera, RENDER_PX)[0], channel_axis=2
            )
        )
    return float(np.mean(found))


def compare(path: Path, cli: str) -> str:
    """Return a line with bytes and SSIM of both packers."""
    plain = read_glb(path.read_bytes())
    ours = write_web_glb(plain, path.stem)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "packed.glb"
        subprocess.run(
            [cli, "optimize", str(path), str(out), "--compress", "draco", "--texture-compress", "webp"],
            check=True,
            capture_output=True,
        )
        reference = out.read_bytes()
    figures = [
        f"{len(data)} bytes, SSIM {mean_ssim(plain, unpacked(data, plain.roughness)):.4f}"
        for data in (ours, reference)
    ]
    return (
        f"{path.stem}: {len(path.read_bytes())} bytes; ours {figures[0]}; reference {figures[1]}; "
        f"{len(ours) / len(reference):.2f} times"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cli", required=True)
    parser.add_argument("models", nargs="+", type=Path)
    arguments = parser.parse_args()
    for model in arguments.models:
        print(compare(model, arguments.cli))
