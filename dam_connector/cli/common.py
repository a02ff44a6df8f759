"""Options, error messages and set-up that all commands share."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import click

from dam_connector import logs
from dam_connector.errors import (
    AdapterError,
    ConfigError,
    ConnectorError,
    InputError,
    NotFound,
    StateConflict,
)
from dam_connector.ops.doctor import disappeared_rules
from dam_connector.settings import Settings, ensure_secrets
from dam_connector.wiring import Services, build_services

Command = Callable[..., Any]
ERROR_CODES: Mapping[type[ConnectorError], str] = {
    ConfigError: "config",
    NotFound: "not_found",
    StateConflict: "conflict",
}
OWN_PARTS = (
    "catalog",
    "inbox",
    "product",
    "reconciliation",
    "report",
    "review",
    "rules",
)  # no outside systems
json_option = click.option("--json", "json_output", is_flag=True, help="Print JSON.")
data_dir_option = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="The data directory. Default: DAM_CONNECTOR_DATA_DIR, else ./data.",
)


def report_errors_by(exit_code: int) -> Callable[[Command], Command]:
    """Return a decorator that prints the connector's own errors, without a traceback, and exits with a code.

    They are lines on standard error; with --json an object on standard output.
    """

    def decorate(command: Command) -> Command:
        @wraps(command)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            try:
                return command(*args, **kwargs)
            except ConnectorError as error:
                _print_error(error, as_json=bool(kwargs.get("json_output")))
            sys.exit(exit_code)

        return guarded

    return decorate


report_errors = report_errors_by(1)


def _print_error(error: ConnectorError, *, as_json: bool) -> None:
    lines = error.problems if isinstance(error, ConfigError) else (_error_text(error),)
    if as_json:
        click.echo(json.dumps({"error": {"code": _error_code(error), "message": "; ".join(lines)}}))
        return
    for line in lines:
        click.echo(f"error: {line}", err=True)


def _error_code(error: ConnectorError) -> str:
    if isinstance(error, InputError):
        return error.issue_code
    return next((code for kind, code in ERROR_CODES.items() if isinstance(error, kind)), "failed")


def _error_text(error: ConnectorError) -> str:
    """Return an error for people; one of our own parts needs no name of an outside system before it."""
    if isinstance(error, InputError):
        place = f" ({error.pointer})" if error.pointer else ""
        return f"{error.issue_code}: {error}{place}"
    is_ours = isinstance(error, AdapterError) and error.vendor in OWN_PARTS
    return error.reason if is_ours and isinstance(error, AdapterError) else str(error)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Create the folder of a file that the block writes.

    Raises:
        ConfigError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror or error}") from error


def require_rules(services: Services) -> None:
    """Raise ConfigError where a command would plan by the shipped rules, while the service has others.

    A command in another folder does not see the service's plugin.json.
    """
    if gone := disappeared_rules(services.settings):
        way = "run the command in the folder of plugin.json, or name the file by DAM_CONNECTOR_PLUGIN_JSON"
        raise ConfigError(f"{gone}; {way}")


def load_settings(data_dir: Path | None = None, **options: Any) -> Settings:
    """Return the settings of the environment, overridden by the options that are not None."""
    overrides = {k: v for k, v in {"data_dir": data_dir, **options}.items() if v is not None}
    return Settings.from_env(None, **overrides)


def open_services(data_dir: Path | None = None) -> Services:
    """Return the services on a data directory. A new SQLite file gets its tables; nothing else is migrated.

    Raises:
        ConfigError: The database needs a migration.
    """
    settings = ensure_secrets(load_settings(data_dir))
    logs.configure_logging(settings.log_format)
    services = build_services(settings)
    services.db.require_schema()
    return services
