"""Probability that a model from photos is good: weights, how far to trust them, and the table of all models.

`--bench DIR ...` has one folder for each product (model.glb, dims.json, named views) and, in the first,
score.py. `--rows FILE` keeps what was measured, one JSON line a model and input, so that a run can go on
later. A model is good if its envelope IoU is at least .85, its silhouettes from unseen views at least .90,
its surface within .9 % of the diagonal and, where it was measured, its colour within 11 CIEDE2000.

The weights are a logistic regression on how clearly each model passes or fails; a second one on passing alone
makes them a probability. `--write` writes them into worker/modeling/model_probability.py. All printed figures
are of weights that were fitted without the product, or without its whole category.
"""

import argparse
import importlib.util
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from benchmarks.model_accuracy import INPUTS
from benchmarks.perspective_photos import photograph
from dam_connector.domain.product import Dimensions, View
from dam_connector.domain.rules import ImagingRules
from worker.imaging.decode import decode
from worker.imaging.net_cutout import cut_out_product
from worker.imaging.salient_net import find_net
from worker.modeling import model_probability
from worker.modeling.build import build_model
from worker.modeling.glb_export import write_glb

F64 = NDArray[np.float64]
Row = dict[str, Any]
# Beside those with one photo: photos with perspective of all sides, and of some.
PERSPECTIVE_INPUTS = {
    "four photos": (View.FRONT, View.RIGHT, View.BACK, View.TOP),
    "front and right photo": (View.FRONT, View.RIGHT),
}
KINDS = (*INPUTS, *PERSPECTIVE_INPUTS)
NAMES = tuple(model_probability.WEIGHTS)
# What a good model has, and how much more or less is clear: the factor of the logit.
GOOD = {
    "envelope_iou": (0.85, 0.04),
    "silhouette_8": (0.90, 0.04),
    "chamfer_pct": (0.9, -0.25),
    "colour_de": (11, -3),
}
PENALTY = 4.0  # on the squares of the standardised weights
LIMITS = (0.5, 0.6, 0.7, 0.8)
BINS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.001)


def measure(benches: Sequence[Path], rows: Path) -> None:
    """Make and score each model that the rows lack, and append it to them."""
    scorer = load_scorer(benches[0] / "score.py")
    net = find_net(ImagingRules().net)
    done = {(r["model"], r["kind"]) for r in read(rows)} if rows.exists() else set()
    folders = [
        f
        for b in benches
        for f in sorted(b.iterdir())
        if (f / "model.glb").exists() and (f / "front.png").exists()
    ]
    for folder in folders:
        missing = [kind for kind in KINDS if (folder.name, kind) not in done]
        truth = scorer.Truth(folder) if missing else None
        for kind in missing:
            with rows.open("a") as file:
                file.write(json.dumps(_made_row(folder, kind, net, truth)) + "\n")


def _made_row(folder: Path, kind: str, net: Any, truth: Any) -> Row:
    facts = json.loads((folder / "dims.json").read_text())
    if kind in PERSPECTIVE_INPUTS:
        photos = {view: photograph(folder / "model.glb", view) for view in PERSPECTIVE_INPUTS[kind]}
    else:
        named = {view: (folder / name).read_bytes() for view, name in INPUTS[kind].items()}
        photos = {view: decode(data, max_pixels=10**8) for view, data in named.items()}
    cutouts = {view: cut_out_product(photo, net) for view, photo in photos.items()}
    size = Dimensions(width_m=facts["width_m"], height_m=facts["height_m"], depth_m=facts["depth_m"])
    built = build_model(cutouts, size, facts["category"], max_triangles=30_000, texture_px=2048)
    with tempfile.TemporaryDirectory() as place:
        glb = Path(place) / "made.glb"
        glb.write_bytes(write_glb(built.model, folder.name))
        score = truth.score(glb)
    head = {"model": folder.name, "kind": kind, "category": facts["category"], "family": built.family}
    return head | {"evidence": asdict(built.evidence) if built.evidence else {}, "score": score}


