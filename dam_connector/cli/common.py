"""Options, error messages and set-up that all commands share."""

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from dam_connector import logs
from dam_connector.errors import ConfigError, ConnectorError
from dam_connector.ops.doctor import disappeared_rules
from dam_connector.settings import Settings, ensure_secrets
from dam_connector.wiring import Services, build_services

Command = Callable[..., Any]
json_option = click.option("--json", "json_output", is_flag=True, help="Print JSON.")
data_dir_option = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="The data directory. Default: DAM_CONNECTOR_DATA_DIR, else ./data.",
)


def report_errors(command: Command) -> Command:
    """Print the connector's own errors on standard error and exit with code 1, without a traceback."""

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
