"""Commands for bulk uploads: template, import, export, batch."""

import json
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from dam_connector.cli.common import (
    data_dir_option,
    json_option,
    open_services,
    report_errors,
    report_errors_by,
    require_rules,
    writing,
)
from dam_connector.cli.picture_files import list_picture_files, store_pictures
from dam_connector.cli.preview_text import preview_facts, preview_lines
from dam_connector.cli.worker_watch import WorkerWatch
from dam_connector.errors import ConfigError, InputError
from dam_connector.store.batch_records import Batch, BatchProgress, BatchState, RowState
from dam_connector.usecases import batch_exports, batch_preview, batch_rows, batches
from dam_connector.wiring import Services
from schemas.sheet_template import sheet_template
from schemas.uploads import read_uploaded_sheet

POLL_INTERVAL_S = 1.0
SHEET_FORMATS = ("csv", "xlsx")
EXPORT_FORMATS = ("jsonl", "csv", "zip", "folder")
EXIT_REFUSED = 2  # of `import`: nothing could be begun
STOPPED_STATES = (BatchState.PAUSED, BatchState.CANCELLED)


def run_import(
    services: Services,
    file: Path,
    *,
    name: str,
    owner: str,
    columns: dict[str, str],
    pictures: Path | None,
    dry_run: bool,
    check: str = "",
) -> tuple[Batch | None, batch_preview.BatchPreview]:
    """Start a batch from a sheet.

    Args:
        services: the services.
        file: the sheet, CSV or XLSX.
        name: the name of the batch.
        owner: who is shown as its owner.
        columns: column of the sheet by our name of it, where the sheet uses another name.
        pictures: a folder or ZIP with the pictures that the sheet names.
        dry_run: only check the rows.
        check: the id of an earlier check; empty: none.

    Returns:
        The batch, and the preview of the sheet. The batch is None with dry_run, or when no row is new.

    Raises:
        InputError: the sheet or the ZIP cannot be read, or the sheet lacks a column.
        StateConflict: a batch has this name already, or pictures have changed since the check.
    """
    if not dry_run:  # said before the pictures are looked at
        batches.require_free_name(services, name)
    data = file.read_bytes()
    sheet = read_uploaded_sheet(data)
    mapping = batch_rows.map_columns(sheet, columns)
    listed = list_picture_files(services, pictures)
    preview = batch_preview.preview_batch(services, sheet, mapping, listed)
    if dry_run or not preview.begins:
        return None, preview
    store_pictures(services, pictures, batch_rows.named_pictures(sheet, mapping, listed.files))
    check = check or preview.check
    return batches.start(services, name, owner, sheet, mapping, listed, check=check), preview


def watch_progress(services: Services, batch: Batch) -> dict[str, int]:
    """Show a progress bar until the batch is done or stopped; return the last row counts.

    Raises:
        ConfigError: no worker answered for a minute.
    """
    console, watch = Console(stderr=True), WorkerWatch(services, batch)
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TimeRemainingColumn(),
        console=console,
    ) as bar:
        task = bar.add_task(batch.name, total=services.batches.progress(batch.id).total)
        while True:
            now = services.batches.progress(batch.id)
            state = batches.find(services, batch.id).state
            counts = (
                f"{now.waiting} waiting, {now.generating} generating, {now.in_review} in review, "
                f"{now.live} live, {now.failed} failed"
                + (f", {now.makes_nothing} make nothing" if now.makes_nothing else "")
            )
            done = now.total - now.in_progress
            bar.update(task, total=now.total, completed=done, description=f"{batch.name}: {counts}")
            if not now.in_progress or state in STOPPED_STATES:
                return asdict(now)
            watch.look(now)
            time.sleep(POLL_INTERVAL_S)


def export(
    services: Services, batch: Batch, file_format: str, out: Path | None, *, follow: bool
) -> dict[str, Any]:
    """Write the results of a batch.

    Args:
        services: the services.
        batch: the batch.
        file_format: `jsonl` or `csv` for a list, `zip` or `folder` for the files.
        out: the file or folder to write; standard output when None.
        follow: with `jsonl`, write each record when its row is settled, until the batch is done.

    Returns:
        A summary: counts or sizes, and the output.

    Raises:
        ConfigError: files are asked for without `out`, or it cannot be written.
    """
    if file_format in ("zip", "folder") and out is None:
        raise ConfigError(f"--format {file_format} needs --out, the place for the files")
    with writing(out) if out else nullcontext():
        return _export(services, batch, file_format, out, follow=follow)


