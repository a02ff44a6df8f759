"""The command line of bulk uploads: template, import, export, batch."""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from dam_connector.cli.common import data_dir_option, json_option, open_services, report_errors
from dam_connector.domain.ids import Sha256
from dam_connector.errors import ConfigError, InputError
from dam_connector.store.batches import Batch, RowState
from dam_connector.usecases import batch_preview, batches, exports
from dam_connector.wiring import Services
from schemas.sheet import read_sheet
from schemas.sheet_template import sheet_template

POLL_INTERVAL_S = 1.0


def store_pictures(services: Services, given: Path | None) -> dict[str, Sha256]:
    """The pictures in a folder or ZIP, stored, by file name. Raises: InputError."""
    if given is None:
        return {}
    if given.is_dir():
        return {
            p.name: services.blobs.put(p.read_bytes())
            for p in sorted(given.rglob("*"))
            if p.suffix.lower() in batches.PICTURES and p.is_file()
        }
    return batches.zipped(services, given.read_bytes(), given.name)


def run_import(
    services: Services,
    file: Path,
    *,
    name: str,
    owner: str,
    columns: dict[str, str],
    pictures: Path | None,
    dry_run: bool,
) -> tuple[Batch | None, batch_preview.Preview]:
    """The batch, and what its sheet does; with dry_run nothing is stored. Raises: InputError, StateConflict."""
    data = file.read_bytes()
    sheet = read_sheet(data)
    mapping, held = batch_preview.mapping_of(sheet, columns), store_pictures(services, pictures)
    said = batch_preview.preview(services, sheet, mapping, held)
    if dry_run or not said.counts[RowState.WAITING] + said.counts[RowState.FAILED]:
        return None, said
    return batches.begin(services, name, owner, read_sheet(data), mapping, held), said


def preview_lines(said: batch_preview.Preview) -> list[str]:
    """A preview for a terminal."""
    counts = said.counts
    lines = [
        f"{said.total} rows: {counts[RowState.WAITING]} good, {counts[RowState.FAILED]} bad, {counts[RowState.UNCHANGED]} unchanged"
    ]
    lines += [f"  {name}: {count} to make" for name, count in said.makes.items()]
    if said.makes:
        bills = ", ".join(f"{count} billed by {name}" for name, count in said.paid.items())
        bills = f"{bills}: about ${said.usd:.2f}" if bills else "nothing to pay: our own code makes all"
        lines += [f"  about {max(1, round(said.seconds / 60))} min; {bills}"]
    if said.unlooked:
        lines += [f"  the pictures of {said.unlooked} rows are looked at when their turn comes"]
    lines += [
        f"  row {row.line} {row.sku or '(no SKU)'}: {row.error}"
        for row in said.rows.get(RowState.FAILED, [])[:20]
    ]
    return lines


def watch_progress(services: Services, batch: Batch) -> dict[str, int]:
    """Show a bar until nothing is under way; gives the last counts."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        TimeRemainingColumn(),
        console=console,
    ) as bar:
        task = bar.add_task(batch.name, total=None)
        while True:
            now = services.batches.progress(batch.id)
            state = batches.find(services, batch.id).state
            words = f"{batch.name}: {now.waiting} waiting, {now.generating} generating, {now.in_review} in review, {now.live} live, {now.failed} failed"
            bar.update(task, total=now.total, completed=now.total - now.in_progress, description=words)
            if not now.in_progress or state in ("paused", "cancelled"):
                return asdict(now)
            time.sleep(POLL_INTERVAL_S)


def export(
    services: Services, batch: Batch, file_format: str, out: Path | None, *, follow: bool
) -> dict[str, Any]:
    """Write what a batch made as jsonl, csv, zip or folder; gives the summary that ends it. Raises: ConfigError without a place for files."""
    if file_format in ("zip", "folder") and out is None:
        raise ConfigError(f"--format {file_format} needs --out, where the files go")
    if file_format == "folder" and out:
        count = exports.to_folder(services, exports.given(services, batch), out)
        (out / "manifest.jsonl").write_text("".join(exports.json_lines(exports.manifest(services, batch))))
        return {"files": count, "output": str(out)}
    if file_format == "zip" and out:
        lines = exports.json_lines(exports.manifest(services, batch))
        with out.open("wb") as file:
            file.writelines(exports.zip_stream(services, exports.given(services, batch), lines))
        return {"bytes": out.stat().st_size, "output": str(out)}
    with out.open("w", encoding="utf-8", newline="") if out else nullcontext(sys.stdout) as text:
        if file_format == "csv":
            text.writelines(exports.status_csv(services, batch))
            return {"output": str(out or "-")}
        counts: Counter[str] = Counter()
        for record in follow_manifest(services, batch) if follow else exports.manifest(services, batch):
            text.writelines(exports.json_lines([record]))
            text.flush()
            counts[record["status"]] += 1
        return {"completed": counts["completed"], "failed": counts["failed"], "output": str(out or "-")}


def follow_manifest(services: Services, batch: Batch) -> Iterator[dict[str, Any]]:
    """The manifest's records as their rows are settled, until nothing is under way."""
    exported_rows: set[int] = set()
    while True:
        over = not services.batches.progress(batch.id).in_progress or batches.find(
            services, batch.id
        ).state in ("paused", "cancelled")
        for record in exports.manifest(services, batch):
            if record["row"] not in exported_rows:
                exported_rows.add(record["row"])
                yield record
        if over:
            return
        time.sleep(POLL_INTERVAL_S)


