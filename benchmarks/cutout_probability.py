"""Cut-outs of real photos: how many are usable, and the probability that a cut-out is.

`--photos DIR` has photos, masks and labels.json (name, half, ground, file, mask: 255 product, 128 does not
count). A cut-out is usable if its mask IoU is at least .97 and its boundary F at least .90, within 3 px at
1024 px. `--write` writes the weights of a logistic regression into worker/imaging/cutout_probability.py. The
figures of doubt are of weights fitted to the other half.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.optimize import minimize

from dam_connector.domain.rules import ImagingRules
from worker.imaging import cutout_probability
from worker.imaging.cutout_evidence import DISPUTED_FACTOR, CutoutEvidence
from worker.imaging.decode import decode
from worker.imaging.lost_print import lost_letters
from worker.imaging.net_cutout import cut_out_with_evidence, finish
from worker.imaging.salient_net import SalientNet, find_net

U8 = NDArray[np.uint8]
F64 = NDArray[np.float64]
SIDE_PX, NEAR_PX, MIN_IOU, MIN_BOUNDARY = 1024, 3, 0.97, 0.90
MIN_COUNTED_SHARE, FAR_PX = 0.2, 24  # of the true outline; how near it must be met where less counts
PENALTY = 1.0  # on the squares of the standardised weights
NAMES = tuple(cutout_probability.WEIGHTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One photo that was cut out."""

    name: str
    half: str
    ground: str
    is_usable: bool
    evidence: CutoutEvidence
    lost_print: bool
    cpu_s: float


