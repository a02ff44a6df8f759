"""Contradicting photos: how many are found, and how many right photos are called contradicting.

`--bench DIR ...` has one folder for each product (dims.json, front, right, back, left and top .png; model.glb
with `--perspective`, which takes photos of the model in place of the pictures). The photos are given right,
and wrong in five ways. The limits of worker/modeling/view_agreement.py were chosen on every second product.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.perspective_photos import photograph
from dam_connector.domain.product import View
from dam_connector.domain.rules import ImagingRules
from worker.imaging.decode import decode
from worker.imaging.net_cutout import cut_out_product
from worker.imaging.salient_net import find_net
from worker.modeling.outlines import Outline, ProductSize, crop_outline
from worker.modeling.view_agreement import find_contradiction

GIVEN = (View.FRONT, View.RIGHT, View.BACK, View.TOP)
OTHER_STEPS = (3, 7)  # the other products are so many further in their half
Outlines = Mapping[View, Outline]


def wrong_ways(right: Outlines, others: Sequence[Outlines]) -> Iterator[tuple[str, Outlines]]:
    """Yield the photos as they are and given wrong, with a name."""
    given = {view: right[view] for view in GIVEN}
    top = right[View.TOP]
    turned = Outline(
        alpha=np.ascontiguousarray(top.alpha[::-1, ::-1]), rgb=np.ascontiguousarray(top.rgb[::-1, ::-1])
    )
    yield "nothing", given
    yield "top turned", {**given, View.TOP: turned}
    left = right.get(View.LEFT) or right[View.RIGHT].mirrored()
    yield "left as right", {**given, View.RIGHT: left}
    yield "front and back exchanged", {**given, View.FRONT: right[View.BACK], View.BACK: right[View.FRONT]}
    for other in others:
        yield "right of another product", {**given, View.RIGHT: other[View.RIGHT]}
        yield "top of another product", {**given, View.TOP: other[View.TOP]}


def read_outlines(folder: Path, *, perspective: bool) -> dict[View, Outline]:
    """Return the cut-out photos of a product."""
    net = find_net(ImagingRules().net)
    views = [view for view in (*GIVEN, View.LEFT) if (folder / f"{view}.png").exists()]
    photos = {
        view: photograph(folder / "model.glb", view)
        if perspective
        else decode((folder / f"{view}.png").read_bytes(), max_pixels=10**9)
        for view in views
        if not perspective or view in GIVEN
    }
    return {view: crop_outline(cut_out_product(photo, net)) for view, photo in photos.items()}


def read_size(folder: Path) -> ProductSize:
    known = json.loads((folder / "dims.json").read_text())
    return ProductSize(width=known["width_m"], height=known["height_m"], depth=known["depth_m"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bench", type=Path, nargs="+", required=True)
    parser.add_argument("--perspective", action="store_true")
    options = parser.parse_args()
    found = {
        f.name: f for bench in options.bench for f in sorted(bench.iterdir()) if (f / "front.png").exists()
    }
    folders = [found[name] for name in sorted(found)]
    for half, chosen in (("for choosing", folders[::2]), ("other half", folders[1::2])):
        photos = [read_outlines(folder, perspective=options.perspective) for folder in chosen]
        found_in: dict[str, list[bool]] = {}
        for i, folder in enumerate(chosen):
            others = [photos[(i + step) % len(photos)] for step in OTHER_STEPS]
            for name, given in wrong_ways(photos[i], others):
                is_found = find_contradiction(given, read_size(folder)) is not None
                found_in.setdefault(name, []).append(is_found)
        for name, hits in found_in.items():
            print(f"{half:14} {name:26} {sum(hits):2} of {len(hits)}")


if __name__ == "__main__":
    main()
