"""Commands for the first day: init, webhook send."""

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from marshmallow import Schema, ValidationError
from standardwebhooks import Webhook

from dam_connector.adapters.http import HttpClient
from dam_connector.cli.common import data_dir_option, load_settings, report_errors
from dam_connector.clock import SystemClock
from dam_connector.domain.product import Capture, is_colour_code
from dam_connector.errors import ConfigError, Unavailable
from dam_connector.ops.running_service import service_address
from dam_connector.private_files import use_private_umask
from dam_connector.rules_file import read_rules_text, shipped_rules_text
from dam_connector.settings import SECRETS_FILE, Settings, ensure_secrets
from dam_connector.usecases.source_images import is_image_url
from schemas.common import problem_lines
from schemas.event import EventSchema
from schemas.plugin import json_schema
from schemas.product import ProductSchema, split_addresses, unknown_keys
from schemas.rules_loader import load_rules
from schemas.strict_json import load_json

CLOCK = SystemClock()
SCHEMA_FILE = "plugin.schema.json"
NEXT_STEPS = """
Next:
  dam-connector check-config {file}
  dam-connector up                              (keeps this terminal)
  dam-connector user add NAME --role admin      (in a second one)
  dam-connector product add product.json        (a record with photos beside it or by address)
  dam-connector webhook send product.json       (a signed event; docs/connections/standard.md)
  dam-connector template --out products.csv     (or a sheet; docs/bulk.md)
  dam-connector import products.csv --name first --pictures FOLDER --wait
Then approve at the address that `up` prints."""


@click.command("init")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path())
@data_dir_option
@report_errors
def init(folder: Path, data_dir: Path | None) -> None:
    """Write plugin.json, its schema and the secrets of a new installation into FOLDER; change no file."""
    use_private_umask()
    folder.mkdir(parents=True, exist_ok=True)
    data_dir = data_dir or (folder / "data" if folder != Path() else None)
    settings = ensure_secrets(load_settings(data_dir))
    rules = shipped_rules_text().replace(f"schemas/{SCHEMA_FILE}", SCHEMA_FILE)
    _write_new(folder / "plugin.json", rules)
    _write_new(folder / SCHEMA_FILE, json.dumps(json_schema(), indent=2) + "\n")
    click.echo(f"secrets: {settings.data_dir / SECRETS_FILE} (for PIMs: DAM_CONNECTOR_WEBHOOK_SECRET)")
    if folder != Path():
        click.echo(f"Run all commands in {folder}.")
    click.echo(NEXT_STEPS.format(file="plugin.json"))


def _write_new(path: Path, text: str) -> None:
    if path.exists():
        click.echo(f"exists already, unchanged: {path}")
        return
    path.write_text(text, encoding="utf-8")
    path.chmod(0o644)
    click.echo(f"written: {path}")


@click.group()
def webhook() -> None:
    """Send webhooks as a PIM does."""


@webhook.command("send")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--connection", default="main", show_default=True, help="Connection of the kind `standard`.")
@click.option("--url", help="Address of the service. Default: the one that this installation listens on.")
@data_dir_option
@report_errors
def webhook_send(file: Path, connection: str, url: str | None, data_dir: Path | None) -> None:
    """Sign the event in FILE (JSON) and send it to the running service.

    FILE holds an event, or a bare product record, which is sent as product.updated.
    """
    settings = ensure_secrets(load_settings(data_dir))
    secret = _secret_of(settings, connection)
    body = json.dumps(read_event(file), ensure_ascii=False).encode()
    message, now = f"msg_{uuid.uuid4().hex}", CLOCK.now()
    headers = {
        "content-type": "application/json",
        "webhook-id": message,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(message, now, body.decode()),
    }
    address = f"{(url or service_address(settings)).rstrip('/')}/webhooks/{connection}"
    client = HttpClient(frozenset({urlsplit(address).hostname or ""}))
    try:
        answer = client.request(
            "POST", address, vendor="dam-connector", operation="send", headers=headers, content=body
        )
    except Unavailable as error:
        raise ConfigError(
            f"{address}: {error}. Start the service: dam-connector up; or name its address with --url"
        ) from error
    text = answer.body.decode("utf-8", "replace").strip()
    if answer.status != 202:
        raise ConfigError(f"{address}: HTTP {answer.status}: {text[:500]}")
    click.echo(text)


def read_event(file: Path) -> dict[str, Any]:
    """Return the event in a file; a bare product record becomes product.updated of now.

    Raises:
        ConfigError: the file is not JSON, or the event or record has mistakes.
    """
    try:
        found = load_json(file.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ConfigError(f"{file}: the file is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{file}: must be a JSON object, an event or a product record")
    now = CLOCK.now().isoformat()
    event: dict[str, Any] = (
        found if "type" in found or "data" in found else {"type": "product.updated", "data": found}
    )
    event = {"timestamp": now, **event}
    _refuse_mistakes(file, EventSchema(), event)
    if event["type"] != "product.deleted":
        _refuse_mistakes(file, ProductSchema(), event["data"])
        if mistyped := unknown_keys(event["data"])[0]:
            raise ConfigError(*(f"{file}: {line}" for line in mistyped))
        _refuse_local_photos(file, event["data"])
    return event


def _refuse_mistakes(file: Path, schema: Schema, data: Mapping[str, Any]) -> None:
    try:
        schema.load(data)
    except ValidationError as error:
        lines = problem_lines(error.messages, schema)
        raise ConfigError(*(f"{file}: {line}" for line in lines)) from error


def _refuse_local_photos(file: Path, data: Mapping[str, Any]) -> None:
    """Refuse names of files: the receiver of a webhook has no folder to look in."""
    images = {f"/images/{view}": url for view, url in (data.get("images") or {}).items()}
    for kind in Capture:
        named = data.get(kind.field_name) or ()
        named = split_addresses(named) if isinstance(named, str) else named
        images |= {f"/{kind.field_name}/{index}": url for index, url in enumerate(named)}
    images |= {f"/{name}": data.get(name) for name in ("inspiration_image", "model_url", "swatch")}
    lines = [
        f"{file}: {pointer}: {url!r} is no address; a webhook needs https://... For files beside a record: "
        f"dam-connector product add {file}"
        for pointer, url in images.items()
        if isinstance(url, str) and url.strip() and not is_image_url(url) and not is_colour_code(url)
    ]
    if lines:
        raise ConfigError(*lines)


def _secret_of(settings: Settings, connection: str) -> str:
    """Return the first secret of a PIM connection of the kind `standard`."""
    rules = load_rules(read_rules_text(settings.plugin_json))
    found = rules.pim.get(connection)
    secrets = found.options.get("secrets") if found and found.adapter == "standard" else None
    if not isinstance(secrets, list) or not secrets:
        known = [name for name, c in rules.pim.items() if c.adapter == "standard"]
        raise ConfigError(
            f"{connection}: there is no such connection with the adapter standard and secrets; "
            f"known: {', '.join(known) or 'none'}"
        )
    assert found  # it has secrets
    if own := [name for name in ("mapping", "signature") if name in found.options]:
        raise ConfigError(
            f"{connection}: it has its own {' and '.join(own)}, and this command sends our own event with the "
            f"signature of Standard Webhooks. Try a message of that system, without sending it, with "
            f"dam-connector connection try {connection} FILE"
        )
    return settings.secret(str(secrets[0]))
