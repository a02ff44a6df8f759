"""How well the likeness check tells a wrong model from a right one: `python -m benchmarks.likeness_detection --bench DIR [--samples]`.

DIR holds one folder a product: model.glb (the truth) with its photos. Defects are planted into the truth: recoloured, stretched by 10 % on one
axis, mirrored, another product in its place (scaled to its size), a part removed. Each model, right or wrong, is held against each set of
photos; the figure is the ROC AUC of the check's score (the worst measure over its threshold) for each defect and over all.
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

from dam_connector.domain.product import View
from worker.checks.likeness import score
from worker.imaging.cutout import cut_out
from worker.imaging.decode import decode
from worker.modeling.glb_import import read_glb
from worker.modeling.photo_comparison import ModelComparer
from worker.modeling.textured_mesh import TexturedMesh, vertex_normals

SETS: dict[str, dict[View, str]] = {
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
    """The base colour with its hue turned; greys are tinted."""
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
    return _moved(model, model.positions * scale)


def mirrored(model: TexturedMesh) -> TexturedMesh:
    flipped = replace(
        model, positions=model.positions * np.array([-1, 1, 1], np.float32), faces=model.faces[:, ::-1].copy()
    )
    return _moved(flipped, flipped.positions)


def instead(model: TexturedMesh, other: TexturedMesh) -> TexturedMesh:
    """Another product, scaled to the size of this one."""
    unit = (other.positions - other.min_corner) / np.maximum(other.extent, 1e-9)
    return _moved(other, (unit * model.extent + model.min_corner).astype(np.float32))


def without(model: TexturedMesh, axis: int, share: float) -> TexturedMesh:
    """The model without what lies beyond a share of its extent."""
    beyond = model.positions[:, axis] > model.min_corner[axis] + share * model.extent[axis]
    return replace(model, faces=model.faces[~beyond[model.faces].any(1)])


def _moved(model: TexturedMesh, positions: np.ndarray[Any, Any]) -> TexturedMesh:
    positions = positions.astype(np.float32)
    return replace(model, positions=positions, normals=vertex_normals(positions, model.faces))


def wrong(model: TexturedMesh, others: list[TexturedMesh]) -> Iterator[tuple[str, TexturedMesh]]:
    """The model with each defect."""
    yield from (("recoloured", recoloured(model, d)) for d in (60, 180))
    yield from ((f"stretched {'xyz'[axis]}", stretched(model, axis)) for axis in range(3))
    yield "mirrored", mirrored(model)
    yield from (("another product", instead(model, other)) for other in others)
    yield "part removed", without(model, 1, 0.8)
    yield "part removed", without(model, 0, 0.85)


def _folder(job: tuple[Path, list[Path]]) -> list[dict[str, Any]]:
    cv2.setNumThreads(1)
    folder, all_folders = job
    truth = read_glb((folder / "model.glb").read_bytes())
    others = [read_glb((f / "model.glb").read_bytes()) for f in all_folders if f != folder]
    photos = {
        name: cut_out(decode((folder / name).read_bytes(), max_pixels=10**8))
        for name in {n for s in SETS.values() for n in s.values()}
    }
    rows = []
    for defect, model in [("none", truth), *wrong(truth, others)]:
        likeness = ModelComparer(model)
        began = time.process_time()
        made = {
            (n, v): likeness.compare(photos[n].alpha, photos[n].rgb, v)
            for v, n in {(v, n) for s in SETS.values() for v, n in s.items()}
        }
        cost = (time.process_time() - began) / len(made)
        for name, views in SETS.items():
            found = [c for v, n in views.items() if (c := made[n, v]) is not None]
            rows.append(
                {
                    "product": folder.name,
                    "defect": defect,
                    "set": name,
                    "score": score(found),
                    "cpu_s": cost,
                    **{m: [round(getattr(c, of), 4) for c in found] for m, of in MEASURES.items()},
                }
            )
    return rows


def auc(good: list[float], bad: list[float]) -> float:
    """The share of pairs in which the bad one has the higher score; ties count half."""
    g, b = np.array(good)[:, None], np.array(bad)[None]
    return float((b > g).mean() + (b == g).mean() / 2)


def main(bench: Path, out: Path | None) -> None:
    folders = sorted(p.parent for p in bench.glob("*/dims.json"))
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        rows = [row for part in pool.imap(_folder, [(f, folders) for f in folders]) for row in part]
    if out:
        out.write_text(json.dumps(rows))
    good = [r["score"] for r in rows if r["defect"] == "none"]
    kinds = sorted({r["defect"].split()[0] for r in rows} - {"none"})
    print(
        f"{len(good)} right models, {len(rows) - len(good)} wrong ones, {np.mean([r['cpu_s'] for r in rows]):.2f} CPU-s a photo"
    )
    for kind in kinds:
        bad = [r["score"] for r in rows if r["defect"].startswith(kind)]
        print(
            f"{kind:12} AUC {auc(good, bad):.3f}   told at 1.0: {np.mean(np.array(bad) > 1):.2f} of {len(bad)}"
        )
    every = [r["score"] for r in rows if r["defect"] != "none"]
    print(
        f"{'all':12} AUC {auc(good, every):.3f}   told at 1.0: {np.mean(np.array(every) > 1):.2f}; right ones called wrong: {np.mean(np.array(good) > 1):.2f}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bench", type=Path, required=True)
    parser.add_argument("--out", type=Path, help="All measures, as JSON.")
    chosen = parser.parse_args()
    main(chosen.bench, chosen.out)
