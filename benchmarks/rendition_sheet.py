"""A contact sheet of photos in studio and rooms.

`python -m benchmarks.rendition_sheet --out SHEET.jpg [PHOTO ...]`. Each row shows one photo: on white, on a
gradient with a reflection, and in the sets of four slots. Without photos, the samples are used, and the
last row is rendered from a model made of them. A photo with `hero` in its name is treated as seen from above.
"""

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dam_connector.domain.product import Dimensions, View
from worker.imaging.composition import Studio, compose_studio
from worker.imaging.cutout import Cutout, cut_out
from worker.imaging.decode import decode
from worker.imaging.lifestyle import Scene, compose_lifestyle
from worker.imaging.scene_choice import SceneFacts
from worker.modeling.build import build_model
from worker.modeling.turntable import render_views

SAMPLES = Path(__file__).parent.parent / "dam_connector" / "samples"
SAMPLE_HEIGHTS_M = {
    "chair-front.jpg": 0.82,
    "mug-front.jpg": 0.095,
    "vase-hero.jpg": 0.3,
    "speaker-front.jpg": 0.27,
    "shoe-box-front.jpg": 0.12,
}
WIDTH, HEIGHT, QUALITY = 256, 320, 84
SLOTS = 4  # sets of each product


def row(cutout: Cutout, name: str, *, oblique: bool, height_m: float | None) -> NDArray[np.uint8]:
    """Return one product in two studios and in the sets of the first slots, (HEIGHT, n WIDTH, 3)."""
    frame: dict[str, Any] = {"width": WIDTH * 2, "height": HEIGHT * 2, "oblique": oblique}
    studios = (("#ffffff", False), ("#f7f7f7 to #cdd2d7", True))
    pictures = [
        compose_studio(cutout, Studio(**frame, fill=0.78, background=b, shadow=True, reflection=r))
        for b, r in studios
    ]
    scenes = (
        Scene(
            width=WIDTH * 2,
            height=HEIGHT * 2,
            fill=0.62,
            slot=slot,
            seed=slot,
            facts=SceneFacts(
                view=View.HERO if oblique else View.FRONT,
                oblique=oblique or None,
                name=name,
                dimensions=Dimensions(height_m=height_m),
                slot=slot,
                variety=len(name),
                aspect=WIDTH / HEIGHT,
            ),
        )
        for slot in range(1, SLOTS + 1)
    )
    pictures += [compose_lifestyle(cutout, scene) for scene in scenes]
    return np.hstack(
        [cv2.resize(picture.rgb, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) for picture in pictures]
    )


def sheet(photos: list[Path]) -> NDArray[np.uint8]:
    """Return all rows; of the samples if no photos are given."""
    rows = []
    for path in photos or [SAMPLES / name for name in SAMPLE_HEIGHTS_M]:
        cutout = cut_out(decode(path.read_bytes(), max_pixels=10**8))
        rows.append(
            row(
                cutout,
                path.stem.replace("-", " "),
                oblique="hero" in path.name,
                height_m=SAMPLE_HEIGHTS_M.get(path.name),
            )
        )
    if not photos:
        rows.append(row(_mug_from_above(), "mug", oblique=True, height_m=SAMPLE_HEIGHTS_M["mug-front.jpg"]))
    return np.vstack(rows)


def _mug_from_above() -> Cutout:
    """Return the sample mug, modelled from its photos and seen from above."""
    views = {
        View(v): cut_out(decode((SAMPLES / f"mug-{v}.jpg").read_bytes(), max_pixels=10**8))
        for v in ("front", "right", "top")
    }
    built = build_model(
        views,
        Dimensions(width_m=0.118, height_m=0.095, depth_m=0.083),
        "ceramic",
        max_triangles=20_000,
        texture_px=1024,
    )
    return next(render_views(built.model, "-25,22", "still", 1, (WIDTH * 1.4, HEIGHT * 1.4))).cutout


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, nargs="*")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    Image.fromarray(sheet(arguments.photos)).save(arguments.out, quality=QUALITY)
