"""Commands for connections: connect, connection test, reconcile, backfill."""

import json
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from dam_connector.adapters.common.http_errors import UnknownHost
from dam_connector.cli.common import data_dir_option, json_option, open_services, report_errors
from dam_connector.cli.tried_text import tried_json, tried_lines
from dam_connector.domain.adoption import Adoptable
from dam_connector.domain.rules import Connection
from dam_connector.errors import AdapterError, ConfigError, RateLimited, SubmitUnknown, Unavailable
from dam_connector.store.audit import COMMAND_LINE
from dam_connector.usecases import connection_tests, connections, reconciliation
from dam_connector.usecases.adopt_known_products import (
    adopt_known,
    adoptable_json,
    adoptable_line,
    request_checks,
)
from dam_connector.usecases.backfill import BackfillProgress
from dam_connector.usecases.backfill import backfill as steps
from dam_connector.wiring import Services

PROGRESS_EVERY = 25  # products between two lines of progress


@click.group()
def connection() -> None:
    """Manage the connections to outside systems."""


@connection.command("test")
@click.argument("name")
@click.option(
    "--sku",
    default="",
    help="A product to test a channel with. Its live assets are written again unchanged.",
)
@data_dir_option
@json_option
@report_errors
def test_connection(name: str, sku: str, data_dir: Path | None, json_output: bool) -> None:
    """Make a round trip over a connection and clean up after it."""
    done: list[str] = []
    services = open_services(data_dir)
    try:
        for line in connection_tests.run_test(services, name, by=COMMAND_LINE, sku=sku):
            done.append(line)
            if not json_output:
                click.echo(f"  {line}")
    except AdapterError as error:
        if json_output:
            click.echo(json.dumps({"connection": name, "good": False, "done": done, "error": str(error)}))
        raise ConfigError(f"{name}: {error}", connection_tests.remedy_of(services, name, error)) from error
    asked = connection_tests.was_asked(done)
    if json_output:
        click.echo(json.dumps({"connection": name, "good": True, "asked": asked, "done": done}))
    else:
        click.echo(f"{name}: {'good' if asked else 'not asked'}")


