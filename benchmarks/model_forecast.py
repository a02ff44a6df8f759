"""Forecast of models: weights, how far to trust them, and the table of the kinds.

`--rows FILE` are the rows of benchmarks/model_confidence.py. `--bench DIR ... --sizeless FILE` makes and
scores the same products with their height alone, and appends what FILE lacks; `--sizeless FILE` alone reads
it. A model is good if its envelope IoU is at least .85, its silhouettes from unseen views at least .90, and
its surface within .9 % of the diagonal; colour is not counted. `--write` writes the weights into
dam_connector/domain/model_forecast_weights.py.

The weights are a logistic regression with a penalty, so that a kind of which little is known stays near the
mean of all. Spins and walks are too few to fit: their counts are shrunk towards the mean of all rows.
"""

import argparse
import json
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from benchmarks import model_confidence
from benchmarks.model_accuracy import INPUTS
from dam_connector.domain import model_forecast_weights
from dam_connector.domain.ids import Sku
from dam_connector.domain.model_forecast import ForecastEvidence, features, read_evidence
from dam_connector.domain.product import Dimensions, Product, View
from dam_connector.domain.product_kinds import ProductKind
from dam_connector.domain.rules import ImagingRules
from worker.imaging.decode import decode
from worker.imaging.net_cutout import cut_out_product
from worker.imaging.salient_net import find_net
from worker.modeling.build import build_model
from worker.modeling.glb_export import write_glb

F64 = NDArray[np.float64]
Row = dict[str, Any]
GOOD = {"envelope_iou": (0.85, 1), "silhouette_8": (0.90, 1), "chamfer_pct": (0.9, -1)}
VIEWS: Mapping[str, tuple[View, ...]] = {
    **{kind: tuple(named) for kind, named in INPUTS.items()},
    **model_confidence.PERSPECTIVE_INPUTS,
}
SIZELESS_INPUTS = ("front",)  # with a side, the height gives all: see docs/providers.md
PENALTY = 1.0  # on the squares of the weights
# Good of all, by the tables of docs/modeling.md. Spins: wine bottle and watering can are good; mug, cabinet,
# shelf, stool and two tables are not. Walks: none of mug, cabinet and bag; none of table, lamp and chair.
CAPTURED = {"spin": {"plain": (2, 5), "open": (0, 3)}, "walk": {"plain": (0, 3), "open": (0, 3)}}
CAPTURE_PRIOR = 4.0  # rows that the mean of all counts for
LIMITS = (0.3, 0.5, 0.7)
BINS = (0.0, 0.2, 0.5, 1.001)
SIZE = Dimensions(width_m=1.0, height_m=1.0, depth_m=1.0)


def measure_sizeless(benches: Sequence[Path], rows: Path) -> None:
    """Make each product with its height alone, score the model, and append what the rows lack."""
    scorer = model_confidence.load_scorer(benches[0] / "score.py")
    net = find_net(ImagingRules().net)
    done = {(r["model"], r["kind"]) for r in model_confidence.read(rows)} if rows.exists() else set()
    for folder in (f for b in benches for f in sorted(b.iterdir()) if (f / "front.png").exists()):
        facts = json.loads((folder / "dims.json").read_text())
        for kind in (k for k in SIZELESS_INPUTS if (folder.name, k) not in done):
            photos = {v: decode((folder / n).read_bytes(), max_pixels=10**8) for v, n in INPUTS[kind].items()}
            built = build_model(
                {view: cut_out_product(photo, net) for view, photo in photos.items()},
                Dimensions(height_m=facts["height_m"]),
                facts["category"],
                max_triangles=30_000,
                texture_px=2048,
            )
            with tempfile.TemporaryDirectory() as place:
                glb = Path(place) / "made.glb"
                glb.write_bytes(write_glb(built.model, folder.name))
                score = scorer.Truth(folder).score(glb)
            row = {"model": folder.name, "kind": kind, "category": facts["category"], "score": score}
            with rows.open("a") as file:
                file.write(json.dumps(row | {"height_alone": True}) + "\n")


