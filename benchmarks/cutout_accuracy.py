"""Accuracy of the cut-out on product photos with known masks.

`python -m benchmarks.cutout_accuracy --bench DIR`. DIR holds one folder for each product, with NAME.jpg or
NAME.png and NAME_mask.png each. Besides the photos themselves, each clean view is composed on five
backgrounds (gradient, vignette, soft shadow, grain, JPEG), so that no method is tuned to a dozen pictures.
"""

import argparse
import io
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.bench_folder import matching_files
from worker.imaging.cutout import MIN_CONFIDENCE, cut_out
from worker.imaging.decode import Photo, decode

BACKGROUNDS = {
    "gradient": (0.80, 0.80, 0.79),
    "mid grey": (0.55, 0.55, 0.56),
    "blue": (0.72, 0.80, 0.88),
    "warm": (0.93, 0.90, 0.85),
    "white": (1, 1, 1),
}
VIEWS = ("front", "right", "hero")
GOOD_IOU = 0.95

Mask = NDArray[np.bool_]


def pictures(bench: Path) -> Iterator[tuple[str, Photo, Mask]]:
    """Yield every picture of the folder: its group, itself and its true mask.

    Raises:
        SystemExit: The folder has no masks.
    """
    for mask in matching_files(bench, "*/*_mask.png"):
        truth = np.asarray(Image.open(mask).convert("L")) > 127
        for path in (mask.with_name(mask.name.replace("_mask.png", ending)) for ending in (".jpg", ".png")):
            if path.exists():
                photo = decode(path.read_bytes(), max_pixels=10**8)
                yield "photos" if path.suffix == ".jpg" else "clean on white", photo, truth
                if path.suffix == ".png" and path.stem in VIEWS:
                    for background in BACKGROUNDS:
                        yield (
                            f"composed on {background}",
                            *_compose(
                                photo, truth, background, seed=path.parent.name + path.stem + background
                            ),
                        )


def _compose(photo: Photo, truth: Mask, background: str, *, seed: str) -> tuple[Photo, Mask]:
    """Return a clean view composed on a background, with its true mask."""
    rng = np.random.default_rng(list(seed.encode()))
    height, width = truth.shape
    alpha = cv2.GaussianBlur(
        cv2.erode(truth.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32), (0, 0), 0.8
    )
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    centre = rng.uniform(0.3, 0.7, 2)
    light = (
        np.ones_like(x)
        if background == "white"
        else 1 + 0.1 * (np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / 0.3) - 0.5) + 0.06 * (y - 0.5)
    )
    columns, foot = np.flatnonzero(truth.any(0)), int(np.flatnonzero(truth.any(1))[-1])
    shadow = np.zeros((height, width), np.float32)
    middle = round((columns[0] + columns[-1]) / 2 + rng.uniform(-0.03, 0.06) * width)
    cv2.ellipse(
        shadow,
        (middle, foot - 4),
        (round((columns[-1] - columns[0]) * 0.52), round(0.022 * height)),
        0,
        0,
        360,
        1,
        -1,
    )
    light = light * (
        1
        - 0.30 * cv2.GaussianBlur(shadow, (0, 0), 0.012 * width)
        - 0.25 * cv2.GaussianBlur(shadow, (0, 0), 0.03 * width)
    )
    mixed = photo.rgb / 255 * alpha[..., None] + np.array(BACKGROUNDS[background]) * light[..., None] * (
        1 - alpha[..., None]
    )
    noisy = np.clip(mixed + rng.normal(0, 0.008, mixed.shape), 0, 1)
    out = io.BytesIO()
    Image.fromarray((noisy * 255 + 0.5).astype(np.uint8)).save(out, "JPEG", quality=int(rng.integers(82, 95)))
    return decode(out.getvalue(), max_pixels=10**8), alpha > 0.5


def measure(bench: Path) -> dict[str, object]:
    """Return the mean and lowest mask IoU by group, wrongly flagged pictures, and CPU-seconds a picture.

    A picture is flagged if its confidence is under MIN_CONFIDENCE, and poor if its IoU is under GOOD_IOU.
    """
    cv2.setNumThreads(1)
    groups: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for group, photo, truth in pictures(bench):
        started = time.process_time()
        cutout = cut_out(photo)
        mask = cutout.alpha > 127
        groups[group].append(
            (
                float((mask & truth).sum() / (mask | truth).sum()),
                cutout.confidence,
                time.process_time() - started,
            )
        )
    if not groups:
        raise SystemExit(f"nothing measured: the masks in {bench} have no photos beside them")
    return {
        name: {
            "pictures": len(rows),
            "mean_iou": round(float(np.mean([r[0] for r in rows])), 4),
            "lowest_iou": round(min(r[0] for r in rows), 3),
            "poor_and_not_flagged": sum(r[0] < GOOD_IOU and r[1] >= MIN_CONFIDENCE for r in rows),
            "good_and_flagged": sum(r[0] >= GOOD_IOU and r[1] < MIN_CONFIDENCE for r in rows),
            "cpu_s": round(float(np.mean([r[2] for r in rows])), 2),
        }
        for name, rows in groups.items()
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bench", type=Path, required=True)
    print(json.dumps(measure(parser.parse_args().bench), indent=2))