def load_scorer(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("bench_score", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"nothing measured: {path} cannot be read")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(rows: Path) -> list[Row]:
    """Return the rows of a file."""
    return [json.loads(line) for line in rows.read_text().splitlines()]


def margin(row: Row) -> float:
    """Return how clearly a model is good (positive) or not, by its worst figure."""
    score = row["score"]
    return float(min((score[name] - least) / scale for name, (least, scale) in GOOD.items() if name in score))


def fit(rows: Sequence[Row]) -> tuple[F64, float]:
    """Return weights and intercept."""
    values = _features(rows)
    mean, spread = values.mean(0), values.std(0) + 1e-3
    margins = np.array([margin(r) for r in rows])
    found = _logistic((values - mean) / spread, _sigmoid(margins), PENALTY)
    logits = (values - mean) / spread @ found[:-1] + found[-1]
    slope, shift = _logistic(logits[:, None], (margins >= 0).astype(float), 0.1)
    weights = found[:-1] / spread * max(slope, 0.1)
    return weights, float(found[-1] * max(slope, 0.1) + shift - weights @ mean)


def _logistic(values: F64, target: F64, penalty: float) -> F64:
    """Return weights and, last, the intercept of a logistic regression on targets from 0 to 1."""
    design = np.c_[values, np.ones(len(values))]

    def loss(weights: F64) -> tuple[float, F64]:
        logit = design @ weights
        penalised = np.r_[weights[:-1], 0]
        value = np.logaddexp(0, logit).sum() - (logit * target).sum() + penalty / 2 * penalised @ penalised
        return float(value), design.T @ (_sigmoid(logit) - target) + penalty * penalised

    return np.asarray(minimize(loss, np.zeros(design.shape[1]), jac=True).x)


def _sigmoid(logit: F64) -> F64:
    return np.asarray(1 / (1 + np.exp(-np.clip(logit, -30, 30))))


def _features(rows: Sequence[Row]) -> F64:
    return np.array([[r["evidence"][name] for name in NAMES] for r in rows], float)


def cross_validated(rows: Sequence[Row], fold_of: Callable[[Row], str]) -> F64:
    """Return the confidence in each row by weights that were fitted without its fold."""
    found = np.zeros(len(rows))
    folds = [fold_of(r) for r in rows]
    for fold in set(folds):
        weights, intercept = fit([r for r, f in zip(rows, folds, strict=True) if f != fold])
        for k in [k for k, f in enumerate(folds) if f == fold]:
            found[k] = _sigmoid(_features([rows[k]]) @ weights + intercept)[0]
    return found


def trust(rows: Sequence[Row], confidence: F64) -> list[str]:
    """Return lines that say how far to trust the probability."""
    from scipy.stats import spearmanr  # takes longer to import than all else here

    good = np.array([margin(r) >= 0 for r in rows])
    envelope = [r["score"]["envelope_iou"] for r in rows]
    margins = [margin(r) for r in rows]
    lines = [
        f"good {good.sum()} of {len(good)}; rank correlation with the envelope "
        f"{spearmanr(confidence, envelope).statistic:.2f}, with how clearly it is good "
        f"{spearmanr(confidence, margins).statistic:.2f}"
    ]
    for limit in LIMITS:
        passed = confidence >= limit
        lines.append(f"at {limit}: {good[passed].sum()} good of {passed.sum()} that pass")
    for low, high in pairwise(BINS):
        inside = (confidence >= low) & (confidence < high)
        if inside.any():
            lines.append(
                f"said {confidence[inside].mean():.2f}, are good {good[inside].mean():.2f} ({inside.sum()})"
            )
    return lines


def table(rows: Sequence[Row], confidence: F64) -> list[str]:
    """Return a line for each product, with envelope / unseen silhouettes / surface / confidence by input."""
    cells = {
        (r["model"], r["kind"]): "{envelope_iou:.2f}/{silhouette_8:.2f}/{chamfer_pct:4.1f}".format(
            **r["score"]
        )
        + f"/{c:.2f}"
        for r, c in zip(rows, confidence, strict=True)
    }
    models = sorted({r["model"] for r in rows})
    lines = ["| model | " + " | ".join(KINDS) + " |", "|" + "---|" * (len(KINDS) + 1)]
    return lines + [f"| {m} | " + " | ".join(cells.get((m, k), "") for k in KINDS) + " |" for m in models]


def write(rows: Sequence[Row]) -> None:
    """Write the weights that are fitted to all rows."""
    weights, intercept = fit(rows)
    entries = [f'    "{name}": {weight:.4f},' for name, weight in zip(NAMES, weights, strict=True)]
    head = [f'"""{model_probability.__doc__}"""', "", f"INTERCEPT = {intercept:.4f}", "WEIGHTS = {"]
    Path(str(model_probability.__file__)).write_text("\n".join([*head, *entries, "}"]) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bench", type=Path, nargs="*", default=[])
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    if options.bench:
        measure(options.bench, options.rows)
    measured = read(options.rows)
    if options.write:
        write(measured)
    by_model = cross_validated(measured, lambda r: str(r["model"]))
    by_category = cross_validated(measured, lambda r: str(r["category"]))
    print("\n".join(["without the product:", *trust(measured, by_model)]))
    print("\n".join(["without its category:", *trust(measured, by_category), "", *table(measured, by_model)]))