@connection.command("try")
@click.argument("name")
@click.argument("payload", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--header", "headers", multiple=True, help="A header of the message, e.g. 'x-event: updated'.")
@data_dir_option
@json_option
@report_errors
def try_delivery(
    name: str, payload: Path, headers: tuple[str, ...], data_dir: Path | None, json_output: bool
) -> None:
    """Show the products that a message of a PIM results in, and what is missing in them.

    PAYLOAD is a file with the body of a webhook. Nothing is stored, and no signature or secret is needed. The
    command fails if a product cannot be taken in, or has an error.
    """
    pairs = [line.partition(":") for line in headers]
    if wrong := [name for name, colon, _ in pairs if not colon or not name.strip()]:
        raise click.UsageError(
            f"--header {wrong[0]!r}: write the name, a colon and the value: 'x-event: updated'"
        )
    try:
        tried = connections.try_delivery(
            open_services(data_dir),
            name,
            payload.read_bytes(),
            {key.strip().lower(): value.strip() for key, _, value in pairs},
        )
    except AdapterError as error:
        raise ConfigError(f"{payload}: {error}") from error
    for each in tried.products:
        if json_output:
            click.echo(json.dumps(tried_json(each), ensure_ascii=False))
        else:
            click.echo("\n".join(tried_lines(each)))
    if not tried.products:
        click.echo(f"Such a message is ignored: {tried.ignored}.", err=json_output)
    if not all(each.is_good for each in tried.products):
        raise SystemExit(1)


@click.command()
@click.option("--connection", default="", help="Compare only this PIM, DAM or channel.")
@click.option("--mend", is_flag=True, help="Repair the differences.")
@click.option(
    "--files/--no-files", default=True, show_default=True, help="Also compare the contents of files in DAMs."
)
@data_dir_option
@json_option
@report_errors
def reconcile(connection: str, mend: bool, files: bool, data_dir: Path | None, json_output: bool) -> None:
    """Compare PIMs, DAMs and channels with the records here; show the differences."""
    services = open_services(data_dir)
    found = []
    for drift in reconciliation.reconcile(services, connection=connection, compare_files=files):
        found.append(drift)
        outcome = _repair(services, drift) if mend else drift.remedy
        if json_output:
            record = {**asdict(drift), "said" if mend else "remedy": outcome}
            click.echo(json.dumps(record, ensure_ascii=False))
        else:
            place = f"{drift.kind.value:<9} {drift.where:<16} {drift.sku or drift.ref:<24}"
            click.echo(f"{place} {drift.detail}  -> {outcome}")
    if not connection:
        reconciliation.store_result(services, found)
    if not json_output:
        click.echo(
            f"{len(found)} differences." + ("" if mend else " Repair them with --mend.")
            if found
            else "No differences."
        )


def _repair(services: Services, drift: reconciliation.Drift) -> str:
    """Repair one difference; return the outcome, also when it failed."""
    try:
        return reconciliation.repair(services, drift)
    except (AdapterError, ConfigError) as error:
        return f"not repaired: {error}"


@click.command()
@click.argument("port", type=click.Choice(connections.PORTS))
@click.argument("adapter")
@click.option("--url", required=True, help="Address of the other system.")
@click.option(
    "--token",
    default="",
    help="Reference to the secret of an admin there, e.g. env/DIRECTUS_ADMIN_TOKEN; never the secret itself.",
)
@click.option(
    "--name", default="", help="Name of the connection in plugin.json. Default: the name of the adapter."
)
@click.option("--yes", is_flag=True, help="Do not ask before creating.")
@data_dir_option
@report_errors
def connect(
    port: str, adapter: str, url: str, token: str, name: str, yes: bool, data_dir: Path | None
) -> None:
    """Create the objects that a connection needs in the other system.

    The command lists them first and does not change those that exist.
    """
    if token and not token.startswith("env/"):
        raise ConfigError(
            "--token: a secret is not accepted here; put it into the environment and refer to it as env/NAME"
        )
    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"--url: {url} is no whole address; write e.g. https://{url.lstrip('/')}")
    services, name = open_services(data_dir), name or adapter
    options = {**_options_in_file(services, port, name), "base_url": url}
    options |= {"token": token} if token else {}
    asked = Connection(adapter=adapter, options=options)
    try:
        preparations = list(connections.list_preparations(services, port, name, asked))
        for preparation in preparations:
            click.echo(f"  {'exists' if preparation.exists else 'create'}  {preparation.description}")
        missing = [preparation for preparation in preparations if not preparation.exists]
        if missing and not yes and not click.confirm(f"Create these {len(missing)} at {url}?"):
            return
        for preparation in missing:
            preparation.create()
        entry = connections.connection_entry(services, port, asked)
    except AdapterError as error:
        is_passing = isinstance(error, (RateLimited, Unavailable, SubmitUnknown))
        again = "; run the same command again to go on" if is_passing else ""
        raise ConfigError(f"{url}: {error}{'' if isinstance(error, UnknownHost) else again}") from error
    click.echo(f"{len(missing)} created." if missing else "Everything exists already.")
    click.echo("\nTo do by hand:")
    for line in connections.manual_steps(port, adapter):
        click.echo(f"  - {line}")
    review = f'set "review": {{"dam": "{name}"}}, and ' if port == "dam" else ""
    click.echo(
        f"\nIn plugin.json, {review}add this under /connections/{port}:\n  {json.dumps({name: entry})}"
    )


def _options_in_file(services: Services, port: str, name: str) -> dict[str, object]:
    """Return the options of a connection that is in plugin.json already: they say what it needs."""
    with suppress(ConfigError):
        known = getattr(services.rules.current(), port).get(name)
        return dict(known.options) if known else {}
    return {}


