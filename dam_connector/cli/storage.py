"""Commands for stored records and files: backup, restore and gc."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from dam_connector.cli.common import data_dir_option, json_option, load_settings, open_services, report_errors
from dam_connector.errors import ConfigError
from dam_connector.ops.backup import BackupSummary, make_backup, restore_backup
from dam_connector.ops.supervisor import is_running
from dam_connector.private_files import open_data_dir, use_private_umask
from dam_connector.store.blobs import open_blobs
from dam_connector.store.database import Database, check_url
from dam_connector.usecases.retention import remove_old


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
@data_dir_option
@json_option
@report_errors
def restore_command(file: Path, data_dir: Path | None, json_output: bool) -> None:
    """Check the backup FILE, and store it in an empty data directory or database.

    DATABASE_URL and STORAGE_URL say where to; a backup of SQLite goes into PostgreSQL too, and back.
    """
    use_private_umask()
    settings = load_settings(data_dir)
    if is_running(settings):
        raise ConfigError(f"dam-connector runs on {settings.data_dir}; stop it first")
    check_url(settings.effective_database_url)
    open_data_dir(settings.data_dir)
    database = Database(settings.effective_database_url)
    try:
        summary = restore_backup(file, database, open_blobs(settings.effective_storage_url))
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
            "compare: dam-connector reconcile",
            err=True,
        )


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
