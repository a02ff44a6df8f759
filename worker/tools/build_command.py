"""`dam-worker build`: make a GLB from product photos."""

import time
from pathlib import Path

import click

from dam_connector.domain.codec import to_plain
from dam_connector.domain.product import Dimensions, View
from dam_connector.errors import InputError
from worker.imaging.cutout import Cutout
from worker.imaging.decode import decode
from worker.imaging.net_cutout import cut_out_product
from worker.imaging.salient_net import SalientNet
from worker.modeling.build import build_model
from worker.modeling.glb_export import write_glb
from worker.tools.output import (
    INPUT_FILE,
    MAX_PIXELS,
    OUTPUT_FILE,
    find_net_or_stop,
    imaging_rules_or_stop,
    issue_lines,
    json_option,
    net_option,
    print_result,
    stop_on_input_error,
)

METRES = click.FloatRange(0.001, 100)


@click.command()
@click.option("--front", type=INPUT_FILE)
@click.option("--right", type=INPUT_FILE)
@click.option("--back", type=INPUT_FILE)
@click.option("--left", type=INPUT_FILE)
@click.option("--top", type=INPUT_FILE)
@click.option("--hero", type=INPUT_FILE)
@click.option("--width-m", type=METRES)
@click.option("--height-m", type=METRES)
@click.option("--depth-m", type=METRES)
@click.option(
    "--material", default="", help="The product's material, e.g. oak: it sets how the model shines."
)
@click.option("--category", default="", help="The product's category, e.g. chair.")
@click.option("--max-triangles", type=click.IntRange(500), default=30_000, show_default=True)
@click.option(
    "--texture-px", type=click.Choice(["512", "1024", "2048", "4096"]), default="2048", show_default=True
)
@click.option("--out", type=OUTPUT_FILE, required=True)
@net_option
@json_option
def build(
    width_m: float | None,
    height_m: float | None,
    depth_m: float | None,
    material: str,
    category: str,
    max_triangles: int,
    texture_px: str,
    out: Path,
    net: str | None,
    as_json: bool,
    **photos: Path | None,
) -> None:
    """Make a GLB from product photos.

    Exit code 0: the GLB is written. 2: the photos cannot be used.
    """
    started = time.process_time()
    with stop_on_input_error(as_json):
        chosen = find_net_or_stop(imaging_rules_or_stop(net, as_json).net, as_json)
        named = {View(name): path for name, path in photos.items() if path is not None}
        cutouts = _cut_out_all(named, chosen)
        size = Dimensions(width_m=width_m, height_m=height_m, depth_m=depth_m)
        built = build_model(
            cutouts, size, f"{material} {category}", max_triangles=max_triangles, texture_px=int(texture_px)
        )
    data = write_glb(built.model, out.stem)
    out.write_bytes(data)
    triangles = len(built.model.faces)
    result = {
        "out": str(out),
        "bytes": len(data),
        "triangles": triangles,
        "size_m": [round(float(v), 4) for v in built.model.extent],
        "shape": built.family,
        "confidence": built.confidence,
        "cpu_s": round(time.process_time() - started, 2),
        "issues": to_plain(built.issues),
    }
    summary = f"{out}: {len(data) / 1e6:.2f} MB, {triangles} triangles, {built.family}"
    print_result(as_json, result, [f"{summary}, confidence {built.confidence}", *issue_lines(built.issues)])


def _cut_out_all(photos: dict[View, Path], net: SalientNet | None) -> dict[View, Cutout]:
    """Return the product cut out of each photo.

    Raises:
        InputError: A photo cannot be used, or there is none.
    """
    if not photos:
        raise InputError("source.missing_view", "Name at least one photo, such as --front PHOTO.jpg.")
    return {
        view: cut_out_product(
            decode(path.read_bytes(), max_pixels=MAX_PIXELS, pointer=f"/images/{view}"), net
        )
        for view, path in photos.items()
    }
