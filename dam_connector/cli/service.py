"""Commands for the service itself: up, web, demo, doctor, check-config, run, replay, docs."""

import json
import logging
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path

import click

from dam_connector import logs
from dam_connector.cli.common import data_dir_option, json_option, load_settings, open_services, report_errors
from dam_connector.domain.issue import Severity
from dam_connector.errors import ConfigError, Unavailable
from dam_connector.ops import docgen, doctor
from dam_connector.ops.demo import Demo, print_summary
from dam_connector.ops.storage_checks import check_storage_owner
from dam_connector.ops.supervisor import Supervisor, check_port, web_command
from dam_connector.private_files import use_private_umask
from dam_connector.rules_file import read_rules_text, require_rules_file
from dam_connector.settings import ensure_secrets
from dam_connector.usecases import retries
from dam_connector.usecases.row_texts import issue_text
from dam_connector.usecases.rules_check import check_rules_text
from dam_connector.usecases.run_planning import what_is_made
from dam_connector.usecases.storage_owner import require_own_storage
from dam_connector.wiring import build_services


@click.command()
@data_dir_option
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=os.cpu_count() or 2,
    show_default=True,
    help="Number of processes that make pictures and models.",
)
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on.")
@report_errors
def up(data_dir: Path | None, workers: int, host: str | None, port: int | None) -> None:
    """Start all parts and restart those that stop, until Ctrl-C."""
    use_private_umask()
    settings = ensure_secrets(load_settings(data_dir, host=host, port=port))
    require_rules_file(settings.plugin_json)
    logs.configure_logging(settings.log_format)
    supervisor = Supervisor(settings, workers)

    def print_address() -> None:
        click.echo(
            f"Ready: {settings.base_url}/review  "
            f"(data in {settings.data_dir}, logs in {settings.data_dir / 'logs'})"
        )
        if not build_services(settings).users.all():
            click.echo("No user exists yet. Add one: dam-connector user add NAME --role admin")

    supervisor.on_ready = print_address
    supervisor.run()


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; exit with code 1 when a migration is missing.")
@data_dir_option
@report_errors
def migrate(check: bool, data_dir: Path | None) -> None:
    """Bring the database to the schema of this release, while workers of the release before go on."""
    settings = load_settings(data_dir)
    logs.configure_logging(settings.log_format)
    database = build_services(settings).db
    missing = database.missing_migration()
    if check:
        click.echo(f"migration {missing} is missing; run dam-connector migrate" if missing else "up to date")
        sys.exit(1 if missing else 0)
    database.migrate()
    database.close()
    click.echo(f"migrated to {missing}" if missing else "up to date; nothing was changed")


@click.command()
@report_errors
def web() -> None:
    """Migrate the database and start only the web server, for containers."""
    use_private_umask()
    settings = ensure_secrets(load_settings())
    require_rules_file(settings.plugin_json)
    logs.configure_logging(settings.log_format)
    check_port(settings, "set DAM_CONNECTOR_PORT to another one")
    services = build_services(settings)
    services.db.migrate()
    with suppress(Unavailable):  # a storage that is away stops neither webhooks nor decisions
        require_own_storage(services)
    command = web_command(settings)
    os.execve(command[0], command, {**settings.child_environ()})  # noqa: S606 - our own interpreter