def boundary_agreement(found: U8, truth: U8, free: NDArray[np.bool_]) -> float:
    """Return the F-measure of two outlines within NEAR_PX; zones that do not count are left out.

    A mask that goes on to the picture's frame ends there: an outline that is near is met. Where nearly all
    of the true outline does not count, e.g. fur, an outline within that zone is right.
    """
    near = np.ones((2 * NEAR_PX + 1, 2 * NEAR_PX + 1), np.uint8)
    ignored = cv2.dilate(free.astype(np.uint8), near) > 0
    frame = np.ones(free.shape, bool)
    frame[1:-1, 1:-1] = False
    outlines, ends = [], []
    for mask in (found, truth):
        inner = cv2.erode(mask, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=1)
        outlines.append((mask > 0) & (inner == 0))
        ends.append(outlines[-1] | (frame & (mask > 0)))
    distances = [cv2.distanceTransform((~e).astype(np.uint8), cv2.DIST_L2, 5) for e in ends[::-1]]
    if (outlines[1] & ~ignored).sum() < MIN_COUNTED_SHARE * outlines[1].sum():
        in_zone = cv2.dilate(free.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        met = [in_zone | (distances[0] <= NEAR_PX), distances[1] <= FAR_PX]
        counted = outlines
    else:
        met = [distance <= NEAR_PX for distance in distances]
        counted = [here & ~ignored for here in outlines]
    shares = [float(m[c].mean()) if c.any() else 1.0 for m, c in zip(met, counted, strict=True)]
    return 2 * shares[0] * shares[1] / max(1e-9, sum(shares))


def is_usable(alpha: U8, reference: U8) -> bool:
    """Return whether a mask is near enough to the reference (255 product, 128 does not count)."""
    height, width = reference.shape
    scale = SIDE_PX / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR

    def at_size(mask: NDArray[np.bool_] | U8) -> NDArray[np.bool_]:
        picture = mask.astype(np.uint8) * (255 if mask.dtype == bool else 1)
        return np.asarray(cv2.resize(picture, size, interpolation=way) > 127)

    free = at_size(reference == 128)
    found, truth = at_size(alpha), at_size(reference == 255)
    union = ((found | truth) & ~free).sum()
    iou = float((found & truth & ~free).sum() / max(1, union))
    boundary = boundary_agreement(found.astype(np.uint8), truth.astype(np.uint8), free)
    return iou >= MIN_IOU and boundary >= MIN_BOUNDARY


def measure(folder: Path, net: SalientNet) -> list[Row]:
    """Cut out all photos that have a mask and no transparency of their own.

    Raises:
        InputError: A photo shows no product.
    """
    rows = []
    for label in json.loads((folder / "labels.json").read_text()):
        photo = decode((folder / label["file"]).read_bytes(), max_pixels=10**8)
        if photo.alpha is not None or not label["mask"]:
            continue
        with Image.open(folder / label["mask"]) as picture:
            reference = np.asarray(picture.convert("L"))
        started = time.process_time()
        found, evidence = cut_out_with_evidence(photo, net)
        found = finish(photo, replace(found, confidence=evidence.probability), evidence)
        rows.append(
            Row(
                name=label["name"],
                half=label["half"],
                ground=label["ground"],
                is_usable=is_usable(found.alpha, reference),
                evidence=evidence,
                lost_print=lost_letters(photo, found) > 0,
                cpu_s=time.process_time() - started,
            )
        )
    return rows


def fit(rows: Sequence[Row]) -> tuple[F64, float, F64]:
    """Return weights, intercept and the features' means: a logistic regression with a quadratic penalty."""
    values = _features(rows)
    mean, spread = values.mean(0), values.std(0) + 1e-6
    design = np.c_[(values - mean) / spread, np.ones(len(rows))]
    usable = np.array([r.is_usable for r in rows], float)

    def loss(weights: F64) -> tuple[float, F64]:
        logit = design @ weights
        penalised = np.r_[weights[:-1], 0]
        value = np.logaddexp(0, logit).sum() - (logit * usable).sum() + PENALTY / 2 * penalised @ penalised
        return float(value), design.T @ (1 / (1 + np.exp(-logit)) - usable) + PENALTY * penalised

    found = minimize(loss, np.zeros(design.shape[1]), jac=True).x
    weights = found[:-1] / spread
    return weights, float(found[-1] - weights @ mean), mean


def _features(rows: Sequence[Row]) -> F64:
    return np.array([[asdict(r.evidence)[name] for name in NAMES] for r in rows], float)


def cross_validated(rows: Sequence[Row], fold_of: Callable[[Row], str]) -> list[float]:
    """Return the probability of each row by weights that were fitted to the other folds."""
    found = []
    for row in rows:
        weights, intercept, _ = fit([r for r in rows if fold_of(r) != fold_of(row)])
        probability = float(1 / (1 + np.exp(-(_features([row])[0] @ weights + intercept))))
        found.append(probability * DISPUTED_FACTOR ** (row.evidence.flaws + row.lost_print))
    return found


def doubt(rows: Sequence[Row], probabilities: Sequence[float], limit: float) -> str:
    """Return how many unusable cut-outs are not doubted, and how many usable ones are."""
    pairs = [(r.is_usable, p >= limit) for r, p in zip(rows, probabilities, strict=True)]
    usable = sum(u for u, _ in pairs)
    missed, alarms = sum(not u and s for u, s in pairs), sum(u and not s for u, s in pairs)
    return f"bad without doubt {missed} of {len(pairs) - usable}, usable in doubt {alarms} of {usable}"


def report(rows: Sequence[Row]) -> dict[str, object]:
    """Return the share of usable cut-outs and the figures of doubt."""
    groups = {"all": lambda r: True} | {
        key: (lambda r, key=key: key in (r.half, r.ground))
        for key in ("A", "B", "white", "studio", "room", "outdoor")
    }
    of_groups = {name: [r.is_usable for r in rows if takes(r)] for name, takes in groups.items()}
    folds: dict[str, Callable[[Row], str]] = {
        "fitted to the other half": lambda r: r.half,
        "fitted to the other shops": lambda r: r.name[0],
    }
    of_folds = {name: cross_validated(rows, fold) for name, fold in folds.items()}
    limits = sorted({0.4, 0.5, 0.7, 0.8, ImagingRules().min_probability})
    return {
        "usable": {name: f"{sum(found)} of {len(found)}" for name, found in of_groups.items() if found},
        "doubt": {
            f"{name}, {limit:g}": doubt(rows, p, limit) for name, p in of_folds.items() for limit in limits
        },
        "cpu_s": round(float(np.mean([r.cpu_s for r in rows])), 2),
        "bad without doubt": [
            r.name
            for r, p in zip(rows, of_folds["fitted to the other half"], strict=True)
            if not r.is_usable and p >= ImagingRules().min_probability
        ],
    }


def write(rows: Sequence[Row]) -> None:
    """Write the weights that are fitted to all rows."""
    weights, intercept, means = fit(rows)
    lines = [f'"""{cutout_probability.__doc__}"""', "", f"INTERCEPT = {intercept:.4f}"]
    for name, values in (("WEIGHTS", weights), ("MEANS", means)):
        entries = [f'    "{key}": {value:.4f},' for key, value in zip(NAMES, values, strict=True)]
        lines += [f"{name} = {{", *entries, "}"]
    Path(str(cutout_probability.__file__)).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--net", type=Path, help="The net's file; otherwise the one that is shipped.")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    chosen = SalientNet(options.net) if options.net else find_net(ImagingRules().net)
    if chosen is None:
        raise SystemExit("there is no net; run make frontend")
    measured = measure(options.photos, chosen)
    if options.write:
        write(measured)
    print(json.dumps(report(measured), indent=2))
