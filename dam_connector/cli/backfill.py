"""The command line of PIM sources: backfill."""

import json
from datetime import datetime
from pathlib import Path

import click

from dam_connector.cli.common import as_json, clear_errors, data_dir, services_on
from dam_connector.errors import AdapterError, ConfigError
from dam_connector.usecases.backfill import Progress
from dam_connector.usecases.backfill import backfill as steps

EVERY = 25  # products: how often progress is told


class Moment(click.ParamType[datetime]):
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
    type=Moment(),
    help="Only what was changed since then; where the last one was stopped, or everything, when absent.",
)
@click.option("--dry-run", is_flag=True, help="Count, and take nothing in.")
@click.option(
    "--per-minute",
    type=click.FloatRange(min=0.1),
    help="Products a minute at most; as fast as the source allows, when absent.",
)
@data_dir
@as_json
@clear_errors
def backfill(
    connection: str,
    since: datetime | None,
    dry_run: bool,
    per_minute: float | None,
    data_dir: Path | None,
    machine: bool,
) -> None:
    """Take in a source's whole catalog, or what was changed since a day. Stopped, it goes on where it was."""
    services, progress = services_on(data_dir), Progress()
    try:
        for progress in steps(services, connection, since=since, dry_run=dry_run, per_minute=per_minute or 0):
            if progress.seen % EVERY == 0 and not machine:
                click.echo(
                    f"{progress.seen} seen, {progress.taken} taken in, {progress.failed} left out; at {progress.last}",
                    err=True,
                )
    except AdapterError as error:
        raise ConfigError(
            f"/connections/pim/{connection}: {error}; {progress.taken} products were taken in, the same command goes on from there"
        ) from error
    if machine:
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
