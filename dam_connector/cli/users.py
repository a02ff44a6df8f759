"""The command line of users and their API tokens: user add, link, list; token add."""

import sys
from pathlib import Path

import click

from dam_connector.cli.common import data_dir_option, open_services, report_errors
from dam_connector.errors import ConfigError
from dam_connector.store.users import UserRole


@click.group()
def user() -> None:
    """Who may come in."""


@user.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice([r.value for r in UserRole]), default="reviewer", show_default=True)
@click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input instead of asking."
)
@click.option("--no-password", is_flag=True, help="Let in by one-time link only.")
@data_dir_option
@report_errors
def user_add(name: str, role: str, password_stdin: bool, no_password: bool, data_dir: Path | None) -> None:
    """Add a user, or change one's role and password."""
    password = (
        ""
        if no_password
        else sys.stdin.readline().strip()
        if password_stdin
        else click.prompt("Password", hide_input=True, confirmation_prompt=True)
    )
    services = open_services(data_dir)
    try:
        added = services.users.add(name, UserRole(role), password)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    click.echo(f"{added.name} is {added.role.value}")
    if no_password:
        click.echo(f"{services.settings.public}/login/link/{services.users.add_login_link(added)}")


@user.command("link")
@click.argument("name")
@data_dir_option
@report_errors
def user_link(name: str, data_dir: Path | None) -> None:
    """Print a link that logs a user in once, within a day."""
    services = open_services(data_dir)
    found = next((u for u in services.users.all() if u.name == name), None)
    if found is None:
        raise ConfigError(f"there is no user {name!r}; dam-connector user list names them")
    click.echo(f"{services.settings.public}/login/link/{services.users.add_login_link(found)}")


@user.command("list")
@data_dir_option
@report_errors
def user_list(data_dir: Path | None) -> None:
    """Name all users."""
    for found in open_services(data_dir).users.all():
        click.echo(f"{found.name}\t{found.role.value}")


@click.group()
def token() -> None:
    """API tokens."""


@token.command("add")
@click.argument("name")
@click.option("--label", default="api", show_default=True, help="What it is for.")
@click.option("--days", type=click.IntRange(1), help="How long it is good; for ever when absent.")
@data_dir_option
@report_errors
def token_add(name: str, label: str, days: int | None, data_dir: Path | None) -> None:
    """Print a new API token of a user. It is shown this once."""
    services = open_services(data_dir)
    found = next((u for u in services.users.all() if u.name == name), None)
    if found is None:
        raise ConfigError(
            f"there is no user {name!r}; add one: dam-connector user add {name} --role merchandiser"
        )
    click.echo(services.users.add_token(found, label, days))
