"""Accuracy and cost of models made from photos of products with known 3D models.

`python -m benchmarks.model_accuracy --bench DIR [--sheets DIR] [NAME ...]`. DIR holds one folder for each
product (model.glb, dims.json, clean views and photos) and score.py, which compares two models. The table has
the mean over the products for each set of input views, and each product's own figures. CPU-seconds are of one
thread, from the photos' bytes to the GLB's; memory is the peak of a process that makes one model. Machines
differ, and a shared one differs by the hour: to compare hours, the same is also given divided by a known
piece of work (`yardstick`).
"""

import argparse
import json
import multiprocessing
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
import trimesh
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

from benchmarks.bench_folder import matching_files
from dam_connector.domain.product import Dimensions, View
from worker.imaging.cutout import cut_out, warm_up_colour_tables
from worker.imaging.decode import decode
from worker.modeling import build
from worker.modeling.camera import named_camera
from worker.modeling.glb_export import write_glb
from worker.modeling.glb_import import read_glb
from worker.modeling.render import Renderer, RenderOptions

INPUTS: dict[str, dict[View, str]] = {
    "front, right, back, top": {
        View.FRONT: "front.png",
        View.RIGHT: "right.png",
        View.BACK: "back.png",
        View.TOP: "top.png",
    },
    "front, right": {View.FRONT: "front.png", View.RIGHT: "right.png"},
    "front": {View.FRONT: "front.png"},
    "front photo": {View.FRONT: "front_photo.jpg"},
    "hero photo": {View.HERO: "hero_photo.jpg"},
}
SHOWN = ("envelope_iou", "silhouette", "chamfer")
# functions that worker/modeling/build.py calls
STAGES = {
    "rectify_views": "outlines",
    "build_shape": "shape",
    "extract_mesh": "surface",
    "texture_mesh": "texture",
}
SHEET_PX = 240
# Seconds of the yardstick elsewhere (.026 + .029 + .065 + .015) for as many triangles; only a common divisor.
YARDSTICK_S = 0.135


def make_model(folder: Path, files: dict[View, str], out: Path) -> dict[str, Any]:
    """Make one model in this process, warmed up like a worker; return its cost and its own facts."""
    cv2.setNumThreads(1)
    warm_up_colour_tables()
    facts = json.loads((folder / "dims.json").read_text())
    size = Dimensions(width_m=facts["width_m"], height_m=facts["height_m"], depth_m=facts["depth_m"])
    stages: dict[str, tuple[float, float]] = {}
    started = time.process_time()
    cutouts = {
        view: cut_out(decode((folder / name).read_bytes(), max_pixels=10**8)) for view, name in files.items()
    }
    cut = time.process_time()
    stages["cut-outs"] = cut - started, _peak_mb()
    with ExitStack() as timed:
        for function, stage in STAGES.items():
            timed.enter_context(
                patch.object(build, function, _timed(getattr(build, function), stage, stages))
            )
        built = build.build_model(
            cutouts,
            size,
            f"{facts.get('material', '')} {facts['category']}",
            max_triangles=30_000,
            texture_px=2048,
        )
    written = time.process_time()
    out.write_bytes(write_glb(built.model, folder.name))
    stages["file"] = time.process_time() - written, _peak_mb()
    return {
        "cut_out_s": cut - started,
        "build_s": time.process_time() - cut,
        "peak_mb": _peak_mb(),
        "stages": stages,
        "family": built.family,
        "confidence": built.confidence,
    }


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _timed(
    function: Callable[..., Any], stage: str, stages: dict[str, tuple[float, float]]
) -> Callable[..., Any]:
    """Wrap a function so that it records its CPU-seconds and the process's peak memory after it, in MB."""

    def run(*args: Any, **kwargs: Any) -> Any:
        started = time.process_time()
        result = function(*args, **kwargs)
        stages[stage] = time.process_time() - started, _peak_mb()
        return result

    return run


def yardstick() -> float:
    """Return the time that this machine takes now for a known piece of work, as a multiple of YARDSTICK_S.

    The work is four properties by trimesh of a sphere of 82,000 triangles: watertight, winding, volume,
    bodies.
    """
    sphere = trimesh.creation.icosphere(subdivisions=6)
    seconds = 0.0
    for name in ("is_watertight", "is_winding_consistent", "volume", "body_count"):
        times = []
        for _ in range(3):
            fresh = sphere.copy()
            _ = fresh.face_normals
            started = time.process_time()
            getattr(fresh, name)
            times.append(time.process_time() - started)
        seconds += min(times)
    return seconds / YARDSTICK_S


def _measure_one(job: tuple[Path, str, Path]) -> tuple[str, str, dict[str, Any]]:
    folder, name, out = job
    path = out / f"{folder.name}_{name.replace(', ', '-').replace(' ', '_')}.glb"
    facts = make_model(folder, INPUTS[name], path)
    facts["by_yardstick_s"] = (facts["cut_out_s"] + facts["build_s"]) / yardstick()
    scored = subprocess.run(
        [sys.executable, str(folder.parent / "score.py"), str(folder), str(path), "--json"],
        check=True,
        capture_output=True,
        text=True,
    )
    return (
        name,
        folder.name,
        {
            **facts,
            **json.loads(scored.stdout),
            **colour_differences(folder / "model.glb", path),
            "path": str(path),
        },
    )


