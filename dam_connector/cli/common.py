"""What all commands share: where the data lies, JSON for machines, our own errors as lines."""

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from dam_connector import logs
from dam_connector.errors import ConfigError, ConnectorError
from dam_connector.settings import Settings, with_secrets
from dam_connector.wiring import Services, build_services

Command = Callable[..., Any]
json_option = click.option("--json", "json_output", is_flag=True, help="Print JSON.")
data_dir_option = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="The one directory that holds everything.",
)


def report_errors(command: Command) -> Command:
    """Our own errors as lines on standard error and exit code 1, never a traceback."""

    @wraps(command)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except ConfigError as error:
            for line in error.problems:
                click.echo(f"error: {line}", err=True)
        except ConnectorError as error:
            click.echo(f"error: {error}", err=True)
        sys.exit(1)

    return guarded


def load_settings(folder: Path | None = None, **more: Any) -> Settings:
    given = {k: v for k, v in {"data_dir": folder, **more}.items() if v is not None}
    return Settings.from_env(None, **given)


def open_services(folder: Path | None = None) -> Services:
    settings = with_secrets(load_settings(folder))
    logs.configure(settings.log_format)
    services = build_services(settings)
    services.db.migrate()
    return services
