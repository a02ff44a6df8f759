"""Bound of models made from captures: our carving with the true outlines and the true cameras.

`python -m benchmarks.capture_bound --bench DIR [--truths DIR] [--kind walk] [NAME ...]`. The folders are
those of `capture_accuracy`. Outlines are drawn from the true model by its true cameras, so a row has the loss
of carving itself: outlines show neither hollows nor parts below a top. `tight` is the plain hull of all
outlines, without tolerance for a wrong outline and without level rims.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray

from benchmarks.capture_accuracy import SIDES
from dam_connector.domain.product import Dimensions
from worker.capture.captured_model import (
    CARVING_PX,
    CELLS,
    MARGIN_CELLS,
    captured_surface,
)
from worker.capture.carving import carve, grid_of_box, outline_box
from worker.capture.frame_camera import FrameCamera
from worker.capture.outline_stack import stack_outlines
from worker.modeling.mesh_extraction import closed_surface
from worker.modeling.ray_casting import ray_caster

SHOWN = ("envelope_iou", "silhouette_8", "chamfer_pct")
MAX_TRIANGLES = 30_000


def main() -> None:
    """Print the row of each product and the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bench", type=Path, required=True)
    parser.add_argument("--truths", type=Path, help="A folder with NAME/model.glb.")
    parser.add_argument("--kind", choices=("spin", "walk"), default="spin")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    names = options.names or sorted(folder.parent.name for folder in options.bench.glob(f"*/{options.kind}"))
    heads = [f"{way} {name}" for way in ("ours", "tight") for name in SHOWN]
    print(f"{'product':18} " + " ".join(f"{head:>18}" for head in heads))
    rows = [_measure(options, name) for name in names]
    means = " ".join(f"{mean:18.3f}" for mean in np.mean(rows, 0))
    print(f"{f'mean of {len(rows)}':18} {means}")


def _measure(options: argparse.Namespace, name: str) -> list[float]:
    """Print and return the scores of a product, ours and those of the tight hull."""
    own = options.bench / name / "model.glb"
    truth = own if own.exists() or options.truths is None else options.truths / name / "model.glb"
    told = json.loads((options.bench / name / options.kind / f"{options.kind}.json").read_text())
    solid = trimesh.load(truth, force="mesh", process=False)
    cameras = [_camera(each) for each in told["cameras"]]
    alphas = [_outline(solid, c, each) for c, each in zip(cameras, told["cameras"], strict=True)]
    outlines = stack_outlines(alphas, CARVING_PX)
    low, high = solid.bounds
    margin = 0.1 * np.ptp(solid.bounds, axis=0)
    bounds = (low - margin, high + margin)
    facts = json.loads((options.bench / name / "dims.json").read_text())
    dimensions = Dimensions(**{f"{side}_m": facts[f"{side}_m"] for side in SIDES})
    points, faces, _ = captured_surface(outlines, cameras, bounds, dimensions, MAX_TRIANGLES)
    grid = grid_of_box(*outline_box(outlines, cameras, bounds), CELLS, MARGIN_CELLS)
    tight_points, tight_faces = closed_surface(
        carve(grid, cameras, outlines, (0,))[0], grid.step, MAX_TRIANGLES
    )
    found = [
        score[key]
        for corners, indices in ((points, faces), (tight_points + grid.low, tight_faces))
        for score in [_score(options.bench, name, truth, corners, indices)]
        for key in SHOWN
    ]
    print(f"{name:18} " + " ".join(f"{value:18.3f}" for value in found), flush=True)
    return found


def _camera(told: dict[str, Any]) -> FrameCamera:
    return FrameCamera(
        rotation=np.array(told["R_world_to_camera"]),
        eye=np.array(told["eye"]),
        focal_px=told["fx"],
        centre=(told["cx"], told["cy"]),
    )


def _outline(solid: trimesh.Trimesh, camera: FrameCamera, told: dict[str, Any]) -> NDArray[np.uint8]:
    """Return the matte of the true model in a frame."""
    width, height = told["width"], told["height"]
    caster = ray_caster(solid.vertices, solid.faces)
    at = np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).reshape(-1, 2)
    rays = camera.ray_directions(at + 0.5)  # one each: outlines are reduced to half the size
    is_hit = caster.is_blocked(np.broadcast_to(camera.eye, rays.shape), rays)
    return np.asarray(is_hit.reshape(height, width) * np.uint8(255))


def _score(
    bench: Path, name: str, truth: Path, points: NDArray[np.float64], faces: NDArray[np.integer]
) -> dict[str, Any]:
    """Return the scores of a surface."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "made.glb"
        trimesh.Trimesh(points, faces, process=False).export(made)
        command = [sys.executable, str(bench / "score.py"), str(bench / name), str(made), "--no-colour"]
        scored: dict[str, Any] = json.loads(
            subprocess.check_output([*command, "--truth", str(truth)], text=True)
        )
    return scored


if __name__ == "__main__":
    main()
