"""Commands for stored records and files: backup, restore and gc."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from dam_connector.cli.common import data_dir_option, json_option, load_settings, open_services, report_errors
from dam_connector.errors import ConfigError
from dam_connector.ops.backup import BackupSummary, make_backup, restore_backup
from dam_connector.ops.supervisor import is_running
from dam_connector.private_files import open_data_dir, use_private_umask
from dam_connector.store.blobs import open_blobs, shown_location
from dam_connector.store.database import Database, check_url
from dam_connector.usecases.lost_files import missing_files, remedy
from dam_connector.usecases.retention import remove_old
from dam_connector.usecases.storage_owner import claim_storage, require_own_storage


@click.command("backup")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@data_dir_option
@json_option
@report_errors
def backup_command(file: Path, data_dir: Path | None, json_output: bool) -> None:
    """Write all records and files of this moment into FILE, while the service runs.

    Interrupted, the same command goes on. Keep plugin.json and secrets.env of the data directory beside it.
    """
    use_private_umask()
    _print_summary(make_backup(open_services(data_dir), file), json_output, "in the backup")


@click.command("restore")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--take-over-storage",
    is_flag=True,
    help="The storage may have files: they become the restored service's, and no other service may use them.",
)
@data_dir_option
@json_option
@report_errors
def restore_command(file: Path, take_over_storage: bool, data_dir: Path | None, json_output: bool) -> None:
    """Check the backup FILE, and store it in an empty data directory, or database and storage.

    DATABASE_URL and STORAGE_URL say where to; a backup of SQLite goes into PostgreSQL too, and back. A copy
    beside a running service needs a STORAGE_URL and a REDIS_URL of its own.
    """
    use_private_umask()
    settings = load_settings(data_dir)
    if is_running(settings):
        raise ConfigError(f"dam-connector runs on {settings.data_dir}; stop it first")
    check_url(settings.effective_database_url)
    open_data_dir(settings.data_dir)
    database = Database(settings.effective_database_url)
    try:
        blobs = open_blobs(settings.effective_storage_url)
        summary = restore_backup(file, database, blobs, take_over=take_over_storage)
    finally:
        database.close()
    _print_summary(summary, json_output, "restored")


def _print_summary(summary: BackupSummary, json_output: bool, done: str) -> None:
    if json_output:
        click.echo(json.dumps(asdict(summary)))
        return
    click.echo(
        f"{summary.records} records of {summary.tables} tables and {summary.files} files {done}, "
        f"as of {summary.made_at}, schema {summary.schema}"
    )
    if summary.missing:
        click.echo(
            f"warning: the storage did not have {summary.missing} files of versions; "
            "which ones: dam-connector check-files",
            err=True,
        )


@click.command("check-files")
@data_dir_option
@json_option
@report_errors
def check_files_command(data_dir: Path | None, json_output: bool) -> None:
    """Name each file that a record names and the storage lacks. Exit code 1 when there are any."""
    services = open_services(data_dir)
    require_own_storage(services)
    lost = list(missing_files(services))
    if json_output:
        click.echo(json.dumps([asdict(file) for file in lost]))
    else:
        for file in lost:
            click.echo(f"{file.sku}: {file.place} is missing ({file.sha256})\n     {remedy(file)}")
        click.echo(
            f"{len(lost)} files are missing in {shown_location(services.settings.effective_storage_url)}"
        )
    sys.exit(int(bool(lost)))


@click.command("claim-storage")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_dir_option
@report_errors
def claim_command(yes: bool, data_dir: Path | None) -> None:
    """Make the storage at STORAGE_URL this database's, e.g. after its files were moved there.

    Another service that uses it is refused from then on, and files that only its records name are removed.
    """
    services = open_services(data_dir)
    where = shown_location(services.settings.effective_storage_url)
    if not yes:
        click.confirm(f"Does no other service use {where}?", abort=True)
    claim_storage(services)
    click.echo(f"{where} is the storage of this database")


@click.command("gc")
@click.option("--dry-run", is_flag=True, help="Count what would be removed; remove nothing.")
@data_dir_option
@json_option
@report_errors
def gc_command(dry_run: bool, data_dir: Path | None, json_output: bool) -> None:
    """Remove old records, and files that no record names. The service does so once a day."""
    removed = remove_old(open_services(data_dir), dry_run=dry_run)
    if json_output:
        click.echo(json.dumps({"dry_run": dry_run, **asdict(removed)}))
        return
    click.echo(
        f"{'would be ' if dry_run else ''}removed: {removed.deliveries} deliveries, {removed.runs} runs, "
        f"{removed.checkpoints} checkpoints, {removed.history} entries of histories, "
        f"{removed.files} files ({removed.bytes / 1e6:.1f} MB)"
    )
