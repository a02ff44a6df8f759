"""`dam-worker build`: make a GLB from product photos."""

import os
from pathlib import Path
from typing import Any

import click

from dam_connector.domain.codec import to_plain
from dam_connector.domain.issue import Issue
from dam_connector.domain.product import Dimensions, Product, View
from dam_connector.domain.rules import ImagingRules
from dam_connector.errors import InputError
from worker.imaging.cutout import Cutout
from worker.imaging.decode import Photo, decode
from worker.imaging.net_cutout import cut_out_product
from worker.imaging.photo_quality import (
    fingerprint,
    same_picture_issues,
    source_issues,
    wrong_view_issues,
)
from worker.imaging.salient_net import SalientNet
from worker.modeling.build import build_model
from worker.modeling.glb_export import write_glb
from worker.tools.build_folders import FOLDERS
from worker.tools.output import (
    INPUT_DIR,
    INPUT_FILE,
    MAX_PIXELS,
    OutputFile,
    exit_by_issues,
    find_net_or_stop,
    imaging_rules_or_stop,
    is_blocked,
    issue_lines,
    json_option,
    net_option,
    print_result,
    read_product_or_stop,
    stop,
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
@click.option(
    "--spin",
    type=INPUT_DIR,
    help="A folder with 8 to 72 frames of a full turn in equal steps, in order of their names.",
)
@click.option(
    "--walk",
    type=INPUT_DIR,
    help="A folder with 20 to 60 photos from all around, taken while walking; the first shows the front.",
)
@click.option(
    "--pictures", type=INPUT_DIR, help="A folder with a shop's pictures, whose sides are recognised."
)
@click.option("--product", type=INPUT_FILE, help="The product's record as JSON; options override it.")
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
@click.option("--out", type=OutputFile(".glb"), required=True, help="The model: a GLB.")
@net_option
@json_option
def build(
    width_m: float | None,
    height_m: float | None,
    depth_m: float | None,
    material: str,
    category: str,
    product: Path | None,
    max_triangles: int,
    texture_px: str,
    out: Path,
    net: str | None,
    as_json: bool,
    **photos: Path | None,
) -> None:
    """Make a GLB from product photos, or from a folder with a spin, a walk or pictures.

    Exit code 0: the GLB is written, and good. 1: it is written, and an issue is an error, such as a doubtful
    cut-out. 2: the photos cannot be used.
    """
    started = _cpu_s()
    options = {"max_triangles": max_triangles, "texture_px": int(texture_px)}
    folders = {kind: folder for kind in FOLDERS if (folder := photos.pop(kind)) is not None}
    if len(folders) > 1:
        stop(as_json, "photo", f"Give one of --{' and --'.join(folders)}, not both.")
    photo_facts: dict[str, Any] = {}
    doubts: tuple[Issue, ...] = ()  # about the named photos; those of folders are among the model's
    with stop_on_input_error(as_json):
        imaging = imaging_rules_or_stop(net, as_json)
        chosen = find_net_or_stop(imaging.net, as_json)
        record = read_product_or_stop(product, as_json) if product else None
        size, words = _described(record, Dimensions(width_m=width_m, height_m=height_m, depth_m=depth_m))
        description = f"{material} {category} {words}"
        named = {View(name): path for name, path in photos.items() if path is not None}
        if folders:
            kind, folder = next(iter(folders.items()))
            built, photo_facts = FOLDERS[kind](folder, chosen, size, description, options)
        else:
            cutouts, doubts = _cut_out_all(named, chosen, imaging, size)
            built = build_model(cutouts, size, description, are_sides_guessed=False, **options)
    issues = tuple(dict.fromkeys((*doubts, *built.issues)))
    data = write_glb(built.model, out.stem)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(data)
    triangles = len(built.model.faces)
    result = {
        "out": str(out),
        "bytes": len(data),
        "triangles": triangles,
        "size_m": [round(float(v), 4) for v in built.model.extent],
        "shape": built.family,
        "confidence": built.confidence,
        "cpu_s": round(_cpu_s() - started, 2),
        "blocked": is_blocked(issues),
        "issues": to_plain(issues),
        **photo_facts,
    }
    summary = f"{out}: {len(data) / 1e6:.2f} MB, {triangles} triangles, {built.family}"
    print_result(as_json, result, [f"{summary}, confidence {built.confidence}", *issue_lines(issues)])
    exit_by_issues(issues)


def _cpu_s() -> float:
    """Return the CPU-seconds of this process and those that it waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _cut_out_all(
    photos: dict[View, Path], net: SalientNet | None, imaging: ImagingRules, size: Dimensions
) -> tuple[dict[View, Cutout], tuple[Issue, ...]]:
    """Return the product cut out of each photo, and the doubts about the photos and their outlines.

    Raises:
        InputError: A photo cannot be used, or there is none.
    """
    if not photos:
        raise InputError("source.missing_view", "Name at least one photo, such as --front PHOTO.jpg.")
    decoded: dict[str, Photo] = {}
    cutouts: dict[View, Cutout] = {}
    doubts: list[Issue] = []
    for view, path in photos.items():
        where = f"/images/{view}"
        decoded[view] = photo = decode(path.read_bytes(), max_pixels=MAX_PIXELS, pointer=where)
        cutouts[view] = cutout = cut_out_product(photo, net, where)
        doubts += source_issues(photo, cutout, view, imaging)
    fingerprints = {view: fingerprint(photo) for view, photo in decoded.items()}
    doubts += same_picture_issues(fingerprints, decoded.__getitem__)
    doubts += wrong_view_issues(cutouts, size)
    return cutouts, tuple(doubts)


def _described(record: Product | None, given: Dimensions) -> tuple[Dimensions, str]:
    """Return the product's dimensions and its words; those of the record where no option gives them."""
    if record is None:
        return given, ""
    known = record.dimensions
    size = Dimensions(
        width_m=given.width_m or known.width_m,
        height_m=given.height_m or known.height_m,
        depth_m=given.depth_m or known.depth_m,
    )
    return size, f"{record.name} {record.category} {record.material}"
