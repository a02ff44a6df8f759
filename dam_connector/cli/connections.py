"""The command line of connections: connect, connection test."""

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import click

from dam_connector.cli.common import data_dir_option, json_option, open_services, report_errors
from dam_connector.domain.rules import Connection
from dam_connector.errors import AdapterError, ConfigError
from dam_connector.usecases import connections, reconciliation
from dam_connector.usecases.backfill import Progress
from dam_connector.usecases.backfill import backfill as steps
from dam_connector.wiring import Services

PROGRESS_EVERY = 25  # products: how often progress is told


@click.group()
def connection() -> None:
    """Connections to outside systems."""


@connection.command("test")
@click.argument("name")
@click.option(
    "--sku",
    default="",
    help="A product that a channel is tried with: what is live of it is written as it is.",
)
@data_dir_option
@json_option
@report_errors
def test_connection(name: str, sku: str, data_dir: Path | None, json_output: bool) -> None:
    """Make a round trip over a connection, and leave nothing behind."""
    done: list[str] = []
    try:
        for words in connections.test(open_services(data_dir), name, sku=sku):
            done.append(words)
            if not json_output:
                click.echo(f"  {words}")
    except AdapterError as error:
        if json_output:
            click.echo(json.dumps({"connection": name, "good": False, "done": done, "error": str(error)}))
        raise ConfigError(f"{name}: {error}") from error
    click.echo(
        json.dumps({"connection": name, "good": True, "done": done}) if json_output else f"{name}: good"
    )


@click.command()
@click.option("--connection", default="", help="Only this PIM, DAM or channel.")
@click.option("--mend", is_flag=True, help="Put right what was found.")
@click.option(
    "--files/--no-files", default=True, show_default=True, help="Read the files in DAMs and compare them too."
)
@data_dir_option
@json_option
@report_errors
def reconcile(connection: str, mend: bool, files: bool, data_dir: Path | None, json_output: bool) -> None:
    """Compare PIMs, DAMs and channels with what is known here, and show where they drifted apart."""
    services = open_services(data_dir)
    found = []
    for drift in reconciliation.reconcile(services, only=connection, files=files):
        found.append(drift)
        said = _repair(services, drift) if mend else drift.remedy
        if json_output:
            click.echo(json.dumps({**asdict(drift), "said" if mend else "remedy": said}, ensure_ascii=False))
        else:
            click.echo(
                f"{drift.kind.value:<9} {drift.where:<16} {drift.sku or drift.ref:<24} {drift.detail}  -> {said}"
            )
    if not connection:
        reconciliation.keep(services, found)
    if not json_output:
        click.echo(
            f"{len(found)} found." + ("" if mend or not found else " --mend puts them right.")
            if found
            else "Everything is of one mind."
        )


def _repair(services: Services, drift: reconciliation.Drift) -> str:
    try:
        return reconciliation.mend(services, drift)
    except (AdapterError, ConfigError) as error:
        return f"not mended: {error}"


@click.command()
@click.argument("port", type=click.Choice(connections.PORTS))
@click.argument("adapter")
@click.option("--url", required=True, help="The other side's address.")
@click.option(
    "--token",
    default="",
    help="A reference to an admin's secret, such as env/DIRECTUS_ADMIN_TOKEN; never the secret itself.",
)
@click.option(
    "--name", default="", help="What plugin.json calls the connection; the adapter's name when absent."
)
@click.option("--yes", is_flag=True, help="Do it without asking.")
@data_dir_option
@report_errors
def connect(
    port: str, adapter: str, url: str, token: str, name: str, yes: bool, data_dir: Path | None
) -> None:
    """Create what a connection needs on the other side. Shows it first; what is there is left as it is."""
    if token and not token.startswith("env/"):
        raise ConfigError(
            "--token: a secret is never written here: put it into the environment and refer to it as env/NAME"
        )
    services, name = open_services(data_dir), name or adapter
    options = {"base_url": url, **({"token": token} if token else {})}
    try:
        wanted = list(
            connections.preparations(services, port, name, Connection(adapter=adapter, options=options))
        )
        for each in wanted:
            click.echo(f"  {'there ' if each.exists else 'create'}  {each.description}")
        missing = [each for each in wanted if not each.exists]
        if missing and not yes and not click.confirm(f"Create these {len(missing)} at {url}?"):
            return
        for each in missing:
            each.create()
    except AdapterError as error:
        raise ConfigError(f"{url}: {error}; the same command goes on from there") from error
    click.echo(f"{len(missing)} created." if missing else "Everything is there.")
    click.echo("\nBy hand:")
    for line in connections.by_hand(port, adapter):
        click.echo(f"  - {line}")
    entry = {
        name: {
            "adapter": adapter,
            "base_url": url,
            "token": f"env/{adapter.upper()}_TOKEN",
            "webhook_secret": f"env/{adapter.upper()}_HOOK",
        }
    }
    click.echo(
        f'\nIn plugin.json, under /connections/{port}, and "review": {{"dam": "{name}"}}:\n  {json.dumps(entry)}'
    )


class DateTimeParam(click.ParamType[datetime]):
    """A date or a moment, ISO 8601; without a zone, UTC."""

    name = "date"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail("use a date such as 2026-11-01, or 2026-11-01T08:00:00+01:00", param, ctx)
        return moment if moment.tzinfo else datetime.fromisoformat(f"{moment.isoformat()}+00:00")


@click.command()
@click.option("--connection", required=True, help="The PIM connection in plugin.json.")
@click.option(
    "--since",
    type=DateTimeParam(),
    help="Only what was changed since then; where the last one was stopped, or everything, when absent.",
)
@click.option("--dry-run", is_flag=True, help="Count, and take nothing in.")
@click.option(
    "--per-minute",
    type=click.FloatRange(min=0.1),
    help="Products a minute at most; as fast as the source allows, when absent.",
)
@data_dir_option
@json_option
@report_errors
def backfill(
    connection: str,
    since: datetime | None,
    dry_run: bool,
    per_minute: float | None,
    data_dir: Path | None,
    json_output: bool,
) -> None:
    """Take in a source's whole catalog, or what was changed since a day. Stopped, it goes on where it was."""
    services, progress = open_services(data_dir), Progress()
    try:
        for progress in steps(services, connection, since=since, dry_run=dry_run, per_minute=per_minute or 0):
            if progress.seen % PROGRESS_EVERY == 0 and not json_output:
                click.echo(
                    f"{progress.seen} seen, {progress.taken} taken in, {progress.failed} left out; at {progress.last}",
                    err=True,
                )
    except AdapterError as error:
        raise ConfigError(
            f"/connections/pim/{connection}: {error}; {progress.taken} products were taken in, the same command goes on from there"
        ) from error
    if json_output:
        about = {
            "connection": connection,
            "seen": progress.seen,
            "taken": progress.taken,
            "failed": progress.failed,
        }
        about |= {"seconds_of_making": round(progress.seconds), "dry_run": dry_run}
        click.echo(json.dumps(about))
    elif dry_run:
        hours, minutes = divmod(round(progress.seconds / 60), 60)
        click.echo(
            f"{progress.seen} products would be taken in; making everything of them takes about {hours} h {minutes} min"
        )
    else:
        click.echo(
            f"{progress.taken} products taken in"
            + (f", {progress.failed} left out: the log says why" if progress.failed else "")
        )
