"""Commands for products: product add."""

import json
from pathlib import Path

import click
from marshmallow import ValidationError

from dam_connector.cli.common import data_dir_option, json_option, open_services, report_errors
from dam_connector.errors import ConfigError
from dam_connector.usecases import intake
from schemas.common import problem_lines
from schemas.product import ProductSchema, load_product


@click.group()
def product() -> None:
    """Add products by hand."""


@product.command("add")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@data_dir_option
@json_option
@report_errors
def product_add(file: Path, data_dir: Path | None, json_output: bool) -> None:
    """Add the product record in FILE (JSON), as if its PIM had sent it."""
    try:
        record = load_product(json.loads(file.read_text()))
    except ValidationError as error:
        raise ConfigError(
            *(f"{file}: {line}" for line in problem_lines(error.messages, ProductSchema()))
        ) from error
    except ValueError as error:
        raise ConfigError(f"{file}: the file is not JSON: {error}") from error
    taken = intake.add_product(open_services(data_dir), record, by="command line")
    click.echo(
        json.dumps({"sku": record.sku, "outcome": taken.summary, "planned": taken.planned})
        if json_output
        else taken.summary
    )