def _export(
    services: Services, batch: Batch, file_format: str, out: Path | None, *, follow: bool
) -> dict[str, Any]:
    if file_format == "folder" and out:
        out.mkdir(exist_ok=True)  # also if no file is to be written
        count = batch_exports.write_folder(services, batch_exports.exported_versions(services, batch), out)
        lines = batch_exports.json_lines(batch_exports.manifest(services, batch))
        (out / "manifest.jsonl").write_text("".join(lines))
        return {"files": count, "output": str(out)}
    if file_format == "zip" and out:
        lines = batch_exports.json_lines(batch_exports.manifest(services, batch))
        with out.open("wb") as file:
            versions = batch_exports.exported_versions(services, batch)
            file.writelines(batch_exports.stream_zip(services, versions, lines))
        return {"bytes": out.stat().st_size, "output": str(out)}
    with out.open("w", encoding="utf-8", newline="") if out else nullcontext(sys.stdout) as text:
        if file_format == "csv":
            text.writelines(batch_exports.status_csv(services, batch))
            return {"output": str(out or "-")}
        counts: Counter[str] = Counter()
        for record in follow_manifest(services, batch) if follow else batch_exports.manifest(services, batch):
            text.writelines(batch_exports.json_lines([record]))
            text.flush()
            counts[record["status"]] += 1
        names = ("completed", "failed", "makes_nothing")
        return {**{name: counts[name] for name in names}, "output": str(out or "-")}


def follow_manifest(services: Services, batch: Batch) -> Iterator[dict[str, Any]]:
    """Yield each record of the manifest when its row is settled, until the batch is done or stopped."""
    exported_rows: set[int] = set()
    watch = WorkerWatch(services, batch)
    while True:
        state, progress = batches.find(services, batch.id).state, services.batches.progress(batch.id)
        over = not progress.in_progress or state in STOPPED_STATES
        for record in batch_exports.manifest(services, batch):
            if record["row"] not in exported_rows:
                exported_rows.add(record["row"])
                yield record
        if over:
            return
        watch.look(progress)
        time.sleep(POLL_INTERVAL_S)


def read_pairs(pairs: tuple[str, ...]) -> dict[str, str]:
    """Return the values of --map: the sheet's columns by ours.

    Raises:
        InputError: sheet.header: a value has no equals sign.
    """
    wrong = [pair for pair in pairs if not all(pair.partition("="))]
    if wrong:
        message = f"--map {wrong[0]}: write our column, =, and the sheet's column, e.g. --map sku=Nummer."
        raise InputError("sheet.header", message)
    return {ours.strip(): theirs.strip() for ours, _, theirs in (pair.partition("=") for pair in pairs)}


def print_result(facts: Any, lines: list[str], json_output: bool) -> None:
    """Print facts as JSON, or the lines that say the same to a person."""
    click.echo(json.dumps(facts) if json_output else "\n".join(lines))


def require_ending(out: Path | None, file_format: str, formats: Collection[str]) -> None:
    """Refuse a file name whose ending is that of another format, e.g. CSV in a file `.xlsx`.

    Raises:
        click.BadParameter: The name has such an ending.
    """
    ending = out.suffix.lower().removeprefix(".") if out else ""
    if out and ending != file_format and ending in formats:
        message = f"{out.name} ends in .{ending}, and the format is {file_format}. Add --format {ending}."
        raise click.BadParameter(message, param_hint="--out")