def evidence_of(row: Row) -> ForecastEvidence:
    """Return what a product record with the photos of a row would show; its name is that of the model."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", row["model"])
    size = Dimensions(height_m=1.0) if row.get("height_alone") else SIZE
    product = Product(sku=Sku(row["model"]), name=name, category=row["category"], dimensions=size)
    return read_evidence(product, VIEWS[row["kind"]])


def is_good(row: Row) -> bool:
    """Return whether the model of a row is good."""
    return all((row["score"][name] - least) * sign >= 0 for name, (least, sign) in GOOD.items())


def fit(rows: Sequence[Row]) -> F64:
    """Return the weights of `features` and, last, the intercept."""
    design, good = np.c_[_values(rows), np.ones(len(rows))], _good(rows)

    def loss(weights: F64) -> float:
        logit = design @ weights
        return float(np.logaddexp(0, logit).sum() - logit @ good + PENALTY / 2 * (weights[:-1] ** 2).sum())

    return np.asarray(minimize(loss, np.zeros(design.shape[1])).x)


def forecasts(weights: F64, rows: Sequence[Row]) -> F64:
    """Return the probability of each row by some weights."""
    return np.asarray(1 / (1 + np.exp(-(np.c_[_values(rows), np.ones(len(rows))] @ weights))))


def cross_validated(
    rows: Sequence[Row], sizeless: Sequence[Row], fold_of: Callable[[Row], str]
) -> tuple[F64, F64]:
    """Return the forecast of each of the rows, and the share of good ones, both without its fold."""
    folds, found, base = np.array([fold_of(r) for r in rows]), np.zeros(len(rows)), np.zeros(len(rows))
    for fold in set(folds):
        others = [r for r in rows if fold_of(r) != fold]
        inside = [r for r in rows if fold_of(r) == fold]
        found[folds == fold] = forecasts(fit([*others, *(r for r in sizeless if fold_of(r) != fold)]), inside)
        base[folds == fold] = _good(others).mean()
    return found, base


def trust(rows: Sequence[Row], found: F64, base: F64) -> list[str]:
    """Return lines that say how far to trust the forecast."""
    good = _good(rows)
    brier = [((p - good) ** 2).mean() for p in (found, base)]
    scores = f"Brier score {brier[0]:.3f}, of the base rate {brier[1]:.3f}"
    lines = [f"good {good.sum():.0f} of {len(good)}; {scores}"]
    for limit in LIMITS:
        passed = found >= limit
        lines.append(f"at {limit}: {good[passed].sum():.0f} good of {passed.sum()} that pass")
    for low, high in pairwise(BINS):
        inside = (found >= low) & (found < high)
        if inside.any():
            lines.append(
                f"said {found[inside].mean():.2f}, are good {good[inside].mean():.2f} ({inside.sum()})"
            )
    return lines


def kinds_table(rows: Sequence[Row], found: F64) -> list[str]:
    """Return a line for each kind of product: its products, the good models, and the mean forecast."""
    lines = []
    for kind in ProductKind:
        inside = np.array([evidence_of(r).kind is kind for r in rows])
        if inside.any():
            names = sorted({r["model"] for r, i in zip(rows, inside, strict=True) if i})
            good = f"{_good(rows)[inside].sum():.0f} good of {inside.sum()}"
            lines.append(f"{kind}: {good}, said {found[inside].mean():.2f}: {', '.join(names)}")
    return lines


def write(rows: Sequence[Row], sizeless: Sequence[Row]) -> None:
    """Write the weights that are fitted to all rows, and the numbers of spins and walks."""
    names = list(features(evidence_of(rows[0])))
    *weights, intercept = fit([*rows, *sizeless])
    mean = float(_good(rows).mean())
    lines = [f'"""{model_forecast_weights.__doc__}"""', "", f"INTERCEPT = {intercept:.4f}", "WEIGHTS = {"]
    lines += [f'    "{name}": {weight:.4f},' for name, weight in zip(names, weights, strict=True)]
    lines += ["}", "CAPTURES = {"]
    for kind, counts in CAPTURED.items():
        pooled = tuple(sum(column) for column in zip(*counts.values(), strict=True))
        shares = {
            group: (good + CAPTURE_PRIOR * mean) / (total + CAPTURE_PRIOR)
            for group, (good, total) in {**counts, "unknown": pooled}.items()
        }
        lines.append(f'    "{kind}": {{' + ", ".join(f'"{g}": {s:.2f}' for g, s in shares.items()) + "},")
    Path(str(model_forecast_weights.__file__)).write_text("\n".join([*lines, "}"]) + "\n")


def _good(rows: Sequence[Row]) -> F64:
    return np.array([is_good(r) for r in rows], float)


def _values(rows: Sequence[Row]) -> F64:
    return np.array([list(features(evidence_of(r)).values()) for r in rows])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bench", type=Path, nargs="*", default=[])
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--sizeless", type=Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if options.bench and options.sizeless:
        measure_sizeless(options.bench, options.sizeless)
    measured = model_confidence.read(options.rows)
    without_size = model_confidence.read(options.sizeless) if options.sizeless else []
    if options.write:
        write(measured, without_size)
    for title in ("model", "category"):
        found, base = cross_validated(measured, without_size, itemgetter(title))
        print("\n".join([f"without its {title}:", *trust(measured, found, base), ""]))
    print("\n".join(kinds_table(measured, found)))
    print(f"height alone: {_good(without_size).sum():.0f} good of {len(without_size)}")
