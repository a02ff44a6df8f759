"""Accuracy and cost of models made from captures of products with known 3D models.

`python -m benchmarks.capture_accuracy --bench DIR [--kind walk] [NAME ...]`. DIR holds one folder for each
product with model.glb, dims.json and spin/ or walk/ (frames as JPEG), and score.py, which compares a model
with the truth. Where a product has no model.glb, the one in the folder of `--truths` counts. CPU-seconds are
of all processes from the frames' bytes to the GLB's. With `--keep` the GLBs stay in a folder.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SHOWN = ("envelope_iou", "silhouette_8", "chamfer_pct", "colour_de")
SIDES = ("width", "height", "depth")


def main() -> None:
    """Print the row of each product and the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bench", type=Path, required=True)
    parser.add_argument("--truths", type=Path, help="A folder with NAME/model.glb.")
    parser.add_argument("--kind", choices=("spin", "walk"), default="spin")
    parser.add_argument("--keep", type=Path, help="A folder for the models.")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    names = options.names or sorted(folder.parent.name for folder in options.bench.glob(f"*/{options.kind}"))
    print(f"{'product':18} {'conf':>5} {'cpu s':>6} " + " ".join(f"{name:>13}" for name in SHOWN))
    rows = [row for name in names if (row := _measure(options, name)) is not None]
    if rows:
        means = " ".join(f"{sum(row[key] for row in rows) / len(rows):13.3f}" for key in SHOWN)
        print(f"{f'mean of {len(rows)}':18} {'':5} {sum(r['cpu_s'] for r in rows) / len(rows):6.1f} {means}")


def _measure(options: argparse.Namespace, name: str) -> dict[str, Any] | None:
    """Print and return the row of a product; None where it was refused."""
    bench, truths, kind = options.bench, options.truths, options.kind
    facts = json.loads((bench / name / "dims.json").read_text())
    with tempfile.TemporaryDirectory() as folder:
        made = (options.keep or Path(folder)) / f"{name}.glb"
        sides = [part for side in SIDES for part in (f"--{side}-m", str(facts[f"{side}_m"]))]
        frames = Path(folder) / kind
        frames.mkdir()
        for path in (bench / name / kind).glob("*.jpg"):  # beside them are masks, which are not for makers
            (frames / path.name).symlink_to(path)
        command = [
            sys.executable,
            "-m",
            "worker",
            "build",
            f"--{kind}",
            str(frames),
            "--out",
            str(made),
            "--json",
        ]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        ran = subprocess.run([*command, *sides], capture_output=True, text=True, env=environment, check=False)
        told: dict[str, Any] = json.loads(ran.stdout)
        if ran.returncode:
            print(f"{name:18} refused: {told['error']['code']}: {told['error']['message']}", flush=True)
            return None
        own = bench / name / "model.glb"
        truth = own if own.exists() or truths is None else truths / name / "model.glb"
        score = [sys.executable, str(bench / "score.py"), str(bench / name), str(made), "--truth", str(truth)]
        if kind == "walk":  # it may start anywhere
            score += ["--align", "yaw"]
        row: dict[str, Any] = told | json.loads(subprocess.check_output(score, text=True))
    shown = " ".join(f"{row[key]:13.3f}" for key in SHOWN)
    print(f"{name:18} {row['confidence']:5} {row['cpu_s']:6} {shown}", flush=True)
    return row


if __name__ == "__main__":
    main()
