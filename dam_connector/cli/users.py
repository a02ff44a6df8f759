"""Commands for users, their API tokens and the audit log."""

import getpass
import sys
from pathlib import Path

import click

from dam_connector.cli.common import data_dir_option, open_services, report_errors
from dam_connector.errors import ConfigError
from dam_connector.ops.running_service import service_address
from dam_connector.store.audit import COMMAND_LINE
from dam_connector.store.users import User, UserRole
from dam_connector.usecases.audit_export import AUDIT_FORMATS, audit_lines
from dam_connector.wiring import Services


def _operator() -> str:
    """Return who runs the command, for the audit log."""
    try:
        return f"{COMMAND_LINE} ({getpass.getuser()})"
    except (OSError, KeyError):  # a user of the system without a name
        return COMMAND_LINE


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
    """Add a user, or change the role and password of one.

    A new password, and --no-password, log the user out everywhere.
    """
    password = (
        ""
        if no_password
        else sys.stdin.readline().strip()
        if password_stdin
        else click.prompt("Password", hide_input=True, confirmation_prompt=True)
    )
    services = open_services(data_dir)
    before = next((u for u in services.users.all() if u.name == name), None)
    try:
        added = services.users.add(name, UserRole(role), password, by=_operator())
    except ValueError as error:
        raise ConfigError(str(error)) from error
    was = f"was {before.role.value}, " if before and before.role is not added.role else ""
    click.echo(f"{added.name} {was}is {'now ' if was else ''}{added.role.value}")
    if was and not any(u.role is UserRole.ADMIN for u in services.users.all()):
        click.echo("no admin is left: dam-connector user add NAME --role admin makes one", err=True)
    if no_password:
        click.echo(_login_link(services, added))


@user.command("link")
@click.argument("name")
@data_dir_option
@report_errors
def user_link(name: str, data_dir: Path | None) -> None:
    """Print a link that logs the user in. It works once, within a day."""
    services = open_services(data_dir)
    found = _find_user(services, name, remedy="list them: dam-connector user list")
    click.echo(_login_link(services, found))


def _login_link(services: Services, user: User) -> str:
    """Return the address of a new login link, at the port that the service really has."""
    secret = services.users.add_login_link(user, by=_operator())
    return f"{service_address(services.settings)}/login/link/{secret}"


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
    users = open_services(data_dir).users
    for found in users.all():
        click.echo(f"{found.name}\t{found.role.value}")
    for name in users.inactive_names():
        click.echo(f"{name}\tdeactivated")


@user.command("deactivate")
@click.argument("name")
@data_dir_option
@report_errors
def user_deactivate(name: str, data_dir: Path | None) -> None:
    """Log a user out everywhere and refuse further logins; delete the user's tokens.

    `user add` makes the user active again.
    """
    if not open_services(data_dir).users.deactivate(name, by=_operator()):
        raise ConfigError(f"there is no active user {name!r}; list them: dam-connector user list")
    click.echo(f"{name} is deactivated")


@user.command("remove")
@click.argument("name")
@data_dir_option
@report_errors
def user_remove(name: str, data_dir: Path | None) -> None:
    """Delete a user. The name stays in the history and in the audit log."""
    if not open_services(data_dir).users.remove(name, by=_operator()):
        raise ConfigError(f"there is no user {name!r}; list them: dam-connector user list")
    click.echo(f"{name} is removed")


@user.command("logout")
@click.argument("name")
@data_dir_option
@report_errors
def user_logout(name: str, data_dir: Path | None) -> None:
    """Log a user out everywhere."""
    services = open_services(data_dir)
    found = _find_user(services, name, remedy="list them: dam-connector user list")
    click.echo(f"{services.users.end_sessions(found, by=_operator())} sessions ended")


@click.group()
def token() -> None:
    """Manage API tokens."""


@token.command("add")
@click.argument("name")
@click.option(
    "--label", default="api", show_default=True, help="Name of the token, e.g. the system that uses it."
)
@click.option(
    "--days",
    type=click.IntRange(1, 3650),
    default=None,
    help="Days until the token expires; DAM_CONNECTOR_TOKEN_DAYS when absent.",
)
@data_dir_option
@report_errors
def token_add(name: str, label: str, days: int | None, data_dir: Path | None) -> None:
    """Print a new API token of a user. The token is shown only now."""
    services = open_services(data_dir)
    remedy = f"add one: dam-connector user add {name} --role merchandiser"
    found = _find_user(services, name, remedy=remedy)
    click.echo(services.users.add_token(found, label, days, by=_operator()))


@token.command("list")
@data_dir_option
@report_errors
def token_list(data_dir: Path | None) -> None:
    """List the valid API tokens: id, user, label, time of expiry, time of the last use."""
    for found in open_services(data_dir).users.tokens():
        expiry = found.expires_at.isoformat(timespec="seconds") if found.expires_at else "never"
        used = found.last_used_at.isoformat(timespec="seconds") if found.last_used_at else "never"
        click.echo(f"{found.id}\t{found.user_name}\t{found.label}\t{expiry}\t{used}")


@token.command("revoke")
@click.argument("token_id", metavar="ID")
@data_dir_option
@report_errors
def token_revoke(token_id: str, data_dir: Path | None) -> None:
    """Revoke an API token; `token list` prints the ids."""
    if not open_services(data_dir).users.revoke_token(token_id, by=_operator()):
        raise ConfigError(f"there is no token {token_id!r}; list them: dam-connector token list")
    click.echo(f"{token_id} is revoked")


@click.command("audit")
@click.option(
    "--format", "file_format", type=click.Choice(list(AUDIT_FORMATS)), default="jsonl", show_default=True
)
@data_dir_option
@report_errors
def audit_command(file_format: str, data_dir: Path | None) -> None:
    """Print the audit log: the actions of people, newest first."""
    for line in audit_lines(open_services(data_dir), file_format):
        click.echo(line, nl=False)