def colour_differences(truth: Path, made: Path) -> dict[str, float]:
    """Return the mean CIEDE2000 over the pixels that both models have, in renders under the same light.

    `colour` is from the front and the right, `colour_beside` 30 degrees beside them.
    """
    one, two = (Renderer(read_glb(p.read_bytes())) for p in (truth, made))
    model = read_glb(truth.read_bytes())
    found = {}
    for name, views in (("colour", ("front", "right")), ("colour_beside", ("30,0", "120,0"))):
        off = []
        for view in views:
            camera = named_camera(model.min_corner, model.max_corner, view)
            (a, seen), (b, also) = (
                stage.render(camera, SHEET_PX, RenderOptions(background=None, floor_shadow=False))
                for stage in (one, two)
            )
            both = (seen > 250) & (also > 250)
            off.append(deltaE_ciede2000(rgb2lab(a[both]), rgb2lab(b[both])).mean())
        found[name] = float(np.mean(off))
    return found


def measure(
    bench: Path, out: Path, names: list[str], processes: int = 2
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return score.py's figures and ours, by set of inputs and product.

    Args:
        bench: The folder of products.
        out: A folder for the models.
        names: Sets of inputs, or all if empty.
        processes: At once; each model is made in a fresh process.

    Raises:
        SystemExit: The folder has no products.
    """
    folders = [file.parent for file in matching_files(bench, "*/dims.json")]
    jobs = [(folder, name, out) for name in names or INPUTS for folder in folders]
    with multiprocessing.get_context("spawn").Pool(processes, maxtasksperchild=1) as pool:
        results: dict[str, dict[str, dict[str, Any]]] = {}
        for name, product, facts in pool.imap(_measure_one, jobs):
            results.setdefault(name, {})[product] = facts
    return results


def table(results: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Return the means, and a line for each product, as text."""
    lines = []
    for name, products in results.items():
        means = {
            k: float(np.mean([f[k] for f in products.values()]))
            for k in (
                *SHOWN,
                "colour",
                "colour_beside",
                "cut_out_s",
                "build_s",
                "by_yardstick_s",
                "dims_error_pct",
            )
        }
        watertight = sum(f["watertight"] for f in products.values())
        peak = max(f["peak_mb"] for f in products.values())
        lines.append(
            f"{name}: envelope {means['envelope_iou']:.3f}, silhouette {means['silhouette']:.3f}, "
            f"chamfer {means['chamfer'] * 100:.2f} %; "
            f"CIEDE2000 {means['colour']:.1f}, beside {means['colour_beside']:.1f}; "
            f"{watertight} of {len(products)} watertight, size off {means['dims_error_pct']:.2f} %; "
            f"{means['cut_out_s']:.2f} + {means['build_s']:.2f} CPU-s, "
            f"by the yardstick {means['by_yardstick_s']:.2f}, {peak:.0f} MB"
        )
        stages = ("cut-outs", *STAGES.values(), "file")
        of_stage = {s: [f["stages"].get(s, (0.0, 0.0)) for f in products.values()] for s in stages}
        lines.append(
            "    "
            + ", ".join(
                f"{s} {np.mean([c for c, _ in known]):.2f} CPU-s ({max(m for _, m in known):.0f} MB)"
                for s, known in of_stage.items()
            )
        )
        for product, f in products.items():
            sides = " ".join(f"{f[f'silhouette_{v}']:.3f}" for v in ("front", "right", "top"))
            lines.append(
                f"    {product:16} {f['envelope_iou']:.3f} {f['silhouette']:.3f} ({sides}) "
                f"{f['chamfer'] * 100:.2f} % {f['colour']:.1f} {f['colour_beside']:.1f} "
                f"{f['cut_out_s'] + f['build_s']:.1f} s ({f['by_yardstick_s']:.1f})  "
                f"{f['family']}, {f['confidence']}"
            )
    return "\n".join(lines)


def sheets(bench: Path, results: dict[str, dict[str, dict[str, Any]]], out: Path) -> None:
    """Write a picture for each set of inputs, with a row for each product.

    A row has its first input, then the true and the made model from the front, the hero view, 65 and 215
    degrees.
    """
    for name, products in results.items():
        rows = []
        for product, facts in products.items():
            with Image.open(bench / product / next(iter(INPUTS[name].values()))) as image:
                row = [np.asarray(image.convert("RGB").resize((SHEET_PX, SHEET_PX)))]
            truth, made = (
                read_glb(p.read_bytes()) for p in (bench / product / "model.glb", Path(facts["path"]))
            )
            for view in ("front", "hero", "65,18", "215,18"):
                camera = named_camera(truth.min_corner, truth.max_corner, view)
                row += [Renderer(model).render(camera, SHEET_PX)[0] for model in (truth, made)]
            rows.append(np.hstack(row))
        Image.fromarray(np.vstack(rows)).save(out / f"{name.replace(', ', '-').replace(' ', '_')}.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bench", type=Path, required=True)
    parser.add_argument("--sheets", type=Path)
    parser.add_argument(
        "--processes", type=int, default=2, help="at once; two on shared cores make each other slower"
    )
    parser.add_argument("names", nargs="*", choices=[*INPUTS, []])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = measure(arguments.bench, Path(folder), arguments.names, arguments.processes)
        print(table(results))
        if arguments.sheets:
            arguments.sheets.mkdir(parents=True, exist_ok=True)
            sheets(arguments.bench, results, arguments.sheets)