@click.command()
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="The data directory. Default: a new one, which is removed at the end.",
)
@click.option("--headless", is_flag=True, help="Approve all versions, print a JSON summary and stop.")
@click.option("--workers", type=click.IntRange(1, 64), default=os.cpu_count() or 2, show_default=True)
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Port to listen on. Default with --headless: a free one."
)
@report_errors
def demo(data_dir: Path | None, headless: bool, workers: int, port: int | None) -> None:
    """Show the whole way from webhook to published assets on a sample catalog."""
    use_private_umask()
    with nullcontext(data_dir) if data_dir else _temporary_folder() as folder:
        settings = ensure_secrets(load_settings(folder, port=port or (_free_port() if headless else None)))
        logs.configure_logging(settings.log_format)
        demonstration = Demo(settings, workers, headless)
        code = demonstration.run()
    if headless:
        print_summary(demonstration.summary)
    sys.exit(code)


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """Open a directory, which is removed at the end, files of killed processes included."""
    with tempfile.TemporaryDirectory(prefix="dam-connector-demo-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _free_port() -> int:
    """Return a port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@click.command("doctor")
@data_dir_option
@json_option
@report_errors
def doctor_command(data_dir: Path | None, json_output: bool) -> None:
    """Check every part of the installation, with a remedy for each part that fails."""
    checks = []
    for status in _part_states(data_dir):
        checks.append(status)
        if not json_output:
            click.echo(f"{'ok  ' if status.good else 'FAIL'} {status.part}: {status.detail}")
            if not status.good:
                click.echo(f"     {status.remedy}")
    if json_output:
        rows = [
            {"part": c.part, "good": c.good, "detail": c.detail, "remedy": "" if c.good else c.remedy}
            for c in checks
        ]
        click.echo(json.dumps(rows))
    sys.exit(int(not all(c.good for c in checks)))


def _part_states(data_dir: Path | None) -> Iterator[doctor.PartStatus]:
    """Yield the state of each part; without settings there is nothing that could be checked."""
    try:
        settings = load_settings(data_dir)
    except ConfigError as error:
        for line in error.problems:
            remedy = "Correct that variable; then dam-connector doctor checks the parts."
            yield doctor.PartStatus("settings", False, line, remedy)
        return
    logs.configure_logging(settings.log_format, logging.CRITICAL)  # each part says itself what is wrong
    yield from doctor.check_parts(settings)
    yield from check_storage_owner(settings)


@click.command("check-config")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@json_option
@report_errors
def check_command(file: Path | None, json_output: bool) -> None:
    """Check a plugin.json, by default the one in use. Exit code 1 when it has errors."""
    path = file or load_settings().plugin_json
    lines: list[str] = []
    notes: list[str] = []
    try:
        if file is not None and not file.is_file():
            raise ConfigError(f"{file}: the file does not exist")
        settings = load_settings()
        if gone := "" if file else doctor.disappeared_rules(settings):
            raise ConfigError(gone)
        text = read_rules_text(path)
        if not path.exists():
            notes.append(f"there is no file {path} here: the rules that ship with dam-connector were checked")
        with tempfile.TemporaryDirectory() as folder:
            found = check_rules_text(
                build_services(replace(settings, data_dir=Path(folder))),
                text,
                doctor.known_users(settings),
                settings.data_dir,
            )
        lines = list(found.problems)
        notes += found.notes
    except ConfigError as error:
        lines = list(error.problems)
    if json_output:
        click.echo(json.dumps({"file": str(path), "good": not lines, "problems": lines, "notes": notes}))
    else:
        click.echo("\n".join([*(lines or [f"{path}: good"]), *(f"note: {note}" for note in notes)]))
    sys.exit(int(bool(lines)))


@click.command("run")
@click.argument("sku")
@data_dir_option
@report_errors
def run_command(sku: str, data_dir: Path | None) -> None:
    """Make the missing assets of a SKU and retry its failed runs."""
    services = open_services(data_dir)
    count = retries.rerun_product(services, sku)
    record = services.products.get(sku)
    errors = [i for i in record.issues if i.severity is Severity.ERROR] if record else []
    if errors:
        raise ConfigError(
            f"{sku}: nothing is made until its record is corrected",
            *(f"{issue_text(i)}. {i.remedy}" for i in errors),
        )
    if record and not count:
        _, reason = what_is_made(services, record.product, set(record.sources), services.rules.current())
        if reason:
            raise ConfigError(f"{sku} {reason}")
    click.echo(f"{sku}: {count} runs under way" if count else f"{sku}: nothing to do, all assets are made")


@click.command("replay")
@click.argument("delivery")
@data_dir_option
@report_errors
def replay_command(delivery: str, data_dir: Path | None) -> None:
    """Handle a webhook delivery again."""
    retries.replay_delivery(open_services(data_dir), delivery)
    click.echo(f"{delivery}: will be handled again")


@click.command("docs", hidden=True)
@click.option("--check", is_flag=True, help="Write nothing; exit with code 1 when a document is out of date.")
def docs(check: bool) -> None:
    """Write the generated documents of this checkout; print the paths of those that changed."""
    root = Path(__file__).parent.parent.parent
    stale = (
        [
            path
            for path, text in docgen.documents().items()
            if not (root / path).exists() or (root / path).read_text() != text
        ]
        if check
        else docgen.write_documents(root)
    )
    click.echo("\n".join(stale))
    sys.exit(int(check and bool(stale)))
