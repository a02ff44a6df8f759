"""A full report beside the Khronos validator under Node alone: `python -m benchmarks checks`, or by hand with `--cli PATH` of a gltf-transform.

The file is a GLB of 3 MB: 20,480 triangles, each with vertices of its own, and a texture. Ours is the whole report, warm, asked of the guarded process; the
baseline is a Node process that starts, validates this file and ends.
"""

import argparse
import io
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from PIL import Image

from dam_connector.catalog.ids import Sha256
from dam_connector.catalog.version import Role, VersionFile
from schemas.plugin import load_rules
from worker.checks.guard import Guard, Order
from worker.modeling.glb import write_glb
from worker.modeling.model import Model, vertex_normals

ROOT = Path(__file__).parent.parent
ROUNDS = 15
_NODE = """
const fs = require('fs'), v = require('%s');
v.validateBytes(new Uint8Array(fs.readFileSync(process.argv[2]))).then(r => process.stdout.write(String(r.issues.numErrors)));
"""


def large() -> bytes:
    """The GLB of 3 MB."""
    mesh = trimesh.creation.icosphere(5, 0.2)
    corners = mesh.vertices[mesh.faces].reshape(-1, 3).astype(np.float32)
    faces = np.arange(len(corners), dtype=np.uint32).reshape(-1, 3)
    side = int(np.ceil(np.sqrt(len(faces))))
    cell = np.stack(np.divmod(np.arange(len(faces)), side), 1)
    uvs = ((cell[:, None] + np.array([[0.2, 0.8], [0.8, 0.8], [0.2, 0.2]])) / side).reshape(-1, 2).astype(np.float32)
    noise = np.random.default_rng(0).integers(60, 200, (256, 256, 3)).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).resize((2048, 2048), Image.Resampling.BICUBIC).save(out, "JPEG", quality=88)
    return write_glb(Model(positions=corners, normals=vertex_normals(corners, faces), uvs=uvs, faces=faces, texture=out.getvalue()), "large")


def timed(what: Callable[[], object], rounds: int = ROUNDS) -> float:
    """The median time in seconds."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        what()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def measure(cli: str = "") -> dict[str, Any]:
    """Seconds for a report, and as shares of the baselines."""
    data, guard = large(), Guard()
    made = VersionFile(name="x.glb", format="glb", role=Role.PRIMARY, view="", mime="model/gltf-binary", sha256=Sha256(""), bytes=len(data))
    order = Order(
        product=None,
        deliverable=None,
        slot=1,
        number=1,
        files=(made,),
        contents={"x.glb": data},
        rules=load_rules((ROOT / "plugin.json").read_text()),
    )
    with tempfile.TemporaryDirectory() as folder:
        path, script = Path(folder) / "large.glb", Path(folder) / "validate.js"
        path.write_bytes(data)
        script.write_text(_NODE % (ROOT / "node_modules/gltf-validator"))
        guard.check(order)
        ours = timed(lambda: guard.check(order))
        node = timed(lambda: subprocess.run(["node", str(script), str(path)], check=True, capture_output=True))
        found: dict[str, Any] = {
            "megabytes": round(len(data) / 1e6, 2),
            "report_s": round(ours, 3),
            "node_s": round(node, 3),
            "of_node": round(ours / node, 2),
        }
        if cli:
            by_cli = timed(lambda: subprocess.run([cli, "validate", str(path)], check=False, capture_output=True), 5)
            found |= {"cli_s": round(by_cli, 3), "of_cli": round(ours / by_cli, 2)}
    guard.stop()
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cli", default="", help="A gltf-transform, whose `validate` is timed too.")
    print(measure(parser.parse_args().cli))
