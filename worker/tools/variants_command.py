"""`dam-worker variants`: one GLB with a colour variant for each photo or swatch."""

import re
from dataclasses import asdict
from pathlib import Path

import click

from dam_connector.domain.codec import to_plain
from dam_connector.domain.product import is_colour_code
from worker.gltf.variants import select_colour
from worker.imaging.decode import decode
from worker.imaging.encode import encode
from worker.imaging.net_cutout import cut_out_product
from worker.imaging.salient_net import SalientNet
from worker.measuring.khronos_validator import validate_gltf
from worker.modeling.colour_variants import WantedColour, add_variants, render_hero
from worker.modeling.wanted_colour import MIN_SWATCH_PX, of_code, of_cutout, of_swatch
from worker.tools.output import (
    INPUT_FILE,
    MAX_PIXELS,
    OUTPUT_DIR,
    exit_by_issues,
    find_net_or_stop,
    imaging_rules_or_stop,
    issue_lines,
    json_option,
    net_option,
    print_result,
    stop,
    stop_on_input_error,
)

PREVIEW_PX = 480
MAX_PHOTO_PX = 1024  # longer side: enough for colours
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")


@click.command()
@click.argument("model", type=INPUT_FILE)
@click.option(
    "--colour",
    "colours",
    multiple=True,
    required=True,
    metavar="NAME=PHOTO",
    help="A variant: a photo of the product in it, swatch:FILE, or #rrggbb. May be given more than once.",
)
@click.option("--base", default="Original", show_default=True, help="The name of the model's own colour.")
@click.option("--each", is_flag=True, help="Write a GLB for each variant, too.")
@click.option("--out", type=OUTPUT_DIR, required=True, help="The folder for the files.")
@net_option
@json_option
def variants(
    model: Path, colours: tuple[str, ...], base: str, each: bool, out: Path, net: str | None, as_json: bool
) -> None:
    """Write one GLB with a variant of MODEL, a GLB, for each colour, and a picture of each.

    Exit code 0: all colours are met. 1: a colour differs from its photo. 2: the model or a photo cannot be
    used.
    """
    imaging = imaging_rules_or_stop(net, as_json)
    pairs = _pairs_or_stop(colours, base, as_json)
    with stop_on_input_error(as_json):
        used_net = find_net_or_stop(imaging.net, as_json)
        wanted = [_wanted_or_stop(name, source, used_net, as_json) for name, source in pairs.items()]
        glb, made = add_variants(model.read_bytes(), base, wanted)
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{model.stem}_variants.glb"
    path.write_bytes(glb)
    files = {
        name: _write_one(glb, name, out / f"{model.stem}_{_UNSAFE.sub('-', name)}", each)
        for name in (base, *pairs)
    }
    issues = [i for colour in made for i in colour.issues()]
    validated = validate_gltf(glb).get("issues", {})
    result = {
        "out": str(path),
        "bytes": len(glb),
        "variants": [asdict(colour) for colour in made],
        "files": files,
        "validator_errors": validated.get("numErrors"),
        "issues": to_plain(issues),
    }
    lines = [f"  {c.name}: {c.measured}, wanted {c.wanted}, CIEDE2000 {c.de2000}" for c in made]
    print_result(as_json, result, [str(path), *lines, *issue_lines(issues)])
    exit_by_issues(issues)


def _pairs_or_stop(options: tuple[str, ...], base: str, as_json: bool) -> dict[str, str]:
    """Return the sources of colours by name. Stop on one that is no pair, or on a name given twice."""
    pairs: dict[str, str] = {}
    for option in options:
        name, _, source = option.partition("=")
        if not name.strip() or not source:
            stop(as_json, "colour", f"{option!r} is not NAME=PHOTO", "E.g. --colour Blue=blue.jpg.")
        files = [_UNSAFE.sub("-", n).lower() for n in (base, *pairs)]
        if _UNSAFE.sub("-", name.strip()).lower() in files:
            stop(as_json, "colour", f"{name!r} is given twice", "Each variant needs a name of its own.")
        pairs[name.strip()] = source
    return pairs


def _wanted_or_stop(name: str, source: str, net: SalientNet | None, as_json: bool) -> WantedColour:
    """Return the colour of a photo, a swatch or a code. Stop where there is no such file."""
    if is_colour_code(source):
        return of_code(name, source)
    path = Path(source.removeprefix("swatch:"))
    if not path.is_file():
        remedy = "Name a photo, swatch:FILE, or a colour as #rrggbb."
        stop(as_json, "colour", f"{name}: there is no file {path}", remedy)
    data = path.read_bytes()
    if source.startswith("swatch:"):
        photo = decode(data, max_pixels=MAX_PIXELS, max_side_px=MAX_PHOTO_PX, min_side_px=MIN_SWATCH_PX)
        return of_swatch(name, photo.rgb)
    photo = decode(data, max_pixels=MAX_PIXELS, max_side_px=MAX_PHOTO_PX)
    return of_cutout(name, photo.rgb, cut_out_product(photo, net).alpha)


def _write_one(glb: bytes, name: str, stem: Path, each: bool) -> dict[str, str]:
    """Write the picture of a variant, and its GLB if asked for; return the paths by format."""
    one = select_colour(glb, name)
    paths = {"png": stem.with_name(f"{stem.name}.png")}
    paths["png"].write_bytes(encode(render_hero(one, PREVIEW_PX), None, "png"))
    if each:
        paths["glb"] = stem.with_name(f"{stem.name}.glb")
        paths["glb"].write_bytes(one)
    return {kind: str(path) for kind, path in paths.items()}