class DateTimeParam(click.ParamType[datetime]):
    """A date or a date and time in ISO 8601; UTC when it has no zone."""

    name = "date"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the time; fail with a usage error when the value is none."""
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail("use a date such as 2026-11-01, or 2026-11-01T08:00:00+01:00", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@click.command()
@click.option("--connection", default="", help="Name of the PIM connection in plugin.json.")
@click.option(
    "--adopt",
    is_flag=True,
    help="Take over finished pictures and models as V1, by `adopt` of plugin.json. Without --connection: for "
    "the products that are known here.",
)
@click.option(
    "--since",
    type=DateTimeParam(),
    help="Only products changed since then. Default: where the last backfill stopped, else all.",
)
@click.option("--dry-run", is_flag=True, help="Count the products, and what would be adopted; add none.")
@click.option(
    "--check",
    is_flag=True,
    help="With --adopt: let the workers check the finished files of the known products; adopt none. "
    "--dry-run shows the results.",
)
@click.option(
    "--per-minute",
    type=click.FloatRange(min=0.1),
    help="Most products a minute. Default: as many as the source allows.",
)
@data_dir_option
@json_option
@report_errors
def backfill(
    connection: str,
    adopt: bool,
    since: datetime | None,
    dry_run: bool,
    check: bool,
    per_minute: float | None,
    data_dir: Path | None,
    json_output: bool,
) -> None:
    """Add the whole catalog of a source, or the products changed since a day.

    A backfill that was stopped goes on where it was.
    """
    if not connection and not adopt:
        raise click.UsageError("--connection: name a PIM, or adopt for known products with --adopt")
    services, progress = open_services(data_dir), BackfillProgress()
    if check:
        if connection or not adopt:
            raise click.UsageError("--check: it goes with --adopt alone, for the products that are known")
        count = request_checks(services, by="command line")["requested"]
        click.echo(f"{count} files are being checked by the workers; --adopt --dry-run shows the results")
        return

    def show(file: Adoptable) -> None:
        click.echo(adoptable_json(file) if json_output else adoptable_line(file, dry_run=dry_run))

    more: dict[str, Any] = {"dry_run": dry_run, "adopt": adopt, "show": show}
    try:
        for progress in (
            steps(services, connection, since=since, per_minute=per_minute or 0, **more)
            if connection
            else adopt_known(services, dry_run=dry_run, show=show)
        ):
            if progress.seen % PROGRESS_EVERY == 0 and not json_output:
                counts = f"{progress.seen} read, {progress.added} added, {progress.failed} failed"
                click.echo(f"{counts}; last: {progress.last_ref}", err=True)
    except AdapterError as error:
        raise ConfigError(
            f"/connections/pim/{connection}: {error}; {progress.added} products were added. "
            "Run the same command again to go on."
            if connection
            else f"/adopt: {error}; {progress.adopted} files were adopted. Run the command again to go on."
        ) from error
    _show_backfill(connection, progress, adopt=adopt, dry_run=dry_run, json_output=json_output)


def _show_backfill(
    connection: str, progress: BackfillProgress, *, adopt: bool, dry_run: bool, json_output: bool
) -> None:
    """Print the result of a backfill."""
    if json_output:
        result = {
            "connection": connection,
            "seen": progress.seen,
            "taken": progress.added,
            "failed": progress.failed,
            "seconds_of_making": round(progress.generation_s),
            "dry_run": dry_run,
            **({"adopted": progress.adopted} if adopt else {}),
        }
        click.echo(json.dumps(result))
        return
    if adopt:
        click.echo(f"{progress.adopted} files {'would be' if dry_run else 'were'} adopted as V1")
    if adopt and not connection:
        return
    if dry_run:
        hours, minutes = divmod(round(progress.generation_s / 60), 60)
        click.echo(
            f"{progress.seen} products would be added; making all their assets takes about "
            f"{hours} h {minutes} min"
        )
    else:
        click.echo(
            f"{progress.added} products added"
            + (f", {progress.failed} failed: see the log" if progress.failed else "")
        )
