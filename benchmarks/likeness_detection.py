"""Detection of wrong models by the likeness check.

`python -m benchmarks.likeness_detection --bench DIR [--out FILE]`. DIR holds one folder for each product:
model.glb (the true model) with its photos. Defects are planted into the true model: recoloured, stretched by
10 % on one axis, mirrored, replaced by another product (scaled to its size), a part removed. Each model,
right or wrong, is compared with each set of photos. The figure is the ROC AUC of the check's score (the worst
measure over its threshold), for each defect and over all.
"""

import argparse
import io
import json
import multiprocessing
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from benchmarks.bench_folder import matching_files
from dam_connector.domain.product import View
from worker.checks.likeness import worst_defect
from worker.imaging.cutout import cut_out
from worker.imaging.decode import decode
from worker.modeling.glb_import import read_glb
from worker.modeling.photo_comparison import ModelComparer
from worker.modeling.textured_mesh import TexturedMesh, vertex_normals

PHOTO_SETS: dict[str, dict[View, str]] = {
    "clean sides": {
        View.FRONT: "front.png",
        View.RIGHT: "right.png",
        View.BACK: "back.png",
        View.TOP: "top.png",
    },
    "clean front and three-quarter": {View.FRONT: "front.png", View.HERO: "hero.png"},
    "photos": {View.FRONT: "front_photo.jpg", View.HERO: "hero_photo.jpg"},
}
MEASURES = {  # names in the results: fields of PhotoComparison
    "outline": "outline_iou",
    "aspect": "aspect_error",
    "colour": "colour_difference",
    "missing": "missing_share",
    "extra": "extra_share",
    "mirrored": "mirrored_gain",
    "turned": "rotated_gain",
}


def recoloured(model: TexturedMesh, degrees: float) -> TexturedMesh:
    """Return the model with the hue of its base colour rotated; greys are tinted."""
    if model.texture is None:
        return replace(model, color=(model.color[2], model.color[0], model.color[1] * 0.5, 1.0))
    with Image.open(io.BytesIO(model.texture)) as image:
        hsv = cv2.cvtColor(np.asarray(image.convert("RGB")), cv2.COLOR_RGB2HSV_FULL).astype(np.int32)
    hsv[..., 0] = (hsv[..., 0] + round(degrees / 360 * 256)) % 256
    hsv[..., 1] = np.maximum(hsv[..., 1], 90)
    out = io.BytesIO()
    Image.fromarray(cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB_FULL)).save(out, "JPEG", quality=92)
    return replace(model, texture=out.getvalue())


def stretched(model: TexturedMesh, axis: int, by: float = 1.1) -> TexturedMesh:
    scale = np.ones(3, np.float32)
    scale[axis] = by
    return _with_positions(model, model.positions * scale)


def mirrored(model: TexturedMesh) -> TexturedMesh:
    flipped = replace(
        model, positions=model.positions * np.array([-1, 1, 1], np.float32), faces=model.faces[:, ::-1].copy()
    )
    return _with_positions(flipped, flipped.positions)


def replaced(model: TexturedMesh, other: TexturedMesh) -> TexturedMesh:
    """Return another product, scaled to the size of this one."""
    unit = (other.positions - other.min_corner) / np.maximum(other.extent, 1e-9)
    return _with_positions(other, (unit * model.extent + model.min_corner).astype(np.float32))


def part_removed(model: TexturedMesh, axis: int, share: float) -> TexturedMesh:
    """Return the model without the part beyond a share of its extent."""
    beyond = model.positions[:, axis] > model.min_corner[axis] + share * model.extent[axis]
    return replace(model, faces=model.faces[~beyond[model.faces].any(1)])


def _with_positions(model: TexturedMesh, positions: np.ndarray[Any, Any]) -> TexturedMesh:
    positions = positions.astype(np.float32)
    return replace(model, positions=positions, normals=vertex_normals(positions, model.faces))


def with_defects(model: TexturedMesh, others: list[TexturedMesh]) -> Iterator[tuple[str, TexturedMesh]]:
    """Yield the name of each defect and the model with it."""
    yield from (("recoloured", recoloured(model, d)) for d in (60, 180))
    yield from ((f"stretched {'xyz'[axis]}", stretched(model, axis)) for axis in range(3))
    yield "mirrored", mirrored(model)
    yield from (("another product", replaced(model, other)) for other in others)
    yield "part removed", part_removed(model, 1, 0.8)
    yield "part removed", part_removed(model, 0, 0.85)


def _measure_folder(job: tuple[Path, list[Path]]) -> list[dict[str, Any]]:
    cv2.setNumThreads(1)
    folder, all_folders = job
    truth = read_glb((folder / "model.glb").read_bytes())
    others = [read_glb((f / "model.glb").read_bytes()) for f in all_folders if f != folder]
    photos = {
        name: cut_out(decode((folder / name).read_bytes(), max_pixels=10**8))
        for name in {n for s in PHOTO_SETS.values() for n in s.values()}
    }
    rows = []
    for defect, model in [("none", truth), *with_defects(truth, others)]:
        likeness = ModelComparer(model)
        started = time.process_time()
        made = {
            (n, v): likeness.compare(photos[n].alpha, photos[n].rgb, v)
            for v, n in {(v, n) for s in PHOTO_SETS.values() for v, n in s.items()}
        }
        cost = (time.process_time() - started) / len(made)
        for name, views in PHOTO_SETS.items():
            found = [c for v, n in views.items() if (c := made[n, v]) is not None]
            rows.append(
                {
                    "product": folder.name,
                    "defect": defect,
                    "set": name,
                    "score": worst_defect(found),
                    "cpu_s": cost,
                    **{m: [round(getattr(c, of), 4) for c in found] for m, of in MEASURES.items()},
                }
            )
    return rows


def auc(good: list[float], bad: list[float]) -> float:
    """Return the share of pairs in which the bad one has the higher score; ties count half."""
    g, b = np.array(good)[:, None], np.array(bad)[None]
    return float((b > g).mean() + (b == g).mean() / 2)


def main(bench: Path, out: Path | None) -> None:
    """Print the figures of a folder, and store all measures in a file."""
    folders = [file.parent for file in matching_files(bench, "*/dims.json")]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        rows = [
            row
            for folder_rows in pool.imap(_measure_folder, [(f, folders) for f in folders])
            for row in folder_rows
        ]
    if out:
        out.write_text(json.dumps(rows))
    good = [r["score"] for r in rows if r["defect"] == "none"]
    kinds = sorted({r["defect"].split()[0] for r in rows} - {"none"})
    print(
        f"{len(good)} right models, {len(rows) - len(good)} wrong ones, "
        f"{np.mean([r['cpu_s'] for r in rows]):.2f} CPU-s a photo"
    )
    for kind in kinds:
        bad = [r["score"] for r in rows if r["defect"].startswith(kind)]
        print(
            f"{kind:12} AUC {auc(good, bad):.3f}   "
            f"detected at 1.0: {np.mean(np.array(bad) > 1):.2f} of {len(bad)}"
        )
    bad_scores = [r["score"] for r in rows if r["defect"] != "none"]
    print(
        f"{'all':12} AUC {auc(good, bad_scores):.3f}   "
        f"detected at 1.0: {np.mean(np.array(bad_scores) > 1):.2f}; "
        f"right ones called wrong: {np.mean(np.array(good) > 1):.2f}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bench", type=Path, required=True)
    parser.add_argument("--out", type=Path, help="File for all measures, as JSON.")
    arguments = parser.parse_args()
    main(arguments.bench, arguments.out)
