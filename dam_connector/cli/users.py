"""Commands for users and their API tokens: user add, link, list; token add."""

import sys
from pathlib import Path

import click

from dam_connector.cli.common import data_dir_option, open_services, report_errors
from dam_connector.errors import ConfigError
from dam_connector.ops.running_service import service_address
from dam_connector.store.users import User, UserRole
from dam_connector.wiring import Services


@click.group()
def user() -> None:
    """Manage the people who may log in."""


@user.command("add")
@click.argument("name")
@click.option("--role", type=click.Choice([r.value for r in UserRole]), default="reviewer", show_default=True)
@click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input instead of asking."
)
@click.option("--no-password", is_flag=True, help="Set no password; the user logs in by one-time link.")
@data_dir_option
@report_errors
def user_add(name: str, role: str, password_stdin: bool, no_password: bool, data_dir: Path | None) -> None:
    """Add a user, or change the role and password of one."""
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
        click.echo(f"{service_address(services.settings)}/login/link/{services.users.add_login_link(added)}")


@user.command("link")
@click.argument("name")
@data_dir_option
@report_errors
def user_link(name: str, data_dir: Path | None) -> None:
    """Print a link that logs the user in. It works once, within a day."""
    services = open_services(data_dir)
    found = _find_user(services, name, remedy="list them: dam-connector user list")
    click.echo(f"{service_address(services.settings)}/login/link/{services.users.add_login_link(found)}")


def _find_user(services: Services, name: str, *, remedy: str) -> User:
    found = next((u for u in services.users.all() if u.name == name), None)
    if found is None:
        raise ConfigError(f"there is no user {name!r}; {remedy}")
    return found


@user.command("list")
@data_dir_option
@report_errors
def user_list(data_dir: Path | None) -> None:
    """List all users with their roles."""
    for found in open_services(data_dir).users.all():
        click.echo(f"{found.name}\t{found.role.value}")


@click.group()
def token() -> None:
    """Manage API tokens."""


@token.command("add")
@click.argument("name")
@click.option(
    "--label", default="api", show_default=True, help="Name of the token, e.g. the system that uses it."
)
@click.option("--days", type=click.IntRange(1), help="Days until the token expires. Default: never.")
@data_dir_option
@report_errors
def token_add(name: str, label: str, days: int | None, data_dir: Path | None) -> None:
    """Print a new API token of a user. The token is shown only now."""
    services = open_services(data_dir)
    remedy = f"add one: dam-connector user add {name} --role merchandiser"
    found = _find_user(services, name, remedy=remedy)
    click.echo(services.users.add_token(found, label, days))
