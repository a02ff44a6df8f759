"""Time of a full report on a GLB, beside the Khronos validator under Node alone.

`python -m benchmarks report_time`, or by hand with `--cli PATH` of a gltf-transform. The file is a GLB of 3
MB: 30,000 triangles and a texture of 2048 px. Ours is the whole report of a check process that is already
running. One baseline is a Node process that starts, validates this file with the npm package (which has no
command line) and ends. The other is the Node command line that contains the validator, `gltf-transform
validate`.
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
from PIL import Image

from benchmarks.glb_request import glb_request
from schemas.rules_loader import load_rules
from worker.check_process import CheckProcess
from worker.modeling.glb_export import write_glb
from worker.modeling.textured_mesh import TexturedMesh

ROOT = Path(__file__).parent.parent
ROUNDS = 15
_NODE_SCRIPT = """
const fs = require('fs'), v = require('%s');
v.validateBytes(new Uint8Array(fs.readFileSync(process.argv[2])))
  .then(r => process.stdout.write(String(r.issues.numErrors)));
"""


def large_glb(rows: int = 101, columns: int = 151, ripple: float = 0.0) -> bytes:
    """Return a GLB of a sphere with a texture of 2048 px; as it is, of 3 MB with 30,000 triangles.

    Args:
        rows: Vertices from pole to pole.
        columns: Vertices around it. It has twice (rows - 1) * (columns - 1) triangles.
        ripple: The height of its waves, a share of the radius.
    """
    down, across = np.meshgrid(np.linspace(0, 1, rows), np.linspace(0, 1, columns), indexing="ij")
    theta, phi = down * np.pi, across * 2 * np.pi
    unit = np.stack([np.sin(theta) * np.sin(phi), np.cos(theta), np.sin(theta) * np.cos(phi)], -1).reshape(
        -1, 3
    )
    waves = 1 + ripple * (np.sin(9 * theta) * np.sin(12 * phi)).reshape(-1, 1)
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    faces = np.concatenate(
        [
            np.stack([corner, corner + columns, corner + 1], 1),
            np.stack([corner + 1, corner + columns, corner + columns + 1], 1),
        ]
    )
    uvs = np.stack([across, down], -1).reshape(-1, 2).astype(np.float32)
    noise = np.random.default_rng(0).integers(60, 200, (700, 700, 3)).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).resize((2048, 2048), Image.Resampling.BICUBIC).save(out, "JPEG", quality=93)
    positions = (unit * waves * 0.2 + [0, 0.2, 0]).astype(np.float32)
    return write_glb(
        TexturedMesh(
            positions=positions,
            normals=unit.astype(np.float32),
            uvs=uvs,
            faces=faces.astype(np.uint32),
            texture=out.getvalue(),
        ),
        "large",
    )


def median_seconds(function: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the median time of calls of a function."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def measure(cli: str = "") -> dict[str, Any]:
    """Return the seconds of a report, and its share of the baselines.

    Args:
        cli: Path of a gltf-transform whose `validate` is timed too, or empty.
    """
    data, guard = large_glb(), CheckProcess()
    request = glb_request(data, load_rules((ROOT / "plugin.json").read_text()))
    with tempfile.TemporaryDirectory() as folder:
        path, script = Path(folder) / "large.glb", Path(folder) / "validate.js"
        path.write_bytes(data)
        script.write_text(_NODE_SCRIPT % (ROOT / "node_modules/gltf-validator"))
        guard.check(request)
        ours = median_seconds(lambda: guard.check(request))
        node = median_seconds(
            lambda: subprocess.run(["node", str(script), str(path)], check=True, capture_output=True)
        )
        figures: dict[str, Any] = {
            "megabytes": round(len(data) / 1e6, 2),
            "report_s": round(ours, 3),
            "node_s": round(node, 3),
            "of_node": round(ours / node, 2),
        }
        if cli:
            by_cli = median_seconds(
                lambda: subprocess.run([cli, "validate", str(path)], check=False, capture_output=True), 5
            )
            figures |= {"cli_s": round(by_cli, 3), "of_cli": round(ours / by_cli, 2)}
    guard.stop()
    return figures


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cli", default="", help="Path of a gltf-transform, whose `validate` is timed too.")
    print(measure(parser.parse_args().cli))