@click.command("template")
@click.option("--format", "file_format", type=click.Choice(SHEET_FORMATS), default="csv", show_default=True)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write. Default: standard output.",
)
@report_errors
def template_command(file_format: str, out: Path | None) -> None:
    """Write an empty sheet for a bulk upload, with an example row."""
    require_ending(out, file_format, SHEET_FORMATS)
    data = sheet_template(file_format)
    if out:
        with writing(out):
            out.write_bytes(data)
    else:
        sys.stdout.buffer.write(data)


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", required=True, help="Name of the batch.")
@click.option(
    "--pictures",
    type=click.Path(exists=True, path_type=Path),
    help="Folder or ZIP with the pictures that the sheet names.",
)
@click.option(
    "--map",
    "pairs",
    multiple=True,
    metavar="COLUMN=NAME",
    help="Use column NAME of the sheet as our column COLUMN, e.g. sku=Nummer.",
)
@click.option("--dry-run", is_flag=True, help="Check the rows and make nothing.")
@click.option("--check", default="", help="Begin only if no picture has changed since this --dry-run.")
@click.option("--wait", is_flag=True, help="Wait until everything is made.")
@data_dir_option
@json_option
@report_errors_by(EXIT_REFUSED)
def import_command(
    file: Path,
    name: str,
    pictures: Path | None,
    pairs: tuple[str, ...],
    dry_run: bool,
    check: str,
    wait: bool,
    data_dir: Path | None,
    json_output: bool,
) -> None:
    """Make a batch of products from the sheet in FILE, CSV or XLSX.

    Exit code 0: all rows are good. 1: rows are bad or make nothing, or failed with --wait; or the check says
    that another batch has the name. 2: nothing is begun, since the sheet, an option, plugin.json or the name
    cannot be used, or a picture has changed since --check; or, with --wait, no worker answers.
    """
    services = open_services(data_dir)
    require_rules(services)
    batch, preview = run_import(
        services,
        file,
        name=name,
        owner="command line",
        columns=read_pairs(pairs),
        pictures=pictures,
        dry_run=dry_run,
        check=check,
    )
    problem = batches.name_problem(services, name) if dry_run else ""
    counts = watch_progress(services, batch) if batch and wait else {}
    facts = {
        "batch": batch.id if batch else None,
        "name_problem": problem,
        "progress": counts,
        **preview_facts(preview),
    }
    lines = [*preview_lines(preview), *([f"batch {batch.name}: {batch.id}"] if batch else [])]
    lines += [f"  the name: {problem}"] if problem else []
    lines += [f"  to begin only if no picture has changed: --check {preview.check}"] if dry_run else []
    print_result(facts, lines, json_output)
    checked = preview.counts[RowState.FAILED] + preview.counts[RowState.MAKES_NOTHING]
    sys.exit(int(bool(counts.get("failed") or checked or problem)))


@click.command("export")
@click.option("--batch", "name", required=True, help="Name or id of the batch.")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(EXPORT_FORMATS),
    default="jsonl",
    show_default=True,
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="File or folder to write. Default: standard output."
)
@click.option(
    "--follow",
    is_flag=True,
    help="With jsonl: write each record when its row is settled, until the batch is done.",
)
@data_dir_option
@json_option
@report_errors
def export_command(
    name: str, file_format: str, out: Path | None, follow: bool, data_dir: Path | None, json_output: bool
) -> None:
    """Write the results of a batch.

    jsonl: a manifest; csv: the sheet with the status of each row; zip and folder: the
    files, named by the naming rules.
    """
    require_ending(out, file_format, EXPORT_FORMATS)
    services = open_services(data_dir)
    facts = export(services, batches.find(services, name), file_format, out, follow=follow)
    text = json.dumps(facts) if json_output else ", ".join(f"{k} {v}" for k, v in facts.items())
    click.echo(text, err=out is None)


@click.group()
def batch() -> None:
    """List and control bulk uploads."""


def _state_text(batch: Batch, progress: BatchProgress) -> str:
    """Return how a batch is: as on its page, it runs until its last row is made."""
    is_made = batch.state is BatchState.DONE and not progress.in_progress
    return batch.state.value if is_made or batch.state is not BatchState.DONE else "running"


@batch.command("list")
@data_dir_option
@json_option
@report_errors
def batch_list(data_dir: Path | None, json_output: bool) -> None:
    """List all batches with their progress, newest first."""
    services = open_services(data_dir)
    listed = services.batches.page(limit=200)
    progress = services.batches.counts.progress([b.id for b in listed])
    found = [(b, asdict(progress[b.id])) for b in listed]
    facts = [
        {"id": b.id, "name": b.name, "owner": b.owner, "state": b.state.value, "progress": p}
        for b, p in found
    ]
    lines = [
        f"{b.name}\t{_state_text(b, progress[b.id])}\t"
        + ", ".join(f"{n} {k.replace('_', ' ')}" for k, n in p.items() if n)
        for b, p in found
    ]
    print_result(facts, lines, json_output)


@batch.command("failed")
@click.argument("name")
@data_dir_option
@report_errors
def batch_failed(name: str, data_dir: Path | None) -> None:
    """Print the failed rows as CSV, with the reasons; correct them and import them again."""
    services = open_services(data_dir)
    click.echo(batch_exports.failed_csv(services, batches.find(services, name)), nl=False)


@batch.command("do")
@click.argument("name")
@click.argument("action", type=click.Choice(["pause", "resume", "cancel", "retry"]))
@data_dir_option
@report_errors
def batch_do(name: str, action: str, data_dir: Path | None) -> None:
    """Pause, resume or cancel a batch, or retry its failed rows."""
    services = open_services(data_dir)
    click.echo(batches.control(services, batches.find(services, name), action))