def print_result(facts: Any, lines: list[str], json_output: bool) -> None:
    click.echo(json.dumps(facts) if json_output else "\n".join(lines))


def exit_with_sheet_error(error: InputError, json_output: bool) -> None:
    """End with exit code 2: the sheet is of no use."""
    told_where = f" ({error.pointer})" if error.pointer else ""
    click.echo(
        json.dumps({"error": {"code": error.issue_code, "message": str(error)}})
        if json_output
        else f"{error.issue_code}: {error}{told_where}",
        err=not json_output,
    )
    sys.exit(2)


@click.command("template")
@click.option("--format", "form", type=click.Choice(["csv", "xlsx"]), default="csv", show_default=True)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write; standard output when absent.",
)
def template_command(form: str, out: Path | None) -> None:
    """The sheet to fill in for a bulk upload, with an example row."""
    data = sheet_template(form)
    if out:
        out.write_bytes(data)
    else:
        sys.stdout.buffer.write(data)


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", required=True, help="What the batch is called.")
@click.option(
    "--pictures",
    type=click.Path(exists=True, path_type=Path),
    help="A folder or ZIP with the pictures that the sheet names.",
)
@click.option(
    "--map",
    "given",
    multiple=True,
    metavar="COLUMN=NAME",
    help="Which column of the sheet holds one of ours, where its name does not tell.",
)
@click.option("--dry-run", is_flag=True, help="Only say what each row would do.")
@click.option("--wait", is_flag=True, help="Watch until everything is made; exit code 1 when a row failed.")
@data_dir_option
@json_option
@report_errors
def import_command(
    file: Path,
    name: str,
    pictures: Path | None,
    given: tuple[str, ...],
    dry_run: bool,
    wait: bool,
    data_dir: Path | None,
    json_output: bool,
) -> None:
    """Make a batch of products from a sheet: CSV or XLSX."""
    services = open_services(data_dir)
    pairs = dict(pair.partition("=")[::2] for pair in given)
    try:
        batch, said = run_import(
            services, file, name=name, owner="command line", columns=pairs, pictures=pictures, dry_run=dry_run
        )
    except InputError as error:
        exit_with_sheet_error(error, json_output)
        raise
    counts = watch_progress(services, batch) if batch and wait else {}
    facts = {
        "batch": batch.id if batch else None,
        "rows": {s.value: n for s, n in said.counts.items()},
        "makes": said.makes,
        "progress": counts,
    }
    lines = [*preview_lines(said), *([f"batch {batch.name}: {batch.id}"] if batch else [])]
    print_result(facts, lines, json_output)
    sys.exit(int(bool(counts.get("failed"))))


@click.command("export")
@click.option("--batch", "name", required=True, help="Name or id of the batch.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "csv", "zip", "folder"]),
    default="jsonl",
    show_default=True,
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="The file or folder to write; standard output when absent."
)
@click.option(
    "--follow", is_flag=True, help="With jsonl: go on while the batch does, a record as each row is settled."
)
@data_dir_option
@json_option
@report_errors
def export_command(
    name: str, form: str, out: Path | None, follow: bool, data_dir: Path | None, json_output: bool
) -> None:
    """What a batch made: a manifest, the sheet with each row's status, or the files, laid out by the naming rules."""
    services = open_services(data_dir)
    facts = export(services, batches.find(services, name), form, out, follow=follow)
    click.echo(
        json.dumps(facts) if json_output else ", ".join(f"{k} {v}" for k, v in facts.items()), err=out is None
    )


@click.group()
def batch() -> None:
    """Bulk uploads."""


@batch.command("list")
@data_dir_option
@json_option
@report_errors
def batch_list(data_dir: Path | None, json_output: bool) -> None:
    """All batches with how far they are, newest first."""
    services = open_services(data_dir)
    found = [(b, asdict(services.batches.progress(b.id))) for b in services.batches.page(limit=200)]
    facts = [
        {"id": b.id, "name": b.name, "owner": b.owner, "state": b.state.value, "progress": p}
        for b, p in found
    ]
    lines = [
        f"{b.name}\t{b.state.value}\t" + ", ".join(f"{n} {k.replace('_', ' ')}" for k, n in p.items() if n)
        for b, p in found
    ]
    print_result(facts, lines, json_output)


@batch.command("failed")
@click.argument("name")
@data_dir_option
@report_errors
def batch_failed(name: str, data_dir: Path | None) -> None:
    """The rows that failed, as CSV with why: mend it and import it again."""
    services = open_services(data_dir)
    click.echo(exports.failed_csv(services, batches.find(services, name)), nl=False)


@batch.command("do")
@click.argument("name")
@click.argument("what", type=click.Choice(["pause", "resume", "cancel", "retry"]))
@data_dir_option
@report_errors
def batch_do(name: str, what: str, data_dir: Path | None) -> None:
    """Pause, resume or cancel a batch, or try its failed rows again."""
    services = open_services(data_dir)
    click.echo(batches.control(services, batches.find(services, name), what))
