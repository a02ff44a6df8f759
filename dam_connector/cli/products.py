"""The command line of products: product add."""

import json
from pathlib import Path

import click
from marshmallow import ValidationError

from dam_connector.cli.common import as_json, clear_errors, data_dir, services_on
from dam_connector.errors import ConfigError
from dam_connector.usecases import intake
from schemas.common import problems
from schemas.product import ProductSchema, load_product


@click.group()
def product() -> None:
    """Products by hand."""


@product.command("add")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@data_dir
@as_json
@clear_errors
def product_add(file: Path, data_dir: Path | None, machine: bool) -> None:
    """Take in the product record in FILE (JSON), as if its PIM had sent it."""
    try:
        loaded = load_product(json.loads(file.read_text()))
    except ValidationError as error:
        raise ConfigError(
            *(f"{file}: {line}" for line in problems(error.messages, ProductSchema()))
        ) from error
    except ValueError as error:
        raise ConfigError(f"{file}: not JSON: {error}") from error
    taken = intake.add_product(services_on(data_dir), loaded, by="command line")
    click.echo(
        json.dumps({"sku": loaded.sku, "outcome": taken.words, "planned": taken.planned})
        if machine
        else taken.words
    )
