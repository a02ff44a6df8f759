"""Commands for products: product add, name preview."""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import click
from marshmallow import ValidationError

from dam_connector.cli.common import (
    data_dir_option,
    json_option,
    open_services,
    report_errors,
    require_rules,
)
from dam_connector.domain.brought_model import FORMATS_TEXT, model_format
from dam_connector.domain.capture_folders import sort_folder
from dam_connector.domain.picture_names import unread_reason
from dam_connector.domain.product import Capture, Product
from dam_connector.errors import AdapterError, ConfigError
from dam_connector.model_siblings import read_model
from dam_connector.usecases import intake
from dam_connector.usecases.name_preview import naming_notes, preview_names
from dam_connector.usecases.picture_faults import picture_fault
from dam_connector.usecases.row_texts import remedy_text
from dam_connector.usecases.source_images import HELD_PREFIX, MODEL_POINTER, is_image_url
from dam_connector.wiring import Services
from schemas.common import problem_lines
from schemas.product import ProductSchema, load_product, unknown_keys
from schemas.strict_json import load_json


def store_local_photos(services: Services, product: Product, folder: Path) -> Product:
    """Store the photos and the model that a product names by their files; return it with their addresses.

    Raises:
        ConfigError: a file does not exist, or cannot be used.
    """
    problems = []

    def address(url: str, pointer: str) -> str:
        path = folder / url.strip()
        if is_image_url(url) or not url:
            return url
        if not path.is_file():
            problems.append(f"{pointer}: {url!r} is no address, and there is no file {path}")
            return url
        if pointer != MODEL_POINTER and (reason := unread_reason(path.name)):
            problems.append(f"{pointer}: {path} {reason}")
            return url
        try:
            data = read_model(path) if pointer == MODEL_POINTER else path.read_bytes()
        except AdapterError as error:
            problems.append(f"{pointer}: {path}: {error}")
            return url
        if pointer == MODEL_POINTER and not model_format(data):
            problems.append(f"{pointer}: {path} is none of: {FORMATS_TEXT}")
        if pointer != MODEL_POINTER and (found := picture_fault(services.settings, data, pointer)):
            problems.append(f"{pointer}: {path}: {remedy_text(found)}")
        return f"{HELD_PREFIX}{services.blobs.put(data)}"

    images = tuple(replace(i, url=address(i.url, f"/images/{i.view}")) for i in product.images)
    inspiration_image = address(product.inspiration_image, "/inspiration_image")
    spin, walk = (
        tuple(
            address(url, f"/{kind.field_name}/{index}")
            for index, url in enumerate(_files_in_folder(kind, product, folder, problems))
        )
        for kind in Capture
    )
    model_url = address(product.model_url, MODEL_POINTER)
    swatch = address(product.swatch, "/swatch") if product.swatch_url else product.swatch
    if problems:
        raise ConfigError(*problems)
    return replace(
        product,
        images=images,
        inspiration_image=inspiration_image,
        model_url=model_url,
        swatch=swatch,
        spin_images=spin,
        walk_images=walk,
    )


def _files_in_folder(kind: Capture, product: Product, folder: Path, problems: list[str]) -> tuple[str, ...]:
    """Return the paths of the pictures in the folder that a spin or a walk names; else the names.

    Why a folder cannot be used is added to `problems`; files that are left out are named on standard error.
    """
    named = product.captured(kind)
    if len(named) != 1 or is_image_url(named[0]) or not (folder / named[0]).is_dir():
        return named
    inside = folder / named[0]
    found = sort_folder(kind, (path.name for path in inside.iterdir() if path.is_file()))
    place, (least, most) = f"/{kind.field_name}: {inside}", kind.counts
    if found.problem:
        problems.append(f"{place}: {found.problem}")
    elif not least <= len(found.pictures) <= most:
        left_out = f"; {found.note}" if found.note else ""
        problems.append(f"{place} holds {len(found.pictures)} pictures, wanted: {least} to {most}{left_out}")
    elif found.note:
        click.echo(f"note: {place}: {found.note}", err=True)
    return tuple((inside / name).relative_to(folder).as_posix() for name in found.pictures)


@click.group()
def product() -> None:
    """Add products by hand."""


@product.command("add")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--model",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A model that was made elsewhere: GLB, glTF, USDZ, OBJ, STEP, or a ZIP with its files.",
)
@data_dir_option
@json_option
@report_errors
def product_add(file: Path, model: Path | None, data_dir: Path | None, json_output: bool) -> None:
    """Add the product record in FILE (JSON), as if its PIM had sent it.

    Photos and models are addresses, or files by their path from the folder of FILE. A spin or a walk may be
    a folder with its pictures. Exit code 1: the product is stored and nothing is made of it, since it is
    flagged or has no rule.
    """
    try:
        data = load_json(file.read_text(encoding="utf-8-sig"))
        record = load_product(data)
    except ValidationError as error:
        raise ConfigError(
            *(f"{file}: {line}" for line in problem_lines(error.messages, ProductSchema()))
        ) from error
    except ValueError as error:
        raise ConfigError(f"{file}: the file is not JSON: {error}") from error
    mistyped, ignored = unknown_keys(data)
    if mistyped:
        raise ConfigError(*(f"{file}: {line}" for line in mistyped))
    services = open_services(data_dir)
    require_rules(services)
    if model:
        record = replace(record, model_url=str(model.resolve()))
    taken = intake.add_product(services, store_local_photos(services, record, file.parent), by="command line")
    facts = {"sku": record.sku, "outcome": taken.summary, "planned": taken.planned, "ignored": ignored}
    note = f"\nnote: ignored, since they are no keys of ours: {', '.join(ignored)}" if ignored else ""
    click.echo(json.dumps(facts) if json_output else taken.summary + note)
    sys.exit(int(bool(taken.makes_nothing or (taken.errors and not taken.planned))))


@click.group()
def name() -> None:
    """Look at the names of files."""


@name.command("preview")
@click.argument("sku")
@data_dir_option
@json_option
@report_errors
def name_preview(sku: str, data_dir: Path | None, json_output: bool) -> None:
    """Show the names that the next versions of a product's assets get, here and in each channel."""
    services = open_services(data_dir)
    names = list(preview_names(services, sku))
    for note in naming_notes(services, sku):
        click.echo(f"note: {note}", err=True)
    if json_output:
        click.echo(json.dumps([asdict(each) for each in names], ensure_ascii=False))
        return
    for each in names:
        place = f"{each.deliverable} {each.slot}"
        click.echo(f"{each.channel or 'own name':<16} {place:<20} {each.name}")
