"""`dam-worker rendition`: make a rendition from one photo or from a GLB, as plugin.json says."""

from dataclasses import replace
from pathlib import Path

import click

from dam_connector.domain.asset_texts import alt_text
from dam_connector.domain.codec import to_plain
from dam_connector.domain.ids import Sku
from dam_connector.domain.product import Dimensions, Product, View
from dam_connector.domain.rules import PHOTO, Deliverable, Rules
from dam_connector.domain.run import RunKind
from dam_connector.domain.scene_words import read_scene_words
from worker.imaging.decode import decode
from worker.imaging.encode import extension
from worker.imaging.metadata import digital_source_type, write_metadata
from worker.imaging.net_cutout import cut_out_product
from worker.imaging.palette import Palette, extract_palette
from worker.renditions import RenditionFile, RenditionRequest, RenditionResult, make_rendition, open_source
from worker.tools.output import (
    INPUT_FILE,
    MAX_PIXELS,
    OUTPUT_DIR,
    exit_by_issues,
    find_net_or_stop,
    is_blocked,
    issue_lines,
    json_option,
    load_rules_or_stop,
    net_option,
    print_result,
    stop,
    stop_on_input_error,
)


@click.command()
@click.argument("source", metavar="PHOTO", type=INPUT_FILE)
@click.option("--deliverable", default="packshot", show_default=True, help="Its name in plugin.json.")
@click.option(
    "--slot",
    type=click.IntRange(1, 4),
    default=1,
    show_default=True,
    help="Lifestyle pictures differ by slot.",
)
@click.option(
    "--view",
    type=click.Choice([v.value for v in View]),
    default="front",
    show_default=True,
    help="The side of the product that the photo shows.",
)
@click.option(
    "--height-m",
    type=click.FloatRange(0.001, 100),
    help="The product's height: floors are drawn at true scale.",
)
@click.option("--category", default="", help="The product's category: it sets the usual size and the sets.")
@click.option("--prompt", default="", help="Words that name a set or a colour, e.g. `on marble`.")
@click.option("--inspiration", type=INPUT_FILE, help="A picture whose colours a lifestyle set takes on.")
@click.option("--out-dir", type=OUTPUT_DIR, required=True)
@net_option
@json_option
def rendition(
    source: Path,
    deliverable: str,
    slot: int,
    view: str,
    height_m: float | None,
    category: str,
    prompt: str,
    inspiration: Path | None,
    out_dir: Path,
    net: str | None,
    as_json: bool,
) -> None:
    """Make a rendition of PHOTO, as plugin.json says.

    For a deliverable that is made from a model, PHOTO is a GLB.

    Exit code 0: the files are written, and good. 1: they are written, and an issue is an error. 2: the input
    cannot be used.
    """
    rules = load_rules_or_stop(as_json)
    imaging = rules.imaging if net is None else replace(rules.imaging, net=net)
    wanted = _deliverable_or_stop(deliverable, rules, as_json)
    product = Product(
        sku=Sku(source.stem), name=source.stem, category=category, dimensions=Dimensions(height_m=height_m)
    )
    with stop_on_input_error(as_json):
        request = RenditionRequest(
            deliverable=wanted,
            product=product,
            slot=slot,
            palette=_palette(inspiration),
            wish=read_scene_words(prompt),
            max_pixels=MAX_PIXELS,
            max_bytes=rules.checks.max_image_bytes,
            imaging=imaging,
        )
        found_net = find_net_or_stop(imaging.net, as_json)
        made = make_rendition(
            open_source(source.read_bytes(), request, view),
            request,
            view=view,
            cut_out=lambda photo, pointer: cut_out_product(photo, found_net, pointer),
        )
    labels = _labels(product, wanted, made, view)
    stem = f"{source.stem}_{deliverable}{f'_{slot}' if slot > 1 else ''}"
    out_dir.mkdir(parents=True, exist_ok=True)
    files = {}
    for file in made.files:
        path = out_dir / f"{stem}{f'_{file.view}' if file.view else ''}.{extension(file.format)}"
        path.write_bytes(write_metadata(file.data, labels))
        files[_key(file)] = str(path)
    blocked = is_blocked(made.issues)
    result = {"files": files, "blocked": blocked, **made.facts, "issues": to_plain(made.issues)}
    print_result(as_json, result, [*files.values(), *issue_lines(made.issues)])
    exit_by_issues(made.issues)


def _palette(inspiration: Path | None) -> Palette | None:
    if inspiration is None:
        return None
    return extract_palette(decode(inspiration.read_bytes(), max_pixels=MAX_PIXELS))


def _labels(product: Product, deliverable: Deliverable, made: RenditionResult, view: str) -> dict[str, str]:
    """Return the labels that are written into each file."""
    return {
        **made.labels,
        "sku": product.sku,
        "title": product.name,
        "source_type": digital_source_type(
            rendered=deliverable.made_from != PHOTO,
            style=deliverable.style,
            generator="local",
            photo_type=made.labels.get("source_type", ""),
        ),
        "alt_text": alt_text(product, view, style=deliverable.style),
    }


def _key(file: RenditionFile) -> str:
    """Return the key of a file in the printed `files`, e.g. `jpeg`, or `webp_03` for a spin frame."""
    return f"{file.format}_{file.view}" if file.view else file.format


def _deliverable_or_stop(name: str, rules: Rules, as_json: bool) -> Deliverable:
    found = rules.deliverable(name)
    if found is None or found.kind is not RunKind.IMAGE:
        known = ", ".join(d.name for d in rules.deliverables if d.kind is RunKind.IMAGE)
        stop(as_json, "deliverable", f"plugin.json has no rendition {name!r}", f"Known: {known}.")
    return found
